/**
 * Discs and floppy disks that come and go while a bare-metal program watches both drives by their registers: what is sensed,
 * in which order, and when the change line falls. The log equals QEMU's, except where the list says why not.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";
import { compareLogs, type Difference } from "../cpu/bare-metal/compare.ts";
import { assembleImage } from "../cpu/bare-metal/machines.ts";

const differences: readonly Difference[] = [
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}ready: sense 02 3A 00/,
    peers: /^: good/,
    lines: "3 6d15483b",
    manual: "MMC-5, START STOP UNIT with LoEj: the tray opens; what lies in it is another matter",
    right: "both",
    because: "QEMU keeps the disc that the guest has ejected, here it is gone as from VirtualBox's drives",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}ready: sense 02 3A 02/,
    lines: "2 0f388bf1",
    manual: "MMC-5, table of sense codes: 3A/02 is no medium, tray open",
    right: "Anneau",
    because: "QEMU says 3A/00 always",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}ready: (sense 06|good)/,
    peers: /^: sense/,
    lines: "2 b2845617",
    manual: "MMC-5, 4.1.6: a change is told once",
    right: "both",
    because:
      "QEMU reports the absence to the first command after the events too, here the polls for events have counted",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}ready: /,
    lines: "4 de772a9c",
    manual: "MMC-5, 4.1.6: how long a drive takes to see a disc is its own",
    right: "both",
    because: "absent twice here, as from VirtualBox: Windows XP wants that; once from QEMU",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}read: /,
    lines: "4 06618e85",
    manual: "MMC-5, 4.1.6, as above",
    right: "both",
    because: "a guest that does not test is refused four times here, once by QEMU",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {2}start.stop2: /,
    lines: "1 48e21731",
    manual: "SPC-3, table of sense codes: 5/53/02 is medium removal prevented",
    right: "Anneau",
    because: "QEMU says not ready, 2/53/00",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {3}event/,
    peers: /00 01$/,
    lines: "2 11417aeb",
    manual: "MMC-5, table 269: 3 is media removal",
    right: "both",
    because: "eject leaves the tray open in QEMU and is no event there",
  },
  {
    image: "media",
    peer: "QEMU",
    ours: /^ {3}event/,
    lines: "7 ba2766d3",
    manual: "MMC-5, table 269: 3 is media removal, 2 new media",
    right: "both",
    because: "QEMU tells the new disc only, at once; here the old one's removal comes first",
  },
];

const folder = mkdtempSync(path.join(tmpdir(), "media-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** 64 sectors; byte 4 of each tells the discs apart. */
function disc(mark: number): Uint8Array {
  const bytes = new Uint8Array(64 * 2048);
  for (let sector = 0; sector < 64; sector++) bytes[sector * 2048 + 4] = mark;
  return bytes;
}

interface Change {
  readonly drive: "disc" | "disk";
  readonly bytes: Uint8Array | undefined;
  readonly isProtected?: boolean;
}
const floppy = () => new Uint8Array(1_474_560);
const changes = new Map<string, Change>([
  ["another disc, tested", { drive: "disc", bytes: disc(2) }],
  ["no disc, tested", { drive: "disc", bytes: undefined }],
  ["a disc, read", { drive: "disc", bytes: disc(3) }],
  ["another disc, asked for events", { drive: "disc", bytes: disc(4) }],
  ["a disc again", { drive: "disc", bytes: disc(5) }],
  ["another disk", { drive: "disk", bytes: floppy() }],
  ["no disk", { drive: "disk", bytes: undefined }],
  ["a protected disk", { drive: "disk", bytes: floppy(), isProtected: true }],
  ["a disk that can be written", { drive: "disk", bytes: floppy() }],
]);

/** The changes that the log asks for, each once. */
class Requests {
  #made = 0;
  next(log: string): Change | undefined {
    const asked = [...log.matchAll(/^> (.*)\n/gm)];
    if (asked.length <= this.#made) return undefined;
    const change = changes.get(asked[this.#made++][1]);
    if (change === undefined) throw new Error(`the program asks for "${asked.at(-1)![1]}"`);
    return change;
  }
}

async function runOurs(image: Uint8Array): Promise<string> {
  const pc = await TestPc.start({
    disks: { "0.0": new MemoryMedium(image.slice()) },
    dvds: { "1.0": new MemoryMedium(disc(1), true) },
    floppies: [new MemoryMedium(floppy())],
    spec: { ramMiB: 32, bootOrder: ["disk", "none", "none", "none"], deterministic: { nsPerInstruction: 500 } },
  });
  const requests = new Requests();
  pc.runUntil(() => {
    const change = requests.next(pc.serial.text);
    if (change !== undefined) {
      const medium = change.bytes && new MemoryMedium(change.bytes, change.drive === "disc" || change.isProtected);
      pc.slots.get(change.drive === "disc" ? "1.0" : "floppy 0")!.change(medium);
      pc.serial.type("!");
    }
    return false;
  }, 400_000_000);
  return pc.serial.text;
}

async function runQemu(image: Uint8Array): Promise<string> {
  let made = 0;
  const file = (bytes: Uint8Array) => {
    const name = path.join(folder, `medium-${made++}`);
    writeFileSync(name, bytes);
    return name;
  };
  const socket = path.join(folder, "monitor");
  const qemu = spawn("qemu-system-i386", [
    ...["-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ...["-monitor", `unix:${socket},server=on,wait=off`, "-boot", "c"],
    ...["-drive", `file=${file(image)},format=raw,if=ide,index=0`],
    ...["-drive", `file=${file(disc(1))},format=raw,if=ide,index=2,media=cdrom,id=disc`],
    ...["-drive", `file=${file(floppy())},format=raw,if=floppy,index=0,id=disk`],
  ]);
  onTestFinished(() => {
    qemu.kill("SIGKILL");
  });
  let text = "";
  const requests = new Requests();
  const ended = new Promise<void>((resolve, reject) => {
    qemu.on("error", (error) => reject(new Error(`${error.message}: apt-get install qemu-system-x86`)));
    qemu.on("close", () => resolve());
  });
  qemu.stderr.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
  });
  qemu.stdout.on("data", async (bytes: Buffer) => {
    text += bytes.toString("latin1");
    const change = requests.next(text);
    if (change === undefined) return;
    const mode = change.drive === "disc" ? "" : change.isProtected ? " read-only" : " read-write";
    await command(
      change.bytes === undefined
        ? `eject -f ${change.drive}`
        : `change ${change.drive} ${file(change.bytes)} raw${mode}`,
    );
    qemu.stdin.write("!");
  });
  /** To the monitor; done when it asks for the next. */
  const command = (line: string) =>
    new Promise<void>((resolve, reject) => {
      const monitor = createConnection(socket);
      let said = "";
      let isSent = false;
      monitor.on("error", reject);
      monitor.on("data", (bytes: Buffer) => {
        said += bytes.toString("latin1");
        if (!said.endsWith("(qemu) ")) return;
        said = "";
        if (!isSent) {
          isSent = true;
          monitor.write(`${line}\n`);
        } else {
          monitor.destroy();
          resolve();
        }
      });
    });
  const patience = setTimeout(() => qemu.kill("SIGKILL"), 120_000);
  await ended;
  clearTimeout(patience);
  return text;
}

test("every line as under QEMU, or it is explained", async () => {
  const image = await assembleImage("media");
  const [qemu, ours] = await Promise.all([runQemu(image), runOurs(image)]);
  expect(compareLogs("media", ours, "QEMU", qemu, differences)).toEqual([]);
});
