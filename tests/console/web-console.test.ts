/** The web console as a person has it: a browser opens the address that startvm prints. */
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { connectToMachine } from "../../src/control/client.ts";
import { socketPathOf } from "../../src/control/socket-path.ts";
import { Sandbox } from "../cli/sandbox.ts";
import { addressIn, launchBrowser, openPage, pictures, shown } from "./browser.ts";
import { ConsoleGuest, readPng, until } from "./console-guest.ts";

let browser: Browser;

beforeAll(async () => {
  if (spawnSync("which", ["nasm"]).status !== 0) throw new Error("nasm is missing: apt-get install nasm");
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const open = (url: string, size?: { width: number; height: number }): Promise<Page> => openPage(browser, url, size);

test("the page shows the machine's picture to the pixel, types, and its buttons work", async () => {
  const guest = new ConsoleGuest();
  const url = addressIn(guest.start("gui"));
  expect(url).not.toBe("");
  expect(guest.box.ok("console", guest.name, "--print").trim()).toBe(url);
  await guest.shows("ready");
  const page = await open(url);
  await until("the name", async () => (await page.textContent("#name")) === "screen");
  // Keys by place: a capital needs its Shift, as under a hand.
  await page.keyboard.type("hello, world ");
  await page.keyboard.press("Shift+KeyX");
  await guest.shows("hello, world X");
  const control = await guest.control();
  await page.click("summary:has-text('Machine')");
  await page.click("button:has-text('Pause')");
  await until("the pause", async () => (await control.request("status", {})).state === "paused");
  const shot = guest.screenshot();
  await until("the same picture in the browser", async () => {
    const { width, height, rgb } = await shown(page);
    return width === shot.width && height === shot.height && Buffer.compare(rgb, shot.rgb) === 0;
  });
  await until("the state on the page", async () => (await page.textContent("#state")) === "paused");
  await page.waitForSelector("#veil:has-text('paused')");
  await page.screenshot({ path: join(pictures, "console-text.png") });
  await page.click("#veil button");
  await until("the resumption", async () => (await control.request("status", {})).state === "running");
  // F2 from the menu of keys: the guest changes to a graphics mode, and the page follows.
  await page.click("summary:has-text('Keys')");
  await page.click("button:text-is('F2')");
  await until("the graphics mode", async () => (await shown(page)).width === 640);
  await page.click("summary:has-text('View')");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("button:has-text('screenshot')")]);
  expect(readPng(readFileSync((await download.path()) ?? "")).width).toBe(640);
  page.once("dialog", (dialog) => void dialog.accept());
  await page.click("summary:has-text('Machine')");
  await page.click("button:has-text('Switch off')");
  await until("the end", () => guest.box.info(guest.name).get("VMState") === "poweroff");
  await until("the page knows", async () => (await page.textContent("#state")) === "not running");
  await page.waitForSelector("#veil:has-text('not running')");
  await page.screenshot({ path: join(pictures, "console-off.png") });
  // Started again, the machine is at the same address, and the page finds it by itself.
  expect(addressIn(guest.start("gui"))).toBe(url);
  await page.waitForSelector("body[data-connected]");
  await page.waitForSelector("#veil", { state: "hidden" });
});

test("pixel by pixel in a small window, the screen's last corner can be reached", async () => {
  const guest = new ConsoleGuest();
  const url = addressIn(guest.start("separate"));
  await guest.shows("ready");
  const page = await open(url, { width: 600, height: 300 });
  await page.click("summary:has-text('View')");
  await page.click("#scale");
  const canvas = page.locator("#screen canvas");
  await until("the whole size", async () => (await canvas.boundingBox())?.width === 720);
  const reach = await page.evaluate<number[]>(`(() => {
    const box = document.querySelector("#screen > div");
    box.scrollTo(10000, 10000);
    const bars = [box.offsetWidth - box.clientWidth, box.offsetHeight - box.clientHeight];
    const canvas = box.querySelector("canvas").getBoundingClientRect();
    const view = box.getBoundingClientRect();
    return [view.right - bars[0] - canvas.right, view.bottom - bars[1] - canvas.bottom].map(Math.round);
  })()`);
  expect(reach).toEqual([0, 0]);
});

test("media: a floppy is ejected and inserted again", async () => {
  const guest = new ConsoleGuest();
  const url = addressIn(guest.start("gui"));
  const page = await open(url);
  const key = "F-0-0";
  const image = guest.box.info(guest.name).get(key) ?? "";
  expect(image).toContain("boot.img");
  await page.click("summary:has-text('Media')");
  await page.waitForSelector("button:has-text('Eject')");
  expect(await page.textContent(".drive code")).toBe(image);
  await page.screenshot({ path: join(pictures, "console-media.png") });
  await page.click("button:has-text('Eject')");
  await until("the empty drive", () => guest.box.info(guest.name).get(key) === "emptydrive");
  await until("the page", async () => (await page.textContent(".drive code")) === "empty");
  await page.fill(".drive input", "/nonexistent.img");
  await page.click("button:has-text('Insert')");
  await until("the refusal", async () => (await page.textContent("#message"))?.includes("/nonexistent.img"));
  await page.fill(".drive input", image);
  await page.press(".drive input", "Enter");
  await until("the floppy", () => guest.box.info(guest.name).get(key) === image);
}, 120_000);

test("on a phone: the bar fits, and the keyboard button types", async () => {
  const guest = new ConsoleGuest();
  const url = addressIn(guest.start("gui"));
  await guest.shows("ready");
  const page = await open(url, { width: 390, height: 780 });
  const width = await page.evaluate("document.documentElement.scrollWidth");
  expect(width).toBeLessThanOrEqual(390);
  await page.tap("#type");
  await page.keyboard.insertText("Phone 7!");
  await guest.shows("Phone 7!");
  // A word as phones make it: composed letter by letter, changed on the way, and one taken back.
  const browserKeys = await page.context().newCDPSession(page);
  for (const text of ["n", "ne", "new", "ner", "nerv"]) {
    const caret = { selectionStart: text.length, selectionEnd: text.length };
    await browserKeys.send("Input.imeSetComposition", { text, ...caret });
  }
  await browserKeys.send("Input.insertText", { text: "never." });
  await page.keyboard.press("Backspace");
  await guest.shows("Phone 7!never");
  // What a phone's keyboard does not have: the menu stays, and a key can be held.
  await page.tap("summary:has-text('Keys')");
  await page.tap("#key-pad button:text-is('Shift')");
  expect(await page.getAttribute("#key-pad button:text-is('Shift')", "aria-pressed")).toBe("true");
  await page.screenshot({ path: join(pictures, "console-phone.png") });
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(url: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { method = "GET", headers = {}, body } = options;
    const sent = request(url, { method, headers }, (response) => {
      let text = "";
      response.on("data", (part: Buffer) => (text += part.toString("latin1")));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Whether a WebSocket there opens. */
function opens(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http:", "ws:"), { headers });
    socket.on("open", () => {
      socket.terminate();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

test("without the token, or from another page, there is nothing", async () => {
  const guest = new ConsoleGuest();
  const url = addressIn(guest.start("gui"));
  const { host, port } = new URL(url);
  const wrong = url.replace(/\/[^/]+\/$/, `/${"x".repeat(43)}/`);
  expect(await ask(url)).toMatchObject({ status: 200 });
  for (const path of ["", "console.js", "novnc/core/rfb.js", "state", "media", "screenshot.png", "action"])
    expect(await ask(wrong + path)).toEqual({ status: 404, body: "" });
  expect(await ask(`http://${host}/`)).toEqual({ status: 404, body: "" });
  for (const path of ["../../package.json", "%2e%2e/console.ts", "novnc/../../../package.json", "novnc/package.json"])
    expect((await ask(url + path)).status).toBe(404);
  // A name that somebody made resolve to this host; another page; a form.
  expect(await ask(`${url}state`, { headers: { Host: `evil.example:${port}` } })).toEqual({ status: 403, body: "" });
  expect(await ask(`${url}state`, { headers: { Origin: "http://evil.example" } })).toEqual({ status: 403, body: "" });
  const action = { method: "POST", body: '{"action":"pause"}' };
  const json = { "Content-Type": "application/json" };
  expect((await ask(`${url}action`, { ...action, headers: { ...json, Origin: "null" } })).status).toBe(403);
  expect((await ask(`${url}action`, { ...action, headers: { "Content-Type": "text/plain" } })).status).toBe(400);
  expect((await ask(`${url}action`, { ...action, body: '{"action":"toString"}', headers: json })).status).toBe(400);
  expect((await ask(`${url}action`, { ...action, body: "x".repeat(100_000), headers: json })).status).toBe(400);
  expect(await opens(`${wrong}rfb`)).toBe(false);
  expect(await opens(`${wrong}sound`)).toBe(false);
  expect(await opens(`${url}sound`, { Origin: "http://evil.example" })).toBe(false);
  expect(await opens(`${url}sound`)).toBe(true);
  expect(await opens(`${url}rfb`, { Origin: "http://evil.example" })).toBe(false);
  expect(await opens(`${url}rfb`, { Host: `evil.example:${port}` })).toBe(false);
  expect(await opens(`${url}state`)).toBe(false);
  expect(await opens(`${url}rfb`, { Origin: `http://${host}` })).toBe(true);
  const control = await guest.control();
  expect((await control.request("status", {})).state).toBe("running");
  const socket = socketPathOf(guest.box.info(guest.name).get("UUID") ?? "");
  expect(statSync(socket.replace(/\.sock$/, ".token")).mode & 0o777).toBe(0o600);
});

test("headless, nothing listens until somebody asks", async () => {
  const guest = new ConsoleGuest();
  expect(addressIn(guest.start("headless"))).toBe("");
  const { pid } = await (await guest.control()).request("status", {});
  const listens = () =>
    spawnSync("sh", ["-c", `ls -l /proc/${pid}/fd; cat /proc/${pid}/net/tcp`], { encoding: "utf8" });
  const sockets = () => listens().stdout.split("socket:").length;
  const before = sockets();
  const url = addressIn(guest.box.ok("console", guest.name));
  expect((await ask(url)).status).toBe(200);
  expect(sockets()).toBeGreaterThan(before);
});

test("Debian's installer: its language screen in the browser, a choice made with the keyboard", async () => {
  const box = new Sandbox();
  const disc = box.path("install.iso");
  copyFileSync(join(await debianNetboot(), debianNetbootIso), disc);
  box.ok("createvm", "--name", "installer", "--register");
  box.ok("modifyvm", "installer", "--memory", "512");
  box.ok("storagectl", "installer", "--name", "IDE", "--add", "ide");
  const place = ["--storagectl", "IDE", "--port", "1", "--device", "0", "--type", "dvddrive"];
  box.ok("storageattach", "installer", ...place, "--medium", disc);
  onTestFinished(() => void box.anneau("controlvm", "installer", "poweroff"));
  const started = box.ok("startvm", "installer", "--type", "gui");
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const control = await connectToMachine(socketPathOf(box.info("installer").get("UUID") ?? ""));
  onTestFinished(() => control.close());
  const page = await open(addressIn(started));
  const shows = (text: string) => async () =>
    (await control.request("textscreen", {}))?.lines.some((line) => line.includes(text));
  await until("the language screen", shows("<Go Back>"));
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(pictures, "console-installer.png") });
  const { rgb } = await shown(page);
  const colors = new Set(Array.from({ length: rgb.length / 3 }, (_, i) => rgb.slice(i * 3, i * 3 + 3).join()));
  // Blue ground, grey window, the red bar on the language.
  for (const color of ["0,0,170", "170,170,170", "170,0,0", "0,0,0"]) expect(colors).toContain(color);
  await page.keyboard.press("Enter");
  await until("the next question", shows("Select your location"));
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(pictures, "console-installer-location.png") });
});
