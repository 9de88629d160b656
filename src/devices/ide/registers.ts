/**
 * Register offsets and bits of the IDE channel (ATA/ATAPI-6 chapter 7) and of the bus master (Programming Interface for
 * Bus Master IDE Controller 1.0), with the PCI functions that carry them (82371SB PIIX3, 82371AB PIIX4, ESB2/ICH6).
 */

/** Command block, offsets from 1F0h/170h. */
export const DATA = 0;
/** Reads ERROR, writes FEATURES. */
export const ERROR = 1;
/** Sector count; interrupt reason of packet commands. */
export const COUNT = 2;
export const LBA_LOW = 3;
/** Byte count low of packet commands. */
export const LBA_MID = 4;
export const LBA_HIGH = 5;
export const DEVICE = 6;
/** Reads STATUS, writes COMMAND. */
export const STATUS = 7;

/** STATUS bits. */
export const BSY = 0x80;
export const DRDY = 0x40;
export const DF = 0x20;
export const DSC = 0x10;
export const DRQ = 0x08;
export const ERR = 0x01;

/** ERROR bits. */
export const UNC = 0x40;
export const IDNF = 0x10;
export const ABRT = 0x04;
/** No medium, in the answer to GET MEDIA STATUS. */
export const NM = 0x02;
/** Diagnostic code "passed", in ERROR after a reset. */
export const DIAGNOSTIC_PASSED = 0x01;

/** DEVICE bits. */
export const LBA_MODE = 0x40;
export const DEV = 0x10;

/** Device control bits (write of 3F6h/376h). */
export const HOB = 0x80;
export const SRST = 0x04;
export const NIEN = 0x02;

/** Interrupt reason bits in COUNT during a packet command. */
export const IR_COMMAND = 0x01;
export const IR_TO_HOST = 0x02;

/** FEATURES bits of the PACKET command. */
export const PACKET_DMA = 0x01;
export const PACKET_OVERLAP = 0x02;

/** Bus master registers of one channel; the secondary channel's start 8 higher. */
export const BMIC = 0;
export const BMIS = 2;
export const BMIDTP = 4;
export const BM_CHANNEL_BYTES = 8;

/** BMIC bits. */
export const BMIC_START = 0x01;
/** Set: the bus master writes memory (a read of the drive). */
export const BMIC_TO_MEMORY = 0x08;

/** BMIS bits. */
export const BMIS_ACTIVE = 0x01;
export const BMIS_ERROR = 0x02;
export const BMIS_INTERRUPT = 0x04;
export const BMIS_DRIVE0_DMA = 0x20;
export const BMIS_DRIVE1_DMA = 0x40;

/** PCI configuration registers. */
export const IDETIM_PRIMARY = 0x40;
export const IDETIM_SECONDARY = 0x42;
export const SIDETIM = 0x44;
export const UDMACTL = 0x48;
export const UDMATIM = 0x4a;
/** ICH only: base clocks and cable report. */
export const IDE_CONFIG = 0x54;
export const IDETIM_DECODE_ENABLE = 0x8000;
/** ICH: 80-conductor cable on both channels. */
export const IDE_CONFIG_CABLES_80 = 0x00f0;

/** Signature of a packet device in LBA_MID and LBA_HIGH. */
export const PACKET_SIGNATURE_MID = 0x14;
export const PACKET_SIGNATURE_HIGH = 0xeb;
