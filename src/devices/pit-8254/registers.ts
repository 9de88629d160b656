/** Intel 8254 data sheet (order 231164): ports and control word bits. */

export const PIT_BASE = 0x40;
export const CONTROL_WORD = 3;

/** Control word: bits 7–6 counter (3: read-back), 5–4 access, 3–1 mode, 0 BCD. */
export const SC_SHIFT = 6;
export const SC_READ_BACK = 3;
export const RW_SHIFT = 4;
export const RW_LATCH = 0;
export const RW_LSB = 1;
export const RW_MSB = 2;
export const RW_BOTH = 3;
export const MODE_SHIFT = 1;
export const CW_BCD = 0x01;

/** Read-back command, both active low. */
export const READ_BACK_NO_COUNT = 0x20;
export const READ_BACK_NO_STATUS = 0x10;

export const STATUS_OUT = 0x80;
export const STATUS_NULL_COUNT = 0x40;

export const MODE_TERMINAL_COUNT = 0;
export const MODE_ONE_SHOT = 1;
export const MODE_RATE = 2;
export const MODE_SQUARE_WAVE = 3;
export const MODE_SOFTWARE_STROBE = 4;
export const MODE_HARDWARE_STROBE = 5;

/** The input clock is 105/88 MHz: 105 ticks in 88 000 ns exactly. */
export const TICKS_PER_UNIT = 105;
export const UNIT_NS = 88_000;
