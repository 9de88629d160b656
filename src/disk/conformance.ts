/**
 * What every BlockBackend of this folder must do, as a list of named checks without a test framework; each image
 * format's tests run all of them on images of its own. A check throws when it fails.
 */
import assert from "node:assert/strict";
import type { BlockBackend } from "../backend-api/block.ts";

export interface ConformanceSubject {
  /** A new medium of zeros, open for writing; sizeBytes is a multiple of 512. */
  create(sizeBytes: number): BlockBackend;
  /** Closes the medium that `create` made last and opens it again. */
  reopen(medium: BlockBackend, readOnly: boolean): BlockBackend;
}

export interface ConformanceCheck {
  readonly name: string;
  run(subject: ConformanceSubject): void;
}

const sizeBytes = 5 * (1 << 20) + 3 * 512;

export const blockBackendConformance: readonly ConformanceCheck[] = [
  {
    name: "a new medium has the asked size and reads zero to its end",
    run(subject) {
      const medium = subject.create(sizeBytes);
      assert.equal(medium.sizeBytes, sizeBytes);
      assert.equal(medium.readOnly, false);
      const last = new Uint8Array(512).fill(0xee);
      assert.equal(read(medium, sizeBytes - 512, last), true);
      assert.ok(last.every((byte) => byte === 0));
      medium.close();
    },
  },
  {
    name: "what was written is read back, also after flush, close and reopening",
    run(subject) {
      let medium = subject.create(sizeBytes);
      const data = pattern(3 * 512, 1);
      assert.equal(write(medium, sizeBytes - data.length, data), true);
      assert.equal(flush(medium), true);
      medium = subject.reopen(medium, false);
      const back = new Uint8Array(data.length);
      assert.equal(read(medium, sizeBytes - data.length, back), true);
      assert.deepEqual(back, data);
      medium.close();
    },
  },
  {
    name: "one request may span any boundary inside the image, and zero bytes are a request too",
    run(subject) {
      const medium = subject.create(sizeBytes);
      const data = pattern(3 << 20, 2);
      assert.equal(write(medium, (1 << 20) - 512, data), true);
      const back = new Uint8Array(data.length + 1024).fill(0xee);
      assert.equal(read(medium, (1 << 20) - 1024, back), true);
      assert.ok(back.subarray(0, 512).every((byte) => byte === 0));
      assert.ok(Buffer.from(back.subarray(512, 512 + data.length)).equals(data));
      assert.ok(back.subarray(512 + data.length).every((byte) => byte === 0));
      assert.equal(read(medium, sizeBytes, new Uint8Array(0)), true);
      assert.equal(write(medium, 0, new Uint8Array(0)), true);
      medium.close();
    },
  },
  {
    name: "requests outside the medium fail and change nothing",
    run(subject) {
      const medium = subject.create(sizeBytes);
      const sector = pattern(512, 3);
      for (const offset of [sizeBytes, sizeBytes - 256, -512, 2 ** 52, Number.NaN]) {
        assert.equal(write(medium, offset, sector), false, `write at ${offset}`);
        assert.equal(read(medium, offset, new Uint8Array(512)), false, `read at ${offset}`);
        if (medium.discard) assert.equal(discard(medium, offset, 512), false, `discard at ${offset}`);
      }
      const last = new Uint8Array(512);
      assert.equal(read(medium, sizeBytes - 512, last), true);
      assert.ok(last.every((byte) => byte === 0));
      medium.close();
    },
  },
  {
    name: "a medium opened read-only reads and refuses to be written",
    run(subject) {
      let medium = subject.create(sizeBytes);
      assert.equal(write(medium, 512, pattern(512, 4)), true);
      medium = subject.reopen(medium, true);
      assert.equal(medium.readOnly, true);
      assert.equal(write(medium, 0, pattern(512, 5)), false);
      if (medium.discard) assert.equal(discard(medium, 512, 512), false);
      assert.equal(flush(medium), true);
      const back = new Uint8Array(1024);
      assert.equal(read(medium, 0, back), true);
      assert.ok(Buffer.from(back).equals(Buffer.concat([new Uint8Array(512), pattern(512, 4)])));
      medium.close();
    },
  },
  {
    name: "a discarded range reads zero, its neighbours stay",
    run(subject) {
      const medium = subject.create(sizeBytes);
      if (!medium.discard) return medium.close();
      const data = pattern(2 << 20, 6);
      assert.equal(write(medium, 0, data), true);
      assert.equal(discard(medium, 512, (1 << 20) + 512), true);
      const back = new Uint8Array(data.length);
      assert.equal(read(medium, 0, back), true);
      const expected = data.slice().fill(0, 512, (1 << 20) + 1024);
      assert.ok(Buffer.from(back).equals(expected));
      medium.close();
    },
  },
  {
    name: "reads and writes work on views of shared memory",
    run(subject) {
      const medium = subject.create(sizeBytes);
      const ram = new Uint8Array(new SharedArrayBuffer(8192));
      ram.set(pattern(1024, 7), 4096);
      assert.equal(write(medium, 1024, ram.subarray(4096, 4096 + 1024)), true);
      assert.equal(read(medium, 1024, ram.subarray(512, 512 + 1024)), true);
      assert.ok(Buffer.from(ram.slice(512, 512 + 1024)).equals(pattern(1024, 7)));
      medium.close();
    },
  },
  {
    name: "random reads, writes and discards equal those of an array, over several openings",
    run(subject) {
      let medium = subject.create(sizeBytes);
      const model = new Uint8Array(sizeBytes);
      const random = randomNumbers(0x5eed);
      const sectors = sizeBytes / 512;
      for (let step = 0; step < 600; step++) {
        const first = random(sectors);
        const count = 1 + random(Math.min(random(8) === 0 ? 4096 : 64, sectors - first));
        const offset = first * 512;
        const length = count * 512;
        const kind = random(10);
        if (kind < 4) {
          const back = new Uint8Array(length);
          assert.equal(read(medium, offset, back), true);
          assert.ok(Buffer.from(back).equals(model.subarray(offset, offset + length)), `step ${step}: read ${first}`);
        } else if (kind < 8) {
          const data = random(4) === 0 ? new Uint8Array(length) : pattern(length, step);
          assert.equal(write(medium, offset, data), true);
          model.set(data, offset);
        } else if (kind === 8 && medium.discard) {
          assert.equal(discard(medium, offset, length), true);
          model.fill(0, offset, offset + length);
        } else if (random(5) === 0) {
          medium = subject.reopen(medium, false);
        } else assert.equal(flush(medium), true);
      }
      const whole = new Uint8Array(sizeBytes);
      assert.equal(read(medium, 0, whole), true);
      assert.ok(Buffer.from(whole).equals(model));
      medium.close();
    },
  },
];

/** A small deterministic generator (mulberry32): numbers from 0 to below the bound. */
export function randomNumbers(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * bound);
  };
}

function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((i * 7 + (i >> 9) + seed * 31) % 255);
  return bytes;
}

function answer(request: (done: (ok: boolean) => void) => void): boolean {
  const answers: boolean[] = [];
  request((ok) => answers.push(ok));
  assert.equal(answers.length, 1, "done is called once, inside the call");
  return answers[0];
}

export const read = (medium: BlockBackend, offset: number, target: Uint8Array): boolean =>
  answer((done) => medium.read(offset, target, done));
export const write = (medium: BlockBackend, offset: number, source: Uint8Array): boolean =>
  answer((done) => medium.write(offset, source, done));
export const flush = (medium: BlockBackend): boolean => answer((done) => medium.flush(done));
export const discard = (medium: BlockBackend, offset: number, length: number): boolean =>
  answer((done) => medium.discard!(offset, length, done));
