/**
 * Registers of the PC's parallel port (IBM Technical Reference, "Printer Adapter"; IEEE 1284-1994 for the direction bit of
 * bidirectional ports). Some signals are inverted between register and plug; names are the plug's.
 */

export const REGISTERS = 4;
export const DATA = 0;
export const STATUS = 1;
export const CONTROL = 2;

/** Low: something is wrong with the printer. */
export const STATUS_ERROR = 0x08;
export const STATUS_SELECT = 0x10;
export const STATUS_PAPER_OUT = 0x20;
/** Low while the printer has just taken a byte. */
export const STATUS_ACK = 0x40;
/** Inverted: 1 when the printer is not busy. */
export const STATUS_NOT_BUSY = 0x80;
/** Nothing drives these bits. */
export const STATUS_UNUSED = 0x07;

/** Inverted: 1 pulls -STROBE low. */
export const CONTROL_STROBE = 0x01;
export const CONTROL_AUTO_FEED = 0x02;
/** Not inverted: 0 resets the printer. */
export const CONTROL_INIT = 0x04;
export const CONTROL_SELECT_IN = 0x08;
export const CONTROL_IRQ_ENABLE = 0x10;
/** The data lines are inputs. */
export const CONTROL_DIRECTION = 0x20;
export const CONTROL_UNUSED = 0xc0;
