/**
 * Intel 82371AB (PIIX4) function 3 (order 290562) and the ACPI specification's fixed hardware (chapter 4.7), with the block
 * layout that VirtualBox's tables describe: events at +00h, control at +04h, timer at +08h, general events at +20h, reset
 * register at +50h. Offsets from the base in PMBA.
 */

export const VENDOR_INTEL = 0x8086;
export const DEVICE_PIIX4_PM = 0x7113;
export const REVISION = 0x08;
export const CLASS_OTHER_BRIDGE = 0x068000;
export const PCI_SLOT = 7;

export const PCISTS = 0x06;
export const INTERRUPT_LINE = 0x3c;
export const PMBA = 0x40;
export const PMBA_MASK = 0xffc0;
/** Device activity B: bit 25 tells firmware that SMIs from the APM port are already set up. */
export const DEVACTB = 0x58;
export const DEVACTB_APMC_EN = 0x02000000;
export const PMREGMISC = 0x80;
export const PMREGMISC_PMIOSE = 0x01;
export const SMBBA = 0x90;
export const SMBBA_MASK = 0xfff0;
export const SMBHSTCFG = 0xd2;
export const SMBHSTCFG_EN = 0x01;
export const SMBREV = 0xd6;

export const PM_BLOCK_BYTES = 0x60;
export const PM1_STS = 0x00;
export const PM1_EN = 0x02;
export const PM1_CNT = 0x04;
export const PM_TMR = 0x08;
export const GPE0_STS = 0x20;
export const GPE0_EN = 0x21;
export const RESET_REGISTER = 0x50;
export const RESET_VALUE = 0x10;

export const TMR_STS = 0x0001;
export const PWRBTN_STS = 0x0100;
export const SLPBTN_STS = 0x0200;
export const WAK_STS = 0x8000;
/** Status bits that exist: timer, bus master, global, power and sleep button, RTC, wake. */
export const PM1_STS_MASK = 0x8731;
export const PM1_EN_MASK = 0x0721;

export const SCI_EN = 0x0001;
export const SLP_TYP_SHIFT = 10;
export const SLP_TYP_MASK = 0x7;
export const SLP_EN = 0x2000;
/** SCI_EN, BM_RLD and SLP_TYP stay; GBL_RLS and SLP_EN are write-only. */
export const PM1_CNT_HELD = 0x1c03;
/** The sleep type that `_S5` names. */
export const SLP_TYP_SOFT_OFF = 5;

export const SMI_CMD = 0x442e;
export const ACPI_ENABLE = 0xa1;
export const ACPI_DISABLE = 0xa0;

export const SCI_IRQ = 9;

/** The timer runs at 315/88 MHz: 315 ticks in 88 000 ns exactly. */
export const TICKS_PER_UNIT = 315;
export const UNIT_NS = 88_000;
