/**
 * PCI bus 0 with configuration mechanism #1 (PCI Local Bus 2.2, 3.2.2.3.2): CF8h is the address register for 32-bit
 * accesses only, CFCh–CFFh the data window. Functions' INTx wires are combined into the chipset's four PIRQ inputs,
 * PIRQ = (slot − 1 + pin) & 3 with pin counted from 0, and the eight I/O APIC inputs above the ISA ones, (slot + pin) & 7;
 * several functions on one input are a wired OR. There is one bus: other bus numbers answer all ones.
 */
import { FormatError, InternalError } from "../base/errors.ts";
import { silentTrace, type TraceChannel } from "../base/logger.ts";
import { type AccessSize, allOnes } from "../device-api/io-window.ts";
import type { PciFunctionConfig, PciFunctionHandle } from "../device-api/pci-function.ts";
import type { SavedLeaf, SavedValue } from "../device-api/saved-state.ts";
import { StateReader } from "../device-api/state-reader.ts";
import type { MemoryBus } from "./memory-bus.ts";
import { PciConfigSpace } from "./pci-config-space.ts";
import type { PortBus } from "./port-bus.ts";

const KIND = "pci-bus";
const ADDRESS_PORT = 0xcf8;
const DATA_PORT = 0xcfc;
/** Bits 30–24 and 1–0 of CONFIG_ADDRESS read as zero. */
const ADDRESS_WRITABLE = 0x80fffffc;

export interface PciBusOptions {
  readonly ports: PortBus;
  readonly memory: MemoryBus;
  readonly trace?: TraceChannel;
  /** Told when the combined level of PIRQ 0–3 changes. */
  setPirq(pirq: number, level: boolean): void;
  /** Told when the combined level of I/O APIC input 16 + n (n = 0–7) changes. */
  setApicInput?(input: number, level: boolean): void;
  /** Copies an expansion ROM into the machine's memory; the byte offset, page aligned. */
  placeRom(rom: Uint8Array): number;
}

export class PciBus {
  readonly #options: PciBusOptions;
  /** Index slot × 8 + function. */
  readonly #functions: (PciConfigSpace | undefined)[] = new Array(256).fill(undefined);
  readonly #pirqDrivers = new Int32Array(4);
  readonly #apicDrivers = new Int32Array(8);
  readonly #trace: TraceChannel;
  #address = 0;

  constructor(options: PciBusOptions) {
    this.#options = options;
    this.#trace = options.trace ?? silentTrace;
    options.ports.claimDword(ADDRESS_PORT, {
      read: () => this.#address,
      write: (_offset, _size, value) => {
        this.#address = (value & ADDRESS_WRITABLE) >>> 0;
      },
    });
    options.ports.claim(DATA_PORT, 4, {
      read: (offset, size) => this.#readData(offset, size),
      write: (offset, size, value) => this.#writeData(offset, size, value),
    });
  }

  addFunction(slot: number, fn: number, config: PciFunctionConfig): PciFunctionHandle {
    const index = slot * 8 + fn;
    if (slot < 0 || slot > 31 || fn < 0 || fn > 7) throw new InternalError(`no PCI slot ${slot}.${fn}`);
    if (this.#functions[index] !== undefined) throw new InternalError(`PCI slot ${slot}.${fn} is taken twice`);
    const pin = (config.interruptPin ?? 0) - 1;
    const pirq = (slot - 1 + pin) & 3;
    const input = (slot + pin) & 7;
    const { ports, memory } = this.#options;
    const romHostOffset = config.expansionRom === undefined ? undefined : this.#options.placeRom(config.expansionRom);
    const setIntx = (level: boolean): void => {
      if (level ? this.#pirqDrivers[pirq]++ === 0 : --this.#pirqDrivers[pirq] === 0) this.#options.setPirq(pirq, level);
      if (level ? this.#apicDrivers[input]++ === 0 : --this.#apicDrivers[input] === 0)
        this.#options.setApicInput?.(input, level);
    };
    const added = new PciConfigSpace(config, { ports, memory, romHostOffset, setIntx });
    this.#functions[index] = added;
    return added;
  }

  /** Lists what is there, for logs: "00:02.0 80ee:beef vga". */
  describe(): string[] {
    const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
    return this.#functions.flatMap((f, index) =>
      f === undefined
        ? []
        : [
            `00:${hex(index >> 3, 2)}.${index & 7} ${hex(f.config.vendorId, 4)}:${hex(f.config.deviceId, 4)} ${f.config.name}`,
          ],
    );
  }

  reset(): void {
    this.#address = 0;
    this.#options.memory.batch(() => {
      for (const f of this.#functions) f?.reset();
    });
  }

  save(): SavedLeaf {
    const functions: Record<string, SavedValue> = {};
    this.#functions.forEach((f, index) => {
      if (f !== undefined) functions[`${index >> 3}.${index & 7}`] = f.save();
    });
    return { kind: KIND, version: 1, data: { address: this.#address, functions } };
  }

  load(leaf: SavedLeaf): void {
    const state = StateReader.open(leaf, KIND, 1);
    this.#address = state.integer("address", 0, 0xffffffff);
    if ((this.#address & ADDRESS_WRITABLE) >>> 0 !== this.#address) throw new FormatError("saved state: PCI address");
    const functions = state.child("functions");
    this.#pirqDrivers.fill(0);
    this.#apicDrivers.fill(0);
    this.#options.memory.batch(() => {
      this.#functions.forEach((f, index) => {
        if (f === undefined) return;
        const slot = index >> 3;
        const saved = functions.child(`${slot}.${index & 7}`);
        f.load(saved.bytes("space", 256), saved.boolean("intx"));
        saved.end();
        if (!f.intxSeen) return;
        const pin = (f.config.interruptPin ?? 0) - 1;
        this.#pirqDrivers[(slot - 1 + pin) & 3]++;
        this.#apicDrivers[(slot + pin) & 7]++;
      });
    });
    functions.end();
    state.end();
  }

  #readData(offset: number, size: AccessSize): number {
    const f = this.#selected();
    const register = (this.#address & 0xfc) + offset;
    const value = f === undefined ? allOnes(size) : f.readConfig(register, size);
    if (this.#trace.enabled && f !== undefined)
      this.#trace.line(`${f.config.name} read ${register.toString(16)} size ${size} = ${value.toString(16)}`);
    return value;
  }

  #writeData(offset: number, size: AccessSize, value: number): void {
    const f = this.#selected();
    if (f === undefined) return;
    const register = (this.#address & 0xfc) + offset;
    if (this.#trace.enabled)
      this.#trace.line(`${f.config.name} write ${register.toString(16)} size ${size} = ${value.toString(16)}`);
    f.guestWrite(register, size, value);
  }

  #selected(): PciConfigSpace | undefined {
    const address = this.#address;
    if (address < 0x80000000 || (address & 0xff0000) !== 0) return undefined;
    return this.#functions[(address >>> 8) & 0xff];
  }
}
