/**
 * A machine small enough for a unit test: a clock that tests advance, a context that records what a device claims and
 * plays the guest's side (ports, memory-mapped registers, config space, BARs), RAM in an array and IRQ lines that
 * remember what happened to them. Only tests import this file. It is stricter than the machine: built-in overlaps and
 * values outside the access size throw, so that a device's mistake shows in its own test.
 */
import { type Logger, MemoryLogger, silentTrace, type TraceChannel, type TraceChannelName } from "../base/logger.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ClaimedMemory, DeviceContext, MovableMemory, MovablePorts } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { type AccessSize, allOnes, type IoWindow } from "./io-window.ts";
import type { IrqLine, Wire } from "./irq-line.ts";
import type { DeviceMemory, PciFunctionConfig, PciFunctionHandle } from "./pci-function.ts";

class ManualTimer implements Timer {
  armed = false;
  deadlineNs = 0;
  readonly name: string;
  readonly fire: () => void;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock, name: string, fire: () => void) {
    this.#clock = clock;
    this.name = name;
    this.fire = fire;
  }
  armAt(deadlineNs: number): void {
    if (!Number.isFinite(deadlineNs)) throw new RangeError(`timer ${this.name}: deadline ${deadlineNs}`);
    this.deadlineNs = deadlineNs;
    this.armed = true;
  }
  armAfter(delayNs: number): void {
    this.armAt(this.#clock.timeNs + delayNs);
  }
  cancel(): void {
    this.armed = false;
  }
}

/** Guest time under the test's control. Each `nowNs` moves time by `stepPerReadNs`, as the contract's "strictly later". */
export class ManualClock implements Clock {
  /** The time without the side effect of reading it. */
  timeNs = 0;
  stepPerReadNs = 1;
  readonly timers: ManualTimer[] = [];

  nowNs(): number {
    this.timeNs += this.stepPerReadNs;
    return this.timeNs;
  }

  createTimer(name: string, fire: () => void): Timer {
    const timer = new ManualTimer(this, name, fire);
    this.timers.push(timer);
    return timer;
  }

  /** Lets `deltaNs` pass; every timer fires exactly at its deadline, in order. */
  advance(deltaNs: number): void {
    const endNs = this.timeNs + deltaNs;
    for (let fired = 0; ; fired++) {
      const next = this.#nextDue(endNs);
      if (next === undefined) break;
      if (fired > 10_000_000) throw new Error(`timer ${next.name} fires without end`);
      if (next.deadlineNs > this.timeNs) this.timeNs = next.deadlineNs;
      next.armed = false;
      next.fire();
    }
    if (endNs > this.timeNs) this.timeNs = endNs;
  }

  /** A host that was away: time jumps by `deltaNs` first, then everything due fires late, each re-arming included. */
  jump(deltaNs: number): void {
    this.timeNs += deltaNs;
    this.advance(0);
  }

  #nextDue(endNs: number): ManualTimer | undefined {
    let next: ManualTimer | undefined;
    for (const timer of this.timers) {
      if (timer.armed && timer.deadlineNs <= endNs && (next === undefined || timer.deadlineNs < next.deadlineNs)) {
        next = timer;
      }
    }
    return next;
  }
}

/** An IRQ line or wire that remembers: `level`, the number of rising edges, and the sequence of levels. */
export class RecordedLine implements IrqLine, Wire {
  level = false;
  rises = 0;
  falls = 0;

  raise(): void {
    this.set(true);
  }
  lower(): void {
    this.set(false);
  }
  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    if (!level && this.level) this.falls++;
    this.level = level;
  }
}

/** RAM from guest-physical 0; outside it reads are all ones and writes vanish. `invalidated` lists `invalidate` calls. */
export class ArrayMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly invalidated: [gpa: number, lengthBytes: number][] = [];

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }
  get ramBytes(): number {
    return this.bytes.length;
  }
  read8(gpa: number): number {
    return gpa >= 0 && gpa < this.bytes.length ? this.bytes[gpa] : 0xff;
  }
  read16(gpa: number): number {
    return this.read8(gpa) | (this.read8(gpa + 1) << 8);
  }
  read32(gpa: number): number {
    return (this.read16(gpa) | (this.read16(gpa + 2) << 16)) >>> 0;
  }
  write8(gpa: number, value: number): void {
    if (gpa >= 0 && gpa < this.bytes.length) this.bytes[gpa] = value;
  }
  write16(gpa: number, value: number): void {
    this.write8(gpa, value & 0xff);
    this.write8(gpa + 1, value >>> 8);
  }
  write32(gpa: number, value: number): void {
    this.write16(gpa, value & 0xffff);
    this.write16(gpa + 2, value >>> 16);
  }
  read(gpa: number, target: Uint8Array): void {
    const view = this.view(gpa, target.length);
    if (view !== undefined) target.set(view);
    else for (let i = 0; i < target.length; i++) target[i] = this.read8(gpa + i);
  }
  write(gpa: number, source: Uint8Array): void {
    for (let i = 0; i < source.length; i++) this.write8(gpa + i, source[i]);
  }
  view(gpa: number, lengthBytes: number): Uint8Array | undefined {
    if (gpa < 0 || gpa + lengthBytes > this.bytes.length) return undefined;
    return this.bytes.subarray(gpa, gpa + lengthBytes);
  }
  invalidate(gpa: number, lengthBytes: number): void {
    this.invalidated.push([gpa, lengthBytes]);
  }
}

/** Bytes shared by guest and device, for BARs of kind "ram". */
export function createDeviceMemory(sizeBytes: number): DeviceMemory {
  return { bytes: new Uint8Array(sizeBytes), hostOffset: 0 };
}

/** One PCI function: 256 bytes of config space with the header's rules, the guest's accesses and BAR helpers. */
export class FakePciFunction implements PciFunctionHandle {
  readonly intx = new RecordedLine();
  readonly slot: number;
  readonly fn: number;
  readonly config: PciFunctionConfig;
  readonly space = new Uint8Array(256);
  readonly #mask = new Uint8Array(256);

  constructor(slot: number, fn: number, config: PciFunctionConfig) {
    this.slot = slot;
    this.fn = fn;
    this.config = config;
    const { space } = this;
    this.writeConfig(0x00, 2, config.vendorId);
    this.writeConfig(0x02, 2, config.deviceId);
    space[0x08] = config.revision;
    this.writeConfig(0x08, 4, ((config.classCode << 8) | config.revision) >>> 0);
    space[0x0e] = config.headerType ?? 0;
    this.writeConfig(0x2c, 2, config.subsystemVendorId ?? 0);
    this.writeConfig(0x2e, 2, config.subsystemId ?? 0);
    space[0x3d] = config.interruptPin ?? 0;
    this.#allow(0x04, 2, 0x0547);
    this.#allow(0x0c, 2, 0xffff);
    this.#allow(0x3c, 1, 0xff);
    for (const bar of config.bars ?? []) {
      const flags = bar.kind === "io" ? 1 : bar.prefetchable ? 8 : 0;
      this.writeConfig(0x10 + bar.index * 4, 4, ((bar.initialBase ?? 0) | flags) >>> 0);
      this.#allow(0x10 + bar.index * 4, 4, ~(bar.sizeBytes - 1) >>> 0);
    }
    for (const { offset, size, value } of config.initial ?? []) this.writeConfig(offset, size, value);
    for (const { offset, size, mask } of config.writable ?? []) this.#allow(offset, size, mask);
  }

  #allow(offset: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#mask[offset + i] = (mask >>> (8 * i)) & 0xff;
  }

  get busMasterEnabled(): boolean {
    return (this.space[0x04] & 4) !== 0;
  }
  readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.space[offset + i] ?? 0xff);
    return value;
  }
  writeConfig(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.space[offset + i] = (value >>> (8 * i)) & 0xff;
  }
  /** What a guest's config write does: masks, then the device's callback. */
  guestWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const mask = this.#mask[offset + i];
      this.space[offset + i] = (this.space[offset + i] & ~mask) | ((value >>> (8 * i)) & mask);
    }
    this.config.onConfigWrite?.(offset, size);
  }
  barRead(index: number, offset: number, size: AccessSize): number {
    const window = this.#barWindow(index);
    return "read" in window ? checked(window.read(offset, size), size) : readBytes(window.memory.bytes, offset, size);
  }
  barWrite(index: number, offset: number, size: AccessSize, value: number): void {
    const window = this.#barWindow(index);
    if ("write" in window) window.write(offset, size, value);
    else for (let i = 0; i < size; i++) window.memory.bytes[offset + i] = (value >>> (8 * i)) & 0xff;
  }
  #barWindow(index: number) {
    const bar = this.config.bars?.find((candidate) => candidate.index === index);
    if (bar === undefined) throw new Error(`${this.config.name} has no BAR ${index}`);
    return bar.window;
  }
}

function readBytes(bytes: Uint8Array, offset: number, size: AccessSize): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[offset + i];
  return value;
}

function checked(value: number, size: AccessSize): number {
  if (!Number.isInteger(value) || value < 0 || value > allOnes(size)) {
    throw new Error(`a ${size}-byte read answered ${value}: not an unsigned number of that size`);
  }
  return value;
}

interface Claim {
  base: number;
  readonly length: number;
  readonly window: IoWindow;
}

export interface FakeContextOptions {
  readonly ramBytes?: number;
  readonly clock?: ManualClock;
}

/** A claimed window of which a part may be memory: accesses wholly inside the part go there, as the machine's TLB does it. */
class DirectPart implements IoWindow, ClaimedMemory {
  readonly #window: IoWindow;
  #part: { offset: number; bytes: Uint8Array } | undefined;

  constructor(window: IoWindow) {
    this.#window = window;
  }
  mapDirect(offset: number, lengthBytes: number, memory: DeviceMemory, memoryOffset: number): void {
    if (((offset | lengthBytes | memoryOffset) & 0xfff) !== 0) throw new RangeError("not whole pages");
    this.#part = { offset, bytes: memory.bytes.subarray(memoryOffset, memoryOffset + lengthBytes) };
  }
  unmapDirect(): void {
    this.#part = undefined;
  }
  /** Bytes that answer an access, or undefined: the window does. Accesses across pages take the slow way. */
  #bytes(offset: number, size: AccessSize): Uint8Array | undefined {
    const part = this.#part;
    if (part === undefined || offset < part.offset || (offset & 0xfff) + size > 0x1000) return undefined;
    const at = offset - part.offset;
    return at + size <= part.bytes.length ? part.bytes.subarray(at, at + size) : undefined;
  }
  read(offset: number, size: AccessSize): number {
    const bytes = this.#bytes(offset, size);
    return bytes ? readBytes(bytes, 0, size) : this.#window.read(offset, size);
  }
  write(offset: number, size: AccessSize, value: number): void {
    const bytes = this.#bytes(offset, size);
    if (bytes === undefined) this.#window.write(offset, size, value);
    else for (let i = 0; i < size; i++) bytes[i] = (value >>> (8 * i)) & 0xff;
  }
}

/** The DeviceContext of unit tests. `in`/`out` are the guest's port accesses, split at window borders as the bus does. */
export class FakeContext implements DeviceContext {
  readonly clock: ManualClock;
  readonly memory: ArrayMemory;
  readonly log: Logger & { readonly lines: string[] } = new MemoryLogger();
  readonly irq: readonly RecordedLine[] = Array.from({ length: 16 }, () => new RecordedLine());
  readonly functions: FakePciFunction[] = [];
  readonly ports: Claim[] = [];
  readonly movable: Claim[] = [];
  readonly mmio: Claim[] = [];

  constructor(options: FakeContextOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.memory = new ArrayMemory(options.ramBytes ?? 0x100000);
  }

  trace(_channel: TraceChannelName): TraceChannel {
    return silentTrace;
  }
  claimPorts(base: number, length: number, window: IoWindow): void {
    claim(this.ports, base, length, window, 0x10000);
  }
  claimMovablePorts(length: number, window: IoWindow): MovablePorts {
    // Off the end of the port space while it is nowhere; last in the list, so that built-in claims win.
    const range = { base: Number.NEGATIVE_INFINITY, length, window };
    this.movable.push(range);
    return {
      place: (base) => {
        range.base = base;
      },
      remove: () => {
        range.base = Number.NEGATIVE_INFINITY;
      },
    };
  }
  claimMemory(base: number, length: number, window: IoWindow): ClaimedMemory {
    const direct = new DirectPart(window);
    claim(this.mmio, base, length, direct, 2 ** 52);
    return direct;
  }
  claimMovableMemory(length: number, window: IoWindow): MovableMemory {
    const range = { base: Number.NEGATIVE_INFINITY, length, window };
    // First in the list: it lies over whatever else is there.
    this.mmio.unshift(range);
    return {
      place: (base) => {
        range.base = base;
      },
      remove: () => {
        range.base = Number.NEGATIVE_INFINITY;
      },
    };
  }
  isaIrq(irq: number): RecordedLine {
    if (this.irq[irq] === undefined) throw new RangeError(`no ISA IRQ ${irq}`);
    return this.irq[irq];
  }
  addPciFunction(slot: number, fn: number, config: PciFunctionConfig): FakePciFunction {
    if (this.functions.some((f) => f.slot === slot && f.fn === fn)) throw new Error(`PCI ${slot}.${fn} taken twice`);
    const added = new FakePciFunction(slot, fn, config);
    this.functions.push(added);
    return added;
  }

  /** Whether something answers at the port. */
  isClaimed(port: number): boolean {
    return find([...this.ports, ...this.movable], port) !== undefined;
  }
  in(port: number, size: AccessSize = 1): number {
    return access([...this.ports, ...this.movable], port, size);
  }
  out(port: number, size: AccessSize, value: number): void {
    store([...this.ports, ...this.movable], port, size, value);
  }
  readMmio(gpa: number, size: AccessSize): number {
    return access(this.mmio, gpa, size);
  }
  writeMmio(gpa: number, size: AccessSize, value: number): void {
    store(this.mmio, gpa, size, value);
  }
  pci(slot: number, fn: number): FakePciFunction {
    const found = this.functions.find((f) => f.slot === slot && f.fn === fn);
    if (found === undefined) throw new Error(`no PCI function ${slot}.${fn}`);
    return found;
  }
}

function claim(claims: Claim[], base: number, length: number, window: IoWindow, end: number): void {
  if (!(length > 0) || base < 0 || base + length > end) throw new RangeError(`claim ${base.toString(16)}+${length}`);
  for (const other of claims) {
    if (base < other.base + other.length && other.base < base + length) {
      throw new Error(`claims overlap at ${Math.max(base, other.base).toString(16)}h`);
    }
  }
  claims.push({ base, length, window });
}

function find(claims: readonly Claim[], address: number): Claim | undefined {
  return claims.find((c) => address >= c.base && address < c.base + c.length);
}

function access(claims: readonly Claim[], address: number, size: AccessSize): number {
  const owner = find(claims, address);
  if (owner !== undefined && address + size <= owner.base + owner.length) {
    return checked(owner.window.read(address - owner.base, size), size);
  }
  if (size === 1) return 0xff;
  const half = (size >> 1) as AccessSize;
  return access(claims, address, half) + access(claims, address + half, half) * 2 ** (8 * half);
}

function store(claims: readonly Claim[], address: number, size: AccessSize, value: number): void {
  const owner = find(claims, address);
  if (owner !== undefined && address + size <= owner.base + owner.length) {
    owner.window.write(address - owner.base, size, value);
    return;
  }
  if (size === 1) return;
  const half = (size >> 1) as AccessSize;
  store(claims, address, half, value % 2 ** (8 * half));
  store(claims, address + half, half, Math.floor(value / 2 ** (8 * half)));
}

/** Deterministic pseudo-random numbers for fuzz tests (xorshift32): `next(n)` is an integer in [0, n). */
export function seededRandom(seed: number): (n: number) => number {
  let state = seed >>> 0 || 1;
  return (n) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return Math.floor((state / 0x1_0000_0000) * n);
  };
}

/** Hammers every claimed port (and memory window) with seeded accesses; time moves in between. Nothing may throw. */
export function fuzzPorts(context: FakeContext, accesses: number, seed: number, between?: (i: number) => void): void {
  const random = seededRandom(seed);
  const sizes: readonly AccessSize[] = [1, 1, 1, 2, 4];
  for (let i = 0; i < accesses; i++) {
    const claims = [...context.ports, ...context.movable.filter((range) => range.base >= 0)];
    const owner = claims[random(claims.length)];
    const port = owner.base + random(owner.length);
    const size = sizes[random(sizes.length)];
    if (random(3) === 0) context.in(port, size);
    else context.out(port, size, random(2 ** (8 * size)));
    if (random(8) === 0) context.clock.advance(random(random(2) === 0 ? 2_000 : 3_000_000));
    between?.(i);
  }
}
