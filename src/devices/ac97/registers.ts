/** Registers of the ICH's AC'97 controller (82801AA, order 290655, chapter 13) and of the codec (AC'97 2.1, STAC9700). */

// Bus master, native audio (NABMBAR): three engines of 16 bytes, then global registers.
export const ENGINE_BYTES = 0x10;
export const BDBAR = 0x0;
export const CIV = 0x4;
export const LVI = 0x5;
export const SR = 0x6;
export const PICB = 0x8;
export const PIV = 0xa;
export const CR = 0xb;
export const GLOB_CNT = 0x2c;
export const GLOB_STA = 0x30;
export const CAS = 0x34;
export const BUS_MASTER_BYTES = 0x40;

export const SR_DCH = 0x01;
export const SR_CELV = 0x02;
export const SR_LVBCI = 0x04;
export const SR_BCIS = 0x08;
export const SR_FIFOE = 0x10;
export const SR_WRITE_CLEARS = SR_LVBCI | SR_BCIS | SR_FIFOE;

export const CR_RPBM = 0x01;
export const CR_RR = 0x02;
export const CR_LVBIE = 0x04;
export const CR_FEIE = 0x08;
export const CR_IOCE = 0x10;
export const CR_MASK = 0x1f;

export const GLOB_CNT_COLD = 0x02;
export const GLOB_CNT_WARM = 0x04;
export const GLOB_CNT_MASK = 0x3f;
export const GLOB_STA_PCR = 0x100;
export const GLOB_STA_RCS = 0x8000;

/** A buffer descriptor: address, then control. */
export const BD_BYTES = 8;
export const BD_COUNT = 32;
export const BD_IOC = 0x8000_0000;

// Mixer (NAMBAR).
export const MIXER_BYTES = 0x100;
/** The secondary codec's half, where nobody answers. */
export const SECONDARY = 0x80;
export const RESET = 0x00;
export const MASTER_VOLUME = 0x02;
export const PCM_OUT_VOLUME = 0x18;
export const POWERDOWN = 0x26;
export const EXTENDED_ID = 0x28;
export const EXTENDED_STATUS = 0x2a;
export const PCM_FRONT_RATE = 0x2c;
export const PCM_ADC_RATE = 0x32;
export const MIC_ADC_RATE = 0x34;
export const VENDOR_ID1 = 0x7c;
export const VENDOR_ID2 = 0x7e;

export const MUTE = 0x8000;
export const EXT_VRA = 0x0001;
export const EXT_VRM = 0x0008;
export const DEFAULT_RATE_HZ = 48_000;
export const MIN_RATE_HZ = 4_000;
/** Converters and references are ready. */
export const POWERDOWN_READY = 0x000f;

/** Which engine is which, in the order of their registers. */
export const PCM_IN = 0;
export const PCM_OUT = 1;
export const MIC_IN = 2;
