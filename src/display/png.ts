/**
 * Writes a picture as PNG (ISO/IEC 15948): 8-bit RGB, no interlacing, rows filtered with "Sub" where that is smaller by the
 * usual guess (sum of absolute differences). Alpha is dropped: screens have none.
 */
import { crc32, deflateSync } from "node:zlib";

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const COLOR_TYPE_RGB = 2;
const FILTER_NONE = 0;
const FILTER_SUB = 1;

/** `rgba` is width × height × 4 bytes, row by row from the top. */
export function encodePng(widthPixels: number, heightPixels: number, rgba: Uint8Array): Uint8Array {
  if (rgba.length < widthPixels * heightPixels * 4) throw new RangeError("a picture with too few bytes");
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, widthPixels);
  view.setUint32(4, heightPixels);
  header.set([8, COLOR_TYPE_RGB, 0, 0, 0], 8);
  const rows = filteredRows(widthPixels, heightPixels, rgba);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array()),
  ]);
}

function filteredRows(width: number, height: number, rgba: Uint8Array): Uint8Array {
  const stride = 1 + width * 3;
  const rows = new Uint8Array(stride * height);
  const sub = new Uint8Array(width * 3);
  for (let y = 0; y < height; y++) {
    const row = rows.subarray(y * stride + 1, (y + 1) * stride);
    let plainCost = 0;
    let subCost = 0;
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 4;
      for (let c = 0; c < 3; c++) {
        const at = x * 3 + c;
        const value = rgba[from + c];
        const difference = (value - (x > 0 ? rgba[from + c - 4] : 0)) & 0xff;
        row[at] = value;
        sub[at] = difference;
        plainCost += value < 128 ? value : 256 - value;
        subCost += difference < 128 ? difference : 256 - difference;
      }
    }
    const isSub = subCost < plainCost;
    rows[y * stride] = isSub ? FILTER_SUB : FILTER_NONE;
    if (isSub) row.set(sub);
  }
  return rows;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
