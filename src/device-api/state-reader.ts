/**
 * Reads a saved leaf strictly: each entry is taken once with its type and range, `end` complains about left-over ones.
 * Every complaint is a FormatError that names the leaf and the entry, so a truncated or foreign state says what is wrong.
 */
import { FormatError } from "../base/errors.ts";
import type { SavedLeaf, SavedValue } from "./saved-state.ts";

export class StateReader {
  readonly #path: string;
  readonly #data: { readonly [key: string]: SavedValue };
  readonly #left: Set<string>;

  private constructor(path: string, data: { readonly [key: string]: SavedValue }) {
    this.#path = path;
    this.#data = data;
    this.#left = new Set(Object.keys(data));
  }

  /** Opens `leaf`, which must be of this kind and version. */
  static open(leaf: SavedLeaf, kind: string, version: number): StateReader {
    if (leaf?.kind !== kind) throw new FormatError(`saved state: expected ${kind}, found ${leaf?.kind}`);
    if (leaf.version !== version) {
      throw new FormatError(`saved state: ${kind} has version ${leaf.version}, this program reads version ${version}`);
    }
    if (!isRecord(leaf.data)) throw new FormatError(`saved state: ${kind} has no data`);
    return new StateReader(kind, leaf.data);
  }

  /** An integer in [min, max]. */
  integer(key: string, min: number, max: number): number {
    const value = this.#take(key);
    if (!isIntegerIn(value, min, max)) throw this.#bad(key, `an integer from ${min} to ${max}`);
    return value;
  }
  byte(key: string): number {
    return this.integer(key, 0, 0xff);
  }
  /** Any finite number (times in nanoseconds). */
  number(key: string): number {
    const value = this.#take(key);
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#bad(key, "a finite number");
    return value;
  }
  boolean(key: string): boolean {
    const value = this.#take(key);
    if (typeof value !== "boolean") throw this.#bad(key, "true or false");
    return value;
  }
  string(key: string): string {
    const value = this.#take(key);
    if (typeof value !== "string") throw this.#bad(key, "a string");
    return value;
  }
  /** A string that must be `expected`: the state belongs to a part configured like this one. */
  literal(key: string, expected: string): void {
    const value = this.#take(key);
    if (value !== expected) throw this.#bad(key, `"${expected}"`);
  }
  /** A copy of exactly `length` bytes. */
  bytes(key: string, length: number): Uint8Array<ArrayBuffer> {
    const value = this.#take(key);
    if (!(value instanceof Uint8Array) || value.length !== length) throw this.#bad(key, `${length} bytes`);
    return new Uint8Array(value);
  }
  /** A list of between `minLength` and `maxLength` integers in [min, max]. */
  integers(key: string, minLength: number, maxLength: number, min: number, max: number): number[] {
    const value = this.#take(key);
    const fits = Array.isArray(value) && value.length >= minLength && value.length <= maxLength;
    if (!fits || !value.every((entry) => isIntegerIn(entry, min, max))) {
      throw this.#bad(key, `a list of ${minLength} to ${maxLength} integers from ${min} to ${max}`);
    }
    return [...(value as number[])];
  }
  /** A list of exactly `length` levels. */
  booleans(key: string, length: number): boolean[] {
    const value = this.#take(key);
    if (!Array.isArray(value) || value.length !== length || !value.every((entry) => typeof entry === "boolean")) {
      throw this.#bad(key, `a list of ${length} true or false`);
    }
    return [...(value as boolean[])];
  }
  /** A list of lists of levels, of exactly these lengths. */
  booleanLists(key: string, lengths: readonly number[]): boolean[][] {
    const value = this.#take(key);
    const fits = (list: unknown, i: number) =>
      Array.isArray(list) && list.length === lengths[i] && list.every((entry) => typeof entry === "boolean");
    if (!Array.isArray(value) || value.length !== lengths.length || !value.every(fits)) {
      throw this.#bad(key, `lists of ${lengths.join(", ")} true or false`);
    }
    return value.map((list) => [...(list as boolean[])]);
  }
  /** A nested record; the caller calls `end` on it too. */
  child(key: string): StateReader {
    const value = this.#take(key);
    if (!isRecord(value)) throw this.#bad(key, "a record");
    return new StateReader(`${this.#path}.${key}`, value);
  }
  /** A list of exactly `length` nested records. */
  children(key: string, length: number): StateReader[] {
    const value = this.#take(key);
    if (!Array.isArray(value) || value.length !== length || !value.every(isRecord)) {
      throw this.#bad(key, `a list of ${length} records`);
    }
    return value.map((entry, i) => new StateReader(`${this.#path}.${key}[${i}]`, entry));
  }
  /** All entries must have been taken. */
  end(): void {
    if (this.#left.size > 0) {
      throw new FormatError(`saved state: ${this.#path} has unknown entries: ${[...this.#left].join(", ")}`);
    }
  }

  #take(key: string): SavedValue {
    if (!this.#left.delete(key)) throw new FormatError(`saved state: ${this.#path} has no entry "${key}"`);
    return this.#data[key];
  }
  #bad(key: string, expected: string): FormatError {
    return new FormatError(`saved state: ${this.#path}.${key} is not ${expected}`);
  }
}

function isIntegerIn(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isRecord(value: unknown): value is { readonly [key: string]: SavedValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
