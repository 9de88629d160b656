/** The command set: first bytes, with the bits that are options, and how many bytes follow. */

export type CommandName =
  | "read data"
  | "read deleted data"
  | "write data"
  | "write deleted data"
  | "read track"
  | "verify"
  | "format track"
  | "scan equal"
  | "scan low or equal"
  | "scan high or equal"
  | "read id"
  | "recalibrate"
  | "sense interrupt status"
  | "specify"
  | "sense drive status"
  | "seek"
  | "relative seek"
  | "configure"
  | "dumpreg"
  | "version"
  | "perpendicular mode"
  | "lock"
  | "part id"
  | "powerdown mode"
  | "option"
  | "drive specification";

export interface Command {
  readonly name: CommandName;
  /** Bytes after the first; DRIVE SPECIFICATION ends by itself. */
  readonly parameters: number;
}

/** Longest command: first byte and eight more. */
export const COMMAND_BYTES = 9;

const rows: readonly (readonly [code: number, options: number, name: CommandName, parameters: number])[] = [
  [0x06, 0xe0, "read data", 8],
  [0x0c, 0xe0, "read deleted data", 8],
  [0x05, 0xc0, "write data", 8],
  [0x09, 0xc0, "write deleted data", 8],
  [0x02, 0x60, "read track", 8],
  [0x16, 0xe0, "verify", 8],
  [0x0d, 0x40, "format track", 5],
  [0x11, 0xe0, "scan equal", 8],
  [0x19, 0xe0, "scan low or equal", 8],
  [0x1d, 0xe0, "scan high or equal", 8],
  [0x0a, 0x40, "read id", 1],
  [0x07, 0x00, "recalibrate", 1],
  [0x08, 0x00, "sense interrupt status", 0],
  [0x03, 0x00, "specify", 2],
  [0x04, 0x00, "sense drive status", 1],
  [0x0f, 0x00, "seek", 2],
  [0x8f, 0x40, "relative seek", 2],
  [0x13, 0x00, "configure", 3],
  [0x0e, 0x00, "dumpreg", 0],
  [0x10, 0x00, "version", 0],
  [0x12, 0x00, "perpendicular mode", 1],
  [0x14, 0x80, "lock", 0],
  [0x18, 0x00, "part id", 0],
  [0x17, 0x00, "powerdown mode", 1],
  [0x33, 0x00, "option", 1],
  [0x8e, 0x00, "drive specification", 1],
];

const byFirstByte: readonly (Command | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const row = rows.find(([code, options]) => (byte & ~options) === code);
  return row && { name: row[2], parameters: row[3] };
});

/** The command that starts with `byte`, or undefined: the controller answers 80h. */
export function commandOf(byte: number): Command | undefined {
  return byFirstByte[byte];
}
