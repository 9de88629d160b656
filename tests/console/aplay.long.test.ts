/**
 * Sound as somebody hears it: Debian's aplay plays a WAV file of known noise on each sound card, with the kernel's driver, and both the
 * browser's audio graph and the card's WAV file have it sample by sample.
 */
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { debianDiskName, debianRootfs } from "../../scripts/media/debian-rootfs.ts";
import { Sandbox } from "../cli/sandbox.ts";
import { addressIn, launchBrowser, openPage } from "./browser.ts";
import { until } from "./console-guest.ts";
import { freePort } from "./rfb-viewer.ts";
import { SerialTerminal } from "./serial-terminal.ts";
import { recorder } from "./sound-recorder.ts";

const FRAMES = 20_000;

/** What the guest's program makes, too: two 16-bit samples of each number. */
function noise(): Int16Array {
  const numbers = new Int32Array(FRAMES);
  let state = 1;
  for (let i = 0; i < FRAMES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    numbers[i] = state;
  }
  return new Int16Array(numbers.buffer);
}

/** Writes noise.wav: 16 bits, stereo. */
const makeNoise = (rateHz: number) =>
  `perl -e 'my $n = ${FRAMES}; print pack("A4VA4A4VvvVVvvA4V", "RIFF", 36 + 4 * $n, "WAVE", "fmt ", 16, 1, 2, ${rateHz}, ${4 * rateHz}, 4, 16, "data", 4 * $n); ` +
  `my $s = 1; for (1..$n) { $s = (($s * (1664525 & 0xffff)) + ((($s * (1664525 >> 16)) & 0xffff) << 16) + 1013904223) % 4294967296; print pack("V", $s) }' > noise.wav`;

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const cards = [
  { controller: "ac97", rateHz: 48_000, prepare: "amixer -q sset Master 100% unmute; amixer -q sset PCM 0dB unmute" },
  {
    controller: "sb16",
    rateHz: 44_100,
    // Full volume, and no output gain: the system sets some of its own when the card comes.
    prepare: [
      "modprobe snd-sb16 isapnp=0 port=0x220 irq=5 dma8=1 dma16=5; sleep 2",
      ...["Master Playback Volume' 31,31", "PCM Playback Volume' 31,31", "Playback Volume' 0,0"].map(
        (control) => `amixer -q cset name='${control}`,
      ),
    ].join("; "),
  },
] as const;

for (const { controller, rateHz, prepare } of cards) {
  test(`${controller}: aplay of ${rateHz} Hz`, async () => {
    const box = new Sandbox();
    copyFileSync(
      join(await debianRootfs({ include: ["alsa-utils"] }), `${debianDiskName}.vdi`),
      box.path("debian.vdi"),
    );
    const port = await freePort();
    const wav = box.path("played.wav");
    box.ok("createvm", "--name", "sound", "--register");
    box.ok("modifyvm", "sound", "--memory", "256", "--audio-enabled", "on", "--audio-out", "on");
    box.ok("modifyvm", "sound", "--audio-controller", controller);
    box.ok("modifyvm", "sound", "--uart1", "0x3f8", "4", "--uart-mode1", "tcpserver", String(port));
    box.ok("setextradata", "sound", "Anneau/AudioFile", wav);
    box.ok("storagectl", "sound", "--name", "IDE", "--add", "ide");
    const place = ["--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd"];
    box.ok("storageattach", "sound", ...place, "--medium", box.path("debian.vdi"));
    onTestFinished(() => void box.anneau("controlvm", "sound", "poweroff"));
    const url = addressIn(box.ok("startvm", "sound", "--type", "gui"));
    const terminal = new SerialTerminal(port);
    await terminal.logIn();
    await terminal.shell("export TERM=dumb");
    await terminal.shell(prepare);
    await terminal.shell(makeNoise(rateHz));
    const page = await openPage(browser, url, undefined, recorder);
    await page.click("summary:has-text('View')");
    await Promise.all([page.waitForEvent("websocket"), page.click("button:text-is('Sound')")]);
    const play = () => terminal.shell("aplay -q -D hw:0,0 noise.wav");
    // The first time makes the graph; the second has its recorder.
    await until("the recorder", async () => {
      await play();
      return page.evaluate("window.isRecording");
    });
    const want = [...noise()];
    const isNoise = (heard: readonly number[]) =>
      heard.length >= want.length && want.every((sample, i) => heard[i] === sample);
    // On a host that is too busy the page loses some of it rather than make the guest wait.
    await until("the noise in the browser", async () => {
      await page.waitForTimeout(1000);
      await page.evaluate("heard.length = 0");
      await play();
      await page.waitForTimeout(1500);
      return isNoise((await page.evaluate("heard")) as number[]);
    });
    expect(new Set((await page.evaluate("rates")) as number[])).toEqual(new Set([rateHz]));
    box.ok("controlvm", "sound", "poweroff");
    const bytes = readFileSync(wav);
    expect(bytes.readUInt32LE(24)).toBe(rateHz);
    const played = new Int16Array(new Uint8Array(bytes.subarray(44)).buffer);
    const start = played.findIndex((sample) => sample !== 0) & ~1;
    expect(isNoise([...played.subarray(start, start + want.length)])).toBe(true);
  });
}
