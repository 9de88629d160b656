/**
 * One viewer: an RFB connection (RFC 6143) over any transport that moves bytes. It owes the client what has changed since the last
 * update and sends it when the client wants it and has taken everything before: a slow viewer skips pictures, and what is
 * kept for it is one bit a tile. Input goes to `input`; keys that are down when the connection ends are released.
 */
import type { Frame, Move, Rect } from "../frame.ts";
import type { ScreenViewer, SharedScreen } from "../shared-screen.ts";
import { TileSet } from "../tile-set.ts";
import { ByteQueue, ByteWriter } from "./bytes.ts";
import { ClientMessages } from "./client-messages.ts";
import { encodeCursor } from "./encode-cursor.ts";
import { encodeCopy, encodeHextile, encodeRaw } from "./encode-plain.ts";
import { encodeTight } from "./encode-tight.ts";
import { encodeZrle } from "./encode-zrle.ts";
import { Handshake, type RfbSecurity } from "./handshake.ts";
import { nativeFormat, PixelTranslator, writeColorMap, writePixelFormat } from "./pixel-format.ts";
import * as R from "./protocol.ts";
import { type DeflateStream, UpdateWriter } from "./update.ts";

/** Where the bytes go. */
export interface RfbTransport {
  /** Takes the bytes; never blocks. They are not changed afterwards. */
  send(bytes: Uint8Array): void;
  /** Given to `send` and not yet taken by the network. */
  readonly unsentBytes: number;
  /** Sends what is left and ends. Called once. */
  close(): void;
}

/** What people do. Coordinates are the screen's. */
export interface RfbInput {
  /** A key by its place: an XT scan code, bit 7 set for those with E0. */
  key(scancode: number, isDown: boolean): void;
  /** A key by its meaning (X11 keysym), from clients that do not know places. */
  keysym(keysym: number, isDown: boolean): void;
  /** Buttons: bit 0 left, 1 middle, 2 right, 3–6 wheel up, down, left, right. */
  pointer(x: number, y: number, buttons: number): void;
  /** This viewer has gone: its keys and buttons are up. */
  release(): void;
}

export interface RfbOptions {
  readonly name: string;
  readonly security: RfbSecurity;
  readonly screen: SharedScreen;
  readonly input: RfbInput;
  readonly transport: RfbTransport;
  /** A zlib stream of `level` 0 to 9. */
  readonly createDeflate: (level: number) => DeflateStream;
  /** The client has proved who it is and wants in. Throw RfbError to refuse. */
  readonly onReady?: (isShared: boolean) => void;
  /** Once, with the reason if the client broke the protocol. */
  readonly onClosed?: (reason?: string) => void;
  /** The client wants the screen to have this size. False: it stays as it is. */
  readonly onSizeWish?: (widthPixels: number, heightPixels: number) => boolean;
}

type Encode = (update: UpdateWriter, frame: Frame, rect: Rect, translator: PixelTranslator) => void;

/** Encodings of pixels, by number. */
const encoders = new Map<number, Encode>([
  [R.RAW, encodeRaw],
  [R.HEXTILE, encodeHextile],
  [R.ZRLE, encodeZrle],
  [R.TIGHT, encodeTight],
]);

/** No update is begun while this much waits to go out. */
const MAX_UNSENT_BYTES = 65_536;
/** A client that makes the server answer and does not read the answers. */
const MAX_UNREAD_BYTES = 1 << 20;
/** Updates under way to a client that can say when it has got one. */
const MAX_FENCES = 3;
const MAX_RECTS = 400;
const DEFAULT_LEVEL = 3;

export class RfbConnection implements ScreenViewer {
  readonly #options: RfbOptions;
  readonly #handshakeInput = new ByteQueue(4096);
  readonly #handshake: Handshake;
  readonly #messages: ClientMessages;
  readonly #streams: (DeflateStream | undefined)[] = [];
  #translator = new PixelTranslator(nativeFormat);
  #encode: Encode = encodeRaw;
  #level = DEFAULT_LEVEL;
  #encodings: ReadonlySet<number> = new Set();
  #damage = new TileSet(0, 0);
  #detach: (() => void) | undefined;
  /** The size that the client knows. */
  #width = 0;
  #height = 0;
  #isClosed = false;
  #isHandshaking = true;
  #isSending = false;
  #isRefreshing = false;
  #isRequested = false;
  #isContinuous = false;
  #hasNewSize = false;
  /** What becomes of the client's wish for a size: [reason, status], to be told. */
  #sizeReply: readonly [number, number] | undefined;
  #hasToldContinuous = false;
  /** Pseudo-rectangles that acknowledge QEMU's keys and tell the lights. */
  #owesKeyExtension = false;
  #owesLeds = false;
  #owesPointer = false;
  #fencesSent = 0;
  #fencesReturned = 0;

  constructor(options: RfbOptions) {
    this.#options = options;
    this.#messages = new ClientMessages({
      setPixelFormat: (format) => {
        this.#translator = new PixelTranslator(format);
        if (!format.isTrueColor) this.#sendColorMap();
        this.#damage.addAll();
      },
      setEncodings: (encodings) => this.#setEncodings(encodings),
      updateRequest: (isIncremental, rect) => {
        if (!isIncremental) this.#damage.addRect(rect);
        this.#isRequested = true;
        this.#sendUpdate();
      },
      keysym: (keysym, isDown) => {
        options.input.keysym(keysym, isDown);
        options.screen.wake();
      },
      key: (scancode, keysym, isDown) => {
        if (scancode > 0 && scancode < 0x100) options.input.key(scancode, isDown);
        else options.input.keysym(keysym, isDown);
        options.screen.wake();
      },
      pointer: (x, y, buttons) => {
        options.input.pointer(Math.min(x, this.#width - 1), Math.min(y, this.#height - 1), buttons);
        options.screen.wake();
      },
      enableContinuousUpdates: (isOn) => {
        if (this.#isContinuous && !isOn) this.#send(Uint8Array.of(R.END_OF_CONTINUOUS_UPDATES));
        this.#isContinuous = isOn;
        this.#sendUpdate();
      },
      fence: (flags, payload) => this.#takeFence(flags, payload),
      setDesktopSize: (width, height) => {
        const isGranted = options.onSizeWish?.(width, height) ?? false;
        this.#sizeReply = [R.SIZE_BY_THIS_CLIENT, isGranted ? R.SIZE_OK : R.SIZE_PROHIBITED];
        this.#sendUpdate();
      },
    });
    this.#handshake = new Handshake(options.security, (bytes) => this.#send(bytes));
  }

  /** The client did not know the password. */
  get hasFailedAuthentication(): boolean {
    return this.#handshake.hasFailed;
  }
  /** Past the handshake. */
  get isReady(): boolean {
    return !this.#isHandshaking && !this.#isClosed;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes from the client. Never throws: a client that breaks the protocol loses its connection. */
  receive(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      if (this.#detach !== undefined) {
        this.#messages.receive(bytes);
        return;
      }
      this.#handshakeInput.push(bytes);
      // What an eager client says before it knows the screen waits.
      if (!this.#isHandshaking || !this.#handshake.receive(this.#handshakeInput)) return;
      this.#isHandshaking = false;
      this.#options.onReady?.(this.#handshake.isShared);
      void this.#begin();
    } catch (error) {
      if (!(error instanceof R.RfbError)) throw error;
      this.close(error.message);
    }
  }

  /** The network has taken everything. */
  drained(): void {
    this.#sendUpdate();
  }

  /** Ends the connection, from either side. */
  close(reason?: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#detach?.();
    if (!this.#isHandshaking) this.#options.input.release();
    if (!this.#isSending) this.#closeStreams();
    this.#options.transport.close();
    this.#options.onClosed?.(reason);
  }

  get isWaiting(): boolean {
    return this.#canSend && this.#damage.isEmpty;
  }

  screenChanged(changed: TileSet, move?: Move, rest?: TileSet): void {
    const canCopy = move && rest && this.isWaiting && this.#encodings.has(R.COPY_RECT) && this.#shows(move);
    this.#damage.addSet(canCopy ? rest : changed);
    this.#sendUpdate(canCopy ? move : undefined);
  }

  screenResized(): void {
    const { widthPixels, heightPixels } = this.#options.screen.frame;
    this.#damage = new TileSet(widthPixels, heightPixels);
    this.#damage.addAll();
    this.#hasNewSize = true;
    this.#sendUpdate();
  }

  pointerChanged(): void {
    this.#owesPointer = this.#encodings.has(R.CURSOR);
    this.#sendUpdate();
  }

  ledsChanged(): void {
    this.#owesLeds = this.#encodings.has(R.QEMU_LED_STATE);
    this.#sendUpdate();
  }

  /** After the handshake: the screen's size and name, once there is a picture. */
  async #begin(): Promise<void> {
    const detach = await this.#options.screen.attach(this);
    if (this.#isClosed) {
      detach();
      return;
    }
    this.#detach = detach;
    const { widthPixels, heightPixels } = this.#options.screen.frame;
    this.#width = widthPixels;
    this.#height = heightPixels;
    this.#damage = new TileSet(widthPixels, heightPixels);
    this.#hasNewSize = false;
    const out = new ByteWriter();
    out.u16(widthPixels);
    out.u16(heightPixels);
    writePixelFormat(out, nativeFormat);
    out.text(this.#options.name);
    this.#send(out.bytes);
    this.receive(this.#handshakeInput.take(this.#handshakeInput.length).slice());
  }

  #setEncodings(encodings: readonly number[]): void {
    this.#encodings = new Set(encodings);
    this.#encode = encoders.get(encodings.find((encoding) => encoders.has(encoding)) ?? R.RAW)!;
    const level = encodings.find((value) => value >= R.COMPRESSION_LEVEL_0 && value <= R.COMPRESSION_LEVEL_9);
    this.#level = level === undefined ? DEFAULT_LEVEL : level - R.COMPRESSION_LEVEL_0;
    this.#owesKeyExtension ||= this.#encodings.has(R.QEMU_EXTENDED_KEY);
    this.#owesLeds ||= this.#encodings.has(R.QEMU_LED_STATE);
    this.#owesPointer ||= this.#encodings.has(R.CURSOR) && this.#options.screen.pointer !== undefined;
    if (this.#encodings.has(R.EXTENDED_DESKTOP_SIZE)) this.#sizeReply ??= [R.SIZE_BY_SERVER, R.SIZE_OK];
    if (this.#hasToldContinuous || !this.#encodings.has(R.CONTINUOUS_UPDATES)) return;
    this.#hasToldContinuous = true;
    this.#send(Uint8Array.of(R.END_OF_CONTINUOUS_UPDATES));
  }

  get #canSend(): boolean {
    return (
      this.#detach !== undefined &&
      !this.#isSending &&
      !this.#isClosed &&
      (this.#isRequested || (this.#isContinuous && this.#fencesSent - this.#fencesReturned < MAX_FENCES)) &&
      this.#options.transport.unsentBytes <= MAX_UNSENT_BYTES
    );
  }

  /** Sends what the client is owed, if it may be sent; else waits for news. */
  #sendUpdate(move?: Move): void {
    if (!this.#canSend) return;
    const { screen } = this.#options;
    if (move === undefined && !this.#damage.isEmpty && !screen.isFresh) {
      void this.#sendFresh();
      return;
    }
    const update = new UpdateWriter();
    const isResize = this.#putSize(update);
    this.#putState(update);
    if (!isResize) {
      if (move) encodeCopy(update, move);
      for (const rect of this.#damage.rects(MAX_RECTS)) {
        const shown = this.#clip(rect);
        if (shown) this.#encode(update, screen.frame, shown, this.#translator);
      }
      this.#damage.clear();
    }
    if (update.rects === 0) {
      screen.expect();
      return;
    }
    this.#isRequested = false;
    void this.#finish(update);
  }

  /** What is owed may have been drawn over meanwhile: looks again first. */
  async #sendFresh(): Promise<void> {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    await this.#options.screen.refresh();
    this.#isRefreshing = false;
    this.#sendUpdate();
  }

  async #finish(update: UpdateWriter): Promise<void> {
    this.#isSending = true;
    try {
      const bytes = await update.finish((index) => this.#stream(index));
      if (!this.#isClosed) for (const part of bytes) this.#send(part);
      if (!this.#isClosed && this.#isContinuous && this.#encodings.has(R.FENCE)) this.#sendFence();
    } catch (error) {
      this.close(`an update failed: ${(error as Error).message}`);
    } finally {
      this.#isSending = false;
    }
    if (this.#isClosed) this.#closeStreams();
    else this.#sendUpdate();
  }

  /** A new size goes alone: the client has to make room first. Clients that cannot follow keep what they have. */
  #putSize(update: UpdateWriter): boolean {
    const { widthPixels, heightPixels } = this.#options.screen.frame;
    const hasChanged = this.#hasNewSize && (widthPixels !== this.#width || heightPixels !== this.#height);
    const isExtended = this.#encodings.has(R.EXTENDED_DESKTOP_SIZE);
    const [reason, status] = this.#sizeReply ?? [R.SIZE_BY_SERVER, R.SIZE_OK];
    if (!hasChanged && !(isExtended && this.#sizeReply)) return false;
    this.#hasNewSize = false;
    this.#sizeReply = undefined;
    if (!isExtended && !this.#encodings.has(R.DESKTOP_SIZE)) return false;
    this.#width = widthPixels;
    this.#height = heightPixels;
    if (!isExtended) {
      update.rect({ x: 0, y: 0, width: widthPixels, height: heightPixels }, R.DESKTOP_SIZE);
      return true;
    }
    update.rect({ x: reason, y: status, width: widthPixels, height: heightPixels }, R.EXTENDED_DESKTOP_SIZE);
    const { out } = update;
    out.u8(1);
    for (let i = 0; i < 3; i++) out.u8(0);
    out.u32(0);
    for (const value of [0, 0, widthPixels, heightPixels]) out.u16(value);
    out.u32(0);
    return hasChanged;
  }

  #putState(update: UpdateWriter): void {
    if (this.#owesKeyExtension) {
      this.#owesKeyExtension = false;
      update.rect({ x: 0, y: 0, width: 0, height: 0 }, R.QEMU_EXTENDED_KEY);
    }
    if (this.#owesPointer) {
      this.#owesPointer = false;
      encodeCursor(update, this.#options.screen.pointer, this.#translator);
    }
    if (this.#owesLeds) {
      this.#owesLeds = false;
      update.rect({ x: 0, y: 0, width: 0, height: 0 }, R.QEMU_LED_STATE);
      update.out.u8(this.#options.screen.leds);
    }
  }

  /** The part of `rect` that the client has room for. */
  #clip({ x, y, width, height }: Rect): Rect | undefined {
    const right = Math.min(x + width, this.#width);
    const bottom = Math.min(y + height, this.#height);
    return x < right && y < bottom ? { x, y, width: right - x, height: bottom - y } : undefined;
  }
  #shows({ x, y, width, height, fromY }: Move): boolean {
    return x + width <= this.#width && Math.max(y, fromY) + height <= this.#height;
  }

  #stream(index: number): DeflateStream {
    this.#streams[index] ??= this.#options.createDeflate(this.#level);
    return this.#streams[index];
  }
  #closeStreams(): void {
    for (const stream of this.#streams.splice(0)) stream?.close();
  }

  #takeFence(flags: number, payload: Uint8Array): void {
    if ((flags & R.FENCE_REQUEST) === 0) {
      this.#fencesReturned = Math.min(this.#fencesSent, this.#fencesReturned + 1);
      this.#sendUpdate();
      return;
    }
    const known = R.FENCE_BLOCK_BEFORE | R.FENCE_BLOCK_AFTER | R.FENCE_SYNC_NEXT;
    this.#putFence(flags & known, payload);
  }

  #sendFence(): void {
    this.#fencesSent++;
    this.#putFence(R.FENCE_REQUEST | R.FENCE_BLOCK_BEFORE, Uint8Array.of(0));
  }

  #putFence(flags: number, payload: Uint8Array): void {
    const out = new ByteWriter();
    out.u8(R.SERVER_FENCE);
    for (let i = 0; i < 3; i++) out.u8(0);
    out.u32(flags >>> 0);
    out.u8(payload.length);
    out.put(payload);
    this.#send(out.bytes);
  }

  #sendColorMap(): void {
    const out = new ByteWriter();
    out.u8(R.SET_COLOUR_MAP_ENTRIES);
    out.u8(0);
    out.u16(0);
    out.u16(256);
    writeColorMap(out);
    this.#send(out.bytes);
  }

  #send(bytes: Uint8Array): void {
    const { transport } = this.#options;
    if (transport.unsentBytes > MAX_UNREAD_BYTES + MAX_UNSENT_BYTES && bytes.length < MAX_UNSENT_BYTES)
      throw new R.RfbError("the client does not read what it asks for");
    transport.send(bytes);
  }
}
