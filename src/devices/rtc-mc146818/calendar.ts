/**
 * Seconds since 1970 (in the clock's own zone) to the MC146818's ten time bytes and back, in BCD or binary, 12 or 24 hours.
 * Decoding takes any bytes: out-of-range fields carry over as calendar arithmetic does.
 */
import { B_24H, B_DM_BINARY, HOURS_PM } from "./registers.ts";

/** The time registers in the order of their addresses, then the century. */
export interface TimeFields {
  seconds: number;
  minutes: number;
  hours: number;
  dayOfWeek: number;
  date: number;
  month: number;
  year: number;
  century: number;
}

/** The bytes that the registers show for `seconds`. `registerB` chooses the format. */
export function encodeTime(seconds: number, registerB: number): TimeFields {
  const date = new Date(seconds * 1000);
  const encode = (value: number) => encodeByte(value, registerB);
  const year = date.getUTCFullYear();
  return {
    seconds: encode(date.getUTCSeconds()),
    minutes: encode(date.getUTCMinutes()),
    hours: encodeHours(date.getUTCHours(), registerB),
    dayOfWeek: encode(date.getUTCDay() + 1),
    date: encode(date.getUTCDate()),
    month: encode(date.getUTCMonth() + 1),
    year: encode(year % 100),
    century: encode(Math.floor(year / 100) % 100),
  };
}

/** The instant that register bytes stand for. A century that is none of 19–21 counts as 20. */
export function decodeTime(fields: TimeFields, registerB: number): number {
  const decode = (value: number) => decodeByte(value, registerB);
  const century = decode(fields.century);
  const year = (century >= 19 && century <= 21 ? century : 20) * 100 + (decode(fields.year) % 100);
  const days = Date.UTC(year, decode(fields.month) - 1, decode(fields.date)) / 1000;
  return days + decodeHours(fields.hours, registerB) * 3600 + decode(fields.minutes) * 60 + decode(fields.seconds);
}

export function encodeByte(value: number, registerB: number): number {
  return (registerB & B_DM_BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function decodeByte(value: number, registerB: number): number {
  return (registerB & B_DM_BINARY) !== 0 ? value : (value >>> 4) * 10 + (value & 15);
}

/** 12-hour mode counts 12, 1 … 11 with bit 7 for the afternoon. */
export function encodeHours(hours: number, registerB: number): number {
  if ((registerB & B_24H) !== 0) return encodeByte(hours, registerB);
  return encodeByte(hours % 12 || 12, registerB) | (hours >= 12 ? HOURS_PM : 0);
}

function decodeHours(value: number, registerB: number): number {
  if ((registerB & B_24H) !== 0) return decodeByte(value, registerB);
  return (decodeByte(value & ~HOURS_PM, registerB) % 12) + ((value & HOURS_PM) !== 0 ? 12 : 0);
}
