/** The network side of a card's unit test: keeps what the card sends, holds frames until the card takes them. */
import type { NetBackend } from "../backend-api/net.ts";

export class FakeNet implements NetBackend {
  readonly sent: Uint8Array[] = [];
  readonly waiting: Uint8Array[] = [];
  /** False: the network has no room. */
  hasRoom = true;
  /** How often the card was told "no room". */
  refusals = 0;
  readonly #listeners: (() => void)[] = [];

  send(frame: Uint8Array): boolean {
    if (!this.hasRoom) {
      this.refusals++;
      return false;
    }
    this.sent.push(frame.slice());
    return true;
  }
  get readableBytes(): number {
    return this.waiting[0]?.length ?? 0;
  }
  receive(target: Uint8Array): number {
    const frame = this.waiting.shift();
    if (frame === undefined || frame.length > target.length) return 0;
    target.set(frame);
    return frame.length;
  }
  onEvent(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Frames arrive. */
  deliver(...frames: Uint8Array[]): void {
    this.waiting.push(...frames);
    this.event();
  }
  event(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** An Ethernet frame to `to` (six bytes, or "ff:ff:…") with a recognisable payload. */
export function testFrame(to: string, payloadBytes: number, seed = 1): Uint8Array {
  const frame = new Uint8Array(14 + payloadBytes);
  frame.set(macBytes(to));
  frame.set([0x52, 0x54, 0, 0, 0, seed & 0xff], 6);
  frame.set([0x88, 0xb5], 12);
  for (let i = 0; i < payloadBytes; i++) frame[14 + i] = (i * 7 + seed) & 0xff;
  return frame;
}

export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}
