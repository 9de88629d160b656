/**
 * Registers of the Am79C970A (PCnet-PCI II, AMD 19436) and Am79C973 (PCnet-FAST III, AMD 21510): ports, CSRs, BCRs and
 * descriptor bits, in the data sheets' names.
 */

export const VENDOR_AMD = 0x1022;
export const DEVICE_PCNET = 0x2000;
export const CLASS_ETHERNET = 0x020000;
export const WINDOW_BYTES = 32;

/** Ports. The address PROM is below; the rest depends on the width of I/O. */
export const APROM_BYTES = 16;
export const RDP = 0x10;
export const WIO_RAP = 0x12;
export const WIO_RESET = 0x14;
export const WIO_BDP = 0x16;
export const DWIO_RAP = 0x14;
export const DWIO_RESET = 0x18;
export const DWIO_BDP = 0x1c;

/** CSR0: controller status. */
export const CSR0_INIT = 0x0001;
export const CSR0_STRT = 0x0002;
export const CSR0_STOP = 0x0004;
export const CSR0_TDMD = 0x0008;
export const CSR0_TXON = 0x0010;
export const CSR0_RXON = 0x0020;
export const CSR0_IENA = 0x0040;
export const CSR0_INTR = 0x0080;
export const CSR0_IDON = 0x0100;
export const CSR0_TINT = 0x0200;
export const CSR0_RINT = 0x0400;
export const CSR0_MERR = 0x0800;
export const CSR0_MISS = 0x1000;
export const CSR0_CERR = 0x2000;
export const CSR0_BABL = 0x4000;
export const CSR0_ERR = 0x8000;
/** Set by the chip, cleared by writing ones. */
export const CSR0_EVENTS = 0x7f00;
export const CSR0_ERRORS = CSR0_BABL | CSR0_CERR | CSR0_MISS | CSR0_MERR;
/** Events that interrupt unless CSR3 masks them with the same bit. */
export const CSR0_MASKABLE = 0x5f00;

export const CSR3_LAPPEN = 0x0020;
export const CSR3_DXSUFLO = 0x0040;
export const CSR3_HELD = 0x5f7c;

export const CSR4_TXSTRT = 0x0008;
export const CSR4_UINT = 0x0040;
export const CSR4_UINTCMD = 0x0080;
export const CSR4_MFCO = 0x0200;
export const CSR4_ASTRP_RCV = 0x0400;
export const CSR4_APAD_XMT = 0x0800;
export const CSR4_DPOLL = 0x1000;
/** Missed frame overflow, collision overflow, transmit start, jabber: each has its mask one bit below. */
export const CSR4_MASKED_EVENTS = 0x022a;
export const CSR4_EVENTS = CSR4_MASKED_EVENTS | CSR4_UINT;
export const CSR4_HELD = 0xfd15;

export const CSR5_SPND = 0x0001;
export const CSR5_LTINTEN = 0x4000;
export const CSR5_TOKINTD = 0x8000;
/** System, sleep, excessive deferral and magic packet interrupts. */
export const CSR5_EVENTS = 0x0a90;
export const CSR5_HELD = 0xc56f;

/** CSR7 exists in the 973 only. */
export const CSR7_MAPINT = 0x0080;
export const CSR7_MCCINT = 0x0020;
export const CSR7_STINT = 0x0800;
export const CSR7_STINTE = 0x0400;
export const CSR7_RDMD = 0x2000;
/** Each has its enable one bit below. */
export const CSR7_EVENTS = 0x0aaa;
export const CSR7_HELD = 0xd555;

/** CSR15: mode. */
export const MODE_DRX = 0x0001;
export const MODE_DTX = 0x0002;
export const MODE_LOOP = 0x0004;
export const MODE_DXMTFCS = 0x0008;
export const MODE_DRCVPA = 0x2000;
export const MODE_DRCVBC = 0x4000;
export const MODE_PROM = 0x8000;

/** Numbers of CSRs that do more than keep a value. */
export const CSR_IADR_LOW = 1;
export const CSR_IADR_HIGH = 2;
export const CSR_LADRF = 8;
export const CSR_PADR = 12;
export const CSR_MODE = 15;
export const CSR_IADR_LOW_ALIAS = 16;
export const CSR_IADR_HIGH_ALIAS = 17;
export const CSR_BADR = 24;
export const CSR_BADX = 30;
export const CSR_CRDA = 28;
export const CSR_CXDA = 34;
export const CSR_SWS = 58;
export const CSR_RCVRC = 72;
export const CSR_XMTRC = 74;
export const CSR_RCVRL = 76;
export const CSR_XMTRL = 78;
export const CSR_CHIP_ID_LOW = 88;
export const CSR_CHIP_ID_HIGH = 89;
export const CSR_MFC = 112;
export const CSR_RCVCC = 114;
export const CSR_COUNT = 128;

/** Numbers of BCRs that do more than keep a value. */
export const BCR_MC = 2;
export const BCR_LED0 = 4;
export const BCR_LED3 = 7;
export const BCR_FDC = 9;
export const BCR_BSBC = 18;
export const BCR_SWS = 20;
export const BCR_STVAL = 31;
export const BCR_MIICAS = 32;
export const BCR_MIIADDR = 33;
export const BCR_MIIMDR = 34;
export const BCR_COUNT = 64;

export const MC_APROMWE = 0x0100;
export const MC_LEDPE = 0x1000;
export const LED_LNKSTE = 0x0040;
export const LED_FDLSE = 0x0100;
export const LED_100E = 0x1000;
export const LED_OUT = 0x8000;
export const FDC_FDEN = 0x0001;
export const BSBC_DWIO = 0x0080;
export const SWS_SSIZE32 = 0x0100;
export const SWS_CSRPCNET = 0x0200;
export const MIICAS_MIILP = 0x0002;
export const MIICAS_APEP = 0x0800;
/** Step of the software timer. */
export const STVAL_STEP_NS = 12_800;

/** Descriptor status, as the upper half of the 32-bit format has it. */
export const OWN = 0x8000;
export const ERR = 0x4000;
export const STP = 0x0200;
export const ENP = 0x0100;
/** Receive. */
export const RMD_CRC = 0x0800;
export const RMD_BUFF = 0x0400;
export const RMD_PAM = 0x0040;
export const RMD_LAFM = 0x0020;
export const RMD_BAM = 0x0010;
/** Transmit. */
export const TMD_ADD_FCS = 0x2000;
export const TMD_LTINT = 0x1000;
/** More than one retry, one retry, deferred: what the chip reports about a frame that went out. */
export const TMD_REPORT = 0x1c00;
/** Transmit errors, upper half of the third word. */
export const TMD_BUFF = 0x8000;
export const TMD_UFLO = 0x4000;
export const TMD_LCAR = 0x0800;
