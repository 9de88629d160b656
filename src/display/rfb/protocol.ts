/**
 * Numbers of the Remote Framebuffer protocol, version 3.8 (RFC 6143), and of its extensions as the community's rfbproto
 * document lists them.
 */

export const SECURITY_NONE = 1;
export const SECURITY_VNC = 2;

/** Client to server. */
export const SET_PIXEL_FORMAT = 0;
export const SET_ENCODINGS = 2;
export const UPDATE_REQUEST = 3;
export const KEY_EVENT = 4;
export const POINTER_EVENT = 5;
export const CLIENT_CUT_TEXT = 6;
export const ENABLE_CONTINUOUS_UPDATES = 150;
export const CLIENT_FENCE = 248;
export const SET_DESKTOP_SIZE = 251;
export const QEMU_MESSAGE = 255;
export const QEMU_KEY = 0;

/** Server to client. */
export const FRAMEBUFFER_UPDATE = 0;
export const SET_COLOUR_MAP_ENTRIES = 1;
export const BELL = 2;
export const END_OF_CONTINUOUS_UPDATES = 150;
export const SERVER_FENCE = 248;

/** Encodings. */
export const RAW = 0;
export const COPY_RECT = 1;
export const HEXTILE = 5;
export const TIGHT = 7;
export const ZRLE = 16;

/** Pseudo-encodings. */
export const CURSOR = -239;
export const DESKTOP_SIZE = -223;
export const LAST_RECT = -224;
export const COMPRESSION_LEVEL_0 = -256;
export const COMPRESSION_LEVEL_9 = -247;
export const QEMU_EXTENDED_KEY = -258;
export const QEMU_LED_STATE = -261;
export const DESKTOP_NAME = -307;
export const EXTENDED_DESKTOP_SIZE = -308;
export const FENCE = -312;
export const CONTINUOUS_UPDATES = -313;

/** Fence flags. */
export const FENCE_BLOCK_BEFORE = 1;
export const FENCE_BLOCK_AFTER = 2;
export const FENCE_SYNC_NEXT = 4;
export const FENCE_REQUEST = 0x8000_0000;
export const FENCE_MAX_PAYLOAD = 64;

/** Why an ExtendedDesktopSize rectangle comes, and what became of a client's wish. */
export const SIZE_BY_SERVER = 0;
export const SIZE_BY_THIS_CLIENT = 1;
export const SIZE_OK = 0;
export const SIZE_PROHIBITED = 1;

/** A client that breaks the protocol: the connection ends, with this line in the log. */
export class RfbError extends Error {
  override name = "RfbError";
}
