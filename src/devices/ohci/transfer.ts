/**
 * Endpoint and transfer descriptors in guest memory, and packets to and from devices (OpenHCI 1.0a, 4.2, 4.3, 6.4.4). Chains that
 * run in circles end after a bounded number of steps. Isochronous endpoints are passed over: no device here has one.
 */
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import * as R from "./registers.ts";
import type { UsbAnswer, UsbDevice } from "./usb-device.ts";

/** Steps along a list, transfers at one endpoint and packets of one transfer in a frame. */
const MAX_ENDPOINTS = 256;
const MAX_TRANSFERS = 64;
const MAX_PACKETS = 1024;
const PAGE = 0x1000;
const DIRECTION_SETUP = 0;
const DIRECTION_OUT = 1;
const DIRECTION_IN = 2;
/** No transfer waits to be told. */
export const NO_DELAY = 7;

interface Endpoint {
  readonly gpa: number;
  readonly address: number;
  readonly number: number;
  readonly direction: number;
  readonly maxPacket: number;
  head: number;
}

export interface BusAccess {
  /** The enabled device with that address. */
  deviceAt(address: number): UsbDevice | undefined;
  /** The host asked its interrupt endpoint. */
  onPolled(device: UsbDevice): void;
}

export class Transfers {
  readonly #memory: GuestMemory;
  readonly #bus: BusAccess;
  readonly #packet = new Uint8Array(2048);
  /** The done queue's head, and frames until it is to be told. */
  doneHead = 0;
  doneDelay = NO_DELAY;

  constructor(memory: GuestMemory, bus: BusAccess) {
    this.#memory = memory;
    this.#bus = bus;
  }

  reset(): void {
    this.doneHead = 0;
    this.doneDelay = NO_DELAY;
  }

  /** Goes along a list from `head`. `isPeriodic`: one transfer an endpoint. True: there are transfers left. */
  serve(head: number, isPeriodic: boolean): boolean {
    const memory = this.#memory;
    let hasLeft = false;
    let gpa = head;
    for (let steps = 0; gpa !== 0 && steps < MAX_ENDPOINTS; steps++) {
      const control = memory.read32(gpa);
      const tail = memory.read32(gpa + 4) & ~15;
      const next = (memory.read32(gpa + 12) & ~15) >>> 0;
      const endpoint: Endpoint = {
        gpa,
        address: control & 0x7f,
        number: (control >> 7) & 15,
        direction: (control >> 11) & 3,
        maxPacket: (control >> 16) & 0x7ff,
        head: memory.read32(gpa + 8),
      };
      const isOff = (control & (R.ED_SKIP | R.ED_ISOCHRONOUS)) !== 0;
      for (let count = 0; !isOff && count < (isPeriodic ? 1 : MAX_TRANSFERS); count++) {
        if ((endpoint.head & R.ED_HALTED) !== 0 || (endpoint.head & ~15) === tail) break;
        if (!this.#transfer(endpoint)) {
          hasLeft = true;
          break;
        }
        hasLeft = (endpoint.head & R.ED_HALTED) === 0 && (endpoint.head & ~15) !== tail;
      }
      gpa = next;
    }
    return hasLeft;
  }

  /** The transfer at the endpoint's head. False: the device has nothing yet. */
  #transfer(endpoint: Endpoint): boolean {
    const memory = this.#memory;
    const gpa = (endpoint.head & ~15) >>> 0;
    const control = memory.read32(gpa);
    const start = memory.read32(gpa + 4);
    const end = memory.read32(gpa + 12);
    const totalBytes = bufferBytes(start, end);
    const fromTransfer = (control >> 19) & 3;
    const isFixed = endpoint.direction === DIRECTION_OUT || endpoint.direction === DIRECTION_IN;
    const direction = isFixed ? endpoint.direction : fromTransfer;
    let toggle = ((control >> 25) & 1) !== 0 ? (control >> 24) & 1 : (endpoint.head & R.ED_TOGGLE) >> 1;
    const device = this.#bus.deviceAt(endpoint.address);
    let doneBytes = 0;
    let code = -1;
    for (let packets = 0; code < 0 && packets < MAX_PACKETS; packets++) {
      const leftBytes = totalBytes - doneBytes;
      const answer = this.#send(device, endpoint, direction, start, end, doneBytes, leftBytes);
      if (answer === "nak") break;
      if (answer === "stall" || answer === "silence") {
        code = answer === "stall" ? R.CC_STALL : R.CC_NOT_RESPONDING;
        break;
      }
      toggle ^= 1;
      if (answer === "ack") {
        doneBytes += Math.min(endpoint.maxPacket, leftBytes);
        if (doneBytes === totalBytes || endpoint.maxPacket === 0) code = R.CC_NO_ERROR;
        continue;
      }
      this.#copyToGuest(start, end, doneBytes, answer.subarray(0, leftBytes));
      if (answer.length > leftBytes) code = R.CC_DATA_OVERRUN;
      doneBytes += Math.min(answer.length, leftBytes);
      if (code >= 0) break;
      if (doneBytes === totalBytes) code = R.CC_NO_ERROR;
      else if (answer.length < endpoint.maxPacket || endpoint.maxPacket === 0)
        code = (control & R.TD_ROUNDING) !== 0 ? R.CC_NO_ERROR : R.CC_DATA_UNDERRUN;
    }
    const isDone = code >= 0;
    if (!isDone && doneBytes === 0) return false;
    memory.write32(gpa + 4, doneBytes === totalBytes ? 0 : bufferAt(start, end, doneBytes));
    const toggled = (control & ~(0xf << 24)) | ((2 | toggle) << 24);
    if (!isDone) {
      memory.write32(gpa, toggled >>> 0);
      return false;
    }
    memory.write32(gpa, ((toggled & 0x0fff_ffff) | (code << 28)) >>> 0);
    this.#retire(endpoint, gpa, toggle, code, (control >> 21) & 7);
    return true;
  }

  /** Moves a finished transfer from its endpoint to the done queue. An error stops the endpoint. */
  #retire(endpoint: Endpoint, gpa: number, toggle: number, code: number, delay: number): void {
    const memory = this.#memory;
    const next = memory.read32(gpa + 8) & ~15;
    const isError = code !== R.CC_NO_ERROR;
    endpoint.head = (next | (toggle !== 0 ? R.ED_TOGGLE : 0) | (isError ? R.ED_HALTED : 0)) >>> 0;
    memory.write32(endpoint.gpa + 8, endpoint.head);
    memory.write32(gpa + 8, this.doneHead);
    this.doneHead = gpa;
    this.doneDelay = Math.min(this.doneDelay, isError ? 0 : delay);
  }

  #send(
    device: UsbDevice | undefined,
    endpoint: Endpoint,
    direction: number,
    start: number,
    end: number,
    at: number,
    leftBytes: number,
  ): UsbAnswer {
    if (device === undefined) return "silence";
    if (direction === DIRECTION_IN) {
      if (endpoint.number === 1) this.#bus.onPolled(device);
      return device.in(endpoint.number);
    }
    const packet = this.#packet.subarray(0, Math.min(endpoint.maxPacket, leftBytes));
    for (let i = 0; i < packet.length; i++) packet[i] = this.#memory.read8(bufferAt(start, end, at + i));
    if (direction === DIRECTION_SETUP) return endpoint.number === 0 ? device.setup(packet.slice()) : "silence";
    return direction === DIRECTION_OUT ? device.out(endpoint.number, packet) : "silence";
  }

  #copyToGuest(start: number, end: number, at: number, data: Uint8Array): void {
    for (let i = 0; i < data.length; i++) this.#memory.write8(bufferAt(start, end, at + i), data[i]);
  }
}

/** Bytes of a buffer that goes from `start` to `end`, both included, over at most two pages. 0 as `start`: none. */
function bufferBytes(start: number, end: number): number {
  if (start === 0) return 0;
  const isOnePage = start >>> 12 === end >>> 12;
  const bytes = isOnePage ? end - start + 1 : PAGE - (start & 0xfff) + (end & 0xfff) + 1;
  return Math.max(0, bytes);
}

/** Where byte `at` of such a buffer is. */
function bufferAt(start: number, end: number, at: number): number {
  const offset = (start & 0xfff) + at;
  return offset < PAGE ? ((start & ~0xfff) >>> 0) + offset : ((end & ~0xfff) >>> 0) + offset - PAGE;
}
