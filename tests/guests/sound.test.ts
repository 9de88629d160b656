/**
 * Sound, as a guest's own driver makes it: a Linux guest plays noise that the test knows through its ALSA driver, and the
 * WAV file of `anneau run` holds it sample by sample.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { writeCpio } from "../../scripts/media/cpio.ts";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { RunGuest } from "./run-guest.ts";

const FRAMES = 20_000;
/** Drivers of the sound cards, and the old interface to them that needs no library. */
const modules = ["snd_intel8x0", "snd_sb16", "snd_pcm_oss", "snd_mixer_oss"];

/** What play.asm plays at a rate: left in the low half of each number, right in the high one. */
function noise(rateHz: number): Int16Array {
  const numbers = new Int32Array(FRAMES);
  let state = rateHz;
  for (let i = 0; i < FRAMES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    numbers[i] = state;
  }
  return new Int16Array(numbers.buffer);
}

function readWav(path: string) {
  const bytes = readFileSync(path);
  expect(bytes.toString("latin1", 0, 4) + bytes.toString("latin1", 36, 40)).toBe("RIFFdata");
  return { rateHz: bytes.readUInt32LE(24), samples: new Int16Array(new Uint8Array(bytes.subarray(44)).buffer) };
}

/** Silence, then exactly what was played, then what the driver's ring held until it stopped the card. */
function expectNoise(rateHz: number, wav: ReturnType<typeof readWav>): void {
  const want = noise(rateHz);
  const first = wav.samples.findIndex((sample) => sample !== 0);
  expect(first, `${wav.samples.length} samples of silence at ${wav.rateHz} Hz`).toBeGreaterThanOrEqual(0);
  const start = first & ~1;
  const got = wav.samples.subarray(start, start + want.length);
  const different = want.findIndex((sample, i) => got[i] !== sample);
  expect({ rateHz: wav.rateHz, different }).toEqual({ rateHz, different: -1 });
}

async function play(commands: string, argument: string, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "sound-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "play");
  execFileSync("nasm", ["-f", "bin", "-Werror", "-o", program, join(import.meta.dirname, "sound", "play.asm")]);
  const script = `#!/bin/sh\n${commands}\n/bin/play ${argument}\ndmesg | grep -iE "snd|ac97|intel8x0|sb16" | sed "s/^/LOG /"\necho OVER\n`;
  const media = await linuxGuest({ modules });
  const more = writeCpio([
    { path: "bin/play", kind: "file", data: readFileSync(program), mode: 0o755 },
    { path: "bin/sound-test", kind: "file", data: Buffer.from(script), mode: 0o755 },
  ]);
  const initrd = join(folder, "initrd");
  writeFileSync(initrd, Buffer.concat([readFileSync(join(media, "initrd.gz")), gzipSync(more)]));
  const wav = join(folder, "out.wav");
  const append = "console=ttyS0 quiet anneau.run=/bin/sound-test anneau.then=poweroff";
  const guest = new RunGuest(
    ...[
      "--kernel",
      join(media, "vmlinuz"),
      "--initrd",
      initrd,
      "--append",
      append,
      "--memory",
      "128",
      "--engine",
      "translator",
    ],
    ...["--audio-file", wav, ...args],
  );
  const said = await guest.says(/OVER|SOUND-FAILED/);
  await guest.exited;
  return { said, wav };
}

/** What the guest's kernel has to complain about. */
const complaints = (said: string) => said.match(/LOG .*(error|fail|timeout|invalid|unable).*/gi) ?? [];

function expectRates(wav: string, rates: readonly number[]): void {
  for (const [i, rateHz] of rates.entries())
    expectNoise(rateHz, readWav(i === 0 ? wav : wav.replace(".wav", `-${i + 1}.wav`)));
}

test("AC'97: snd_intel8x0 plays 48,000, 44,100 and 11,025 Hz sample by sample", async () => {
  const { said, wav } = await play("modprobe snd_pcm_oss", "", "--audio=ac97");
  expect(said).toContain("SOUND-DONE");
  expectRates(wav, [48_000, 44_100, 11_025]);
  expect(complaints(said)).toEqual([]);
});

test("Sound Blaster 16: snd_sb16 plays 44,100, 22,050 and 8,000 Hz sample by sample", async () => {
  const commands = "modprobe snd_sb16 isapnp=0 port=0x220 irq=5 dma8=1 dma16=5\nmodprobe snd_pcm_oss";
  const { said, wav } = await play(commands, "sb16", "--audio=sb16");
  expect(said).toContain("SOUND-DONE");
  expectRates(wav, [44_100, 22_050, 8_000]);
  expect(complaints(said)).toEqual([]);
});
