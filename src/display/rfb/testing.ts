/**
 * An RFB client for tests, written from the protocol's text and independent of the server's encoders: decodes every
 * encoding that is offered into a picture of red, green, blue.
 */
import { constants, createDeflate, inflateSync } from "node:zlib";
import type { PointerShape } from "../../backend-api/display.ts";
import type { Frame } from "../frame.ts";
import type { HostTimer, ScreenSource } from "../shared-screen.ts";

const text = new TextDecoder("latin1");

/** What the client asks for: 32-bit pixels with red lowest, as nearly every viewer. */
export interface TestFormat {
  readonly bits: 8 | 16 | 32;
  readonly depth: number;
  readonly isBigEndian: boolean;
  readonly isMapped?: boolean;
  readonly max: readonly [number, number, number];
  readonly shift: readonly [number, number, number];
}

export const rgb32: TestFormat = { bits: 32, depth: 24, isBigEndian: false, max: [255, 255, 255], shift: [0, 8, 16] };

export class RfbTestClient {
  readonly #send: (bytes: Uint8Array) => void;
  #input = new Uint8Array(0);
  #wake: () => void = () => {};
  #isEnded = false;
  #format = rgb32;
  #map: number[][] = [];
  readonly #zlib: { input: Uint8Array[]; given: number }[] = Array.from({ length: 5 }, () => ({ input: [], given: 0 }));
  name = "";
  width = 0;
  height = 0;
  /** Three bytes a pixel. */
  rgb = new Uint8Array(0);
  leds = -1;
  cursor?: {
    readonly hotX: number;
    readonly hotY: number;
    readonly width: number;
    readonly height: number;
    readonly rgb: readonly (readonly number[])[];
    readonly isSolid: readonly boolean[];
  };
  hasKeyExtension = false;
  isContinuousOffered = false;
  /** Rectangles by encoding, since the beginning. */
  readonly rects = new Map<number, number>();
  updates = 0;
  bytesReceived = 0;
  /** ExtendedDesktopSize rectangles: reason and status. */
  readonly sizes: (readonly [number, number])[] = [];
  fences = 0;
  answersFences = true;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  receive(bytes: Uint8Array): void {
    this.bytesReceived += bytes.length;
    this.#input = Buffer.concat([this.#input, bytes]);
    this.#wake();
  }
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }
  get isEnded(): boolean {
    return this.#isEnded;
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#input.length < length) {
      if (this.#isEnded) throw new Error(`the connection ended, ${this.#input.length} of ${length} bytes are there`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return Buffer.from(bytes);
  }
  async #u8(): Promise<number> {
    return (await this.#take(1))[0];
  }
  async #u16(): Promise<number> {
    return (await this.#take(2)).readUInt16BE();
  }
  async #u32(): Promise<number> {
    return (await this.#take(4)).readUInt32BE();
  }
  async #text(): Promise<string> {
    return text.decode(await this.#take(await this.#u32()));
  }

  /** `answer` makes the response to a VNC challenge; throws with the server's reason when it is refused. */
  async handshake(answer?: (challenge: Uint8Array) => Uint8Array, isShared = true, minor = 8): Promise<void> {
    const version = text.decode(await this.#take(12));
    if (version !== "RFB 003.008\n") throw new Error(`version ${version}`);
    this.#send(Buffer.from(`RFB 003.00${minor}\n`));
    let type: number;
    if (minor >= 7) {
      const types = await this.#take(await this.#u8());
      type = types[0];
      if (types.length === 0) throw new Error(await this.#text());
      this.#send(Uint8Array.of(type));
    } else type = await this.#u32();
    if (type === 2) {
      if (answer === undefined) throw new Error("a password is wanted");
      this.#send(answer(await this.#take(16)));
    }
    if ((type === 2 || minor === 8) && (await this.#u32()) !== 0)
      throw new Error(minor === 8 ? await this.#text() : "refused");
    this.#send(Uint8Array.of(isShared ? 1 : 0));
    this.#setSize(await this.#u16(), await this.#u16());
    await this.#take(16);
    this.name = await this.#text();
  }

  #setSize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.rgb = new Uint8Array(width * height * 3);
  }

  setFormat(format: TestFormat): void {
    this.#format = format;
    const { bits, depth, isBigEndian, isMapped = false, max, shift } = format;
    const message = Buffer.alloc(20);
    message.set([bits, depth, isBigEndian ? 1 : 0, isMapped ? 0 : 1], 4);
    for (let i = 0; i < 3; i++) message.writeUInt16BE(max[i], 8 + 2 * i);
    message.set(shift, 14);
    this.#send(message);
  }
  setEncodings(...encodings: number[]): void {
    const message = Buffer.alloc(4 + 4 * encodings.length);
    message[0] = 2;
    message.writeUInt16BE(encodings.length, 2);
    for (const [i, encoding] of encodings.entries()) message.writeInt32BE(encoding, 4 + 4 * i);
    this.#send(message);
  }
  request(isIncremental: boolean): void {
    const message = Buffer.from([3, isIncremental ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt16BE(this.width, 6);
    message.writeUInt16BE(this.height, 8);
    this.#send(message);
  }
  continuous(isOn: boolean): void {
    const message = Buffer.from([150, isOn ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt16BE(this.width, 6);
    message.writeUInt16BE(this.height, 8);
    this.#send(message);
  }
  key(keysym: number, isDown: boolean): void {
    const message = Buffer.from([4, isDown ? 1 : 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt32BE(keysym, 4);
    this.#send(message);
  }
  /** QEMU's extension. */
  scancode(code: number, isDown: boolean, keysym = 0): void {
    const message = Buffer.from([255, 0, 0, isDown ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, code]);
    message.writeUInt32BE(keysym, 4);
    this.#send(message);
  }
  pointer(x: number, y: number, buttons: number): void {
    this.#send(Uint8Array.of(5, buttons, x >> 8, x, y >> 8, y));
  }
  setDesktopSize(width: number, height: number): void {
    const message = Buffer.alloc(24);
    message[0] = 251;
    message[6] = 1;
    message.writeUInt16BE(width, 2);
    message.writeUInt16BE(height, 4);
    this.#send(message);
  }

  /** Reads messages until an update has been taken. */
  async update(): Promise<void> {
    const before = this.updates;
    while (this.updates === before) await this.message();
  }

  /** Asks and waits until the update is there. */
  async refresh(isIncremental = false): Promise<void> {
    this.request(isIncremental);
    await this.update();
  }

  async message(): Promise<void> {
    const type = await this.#u8();
    switch (type) {
      case 0: {
        await this.#take(1);
        const count = await this.#u16();
        for (let i = 0; i < count; i++) await this.#rect();
        this.updates++;
        break;
      }
      case 1: {
        await this.#take(3);
        const count = await this.#u16();
        this.#map = [];
        for (let i = 0; i < count; i++)
          this.#map.push([(await this.#u16()) >> 8, (await this.#u16()) >> 8, (await this.#u16()) >> 8]);
        break;
      }
      case 150:
        this.isContinuousOffered = true;
        break;
      case 248: {
        await this.#take(3);
        const flags = await this.#u32();
        const payload = await this.#take(await this.#u8());
        this.fences++;
        if (flags < 0x8000_0000 || !this.answersFences) break;
        const answer = Buffer.from([248, 0, 0, 0, 0, 0, 0, flags & 7, payload.length, ...payload]);
        this.#send(answer);
        break;
      }
      default:
        throw new Error(`message ${type}`);
    }
  }

  async #rect(): Promise<void> {
    const [x, y, width, height] = [await this.#u16(), await this.#u16(), await this.#u16(), await this.#u16()];
    const encoding = (await this.#u32()) | 0;
    this.rects.set(encoding, (this.rects.get(encoding) ?? 0) + 1);
    const isPixels = encoding >= 0;
    if (isPixels && (x + width > this.width || y + height > this.height || width * height === 0))
      throw new Error(`rectangle ${[x, y, width, height]} on ${this.width} × ${this.height}`);
    switch (encoding) {
      case 0: {
        const bytes = new Reader(await this.#take(width * height * (this.#format.bits / 8)));
        this.#fill(x, y, width, height, () => this.#pixel(bytes));
        break;
      }
      case 1:
        this.#copy(await this.#u16(), await this.#u16(), x, y, width, height);
        break;
      case 5:
        await this.#hextile(x, y, width, height);
        break;
      case 7:
        await this.#tight(x, y, width, height);
        break;
      case 16:
        this.#zrle(new Reader(this.#inflate(4, await this.#take(await this.#u32()))), x, y, width, height);
        break;
      case -223:
        this.#setSize(width, height);
        break;
      case -308: {
        const screens = await this.#u8();
        await this.#take(3 + 16 * screens);
        this.sizes.push([x, y]);
        if (y === 0 && (width !== this.width || height !== this.height)) this.#setSize(width, height);
        break;
      }
      case -239: {
        const bytes = new Reader(await this.#take(width * height * (this.#format.bits / 8)));
        const rgb = Array.from({ length: width * height }, () => this.#pixel(bytes));
        const stride = (width + 7) >> 3;
        const mask = await this.#take(stride * height);
        const isSolid = rgb.map(
          (_, i) => (mask[Math.floor(i / width) * stride + ((i % width) >> 3)] & (0x80 >> ((i % width) & 7))) !== 0,
        );
        this.cursor = { hotX: x, hotY: y, width, height, rgb, isSolid };
        break;
      }
      case -258:
        this.hasKeyExtension = true;
        break;
      case -261:
        this.leds = await this.#u8();
        break;
      default:
        throw new Error(`encoding ${encoding}`);
    }
  }

  #inflate(stream: number, bytes: Uint8Array): Uint8Array {
    const state = this.#zlib[stream];
    state.input.push(bytes);
    // From the stream's beginning each time: slow, and without state that could hide a mistake.
    const all = inflateSync(Buffer.concat(state.input), { finishFlush: constants.Z_SYNC_FLUSH });
    const fresh = all.subarray(state.given);
    state.given = all.length;
    return fresh;
  }

  #put(x: number, y: number, color: readonly number[]): void {
    this.rgb.set(color, (y * this.width + x) * 3);
  }
  #fill(x: number, y: number, width: number, height: number, next: () => readonly number[]): void {
    for (let row = y; row < y + height; row++)
      for (let column = x; column < x + width; column++) this.#put(column, row, next());
  }
  #copy(fromX: number, fromY: number, x: number, y: number, width: number, height: number): void {
    const old = this.rgb.slice();
    let at = 0;
    this.#fill(x, y, width, height, () => {
      const source = ((fromY + Math.floor(at / width)) * this.width + fromX + (at++ % width)) * 3;
      return [old[source], old[source + 1], old[source + 2]];
    });
  }

  #decode(value: number): readonly number[] {
    const { isMapped, max, shift } = this.#format;
    if (isMapped) return this.#map[value];
    return max.map((limit, i) => Math.round((((value / 2 ** shift[i]) & limit) * 255) / limit));
  }
  /** A whole pixel. */
  #pixel(bytes: Reader): readonly number[] {
    return this.#decode(bytes.value(this.#format.bits / 8, this.#format.isBigEndian));
  }
  /** ZRLE's compact pixel: three bytes of four where one is always 0. */
  #cpixel(bytes: Reader): readonly number[] {
    const { bits, depth, isBigEndian, max, shift } = this.#format;
    if (bits !== 32 || depth > 24) return this.#pixel(bytes);
    const used = max.reduce((sum, limit, i) => sum + limit * 2 ** shift[i], 0);
    if (used < 2 ** 24) return this.#decode(bytes.value(3, isBigEndian));
    if (used % 256 === 0) return this.#decode(bytes.value(3, isBigEndian) * 256);
    return this.#pixel(bytes);
  }
  get #tpixelBytes(): number {
    const { bits, depth, max } = this.#format;
    return bits === 32 && depth === 24 && max.every((limit) => limit === 255) ? 3 : bits / 8;
  }
  #tpixel(bytes: Reader): readonly number[] {
    return this.#tpixelBytes === 3 ? [...bytes.take(3)] : this.#pixel(bytes);
  }

  async #hextile(x: number, y: number, width: number, height: number): Promise<void> {
    let [background, foreground]: (readonly number[])[] = [[], []];
    const pixel = async () => this.#pixel(new Reader(await this.#take(this.#format.bits / 8)));
    for (let top = y; top < y + height; top += 16) {
      for (let left = x; left < x + width; left += 16) {
        const w = Math.min(16, x + width - left);
        const h = Math.min(16, y + height - top);
        const mask = await this.#u8();
        if (mask & 1) {
          const bytes = new Reader(await this.#take(w * h * (this.#format.bits / 8)));
          this.#fill(left, top, w, h, () => this.#pixel(bytes));
          background = [];
          continue;
        }
        if (mask & 2) background = await pixel();
        if (mask & 4) foreground = await pixel();
        if (background.length === 0) throw new Error("a tile without background");
        this.#fill(left, top, w, h, () => background);
        const count = mask & 8 ? await this.#u8() : 0;
        for (let i = 0; i < count; i++) {
          const color = mask & 16 ? await pixel() : foreground;
          const [at, size] = await this.#take(2);
          const [sx, sy, sw, sh] = [at >> 4, at & 15, (size >> 4) + 1, (size & 15) + 1];
          if (sx + sw > w || sy + sh > h) throw new Error("a subrectangle outside its tile");
          this.#fill(left + sx, top + sy, sw, sh, () => color);
        }
      }
    }
  }

  #zrle(bytes: Reader, x: number, y: number, width: number, height: number): void {
    for (let top = y; top < y + height; top += 64) {
      for (let left = x; left < x + width; left += 64) {
        const w = Math.min(64, x + width - left);
        const h = Math.min(64, y + height - top);
        const kind = bytes.u8();
        const size = kind & 0x7f;
        const palette = Array.from({ length: kind === 0 || kind === 128 ? 0 : size }, () => this.#cpixel(bytes));
        const length = () => {
          let total = 1;
          for (let part = 255; part === 255; ) total += part = bytes.u8();
          return total;
        };
        if (kind === 0) this.#fill(left, top, w, h, () => this.#cpixel(bytes));
        else if (kind === 1) this.#fill(left, top, w, h, () => palette[0]);
        else if (kind >= 2 && kind <= 16) {
          const bits = kind === 2 ? 1 : kind <= 4 ? 2 : 4;
          this.#packed(bytes, left, top, w, h, bits, palette);
        } else if (kind === 128 || kind >= 130) {
          let color: readonly number[] = [];
          let rest = 0;
          this.#fill(left, top, w, h, () => {
            if (rest === 0) {
              if (kind === 128) {
                color = this.#cpixel(bytes);
                rest = length();
              } else {
                const index = bytes.u8();
                color = palette[index & 0x7f];
                rest = index & 0x80 ? length() : 1;
              }
            }
            rest--;
            return color;
          });
          if (rest !== 0) throw new Error("a run beyond its tile");
        } else throw new Error(`ZRLE tile ${kind}`);
      }
    }
    if (bytes.left !== 0) throw new Error(`${bytes.left} bytes left over`);
  }

  #packed(
    bytes: Reader,
    x: number,
    y: number,
    width: number,
    height: number,
    bits: number,
    palette: (readonly number[])[],
  ): void {
    for (let row = 0; row < height; row++) {
      let byte = 0;
      for (let column = 0; column < width; column++) {
        const at = (column * bits) % 8;
        if (at === 0) byte = bytes.u8();
        this.#put(x + column, y + row, palette[(byte >> (8 - bits - at)) & ((1 << bits) - 1)]);
      }
    }
  }

  async #tight(x: number, y: number, width: number, height: number): Promise<void> {
    if (width > 2048) throw new Error("a rectangle too wide for Tight");
    const control = await this.#u8();
    if ((control & 15) !== 0) throw new Error("stream resets are not used");
    const size = this.#tpixelBytes;
    if (control >> 4 === 8) {
      const color = this.#tpixel(new Reader(await this.#take(size)));
      this.#fill(x, y, width, height, () => color);
      return;
    }
    if (control & 0x80) throw new Error(`Tight control ${control}`);
    const filter = control & 0x40 ? await this.#u8() : 0;
    let palette: (readonly number[])[] = [];
    let dataBytes = width * height * size;
    if (filter === 1) {
      const colors = (await this.#u8()) + 1;
      const bytes = new Reader(await this.#take(colors * size));
      palette = Array.from({ length: colors }, () => this.#tpixel(bytes));
      dataBytes = colors === 2 ? Math.ceil(width / 8) * height : width * height;
    } else if (filter !== 0) throw new Error(`Tight filter ${filter}`);
    let data: Uint8Array;
    if (dataBytes < 12) data = await this.#take(dataBytes);
    else {
      let length = 0;
      for (let i = 0; i < 3; i++) {
        const byte = await this.#u8();
        length |= (i === 2 ? byte : byte & 0x7f) << (7 * i);
        if ((byte & 0x80) === 0) break;
      }
      data = this.#inflate((control >> 4) & 3, await this.#take(length));
    }
    if (data.length !== dataBytes) throw new Error(`${data.length} bytes of Tight data, not ${dataBytes}`);
    const bytes = new Reader(data);
    if (palette.length === 2) this.#packed(bytes, x, y, width, height, 1, palette);
    else if (palette.length > 0) this.#fill(x, y, width, height, () => palette[bytes.u8()]);
    else this.#fill(x, y, width, height, () => this.#tpixel(bytes));
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  u8(): number {
    return this.take(1)[0];
  }
  take(length: number): Uint8Array {
    if (length > this.left) throw new Error("not enough bytes");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  value(length: number, isBigEndian: boolean): number {
    const bytes = [...this.take(length)];
    if (!isBigEndian) bytes.reverse();
    return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  }
}

/** A compressor for connections under test: what zlib makes of all bytes so far, less what it made before. */
export class TestDeflate {
  static open = 0;
  readonly #deflate;
  constructor(level: number) {
    TestDeflate.open++;
    this.#deflate = createDeflate({ level });
  }
  compress(bytes: Uint8Array): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    const collect = (part: Uint8Array) => parts.push(part);
    this.#deflate.on("data", collect);
    this.#deflate.write(bytes);
    return new Promise((resolve) =>
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () =>
        setImmediate(() => {
          this.#deflate.off("data", collect);
          resolve(Buffer.concat(parts));
        }),
      ),
    );
  }
  close(): void {
    TestDeflate.open--;
    this.#deflate.close();
  }
}

/** Host time under a test's control. */
export class TestTimer implements HostTimer {
  ms = 0;
  readonly #due = new Set<{ atMs: number; fire: () => void }>();
  nowMs(): number {
    return this.ms;
  }
  after(delayMs: number, fire: () => void): () => void {
    const entry = { atMs: this.ms + delayMs, fire };
    this.#due.add(entry);
    return () => void this.#due.delete(entry);
  }
  get armed(): number {
    return this.#due.size;
  }
  /** Lets time pass in steps, with room for what the timers set off. */
  async advance(ms: number): Promise<void> {
    for (const endMs = this.ms + ms; this.ms < endMs; ) {
      this.ms++;
      for (const entry of [...this.#due]) {
        if (entry.atMs > this.ms) continue;
        this.#due.delete(entry);
        entry.fire();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** A screen that a test paints on. */
export class TestScreen implements ScreenSource {
  #frame: Frame;
  leds = 0;
  pointer: PointerShape | undefined;
  looks = 0;
  constructor(widthPixels: number, heightPixels: number) {
    this.#frame = { widthPixels, heightPixels, pixels: new Int32Array(widthPixels * heightPixels) };
  }
  get frame(): Frame {
    return this.#frame;
  }
  /** A new picture: a copy of the last one that `change` has painted on. */
  paint(change: (frame: Frame) => void): void {
    this.#frame = { ...this.#frame, pixels: this.#frame.pixels.slice() };
    change(this.#frame);
  }
  resize(widthPixels: number, heightPixels: number): void {
    this.#frame = { widthPixels, heightPixels, pixels: new Int32Array(widthPixels * heightPixels) };
  }
  async look(): Promise<Frame> {
    this.looks++;
    return this.#frame;
  }
}

/** The picture as the client should have it. */
export function rgbOf(frame: Frame): Uint8Array {
  const rgb = new Uint8Array(frame.pixels.length * 3);
  for (const [i, pixel] of frame.pixels.entries())
    rgb.set([pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255], i * 3);
  return rgb;
}
