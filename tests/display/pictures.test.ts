/**
 * Graphics adapter and video BIOS: one boot disk draws the same pictures on our machine and on QEMU's (its own BIOS, its own
 * adapter), and both screens are equal to the last pixel except where differences.ts says why not. Modes that QEMU cannot
 * show are compared with the picture computed here.
 */
import { describe, expect, it } from "vitest";
import { vbeModes } from "../../src/firmware/video/vbe-modes.ts";
import { differences } from "./differences.ts";
import { drawOnOurs, drawOnQemu, pictureDisk, type Shot } from "./machines.ts";
import { biosScenes, computedScenes, registerScenes, type Scene, vbeScenes } from "./scenes.ts";

/** What differs between two pictures in one line, "" if nothing does. */
function compared(name: string, ours: Shot, qemu: Shot): string {
  for (const difference of differences) {
    if (difference.scenes.test(name)) [ours, qemu] = difference.apply(ours, qemu);
  }
  if (ours.width !== qemu.width || ours.height !== qemu.height)
    return `${name}: ${ours.width}×${ours.height}, QEMU ${qemu.width}×${qemu.height}`;
  let count = 0;
  let first = -1;
  for (let i = 0; i < ours.rgb.length; i++) {
    if (ours.rgb[i] === qemu.rgb[i]) continue;
    if (first < 0) first = Math.floor(i / 3);
    count++;
  }
  if (count === 0) return "";
  const color = (shot: Shot) => shot.rgb.subarray(first * 3, first * 3 + 3).join(" ");
  const place = `${first % ours.width},${Math.floor(first / ours.width)}`;
  return `${name}: ${count} components differ, first at ${place}: ${color(ours)}, QEMU ${color(qemu)}`;
}

async function compareAll(scenes: readonly Scene[]): Promise<string[]> {
  const disk = pictureDisk(scenes.map((scene) => scene.drawing));
  const qemu = await drawOnQemu(disk, scenes.length);
  const ours = await drawOnOurs(disk, scenes.length);
  return scenes.flatMap((scene, i) => compared(scene.name, ours[i], qemu[i]) || []);
}

describe("the same picture as QEMU's", () => {
  it("in every BIOS mode", async () => {
    expect(biosScenes).toHaveLength(15);
    expect(await compareAll(biosScenes)).toEqual([]);
  });

  it("with tweaked registers: planar writes, mode X, fonts, panning, split screen, palette", async () => {
    expect(await compareAll(registerScenes)).toEqual([]);
  });

  it("in every VBE mode that QEMU has, banked or linear, and by registers", async () => {
    expect(await compareAll(vbeScenes)).toEqual([]);
  });

  it("unless one pixel differs, which is noticed", async () => {
    const scenes = biosScenes.slice(-2);
    const disk = pictureDisk(scenes.map((scene) => scene.drawing));
    const qemu = await drawOnQemu(disk, scenes.length);
    const ours = await drawOnOurs(disk, scenes.length);
    expect(compared(scenes[1].name, ours[1], qemu[1])).toBe("");
    ours[1].rgb[3 * (640 * 123 + 45)] ^= 4;
    expect(compared(scenes[1].name, ours[1], qemu[1])).toMatch(/^mode 13h: 1 components differ, first at 45,123/);
    expect(compared(scenes[1].name, ours[1], qemu[0])).not.toBe("");
  });
});

describe("VBE modes that QEMU shows otherwise", () => {
  it("equal the computed picture: widths that are no multiple of eight, 4 bits per pixel", async () => {
    const disk = pictureDisk(computedScenes.map((scene) => scene.drawing));
    const ours = await drawOnOurs(disk, computedScenes.length);
    const wrong = computedScenes.flatMap(({ name, expected }, i) => {
      const want = expected();
      const { width, height, rgb } = ours[i];
      const isRight = width === want.width && height === want.height && Buffer.from(rgb).equals(Buffer.from(want.rgb));
      return isRight ? [] : [name];
    });
    expect(wrong).toEqual([]);
  });

  it("and the two lists hold every mode of the BIOS", () => {
    const shown = [...vbeScenes, ...computedScenes].map((scene) => scene.name.replace(/ .*/, ""));
    const all = vbeModes.map((mode) => `${mode.widthPixels}×${mode.heightPixels}×${mode.bits}`);
    expect(all.filter((mode) => !shown.includes(mode))).toEqual([]);
  });
});
