/**
 * What is plugged into a port: a USB device as its bus sees it (USB 1.1, chapters 8 and 9). The default control pipe with
 * its standard requests is here; what the device is for, in the function behind it.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

/** The answer to a packet: data (or, for OUT and SETUP, that it was taken), not now, not ever, or nobody there. */
export type UsbAnswer = Uint8Array | "ack" | "nak" | "stall" | "silence";

/** A control request, USB 1.1 section 9.3. */
export interface ControlRequest {
  readonly type: number;
  readonly request: number;
  readonly value: number;
  readonly index: number;
  readonly length: number;
}

export interface UsbFunction {
  readonly name: string;
  readonly deviceDescriptor: Uint8Array;
  readonly configurationDescriptor: Uint8Array;
  /** From index 1 on. */
  readonly strings: readonly string[];
  /** Bus reset, or another configuration. */
  reset(): void;
  /** Class requests and descriptors of interfaces: data for the host, "ack" if there is none, undefined: refused. */
  control(request: ControlRequest, data: Uint8Array): Uint8Array | "ack" | undefined;
  /** The host asks the interrupt endpoint: a report, or undefined if there is nothing new. */
  poll(): Uint8Array | undefined;
  /** `poll` would give something. */
  readonly hasReport: boolean;
  save(): { readonly [key: string]: SavedValue };
  load(state: StateReader): void;
}

const GET_STATUS = 0;
const CLEAR_FEATURE = 1;
const SET_FEATURE = 3;
const SET_ADDRESS = 5;
const GET_DESCRIPTOR = 6;
const GET_CONFIGURATION = 8;
const SET_CONFIGURATION = 9;
const GET_INTERFACE = 10;
const SET_INTERFACE = 11;
const FEATURE_REMOTE_WAKEUP = 1;
const TO_HOST = 0x80;
const TYPE_MASK = 0x60;
const RECIPIENT_MASK = 0x1f;
const DESCRIPTOR_DEVICE = 1;
const DESCRIPTOR_CONFIGURATION = 2;
const DESCRIPTOR_STRING = 3;
const ENGLISH = 0x0409;
/** Of the control pipe, both devices' and hosts'. */
const CONTROL_PACKET_BYTES = 8;
const MAX_CONTROL_BYTES = 4096;
const NOTHING = new Uint8Array(0);

export class UsbDevice {
  readonly function: UsbFunction;
  /** As the host sees it: 0 until it has given another one. */
  address = 0;
  #configuration = 0;
  #canWake = false;
  /** The request under way: its data for the host, what has been sent of them, or what has come. */
  #request: ControlRequest | undefined;
  #data: Uint8Array = NOTHING;
  #at = 0;
  #isStalled = false;

  constructor(usbFunction: UsbFunction) {
    this.function = usbFunction;
  }

  get isConfigured(): boolean {
    return this.#configuration !== 0;
  }
  /** The host wants to be woken by it. */
  get canWake(): boolean {
    return this.#canWake;
  }

  busReset(): void {
    this.address = 0;
    this.#configuration = 0;
    this.#canWake = false;
    this.#request = undefined;
    this.#isStalled = false;
    this.function.reset();
  }

  /** SETUP: always taken, and begins anew. */
  setup(packet: Uint8Array): UsbAnswer {
    if (packet.length !== 8) return "silence";
    const word = (at: number) => packet[at] | (packet[at + 1] << 8);
    const request = { type: packet[0], request: packet[1], value: word(2), index: word(4), length: word(6) };
    this.#request = request;
    this.#isStalled = false;
    this.#at = 0;
    this.#data = NOTHING;
    if ((request.type & TO_HOST) !== 0) {
      const answer = this.#answer(request, NOTHING);
      if (answer === undefined) this.#isStalled = true;
      else if (answer !== "ack") this.#data = answer.subarray(0, request.length);
    } else if (request.length > MAX_CONTROL_BYTES) this.#isStalled = true;
    else this.#data = new Uint8Array(request.length);
    return "ack";
  }

  in(endpoint: number): UsbAnswer {
    if (endpoint === 1) {
      if (!this.isConfigured) return "stall";
      return this.function.poll() ?? "nak";
    }
    if (endpoint !== 0) return "stall";
    const request = this.#request;
    if (request === undefined || this.#isStalled) return "stall";
    if ((request.type & TO_HOST) !== 0) {
      const part = this.#data.subarray(this.#at, this.#at + CONTROL_PACKET_BYTES);
      this.#at += part.length;
      return part;
    }
    // The status stage of a request without data for the host: only now it is carried out.
    if (this.#answer(request, this.#data.subarray(0, this.#at)) === undefined) {
      this.#isStalled = true;
      return "stall";
    }
    if (request.type === 0 && request.request === SET_ADDRESS) this.address = request.value & 0x7f;
    this.#request = undefined;
    return NOTHING;
  }

  out(endpoint: number, packet: Uint8Array): UsbAnswer {
    if (endpoint !== 0) return "stall";
    const request = this.#request;
    if (request === undefined || this.#isStalled) return "stall";
    if ((request.type & TO_HOST) !== 0) {
      // The status stage of a read.
      this.#request = undefined;
      return "ack";
    }
    if (this.#at + packet.length > this.#data.length) return "stall";
    this.#data.set(packet, this.#at);
    this.#at += packet.length;
    return "ack";
  }

  #answer(request: ControlRequest, data: Uint8Array): Uint8Array | "ack" | undefined {
    const { type, value } = request;
    const isToDevice = (type & RECIPIENT_MASK) === 0;
    if ((type & TYPE_MASK) !== 0 || (request.request === GET_DESCRIPTOR && !isToDevice))
      return this.function.control(request, data);
    switch (request.request) {
      case GET_STATUS:
        return Uint8Array.of(isToDevice && this.#canWake ? 2 : 0, 0);
      case CLEAR_FEATURE:
      case SET_FEATURE:
        if (isToDevice && value === FEATURE_REMOTE_WAKEUP) this.#canWake = request.request === SET_FEATURE;
        return "ack";
      case SET_ADDRESS:
        return "ack";
      case GET_DESCRIPTOR:
        return this.#descriptor(value >> 8, value & 0xff);
      case GET_CONFIGURATION:
        return Uint8Array.of(this.#configuration);
      case SET_CONFIGURATION:
        if (value > 1) return undefined;
        this.#configuration = value;
        this.function.reset();
        return "ack";
      case GET_INTERFACE:
        return Uint8Array.of(0);
      case SET_INTERFACE:
        return value === 0 ? "ack" : undefined;
      default:
        return undefined;
    }
  }

  #descriptor(type: number, index: number): Uint8Array | undefined {
    const { deviceDescriptor, configurationDescriptor, strings } = this.function;
    if (type === DESCRIPTOR_DEVICE) return deviceDescriptor;
    if (type === DESCRIPTOR_CONFIGURATION && index === 0) return configurationDescriptor;
    if (type !== DESCRIPTOR_STRING) return undefined;
    if (index === 0) return Uint8Array.of(4, DESCRIPTOR_STRING, ENGLISH & 0xff, ENGLISH >> 8);
    const text = strings[index - 1];
    if (text === undefined) return undefined;
    const bytes = [2 + 2 * text.length, DESCRIPTOR_STRING];
    for (let i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 0xff, text.charCodeAt(i) >> 8);
    return Uint8Array.from(bytes);
  }

  save(): { readonly [key: string]: SavedValue } {
    const { type = 0, request = 0, value = 0, index = 0, length = 0 } = this.#request ?? {};
    return {
      address: this.address,
      configuration: this.#configuration,
      canWake: this.#canWake,
      hasRequest: this.#request !== undefined,
      request: [type, request, value, index, length],
      dataBytes: this.#data.length,
      data: this.#data.slice(),
      at: this.#at,
      isStalled: this.#isStalled,
      function: this.function.save(),
    };
  }

  load(state: StateReader): void {
    this.address = state.integer("address", 0, 127);
    this.#configuration = state.integer("configuration", 0, 1);
    this.#canWake = state.boolean("canWake");
    const has = state.boolean("hasRequest");
    const [type, request, value, index, length] = state.integers("request", 5, 5, 0, 0xffff);
    this.#request = has ? { type, request, value, index, length } : undefined;
    const bytes = state.integer("dataBytes", 0, MAX_CONTROL_BYTES);
    this.#data = state.bytes("data", bytes);
    this.#at = state.integer("at", 0, bytes);
    this.#isStalled = state.boolean("isStalled");
    this.function.load(state.child("function"));
    state.end();
  }
}
