/** Numbers of HGSMI and its VBVA channel, as Linux's drivers/gpu/drm/vboxvideo names them. */

/** Offsets in the port ranges of the VGA: 32-bit accesses to 3B0h (the host's side) and 3D0h (the guest's). */
export const HOST_PORT = 0x3b0;
export const GUEST_PORT = 0x3d0;

export const HEADER_BYTES = 16;
export const TAIL_BYTES = 8;
export const SEQUENCE_MASK = 3;
export const SEQUENCE_SINGLE = 0;

export const CHANNEL_HGSMI = 1;
export const CHANNEL_VBVA = 2;

/** On CHANNEL_HGSMI. */
export const HOST_FLAGS_LOCATION = 0;
export const FLAGS_BYTES = 16;
export const FLAG_IRQ = 0x02;
export const FLAG_HOTPLUG = 0x20;

/** On CHANNEL_VBVA. */
export const QUERY_CONF32 = 1;
export const INFO_VIEW = 3;
export const INFO_SCREEN = 6;
export const ENABLE = 7;
export const MOUSE_POINTER_SHAPE = 8;
export const INFO_CAPS = 12;
export const QUERY_MODE_HINTS = 19;

/** The shortest message of each command. */
export const VBVA_BYTES: ReadonlyMap<number, number> = new Map([
  [QUERY_CONF32, 8],
  [INFO_VIEW, 16],
  [INFO_SCREEN, 32],
  [ENABLE, 12],
  [MOUSE_POINTER_SHAPE, 24],
  [INFO_CAPS, 8],
  [QUERY_MODE_HINTS, 8],
]);

export const SUCCESS = 0;
export const INVALID_PARAMETER = -2;

/**
 * Answers to QUERY_CONF32 by index: monitors, size of the host's heap, mode hints (0: there are), the pointer's reports (0: yes),
 * what the host's pointer can (bit 1: it is drawn where the person's is), screen flags, a record's size. Guests ask for an
 * index that does not exist to see that it stays unanswered.
 */
export const CONFIGURATION: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 0],
  [2, SUCCESS],
  [3, SUCCESS],
  [4, 2],
  [5, 0xf],
  [6, 0x10000],
]);

export const SCREEN_ACTIVE = 1;
export const SCREEN_DISABLED = 2;
export const SCREEN_BLANK = 4;
export const SCREEN_BLANK2 = 8;

export const POINTER_VISIBLE = 1;
export const POINTER_ALPHA = 2;
export const POINTER_SHAPE = 4;
export const POINTER_HEADER_BYTES = 24;
/** Larger pointers are refused: what viewers are sent is bounded. */
export const POINTER_MAX_PIXELS = 256;

export const CAPS_IRQ = 2;
export const CAPS_VIDEO_MODE_HINTS = 4;

export const MODE_HINT_BYTES = 32;
export const MODE_HINT_MAGIC = 0x0801_add9;
