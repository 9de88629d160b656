/** Intel 82371SB (PIIX3) data sheet (order 290550), section 2.2: configuration registers of function 0. */

export const VENDOR_INTEL = 0x8086;
export const DEVICE_PIIX3_ISA = 0x7000;
export const CLASS_ISA_BRIDGE = 0x060100;
/** Type 0 header, multi-function. */
export const HEADER_TYPE = 0x80;

export const PCICMD = 0x04;
export const PCISTS = 0x06;
export const IORT = 0x4c;
export const XBCS = 0x4e;
/** PIRQ route control A–D. */
export const PIRQRCA = 0x60;
export const PIRQ_COUNT = 4;
export const TOM = 0x69;
export const MSTAT = 0x6a;
export const MBIRQ0 = 0x70;
export const MBDMA0 = 0x76;
export const PCSC = 0x78;
export const APICBASE = 0x80;
export const DLC = 0x82;
export const SMICNTL = 0xa0;
export const SMIEN = 0xa2;
export const SEE = 0xa4;
export const FTMR = 0xa8;
export const SMIREQ = 0xaa;
export const CTLTMR = 0xac;
export const CTHTMR = 0xae;

export const PIRQRC_DISABLED = 0x80;
export const PIRQRC_IRQ = 0x0f;
export const PIRQRC_WRITABLE = PIRQRC_DISABLED | PIRQRC_IRQ;
/** IRQ 3–7, 9–12, 14 and 15 can be routed to; the other codes are reserved and route nowhere. */
export const ROUTABLE_IRQS = 0xdef8;
