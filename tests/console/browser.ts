/** Chromium as the console's tests use it: opens the page that startvm names, and reads the pixels that it shows. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { readPng } from "./console-guest.ts";

/** Where screenshots of tests go, to be looked at. */
export const pictures = resolve(import.meta.dirname, "../../build/pictures");

export function launchBrowser(): Promise<Browser> {
  if (spawnSync("which", ["chromium"]).status !== 0) throw new Error("chromium is missing: apt-get install chromium");
  mkdirSync(pictures, { recursive: true });
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** The console's address in what startvm says; "" if there is none. */
export const addressIn = (text: string) => /http:\/\/127\.0\.0\.1:[0-9]+\/[A-Za-z0-9_-]{43}\//.exec(text)?.[0] ?? "";

/** A page of its own, connected to the machine. The test fails if the page complains of anything. */
export async function openPage(
  browser: Browser,
  url: string,
  size = { width: 1000, height: 700 },
  /** Runs in the page before its own scripts, and may do what the page's policy forbids. */
  initScript?: string,
): Promise<Page> {
  const bypassCSP = initScript !== undefined;
  const context = await browser.newContext({ viewport: size, hasTouch: size.width < 500, bypassCSP });
  if (initScript !== undefined) await context.addInitScript(initScript);
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A machine that is switched off, or refuses something, is no mistake of the page's.
    const isNetwork = /^Failed to load resource|^WebSocket connection|^Failed when connecting/.test(message.text());
    if (message.type() === "error" && !isNetwork) errors.push(message.text());
  });
  onTestFinished(() => expect(errors).toEqual([]));
  await page.goto(url);
  await page.waitForSelector("body[data-connected]");
  return page;
}

/** The pixels that the page shows, in the machine's own resolution. */
export async function shown(page: Page): Promise<{ width: number; height: number; rgb: Uint8Array }> {
  const url = await page.evaluate("document.querySelector('#screen canvas').toDataURL('image/png')");
  return readPng(Buffer.from(String(url).split(",")[1], "base64"));
}

/** Clicks on a pixel of the machine's screen, wherever the page has it. */
export async function clickPixel(page: Page, x: number, y: number): Promise<void> {
  const box = await page.locator("#screen canvas").boundingBox();
  if (box === null) throw new Error("the page shows no screen");
  const width = Number(await page.evaluate("document.querySelector('#screen canvas').width"));
  await page.mouse.move(box.x + ((x + 0.5) * box.width) / width, box.y + ((y + 0.5) * box.width) / width);
  await page.mouse.down();
  // As long as a finger takes.
  await page.waitForTimeout(60);
  await page.mouse.up();
}
