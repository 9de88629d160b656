/** Intel 8259A data sheet (order 231468) and 82371SB (PIIX3) section 2.5: ports and command bits of the pair. */

export const MASTER_BASE = 0x20;
export const SLAVE_BASE = 0xa0;
/** Edge/level control registers ELCR1 and ELCR2. */
export const ELCR_BASE = 0x4d0;

/** The master input that the slave's INT drives. */
export const CASCADE_INPUT = 2;

export const ICW1_IC4 = 0x01;
export const ICW1_SNGL = 0x02;
/** Written to the even port: tells ICW1 from OCW2 and OCW3. */
export const ICW1_SELECT = 0x10;

export const ICW4_AEOI = 0x02;
export const ICW4_SFNM = 0x10;

export const OCW2_LEVEL = 0x07;
export const OCW2_EOI = 0x20;
export const OCW2_SL = 0x40;
export const OCW2_R = 0x80;

export const OCW3_SELECT = 0x08;
export const OCW3_RIS = 0x01;
export const OCW3_RR = 0x02;
export const OCW3_P = 0x04;
export const OCW3_SMM = 0x20;
export const OCW3_ESMM = 0x40;

export const POLL_REQUEST = 0x80;

/** IRQ 0, 1, 2, 8 and 13 are edge-triggered for ever. */
export const ELCR_WRITABLE = [0xf8, 0xde] as const;
