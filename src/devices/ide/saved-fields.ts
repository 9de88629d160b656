/**
 * Reads one object of saved state field by field: each exactly once, each of its type and in its range, none left over.
 * Anything else is a FormatError that names the field.
 */
import { FormatError } from "../../base/errors.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";

export class SavedFields {
  readonly #what: string;
  readonly #left: Map<string, SavedValue>;

  constructor(what: string, value: SavedValue | undefined) {
    this.#what = what;
    const isPlainObject =
      typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
    if (!isPlainObject) throw new FormatError(`${what}: saved state is not an object`);
    this.#left = new Map(Object.entries(value));
  }

  /** An integer in [min, max]. */
  number(name: string, min: number, max: number): number {
    const value = this.#take(name);
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) this.#refuse(name);
    return value;
  }

  /** A finite number, or null. */
  time(name: string): number | null {
    const value = this.#take(name);
    if (value === null) return null;
    if (typeof value !== "number" || !Number.isFinite(value)) this.#refuse(name);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== "boolean") this.#refuse(name);
    return value;
  }

  /** At most `maxBytes` bytes. */
  bytes(name: string, maxBytes: number): Uint8Array {
    const value = this.#take(name);
    if (!(value instanceof Uint8Array) || value.length > maxBytes) this.#refuse(name);
    return value;
  }

  /** Integers in [min, max], at most `maxLength`. */
  numbers(name: string, maxLength: number, min: number, max: number): number[] {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length > maxLength) this.#refuse(name);
    for (const item of value as readonly SavedValue[]) {
      if (typeof item !== "number" || !Number.isInteger(item) || item < min || item > max) this.#refuse(name);
    }
    return [...(value as readonly number[])];
  }

  /** The nested object of that name. */
  object(name: string): SavedFields {
    return new SavedFields(`${this.#what}.${name}`, this.#take(name));
  }

  /** The nested object of that name, or undefined where null was saved. */
  optionalObject(name: string): SavedFields | undefined {
    const value = this.#take(name);
    return value === null ? undefined : new SavedFields(`${this.#what}.${name}`, value);
  }

  /** Throws if a field was not read. */
  end(): void {
    for (const name of this.#left.keys()) throw new FormatError(`${this.#what}: unknown saved field "${name}"`);
  }

  #take(name: string): SavedValue {
    const value = this.#left.get(name);
    if (value === undefined) throw new FormatError(`${this.#what}: saved field "${name}" is missing`);
    this.#left.delete(name);
    return value;
  }

  #refuse(name: string): never {
    throw new FormatError(`${this.#what}: saved field "${name}" has an impossible value`);
  }
}
