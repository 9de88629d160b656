/**
 * Plug of the local APIC: its page, FEE00000h or wherever IA32_APIC_BASE puts it, over whatever else is there; the MSRs; its
 * pins and messages. Part of the processor, so an INIT resets it and leaves IA32_APIC_BASE alone.
 */
import type { Device, MovableMemory } from "../../device-api/device.ts";
import type { IoWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import type { CpuLocalApic } from "../../device-api/virtual-cpu.ts";
import { LocalApic, type LocalApicWires } from "./local-apic.ts";
import * as R from "./registers.ts";

const kind = "local-apic";

export interface LocalApicConfig extends LocalApicWires {
  /** CPUID promises x2APIC mode. */
  readonly hasX2Apic: boolean;
}

export interface LocalApicDevice extends Device, CpuLocalApic {
  /** Pin of the 8259 pair's request. */
  setLint0(level: boolean): void;
  /** Pin of the board's NMI request. */
  setLint1(level: boolean): void;
  /** A message of an I/O APIC (local-apic.ts). */
  accept(destination: number, isLogical: boolean, mode: number, vector: number, isLevel: boolean): boolean;
  /** The processor takes an interrupt: its vector. */
  acknowledge(): number;
  /** The processor alone was reset. */
  init(): void;
}

export function createLocalApic(config: LocalApicConfig): LocalApicDevice {
  let apic: LocalApic;
  let page: MovableMemory;
  /** IA32_APIC_BASE. */
  let base = R.BASE_RESET;
  let baseHigh = 0;

  function follow(): void {
    const isThere = (base & R.BASE_ENABLE) !== 0;
    apic.setMode(isThere, (base & R.BASE_X2APIC) !== 0);
    if (isThere && baseHigh === 0) page.place((base & R.BASE_ADDRESS) >>> 0);
    else page.remove();
  }

  return {
    id: kind,
    hasX2Apic: config.hasX2Apic,
    attach(context) {
      apic = new LocalApic(context.clock, config);
      const window: IoWindow = {
        read: (offset, size) => apic.readMemory(offset, size),
        write: (offset, size, value) => apic.writeMemory(offset, size, value),
      };
      page = context.claimMovableMemory(R.PAGE_BYTES, window);
    },
    reset() {
      base = R.BASE_RESET;
      baseHigh = 0;
      follow();
      apic.reset();
    },
    init: () => apic.reset(),
    setLint0: (level) => apic.setLint0(level),
    setLint1: (level) => apic.setLint1(level),
    accept: (destination, isLogical, mode, vector, isLevel) =>
      apic.accept(destination, isLogical, mode, vector, isLevel),
    acknowledge: () => apic.acknowledge(),
    get base() {
      return base;
    },
    get baseHigh() {
      return baseHigh;
    },
    get isEnabled() {
      return (base & R.BASE_ENABLE) !== 0;
    },
    writeBase(low, high) {
      const mode = low & (R.BASE_ENABLE | R.BASE_X2APIC);
      const was = base & (R.BASE_ENABLE | R.BASE_X2APIC);
      if ((high & ~R.BASE_HIGH_ADDRESS) !== 0) return false;
      if ((mode & R.BASE_X2APIC) !== 0) {
        // From off to x2APIC mode only through the ordinary one.
        if (!config.hasX2Apic || (mode & R.BASE_ENABLE) === 0 || was === 0) return false;
      } else if (mode !== 0 && (was & R.BASE_X2APIC) !== 0) return false;
      base = (low & (R.BASE_ADDRESS | R.BASE_ENABLE | R.BASE_X2APIC | R.BASE_BOOT_PROCESSOR)) >>> 0;
      baseHigh = high;
      follow();
      return true;
    },
    readMsr: (msr) => apic.readX2(msr - R.X2_FIRST_MSR),
    readMsrHigh: (msr) => ((msr - R.X2_FIRST_MSR) << 4 === R.ICR_LOW ? apic.commandHigh : 0),
    writeMsr: (msr, low, high) => apic.writeX2(msr - R.X2_FIRST_MSR, low, high),
    save: () => ({ kind, version: 1, data: { base, baseHigh, registers: apic.save() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      base = state.integer("base", 0, 0xffffffff);
      baseHigh = state.integer("baseHigh", 0, R.BASE_HIGH_ADDRESS);
      follow();
      apic.load(state.child("registers"));
      state.end();
    },
  };
}
