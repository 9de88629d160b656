/**
 * The board's old chips (8254, 8259s, MC146818, 8042 with keyboard and mouse, A20, port 61h, 8237, PM timer) as a
 * bare-metal program meets them: its log here equals QEMU's and Bochs', except where the list says why not.
 */
import { expect, test } from "vitest";
import { compareLogs, type Difference } from "../cpu/bare-metal/compare.ts";
import { assembleImage, runBochs, runOurs, runQemu } from "../cpu/bare-metal/machines.ts";

const intel8254 = "Intel 8254 (231164)";

const differences: readonly Difference[] = [
  {
    image: "chipset",
    peer: "QEMU",
    ours: /^bcd counts/,
    lines: "1 fa03b216",
    manual: `${intel8254}, control word: BCD counts in four decades`,
    right: "Anneau",
    because: "QEMU counts in binary only",
  },
  {
    image: "chipset",
    peer: "QEMU",
    ours: /^counter 2 with the gate low/,
    lines: "1 d02a26e3",
    manual: `${intel8254}, mode 2: GATE low disables counting`,
    right: "Anneau",
    because: "QEMU's counter runs on",
  },
  {
    image: "chipset",
    peer: "QEMU",
    ours: /^IRR without and with a request, withdrawn/,
    lines: "1 3fe19626",
    manual: `${intel8254}, mode 0: the control word makes OUT low; Intel 8259A (231468): IR must stay high until acknowledged`,
    right: "Anneau",
    because: "QEMU lowers the line when the count is written",
  },
  {
    image: "chipset",
    peer: "Bochs",
    ours: /^poll without and with a request/,
    lines: "1 ef1fb7cc",
    manual: "Intel 8259A (231468), poll command: the next read is the acknowledge and gives bit 7 and the level",
    right: "Anneau",
    because: "Bochs gives the level without bit 7 and puts nothing in service",
  },
  {
    image: "chipset",
    peer: "Bochs",
    ours: /^(wheel|five buttons|remote mode)/,
    lines: "3 d97ee972",
    manual:
      "Microsoft, wheel mice: 200, 100, 80 and 200, 200, 80 samples a second switch to IDs 3 and 4, packets of four bytes",
    right: "both",
    because: "Bochs' mouse has no wheel unless asked for",
  },
];

test("every line as under QEMU and Bochs, or it is explained", async () => {
  const disk = await assembleImage("chipset");
  // QEMU's time is made of instructions too: a loaded host changes nothing.
  const qemuTime = ["-icount", "shift=9,sleep=off", "-rtc", "clock=vm"];
  const [qemu, bochs, ours] = await Promise.all([runQemu(disk, qemuTime), runBochs(disk), runOurs(disk)]);
  expect(compareLogs("chipset", ours, "QEMU", qemu, differences)).toEqual([]);
  expect(compareLogs("chipset", ours, "Bochs", bochs, differences)).toEqual([]);
});
