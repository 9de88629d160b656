/**
 * I/O APIC: Intel 82093AA (order 290566), section 3, in the version of the ICH family (ICH9 data sheet 316972, 13.5) that
 * VirtualBox shows: 20h, with an EOI register and eight ID bits.
 */

export const MEMORY_BASE = 0xfec00000;
export const MEMORY_BYTES = 0x1000;

/** Memory offsets. */
export const IOREGSEL = 0x00;
export const IOWIN = 0x10;
export const EOIR = 0x40;

/** Indexes in IOREGSEL. */
export const IOAPICID = 0x00;
export const IOAPICVER = 0x01;
export const IOAPICARB = 0x02;
export const IOREDTBL = 0x10;

export const PIN_COUNT = 24;
/** 24 entries, version 20h. */
export const VERSION_VALUE = 0x00170020;

/** A redirection entry's low half. */
export const ENTRY_VECTOR = 0xff;
export const ENTRY_LOGICAL = 1 << 11;
export const ENTRY_REMOTE_IRR = 1 << 14;
export const ENTRY_LEVEL = 1 << 15;
export const ENTRY_MASKED = 1 << 16;
export const ENTRY_WRITABLE = 0x1afff;

/** Delivery modes that are edges whatever the trigger bit says: SMI, NMI, INIT, ExtINT. */
export const EDGE_ONLY_MODES = (1 << 2) | (1 << 4) | (1 << 5) | (1 << 7);
