/**
 * A disk and a CD drive by their registers, as a bare-metal program meets them: signatures, shared registers, interrupts for
 * each kind of transfer, bus mastering, errors, packet commands. The log equals QEMU's, except where the list says why not.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { compareLogs, type Difference } from "../cpu/bare-metal/compare.ts";
import { assembleImage, runOurs, runQemu } from "../cpu/bare-metal/machines.ts";

const differences: readonly Difference[] = [
  {
    image: "ide",
    peer: "QEMU",
    ours: /^(IDENTIFY DEVICE to|READ SECTORS to|IDENTIFY PACKET|PACKET to|an unknown command: 5|IDLE IMM|SET MULT|SET FEAT)/,
    lines: "8 a5b6df4c",
    manual: "ATA/ATAPI-5, 7.15: DSC stays set while the drive is ready",
    right: "both",
    because: "QEMU clears DSC with an error and in idle",
  },
  {
    image: "ide",
    peer: "QEMU",
    ours: /^the sector behind the last, error/,
    lines: "1 658a09f4",
    manual: "ATA/ATAPI-5, 8.27.6: IDNF, or ABRT, for an address outside of the drive",
    right: "both",
    because: "IDNF here, ABRT from QEMU",
  },
  {
    image: "ide",
    peer: "QEMU",
    ours: /^READ DMA, 2 sectors, a region too long/,
    lines: "1 1de439a6",
    manual:
      "Intel 82371AB (290562), BMISX: with more region than data the active bit may stay until the program stops the transfer",
    right: "both",
    because: "the transfer's end clears it here, as in VirtualBox",
  },
  {
    image: "ide",
    peer: "QEMU",
    ours: /^READ DMA, 4 sectors, regions too short/,
    lines: "1 8a9ebd4c",
    manual: "Intel 82371AB (290562), BMISX: neither active nor interrupt; the drive still wants to transfer",
    right: "Anneau",
    because: "QEMU's drive says that it is ready",
  },
  {
    image: "ide",
    peer: "QEMU",
    ours: /^a good command clears the sense/,
    lines: "1 5e8d585c",
    manual: "SPC-3, 4.5.1: sense data is about the last command",
    right: "Anneau",
    because: "QEMU keeps it until it is asked for",
  },
];

const folder = mkdtempSync(path.join(tmpdir(), "ide-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** So many units, each with its number in front. */
function numbered(count: number, bytesEach: number): Uint8Array {
  const bytes = new Uint8Array(count * bytesEach);
  const view = new DataView(bytes.buffer);
  for (let unit = 0; unit < count; unit++) view.setUint32(unit * bytesEach, unit, true);
  return bytes;
}

test("every line as under QEMU, or it is explained", async () => {
  const image = await assembleImage("ide");
  const disk = numbered(image.length / 512, 512);
  // The program lies in front of what it reads.
  disk.set(image.subarray(0, 64 * 512));
  expect(image.subarray(64 * 512).every((byte) => byte === 0)).toBe(true);
  const disc = numbered(64, 2048);
  const file = path.join(folder, "disc");
  writeFileSync(file, disc);
  const drive = ["-drive", `file=${file},format=raw,if=ide,index=2,media=cdrom`];
  const ours = await runOurs(disk, { disc }, 500_000_000);
  // QEMU reads its files beside its processor: on a busy host an interrupt may come behind the line that counts it, now and then.
  let found: readonly string[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const qemu = await runQemu(disk, ["-icount", "shift=9,sleep=off", ...drive]);
    found = compareLogs("ide", ours, "QEMU", qemu, differences);
    if (found.length === 0) break;
  }
  expect(found).toEqual([]);
});
