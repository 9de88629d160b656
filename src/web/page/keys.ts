/**
 * Keys that do not come from a keyboard under the hand: the menu of those that a browser keeps for itself or a phone does not have, and
 * a phone's own keyboard, which types into a field, whose text becomes keys.
 */
import { addButton, element } from "./elements.js";

/** Presses or releases a key of the machine's: X11 keysym, and its place unless that is for the server to find. */
export type SendKey = (keysym: number, code: string | null, isDown: boolean) => void;

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
  Enter: [0xff0d, "Enter"],
  Ins: [0xff63, "Insert"],
  Del: [0xffff, "Delete"],
  Home: [0xff50, "Home"],
  End: [0xff57, "End"],
  PgUp: [0xff55, "PageUp"],
  PgDn: [0xff56, "PageDown"],
  "←": [0xff51, "ArrowLeft"],
  "↑": [0xff52, "ArrowUp"],
  "→": [0xff53, "ArrowRight"],
  "↓": [0xff54, "ArrowDown"],
  C: [0x63, "KeyC"],
};
for (let i = 1; i <= 12; i++) keyNames[`F${i}`] = [0xffbd + i, `F${i}`];

/** What a phone's keyboard does not have. The menu stays open: one presses several of them. */
const pad = "Esc Tab ↑ Enter Del ← ↓ → Home End PgUp PgDn F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 Ins Print".split(" ");
/** Stay down until they are pressed again. */
const holds = ["Ctrl", "Alt", "Shift", "Win"];
const combinations = [
  "Ctrl+Alt+Del",
  "Alt+Tab",
  "Alt+F4",
  "Ctrl+Esc",
  "Ctrl+C",
  "Ctrl+Alt+F1",
  "Ctrl+Alt+F2",
  "Ctrl+Alt+F7",
  "Ctrl+Alt+Backspace",
];

/** Fills the menu and the field. `done` is called when a menu has served. */
export class Keys {
  readonly #send: SendKey;
  readonly #done: () => void;
  readonly #holdButtons: readonly HTMLButtonElement[];
  readonly #field = element<HTMLTextAreaElement>("typing");
  /** What the field had after the last key that came of it. */
  #typed = "";

  constructor(send: SendKey, done: () => void) {
    this.#send = send;
    this.#done = done;
    this.#holdButtons = holds.map((name) => this.#addHold(name));
    for (const name of pad) addButton(element("key-pad"), name, () => this.#press(name));
    for (const combination of combinations)
      addButton(element("key-combinations"), combination, () => this.#pressAndGo(combination));
    element("cad").addEventListener("click", () => this.#pressAndGo("Ctrl+Alt+Del"));
    this.#listenToField();
  }

  /** The connection has gone, and with it what was held. */
  forget(): void {
    for (const button of this.#holdButtons) button.setAttribute("aria-pressed", "false");
    this.#showHolds();
  }

  #addHold(name: string): HTMLButtonElement {
    const button = addButton(element("key-pad"), name, () => {
      const isDown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(isDown));
      this.#showHolds();
      this.#send(...keyNames[name], isDown);
    });
    button.setAttribute("aria-pressed", "false");
    button.title = `Holds ${name} down until pressed again`;
    return button;
  }

  /** The menu's own button tells that a key is held. */
  #showHolds(): void {
    const isAnyDown = this.#holdButtons.some((button) => button.getAttribute("aria-pressed") === "true");
    element("keys-summary").classList.toggle("held", isAnyDown);
  }

  #press(combination: string): void {
    const keys = combination.split("+").map((name) => keyNames[name]);
    for (const [keysym, code] of keys) this.#send(keysym, code, true);
    for (const [keysym, code] of keys.reverse()) this.#send(keysym, code, false);
  }

  #pressAndGo(combination: string): void {
    this.#press(combination);
    this.#done();
  }

  #listenToField(): void {
    const field = this.#field;
    element("type").addEventListener("click", () => {
      this.#refill();
      field.focus({ preventScroll: true });
    });
    field.addEventListener("input", (event) => this.#typeDifference((event as InputEvent).isComposing));
    field.addEventListener("compositionend", () => this.#refill());
    field.addEventListener("keydown", (event) => {
      const name = { Tab: "Tab", Escape: "Esc" }[event.key];
      if (name === undefined) return;
      event.preventDefault();
      this.#press(name);
    });
  }

  /** Something to delete, so that the next Backspace is an event too. */
  #refill(): void {
    this.#typed = " ".repeat(16);
    this.#field.value = this.#typed;
  }

  /** Phones compose words and change them as they go: what differs from before is what has been typed. */
  #typeDifference(isComposing: boolean): void {
    const before = this.#typed;
    const now = this.#field.value;
    let same = 0;
    while (same < now.length && now[same] === before[same]) same++;
    for (let i = same; i < before.length; i++) this.#press("Backspace");
    for (const character of now.slice(same)) {
      if (character === "\n") this.#press("Enter");
      else this.#tapCharacter(character);
    }
    this.#typed = now;
    if (!isComposing) this.#refill();
  }

  /** Without a place: the server finds the key, and Shift with it. */
  #tapCharacter(character: string): void {
    const point = character.codePointAt(0) ?? 0;
    const keysym = point < 0x100 ? point : 0x0100_0000 + point;
    this.#send(keysym, null, true);
    this.#send(keysym, null, false);
  }
}
