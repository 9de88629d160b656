/**
 * Floppy drives by guest instructions (Intel 82078; IBM PC/AT Technical Reference, diskette BIOS): motor, media rate,
 * recalibrate, DMA channel 2, the commands and their results. Sector size, last sector and gaps come from the table that
 * INT 1Eh points to, because copy protections and large formats change it.
 */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { dpt } from "./floppy-parameters.ts";

const DOR = 0x3f2;
const MSR = 0x3f4;
const FIFO = 0x3f5;
const DIR = 0x3f7;
const CCR = 0x3f7;
const DOR_NOT_RESET = 0x04;
const DOR_INTERRUPTS = 0x08;
const MSR_READY = 0x80;
const MSR_TO_CPU = 0x40;
const DIR_CHANGED = 0x80;
const SPECIFY = 0x03;
const RECALIBRATE = 0x07;
const SENSE_INTERRUPT = 0x08;
const READ_ID = 0x4a;
const SEEK = 0x0f;
const READ_DATA = 0xe6;
const WRITE_DATA = 0xc5;
const FORMAT_TRACK = 0x4d;
const IRQ_SEEN = 0x80;
const IRQ_TIMEOUT_NS = 2_000_000_000;
/** 40:90: media determined; the low bits say "1.44 MB drive, known". */
const MEDIA_KNOWN = 0x17;

export const floppyStatus = {
  ok: 0x00,
  badCommand: 0x01,
  noAddressMark: 0x02,
  writeProtected: 0x03,
  sectorNotFound: 0x04,
  changed: 0x06,
  dmaOverrun: 0x08,
  dmaBoundary: 0x09,
  badCrc: 0x10,
  controllerFailed: 0x20,
  seekFailed: 0x40,
  timedOut: 0x80,
} as const;

export type FloppyTransfer = "read" | "write" | "verify" | "format";

const at = (offset: number) => BDA_BASE + offset;

/** A byte of the diskette parameter table in force. */
function parameter(memory: ServiceMemory, index: number): number {
  const pointer = 0x1e * 4;
  return memory.read8(memory.read16(pointer + 2) * 16 + memory.read16(pointer) + index);
}

function* sendByte(value: number): Directed<boolean> {
  const status = yield {
    kind: "poll8",
    port: MSR,
    mask: MSR_READY | MSR_TO_CPU,
    value: MSR_READY,
    tries: 0x4000,
  };
  if ((status & (MSR_READY | MSR_TO_CPU)) !== MSR_READY) return false;
  yield { kind: "out8", port: FIFO, value };
  return true;
}

function* readByte(): Directed<number | undefined> {
  const both = MSR_READY | MSR_TO_CPU;
  const status = yield { kind: "poll8", port: MSR, mask: both, value: both, tries: 0x4000 };
  return (status & both) === both ? yield { kind: "in8", port: FIFO } : undefined;
}

function* command(...bytes: number[]): Directed<boolean> {
  for (const byte of bytes) if (!(yield* sendByte(byte))) return false;
  return true;
}

/** Waits for IRQ6; its handler sets the flag. */
function* waitInterrupt(memory: ServiceMemory): Directed<boolean> {
  const endNs = memory.nowNs() + IRQ_TIMEOUT_NS;
  for (;;) {
    yield { kind: "wait-flag", offset: bda.floppyRecalibrate, mask: IRQ_SEEN };
    const flags = memory.read8(at(bda.floppyRecalibrate));
    if ((flags & IRQ_SEEN) !== 0) {
      memory.write8(at(bda.floppyRecalibrate), flags & ~IRQ_SEEN);
      return true;
    }
    if (memory.nowNs() >= endNs) return false;
  }
}

function forgetInterrupt(memory: ServiceMemory): void {
  memory.write8(at(bda.floppyRecalibrate), memory.read8(at(bda.floppyRecalibrate)) & ~IRQ_SEEN);
}

function* senseInterrupt(): Directed<{ st0: number; cylinder: number } | undefined> {
  if (!(yield* command(SENSE_INTERRUPT))) return undefined;
  const st0 = yield* readByte();
  if (st0 === undefined || st0 === 0x80) return undefined;
  const cylinder = yield* readByte();
  return cylinder === undefined ? undefined : { st0, cylinder };
}

/** Resets the controller and tells it the drive timings. */
export function* floppyReset(memory: ServiceMemory): Directed<number> {
  const motors = memory.read8(at(bda.floppyMotor));
  const dor = DOR_INTERRUPTS | ((motors & 3) << 4) | ((motors >> 4) & 3);
  forgetInterrupt(memory);
  memory.write8(at(bda.floppyRecalibrate), memory.read8(at(bda.floppyRecalibrate)) & ~3);
  yield { kind: "out8", port: DOR, value: dor };
  yield { kind: "delay", reads: 16 };
  yield { kind: "out8", port: DOR, value: dor | DOR_NOT_RESET };
  if (!(yield* waitInterrupt(memory))) return floppyStatus.controllerFailed;
  for (let drive = 0; drive < 4; drive++) yield* senseInterrupt();
  const isAnswered = yield* command(SPECIFY, parameter(memory, dpt.specify1), parameter(memory, dpt.specify2));
  return isAnswered ? floppyStatus.ok : floppyStatus.controllerFailed;
}

/** Motor on, drive selected; the timer tick switches it off again after the table's delay. */
function* motorOn(memory: ServiceMemory, drive: number): Directed {
  memory.write8(at(bda.floppyMotorTicks), 0xff);
  const motors = (memory.read8(at(bda.floppyMotor)) & 0x0f) | (1 << drive);
  memory.write8(at(bda.floppyMotor), motors | (drive << 4));
  yield { kind: "out8", port: DOR, value: DOR_INTERRUPTS | DOR_NOT_RESET | ((motors & 3) << 4) | drive };
}

function motorOffLater(memory: ServiceMemory): void {
  memory.write8(at(bda.floppyMotorTicks), parameter(memory, dpt.motorOffTicks));
}

function* recalibrate(memory: ServiceMemory, drive: number): Directed<boolean> {
  // A recalibrate of the old controllers steps 77 times at most, so a second one may be needed.
  for (let attempt = 0; attempt < 2; attempt++) {
    forgetInterrupt(memory);
    if (!(yield* command(RECALIBRATE, drive)) || !(yield* waitInterrupt(memory))) return false;
    const sense = yield* senseInterrupt();
    if (sense && (sense.st0 & 0xf0) === 0x20) {
      memory.write8(at(bda.floppyRecalibrate), memory.read8(at(bda.floppyRecalibrate)) | (1 << drive));
      memory.write8(at(bda.floppyTrack + drive), 0);
      return true;
    }
  }
  return false;
}

function* seek(memory: ServiceMemory, drive: number, head: number, cylinder: number): Directed<boolean> {
  const isCalibrated = (memory.read8(at(bda.floppyRecalibrate)) & (1 << drive)) !== 0;
  if (!isCalibrated && !(yield* recalibrate(memory, drive))) return false;
  if (memory.read8(at(bda.floppyTrack + drive)) === cylinder) return true;
  forgetInterrupt(memory);
  if (!(yield* command(SEEK, (head << 2) | drive, cylinder)) || !(yield* waitInterrupt(memory))) return false;
  const sense = yield* senseInterrupt();
  if (!sense || (sense.st0 & 0xc0) !== 0 || sense.cylinder !== cylinder) return false;
  memory.write8(at(bda.floppyTrack + drive), cylinder);
  return true;
}

/** Whether the change line is up. The motor must be on. */
export function* floppyChangeLine(memory: ServiceMemory, drive: number): Directed<boolean> {
  yield* motorOn(memory, drive);
  const isChanged = ((yield { kind: "in8", port: DIR }) & DIR_CHANGED) !== 0;
  motorOffLater(memory);
  return isChanged;
}

/** A new disk: forgets the media, moves the head so that the change line goes down. Without a disk it stays up. */
function* acknowledgeChange(memory: ServiceMemory, drive: number): Directed<number> {
  memory.write8(at(bda.floppyState + drive), 0);
  const reset = yield* floppyReset(memory);
  if (reset !== floppyStatus.ok) return reset;
  yield* motorOn(memory, drive);
  if (!(yield* recalibrate(memory, drive))) return floppyStatus.timedOut;
  if (!(yield* seek(memory, drive, 0, 1))) return floppyStatus.timedOut;
  if (!(yield* seek(memory, drive, 0, 0))) return floppyStatus.timedOut;
  const isStillUp = ((yield { kind: "in8", port: DIR }) & DIR_CHANGED) !== 0;
  return isStillUp ? floppyStatus.timedOut : floppyStatus.changed;
}

/** Finds the data rate at which the disk's address marks can be read: 500, 250, 300, 1000 kbit/s. */
function* determineMedia(memory: ServiceMemory, drive: number): Directed<number> {
  const state = memory.read8(at(bda.floppyState + drive));
  if ((state & 0x10) !== 0) {
    yield { kind: "out8", port: CCR, value: state >> 6 };
    return floppyStatus.ok;
  }
  if (!(yield* seek(memory, drive, 0, 0))) return floppyStatus.seekFailed;
  for (const rate of [0, 2, 1, 3]) {
    yield { kind: "out8", port: CCR, value: rate };
    forgetInterrupt(memory);
    if (!(yield* command(READ_ID, drive)) || !(yield* waitInterrupt(memory))) continue;
    const result = yield* readResult(memory);
    if (result && (result[0] & 0xc0) === 0) {
      memory.write8(at(bda.floppyState + drive), (rate << 6) | MEDIA_KNOWN);
      memory.write8(at(bda.floppyRate), rate << 6);
      return floppyStatus.ok;
    }
  }
  yield* floppyReset(memory);
  return floppyStatus.timedOut;
}

/** The seven result bytes, also into the BIOS data area. */
function* readResult(memory: ServiceMemory): Directed<number[] | undefined> {
  const result: number[] = [];
  for (let i = 0; i < 7; i++) {
    const byte = yield* readByte();
    if (byte === undefined) return undefined;
    memory.write8(at(bda.floppyResult + i), byte);
    result.push(byte);
  }
  return result;
}

function statusOf(result: readonly number[]): number {
  const [st0, st1, st2] = result;
  if ((st0 & 0xc0) === 0) return floppyStatus.ok;
  if ((st0 & 0xc0) !== 0x40) return floppyStatus.controllerFailed;
  if ((st1 & 0x80) !== 0 || (st1 & 0x04) !== 0) return floppyStatus.sectorNotFound;
  if ((st1 & 0x20) !== 0) return floppyStatus.badCrc;
  if ((st1 & 0x10) !== 0) return floppyStatus.dmaOverrun;
  if ((st1 & 0x02) !== 0) return floppyStatus.writeProtected;
  if ((st1 & 0x01) !== 0 || (st2 & 0x01) !== 0) return floppyStatus.noAddressMark;
  return floppyStatus.controllerFailed;
}

/** Programs DMA channel 2. False: the buffer crosses a 64 KiB border, which the page register cannot. */
function* programDma(kind: FloppyTransfer, linear: number, lengthBytes: number): Directed<boolean> {
  if ((linear & 0xffff) + lengthBytes > 0x10000) return false;
  const mode = kind === "read" ? 0x46 : kind === "verify" ? 0x42 : 0x4a;
  const last = lengthBytes - 1;
  const writes: readonly (readonly [number, number])[] = [
    [0x0a, 0x06],
    [0x0c, 0x00],
    [0x0b, mode],
    [0x04, linear & 0xff],
    [0x04, (linear >> 8) & 0xff],
    [0x81, (linear >> 16) & 0xff],
    [0x05, last & 0xff],
    [0x05, last >> 8],
    [0x0a, 0x02],
  ];
  for (const [port, value] of writes) yield { kind: "out8", port, value };
  return true;
}

export interface FloppyAddress {
  readonly drive: number;
  readonly cylinder: number;
  readonly head: number;
  /** First sector; for a format the number of sectors comes from the parameter table. */
  readonly sector: number;
  readonly sectors: number;
}

/** One read, write, verify or format. Gives the INT 13h status; sectors done are all or none. */
export function* floppyTransfer(
  memory: ServiceMemory,
  kind: FloppyTransfer,
  address: FloppyAddress,
  linear: number,
): Directed<number> {
  const { drive } = address;
  yield* motorOn(memory, drive);
  const status = yield* transferWithMotor(memory, kind, address, linear);
  motorOffLater(memory);
  return status;
}

function* transferWithMotor(
  memory: ServiceMemory,
  kind: FloppyTransfer,
  { drive, cylinder, head, sector, sectors }: FloppyAddress,
  linear: number,
): Directed<number> {
  if (((yield { kind: "in8", port: DIR }) & DIR_CHANGED) !== 0) return yield* acknowledgeChange(memory, drive);
  if (kind !== "format") {
    const media = yield* determineMedia(memory, drive);
    if (media !== floppyStatus.ok) return media;
  } else yield { kind: "out8", port: CCR, value: memory.read8(at(bda.floppyState + drive)) >> 6 };
  const sizeCode = parameter(memory, dpt.sectorSize);
  const lastSector = parameter(memory, dpt.lastSector);
  const lengthBytes = kind === "format" ? lastSector * 4 : sectors * (128 << (sizeCode & 7));
  if (lengthBytes === 0) return floppyStatus.badCommand;
  if (!(yield* programDma(kind, linear, lengthBytes))) return floppyStatus.dmaBoundary;
  if (!(yield* seek(memory, drive, head, cylinder))) return floppyStatus.seekFailed;
  forgetInterrupt(memory);
  const headAndDrive = (head << 2) | drive;
  const isSent =
    kind === "format"
      ? yield* command(
          FORMAT_TRACK,
          headAndDrive,
          sizeCode,
          lastSector,
          parameter(memory, dpt.formatGap),
          parameter(memory, dpt.formatFill),
        )
      : yield* command(
          kind === "write" ? WRITE_DATA : READ_DATA,
          headAndDrive,
          cylinder,
          head,
          sector,
          sizeCode,
          lastSector,
          parameter(memory, dpt.gap),
          parameter(memory, dpt.dataLength),
        );
  if (!isSent || !(yield* waitInterrupt(memory))) {
    yield* floppyReset(memory);
    return floppyStatus.timedOut;
  }
  const result = yield* readResult(memory);
  return result === undefined ? floppyStatus.controllerFailed : statusOf(result);
}
