/**
 * ACPI Machine Language encoder (ACPI specification 2.0, chapter 17): each function returns the bytes of one term. Only the
 * terms that our DSDT needs; integers are 32 bits wide, as DSDT revision 1 has them.
 */
import { InternalError } from "../../base/errors.ts";

export type Aml = readonly number[];
/** A term, or a number for an integer constant. */
export type Term = Aml | number;

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const METHOD_OP = 0x14;
const EXT_PREFIX = 0x5b;
const OP_REGION_OP = 0x80;
const FIELD_OP = 0x81;
const DEVICE_OP = 0x82;
const PROCESSOR_OP = 0x83;
const ROOT_CHAR = 0x5c;
const DUAL_NAME_PREFIX = 0x2e;
const MULTI_NAME_PREFIX = 0x2f;
const PARENT_PREFIX = 0x5e;
const LOCAL0_OP = 0x60;
const ARG0_OP = 0x68;
const STORE_OP = 0x70;
const AND_OP = 0x7b;
const OR_OP = 0x7d;
const SHIFT_LEFT_OP = 0x79;
const FIND_SET_RIGHT_BIT_OP = 0x82;
const SUBTRACT_OP = 0x74;
const CREATE_WORD_FIELD_OP = 0x8b;
const IF_OP = 0xa0;
const ELSE_OP = 0xa1;
const RETURN_OP = 0xa4;

const flat = (terms: readonly Term[]): number[] => terms.flatMap((term) => [...encode(term)]);
const encode = (term: Term): Aml => (typeof term === "number" ? integer(term) : term);

/** PkgLength counts itself; one to four bytes. */
function packageLength(contentBytes: number): number[] {
  if (contentBytes + 1 < 0x40) return [contentBytes + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = contentBytes + 1 + extra;
    if (total >= 2 ** (4 + 8 * extra)) continue;
    const bytes = [(extra << 6) | (total & 0x0f)];
    for (let i = 0; i < extra; i++) bytes.push((total >> (4 + 8 * i)) & 0xff);
    return bytes;
  }
  throw new InternalError("aml: term too long");
}

function packed(op: readonly number[], content: readonly number[]): number[] {
  return [...op, ...packageLength(content.length), ...content];
}

function nameSegment(text: string): number[] {
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(text)) throw new InternalError(`aml: name ${text}`);
  return [...text.padEnd(4, "_")].map((char) => char.charCodeAt(0));
}

/** A name such as "PCI0", "\\_SB.PCI0", "^LNKA". */
export function nameString(text: string): Aml {
  const prefix: number[] = [];
  let rest = text;
  while (rest.startsWith("\\") || rest.startsWith("^")) {
    prefix.push(rest[0] === "\\" ? ROOT_CHAR : PARENT_PREFIX);
    rest = rest.slice(1);
  }
  if (rest === "") return [...prefix, 0];
  const segments = rest.split(".").map(nameSegment);
  if (segments.length === 1) return [...prefix, ...segments[0]];
  if (segments.length === 2) return [...prefix, DUAL_NAME_PREFIX, ...segments.flat()];
  return [...prefix, MULTI_NAME_PREFIX, segments.length, ...segments.flat()];
}

export function integer(value: number): Aml {
  if (value === 0) return [ZERO_OP];
  if (value === 1) return [ONE_OP];
  if (value < 0x100) return [BYTE_PREFIX, value];
  if (value < 0x10000) return [WORD_PREFIX, value & 0xff, value >> 8];
  return [DWORD_PREFIX, ...[0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff)];
}

/** "PNP0A03" as the compressed integer that _HID holds. */
export function eisaId(text: string): Aml {
  const letter = (i: number) => text.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(text.slice(3), 16);
  return [DWORD_PREFIX, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

export function name(text: string, value: Term): Aml {
  return [NAME_OP, ...nameString(text), ...encode(value)];
}

export function scope(text: string, ...terms: Aml[]): Aml {
  return packed([SCOPE_OP], [...nameString(text), ...flat(terms)]);
}

export function device(text: string, ...terms: Aml[]): Aml {
  return packed([EXT_PREFIX, DEVICE_OP], [...nameString(text), ...flat(terms)]);
}

export function processor(text: string, id: number): Aml {
  return packed([EXT_PREFIX, PROCESSOR_OP], [...nameString(text), id, 0, 0, 0, 0, 0]);
}

export function method(text: string, argumentCount: number, isSerialized: boolean, ...terms: Aml[]): Aml {
  return packed([METHOD_OP], [...nameString(text), argumentCount | (isSerialized ? 8 : 0), ...flat(terms)]);
}

export function packageOf(...elements: Term[]): Aml {
  return packed([PACKAGE_OP], [elements.length, ...flat(elements)]);
}

export function buffer(bytes: readonly number[]): Aml {
  return packed([BUFFER_OP], [...integer(bytes.length), ...bytes]);
}

export const regionSpace = { systemMemory: 0, systemIo: 1, pciConfig: 2 } as const;

export function operationRegion(text: string, space: number, offset: number, lengthBytes: number): Aml {
  return [EXT_PREFIX, OP_REGION_OP, ...nameString(text), space, ...integer(offset), ...integer(lengthBytes)];
}

/** Byte-accessed fields without lock, preserving the rest. */
export function field(region: string, ...fields: readonly (readonly [name: string, bits: number])[]): Aml {
  const byteAccess = 1;
  const list = fields.flatMap(([text, bits]) => [...nameSegment(text), ...packageLength(bits - 1)]);
  return packed([EXT_PREFIX, FIELD_OP], [...nameString(region), byteAccess, ...list]);
}

export const arg = (index: number): Aml => [ARG0_OP + index];
export const local = (index: number): Aml => [LOCAL0_OP + index];

export function store(value: Term, target: Aml): Aml {
  return [STORE_OP, ...encode(value), ...target];
}
/** Results go to `target`; as an operand leave it out. */
const binary =
  (op: number) =>
  (one: Term, other: Term, target: Aml = [0]) =>
    [op, ...encode(one), ...encode(other), ...target] as Aml;
export const and = binary(AND_OP);
export const or = binary(OR_OP);
export const shiftLeft = binary(SHIFT_LEFT_OP);
export const subtract = binary(SUBTRACT_OP);
/** Number of the lowest set bit, counted from 1. */
export function findSetRightBit(value: Term, target: Aml): Aml {
  return [FIND_SET_RIGHT_BIT_OP, ...encode(value), ...target];
}
export function createWordField(source: Aml, byteOffset: number, text: string): Aml {
  return [CREATE_WORD_FIELD_OP, ...source, ...integer(byteOffset), ...nameString(text)];
}
export function ifThen(condition: Term, then: readonly Aml[], otherwise: readonly Aml[] = []): Aml {
  const first = packed([IF_OP], [...encode(condition), ...flat(then)]);
  return otherwise.length === 0 ? first : [...first, ...packed([ELSE_OP], flat(otherwise))];
}
export function returns(value: Term): Aml {
  return [RETURN_OP, ...encode(value)];
}
