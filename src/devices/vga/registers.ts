/**
 * Ports, register indices and bits of the VGA, named as in IBM's PS/2 Hardware Interface Technical Reference ("Video
 * Subsystem", S85F-1646), and of the DISPI interface at 1CEh/1CFh (Bochs' VBE display API, VirtualBox's ids).
 */

/** Ports 3B0h–3BBh and 3C0h–3DFh; 3BCh–3BFh belong to a printer port. */
export const MONO_BASE = 0x3b0;
export const MONO_LENGTH = 0x0c;
export const COLOR_BASE = 0x3c0;
export const COLOR_LENGTH = 0x20;

export const CRTC_INDEX_MONO = 0x3b4;
export const CRTC_DATA_MONO = 0x3b5;
export const INPUT_STATUS_1_MONO = 0x3ba;
export const ATTRIBUTE_WRITE = 0x3c0;
export const ATTRIBUTE_READ = 0x3c1;
/** Write: miscellaneous output; read: input status 0. */
export const MISC_OUTPUT_WRITE = 0x3c2;
export const VIDEO_SUBSYSTEM_ENABLE = 0x3c3;
export const SEQUENCER_INDEX = 0x3c4;
export const SEQUENCER_DATA = 0x3c5;
export const PEL_MASK = 0x3c6;
/** Write: address for reading; read: DAC state. */
export const PEL_ADDRESS_READ = 0x3c7;
export const PEL_ADDRESS_WRITE = 0x3c8;
export const PEL_DATA = 0x3c9;
export const FEATURE_CONTROL_READ = 0x3ca;
export const MISC_OUTPUT_READ = 0x3cc;
export const GRAPHICS_INDEX = 0x3ce;
export const GRAPHICS_DATA = 0x3cf;
export const CRTC_INDEX_COLOR = 0x3d4;
export const CRTC_DATA_COLOR = 0x3d5;
/** Read: input status 1; write: feature control. */
export const INPUT_STATUS_1_COLOR = 0x3da;

/** Miscellaneous output: I/O address select (1: 3Dxh), memory enable, clock select. */
export const MISC_IOS = 0x01;
export const MISC_ERAM = 0x02;
export const MISC_CLOCK = 0x0c;

/** Input status 0, switch sense: a monitor answers. */
export const IS0_SWITCH_SENSE = 0x10;
export const IS1_DISPLAY_DISABLED = 0x01;
export const IS1_VERTICAL_RETRACE = 0x08;

export const SR0_RESET = 0;
export const SR0_RUNNING = 0x03;
export const SR1_CLOCKING_MODE = 1;
export const SR1_EIGHT_DOTS = 0x01;
export const SR1_DOT_CLOCK_HALVED = 0x08;
export const SR1_SCREEN_OFF = 0x20;
export const SR2_MAP_MASK = 2;
export const SR3_CHARACTER_MAP = 3;
export const SR4_MEMORY_MODE = 4;
/** Clear: odd/even addressing of the maps. */
export const SR4_SEQUENTIAL = 0x04;
export const SR4_CHAIN4 = 0x08;
/** Bits that exist, by index 0–7. */
export const SR_MASKS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0] as const;

export const GR0_SET_RESET = 0;
export const GR1_ENABLE_SET_RESET = 1;
export const GR2_COLOR_COMPARE = 2;
export const GR3_DATA_ROTATE = 3;
export const GR4_READ_MAP_SELECT = 4;
export const GR5_MODE = 5;
export const GR5_WRITE_MODE = 0x03;
export const GR5_READ_MODE_1 = 0x08;
export const GR5_ODD_EVEN = 0x10;
export const GR5_SHIFT_INTERLEAVED = 0x20;
export const GR5_SHIFT_256 = 0x40;
export const GR6_MISC = 6;
export const GR6_GRAPHICS = 0x01;
export const GR6_CHAIN_ODD_EVEN = 0x02;
export const GR7_COLOR_DONT_CARE = 7;
export const GR8_BIT_MASK = 8;
/** Bits that exist, by index 0–15. */
export const GR_MASKS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0] as const;

export const CR_COUNT = 0x19;
export const CR00_HORIZONTAL_TOTAL = 0x00;
export const CR01_HORIZONTAL_DISPLAY_END = 0x01;
export const CR06_VERTICAL_TOTAL = 0x06;
export const CR07_OVERFLOW = 0x07;
/** The one bit of CR7 that the write protection leaves open. */
export const CR07_LINE_COMPARE_8 = 0x10;
export const CR08_PRESET_ROW_SCAN = 0x08;
export const CR09_MAXIMUM_SCAN_LINE = 0x09;
export const CR09_LINE_COMPARE_9 = 0x40;
export const CR09_DOUBLE_SCAN = 0x80;
export const CR0A_CURSOR_START = 0x0a;
export const CR0A_CURSOR_OFF = 0x20;
export const CR0B_CURSOR_END = 0x0b;
export const CR0C_START_HIGH = 0x0c;
export const CR0D_START_LOW = 0x0d;
export const CR0E_CURSOR_HIGH = 0x0e;
export const CR0F_CURSOR_LOW = 0x0f;
export const CR10_RETRACE_START = 0x10;
export const CR11_RETRACE_END = 0x11;
export const CR11_PROTECT = 0x80;
export const CR12_VERTICAL_DISPLAY_END = 0x12;
export const CR13_OFFSET = 0x13;
export const CR14_UNDERLINE = 0x14;
export const CR14_COUNT_BY_4 = 0x20;
export const CR14_DOUBLEWORD = 0x40;
export const CR17_MODE = 0x17;
/** Clear: row scan bit 0 replaces memory address bit 13. */
export const CR17_NO_ROW_SCAN_13 = 0x01;
export const CR17_NO_ROW_SCAN_14 = 0x02;
export const CR17_LINES_BY_2 = 0x04;
export const CR17_COUNT_BY_2 = 0x08;
export const CR17_WRAP_MA15 = 0x20;
export const CR17_BYTE_MODE = 0x40;
export const CR17_SYNC_ENABLE = 0x80;
export const CR18_LINE_COMPARE = 0x18;
/** Undocumented, on IBM's VGA and most clones: the latch of the read map, the attribute controller's flip-flop. */
export const CR22_LATCH = 0x22;
export const CR24_ATTRIBUTE_STATE = 0x24;

export const AR_COUNT = 0x15;
/** Palette address source, in the attribute index: set while the palette feeds the screen. */
export const AR_INDEX_PAS = 0x20;
export const AR10_MODE = 0x10;
export const AR10_LINE_GRAPHICS = 0x04;
export const AR10_BLINK = 0x08;
export const AR10_PANNING_COMPATIBLE = 0x20;
export const AR10_PEL_WIDTH_256 = 0x40;
export const AR10_P54S = 0x80;
export const AR12_PLANE_ENABLE = 0x12;
export const AR13_PANNING = 0x13;
export const AR14_COLOR_SELECT = 0x14;
/** Bits that exist of indices 10h–14h. */
export const AR_MODE_MASKS = [0xef, 0xff, 0x3f, 0x0f, 0x0f] as const;
export const AR_PALETTE_MASK = 0x3f;

export const DISPI_BASE = 0x1ce;
/** 1CEh index, 1CFh data; long enough that a doubleword at 1CFh arrives whole. */
export const DISPI_LENGTH = 5;
export const DISPI_INDEX_ID = 0x0;
export const DISPI_INDEX_XRES = 0x1;
export const DISPI_INDEX_YRES = 0x2;
export const DISPI_INDEX_BPP = 0x3;
export const DISPI_INDEX_ENABLE = 0x4;
export const DISPI_INDEX_BANK = 0x5;
export const DISPI_INDEX_VIRT_WIDTH = 0x6;
export const DISPI_INDEX_VIRT_HEIGHT = 0x7;
export const DISPI_INDEX_X_OFFSET = 0x8;
export const DISPI_INDEX_Y_OFFSET = 0x9;
/** Read: video memory in units of 64 KiB (Bochs since B0C5h). */
export const DISPI_INDEX_VIDEO_MEMORY_64K = 0xa;
/** Read: bits 31–16 of the frame buffer's address (VirtualBox). */
export const DISPI_INDEX_FB_BASE_HI = 0xb;
export const DISPI_COUNT = 0x10;

export const DISPI_ID0 = 0xb0c0;
export const DISPI_ID5 = 0xb0c5;
/** VirtualBox: a doubleword read of 1CFh gives the video memory's size. */
export const DISPI_ID_VBOX_VIDEO = 0xbe00;
/** VirtualBox: the host interface, see hgsmi.ts. */
export const DISPI_ID_HGSMI = 0xbe01;
/** VirtualBox: any width, not only multiples of 8. */
export const DISPI_ID_ANYX = 0xbe02;

export const DISPI_ENABLED = 0x01;
export const DISPI_GETCAPS = 0x02;
export const DISPI_8BIT_DAC = 0x20;
export const DISPI_LFB_ENABLED = 0x40;
export const DISPI_NOCLEARMEM = 0x80;

/** Bounds what a screenshot of a hostile mode costs: 151 MB of RGBA. */
export const DISPI_MAX_XRES = 8192;
export const DISPI_MAX_YRES = 4608;
export const DISPI_MAX_BPP = 32;
