/** The guest's pointer as the Cursor pseudo-encoding (RFC 6143, section 7.8.1): viewers draw it where the person's pointer is. */
import type { PointerShape } from "../../backend-api/display.ts";
import { type PixelTranslator, putPixels } from "./pixel-format.ts";
import { CURSOR } from "./protocol.ts";
import type { UpdateWriter } from "./update.ts";

/** Translucent pixels are shown from here on. */
const OPAQUE_FROM = 128;

/** For a guest that draws its own again: one white dot in a black one. */
const dot: PointerShape = {
  isVisible: true,
  widthPixels: 3,
  heightPixels: 3,
  hotX: 1,
  hotY: 1,
  rgba: new Uint8Array(36).map((_, i) => (i % 4 === 3 || (i >= 16 && i < 19) ? 255 : 0)),
};

export function encodeCursor(
  update: UpdateWriter,
  pointer: PointerShape | undefined,
  translator: PixelTranslator,
): void {
  const { isVisible, widthPixels: width, heightPixels: height, hotX, hotY, rgba } = pointer ?? dot;
  if (!isVisible) {
    update.rect({ x: 0, y: 0, width: 0, height: 0 }, CURSOR);
    return;
  }
  update.rect({ x: hotX, y: hotY, width, height }, CURSOR);
  const pixels = new Int32Array(rgba.slice().buffer);
  const values = new Uint32Array(width * height);
  const frame = { widthPixels: width, heightPixels: height, pixels };
  translator.translate(frame, { x: 0, y: 0, width, height }, values);
  putPixels(update.out, translator.whole, values, width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x += 8) {
      let bits = 0;
      for (let i = x; i < x + 8; i++)
        bits = (bits << 1) | (i < width && rgba[(y * width + i) * 4 + 3] >= OPAQUE_FROM ? 1 : 0);
      update.out.u8(bits);
    }
  }
}
