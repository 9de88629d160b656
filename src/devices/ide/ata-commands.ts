/**
 * Command codes of the ATA command register (ATA/ATAPI-6 chapter 8; the "once" forms and RECALIBRATE are ATA-1) and
 * subcommands of SET FEATURES.
 */
export const NOP = 0x00;
export const DEVICE_RESET = 0x08;
export const READ_SECTORS = 0x20;
export const READ_SECTORS_ONCE = 0x21;
export const READ_SECTORS_EXT = 0x24;
export const READ_DMA_EXT = 0x25;
export const READ_NATIVE_MAX_ADDRESS_EXT = 0x27;
export const READ_MULTIPLE_EXT = 0x29;
export const WRITE_SECTORS = 0x30;
export const WRITE_SECTORS_ONCE = 0x31;
export const WRITE_SECTORS_EXT = 0x34;
export const WRITE_DMA_EXT = 0x35;
export const WRITE_MULTIPLE_EXT = 0x39;
export const READ_VERIFY = 0x40;
export const READ_VERIFY_ONCE = 0x41;
export const READ_VERIFY_EXT = 0x42;
export const SEEK = 0x70;
export const EXECUTE_DEVICE_DIAGNOSTIC = 0x90;
export const INITIALIZE_DEVICE_PARAMETERS = 0x91;
export const PACKET = 0xa0;
export const IDENTIFY_PACKET_DEVICE = 0xa1;
export const READ_MULTIPLE = 0xc4;
export const WRITE_MULTIPLE = 0xc5;
export const SET_MULTIPLE_MODE = 0xc6;
export const READ_DMA = 0xc8;
export const READ_DMA_ONCE = 0xc9;
export const WRITE_DMA = 0xca;
export const WRITE_DMA_ONCE = 0xcb;
export const GET_MEDIA_STATUS = 0xda;
export const MEDIA_LOCK = 0xde;
export const MEDIA_UNLOCK = 0xdf;
export const STANDBY_IMMEDIATE = 0xe0;
export const IDLE_IMMEDIATE = 0xe1;
export const STANDBY = 0xe2;
export const IDLE = 0xe3;
export const CHECK_POWER_MODE = 0xe5;
export const SLEEP = 0xe6;
export const FLUSH_CACHE = 0xe7;
export const FLUSH_CACHE_EXT = 0xea;
export const IDENTIFY_DEVICE = 0xec;
export const SET_FEATURES = 0xef;
export const READ_NATIVE_MAX_ADDRESS = 0xf8;

/** SET FEATURES subcommands. */
export const ENABLE_WRITE_CACHE = 0x02;
export const SET_TRANSFER_MODE = 0x03;
export const DISABLE_MEDIA_STATUS = 0x31;
export const DISABLE_LOOK_AHEAD = 0x55;
export const DISABLE_REVERT = 0x66;
export const DISABLE_WRITE_CACHE = 0x82;
export const ENABLE_MEDIA_STATUS = 0x95;
export const ENABLE_LOOK_AHEAD = 0xaa;
export const ENABLE_REVERT = 0xcc;

/** The commands whose address and count are taken from two writes of each register. */
export function is48Bit(code: number): boolean {
  switch (code) {
    case READ_SECTORS_EXT:
    case READ_DMA_EXT:
    case READ_NATIVE_MAX_ADDRESS_EXT:
    case READ_MULTIPLE_EXT:
    case WRITE_SECTORS_EXT:
    case WRITE_DMA_EXT:
    case WRITE_MULTIPLE_EXT:
    case READ_VERIFY_EXT:
      return true;
    default:
      return false;
  }
}

/** RECALIBRATE carries a step rate in its low four bits. */
export function isRecalibrate(code: number): boolean {
  return (code & 0xf0) === 0x10;
}

/** A count register for SET TRANSFER MODE that names a mode: PIO default, PIO 0–4, multiword DMA 0–2, Ultra DMA 0–6. */
export function isTransferMode(count: number): boolean {
  const mode = count & 7;
  if (count < 0x02) return true;
  if (count >= 0x08 && count <= 0x0c) return true;
  return ((count & 0xf8) === 0x20 && mode <= 2) || ((count & 0xf8) === 0x40 && mode <= 6);
}
