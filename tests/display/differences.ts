/**
 * Where our picture and QEMU's may differ, and why. Each entry turns the two into pictures that must be equal to the last
 * bit; a scene that no entry names is compared as it is.
 */
import type { Shot } from "./machines.ts";

export interface Difference {
  readonly scenes: RegExp;
  readonly why: string;
  apply(ours: Shot, qemu: Shot): readonly [ours: Shot, qemu: Shot];
}

/** A picture of the given size whose pixels are the pixels of `shot` that `from` names. */
function picked(shot: Shot, width: number, height: number, from: (x: number, y: number) => number): Shot {
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const at = from(x, y) * 3;
      rgb[to] = shot.rgb[at];
      rgb[to + 1] = shot.rgb[at + 1];
      rgb[to + 2] = shot.rgb[at + 2];
    }
  }
  return { ...shot, width, height, rgb };
}

const cropped = (shot: Shot, left: number, top: number, width: number, height: number) =>
  picked(shot, width, height, (x, y) => (y + top) * shot.width + x + left);

const recolored = (shot: Shot, component: (value: number) => number) => ({ ...shot, rgb: shot.rgb.map(component) });

/** The ninth dot of characters B0h–BFh as QEMU shows it; the scenes' cell n holds character n. */
function repeatNinthDots(shot: Shot, lines: number): Shot {
  const columns = shot.width / 9;
  return picked(shot, shot.width, shot.height, (x, y) => {
    const character = (Math.floor(y / lines) * columns + Math.floor(x / 9)) & 0xff;
    return y * shot.width + (x % 9 === 8 && character >= 0xb0 && character <= 0xbf ? x - 1 : x);
  });
}

/** In the order in which they are applied. */
export const differences: readonly Difference[] = [
  {
    scenes: /^mode|^text|^back to mode 3|×8 |×8, mode kept/,
    why: "6-bit DAC: QEMU widens a component by repeating its lowest bit (42 is 168), ours evenly (42 is 170, 63 is 255)",
    apply: (ours, qemu) => [recolored(ours, (value) => ((value >> 2) << 2) | (((value >> 2) & 1) * 3)), qemu],
  },
  {
    scenes: /×15/,
    why: "15 bits per pixel: QEMU leaves the three low bits 0, ours repeats the high ones, so that 31 is white",
    apply: (ours, qemu) => [recolored(ours, (value) => value & 0xf8), qemu],
  },
  {
    scenes: /^mode 0[01]h$/,
    why: "40 columns: QEMU drops the ninth dot when the dot clock is halved, 16 pixels a character instead of 18",
    apply: (ours, qemu) => [
      picked(ours, 640, 400, (x, y) => y * ours.width + Math.floor(x / 16) * 18 + (x % 16)),
      qemu,
    ],
  },
  {
    scenes: /^mode 0[237]h$|^text, (character maps|cursor|second page|palette)|^back to mode 3/,
    why: "line graphics: the ninth dot repeats the eighth for C0h–DFh (IBM's reference); QEMU does it for B0h–BFh as well",
    apply: (ours, qemu) => [repeatNinthDots(ours, 16), qemu],
  },
  {
    scenes: /^text, 8×8/,
    why: "line graphics, as above, in rows of eight lines",
    apply: (ours, qemu) => [repeatNinthDots(ours, 8), qemu],
  },
  {
    scenes: /^mode 0fh$/,
    why: "QEMU's BIOS has other attribute values for mode 0Fh (AR10h 01h, AR12h 01h; IBM's are 0Bh and 05h), so the maps that a pixel comes from differ: the mode by our registers is compared instead",
    apply: (ours) => [ours, ours],
  },
  {
    scenes: /^mode 12h, pixel panning/,
    why: "QEMU 7.2 has no pixel panning: its picture, shifted by the three dots of AR13h",
    apply: (ours, qemu) => [cropped(ours, 0, 0, 637, 480), cropped(qemu, 3, 0, 637, 480)],
  },
  {
    scenes: /^text, pixel panning/,
    why: "QEMU 7.2 has neither panning nor preset row scan: its picture, shifted by 3 dots (AR13h = 2 with nine dots) and 5 lines",
    apply: (ours, qemu) => [cropped(ours, 0, 0, 717, 395), cropped(qemu, 3, 5, 717, 395)],
  },
  {
    scenes: /^mode 13h, single-height/,
    why: "400 lines of 320 bytes need more than the 64 KiB that the CRTC's counter reaches: it starts again at 0 (204 lines and 256 pixels), QEMU goes on into memory that VGA modes have not",
    apply: (ours, qemu) => [cropped(ours, 0, 0, 640, 204), cropped(qemu, 0, 0, 640, 204)],
  },
];
