/**
 * ATA disks and ATAPI CD drives by guest instructions (ATA/ATAPI-6): pieces of directed services, PIO only. Every wait is
 * bounded by guest time. Interrupts stay on; IRQ14/15's handlers only note them.
 */
import type { Directed, ServiceMemory } from "../directed.ts";

export interface AtaPlace {
  readonly channel: 0 | 1;
  readonly device: 0 | 1;
}

const commandBases = [0x1f0, 0x170] as const;
const controlPorts = [0x3f6, 0x376] as const;
const DATA = 0;
const FEATURES = 1;
const SECTOR_COUNT = 2;
const LBA_LOW = 3;
const LBA_MID = 4;
const LBA_HIGH = 5;
const DEVICE = 6;
const STATUS = 7;
const COMMAND = 7;
const BSY = 0x80;
const DF = 0x20;
const DRQ = 0x08;
const ERR = 0x01;
const DEVICE_LBA = 0xe0;
const IDENTIFY = 0xec;
const IDENTIFY_PACKET = 0xa1;
const READ_SECTORS = 0x20;
const READ_SECTORS_EXT = 0x24;
const WRITE_SECTORS = 0x30;
const WRITE_SECTORS_EXT = 0x34;
const VERIFY_SECTORS = 0x40;
const VERIFY_SECTORS_EXT = 0x42;
const PACKET = 0xa0;
const SECTOR_WORDS = 256;
const MOST_LBA28 = 0x10000000;
const CD_SECTOR_BYTES = 2048;
const CD_SECTOR_WORDS = CD_SECTOR_BYTES / 2;
const DISK_TIMEOUT_NS = 30_000_000_000;
/** A drive that is there answers a probe at once. */
const PROBE_TIMEOUT_NS = 2_000_000_000;
const POLL_TRIES = 0x1000;

/** INT 13h status codes that these produce. */
export const ataStatus = { ok: 0x00, notFound: 0x04, controllerFailed: 0x20, timedOut: 0x80, notReady: 0xaa } as const;

/** Where data goes or comes from. */
export interface Buffer {
  readonly linear: number;
}

/** A real-mode pointer to a linear address, with the smallest offset. */
export function farPointer(linear: number): { segment: number; offset: number } {
  const segment = Math.min(linear >>> 4, 0xffff);
  return { segment, offset: linear - segment * 16 };
}

/** Waits until BSY is clear. The status, or undefined when time is up. */
function* notBusy(memory: ServiceMemory, base: number, timeoutNs: number): Directed<number | undefined> {
  const poll = { kind: "poll8", port: base + STATUS, mask: BSY, value: 0, tries: POLL_TRIES } as const;
  // The clock is asked only when the drive is not ready at once.
  let status = yield poll;
  if ((status & BSY) === 0) return status;
  const endNs = memory.nowNs() + timeoutNs;
  for (;;) {
    status = yield poll;
    if ((status & BSY) === 0) return status;
    if (memory.nowNs() >= endNs) return undefined;
  }
}

/**
 * Moves blocks of the drive's data register. Gives the last status and how many blocks went; fewer than asked means an
 * error in the status, no DRQ, or (status undefined) that time is up.
 */
function* moveBlocks(
  memory: ServiceMemory,
  base: number,
  direction: "in-blocks" | "out-blocks",
  words: number,
  blocks: number,
  linear: number,
): Directed<{ readonly status: number | undefined; readonly done: number }> {
  let done = 0;
  let endNs: number | undefined;
  while (done < blocks) {
    // A segment holds this much behind an offset below 16.
    const most = Math.floor(0xfff0 / (words * 2));
    const asked = Math.min(blocks - done, most);
    const pointer = farPointer(linear + done * words * 2);
    const result = yield {
      kind: direction,
      port: base + DATA,
      words,
      blocks: asked,
      tries: POLL_TRIES,
      ...pointer,
    };
    const left = (result >> 8) & 0xff;
    const status = result & 0xff;
    done += asked - left;
    if (left === 0) continue;
    if ((status & BSY) === 0) return { status, done };
    if (left < asked) endNs = undefined;
    const now = memory.nowNs();
    endNs ??= now + DISK_TIMEOUT_NS;
    if (now >= endNs) return { status: undefined, done };
  }
  return { status: DRQ, done };
}

/** Selects the drive (with the LBA's top bits) when the channel is idle. False: nothing answers. */
function* select(memory: ServiceMemory, place: AtaPlace, head: number): Directed<boolean> {
  const base = commandBases[place.channel];
  if ((yield* notBusy(memory, base, PROBE_TIMEOUT_NS)) === undefined) return false;
  yield { kind: "out8", port: base + DEVICE, value: DEVICE_LBA | (place.device << 4) | head };
  yield { kind: "in8", port: controlPorts[place.channel] };
  return (yield* notBusy(memory, base, PROBE_TIMEOUT_NS)) !== undefined;
}

function* programLba(memory: ServiceMemory, place: AtaPlace, lba: number, sectors: number): Directed<boolean> {
  const base = commandBases[place.channel];
  const isLarge = lba + sectors > MOST_LBA28;
  const head = isLarge ? 0 : Math.floor(lba / 0x1000000) & 15;
  if (!(yield* select(memory, place, head))) return false;
  yield { kind: "out8", port: controlPorts[place.channel], value: 0x08 };
  const byteOf = (index: number) => Math.floor(lba / 256 ** index) & 0xff;
  if (isLarge) {
    yield { kind: "out8", port: base + SECTOR_COUNT, value: sectors >> 8 };
    for (let i = 0; i < 3; i++) yield { kind: "out8", port: base + LBA_LOW + i, value: byteOf(3 + i) };
  }
  yield { kind: "out8", port: base + SECTOR_COUNT, value: sectors & 0xff };
  for (let i = 0; i < 3; i++) yield { kind: "out8", port: base + LBA_LOW + i, value: byteOf(i) };
  return true;
}

function commandFor(kind: "read" | "write" | "verify", isLarge: boolean): number {
  switch (kind) {
    case "read":
      return isLarge ? READ_SECTORS_EXT : READ_SECTORS;
    case "write":
      return isLarge ? WRITE_SECTORS_EXT : WRITE_SECTORS;
    case "verify":
      return isLarge ? VERIFY_SECTORS_EXT : VERIFY_SECTORS;
  }
}

/** Reads, writes or verifies up to 256 sectors. Gives the INT 13h status and how many sectors were done. */
export function* ataTransfer(
  memory: ServiceMemory,
  place: AtaPlace,
  kind: "read" | "write" | "verify",
  lba: number,
  sectors: number,
  linear: number,
): Directed<{ readonly status: number; readonly done: number }> {
  const base = commandBases[place.channel];
  if (!(yield* programLba(memory, place, lba, sectors))) return { status: ataStatus.timedOut, done: 0 };
  yield { kind: "out8", port: base + COMMAND, value: commandFor(kind, lba + sectors > MOST_LBA28) };
  yield { kind: "in8", port: controlPorts[place.channel] };
  let done = 0;
  if (kind !== "verify") {
    const direction = kind === "read" ? "in-blocks" : "out-blocks";
    const moved = yield* moveBlocks(memory, base, direction, SECTOR_WORDS, sectors, linear);
    done = moved.done;
    if (moved.status === undefined) return { status: ataStatus.timedOut, done };
    if (done < sectors) {
      const hasError = (moved.status & (ERR | DF)) !== 0;
      return { status: hasError ? ataStatus.notFound : ataStatus.controllerFailed, done };
    }
    yield { kind: "in8", port: controlPorts[place.channel] };
  }
  const status = yield* notBusy(memory, base, DISK_TIMEOUT_NS);
  if (status === undefined) return { status: ataStatus.timedOut, done: 0 };
  if ((status & (ERR | DF)) !== 0) return { status: ataStatus.notFound, done: kind === "write" ? done - 1 : done };
  return { status: ataStatus.ok, done: sectors };
}

/** The 512 bytes of IDENTIFY (PACKET) DEVICE, or undefined if no such drive answers. `scratch`: 512 bytes of low memory. */
export function* ataIdentify(
  memory: ServiceMemory,
  place: AtaPlace,
  isPacket: boolean,
  scratch: number,
): Directed<Uint8Array | undefined> {
  const base = commandBases[place.channel];
  if (!(yield* select(memory, place, 0))) return undefined;
  yield { kind: "out8", port: controlPorts[place.channel], value: 0x08 };
  yield { kind: "out8", port: base + COMMAND, value: isPacket ? IDENTIFY_PACKET : IDENTIFY };
  yield { kind: "in8", port: controlPorts[place.channel] };
  const status = yield* notBusy(memory, base, PROBE_TIMEOUT_NS);
  if (status === undefined || (status & (DRQ | ERR)) !== DRQ) return undefined;
  yield { kind: "in-words", port: base + DATA, words: SECTOR_WORDS, ...farPointer(scratch) };
  yield { kind: "in8", port: base + STATUS };
  return memory.readBytes(scratch, 512);
}

/** Sends a 12-byte packet. Gives the status once the drive wants data or has finished; undefined when it does not answer. */
function* sendPacket(
  memory: ServiceMemory,
  place: AtaPlace,
  packet: Uint8Array,
  byteLimit: number,
): Directed<number | undefined> {
  const base = commandBases[place.channel];
  if (!(yield* select(memory, place, 0))) return undefined;
  yield { kind: "out8", port: controlPorts[place.channel], value: 0x08 };
  yield { kind: "out8", port: base + FEATURES, value: 0 };
  yield { kind: "out8", port: base + LBA_MID, value: byteLimit & 0xff };
  yield { kind: "out8", port: base + LBA_HIGH, value: byteLimit >> 8 };
  yield { kind: "out8", port: base + COMMAND, value: PACKET };
  yield { kind: "in8", port: controlPorts[place.channel] };
  const ready = yield* notBusy(memory, base, PROBE_TIMEOUT_NS);
  if (ready === undefined || (ready & (DRQ | ERR)) !== DRQ) return undefined;
  for (let i = 0; i < 12; i += 2) yield { kind: "out16", port: base + DATA, value: packet[i] | (packet[i + 1] << 8) };
  yield { kind: "in8", port: controlPorts[place.channel] };
  return yield* notBusy(memory, base, DISK_TIMEOUT_NS);
}

/** The words that one DRQ block offers. */
function* offeredWords(base: number): Directed<number> {
  const low = yield { kind: "in8", port: base + LBA_MID };
  const high = yield { kind: "in8", port: base + LBA_HIGH };
  return ((high << 8) | low) >> 1;
}

/** REQUEST SENSE: sense key and additional code. */
function* requestSense(memory: ServiceMemory, place: AtaPlace): Directed<{ key: number; code: number } | undefined> {
  const base = commandBases[place.channel];
  const packet = new Uint8Array(12);
  packet[0] = 0x03;
  packet[4] = 18;
  const status = yield* sendPacket(memory, place, packet, 18);
  if (status === undefined || (status & DRQ) === 0) return undefined;
  const words = yield* offeredWords(base);
  const sense: number[] = [];
  for (let i = 0; i < words && i < 32; i++) {
    const word = yield { kind: "in16", port: base + DATA };
    sense.push(word & 0xff, word >> 8);
  }
  yield* notBusy(memory, base, DISK_TIMEOUT_NS);
  return { key: (sense[2] ?? 0) & 15, code: sense[12] ?? 0 };
}

const NOT_READY = 2;
const UNIT_ATTENTION = 6;
const MEDIUM_NOT_PRESENT = 0x3a;
const CD_ATTEMPTS = 5;

/** Asks until the drive is ready; a drive without a disc, or one that never settles, gives AAh. */
export function* cdReady(memory: ServiceMemory, place: AtaPlace): Directed<number> {
  const endNs = memory.nowNs() + DISK_TIMEOUT_NS;
  for (let attempt = 0; attempt < 1000; attempt++) {
    const status = yield* sendPacket(memory, place, new Uint8Array(12), CD_SECTOR_BYTES);
    if (status === undefined) return ataStatus.timedOut;
    if ((status & ERR) === 0) return ataStatus.ok;
    const sense = yield* requestSense(memory, place);
    if (sense?.key === NOT_READY && sense.code === MEDIUM_NOT_PRESENT && attempt >= CD_ATTEMPTS)
      return ataStatus.notReady;
    if (sense?.key !== NOT_READY && sense?.key !== UNIT_ATTENTION) return ataStatus.notReady;
    if (memory.nowNs() >= endNs) return ataStatus.notReady;
    yield { kind: "delay", reads: 1000 };
  }
  return ataStatus.notReady;
}

/**
 * Reads bytes of a CD, whole 2048-byte sectors or a part: `skipBytes` from the start of sector `lba` are dropped, then
 * `lengthBytes` go to `linear`, both multiples of 512. READ(10), one sector per data block.
 */
export function* cdRead(
  memory: ServiceMemory,
  place: AtaPlace,
  lba: number,
  skipBytes: number,
  lengthBytes: number,
  linear: number,
): Directed<number> {
  const sectors = Math.ceil((skipBytes + lengthBytes) / CD_SECTOR_BYTES);
  const packet = new Uint8Array(12);
  packet[0] = 0x28;
  new DataView(packet.buffer).setUint32(2, lba >>> 0);
  new DataView(packet.buffer).setUint16(7, sectors);
  let status = ataStatus.timedOut as number;
  for (let attempt = 0; attempt < CD_ATTEMPTS; attempt++) {
    status = yield* readPacketData(memory, place, packet, skipBytes, lengthBytes, linear);
    if (status !== ataStatus.controllerFailed) return status;
    const sense = yield* requestSense(memory, place);
    if (sense?.key === NOT_READY) return ataStatus.notReady;
    if (sense?.key !== UNIT_ATTENTION) return ataStatus.notFound;
  }
  return status;
}

function* readPacketData(
  memory: ServiceMemory,
  place: AtaPlace,
  packet: Uint8Array,
  skipBytes: number,
  lengthBytes: number,
  linear: number,
): Directed<number> {
  const base = commandBases[place.channel];
  let status = yield* sendPacket(memory, place, packet, CD_SECTOR_BYTES);
  let skip = skipBytes >> 1;
  let left = lengthBytes >> 1;
  let at = linear;
  if (skip === 0 && status !== undefined && (status & (ERR | DRQ)) === DRQ) {
    // Whole sectors, one to a block, go in one sweep.
    const sectors = Math.floor(lengthBytes / CD_SECTOR_BYTES);
    if (sectors > 1 && (yield* offeredWords(base)) === CD_SECTOR_WORDS) {
      const moved = yield* moveBlocks(memory, base, "in-blocks", CD_SECTOR_WORDS, sectors, linear);
      left -= moved.done * CD_SECTOR_WORDS;
      at += moved.done * CD_SECTOR_BYTES;
      yield { kind: "in8", port: controlPorts[place.channel] };
      status = moved.status === undefined ? undefined : yield* notBusy(memory, base, DISK_TIMEOUT_NS);
    }
  }
  // One turn per data block; a block has at least one word, and CDs have fewer sectors than this.
  for (let block = 0; block < 0x10000; block++) {
    if (status === undefined) return ataStatus.timedOut;
    if ((status & ERR) !== 0) return ataStatus.controllerFailed;
    if ((status & DRQ) === 0) return left === 0 ? ataStatus.ok : ataStatus.notFound;
    let words = yield* offeredWords(base);
    if (words === 0) return ataStatus.controllerFailed;
    const dropped = Math.min(skip, words);
    if (dropped > 0) yield { kind: "skip-words", port: base + DATA, words: dropped };
    skip -= dropped;
    words -= dropped;
    const taken = Math.min(left, words);
    if (taken > 0) yield { kind: "in-words", port: base + DATA, words: taken, ...farPointer(at) };
    left -= taken;
    at += taken * 2;
    words -= taken;
    if (words > 0) yield { kind: "skip-words", port: base + DATA, words };
    yield { kind: "in8", port: controlPorts[place.channel] };
    status = yield* notBusy(memory, base, DISK_TIMEOUT_NS);
  }
  return ataStatus.controllerFailed;
}
