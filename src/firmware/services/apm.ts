/**
 * APM BIOS 1.2 (Intel/Microsoft, February 1996), INT 15h AH = 53h and the protected-mode interfaces: enough for a system
 * that idles, asks for power status and powers off. There is no battery, no standby and no event but what software asks
 * for. CPU idle returns at once: the entry may be called at any privilege, where HLT is not allowed.
 */
import type { Caller } from "../caller.ts";
import { ROM_SEGMENT } from "../rom/system-rom.ts";
import type { ServiceContext } from "../service-context.ts";

const SIGNATURE = 0x504d;
const DISABLED = 0x01;
const ALREADY_CONNECTED = 0x02;
const NOT_CONNECTED = 0x03;
const ALREADY_CONNECTED_16 = 0x05;
const ALREADY_CONNECTED_32 = 0x07;
const UNKNOWN_DEVICE = 0x09;
const BAD_PARAMETER = 0x0a;
const NOT_ENGAGED = 0x0b;
const NO_EVENTS = 0x80;
const UNSUPPORTED = 0x86;
const APM_BIOS = 0x0000;
const ALL_DEVICES = 0x0001;
const STATE_OFF = 0x0003;

type Connection = "none" | "real" | "protected16" | "protected32";

/** What APM remembers: part of the saved state. */
export class ApmState {
  connection: Connection = "none";
  enabled = true;
  engaged = true;
  /** As the driver negotiated, BCD. */
  version = 0x0100;

  reset(): void {
    this.connection = "none";
    this.enabled = true;
    this.engaged = true;
    this.version = 0x0100;
  }
}

export const apmConnections: readonly Connection[] = ["none", "real", "protected16", "protected32"];

/** AX = 53xxh from real mode, or the same registers from a protected-mode entry. */
export function apm(context: ServiceContext, caller: Caller, from: "real" | "protected"): void {
  const state = context.apm;
  switch (caller.al) {
    case 0x00:
      if (!isBios(caller)) return;
      caller.ax = state.connection === "none" ? 0x0102 : state.version;
      caller.bx = SIGNATURE;
      // 16-bit and 32-bit protected mode supported, enabled or not, engaged or not.
      caller.cx = 0x0003 | (state.enabled ? 0 : 0x08) | (state.engaged ? 0 : 0x10);
      caller.carry = false;
      return;
    case 0x01:
    case 0x02:
    case 0x03:
      if (isBios(caller)) connect(context, caller, from);
      return;
    case 0x04:
      if (!isBios(caller)) return;
      if (state.connection === "none") caller.finish(NOT_CONNECTED);
      else {
        state.connection = "none";
        caller.finish(0);
      }
      return;
    case 0x0e:
      if (!isBios(caller)) return;
      // The highest version both know, in AX.
      state.version = caller.cx >= 0x0102 ? 0x0102 : caller.cx >= 0x0101 ? 0x0101 : 0x0100;
      caller.ax = state.version;
      caller.carry = false;
      return;
  }
  if (state.connection === "none") {
    caller.finish(caller.al <= 0x12 || caller.al === 0x80 ? NOT_CONNECTED : UNSUPPORTED);
    return;
  }
  managePower(context, caller);
}

function isBios(caller: Caller): boolean {
  if (caller.bx === APM_BIOS) return true;
  caller.finish(UNKNOWN_DEVICE);
  return false;
}

function connect(context: ServiceContext, caller: Caller, from: "real" | "protected"): void {
  const { apm: state, rom } = context;
  if (state.connection !== "none") {
    const already = { real: ALREADY_CONNECTED, protected16: ALREADY_CONNECTED_16, protected32: ALREADY_CONNECTED_32 };
    caller.finish(already[state.connection]);
    return;
  }
  if (from !== "real") {
    caller.finish(UNSUPPORTED);
    return;
  }
  state.version = 0x0100;
  const kind = caller.al;
  if (kind === 0x01) {
    state.connection = "real";
    caller.finish(0);
    return;
  }
  const is32 = kind === 0x03;
  state.connection = is32 ? "protected32" : "protected16";
  caller.ax = ROM_SEGMENT;
  if (is32) {
    caller.ebx = rom.labels.apm32;
    caller.cx = ROM_SEGMENT;
    caller.dx = ROM_SEGMENT;
    // Lengths of the code segments (16-bit one in the high half) and of the data segment.
    caller.esi = 0xffffffff;
    caller.di = 0xffff;
  } else {
    caller.bx = rom.labels.apm16;
    caller.cx = ROM_SEGMENT;
    caller.si = 0xffff;
    caller.di = 0xffff;
  }
  caller.carry = false;
}

function managePower(context: ServiceContext, caller: Caller): void {
  const { apm: state } = context;
  const isKnown = caller.bx === APM_BIOS || caller.bx === ALL_DEVICES;
  switch (caller.al) {
    case 0x05:
    case 0x06:
      caller.finish(0);
      return;
    case 0x07:
      if (!isKnown) caller.finish(UNKNOWN_DEVICE);
      else if (!state.enabled) caller.finish(DISABLED);
      else if (caller.cx === STATE_OFF) {
        context.powerOff();
        caller.finish(0);
      } else caller.finish(caller.cx <= 0x02 ? 0x60 : BAD_PARAMETER);
      return;
    case 0x08:
      if (caller.bx !== ALL_DEVICES && caller.bx !== 0xffff) caller.finish(UNKNOWN_DEVICE);
      else if (caller.cx > 1) caller.finish(BAD_PARAMETER);
      else {
        state.enabled = caller.cx === 1;
        caller.finish(0);
      }
      return;
    case 0x09:
      if (caller.bx === ALL_DEVICES || caller.bx === 0xffff) {
        state.enabled = true;
        state.engaged = true;
        caller.finish(0);
      } else caller.finish(UNKNOWN_DEVICE);
      return;
    case 0x0a:
      if (caller.bx !== ALL_DEVICES) {
        caller.finish(UNKNOWN_DEVICE);
        return;
      }
      // On line; no battery: status FFh, flag bit 7, life unknown.
      caller.bx = 0x01ff;
      caller.cx = 0x80ff;
      caller.dx = 0xffff;
      caller.carry = false;
      return;
    case 0x0b:
      caller.finish(NO_EVENTS);
      return;
    case 0x0c:
      if (!isKnown) caller.finish(UNKNOWN_DEVICE);
      else {
        caller.cx = 0;
        caller.finish(0);
      }
      return;
    case 0x0d:
      if (!isKnown) caller.finish(UNKNOWN_DEVICE);
      else if (caller.cx > 1) caller.finish(BAD_PARAMETER);
      else caller.finish(0);
      return;
    case 0x0f:
      if (!isKnown) caller.finish(UNKNOWN_DEVICE);
      else if (!state.enabled && caller.cx !== 1) caller.finish(NOT_ENGAGED);
      else {
        state.engaged = caller.cx === 1;
        caller.finish(0);
      }
      return;
    case 0x10:
      if (caller.bx !== APM_BIOS) {
        caller.finish(UNKNOWN_DEVICE);
        return;
      }
      caller.bl = 0;
      caller.cx = 0;
      caller.finish(0);
      return;
    default:
      caller.finish(UNSUPPORTED);
  }
}
