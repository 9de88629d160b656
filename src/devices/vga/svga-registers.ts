/** Numbers of VMware's SVGA II adapter, as its developer kit and Linux's drivers/gpu/drm/vmwgfx (svga_reg.h) name them. */

// Ports, relative to BAR 0.
export const PORTS = 16;
export const INDEX_PORT = 0;
export const VALUE_PORT = 1;
export const IRQ_STATUS_PORT = 8;

export const ID_0 = 0x9000_0000;
export const ID_2 = 0x9000_0002;

export const REG_ID = 0;
export const REG_ENABLE = 1;
export const REG_WIDTH = 2;
export const REG_HEIGHT = 3;
export const REG_MAX_WIDTH = 4;
export const REG_MAX_HEIGHT = 5;
export const REG_DEPTH = 6;
export const REG_BITS_PER_PIXEL = 7;
export const REG_PSEUDOCOLOR = 8;
export const REG_RED_MASK = 9;
export const REG_GREEN_MASK = 10;
export const REG_BLUE_MASK = 11;
export const REG_BYTES_PER_LINE = 12;
export const REG_FB_START = 13;
export const REG_FB_OFFSET = 14;
export const REG_VRAM_SIZE = 15;
export const REG_FB_SIZE = 16;
export const REG_CAPABILITIES = 17;
export const REG_MEM_START = 18;
export const REG_MEM_SIZE = 19;
export const REG_CONFIG_DONE = 20;
export const REG_SYNC = 21;
export const REG_BUSY = 22;
export const REG_GUEST_ID = 23;
export const REG_CURSOR_ON = 27;
export const REG_HOST_BITS_PER_PIXEL = 28;
export const REG_SCRATCH_SIZE = 29;
export const REG_MEM_REGS = 30;
export const REG_NUM_DISPLAYS = 31;
export const REG_PITCHLOCK = 32;
export const REG_IRQMASK = 33;

export const ENABLE_ENABLE = 1;
export const ENABLE_HIDE = 2;

export const CAP_RECT_COPY = 0x0000_0002;
export const CAP_CURSOR = 0x0000_0020;
export const CAP_CURSOR_BYPASS = 0x0000_0040;
export const CAP_CURSOR_BYPASS_2 = 0x0000_0080;
export const CAP_ALPHA_CURSOR = 0x0000_0200;
export const CAP_EXTENDED_FIFO = 0x0000_8000;
export const CAP_PITCHLOCK = 0x0002_0000;
export const CAP_IRQMASK = 0x0004_0000;

/** Words at the beginning of the FIFO's memory. */
export const FIFO_MIN = 0;
export const FIFO_MAX = 1;
export const FIFO_NEXT_CMD = 2;
export const FIFO_STOP = 3;
export const FIFO_CAPABILITIES = 4;
export const FIFO_FENCE = 6;
export const FIFO_CURSOR_ON = 9;
export const FIFO_FENCE_GOAL = 289;
export const FIFO_BUSY = 290;
export const FIFO_REGS = 291;

export const FIFO_CAP_FENCE = 0x01;
export const FIFO_CAP_CURSOR_BYPASS_3 = 0x10;
export const FIFO_CAP_ESCAPE = 0x20;
export const FIFO_CAP_RESERVE = 0x40;

export const IRQ_ANY_FENCE = 1;
export const IRQ_FIFO_PROGRESS = 2;
export const IRQ_FENCE_GOAL = 4;

export const CMD_UPDATE = 1;
export const CMD_RECT_COPY = 3;
export const CMD_DEFINE_CURSOR = 19;
export const CMD_DEFINE_ALPHA_CURSOR = 22;
export const CMD_UPDATE_VERBOSE = 25;
export const CMD_FENCE = 30;
export const CMD_ESCAPE = 33;
/** From here on commands tell their size in the second word. */
export const CMD_3D_FIRST = 1040;
export const CMD_3D_LAST = 1300;

/** Larger pointers are refused: what viewers are sent is bounded. */
export const CURSOR_MAX_PIXELS = 256;
