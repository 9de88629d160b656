/** OpenHCI 1.0a: operational registers (chapter 7), HCCA (4.4), endpoint and transfer descriptors (4.2, 4.3). */

export const HC_REVISION = 0x00;
export const HC_CONTROL = 0x04;
export const HC_COMMAND_STATUS = 0x08;
export const HC_INTERRUPT_STATUS = 0x0c;
export const HC_INTERRUPT_ENABLE = 0x10;
export const HC_INTERRUPT_DISABLE = 0x14;
export const HC_HCCA = 0x18;
export const HC_PERIOD_CURRENT_ED = 0x1c;
export const HC_CONTROL_HEAD_ED = 0x20;
export const HC_CONTROL_CURRENT_ED = 0x24;
export const HC_BULK_HEAD_ED = 0x28;
export const HC_BULK_CURRENT_ED = 0x2c;
export const HC_DONE_HEAD = 0x30;
export const HC_FM_INTERVAL = 0x34;
export const HC_FM_REMAINING = 0x38;
export const HC_FM_NUMBER = 0x3c;
export const HC_PERIODIC_START = 0x40;
export const HC_LS_THRESHOLD = 0x44;
export const HC_RH_DESCRIPTOR_A = 0x48;
export const HC_RH_DESCRIPTOR_B = 0x4c;
export const HC_RH_STATUS = 0x50;
export const HC_RH_PORT_STATUS = 0x54;

export const REVISION = 0x10;

/** HcControl. */
export const CONTROL_PLE = 1 << 2;
export const CONTROL_CLE = 1 << 4;
export const CONTROL_BLE = 1 << 5;
export const CONTROL_HCFS = 3 << 6;
export const HCFS_RESET = 0 << 6;
export const HCFS_RESUME = 1 << 6;
export const HCFS_OPERATIONAL = 2 << 6;
export const HCFS_SUSPEND = 3 << 6;
export const CONTROL_RWC = 1 << 9;
export const CONTROL_WRITABLE = 0x7ff;

/** HcCommandStatus. */
export const COMMAND_HCR = 1 << 0;
export const COMMAND_CLF = 1 << 1;
export const COMMAND_BLF = 1 << 2;

/** HcInterruptStatus and -Enable. */
export const INTERRUPT_SO = 1 << 0;
export const INTERRUPT_WDH = 1 << 1;
export const INTERRUPT_SF = 1 << 2;
export const INTERRUPT_RD = 1 << 3;
export const INTERRUPT_UE = 1 << 4;
export const INTERRUPT_FNO = 1 << 5;
export const INTERRUPT_RHSC = 1 << 6;
export const INTERRUPT_OC = 1 << 30;
export const INTERRUPT_MIE = 0x8000_0000 | 0;
export const INTERRUPT_ALL = 0x4000_007f;

export const FM_INTERVAL_DEFAULT = 0x2edf;
export const LS_THRESHOLD_DEFAULT = 0x628;

/** HcRhDescriptorA: ports always have power, no over-current protection. */
export const RHA_NPS = 1 << 9;
export const RHA_NOCP = 1 << 12;

/** HcRhPortStatus as read. */
export const PORT_CCS = 1 << 0;
export const PORT_PES = 1 << 1;
export const PORT_PSS = 1 << 2;
export const PORT_PRS = 1 << 4;
export const PORT_PPS = 1 << 8;
export const PORT_LSDA = 1 << 9;
export const PORT_CSC = 1 << 16;
export const PORT_PESC = 1 << 17;
export const PORT_PSSC = 1 << 18;
export const PORT_PRSC = 1 << 20;
export const PORT_CHANGES = 0x1f << 16;
/** HcRhPortStatus as written, where the meaning differs. */
export const PORT_CLEAR_ENABLE = 1 << 0;
export const PORT_SET_ENABLE = 1 << 1;
export const PORT_SET_SUSPEND = 1 << 2;
export const PORT_CLEAR_SUSPEND = 1 << 3;
export const PORT_SET_RESET = 1 << 4;

/** HCCA. */
export const HCCA_FRAME_NUMBER = 0x80;
export const HCCA_DONE_HEAD = 0x84;

/** Endpoint descriptor. */
export const ED_SKIP = 1 << 14;
export const ED_ISOCHRONOUS = 1 << 15;
export const ED_HALTED = 1;
export const ED_TOGGLE = 2;

/** Transfer descriptor. */
export const TD_ROUNDING = 1 << 18;
export const CC_NO_ERROR = 0;
export const CC_STALL = 4;
export const CC_NOT_RESPONDING = 5;
export const CC_DATA_OVERRUN = 8;
export const CC_DATA_UNDERRUN = 9;
