/**
 * Human interface devices (USB HID 1.11): a tablet with absolute places, a mouse, a keyboard. Each has one interface with one
 * interrupt endpoint (1 IN, 8 bytes), and says by its report descriptor what its reports mean. The ids are VirtualBox's,
 * as guests may have drivers bound to them.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import type { ControlRequest, UsbFunction } from "./usb-device.ts";

const GET_REPORT = 1;
const GET_IDLE = 2;
const GET_PROTOCOL = 3;
const SET_REPORT = 9;
const SET_IDLE = 10;
const SET_PROTOCOL = 11;
const GET_DESCRIPTOR = 6;
const DESCRIPTOR_HID = 0x21;
const DESCRIPTOR_REPORT = 0x22;
const CLASS_OUT = 0x21;
const CLASS_IN = 0xa1;
const INTERFACE_IN = 0x81;

export interface HidDescription {
  readonly name: string;
  readonly productId: number;
  /** Boot interface: 0 none, 1 keyboard, 2 mouse. */
  readonly bootProtocol: 0 | 1 | 2;
  readonly report: readonly number[];
  /** How often the host is to ask. */
  readonly intervalMs: number;
}

/** What all of them share; subclasses make reports. */
export abstract class Hid implements UsbFunction {
  readonly name: string;
  readonly deviceDescriptor: Uint8Array;
  readonly configurationDescriptor: Uint8Array;
  readonly strings: readonly string[];
  readonly #report: Uint8Array;
  readonly #hid: Uint8Array;
  #idle = 0;
  #protocol = 1;

  constructor({ name, productId, bootProtocol, report, intervalMs }: HidDescription) {
    this.name = name;
    this.strings = ["Anneau", name];
    this.#report = Uint8Array.from(report);
    // biome-ignore format: one field a line or group
    this.deviceDescriptor = Uint8Array.of(
      18, 1, 0x10, 0x01, 0, 0, 0, 8,
      0xee, 0x80, productId & 0xff, productId >> 8, 0x00, 0x01,
      1, 2, 0, 1,
    );
    this.#hid = Uint8Array.of(
      9,
      DESCRIPTOR_HID,
      0x11,
      0x01,
      0,
      1,
      DESCRIPTOR_REPORT,
      report.length & 0xff,
      report.length >> 8,
    );
    // biome-ignore format: configuration, interface, HID, endpoint
    this.configurationDescriptor = Uint8Array.of(
      9, 2, 34, 0, 1, 1, 0, 0xa0, 50,
      9, 4, 0, 0, 1, 3, bootProtocol === 0 ? 0 : 1, bootProtocol, 0,
      ...this.#hid,
      7, 5, 0x81, 3, 8, 0, intervalMs,
    );
  }

  abstract readonly hasReport: boolean;
  abstract poll(): Uint8Array | undefined;
  /** The state of everything, for a host that asks outside of the endpoint. */
  protected abstract currentReport(): Uint8Array;
  protected abstract resetReports(): void;
  protected abstract saveReports(): { readonly [key: string]: SavedValue };
  protected abstract loadReports(state: StateReader): void;
  /** Lights of a keyboard. */
  protected setReport(_data: Uint8Array): void {}

  reset(): void {
    this.#idle = 0;
    this.#protocol = 1;
    this.resetReports();
  }

  control(request: ControlRequest, data: Uint8Array): Uint8Array | "ack" | undefined {
    const { type, value } = request;
    if (type === INTERFACE_IN && request.request === GET_DESCRIPTOR) {
      if (value >> 8 === DESCRIPTOR_HID) return this.#hid;
      return value >> 8 === DESCRIPTOR_REPORT ? this.#report : undefined;
    }
    if (type === CLASS_IN) {
      if (request.request === GET_REPORT) return this.currentReport();
      if (request.request === GET_IDLE) return Uint8Array.of(this.#idle);
      return request.request === GET_PROTOCOL ? Uint8Array.of(this.#protocol) : undefined;
    }
    if (type !== CLASS_OUT) return undefined;
    if (request.request === SET_REPORT) this.setReport(data);
    else if (request.request === SET_IDLE) this.#idle = value >> 8;
    else if (request.request === SET_PROTOCOL) this.#protocol = value & 1;
    else return undefined;
    return "ack";
  }

  save(): { readonly [key: string]: SavedValue } {
    return { idle: this.#idle, protocol: this.#protocol, reports: this.saveReports() };
  }
  load(state: StateReader): void {
    this.#idle = state.byte("idle");
    this.#protocol = state.integer("protocol", 0, 1);
    const reports = state.child("reports");
    this.loadReports(reports);
    reports.end();
    state.end();
  }
}

/** Reports that wait for the host to ask; when there are too many, the newest replaces the last one. */
export class ReportQueue {
  readonly #limit: number;
  readonly #bytes: number;
  #reports: Uint8Array[] = [];

  constructor(bytes: number, limit: number) {
    this.#bytes = bytes;
    this.#limit = limit;
  }
  get length(): number {
    return this.#reports.length;
  }
  get last(): Uint8Array | undefined {
    return this.#reports.at(-1);
  }
  clear(): void {
    this.#reports = [];
  }
  push(report: Uint8Array): void {
    if (this.#reports.length >= this.#limit) this.#reports.pop();
    this.#reports.push(report);
  }
  replaceLast(report: Uint8Array): void {
    this.#reports[this.#reports.length - 1] = report;
  }
  shift(): Uint8Array | undefined {
    return this.#reports.shift();
  }
  save(): number[] {
    return this.#reports.flatMap((report) => [...report]);
  }
  load(bytes: readonly number[]): void {
    this.#reports = [];
    for (let at = 0; at + this.#bytes <= bytes.length; at += this.#bytes)
      this.#reports.push(Uint8Array.from(bytes.slice(at, at + this.#bytes)));
  }
}
