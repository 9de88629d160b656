/**
 * Debian's graphical installer in the web console, used as a person does: a language, a country and a keyboard are picked by
 * clicking with the browser's pointer, which a USB tablet puts where the browser has it, and once with a key. It runs on the
 * kernel's frame buffer over our VESA mode, with an X server and GTK. The pictures are in build/pictures/graphical-*.png.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, onTestFinished, test } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { Sandbox } from "../cli/sandbox.ts";
import { addressIn, clickPixel, launchBrowser, openPage, pictures, shown } from "./browser.ts";
import { readPng, until } from "./console-guest.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** A column that lists have and that no text of a short entry reaches. */
const COLUMN = 600;

interface Look {
  /** The line in the middle of the chosen entry of a list, -1 without one. */
  readonly chosen: number;
  /** Lines that are white there: the rest of the list. */
  readonly whiteLines: number;
}

async function look(page: Page): Promise<Look> {
  const { width, rgb } = await shown(page);
  let [chosen, greenLines, whiteLines] = [-1, 0, 0];
  for (let y = 100; y < 545; y++) {
    const [red, green, blue] = rgb.subarray((y * width + COLUMN) * 3);
    if (red === 255 && green === 255 && blue === 255) whiteLines++;
    // The chosen entry's ground, from top to bottom; a letter's edge may have such a colour, too.
    greenLines = red < 60 && green > 115 && green < 150 ? greenLines + 1 : 0;
    if (greenLines > 10) chosen = y - (greenLines >> 1);
  }
  return { chosen, whiteLines };
}

/** A machine with the installer's CD. */
function installer(name: string, media: string, memoryMiB: number): Sandbox {
  const box = new Sandbox();
  const disc = box.path("installer.iso");
  copyFileSync(join(media, debianNetbootIso), disc);
  box.ok("createvm", "--name", name, "--register");
  box.ok("modifyvm", name, "--memory", String(memoryMiB), "--vram", "16", "--usb-ohci", "on", "--mouse", "usbtablet");
  box.ok("storagectl", name, "--name", "IDE", "--add", "ide");
  const place = ["--storagectl", "IDE", "--port", "1", "--device", "0", "--type", "dvddrive"];
  box.ok("storageattach", name, ...place, "--medium", disc);
  onTestFinished(() => void box.anneau("controlvm", name, "poweroff"));
  return box;
}

test("a language, a country and a keyboard are picked by clicking", async () => {
  const box = installer("graphical", await debianNetboot({ flavour: "gtk" }), 1024);
  const page = await openPage(browser, addressIn(box.ok("startvm", "graphical", "--type", "gui")), {
    width: 1000,
    height: 800,
  });
  const isChosen = (what: string, nearLine: number) =>
    until(what, async () => {
      await page.waitForTimeout(400);
      return Math.abs((await look(page)).chosen - nearLine) <= 4;
    });
  const picture = (name: string) => page.screenshot({ path: join(pictures, `graphical-${name}.png`) });

  // X has taken the screen over in the boot loader's mode, and the list of languages stands on English.
  await until("the mode of the boot loader", async () => (await shown(page)).width === 800);
  await isChosen("the list of languages", 361);
  await clickPixel(page, 100, 453);
  await isChosen("French, seven lines on", 453);
  await picture("language");
  await clickPixel(page, 739, 574);

  // In French now: France is proposed; Belgium stands two lines above.
  await isChosen("the list of countries", 290);
  await clickPixel(page, 100, 243);
  await isChosen("Belgium", 243);
  await picture("country");
  await clickPixel(page, 739, 574);

  // The country decides which keyboard is proposed. French Canada's by clicking, the one above it with a key.
  await isChosen("the Belgian keyboard", 325);
  await clickPixel(page, 100, 509);
  await isChosen("the keyboard of French Canada", 509);
  await page.keyboard.press("ArrowUp");
  await isChosen("the Burmese keyboard", 486);
  await page.keyboard.press("ArrowDown");
  await isChosen("the keyboard of French Canada", 509);
  await picture("keymap");

  // What screenshotpng writes is what the browser shows.
  box.ok("controlvm", "graphical", "pause");
  const path = box.path("shot.png");
  box.ok("controlvm", "graphical", "screenshotpng", path);
  const shot = readPng(execFileSync("cat", [path], { maxBuffer: 64 << 20 }));
  await until("the same picture in the browser", async () => Buffer.compare((await shown(page)).rgb, shot.rgb) === 0);
  box.ok("controlvm", "graphical", "resume");

  await clickPixel(page, 739, 574);
  await until("the end of the questions", async () => (await look(page)).whiteLines < 100);
  await picture("next");
});

test("the text installer on the kernel's frame buffer: letters drawn as pixels, and a choice by key", async () => {
  const box = installer("text", await debianNetboot(), 512);
  const page = await openPage(browser, addressIn(box.ok("startvm", "text", "--type", "gui")), {
    width: 1000,
    height: 800,
  });
  await page.waitForTimeout(1500);
  // As Debian's own CD starts it; typed until the boot prompt has taken it.
  await until("the frame buffer's mode", async () => {
    box.ok("controlvm", "text", "keyboardputstring", "install\n");
    await page.waitForTimeout(1000);
    return (await shown(page)).width === 800;
  });
  /** Pixels of a colour, give or take what 16 bits make of it. */
  const count = (rgb: Uint8Array, red: number, green: number, blue: number) => {
    const isNear = (value: number, wanted: number) => Math.abs(value - wanted) < 6;
    let pixels = 0;
    for (let i = 0; i < rgb.length; i += 3)
      if (isNear(rgb[i], red) && isNear(rgb[i + 1], green) && isNear(rgb[i + 2], blue)) pixels++;
    return pixels;
  };
  /** Blue ground, a grey window of a good part of the screen, the red bar on what is chosen. */
  const isQuestion = (rgb: Uint8Array) =>
    count(rgb, 0, 0, 170) > 20_000 && count(rgb, 170, 170, 170) > 100_000 && count(rgb, 170, 0, 0) > 500;
  let first = new Uint8Array();
  await until("the language screen", async () => {
    await page.waitForTimeout(500);
    first = (await shown(page)).rgb as typeof first;
    return isQuestion(first);
  });
  await page.waitForTimeout(1000);
  first = (await shown(page)).rgb as typeof first;
  await page.screenshot({ path: join(pictures, "framebuffer-language.png") });
  await page.keyboard.press("Enter");
  await until("the next question", async () => {
    await page.waitForTimeout(500);
    const { rgb } = await shown(page);
    let different = 0;
    for (let i = 0; i < rgb.length; i++) if (rgb[i] !== first[i]) different++;
    return different > 30_000 && isQuestion(rgb);
  });
  await page.screenshot({ path: join(pictures, "framebuffer-location.png") });
});
