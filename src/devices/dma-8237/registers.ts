/** Intel 8237A data sheet (order 231466) and the PC/AT's page registers (IBM Technical Reference). */

export const CONTROLLER1_BASE = 0x00;
export const CONTROLLER2_BASE = 0xc0;
/** The second controller's registers lie two ports apart. */
export const CONTROLLER2_SHIFT = 1;
/** Page registers 81h–8Fh; 80h belongs to the POST code port. */
export const PAGE_BASE = 0x81;
export const PAGE_PORTS = 15;
/** Page register port of each channel. */
export const PAGE_PORT = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a] as const;

/** Registers 0–7: address and count of channels 0–3, low and high byte in turn. */
export const STATUS_COMMAND = 8;
export const REQUEST = 9;
export const SINGLE_MASK = 10;
export const MODE = 11;
export const CLEAR_FLIP_FLOP = 12;
export const TEMPORARY_MASTER_CLEAR = 13;
export const CLEAR_MASK = 14;
export const ALL_MASK = 15;

export const COMMAND_DISABLED = 0x04;

export const SELECT = 0x03;
/** Set or reset, in the request and single mask registers. */
export const SET_BIT = 0x04;

export const MODE_TYPE = 0x0c;
export const MODE_VERIFY = 0x00;
/** Device to memory. */
export const MODE_WRITE = 0x04;
/** Memory to device. */
export const MODE_READ = 0x08;
export const MODE_AUTOINIT = 0x10;
export const MODE_DECREMENT = 0x20;
export const MODE_CASCADE = 0xc0;
