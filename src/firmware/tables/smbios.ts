/**
 * SMBIOS 2.5 (DMTF DSP0134): entry point and structures in ROM. Identification strings are VirtualBox's, because guests look
 * for them to load their drivers; an OEM string says whose firmware this is.
 */
import type { MachineSpec } from "../../spec/machine-spec.ts";

const ENTRY_BYTES = 31;
const STRUCTURES_ALIGNMENT = 16;

/** One structure: header, fixed part, strings. */
function structure(type: number, handle: number, fixed: readonly number[], strings: readonly string[]): number[] {
  const text = strings.flatMap((string) => [...string].map((char) => char.charCodeAt(0)).concat(0));
  const end = strings.length === 0 ? [0, 0] : [0];
  return [type, 4 + fixed.length, handle & 0xff, handle >> 8, ...fixed, ...text, ...end];
}

/** The UUID with its first three fields little-endian. */
function uuidBytes(uuid: string): number[] {
  const bytes = (uuid.replaceAll("-", "").match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  while (bytes.length < 16) bytes.push(0);
  return [bytes[3], bytes[2], bytes[1], bytes[0], bytes[5], bytes[4], bytes[7], bytes[6], ...bytes.slice(8, 16)];
}

function buildStructures(spec: MachineSpec): number[][] {
  const romSizeCode = 128 / 64 - 1;
  // BIOS characteristics: PCI, boot from CD, selectable boot, EDD, services for keyboard, serial, printer, video.
  const characteristics = [0x80, 0x80, 0x09, 0x7c, 0, 0, 0, 0];
  return [
    structure(
      0,
      0x0000,
      [1, 2, 0x00, 0xe0, 3, romSizeCode, ...characteristics, 0x01, 0x00, 0xff, 0xff, 0xff, 0xff],
      ["innotek GmbH", "VirtualBox", "12/01/2006"],
    ),
    structure(
      1,
      0x0001,
      [1, 2, 3, 4, ...uuidBytes(spec.uuid), 0x06, 0, 5],
      ["innotek GmbH", "VirtualBox", "1.2", "0", "Virtual Machine"],
    ),
    structure(
      2,
      0x0008,
      [1, 2, 3, 4, 0, 0x09, 0, 0x03, 0x00, 0x0a, 0],
      ["Oracle Corporation", "VirtualBox", "1.2", "0"],
    ),
    structure(3, 0x0003, [1, 0x01, 0, 0, 0, 0x03, 0x03, 0x03, 0x03, 0, 0, 0, 0, 0, 1, 0, 0], ["Oracle Corporation"]),
    structure(11, 0x0004, [1], ["Anneau"]),
    structure(127, 0x007f, [], []),
  ];
}

export interface SmbiosTables {
  /** The entry point, followed by the structures on the next 16-byte border. */
  readonly bytes: Uint8Array;
}

/** `physical` is where the bytes will lie: a 16-byte border in F0000h–FFFFFh. */
export function buildSmbios(spec: MachineSpec, physical: number): SmbiosTables {
  const structures = buildStructures(spec);
  const all = structures.flat();
  const structuresAt = Math.ceil(ENTRY_BYTES / STRUCTURES_ALIGNMENT) * STRUCTURES_ALIGNMENT;
  const bytes = new Uint8Array(structuresAt + all.length);
  const view = new DataView(bytes.buffer);
  const text = (at: number, string: string) => {
    for (let i = 0; i < string.length; i++) bytes[at + i] = string.charCodeAt(i);
  };
  text(0, "_SM_");
  bytes[5] = ENTRY_BYTES;
  bytes[6] = 2;
  bytes[7] = 5;
  view.setUint16(8, Math.max(...structures.map((one) => one.length)), true);
  text(16, "_DMI_");
  view.setUint16(22, all.length, true);
  view.setUint32(24, physical + structuresAt, true);
  view.setUint16(28, structures.length, true);
  bytes[30] = 0x25;
  const sum = (from: number, to: number) => -bytes.subarray(from, to).reduce((total, byte) => total + byte, 0) & 0xff;
  bytes[21] = sum(16, ENTRY_BYTES);
  bytes[4] = sum(0, ENTRY_BYTES);
  bytes.set(all, structuresAt);
  return { bytes };
}
