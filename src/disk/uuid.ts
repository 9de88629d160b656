/**
 * UUIDs as image headers store them: 16 bytes in the mixed-endian GUID form (first three groups little-endian).
 * Text is lower case with dashes, without braces.
 */

export function uuidFromBytes(bytes: Uint8Array, offset: number): string {
  const hex = (from: number, to: number, step: number) => {
    let text = "";
    for (let i = from; i !== to; i += step) text += bytes[offset + i].toString(16).padStart(2, "0");
    return text;
  };
  return [hex(3, -1, -1), hex(5, 3, -1), hex(7, 5, -1), hex(8, 10, 1), hex(10, 16, 1)].join("-");
}

/** `uuid` is well-formed text (see `isUuid`). */
export function uuidToBytes(uuid: string, target: Uint8Array, offset: number): void {
  const digits = uuid.replaceAll("-", "");
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  for (let i = 0; i < 16; i++) target[offset + i] = Number.parseInt(digits.slice(order[i] * 2, order[i] * 2 + 2), 16);
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}

export const nilUuid = "00000000-0000-0000-0000-000000000000";
