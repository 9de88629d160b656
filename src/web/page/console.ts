/**
 * The page of the web console: noVNC for the screen, buttons for the machine around it. Served with its types taken off; all
 * addresses are relative to the page's own, which carries the token.
 */
import { addButton, element } from "./elements.js";
import { Keys } from "./keys.js";
import RFB from "./novnc/core/rfb.js";
import { Sound } from "./sound.js";

interface State {
  name: string;
  state: string;
  isPointerAbsolute: boolean;
  busyNs: number;
  idleNs: number;
  diskBytes: number;
  netBytes: number;
}
interface Drive {
  id: string;
  label: string;
  kind: "dvd" | "floppy";
  path: string;
}
interface Media {
  drives: Drive[];
  images: { dvd: string[]; floppy: string[] };
}

const RECONNECT_MS = 1500;
const STATE_MS = 1000;
const MESSAGE_MS = 5000;

const screen = element("screen");
const bar = element("bar");
const scaleButton = element("scale");

/** An address of this page's server, for WebSockets. */
function socketAddress(name: string): string {
  const address = new URL(name, location.href);
  address.protocol = "ws:";
  return address.href;
}

// --- The screen.

let rfb: RFB | undefined;
let isScaled = true;
let hasEnded = false;

function connect(): void {
  const connection = new RFB(screen, socketAddress("rfb"), { shared: true });
  fitIn(connection);
  connection.showDotCursor = true;
  connection.background = "#0d1014";
  connection.addEventListener("connect", () => {
    document.body.dataset.connected = "yes";
    connection.focus({ preventScroll: true });
  });
  connection.addEventListener("disconnect", () => {
    delete document.body.dataset.connected;
    keys.forget();
    if (rfb === connection) rfb = undefined;
    if (!hasEnded) setTimeout(connect, RECONNECT_MS);
  });
  rfb = connection;
}

/**
 * Pixel by pixel, a screen that is larger than the window has scroll bars; fingers, whose gestures go to the machine, push it about
 * instead.
 */
function fitIn(connection: RFB): void {
  const isTouched = matchMedia("(pointer: coarse)").matches;
  connection.scaleViewport = isScaled;
  connection.clipViewport = !isScaled && isTouched;
  connection.dragViewport = !isScaled && isTouched;
}

// --- What the machine is doing.

let last: State | undefined;

async function refreshState(): Promise<void> {
  let state: State | undefined;
  try {
    const response = await fetch("state", { signal: AbortSignal.timeout(5000) });
    if (response.ok) state = (await response.json()) as State;
  } catch {
    // The machine's process has gone, or is busy: it is asked again.
  }
  // A machine that still shows its screen is there, and only busy.
  const isGone = state === undefined && document.body.dataset.connected === undefined;
  element("state").textContent = state?.state ?? (isGone ? "not running" : "busy");
  draw(isGone ? "" : (state?.state ?? "running"));
  if (state === undefined) {
    for (const light of ["cpu", "disk", "net"]) setLight(light, 0);
    return;
  }
  document.title = `${state.name} – Anneau`;
  element("name").textContent = state.name;
  const busy = state.busyNs - (last?.busyNs ?? state.busyNs);
  const idle = state.idleNs - (last?.idleNs ?? state.idleNs);
  setLight("cpu", busy + idle > 0 ? busy / (busy + idle) : 0);
  setLight("disk", state.diskBytes !== (last?.diskBytes ?? state.diskBytes) ? 1 : 0);
  setLight("net", state.netBytes !== (last?.netBytes ?? state.netBytes) ? 1 : 0);
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-action]")) {
    const { action } = button.dataset;
    if (button.id === "") button.hidden = action === (state.state === "paused" ? "pause" : "resume");
  }
  element("lock").hidden = state.isPointerAbsolute;
  if (sound.isOn) element("sound").title = `${Math.round(sound.delaySeconds * 1000)} ms behind the machine`;
  last = state;
}

const veils: Record<string, string> = {
  "": "The machine is not running. When it is started again, it appears here.",
  paused: "The machine is paused.",
  stopping: "The machine is being switched off.",
  gurumeditation: "The machine has come to a dead end: it can be reset or switched off. Its log says why.",
};

/** What is before the screen while the machine does not run; "" when there is no machine. */
function draw(state: string): void {
  const text = veils[state];
  element("veil").hidden = text === undefined;
  element("veil").dataset.state = state;
  element("veil-resume").hidden = state !== "paused";
  if (element("veil-text").textContent !== text) element("veil-text").textContent = text ?? "";
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-action]")) button.disabled = state === "";
}

function setLight(name: string, share: number): void {
  const { classList } = element(`light-${name}`);
  classList.toggle("on", share > 0.5);
  classList.toggle("half", share > 0.05 && share <= 0.5);
}

async function keepWatching(): Promise<void> {
  for (;;) {
    // A page in the background asks for nothing.
    if (!document.hidden) await refreshState();
    await new Promise((resolve) => setTimeout(resolve, STATE_MS));
  }
}

// --- Buttons.

let messageTimer = 0;

function say(text: string): void {
  const message = element("message");
  message.textContent = text;
  message.hidden = false;
  clearTimeout(messageTimer);
  messageTimer = window.setTimeout(() => {
    message.hidden = true;
  }, MESSAGE_MS);
}

async function post(name: string, body: unknown): Promise<boolean> {
  try {
    const response = await fetch(name, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.ok) return true;
    say(((await response.json()) as { error?: string }).error ?? `refused (${response.status})`);
  } catch {
    say("the machine does not answer");
  }
  return false;
}

for (const button of document.querySelectorAll<HTMLButtonElement>("[data-action]")) {
  button.addEventListener("click", async () => {
    const { action, sure } = button.dataset;
    if (sure !== undefined && !confirm(sure)) return;
    await post("action", { action });
    await refreshState();
    backToScreen();
  });
}

const keys = new Keys((keysym, code, isDown) => rfb?.sendKey(keysym, code, isDown), backToScreen);

/** Menus close, and keys go to the machine again. */
function backToScreen(): void {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details[open]")) menu.open = false;
  rfb?.focus({ preventScroll: true });
}
document.addEventListener("pointerdown", (event) => {
  const open = (event.target as Element).closest("details");
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details[open]")) {
    if (menu !== open) menu.open = false;
  }
});

scaleButton.addEventListener("click", () => {
  isScaled = !isScaled;
  scaleButton.setAttribute("aria-pressed", String(isScaled));
  if (rfb) fitIn(rfb);
  backToScreen();
});
element("full").addEventListener("click", async () => {
  backToScreen();
  if (document.fullscreenElement) await document.exitFullscreen();
  else {
    await document.documentElement.requestFullscreen();
    // Where the browser can: Esc, Alt-Tab and the like go to the machine, and Esc held leaves.
    const { keyboard } = navigator as { keyboard?: { lock?(): Promise<void> } };
    await keyboard?.lock?.().catch(() => {});
  }
});
element("shot").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = "screenshot.png";
  link.download = `${last?.name ?? "screen"}.png`;
  link.click();
  backToScreen();
});

// --- Sound.

const sound = new Sound(socketAddress("sound"));
element("sound").addEventListener("click", () => {
  if (sound.isOn) sound.stop();
  else sound.start();
  element("sound").setAttribute("aria-pressed", String(sound.isOn));
  backToScreen();
});

// --- Media.

element("media").addEventListener("toggle", (event) => {
  if ((event.target as HTMLDetailsElement).open) void showMedia();
});

async function showMedia(): Promise<void> {
  const { drives, images } = (await (await fetch("media")).json()) as Media;
  const list = element("drives");
  list.replaceChildren();
  if (drives.length === 0) list.textContent = "The machine has no drives for discs or floppies.";
  for (const drive of drives) {
    const box = document.createElement("div");
    box.className = "drive";
    const title = document.createElement("strong");
    title.textContent = `${drive.kind === "dvd" ? "Disc" : "Floppy"} (${drive.label})`;
    const current = document.createElement("code");
    current.textContent = drive.path === "" ? "empty" : drive.path;
    const path = document.createElement("input");
    path.placeholder = "path of an image on the host";
    path.setAttribute("list", `images-${drive.id}`);
    const known = document.createElement("datalist");
    known.id = `images-${drive.id}`;
    for (const image of images[drive.kind]) {
      const option = document.createElement("option");
      option.value = image;
      known.append(option);
    }
    box.append(title, current, path, known);
    const change = async (image: string) => {
      if (await post("medium", { drive: drive.id, path: image })) await showMedia();
    };
    const insert = () => {
      if (path.value === "") path.focus();
      else void change(path.value);
    };
    path.addEventListener("keydown", (event) => {
      if (event.key === "Enter") insert();
    });
    const buttons = document.createElement("div");
    buttons.className = "row";
    addButton(buttons, "Insert", insert);
    if (drive.path !== "") addButton(buttons, "Eject", () => void change(""));
    box.append(buttons);
    list.append(box);
  }
}

// --- A pointer that the machine catches, for guests that know no tablet.

let pointer: WebSocket | undefined;
let buttons = 0;

element("lock").addEventListener("click", () => {
  backToScreen();
  void screen.requestPointerLock();
});
document.addEventListener("pointerlockchange", () => {
  pointer?.close();
  pointer = document.pointerLockElement === screen ? new WebSocket(socketAddress("pointer")) : undefined;
  buttons = 0;
  if (pointer) say("The machine has the pointer; Esc gives it back.");
});

function point(dx: number, dy: number, dz: number): void {
  if (pointer?.readyState === WebSocket.OPEN)
    pointer.send(JSON.stringify([Math.round(dx), Math.round(dy), dz, buttons]));
}
const mouseEvents = ["mousemove", "mousedown", "mouseup", "wheel", "click", "contextmenu"] as const;
for (const name of mouseEvents) {
  window.addEventListener(
    name,
    (event) => {
      if (pointer === undefined) return;
      // Places mean nothing now: noVNC is not to see them.
      event.stopImmediatePropagation();
      event.preventDefault();
      // The browser's bits are left, right, middle, as the machine's.
      buttons = event.buttons & 7;
      if (event instanceof WheelEvent) point(0, 0, Math.sign(event.deltaY));
      else point(event.movementX, event.movementY, 0);
    },
    { capture: true, passive: false },
  );
}

window.addEventListener("pagehide", () => {
  hasEnded = true;
  rfb?.disconnect();
});
window.addEventListener("pageshow", (event) => {
  // Back from the browser's memory of pages.
  if (!event.persisted) return;
  hasEnded = false;
  connect();
});
bar.addEventListener("contextmenu", (event) => event.preventDefault());
connect();
void keepWatching();
