/**
 * The page of the web console: noVNC for the screen, buttons for the machine around it. Served with its types taken off; all
 * addresses are relative to the page's own, which carries the token.
 */
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

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element '${id}'`);
  return found as T;
}
const screen = element("screen");
const bar = element("bar");
const typing = element<HTMLTextAreaElement>("typing");
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
  connection.scaleViewport = isScaled;
  connection.clipViewport = !isScaled;
  connection.showDotCursor = true;
  connection.background = "#0d1014";
  connection.addEventListener("connect", () => {
    document.body.dataset.connected = "yes";
    connection.focus({ preventScroll: true });
  });
  connection.addEventListener("disconnect", () => {
    delete document.body.dataset.connected;
    if (rfb === connection) rfb = undefined;
    if (!hasEnded) setTimeout(connect, RECONNECT_MS);
  });
  rfb = connection;
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
  element("state").textContent = state?.state ?? "not running";
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
    button.hidden = action === (state.state === "paused" ? "pause" : "resume");
  }
  element("lock").hidden = state.isPointerAbsolute;
  if (sound.isOn) element("sound").title = `${Math.round(sound.delaySeconds * 1000)} ms behind the machine`;
  last = state;
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

/** X11 keysyms and the places of the keys, as noVNC wants them. */
const keyNames: Record<string, readonly [keysym: number, code: string]> = {
  Ctrl: [0xffe3, "ControlLeft"],
  Alt: [0xffe9, "AltLeft"],
  Shift: [0xffe1, "ShiftLeft"],
  Win: [0xffeb, "MetaLeft"],
  Esc: [0xff1b, "Escape"],
  Tab: [0xff09, "Tab"],
  Print: [0xff61, "PrintScreen"],
  Backspace: [0xff08, "Backspace"],
  C: [0x63, "KeyC"],
};
for (let i = 1; i <= 12; i++) keyNames[`F${i}`] = [0xffbd + i, `F${i}`];

const combinations = [
  "Esc",
  "Tab",
  "Ctrl+C",
  "Alt+Tab",
  "Alt+F4",
  "Ctrl+Esc",
  "Win",
  "Print",
  "Ctrl+Alt+Backspace",
  "Ctrl+Alt+F1",
  "Ctrl+Alt+F2",
  "Ctrl+Alt+F7",
  "F1",
  "F2",
  "F8",
  "F10",
  "F12",
];

function press(combination: string): void {
  const keys = combination.split("+").map((name) => keyNames[name]);
  for (const [keysym, code] of keys) rfb?.sendKey(keysym, code, true);
  for (const [keysym, code] of keys.reverse()) rfb?.sendKey(keysym, code, false);
}

function addButton(parent: HTMLElement, text: string, onClick: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.textContent = text;
  button.addEventListener("click", onClick);
  parent.append(button);
  return button;
}

addButton(element("keys"), "Ctrl+Alt+Delete", () => {
  rfb?.sendCtrlAltDel();
  backToScreen();
});
for (const combination of combinations) {
  addButton(element("keys"), combination, () => {
    press(combination);
    backToScreen();
  });
}
element("cad").addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  backToScreen();
});

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
  if (rfb) {
    rfb.scaleViewport = isScaled;
    rfb.clipViewport = !isScaled;
  }
  backToScreen();
});
element("full").addEventListener("click", async () => {
  backToScreen();
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
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
    addButton(box, "Insert", () => {
      if (path.value !== "") void change(path.value);
    });
    if (drive.path !== "") addButton(box, "Eject", () => void change(""));
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

// --- A phone's keyboard: it types into a field, whose text becomes keys.

element("type").addEventListener("click", () => {
  typing.value = " ";
  typing.focus({ preventScroll: true });
});
typing.addEventListener("input", (event) => {
  const { inputType, data } = event as InputEvent;
  if (inputType === "deleteContentBackward") tap(0xff08, "Backspace");
  else if (inputType === "insertLineBreak") tap(0xff0d, "Enter");
  else {
    for (const character of data ?? "") {
      if (character === "\n") tap(0xff0d, "Enter");
      else tapCharacter(character);
    }
  }
  // Something to delete, so that the next Backspace is an event too.
  typing.value = " ";
});
typing.addEventListener("keydown", (event) => {
  const named: Record<string, number> = { Tab: 0xff09, Escape: 0xff1b };
  if (named[event.key] === undefined) return;
  event.preventDefault();
  tap(named[event.key], event.key);
});

function tap(keysym: number, code: string | null): void {
  rfb?.sendKey(keysym, code, true);
  rfb?.sendKey(keysym, code, false);
}
/** Without a place: the server finds the key, and Shift with it. */
function tapCharacter(character: string): void {
  const point = character.codePointAt(0) ?? 0;
  tap(point < 0x100 ? point : 0x0100_0000 + point, null);
}

window.addEventListener("pagehide", () => {
  hasEnded = true;
  rfb?.disconnect();
});
bar.addEventListener("contextmenu", (event) => event.preventDefault());
connect();
void keepWatching();
