import { expect, test } from "vitest";
import { WavSink } from "./wav-sink.ts";

class MemoryFiles {
  readonly files = new Map<string, Uint8Array>();
  closed = 0;
  isFull = false;

  create(path: string) {
    this.files.set(path, new Uint8Array(0));
    return {
      write: (offset: number, bytes: Uint8Array) => {
        if (this.isFull) throw new Error("full");
        const old = this.files.get(path)!;
        const next = new Uint8Array(Math.max(old.length, offset + bytes.length));
        next.set(old);
        next.set(bytes, offset);
        this.files.set(path, next);
      },
      close: () => {
        this.closed++;
      },
    };
  }
  /** Rate and samples, as any player reads them. */
  read(path: string) {
    const bytes = this.files.get(path)!;
    const view = new DataView(bytes.buffer);
    const text = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
    expect([text(0), text(8), text(12), text(36)]).toEqual(["RIFF", "WAVE", "fmt ", "data"]);
    expect(view.getUint32(4, true)).toBe(bytes.length - 8);
    expect(view.getUint32(40, true)).toBe(bytes.length - 44);
    expect([view.getUint16(20, true), view.getUint16(22, true), view.getUint16(34, true)]).toEqual([1, 2, 16]);
    const samples = Array.from({ length: (bytes.length - 44) / 2 }, (_, i) => view.getInt16(44 + i * 2, true));
    return { rateHz: view.getUint32(24, true), samples };
  }
}

test("every sample lands in the file, in order; another rate begins another file", () => {
  const files = new MemoryFiles();
  const sink = new WavSink("out.wav", files, (error) => {
    throw error;
  });
  const played = Int16Array.from({ length: 100_000 }, (_, i) => i * 7919);
  for (let at = 0; at < played.length; at += 998) sink.play(played.subarray(at, at + 998), 48_000);
  expect(files.read("out.wav").samples.length).toBeGreaterThan(0);
  sink.play(Int16Array.of(-1, 1), 44_100);
  sink.close();
  expect(files.read("out.wav")).toEqual({ rateHz: 48_000, samples: [...played] });
  expect(files.read("out-2.wav")).toEqual({ rateHz: 44_100, samples: [-1, 1] });
  expect(files.closed).toBe(2);
});

test("nothing played, no file; a full disk is told once", () => {
  const files = new MemoryFiles();
  const errors: unknown[] = [];
  const sink = new WavSink("out.wav", files, (error) => errors.push(error));
  sink.close();
  expect(files.files.size).toBe(0);
  files.isFull = true;
  for (let i = 0; i < 3; i++) {
    sink.play(new Int16Array(40_000), 48_000);
    sink.flush();
  }
  sink.close();
  expect(errors).toHaveLength(1);
});
