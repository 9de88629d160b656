/**
 * Arrays with an element for each of a million pages, of which a guest uses some thousand. What the JavaScript heap hands out has
 * been zeroed and is resident; pages of a WebAssembly memory are the host's only once they are touched.
 */
const WASM_PAGE_BYTES = 65536;

export class SparseArrays {
  readonly #buffer: ArrayBuffer;
  #next = 0;

  /** Room for so many bytes in all. */
  constructor(bytes: number) {
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
    this.#buffer = new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer as ArrayBuffer;
  }

  /** Zeros. Throws RangeError when the room is used up. */
  int32(length: number): Int32Array {
    return new Int32Array(this.#buffer, this.#take(length * 4), length);
  }

  uint16(length: number): Uint16Array {
    return new Uint16Array(this.#buffer, this.#take(length * 2), length);
  }

  #take(bytes: number): number {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 8) * 8;
    return at;
  }
}
