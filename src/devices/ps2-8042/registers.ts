/**
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller": ports, status, command byte
 * and controller commands; keyboard and mouse commands as in its device chapters.
 */

export const DATA_PORT = 0x60;
export const COMMAND_PORT = 0x64;

export const STATUS_OBF = 0x01;
export const STATUS_SYS = 0x04;
/** The last write went to the command port. */
export const STATUS_COMMAND = 0x08;
/** The keyboard lock is open. */
export const STATUS_UNLOCKED = 0x10;
export const STATUS_AUX_OBF = 0x20;

export const CTR_KBD_INT = 0x01;
export const CTR_AUX_INT = 0x02;
export const CTR_SYS = 0x04;
export const CTR_KBD_DISABLED = 0x10;
export const CTR_AUX_DISABLED = 0x20;
export const CTR_TRANSLATE = 0x40;

/** 20h–3Fh read, 60h–7Fh write the controller's RAM; byte 0 is the command byte. */
export const CMD_READ_RAM = 0x20;
export const CMD_WRITE_RAM = 0x60;
export const RAM_BYTES = 32;
export const CMD_PASSWORD_TEST = 0xa4;
export const CMD_DISABLE_AUX = 0xa7;
export const CMD_ENABLE_AUX = 0xa8;
export const CMD_TEST_AUX = 0xa9;
export const CMD_SELF_TEST = 0xaa;
export const CMD_TEST_KBD = 0xab;
export const CMD_DISABLE_KBD = 0xad;
export const CMD_ENABLE_KBD = 0xae;
export const CMD_READ_INPUT_PORT = 0xc0;
export const CMD_READ_OUTPUT_PORT = 0xd0;
export const CMD_WRITE_OUTPUT_PORT = 0xd1;
export const CMD_WRITE_KBD_BUFFER = 0xd2;
export const CMD_WRITE_AUX_BUFFER = 0xd3;
export const CMD_WRITE_AUX = 0xd4;
export const CMD_DISABLE_A20 = 0xdd;
export const CMD_ENABLE_A20 = 0xdf;
export const CMD_READ_TEST_INPUTS = 0xe0;
/** F0h–FFh pulse the output port bits that are 0 in the low four bits. */
export const CMD_PULSE = 0xf0;

export const SELF_TEST_PASSED = 0x55;
export const NO_PASSWORD = 0xf1;
/** Not inhibited, no manufacturing jumper. */
export const INPUT_PORT = 0xa0;

export const OUTPUT_NOT_RESET = 0x01;
export const OUTPUT_A20 = 0x02;
export const OUTPUT_KBD_OBF = 0x10;
export const OUTPUT_AUX_OBF = 0x20;
export const OUTPUT_IDLE = 0xc0;

/** Replies of both devices. */
export const ACK = 0xfa;
export const RESEND = 0xfe;
export const BAT_PASSED = 0xaa;

export const KBD_SET_LEDS = 0xed;
export const KBD_ECHO = 0xee;
export const KBD_SCAN_SET = 0xf0;
export const KBD_IDENTIFY = 0xf2;
export const KBD_TYPEMATIC = 0xf3;
export const KBD_ENABLE = 0xf4;
export const KBD_DEFAULT_DISABLE = 0xf5;
export const KBD_DEFAULT = 0xf6;
/** F7h–FAh set all keys' types, FBh–FDh one key's (scan set 3). */
export const KBD_ALL_KEYS = 0xf7;
export const KBD_ONE_KEY = 0xfb;
export const KBD_RESEND = 0xfe;
export const KBD_RESET = 0xff;

export const AUX_SCALING_1_1 = 0xe6;
export const AUX_SCALING_2_1 = 0xe7;
export const AUX_RESOLUTION = 0xe8;
export const AUX_STATUS = 0xe9;
export const AUX_STREAM = 0xea;
export const AUX_READ_DATA = 0xeb;
export const AUX_RESET_WRAP = 0xec;
export const AUX_WRAP = 0xee;
export const AUX_REMOTE = 0xf0;
export const AUX_IDENTIFY = 0xf2;
export const AUX_SAMPLE_RATE = 0xf3;
export const AUX_ENABLE = 0xf4;
export const AUX_DISABLE = 0xf5;
export const AUX_DEFAULT = 0xf6;
export const AUX_RESEND = 0xfe;
export const AUX_RESET = 0xff;
