/**
 * The window at A0000h at the speed of RAM. Where registers make it plain memory, the guest's accesses no longer come to the
 * device: a bank of packed pixels is video memory itself; text and CGA memory (odd/even addressing of maps 0 and 1) and
 * chain-4 memory lie scattered over the interleaved maps and are therefore kept in a linear shadow, which goes back to
 * the maps when another way of addressing begins or a picture is drawn.
 *
 * One thing is lost: reads through the shadow do not fill the latches. They are what they were when it began, which only
 * a program could tell that reads in such a mode, sets another one and writes latches without reading again.
 */
import type { ClaimedMemory } from "../../device-api/device.ts";
import type { DeviceMemory } from "../../device-api/pci-function.ts";

/** How the window answers: nothing direct, or one of the three above. */
export type DirectKind = "none" | "text" | "chain4" | "packed";

/** Room for the linear shadow: the largest window that it stands for. */
export const SHADOW_BYTES = 0x10000;
const TEXT_BYTES = 0x8000;
const BANK_BYTES = 0x10000;
/**
 * So many accesses must come to the device first. Programs that change the addressing after every few accesses would pay
 * for a change of the machine's memory map each time.
 */
const WARM_UP_ACCESSES = 256;

export class DirectWindow {
  readonly #vram: DeviceMemory;
  readonly #words: Int32Array;
  readonly #shadow: DeviceMemory | undefined;
  readonly #shadow16: Uint16Array;
  readonly #shadow32: Int32Array;
  #claimed: ClaimedMemory | undefined;

  /** What the registers permit, and where in the window. */
  #permitted: DirectKind = "none";
  #offset = 0;
  #bank = 0;
  #coldAccesses = WARM_UP_ACCESSES;
  /** What is mapped. */
  #kind: DirectKind = "none";

  constructor(vram: DeviceMemory, words: Int32Array, shadow: DeviceMemory | undefined) {
    this.#vram = vram;
    this.#words = words;
    this.#shadow = shadow;
    const bytes = shadow?.bytes ?? new Uint8Array(0);
    this.#shadow16 = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    this.#shadow32 = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  }

  attach(claimed: ClaimedMemory): void {
    this.#claimed = claimed;
  }

  /** The shadow holds what the guest sees: the window acts on it too. */
  get isShadowed(): boolean {
    return this.#kind === "text" || this.#kind === "chain4";
  }
  get shadowBytes(): Uint8Array {
    return this.#shadow!.bytes;
  }
  /** Where the shadowed part begins in the window. */
  get offset(): number {
    return this.#offset;
  }

  /** The registers have changed: this is what they permit now, at `offset` of the window. Ends what they no longer do. */
  permit(kind: DirectKind, offset: number, bank: number): void {
    if (kind === this.#permitted && offset === this.#offset && bank === this.#bank) return;
    this.leave();
    this.#permitted = kind !== "packed" && this.#shadow === undefined ? "none" : kind;
    this.#offset = offset;
    this.#bank = bank;
    this.#coldAccesses = WARM_UP_ACCESSES;
  }

  /** An access has come to the device. */
  noteAccess(): void {
    if (this.#permitted === "none" || --this.#coldAccesses > 0 || this.#kind !== "none") return;
    this.#enter();
  }

  #enter(): void {
    if (this.#claimed === undefined) return;
    const kind = this.#permitted;
    this.#kind = kind;
    if (kind === "packed") {
      this.#claimed.mapDirect(this.#offset, BANK_BYTES, this.#vram, this.#bank * BANK_BYTES);
      return;
    }
    const words = this.#words;
    if (kind === "text") {
      const shadow = this.#shadow16;
      for (let i = 0; i < TEXT_BYTES >> 1; i++) shadow[i] = words[i << 1];
    } else {
      const shadow = this.#shadow32;
      for (let i = 0; i < SHADOW_BYTES >> 2; i++) shadow[i] = words[(i << 2) | (i >> 12)];
    }
    this.#claimed.mapDirect(this.#offset, kind === "text" ? TEXT_BYTES : SHADOW_BYTES, this.#shadow!, 0);
  }

  /** Brings the maps up to date with the shadow, which stays in use. */
  flush(): void {
    const words = this.#words;
    if (this.#kind === "text") {
      const shadow = this.#shadow16;
      for (let i = 0; i < TEXT_BYTES >> 1; i++) words[i << 1] = (words[i << 1] & 0xffff_0000) | shadow[i];
    } else if (this.#kind === "chain4") {
      const shadow = this.#shadow32;
      for (let i = 0; i < SHADOW_BYTES >> 2; i++) words[(i << 2) | (i >> 12)] = shadow[i];
    }
  }

  /** All accesses come to the device again. */
  leave(): void {
    if (this.#kind === "none") return;
    this.flush();
    this.discard();
  }

  /** As `leave`, for maps that get new contents anyway. */
  discard(): void {
    this.#coldAccesses = WARM_UP_ACCESSES;
    if (this.#kind === "none") return;
    this.#kind = "none";
    this.#claimed?.unmapDirect();
  }
}
