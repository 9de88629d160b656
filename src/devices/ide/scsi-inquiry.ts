/** INQUIRY (SPC-3 6.4) and REQUEST SENSE (SPC-3 6.27, fixed format) of the DVD drive. */
import { INVALID_FIELD_IN_PACKET, refused } from "./scsi-codes.ts";

const inquiryBytes = 36;
const senseBytes = 18;

/** Standard data only: vital product data pages are refused. */
export function inquiry(packet: Uint8Array, out: Uint8Array): number {
  const wantsPage = (packet[1] & 1) !== 0 || packet[2] !== 0;
  if (wantsPage) return refused(INVALID_FIELD_IN_PACKET);
  out.fill(0, 0, inquiryBytes);
  out[0] = 0x05;
  out[1] = 0x80;
  out[3] = 0x21;
  out[4] = inquiryBytes - 5;
  writeText(out, 8, "VBOX", 8);
  writeText(out, 16, "CD-ROM", 16);
  writeText(out, 32, "1.0", 4);
  return inquiryBytes;
}

export function requestSense(sense: number, out: Uint8Array): number {
  out.fill(0, 0, senseBytes);
  out[0] = 0x70;
  out[2] = sense >>> 16;
  out[7] = senseBytes - 8;
  out[12] = sense >>> 8;
  out[13] = sense;
  return senseBytes;
}

function writeText(out: Uint8Array, at: number, text: string, length: number): void {
  for (let i = 0; i < length; i++) out[at + i] = i < text.length ? text.charCodeAt(i) : 0x20;
}
