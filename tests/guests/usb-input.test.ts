/**
 * Linux's own drivers at our USB controller: it finds tablet and keyboard, and reads from its event devices what a viewer's
 * pointer and keys have done; the keyboard's lights come back.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { TestPc } from "../../src/machine/testing.ts";

const PATIENCE = 12_000_000_000;
const [EV_KEY, EV_REL, EV_ABS] = [1, 2, 3];
const [KEY_A, BTN_LEFT, ABS_X, ABS_Y, REL_WHEEL] = [30, 0x110, 0, 1, 8];

class Guest {
  readonly pc: TestPc;
  #from = 0;
  constructor(pc: TestPc) {
    this.pc = pc;
  }
  says(what: string | RegExp): string {
    const from = this.#from;
    if (!this.pc.runUntilSerial(what, PATIENCE, from)) throw new Error(`'${what}' did not come\n${this.pc.describe()}`);
    this.#from = this.pc.serial.text.length;
    return this.pc.serial.text.slice(from);
  }
  /** Runs a command in the guest's shell: what it prints. */
  runs(command: string): string {
    this.pc.serial.type(`${command}; echo END-$?-OF\n`);
    return this.says(/END-[0-9]+-OF/);
  }
}

/** Type, code and value of the input events in a hex dump, without the ones that only separate. */
function eventsIn(dump: string): (readonly [type: number, code: number, value: number])[] {
  const words = [...dump.matchAll(/^[0-9a-f]{8}((?: [0-9a-f]{2}){16})\s*$/gm)].map((line) =>
    Buffer.from(line[1].replaceAll(" ", ""), "hex"),
  );
  return words
    .map((event) => [event.readUInt16LE(8), event.readUInt16LE(10), event.readInt32LE(12)] as const)
    .filter(([type]) => type >= EV_KEY && type <= EV_ABS);
}

test("Linux reads tablet and keyboard", async () => {
  const media = await linuxGuest({ modules: ["ohci_pci", "usbhid", "hid_generic", "evdev"] });
  const pc = await TestPc.start({
    spec: {
      ramMiB: 96,
      cpu: { pae: true, nx: false, engine: "translator" },
      usb: { pointing: "tablet", hasKeyboard: true },
      linux: {
        kernel: readFileSync(join(media, "vmlinuz")),
        initrd: readFileSync(join(media, "initrd.gz")),
        commandLine: "console=ttyS0 quiet panic=-1 cryptomgr.notests initcall_blacklist=load_system_certificate_list",
      },
    },
  });
  const guest = new Guest(pc);
  guest.says("ANNEAU-GUEST-READY");
  guest.says("# ");
  const devices = guest.runs("modprobe usbhid; modprobe hid_generic; sleep 2; cat /proc/bus/input/devices");
  const eventOf = (name: string) => {
    const block = devices
      .split("\n\n")
      .flatMap((part) => part.split(/\r?\n\r?\n/))
      .find((part) => part.includes(name));
    return /Handlers=[^\n]*(event[0-9]+)/.exec(block ?? "")?.[1] ?? "";
  };
  expect(devices).toContain("Anneau USB Tablet");
  expect(devices).toContain("Anneau USB Keyboard");
  const { tablet, keyboard } = pc.machine.front;

  // Nobody reads the tablet yet: places would be lost, so viewers move the PS/2 mouse.
  expect(tablet?.isInUse).toBe(false);
  pc.serial.type(`dd if=/dev/input/${eventOf("Tablet")} bs=16 count=13 | od -A x -t x1 -v > /tmp/t &\n`);
  guest.says("# ");
  pc.runUntil(() => tablet?.isInUse === true, PATIENCE);
  tablet?.putAbsolute(8192, 16384, 0, 0);
  guest.runs("sleep 1");
  tablet?.putAbsolute(32767, 0, 0, 1);
  guest.runs("sleep 1");
  tablet?.putAbsolute(32767, 0, -1, 0);
  guest.runs("sleep 1");
  const dump = guest.runs("cat /tmp/t").replace(/^([0-9a-f]{6})(?= )/gm, "00$1");
  const events = eventsIn(dump);
  expect(events).toContainEqual([EV_ABS, ABS_X, 8192]);
  expect(events).toContainEqual([EV_ABS, ABS_Y, 16384]);
  expect(events).toContainEqual([EV_ABS, ABS_X, 32767]);
  expect(events).toContainEqual([EV_KEY, BTN_LEFT, 1]);
  expect(events).toContainEqual([EV_REL, REL_WHEEL, 1]);

  pc.serial.type(`dd if=/dev/input/${eventOf("Keyboard")} bs=16 count=6 | od -A x -t x1 -v > /tmp/k &\n`);
  guest.says("# ");
  guest.runs("sleep 1");
  for (const code of [0x1e, 0x9e]) keyboard?.putScancode(code);
  guest.runs("sleep 1");
  const keys = eventsIn(guest.runs("cat /tmp/k").replace(/^([0-9a-f]{6})(?= )/gm, "00$1"));
  expect(keys.filter(([type]) => type === EV_KEY)).toEqual([
    [EV_KEY, KEY_A, 1],
    [EV_KEY, KEY_A, 0],
  ]);
  // Caps lock: the guest lights it.
  for (const code of [0x3a, 0xba]) keyboard?.putScancode(code);
  guest.runs("sleep 1");
  expect((keyboard?.leds ?? 0) & 4).toBe(4);
});
