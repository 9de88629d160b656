/** Ports of the PC platform outside of the big parts: 82371SB (PIIX3, order 290550) sections 2.3 and 2.5.5–2.5.8. */

/** NMI status and control ("port B"). */
export const NMISC = 0x61;
export const NMISC_TIMER2_GATE = 0x01;
export const NMISC_SPEAKER_DATA = 0x02;
export const NMISC_WRITABLE = 0x0f;
export const NMISC_REFRESH = 0x10;
export const NMISC_TIMER2_OUT = 0x20;

export const POST_CODE = 0x80;

/** Port 92h, "system control port A". */
export const PORT92 = 0x92;
export const PORT92_FAST_INIT = 0x01;
export const PORT92_FAST_A20 = 0x02;

/** Advanced power management control and status. */
export const APMC = 0xb2;

/** Coprocessor error: F0h clears busy, F1h resets. */
export const COPROCESSOR = 0xf0;

/** Reset control register. */
export const RC = 0xcf9;
export const RC_SYSTEM = 0x02;
export const RC_CPU = 0x04;

/** Memory refresh toggles bit 4 of port 61h once every 15 µs (18 ticks of the timer's clock). */
export const REFRESH_NS = 15_086;
