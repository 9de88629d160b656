import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { encodePng } from "./png.ts";

/** Decodes what the writer may write: 8-bit RGB, filters 0 and 1. */
function decode(png: Uint8Array) {
  const view = new DataView(png.buffer, png.byteOffset, png.length);
  expect([...png.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunks = new Map<string, Uint8Array>();
  for (let at = 8; at < png.length; ) {
    const length = view.getUint32(at);
    chunks.set(Buffer.from(png.subarray(at + 4, at + 8)).toString(), png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const header = chunks.get("IHDR")!;
  const width = new DataView(header.buffer, header.byteOffset).getUint32(0);
  const height = new DataView(header.buffer, header.byteOffset).getUint32(4);
  const rows = inflateSync(chunks.get("IDAT")!);
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) {
    const at = y * (1 + width * 3);
    for (let i = 0; i < width * 3; i++) {
      const left = rows[at] === 1 && i >= 3 ? pixels[pixels.length - 3] : 0;
      pixels.push((rows[at + 1 + i] + left) & 0xff);
    }
  }
  return { width, height, pixels, hasEnd: chunks.has("IEND") };
}

test("a picture comes back pixel for pixel", () => {
  const random = seededRandom(4);
  const width = 37;
  const height = 11;
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < rgba.length; i++) rgba[i] = i < rgba.length / 2 ? random(256) : 7;
  const decoded = decode(encodePng(width, height, rgba));
  expect([decoded.width, decoded.height, decoded.hasEnd]).toEqual([width, height, true]);
  expect(decoded.pixels).toEqual([...rgba].filter((_, i) => i % 4 !== 3));
});

test("an empty screen is still a picture", () => {
  expect(decode(encodePng(1, 1, new Uint8Array(4))).pixels).toEqual([0, 0, 0]);
});
