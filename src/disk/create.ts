/**
 * New images. An image is written under a private name beside its place, flushed, and linked to its name at the end:
 * nobody ever sees half an image, and an existing file is never overwritten. Long work comes in steps, so that a caller
 * can give up in between: then the private file goes too.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { BlockBackend } from "../backend-api/block.ts";
import { AnneauError, InternalError } from "../base/errors.ts";
import { ImageFile, isZero, reasonOf } from "./image-file.ts";
import { RawImage } from "./raw.ts";
import { isUuid } from "./uuid.ts";
import { newBlockMap, VdiImage } from "./vdi.ts";
import { MAX_BLOCKS, newVdiHeader } from "./vdi-header.ts";

/** Percent done, 0 to 100, whole numbers, each at most once. */
export type ProgressListener = (percent: number) => void;

/**
 * Work in steps of about a megabyte each. A step that yields a promise wants it to settle before the next one. `throw` gives
 * the work up: what it had written is removed.
 */
export type Steps<T> = Generator<Promise<void> | undefined, T, void>;

/** What an image gets as its content. */
export interface ImageContent extends BlockBackend {
  /** Settles when the next `lengthBytes` in order can be read at once. Absent: they always can. */
  readonly whenReady?: (lengthBytes: number) => Promise<void>;
}

/** Runs steps to their end without a break. */
function runAll<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (value !== undefined) throw new InternalError("these steps cannot be run without a break");
  }
}

export interface CreateVdiOptions {
  /** A multiple of 512. */
  readonly sizeBytes: number;
  readonly variant: "Standard" | "Fixed";
  /** Random when absent. */
  readonly uuid?: string;
  readonly comment?: string;
  readonly onProgress?: ProgressListener;
  /** Copied into the new image; not longer than it. Blocks of zeros are left out of a Standard image. */
  readonly content?: ImageContent;
}

/** Creates a VDI image and returns its UUID. Throws one line; then nothing is left behind. */
export function createVdi(path: string, options: CreateVdiOptions): string {
  return runAll(createVdiInSteps(path, options));
}

/** `createVdi` in steps. */
export function* createVdiInSteps(path: string, options: CreateVdiOptions): Steps<string> {
  const { sizeBytes, variant, content, onProgress = () => {} } = options;
  const uuid = (options.uuid ?? randomUUID()).toLowerCase();
  if (!isUuid(uuid)) throw new AnneauError(`cannot create ${path}: ${uuid} is not a UUID`);
  const maxBytes = MAX_BLOCKS * (1 << 20);
  if (!Number.isInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % 512 !== 0 || sizeBytes > maxBytes)
    throw new AnneauError(
      `cannot create ${path}: size ${sizeBytes} is not a multiple of 512 between 512 and ${maxBytes}`,
    );
  if (content && content.sizeBytes > sizeBytes)
    throw new AnneauError(`cannot create ${path}: ${sizeBytes} bytes do not hold a medium of ${content.sizeBytes}`);
  yield* writeBesideInSteps(path, function* (temporary) {
    const { bytes, header } = newVdiHeader({
      sizeBytes,
      variant,
      uuid,
      modificationUuid: randomUUID(),
      comment: options.comment ?? "",
    });
    const report = percentReporter(onProgress);
    let hostError = "";
    const file = new ImageFile(temporary, "r+", (text) => {
      hostError ||= text;
    });
    try {
      const check = (ok: boolean) => {
        if (!ok) throw new AnneauError(`cannot create ${path}: ${hostError || "the host refused a write"}`);
      };
      check(file.write(0, bytes));
      check(file.write(header.mapOffset, newBlockMap(header.blockCount, variant)));
      check(file.truncate(header.dataOffset));
      if (variant === "Fixed") {
        // Written, not only made longer: a fixed image is one that cannot run out of space later.
        const zeros = new Uint8Array(header.blockBytes);
        for (let block = 0; block < header.blockCount; block++) {
          check(file.write(header.dataOffset + block * header.blockBytes, zeros));
          report(((block + 1) / header.blockCount) * (content ? 50 : 100));
          yield;
        }
      }
      if (content) {
        const target = new VdiImage(file, { readOnly: false });
        const start = variant === "Fixed" ? 50 : 0;
        yield* copyMediumInSteps(content, target, (percent) => report(start + (percent * (100 - start)) / 100));
      }
      check(file.sync());
      report(100);
    } finally {
      file.close();
    }
  });
  return uuid;
}

export interface CreateRawOptions {
  readonly sizeBytes: number;
  /** A Standard image is sparse where the host's file system can. */
  readonly variant: "Standard" | "Fixed";
  readonly onProgress?: ProgressListener;
  /** As for VDI. */
  readonly content?: ImageContent;
}

/** Creates a raw image. Throws one line; then nothing is left behind. */
export function createRaw(path: string, options: CreateRawOptions): void {
  runAll(createRawInSteps(path, options));
}

/** `createRaw` in steps. */
export function* createRawInSteps(path: string, options: CreateRawOptions): Steps<void> {
  const { sizeBytes, variant, content, onProgress = () => {} } = options;
  if (!Number.isInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % 512 !== 0)
    throw new AnneauError(`cannot create ${path}: size ${sizeBytes} is not a multiple of 512`);
  const report = percentReporter(onProgress);
  yield* writeBesideInSteps(path, function* (temporary) {
    let hostError = "";
    const file = new ImageFile(temporary, "r+", (text) => {
      hostError ||= text;
    });
    const check = (ok: boolean) => {
      if (!ok) throw new AnneauError(`cannot create ${path}: ${hostError || "the host refused a write"}`);
    };
    try {
      check(file.truncate(sizeBytes));
      if (variant === "Fixed") {
        const zeros = new Uint8Array(1 << 20);
        for (let at = 0; at < sizeBytes; at += zeros.length) {
          check(file.write(at, zeros, 0, Math.min(zeros.length, sizeBytes - at)));
          report(((at + zeros.length) / sizeBytes) * (content ? 50 : 100));
          yield;
        }
      }
      if (content) {
        const target = new RawImage(file, { readOnly: false, sectorBytes: 512 });
        const start = variant === "Fixed" ? 50 : 0;
        yield* copyMediumInSteps(content, target, (percent) => report(start + (percent * (100 - start)) / 100));
      }
      check(file.sync());
      report(100);
    } finally {
      file.close();
    }
  });
}

/**
 * Copies one medium over the beginning of another. If that reads zero so far (`isBlank`), runs of zeros are left out. Both must
 * complete requests inside the call, as the back ends of this folder do. Throws one line on the first failed request.
 */
export function* copyMediumInSteps(
  source: ImageContent,
  target: BlockBackend,
  onProgress: ProgressListener = () => {},
  isBlank = true,
): Steps<void> {
  const buffer = new Uint8Array(1 << 20);
  const report = percentReporter(onProgress);
  for (let at = 0; at < source.sizeBytes; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, source.sizeBytes - at));
    const check = (what: string) => (ok: boolean) => {
      if (!ok) throw new AnneauError(`copying a medium failed: cannot ${what} ${piece.length} bytes at byte ${at}`);
    };
    yield source.whenReady?.(piece.length);
    source.read(at, piece, check("read"));
    if (!isBlank || !isZero(piece, 0, piece.length)) target.write(at, piece, check("write"));
    report(((at + piece.length) / source.sizeBytes) * 100);
  }
  target.flush((ok) => {
    if (!ok) throw new AnneauError("copying a medium failed: cannot flush");
  });
}

/** Lets `fill` write an empty file under a private name and gives it its name afterwards. */
export function writeBeside(path: string, fill: (temporaryPath: string) => void): void {
  runAll(
    // biome-ignore lint/correctness/useYield: one step
    writeBesideInSteps(path, function* (temporary) {
      fill(temporary);
    }),
  );
}

function* writeBesideInSteps(path: string, fill: (temporaryPath: string) => Steps<void>): Steps<void> {
  if (existsSync(path)) throw new AnneauError(`cannot create ${path}: it exists already`);
  const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
  try {
    closeSync(openSync(temporary, "wx", 0o644));
  } catch (error) {
    throw new AnneauError(`cannot create ${path}: ${reasonOf(error)}`, { cause: error });
  }
  try {
    yield* fill(temporary);
    takeName(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (error instanceof AnneauError) throw error;
    throw new AnneauError(`cannot create ${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    try {
      unlinkSync(temporary);
    } catch {
      // Renamed, or gone with its folder.
    }
  }
}

function takeName(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
    return;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST") throw new AnneauError(`cannot create ${path}: it exists already`, { cause: error });
    // No hard links here: hold the name with an empty file, then put ours in its place.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS" && code !== "EOPNOTSUPP") throw error;
  }
  closeSync(openSync(path, "wx"));
  renameSync(temporary, path);
}

/** Makes the new name durable; hosts that cannot flush a folder do it in their own time. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Windows has no such call.
  }
}

function percentReporter(onProgress: ProgressListener): ProgressListener {
  let last = -1;
  return (percent) => {
    const whole = Math.min(100, Math.floor(percent));
    if (whole > last) onProgress((last = whole));
  };
}
