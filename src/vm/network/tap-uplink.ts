/**
 * A switch's way to a TAP device of the host: host-only and bridged networking. The process that serves the switch holds the device; when
 * it ends, the one that takes over opens it. A device that goes away (deleted and made again, socat killed) is tried again, more and more
 * seldom, and said in the log.
 */
import { closeSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { findTapDevice, tapProblem } from "../../config/tap-devices.ts";
import { FrameLimiter } from "./frame-limiter.ts";
import type { SwitchUplink, UplinkPort } from "./internal-network.ts";
import { openTap } from "./tap-open.ts";
import { TapRelay } from "./tap-relay.ts";

const MIN_FRAME_BYTES = 14;
/** Ethernet's head and a VLAN tag around what the device's MTU says. */
const HEAD_BYTES = 18;
const GUEST_MTU = 1500;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;
/** A link that held for so long was well. */
const GOOD_MS = 10_000;
/** How long drops are counted before they are said, for the first time and after that. */
const FIRST_REPORT_MS = 1000;
const REPORT_MS = 60_000;

export interface TapAddress {
  readonly name: string;
  readonly mode: "hostonly" | "bridged";
  /** Starts every line about it: adapter and device. */
  readonly label: string;
}

export class TapUplink implements SwitchUplink {
  readonly #to: TapAddress;
  readonly #port: UplinkPort;
  readonly #log: Logger;
  readonly #limiter = new FrameLimiter(performance.now());
  readonly #abort = new AbortController();
  #descriptor: number | undefined;
  #relay: TapRelay | undefined;
  #maxFrameBytes = 0;
  #reportTimer: NodeJS.Timeout | undefined;
  #reported = 0;

  private constructor(to: TapAddress, port: UplinkPort, log: Logger) {
    this.#to = to;
    this.#port = port;
    this.#log = log;
  }

  /** Rejects with one line that names the device and says what to do; after a take-over it tries again by itself instead. */
  static async open(to: TapAddress, port: UplinkPort, isTakeOver: boolean, log: Logger): Promise<TapUplink> {
    const uplink = new TapUplink(to, port, log);
    if (isTakeOver) void uplink.#keep();
    else {
      await uplink.#connect();
      void uplink.#keep();
    }
    return uplink;
  }

  /** Frames that the host cannot take at once are lost, as on a wire. */
  send(frame: Uint8Array): void {
    const { length } = frame;
    if (this.#descriptor === undefined || length < MIN_FRAME_BYTES || length > this.#maxFrameBytes) return;
    if (isForBridge(frame)) return;
    try {
      writeSync(this.#descriptor, frame);
    } catch {
      // Down (EIO), full (EAGAIN), or gone: then its other half ends and is tried again.
    }
  }

  close(): void {
    this.#abort.abort();
    clearTimeout(this.#reportTimer);
    this.#disconnect();
  }

  /** The process that reads the device. */
  get relayPid(): number | undefined {
    return this.#relay?.pid;
  }

  get #isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  async #connect(): Promise<void> {
    const { name, mode, label } = this.#to;
    const problem = tapProblem(name, mode);
    const device = findTapDevice(name);
    if (problem !== undefined || device === undefined) throw new AnneauError(`${label}: ${problem ?? "it is gone"}`);
    // Nobody else closes it before both are there.
    let descriptor: number | undefined;
    try {
      descriptor = await openTap(device);
      this.#relay = await TapRelay.start(descriptor, (frame) => this.#receive(frame));
    } catch (error) {
      if (descriptor !== undefined) closeSync(descriptor);
      throw new AnneauError(`${label}: ${(error as Error).message}`, { cause: error });
    }
    this.#descriptor = descriptor;
    this.#maxFrameBytes = device.mtu + HEAD_BYTES;
    this.#port.own(Buffer.from(device.macAddress.replaceAll(":", ""), "hex"));
    if (device.mtu > GUEST_MTU)
      this.#log.warn(`${label}: its MTU is ${device.mtu}, machines have ${GUEST_MTU} (ip link set ${name} mtu 1500)`);
    if (this.#isClosed) this.#disconnect();
  }

  #disconnect(): void {
    this.#relay?.close();
    this.#relay = undefined;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** Until it is closed. */
  async #keep(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    let said: string | undefined;
    while (!this.#isClosed) {
      const sinceMs = performance.now();
      try {
        if (this.#relay === undefined) await this.#connect();
        if (said !== undefined) this.#log.info(`${this.#to.label}: connected again`);
        said = undefined;
        const how = await this.#relay?.ended;
        if (this.#isClosed) return;
        throw new AnneauError(`${this.#to.label}: not connected any more (${how}), trying again`);
      } catch (error) {
        const { message } = error as Error;
        this.#disconnect();
        if (this.#isClosed) return;
        if (message !== said) this.#log.error(message);
        said = message;
      }
      if (performance.now() - sinceMs > GOOD_MS) retryMs = FIRST_RETRY_MS;
      await sleep(retryMs, undefined, { ref: false, signal: this.#abort.signal }).catch(() => {});
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    }
  }

  #receive(frame: Uint8Array): void {
    const { length } = frame;
    if (length < MIN_FRAME_BYTES || length > this.#maxFrameBytes || isForBridge(frame)) return;
    if (this.#limiter.allows(frame, performance.now())) this.#port.send(frame);
    else
      this.#reportTimer ??= setTimeout(
        () => this.#report(),
        this.#reported === 0 ? FIRST_REPORT_MS : REPORT_MS,
      ).unref();
  }

  #report(): void {
    this.#reportTimer = undefined;
    const { dropped } = this.#limiter;
    this.#log.warn(`${this.#to.label}: ${dropped - this.#reported} frames dropped, there were too many at once`);
    this.#reported = dropped;
  }
}

/** IEEE 802.1D, 7.12.6: 01:80:C2:00:00:00 to 0F end at a bridge. A machine has no say in the host's spanning tree or link control. */
function isForBridge(frame: Uint8Array): boolean {
  return (
    frame[0] === 0x01 &&
    frame[1] === 0x80 &&
    frame[2] === 0xc2 &&
    frame[3] === 0 &&
    frame[4] === 0 &&
    (frame[5] & 0xf0) === 0
  );
}
