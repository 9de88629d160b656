/** The colours of a piece of picture, numbered as they come, up to a limit. */
export class Palette {
  readonly #numbers = new Map<number, number>();
  readonly #limit: number;

  private constructor(limit: number) {
    this.#limit = limit;
  }

  /** Of the first `count` values; undefined if there are more than `limit`. */
  static of(values: Uint32Array, count: number, limit: number): Palette | undefined {
    const palette = new Palette(limit);
    // Neighbours are mostly equal.
    let last = -1;
    for (let i = 0; i < count; i++) {
      if (values[i] === last) continue;
      last = values[i];
      if (!palette.#add(last)) return undefined;
    }
    return palette;
  }

  get size(): number {
    return this.#numbers.size;
  }
  get colors(): number[] {
    return [...this.#numbers.keys()];
  }
  indexOf(value: number): number {
    return this.#numbers.get(value)!;
  }

  #add(value: number): boolean {
    if (this.#numbers.has(value)) return true;
    if (this.#numbers.size === this.#limit) return false;
    this.#numbers.set(value, this.#numbers.size);
    return true;
  }
}
