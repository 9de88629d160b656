/**
 * IA-PC HPET specification 1.0a, section 2.3. Offsets in the block; each register is 64 bits wide. Three timers and a clock of
 * 100 MHz, as VirtualBox's HPET has on a PIIX3 board; timer capabilities as in ICH9 (316972, 20.1).
 */

export const MEMORY_BASE = 0xfed00000;
export const MEMORY_BYTES = 0x1000;

export const CAPABILITIES = 0x000;
export const CONFIGURATION = 0x010;
export const STATUS = 0x020;
export const COUNTER = 0x0f0;
/** Timer n: configuration, comparator, FSB route, 20h bytes apart. */
export const TIMERS = 0x100;
export const TIMER_BYTES = 0x20;
export const TN_CONFIGURATION = 0x00;
export const TN_COMPARATOR = 0x08;

export const TIMER_COUNT = 3;
/** Vendor 8086h, legacy replacement, 64-bit counter, three timers, revision 1. */
export const CAPABILITIES_LOW = 0x8086a201;
/** Femtoseconds per tick. */
export const PERIOD_FS = 10_000_000;
export const NS_PER_TICK = PERIOD_FS / 1_000_000;

export const ENABLE_CNF = 1 << 0;
export const LEG_RT_CNF = 1 << 1;

export const INT_TYPE_LEVEL = 1 << 1;
export const INT_ENB = 1 << 2;
export const TYPE_PERIODIC = 1 << 3;
export const PER_INT_CAP = 1 << 4;
export const SIZE_CAP = 1 << 5;
export const VAL_SET = 1 << 6;
export const MODE_32 = 1 << 8;
export const INT_ROUTE_SHIFT = 9;
export const INT_ROUTE = 0x1f << INT_ROUTE_SHIFT;
/** I/O APIC inputs 20–23. */
export const ROUTES = 0x00f00000;
