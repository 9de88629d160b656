/**
 * Sound in the web console: a boot sector plays noise that the test knows on the Sound Blaster 16, and the browser's audio graph
 * has it sample by sample, as the WAV file has.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";
import { addressIn, launchBrowser, openPage } from "./browser.ts";
import { until } from "./console-guest.ts";
import { recorder } from "./sound-recorder.ts";

const FRAMES = 16_384;
const RATE_HZ = 44_100;

/** Every key plays the noise once more: 64 KiB by DMA channel 5. */
const source = `
        bits 16
        org 0x7c00
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov ax, 0x2000
        mov es, ax
        xor edi, edi
        mov eax, ${RATE_HZ}
fill:   imul eax, eax, 1664525
        add eax, 1013904223
        mov [es:di], eax
        add di, 4
        jnz fill
        mov dx, 0x226           ; reset
        mov al, 1
        out dx, al
        mov cx, 1000
.wait:  in al, 0x80
        loop .wait
        xor al, al
        out dx, al
.ready: mov dx, 0x22e
        in al, dx
        test al, al
        jns .ready
        mov dx, 0x22a
        in al, dx
        mov cx, 4               ; master and voice at full volume
        mov bl, 0x30
.volume:
        mov dx, 0x224
        mov al, bl
        out dx, al
        inc dx
        mov al, 0xf8
        out dx, al
        inc bl
        loop .volume
again:  xor ah, ah
        int 0x16
        mov al, 5
        out 0xd4, al            ; channel 5: masked, single, memory to device
        xor al, al
        out 0xd8, al
        mov al, 0x49
        out 0xd6, al
        xor al, al
        out 0xc4, al
        out 0xc4, al
        mov al, 2
        out 0x8b, al
        mov al, ${(FRAMES * 2 - 1) & 0xff}
        out 0xc6, al
        mov al, ${(FRAMES * 2 - 1) >> 8}
        out 0xc6, al
        mov al, 1
        out 0xd4, al
        mov si, commands
        mov cx, 8
        cld
.send:  mov dx, 0x22c
.busy:  in al, dx
        test al, al
        js .busy
        lodsb
        out dx, al
        loop .send
        jmp again
commands:
        db 0x41, ${RATE_HZ >> 8}, ${RATE_HZ & 0xff}
        db 0xd1                 ; speaker on
        db 0xb0, 0x30, ${(FRAMES * 2 - 1) & 0xff}, ${(FRAMES * 2 - 1) >> 8}
times 510-($-$$) db 0
        dw 0xaa55
`;

function noise(): Int16Array {
  const numbers = new Int32Array(FRAMES);
  let state = RATE_HZ;
  for (let i = 0; i < FRAMES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    numbers[i] = state;
  }
  return new Int16Array(numbers.buffer);
}

let browser: Browser;
beforeAll(async () => {
  if (spawnSync("which", ["nasm"]).status !== 0) throw new Error("nasm is missing: apt-get install nasm");
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** A floppy of one sector, in a new machine that is started with its console; the page, listening. */
async function listenTo(name: string, assembly: string, ...settings: string[]) {
  const box = new Sandbox();
  const image = box.path(`${name}.img`);
  execFileSync("nasm", ["-f", "bin", "-o", image, box.write(`${name}.asm`, assembly)]);
  writeFileSync(image, Buffer.concat([readFileSync(image), Buffer.alloc(1_474_560 - 512)]));
  box.ok("createvm", "--name", name, "--register");
  box.ok("modifyvm", name, "--memory", "32", ...settings);
  box.ok("setextradata", name, "Anneau/AudioFile", box.path("played.wav"));
  box.ok("storagectl", name, "--name", "F", "--add", "floppy");
  box.ok("storageattach", name, "--storagectl", "F", "--device", "0", "--type", "fdd", "--medium", image);
  onTestFinished(() => void box.anneau("controlvm", name, "poweroff"));
  const page = await openPage(browser, addressIn(box.ok("startvm", name, "--type", "gui")), undefined, recorder);
  await page.click("summary:has-text('View')");
  const [socket] = await Promise.all([page.waitForEvent("websocket"), page.click("button:text-is('Sound')")]);
  expect(socket.url()).toMatch(/\/sound$/);
  // The first time makes the graph, with a recorder from some point on; the second time is the one that counts.
  await until("the first sound", async () => {
    await page.keyboard.press("Space");
    await page.waitForTimeout(1000);
    return page.evaluate("window.isRecording && heard.length > 0");
  });
  /** Plays it until `isWhole`: on a host that is too busy, the page loses some of it rather than make the guest wait. */
  const playUntil = (what: string, isWhole: string) =>
    until(what, async () => {
      await page.waitForTimeout(1000);
      await page.evaluate("heard.length = rises = 0");
      await page.keyboard.press("Space");
      await page.waitForTimeout(2500);
      return page.evaluate(isWhole);
    });
  return { box, page, socket, playUntil };
}

/** Every key beeps for half a second: 1000 Hz. */
const beeper = `
        bits 16
        org 0x7c00
again:  xor ah, ah
        int 0x16
        mov al, 0xb6
        out 0x43, al
        mov al, ${1193 & 0xff}
        out 0x42, al
        mov al, ${1193 >> 8}
        out 0x42, al
        in al, 0x61
        or al, 3
        out 0x61, al
        mov ah, 0x86
        mov cx, ${500_000 >> 16}
        mov dx, ${500_000 & 0xffff}
        int 0x15
        in al, 0x61
        and al, 0xfc
        out 0x61, al
        jmp again
times 510-($-$$) db 0
        dw 0xaa55
`;

test("the PC's speaker beeps in the browser, without a sound card", async () => {
  const { page, playUntil } = await listenTo("beeper", beeper);
  await playUntil("half a second of 1000 Hz", "rises > 490 && rises < 520");
  expect(await page.evaluate("rates")).toEqual([48_000]);
});

test("what the guest plays is in the browser's audio graph and in the WAV file, sample by sample", async () => {
  const { box, page, socket, playUntil } = await listenTo(
    "noise",
    source,
    ...["--audio-enabled", "on", "--audio-out", "on", "--audio-driver", "alsa", "--audio-controller", "sb16"],
  );
  await playUntil("the noise", `heard.length === ${FRAMES * 2}`);
  expect(await page.evaluate("rates")).toEqual([RATE_HZ]);
  const heard = (await page.evaluate("heard")) as number[];
  const different = noise().findIndex((sample, i) => heard[i] !== sample);
  expect(different).toBe(-1);
  const title = await page.getAttribute("#sound", "title");
  console.log(`sound in the page: ${title}`);
  // Playback switched off: it is there for nobody. And on again.
  box.ok("controlvm", "noise", "audioout", "off");
  expect(box.info("noise").get("audio_out")).toBe("off");
  const fileBytes = () => statSync(box.path("played.wav")).size;
  await page.evaluate("heard.length = 0");
  const before = fileBytes();
  await page.keyboard.press("Space");
  await page.waitForTimeout(2500);
  expect([await page.evaluate("heard.length"), fileBytes()]).toEqual([0, before]);
  box.ok("controlvm", "noise", "audioout", "on");
  await playUntil("the noise, again", `heard.length === ${FRAMES * 2}`);
  // Switched off, nothing comes any more.
  await page.click("summary:has-text('View')");
  await Promise.all([socket.waitForEvent("close"), page.click("button:text-is('Sound')")]);
  box.ok("controlvm", "noise", "poweroff");
  const bytes = readFileSync(box.path("played.wav"));
  expect(bytes.readUInt32LE(24)).toBe(RATE_HZ);
  const played = new Int16Array(new Uint8Array(bytes.subarray(44)).buffer);
  expect(Buffer.compare(Buffer.from(played.buffer, 0, FRAMES * 4), Buffer.from(noise().buffer))).toBe(0);
});
