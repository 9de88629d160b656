/** Ports, commands and mixer registers of the Sound Blaster 16 (Creative, Sound Blaster Series Hardware Programming Guide). */

export const PORT_BASE = 0x220;
export const PORTS = 0x10;

// Ports, relative to the base.
export const MIXER_INDEX = 0x4;
export const MIXER_DATA = 0x5;
export const DSP_RESET = 0x6;
export const DSP_READ = 0xa;
export const DSP_WRITE = 0xc;
export const DSP_READ_STATUS = 0xe;
export const DSP_ACK_16 = 0xf;

export const DSP_READY = 0xaa;
export const STATUS_BIT = 0x80;
export const VERSION = [4, 5] as const;

// Mixer registers.
export const MIX_RESET = 0x00;
export const MIX_STEREO = 0x0e;
export const MIX_MASTER_LEFT = 0x30;
export const MIX_VOICE_LEFT = 0x32;
export const MIX_OUTPUT_GAIN_LEFT = 0x41;
export const MIX_IRQ = 0x80;
export const MIX_DMA = 0x81;
export const MIX_IRQ_STATUS = 0x82;

export const IRQ_STATUS_8 = 0x01;
export const IRQ_STATUS_16 = 0x02;
/** Upper bits of the status register: a DSP 4.05. */
export const IRQ_STATUS_CHIP = 0x40;

/** By bit of the interrupt and DMA registers. */
export const IRQS = [9, 5, 7, 10] as const;
export const DMAS = [0, 1, -1, 3, -1, 5, 6, 7] as const;
export const DEFAULT_IRQ = 0x02;
export const DEFAULT_DMA = 0x22;

export const MIN_RATE_HZ = 4000;
export const MAX_RATE_HZ = 45_454;
