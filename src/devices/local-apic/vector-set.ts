/** A set of interrupt vectors 0–255, as the IRR, ISR and TMR hold them: eight words of 32 bits. Allocates nothing. */
export class VectorSet {
  readonly words = new Uint32Array(8);

  has(vector: number): boolean {
    return (this.words[vector >> 5] & (1 << (vector & 31))) !== 0;
  }
  add(vector: number): void {
    this.words[vector >> 5] |= 1 << (vector & 31);
  }
  delete(vector: number): void {
    this.words[vector >> 5] &= ~(1 << (vector & 31));
  }
  clear(): void {
    this.words.fill(0);
  }

  /** The highest vector, or -1. */
  highest(): number {
    const { words } = this;
    for (let i = 7; i >= 0; i--) {
      const word = words[i];
      if (word !== 0) return i * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }
}
