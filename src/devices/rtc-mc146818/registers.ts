/** Motorola MC146818A data sheet: register addresses and bits, and the PC's fixed CMOS places. */

export const INDEX_PORT = 0x70;
export const EXTENDED_INDEX_PORT = 0x72;
export const INDEX_NMI_MASK = 0x80;

export const SECONDS = 0x00;
export const SECONDS_ALARM = 0x01;
export const MINUTES = 0x02;
export const MINUTES_ALARM = 0x03;
export const HOURS = 0x04;
export const HOURS_ALARM = 0x05;
export const DAY_OF_WEEK = 0x06;
export const DATE_OF_MONTH = 0x07;
export const MONTH = 0x08;
export const YEAR = 0x09;
export const REGISTER_A = 0x0a;
export const REGISTER_B = 0x0b;
export const REGISTER_C = 0x0c;
export const REGISTER_D = 0x0d;
/** Century: the AT's place and the one that PS/2 and Windows 2000 use. */
export const CENTURY = 0x32;
export const CENTURY_PS2 = 0x37;

export const A_UIP = 0x80;
export const A_DV = 0x70;
/** Divider held in reset: DV2 and DV1 set. */
export const A_DV_RESET = 0x60;
export const A_RS = 0x0f;

export const B_SET = 0x80;
export const B_PIE = 0x40;
export const B_AIE = 0x20;
export const B_UIE = 0x10;
export const B_SQWE = 0x08;
export const B_DM_BINARY = 0x04;
export const B_24H = 0x02;

export const C_IRQF = 0x80;
export const C_PF = 0x40;
export const C_AF = 0x20;
export const C_UF = 0x10;

export const D_VRT = 0x80;

/** Alarm bytes from C0h match anything. */
export const ALARM_ANY = 0xc0;
export const HOURS_PM = 0x80;

export const OSCILLATOR_HZ = 32_768;
/** UIP rises 244 µs before an update cycle of 1984 µs. */
export const UIP_NS = 2_228_000;
/** The first update after the divider is released. */
export const RELEASE_TO_UPDATE_NS = 500_000_000;
