/**
 * The story: somebody types the walk-through's commands, and an operating system's installer comes up from the CD through our
 * BIOS: on the VGA screen (cells and picture) and, from the CD's serial entry, on COM1. The machine is called winXP as in the
 * walk-through; the CD is Debian 12's network installer, which wants 512 MB.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { inflateSync } from "node:zlib";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { connectToMachine } from "../../src/control/client.ts";
import { socketPathOf } from "../../src/control/socket-path.ts";
import { Sandbox } from "../cli/sandbox.ts";

const PATIENCE_MS = 300_000;
const pictures = resolve(import.meta.dirname, "../../build/pictures");
let iso = "";

beforeAll(async () => {
  iso = join(await debianNetboot(), debianNetbootIso);
});

/** Asks until there is an answer. */
async function until<T>(what: string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`${what} did not come`);
    await new Promise((done) => setTimeout(done, 500));
  }
}

/** The walk-through as typed, up to the start. */
function walkThrough(box: Sandbox): void {
  const disc = box.path("install.iso");
  copyFileSync(iso, disc);
  expect(box.ok("createvm", "--name", "winXP", "--register")).toContain(
    "Virtual machine 'winXP' is created and registered.",
  );
  expect(box.ok("createhd", "--filename", "winXP", "--size", "5000")).toMatch(/^Medium created\. UUID: /m);
  box.ok("modifyvm", "winXP", "--ostype", "WindowsXP");
  expect(box.ok("list", "ostypes")).toContain("WindowsXP");
  box.ok("modifyvm", "winXP", "--memory", "100");
  box.ok(...words("storagectl winXP --name IDE --add ide --controller PIIX4 --portcount 2 --bootable on"));
  box.ok(
    ...words("storageattach winXP --storagectl IDE --port 0 --device 0 --type hdd --medium"),
    box.path("winXP.vdi"),
  );
  box.ok(...words("storageattach winXP --storagectl IDE --port 1 --device 0 --type dvddrive --medium"), disc);
  box.ok(...words("modifyvm winXP --vram 100 --accelerate3d on --audio alsa --audiocontroller ac97"));
  box.ok(...words("modifyvm winXP --nic1 nat --nictype1 Am79C973 --cableconnected1 on"));
  // Debian's installer refuses less.
  box.ok("modifyvm", "winXP", "--memory", "512");
}

const words = (line: string): string[] => line.split(" ");

function start(box: Sandbox): void {
  onTestFinished(() => {
    box.anneau("controlvm", "winXP", "poweroff");
  });
  const started = box.anneau("startvm", "winXP", "--type", "headless");
  expect(started.stdout).toContain('VM "winXP" has been successfully started.');
  expect(started.code).toBe(0);
}

/** Width, height and the different bytes of an 8-bit RGB(A) PNG: enough to tell a picture from a blank. */
function readPng(path: string): { width: number; height: number; differentBytes: number } {
  const bytes = readFileSync(path);
  expect(bytes.subarray(0, 8).toString("hex")).toBe("89504e470d0a1a0a");
  const data: Buffer[] = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT")
      data.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  }
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    differentBytes: new Set(inflateSync(Buffer.concat(data))).size,
  };
}

test("the language screen on VGA: cells and picture", async () => {
  const box = new Sandbox();
  walkThrough(box);
  start(box);
  // The client of this process looks where the sandbox's VM process listens.
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const client = await connectToMachine(socketPathOf(box.info("winXP").get("UUID") ?? ""));
  const lines = await until("the language screen", async () => {
    const screen = await client.request("textscreen", {});
    return screen?.lines.some((line) => line.includes("<Go Back>")) ? screen.lines : undefined;
  });
  client.close();
  const text = lines.join("\n");
  expect(text).toContain("Select a language");
  expect(text).toContain("Choose the language to be used for the installation process.");
  expect(text).toMatch(/English\s+-\s+English/);
  expect(text).toMatch(/Français/);
  const picture = box.path("screen.png");
  box.ok("controlvm", "winXP", "screenshotpng", picture);
  const { width, height, differentBytes } = readPng(picture);
  expect([width, height]).toEqual([720, 400]);
  expect(differentBytes).toBeGreaterThan(4);
  mkdirSync(pictures, { recursive: true });
  copyFileSync(picture, join(pictures, "installer-language.png"));

  // A person answers, and the installer asks its next question.
  box.ok("controlvm", "winXP", "keyboardputscancode", "1c", "9c");
  const next = await connectToMachine(socketPathOf(box.info("winXP").get("UUID") ?? ""));
  await until("the next question", async () => {
    const screen = await next.request("textscreen", {});
    return screen?.lines.some((line) => line.includes("Select your location")) ? true : undefined;
  });
  next.close();
  box.ok("controlvm", "winXP", "poweroff");
  expect(box.info("winXP").get("VMState")).toBe("poweroff");
  box.ok("unregistervm", "winXP", "--delete");
  expect(existsSync(box.path("winXP.vdi"))).toBe(false);
});

test("the language screen on COM1, from the CD's serial entry", async () => {
  const box = new Sandbox();
  walkThrough(box);
  const log = box.path("com1.txt");
  box.ok("modifyvm", "winXP", "--uart1", "0x3f8", "4", "--uart-mode1", "file", log);
  start(box);
  const said = () => (existsSync(log) ? readFileSync(log, "latin1") : "");
  await until("the boot prompt", () => (said().includes("boot:") ? true : undefined));
  box.ok("controlvm", "winXP", "keyboardputstring", "serial\n");
  const text = await until("the language screen", () => (said().includes("Select a language") ? said() : undefined));
  expect(text).toContain("console=ttyS0");
  box.ok("controlvm", "winXP", "poweroff");
});

test("a CD whose boot code was damaged does not get there", async () => {
  const box = new Sandbox();
  walkThrough(box);
  const disc = box.path("install.iso");
  const bytes = readFileSync(disc);
  // The id of the boot record in sector 17.
  bytes.fill(0, 17 * 2048, 17 * 2048 + 64);
  writeFileSync(disc, bytes);
  start(box);
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const client = await connectToMachine(socketPathOf(box.info("winXP").get("UUID") ?? ""));
  const lines = await until("the firmware's word", async () => {
    const screen = await client.request("textscreen", {});
    return screen?.lines.some((line) => /boot|Boot/.test(line) && /no|No|not/.test(line)) ? screen.lines : undefined;
  });
  client.close();
  expect(lines.join("\n")).not.toContain("ISOLINUX");
});
