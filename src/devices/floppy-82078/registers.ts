/** Registers and bits of the 82077AA and 82078, named as in their data sheets. Offsets are from port 3F0h. */

export const PORT_BASE = 0x3f0;
/** 3F0h–3F5h: 3F6h belongs to the IDE controller. */
export const PORTS = 6;
/** DIR when read, CCR when written. */
export const PORT_DIR_CCR = 0x3f7;
export const IRQ = 6;

export const SRA = 0;
export const SRB = 1;
export const DOR = 2;
export const TDR = 3;
/** Read: main status. */
export const MSR = 4;
/** Write: data rate select. */
export const DSR = 4;
export const FIFO = 5;

/** DOR: drive select, reset (active low), gate of interrupt and DMA, motors. */
export const DOR_DRIVE = 0x03;
export const DOR_NOT_RESET = 0x04;
export const DOR_DMAGATE = 0x08;

export const TDR_TAPE = 0x03;

export const MSR_RQM = 0x80;
export const MSR_DIO = 0x40;
export const MSR_NON_DMA = 0x20;
export const MSR_CMD_BUSY = 0x10;

export const DSR_RESET = 0x80;
export const DSR_RATE = 0x03;
/** 250 kbit/s, default precompensation. */
export const DSR_DEFAULT = 0x02;

export const DIR_DSKCHG = 0x80;

/** Data rate codes of DSR and CCR. */
export const RATE_500K = 0;
export const RATE_300K = 1;
export const RATE_250K = 2;
export const RATE_1M = 3;

/** ST0: interrupt code, seek end, equipment check, head. */
export const ST0_ABNORMAL = 0x40;
export const ST0_INVALID = 0x80;
export const ST0_POLLING = 0xc0;
export const ST0_SE = 0x20;
export const ST0_EC = 0x10;
export const ST0_H = 0x04;

export const ST1_EN = 0x80;
export const ST1_DE = 0x20;
export const ST1_OR = 0x10;
export const ST1_ND = 0x04;
export const ST1_NW = 0x02;
export const ST1_MA = 0x01;

export const ST2_CM = 0x40;
export const ST2_DD = 0x20;
export const ST2_WC = 0x10;
/** Scan: equal; not satisfied. */
export const ST2_SH = 0x08;
export const ST2_SN = 0x04;

export const ST3_WP = 0x40;
/** Ready and two-sided: always one. */
export const ST3_ALWAYS = 0x28;
export const ST3_T0 = 0x10;

/** First command byte: multi-track, MFM, skip. */
export const COMMAND_MT = 0x80;
export const COMMAND_MFM = 0x40;
export const COMMAND_SK = 0x20;
/** RELATIVE SEEK: towards the spindle. */
export const COMMAND_DIR = 0x40;
/** LOCK. */
export const COMMAND_LOCK = 0x80;
/** Second command byte. */
export const HDS = 0x04;
export const DS = 0x03;
/** VERIFY: the last byte counts sectors. */
export const VERIFY_EC = 0x80;

/** CONFIGURE, second byte. */
export const CONFIG_EIS = 0x40;
/** FIFO off. */
export const CONFIG_EFIFO = 0x20;
/** Polling off. */
export const CONFIG_POLL = 0x10;
export const CONFIG_FIFOTHR = 0x0f;
export const CONFIG_DEFAULT = CONFIG_EFIFO;
/** SPECIFY, second byte. */
export const SPECIFY_ND = 0x01;
/** PERPENDICULAR MODE: overwrite the drive bits. */
export const PERPENDICULAR_OW = 0x80;
export const PERPENDICULAR_DRIVES = 0x3c;
export const PERPENDICULAR_GAP_WGATE = 0x03;
/** DRIVE SPECIFICATION: last byte; no result phase. */
export const DRIVE_SPEC_DONE = 0x80;
export const DRIVE_SPEC_NRP = 0x40;
export const DRIVE_SPEC_UNIT_SHIFT = 5;
export const DRIVE_SPEC_VALUE = 0x1f;
/** LOCK's result, and its bit in DUMPREG. */
export const LOCK_RESULT = 0x10;
export const DUMPREG_LOCK = 0x80;

/** VERSION: enhanced controller. */
export const VERSION_ENHANCED = 0x90;
/** PART ID: 82078, first stepping. */
export const PART_82078 = 0x41;
