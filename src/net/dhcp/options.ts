/** Values of DHCP options as people type them (RFC 2132), for servers that can be told what to send. */
import { parseIpv4 } from "../address.ts";
import { addressValue, numberValue, shortValue, textValue } from "./message.ts";

/** Lists of addresses; of those in `single` one only. */
const addresses = new Set([
  1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 28, 32, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76,
]);
const single = new Set([1, 16, 28, 32]);
const texts = new Set([12, 14, 15, 17, 18, 40, 47, 62, 64, 66, 67]);
const bytes = new Set([19, 20, 23, 27, 29, 30, 31, 34, 36, 37, 39, 46]);
const shorts = new Set([13, 22, 26]);
const longs = new Set([2, 24, 35, 38]);
/** Padding, end, and what the protocol itself says: requested address to client identifier. */
const reserved = (code: number) => code === 0 || code === 255 || (code >= 50 && code <= 61);
const MAX_VALUE_BYTES = 255;

/** Whether it may be set at all. */
export function isSettableOption(code: number): boolean {
  return Number.isInteger(code) && code > 0 && code < 255 && !reserved(code);
}

/** Two hexadecimal digits a byte, colons between them or not. undefined: no such value, or none that may be set. */
export function optionFromHex(code: number, text: string): Uint8Array | undefined {
  const digits = text.replaceAll(":", "");
  if (!isSettableOption(code) || !/^([0-9a-f]{2})+$/i.test(digits) || digits.length > 2 * MAX_VALUE_BYTES)
    return undefined;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Addresses, texts and numbers, by what the option holds. undefined: not a value for it, or known in hexadecimal only. */
export function optionFromText(code: number, text: string): Uint8Array | undefined {
  if (!isSettableOption(code)) return undefined;
  if (addresses.has(code)) {
    const list = text
      .split(/[\s,]+/)
      .filter((one) => one !== "")
      .map(parseIpv4);
    const limit = single.has(code) ? 1 : Math.floor(MAX_VALUE_BYTES / 4);
    if (list.length === 0 || list.length > limit || list.includes(undefined)) return undefined;
    return addressValue(...(list as number[]));
  }
  if (texts.has(code)) {
    const value = textValue(text);
    return value.length > 0 && value.length <= MAX_VALUE_BYTES ? value : undefined;
  }
  const number = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (bytes.has(code)) return number >= 0 && number < 2 ** 8 ? Uint8Array.of(number) : undefined;
  if (shorts.has(code)) return number >= 0 && number < 2 ** 16 ? shortValue(number) : undefined;
  if (longs.has(code)) return number >= 0 && number < 2 ** 32 ? numberValue(number) : undefined;
  return undefined;
}
