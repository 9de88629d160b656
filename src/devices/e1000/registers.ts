/**
 * Registers of the Intel 8254x family (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, order
 * 317453): byte offsets in the register window, bits, descriptor fields, in the manual's names.
 */

export const VENDOR_INTEL = 0x8086;
export const CLASS_ETHERNET = 0x020000;
export const MMIO_BYTES = 0x20000;
/** Window of IOADDR and IODATA. */
export const IO_BYTES = 8;

export const CTRL = 0x0000;
export const CTRL_DUP = 0x0004;
export const STATUS = 0x0008;
export const EECD = 0x0010;
export const EERD = 0x0014;
export const CTRL_EXT = 0x0018;
export const MDIC = 0x0020;
export const VET = 0x0038;
export const ICR = 0x00c0;
export const ITR = 0x00c4;
export const ICS = 0x00c8;
export const IMS = 0x00d0;
export const IMC = 0x00d8;
export const RCTL = 0x0100;
export const TCTL = 0x0400;
export const PBA = 0x1000;
export const RDBAL = 0x2800;
export const RDBAH = 0x2804;
export const RDLEN = 0x2808;
export const RDH = 0x2810;
export const RDT = 0x2818;
export const RDTR = 0x2820;
export const RADV = 0x282c;
export const TDBAL = 0x3800;
export const TDBAH = 0x3804;
export const TDLEN = 0x3808;
export const TDH = 0x3810;
export const TDT = 0x3818;
export const TIDV = 0x3820;
export const TADV = 0x382c;
export const RXCSUM = 0x5000;
export const MTA = 0x5200;
export const RA = 0x5400;
export const VFTA = 0x5600;

/** Statistics: cleared by reading. */
export const STATISTICS = 0x4000;
export const STATISTICS_END = 0x4128;
export const MPC = 0x4010;
export const PRC64 = 0x405c;
export const GPRC = 0x4074;
export const BPRC = 0x4078;
export const MPRC = 0x407c;
export const GPTC = 0x4080;
export const GORCL = 0x4088;
export const GOTCL = 0x4090;
export const RNBC = 0x40a0;
export const ROC = 0x40ac;
export const TORL = 0x40c0;
export const TOTL = 0x40c8;
export const TPR = 0x40d0;
export const TPT = 0x40d4;
export const PTC64 = 0x40d8;
export const MPTC = 0x40f0;
export const BPTC = 0x40f4;
export const TSCTC = 0x40f8;

export const CTRL_FD = 0x0000_0001;
export const CTRL_ASDE = 0x0000_0020;
export const CTRL_SLU = 0x0000_0040;
export const CTRL_SPD_1000 = 0x0000_0200;
export const CTRL_SWDPIN2 = 0x0010_0000;
export const CTRL_SWDPIN3 = 0x0020_0000;
export const CTRL_SWDPIO2 = 0x0100_0000;
export const CTRL_RST = 0x0400_0000;
export const CTRL_VME = 0x4000_0000;
export const CTRL_PHY_RST = 0x8000_0000;
/** On the 82543 the transceiver's management bus is at these pins. */
export const CTRL_MDIO = CTRL_SWDPIN2;
export const CTRL_MDC = CTRL_SWDPIN3;
export const CTRL_MDIO_DIR = CTRL_SWDPIO2;

export const STATUS_FD = 0x0001;
export const STATUS_LU = 0x0002;
export const STATUS_SPEED_100 = 0x0040;
export const STATUS_SPEED_1000 = 0x0080;
export const STATUS_MTXCKOK = 0x0400;

export const EECD_SK = 0x0001;
export const EECD_CS = 0x0002;
export const EECD_DI = 0x0004;
export const EECD_DO = 0x0008;
export const EECD_REQ = 0x0040;
export const EECD_GNT = 0x0080;
export const EECD_PRES = 0x0100;
export const EECD_HELD = 0x0077;

export const EERD_START = 0x0001;
export const EERD_DONE = 0x0010;

export const CTRL_EXT_EE_RST = 0x2000;

export const MDIC_OP_WRITE = 1;
export const MDIC_OP_READ = 2;
export const MDIC_READY = 0x1000_0000;
export const MDIC_INT_EN = 0x2000_0000;
export const MDIC_ERROR = 0x4000_0000;

export const ICR_TXDW = 0x0001;
export const ICR_TXQE = 0x0002;
export const ICR_LSC = 0x0004;
export const ICR_RXDMT0 = 0x0010;
export const ICR_RXO = 0x0040;
export const ICR_RXT0 = 0x0080;
export const ICR_MDAC = 0x0200;

export const RCTL_EN = 0x0000_0002;
export const RCTL_UPE = 0x0000_0008;
export const RCTL_MPE = 0x0000_0010;
export const RCTL_LBM = 0x0000_00c0;
export const RCTL_BAM = 0x0000_8000;
export const RCTL_VFE = 0x0004_0000;
export const RCTL_BSEX = 0x0200_0000;
export const RCTL_SECRC = 0x0400_0000;

export const TCTL_EN = 0x0002;
export const TCTL_PSP = 0x0008;

export const RXCSUM_IPOFL = 0x0100;
export const RXCSUM_TUOFL = 0x0200;

export const RAH_AV = 0x8000_0000;
/** RDTR: write the interrupt out now. */
export const RDTR_FPD = 0x8000_0000;

export const RXD_STAT_DD = 0x01;
export const RXD_STAT_EOP = 0x02;
export const RXD_STAT_IXSM = 0x04;
export const RXD_STAT_VP = 0x08;
export const RXD_STAT_TCPCS = 0x20;
export const RXD_STAT_IPCS = 0x40;
export const RXD_STAT_PIF = 0x80;
export const RXD_ERR_TCPE = 0x20;
export const RXD_ERR_IPE = 0x40;

/** Third word of a transmit descriptor. */
export const TXD_DTYP_DATA = 0x0010_0000;
export const TXD_CMD_EOP = 0x0100_0000;
export const TXD_CMD_IFCS = 0x0200_0000;
/** Legacy: insert a checksum. */
export const TXD_CMD_IC = 0x0400_0000;
/** Data and context: segment. */
export const TXD_CMD_TSE = 0x0400_0000;
export const TXD_CMD_RS = 0x0800_0000;
export const TXD_CMD_DEXT = 0x2000_0000;
export const TXD_CMD_VLE = 0x4000_0000;
export const TXD_CMD_IDE = 0x8000_0000;
/** Context. */
export const TUCMD_TCP = 0x0100_0000;
export const TUCMD_IP = 0x0200_0000;
/** Fourth word. */
export const TXD_STAT_DD = 0x01;
export const POPTS_IXSM = 0x0100;
export const POPTS_TXSM = 0x0200;

/** Registers that keep what is written and do nothing here, with the bits that they keep. */
export const plainRegisters: readonly (readonly [offset: number, mask: number])[] = [
  [CTRL_EXT, 0xffff_dfff],
  [0x001c, 0xffff_ffff],
  [0x0024, 0xffff_ffff],
  [0x0028, 0xffff_ffff],
  [0x002c, 0x0000_ffff],
  [0x0030, 0x0000_ffff],
  [VET, 0x0000_ffff],
  [0x0170, 0x0000_ffff],
  [0x0178, 0xffff_ffff],
  [0x0404, 0xffff_ffff],
  [0x0410, 0x3fff_ffff],
  [0x0458, 0x0000_ffff],
  [0x0e00, 0xffff_ffff],
  [PBA, 0x0000_ffff],
  [0x2160, 0x8000_fff8],
  [0x2168, 0x0000_fff8],
  [RADV, 0x0000_ffff],
  [0x2828, 0xffff_ffff],
  [0x2c00, 0xffff_ffff],
  [0x3000, 0xffff_ffff],
  [TIDV, 0x0000_ffff],
  [0x3828, 0xffff_ffff],
  [TADV, 0x0000_ffff],
  [0x3830, 0xffff_ffff],
  [RXCSUM, 0x0000_07ff],
  [0x5800, 0x0000_000f],
  [0x5808, 0x000f_ffff],
  [0x5820, 0xffff_ffff],
  [0x5838, 0x0001_000f],
  [RDBAL, 0xffff_fff0],
  [RDBAH, 0xffff_ffff],
  [RDLEN, 0x000f_ff80],
  [TDBAL, 0xffff_fff0],
  [TDBAH, 0xffff_ffff],
  [TDLEN, 0x000f_ff80],
];
/** Arrays of plain 32-bit registers: start, end. */
export const plainArrays: readonly (readonly [start: number, end: number])[] = [
  [MTA, MTA + 0x200],
  [RA, RA + 0x80],
  [VFTA, VFTA + 0x200],
  [0x5840, 0x5860],
  [0x5880, 0x5890],
  [0x5f00, 0x5f20],
];
/** Everything that is kept is below. */
export const REGISTERS_BYTES = 0x6000;
