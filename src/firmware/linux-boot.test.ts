import { describe, expect, it } from "vitest";
import { AnneauError } from "../base/errors.ts";
import { planLinuxBoot } from "./linux-boot.ts";
import { buildMemoryMap } from "./memory-map.ts";

const MIB = 0x100000;

/** A bzImage of protocol 2.10 with four setup sectors and `codeBytes` of recognisable code. */
function bzImage(codeBytes: number, change: (header: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(5 * 512 + codeBytes).fill(0x90, 5 * 512);
  const header = new DataView(image.buffer);
  header.setUint8(0x1f1, 4);
  header.setUint16(0x1fe, 0xaa55, true);
  header.setUint8(0x201, 0x66);
  header.setUint32(0x202, 0x53726448, true);
  header.setUint16(0x206, 0x20a, true);
  header.setUint8(0x211, 1);
  header.setUint32(0x22c, 0x37ffffff, true);
  header.setUint32(0x238, 2047, true);
  header.setUint32(0x258, MIB, true);
  header.setUint32(0x260, 8 * MIB, true);
  change(header);
  return image;
}

const machine = (ramMiB: number) => ({
  ramBytes: ramMiB * MIB,
  memoryMap: buildMemoryMap(ramMiB * MIB),
  hasVga: true,
});

describe("direct Linux boot", () => {
  it("refuses a 64-bit kernel: nothing of it would be seen", () => {
    const image = (version: number, flags: number) =>
      bzImage(10_000, (header) => {
        header.setUint16(0x206, version, true);
        header.setUint16(0x236, flags, true);
      });
    const plan = (kernel: Uint8Array) => planLinuxBoot({ kernel, commandLine: "" }, machine(64));
    expect(() => plan(image(0x20c, 9))).toThrow(/kernel: for 64-bit processors/);
    expect(() => plan(image(0x20c, 4))).not.toThrow();
    // Older protocols have something else there.
    expect(() => plan(image(0x20a, 1))).not.toThrow();
  });

  it("puts the kernel at 1 MiB, the initrd page-aligned below the ACPI tables, and describes both in the zero page", () => {
    const initrd = new Uint8Array(70_000).fill(7);
    const plan = planLinuxBoot({ kernel: bzImage(10_000), initrd, commandLine: "console=ttyS0" }, machine(64));
    const at = (gpa: number) => plan.pieces.find((piece) => piece.gpa === gpa)!.bytes;
    expect(at(MIB)).toHaveLength(10_000);
    const zeroPage = at(plan.zeroPage);
    const view = new DataView(zeroPage.buffer, zeroPage.byteOffset);
    const ramdisk = view.getUint32(0x218, true);
    expect(ramdisk % 4096).toBe(0);
    expect(ramdisk + initrd.length).toBeLessThanOrEqual(64 * MIB - 65536);
    expect(ramdisk).toBeGreaterThan(60 * MIB);
    expect(view.getUint32(0x21c, true)).toBe(70_000);
    expect(at(ramdisk)).toEqual(initrd);
    expect(new TextDecoder().decode(at(view.getUint32(0x228, true)))).toBe("console=ttyS0\0");
    expect(zeroPage[0x210]).toBe(0xff);
    expect(view.getUint32(0x202, true)).toBe(0x53726448);
    expect(zeroPage[0x1e8]).toBe(8);
    expect(view.getUint32(0x2d0 + 3 * 20, true)).toBe(MIB);
  });

  it("keeps the initrd below what the kernel can reach", () => {
    const kernel = bzImage(4096, (header) => header.setUint32(0x22c, 16 * MIB - 1, true));
    const plan = planLinuxBoot({ kernel, initrd: new Uint8Array(4096), commandLine: "" }, machine(512));
    const zeroPage = plan.pieces.find((piece) => piece.gpa === plan.zeroPage)!.bytes;
    expect(new DataView(zeroPage.buffer).getUint32(0x218, true)).toBe(16 * MIB - 4096);
  });

  it.each([
    ["an empty file", new Uint8Array(0), "too short"],
    ["something else", new Uint8Array(100_000), "not a bzImage"],
    ["an old protocol", bzImage(4096, (h) => h.setUint16(0x206, 0x201, true)), "2.1 is too old"],
    ["a zImage", bzImage(4096, (h) => h.setUint8(0x211, 0)), "zImage"],
    ["a file cut in its setup code", bzImage(4096).subarray(0, 2560 + 0), "too short"],
    ["setup code longer than the file", bzImage(4096, (h) => h.setUint8(0x1f1, 200)), "ends inside"],
    ["a kernel larger than RAM", bzImage(4096, (h) => h.setUint32(0x260, 100 * MIB, true)), "MiB of RAM"],
  ])("refuses %s with one line", (_what, kernel, message) => {
    const boot = () => planLinuxBoot({ kernel, commandLine: "" }, machine(64));
    expect(boot).toThrow(AnneauError);
    expect(boot).toThrow(message);
    try {
      boot();
    } catch (error) {
      expect((error as Error).message).not.toContain("\n");
    }
  });

  it("refuses an initrd that does not fit and a command line that is too long", () => {
    const kernel = bzImage(4096);
    expect(() => planLinuxBoot({ kernel, initrd: new Uint8Array(8 * MIB), commandLine: "" }, machine(16))).toThrow(
      "initrd",
    );
    expect(() => planLinuxBoot({ kernel, commandLine: "x".repeat(2048) }, machine(64))).toThrow("at most 2047");
  });
});
