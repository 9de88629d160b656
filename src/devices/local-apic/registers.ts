/**
 * Local APIC register map: Intel SDM volume 3, chapter 10 ("Advanced Programmable Interrupt Controller"), table 10-1. Offsets
 * within the 4 KiB page; each register is 32 bits wide on a 16-byte border. The version is the one that VirtualBox shows.
 */

export const PAGE_BYTES = 0x1000;

export const ID = 0x020;
export const VERSION = 0x030;
export const TPR = 0x080;
export const APR = 0x090;
export const PPR = 0x0a0;
export const EOI = 0x0b0;
export const RRD = 0x0c0;
export const LDR = 0x0d0;
export const DFR = 0x0e0;
export const SVR = 0x0f0;
/** In service, trigger mode, requested: eight registers of 32 vectors each. */
export const ISR = 0x100;
export const TMR = 0x180;
export const IRR = 0x200;
export const VECTORS_END = 0x280;
export const ESR = 0x280;
export const ICR_LOW = 0x300;
export const ICR_HIGH = 0x310;
export const LVT_TIMER = 0x320;
export const LVT_THERMAL = 0x330;
export const LVT_PERFORMANCE = 0x340;
export const LVT_LINT0 = 0x350;
export const LVT_LINT1 = 0x360;
export const LVT_ERROR = 0x370;
export const TIMER_INITIAL = 0x380;
export const TIMER_CURRENT = 0x390;
export const TIMER_DIVIDE = 0x3e0;
/** x2APIC mode only. */
export const SELF_IPI = 0x3f0;

/** Version 14h with six LVT entries. */
export const VERSION_VALUE = 0x00050014;
export const LVT_COUNT = 6;

export const SVR_ENABLE = 1 << 8;
export const SVR_WRITABLE = 0x3ff;
export const SVR_RESET = 0xff;
export const DFR_FLAT = 0xffffffff;
export const DFR_FIXED = 0x0fffffff;

export const LVT_VECTOR = 0xff;
export const LVT_MODE = 0x700;
export const LVT_REMOTE_IRR = 1 << 14;
export const LVT_LEVEL = 1 << 15;
export const LVT_MASKED = 1 << 16;
export const LVT_PERIODIC = 1 << 17;
/** What a guest may write into each entry, by its place from LVT_TIMER on. */
export const LVT_WRITABLE = [0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff] as const;

/** Delivery modes, as in bits 8–10 of ICR, LVT and I/O APIC entries. */
export const delivery = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startUp: 6,
  extInt: 7,
} as const;

export const ICR_LOGICAL = 1 << 11;
export const ICR_ASSERT = 1 << 14;
export const ICR_LEVEL = 1 << 15;
export const ICR_WRITABLE = 0x000ccfff;
export const SHORTHAND_SELF = 1;
export const SHORTHAND_ALL = 2;
export const SHORTHAND_OTHERS = 3;

export const ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
export const ESR_RECEIVED_ILLEGAL_VECTOR = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;

/** Vectors below are exceptions: never delivered. */
export const FIRST_VECTOR = 16;

/** IA32_APIC_BASE. */
export const BASE_BOOT_PROCESSOR = 1 << 8;
export const BASE_X2APIC = 1 << 10;
export const BASE_ENABLE = 1 << 11;
export const BASE_ADDRESS = 0xfffff000;
export const BASE_RESET = 0xfee00900;
/** Physical addresses have 36 bits. */
export const BASE_HIGH_ADDRESS = 0x0f;

/** x2APIC registers are MSRs from here, one for each 16 bytes of the page. */
export const X2_FIRST_MSR = 0x800;
export const X2_LAST_MSR = 0x83f;
