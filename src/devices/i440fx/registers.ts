/** Intel 440FX PCIset, 82441FX PMC data sheet (order 290549), section 3.2: configuration registers of function 0. */

export const VENDOR_INTEL = 0x8086;
export const DEVICE_82441FX = 0x1237;
export const REVISION = 0x02;
export const CLASS_HOST_BRIDGE = 0x060000;

export const PCICMD = 0x04;
export const PMCCFG = 0x50;
export const DETURBO = 0x52;
export const DBC = 0x53;
export const AXC = 0x54;
export const DRT = 0x55;
export const DRAMC = 0x57;
export const DRAMT = 0x58;
/** Seven Programmable Attribute Map registers. */
export const PAM0 = 0x59;
export const PAM_COUNT = 7;
/** Eight DRAM Row Boundary registers, cumulative in units of 8 MiB. */
export const DRB0 = 0x60;
export const DRB_COUNT = 8;
export const DRB_UNIT_BYTES = 8 * 1024 * 1024;
/** The chip addresses 1 GiB at most. */
export const DRB_MAX = 0x80;
export const FDHC = 0x68;
export const MTT = 0x70;
export const CLT = 0x71;
export const SMRAM = 0x72;
export const ERRCMD = 0x90;
export const ERRSTS = 0x91;

/** PAM fields: RE and WE of the low and of the high region. PAM0's low field is reserved. */
export const PAM_READ = 0x1;
export const PAM_WRITE = 0x2;
export const PAM_WRITABLE = [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33] as const;
