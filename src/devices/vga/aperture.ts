/**
 * The window A0000h–BFFFFh: how the sequencer and the graphics controller turn a processor access into accesses of the
 * four maps (IBM's VGA reference, "Graphics Controller"): read modes 0 and 1, write modes 0–3, set/reset, rotate, bit
 * mask, map mask, chain 4, odd/even, the four memory maps of GR6. In packed DISPI modes it is a bank of 64 KiB instead.
 *
 * The maps are interleaved in the first 256 KiB of video memory (map m of address a at byte a·4+m), so one 32-bit word is
 * what a processor read latches and all four maps are computed at once. Map addresses are the hardware's: in odd/even
 * mode A0 selects the map and is replaced, in chain-4 mode A0 and A1 are, which is how the CRTC's word and doubleword
 * modes read them back. What the registers make plain memory is left to `DirectWindow`.
 */
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import type { DirectWindow } from "./direct-window.ts";
import type { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";

/** Four map bits to four bytes of zeros or ones. */
export const expandedMaps = new Int32Array(16);
for (let maps = 0; maps < 16; maps++) {
  for (let map = 0; map < 4; map++) if ((maps >> map) & 1) expandedMaps[maps] |= 0xff << (8 * map);
}

/** Start and length of the memory maps of GR6 bits 3–2, relative to A0000h. */
const mapStarts = [0, 0, 0x10000, 0x18000] as const;
const mapLengths = [0x20000, 0x10000, 0x8000, 0x8000] as const;

export class VgaAperture implements IoWindow {
  readonly #registers: VgaRegisterFile;
  readonly #direct: DirectWindow;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #words16: Uint16Array;

  /** Decoded range of the window; an empty one answers nothing. */
  #start = 0;
  #end = 0;
  /** A DISPI mode with 8 or more bits: byte offset of the bank and of the end of video memory. */
  #isPacked = false;
  #bankBytes = 0;
  #limitBytes: number;
  /** A 4-bit DISPI mode: 64 KiB of each map at A0000h, sequential, from the bank on. */
  #isDispiPlanar = false;
  /** That bank in map addresses, and the mask that keeps them inside video memory. */
  #bankAddress = 0;
  #addressMask = 0xffff;

  #isChain4 = false;
  #isOddEvenWrite = false;
  #isOddEvenRead = false;
  #replacesA0 = false;
  #is128k = false;
  #mapMask = 0;
  #writeMode = 0;
  #isReadMode1 = false;
  #readMap = 0;
  /** Write mode 0 that stores the processor's byte as it is. */
  #isPlainWrite = false;
  #rotate = 0;
  #function = 0;
  #bitMask = 0;
  #setReset = 0;
  #enableSetReset = 0;
  #colorCompare = 0;
  #colorCare = 0;

  readonly #onPlanarUse: () => void;

  /**
   * `vram` starts on a 4-byte border of its buffer; `sizeBytes` of it belong to the guest. `onPlanarUse`: the guest
   * writes to B0000h–BFFFFh while the window is a bank of packed pixels, which a VGA mode alone makes sense of.
   */
  constructor(
    registers: VgaRegisterFile,
    direct: DirectWindow,
    vram: Uint8Array,
    sizeBytes: number,
    onPlanarUse: () => void,
  ) {
    this.#registers = registers;
    this.#direct = direct;
    this.#onPlanarUse = onPlanarUse;
    this.#bytes = vram;
    this.#words = new Int32Array(vram.buffer, vram.byteOffset, vram.byteLength >> 2);
    this.#words16 = new Uint16Array(vram.buffer, vram.byteOffset, vram.byteLength >> 1);
    this.#limitBytes = sizeBytes;
  }

  /** Takes over the sequencer's, the graphics controller's and misc's registers; called after each change of them. */
  refresh(): void {
    const { sr, gr, misc } = this.#registers;
    const isDispi = this.#isDispiPlanar;
    const map = isDispi ? 1 : (gr[R.GR6_MISC] >> 2) & 3;
    const isEnabled = isDispi || (misc & R.MISC_ERAM) !== 0;
    this.#start = mapStarts[map];
    this.#end = isEnabled ? this.#start + mapLengths[map] : 0;
    this.#is128k = map === 0;
    this.#replacesA0 = !isDispi && (gr[R.GR6_MISC] & R.GR6_CHAIN_ODD_EVEN) !== 0;
    this.#isChain4 = !isDispi && (sr[R.SR4_MEMORY_MODE] & R.SR4_CHAIN4) !== 0;
    this.#isOddEvenWrite = !isDispi && (sr[R.SR4_MEMORY_MODE] & R.SR4_SEQUENTIAL) === 0;
    this.#isOddEvenRead = !isDispi && (gr[R.GR5_MODE] & R.GR5_ODD_EVEN) !== 0;
    this.#mapMask = expandedMaps[sr[R.SR2_MAP_MASK] & 15];
    this.#writeMode = gr[R.GR5_MODE] & R.GR5_WRITE_MODE;
    this.#isReadMode1 = (gr[R.GR5_MODE] & R.GR5_READ_MODE_1) !== 0;
    this.#readMap = gr[R.GR4_READ_MAP_SELECT];
    this.#rotate = gr[R.GR3_DATA_ROTATE] & 7;
    this.#function = (gr[R.GR3_DATA_ROTATE] >> 3) & 3;
    this.#bitMask = gr[R.GR8_BIT_MASK];
    this.#setReset = expandedMaps[gr[R.GR0_SET_RESET] & 15];
    this.#enableSetReset = expandedMaps[gr[R.GR1_ENABLE_SET_RESET] & 15];
    this.#colorCompare = expandedMaps[gr[R.GR2_COLOR_COMPARE] & 15];
    this.#colorCare = expandedMaps[gr[R.GR7_COLOR_DONT_CARE] & 15];
    this.#isPlainWrite =
      this.#writeMode === 0 &&
      this.#rotate === 0 &&
      this.#function === 0 &&
      this.#bitMask === 0xff &&
      this.#enableSetReset === 0;
    this.#permitDirect();
  }

  /** Tells whether reads and writes move bytes unchanged and nothing but bytes. */
  #permitDirect(): void {
    const direct = this.#direct;
    if (this.#isPacked) {
      const isWhole = this.#bankBytes + 0x10000 <= this.#limitBytes;
      direct.permit(isWhole ? "packed" : "none", 0, this.#bankBytes >> 16);
      return;
    }
    const isPlain = this.#isPlainWrite && !this.#isReadMode1 && !this.#isDispiPlanar && this.#end > this.#start;
    const length = this.#end - this.#start;
    if (isPlain && this.#isChain4 && length === 0x10000 && this.#mapMask === -1) direct.permit("chain4", 0, 0);
    else if (
      isPlain &&
      !this.#isChain4 &&
      length === 0x8000 &&
      this.#isOddEvenWrite &&
      this.#isOddEvenRead &&
      this.#replacesA0 &&
      (this.#readMap & 2) === 0 &&
      this.#mapMask === 0xffff
    )
      direct.permit("text", this.#start, 0);
    else direct.permit("none", 0, 0);
  }

  /** The guest sees `bank` (64 KiB of packed pixels) at A0000h–AFFFFh. */
  setPacked(bank: number): void {
    this.#isPacked = true;
    this.#bankBytes = bank * 0x10000;
  }
  /** VGA addressing; a 4-bit DISPI mode reaches 64 KiB of each map from `bank` on, else the first 64 KiB. */
  setPlanar(bank: number, isDispi: boolean): void {
    this.#isPacked = false;
    this.#isDispiPlanar = isDispi;
    const addresses = this.#limitBytes >> 2;
    // Video memory is at least 256 KiB; the largest power of two inside it bounds the map addresses.
    this.#addressMask = isDispi ? (1 << (31 - Math.clz32(addresses))) - 1 : 0xffff;
    this.#bankAddress = (bank * 0x10000) & this.#addressMask;
  }

  read(offset: number, size: AccessSize): number {
    this.#direct.noteAccess();
    if (this.#isPacked) return this.#readPacked(offset, size);
    let value = this.#readByte(offset);
    if (size === 1) return value;
    value |= this.#readByte(offset + 1) << 8;
    if (size === 2) return value;
    value |= this.#readByte(offset + 2) << 16;
    return (value | (this.#readByte(offset + 3) << 24)) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#direct.noteAccess();
    if (this.#isPacked) {
      if (offset >= 0x10000) this.#onPlanarUse();
      if (this.#isPacked) {
        this.#writePacked(offset, size, value);
        return;
      }
    }
    this.#writeByte(offset, value & 0xff);
    if (size === 1) return;
    this.#writeByte(offset + 1, (value >>> 8) & 0xff);
    if (size === 2) return;
    this.#writeByte(offset + 2, (value >>> 16) & 0xff);
    this.#writeByte(offset + 3, value >>> 24);
  }

  #readPacked(offset: number, size: AccessSize): number {
    const at = this.#bankBytes + offset;
    if (offset + size > 0x10000 || at + size > this.#limitBytes)
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    if (size === 1) return this.#bytes[at];
    if (size === 4 && (at & 3) === 0) return this.#words[at >> 2] >>> 0;
    if (size === 2 && (at & 1) === 0) return this.#words16[at >> 1];
    let value = this.#bytes[at] | (this.#bytes[at + 1] << 8);
    if (size === 4) value |= (this.#bytes[at + 2] << 16) | (this.#bytes[at + 3] << 24);
    return value >>> 0;
  }

  #writePacked(offset: number, size: AccessSize, value: number): void {
    const at = this.#bankBytes + offset;
    if (offset + size > 0x10000 || at + size > this.#limitBytes) return;
    if (size === 4 && (at & 3) === 0) {
      this.#words[at >> 2] = value;
      return;
    }
    if (size === 2 && (at & 1) === 0) {
      this.#words16[at >> 1] = value;
      return;
    }
    for (let i = 0; i < size; i++) this.#bytes[at + i] = value >>> (8 * i);
  }

  /** The map address of a processor address inside the decoded range. */
  #mapAddress(a: number): number {
    if (this.#isChain4) a = (a & 0xfffc) | ((a >> 14) & 3);
    else if (this.#replacesA0) a = (a & 0xfffe) | (this.#is128k ? (a >> 16) & 1 : 0);
    return ((a & 0xffff) + this.#bankAddress) & this.#addressMask;
  }

  #readByte(offset: number): number {
    const a = offset - this.#start;
    if (a < 0 || offset >= this.#end) return 0xff;
    if (this.#direct.isShadowed) return this.#direct.shadowBytes[a];
    const latch = this.#words[this.#mapAddress(a)];
    this.#registers.latch = latch;
    if (this.#isReadMode1) {
      const differing = (latch ^ this.#colorCompare) & this.#colorCare;
      return ~(differing | (differing >> 8) | (differing >> 16) | (differing >> 24)) & 0xff;
    }
    let map = this.#readMap;
    if (this.#isChain4) map = a & 3;
    else if (this.#isOddEvenRead) map = (map & 2) | (a & 1);
    return (latch >>> (map << 3)) & 0xff;
  }

  #writeByte(offset: number, value: number): void {
    const a = offset - this.#start;
    if (a < 0 || offset >= this.#end) return;
    if (this.#direct.isShadowed) {
      this.#direct.shadowBytes[a] = value;
      return;
    }
    const at = this.#mapAddress(a);
    let mask = this.#mapMask;
    if (this.#isChain4) mask &= 0xff << ((a & 3) << 3);
    else if (this.#isOddEvenWrite) mask &= (a & 1) === 0 ? 0x00ff_00ff : 0xff00_ff00;
    const data = this.#isPlainWrite ? Math.imul(value, 0x0101_0101) : this.#combine(value);
    this.#words[at] = (this.#words[at] & ~mask) | (data & mask);
  }

  /** The graphics controller's data path: what the four maps are offered for the processor's byte. */
  #combine(value: number): number {
    const latch = this.#registers.latch;
    const rotated = ((value >> this.#rotate) | (value << (8 - this.#rotate))) & 0xff;
    let bitMask = this.#bitMask;
    let data: number;
    switch (this.#writeMode) {
      case 0:
        data = Math.imul(rotated, 0x0101_0101);
        data = (data & ~this.#enableSetReset) | (this.#setReset & this.#enableSetReset);
        break;
      case 1:
        return latch;
      case 2:
        data = expandedMaps[value & 15];
        break;
      default:
        data = this.#setReset;
        bitMask &= rotated;
    }
    if (this.#function === 1) data &= latch;
    else if (this.#function === 2) data |= latch;
    else if (this.#function === 3) data ^= latch;
    const masks = Math.imul(bitMask, 0x0101_0101);
    return (data & masks) | (latch & ~masks);
  }
}
