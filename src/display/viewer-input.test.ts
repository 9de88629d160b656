import { expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { keyOfKeysym } from "./keysyms.ts";
import { ViewerKeyboard } from "./viewer-keyboard.ts";
import { ViewerPointer } from "./viewer-pointer.ts";

function keyboard(leds = 0) {
  const sent: number[] = [];
  const keys = new ViewerKeyboard(
    (codes) => sent.push(...codes),
    () => leds,
  );
  const take = () => sent.splice(0).map((code) => code.toString(16));
  return { keys, take };
}

test("keys by place, with and without E0, and the two odd ones", () => {
  const { keys, take } = keyboard();
  keys.key(0x1e, true);
  keys.key(0x1e, true);
  keys.key(0x1e, false);
  keys.key(0x9d, true);
  keys.key(0x9d, false);
  expect(take()).toEqual(["1e", "1e", "9e", "e0", "1d", "e0", "9d"]);
  keys.key(0xc6, true);
  keys.key(0xc6, false);
  expect(take()).toEqual(["e1", "1d", "45", "e1", "9d", "c5"]);
  keys.key(0x54, true);
  keys.key(0x54, false);
  expect(take()).toEqual(["e0", "2a", "e0", "37", "e0", "b7", "e0", "aa"]);
});

test("characters whose Shift the viewer sends, and those whose Shift it leaves out", () => {
  const { keys, take } = keyboard();
  keys.keysym(0xffe1, true);
  keys.keysym(0x21, true);
  keys.keysym(0x21, false);
  keys.keysym(0xffe1, false);
  expect(take()).toEqual(["2a", "2", "82", "aa"]);
  keys.keysym(0x21, true);
  keys.keysym(0x21, false);
  expect(take()).toEqual(["2a", "2", "aa", "82"]);
  keys.keysym(0xffe2, true);
  keys.keysym(0x31, true);
  keys.keysym(0x31, false);
  expect(take()).toEqual(["36", "b6", "2", "36", "82"]);
  // Released by the other character of the same key, as Shift came up first.
  keys.release();
  expect(take()).toEqual(["b6"]);
});

test("a letter with caps lock on needs no Shift", () => {
  const { keys, take } = keyboard(4);
  keys.keysym(0x41, true);
  keys.keysym(0x41, false);
  expect(take()).toEqual(["1e", "9e"]);
});

test("what is down when the viewer goes comes up, whatever it did before", () => {
  const random = seededRandom(8);
  const { keys, take } = keyboard();
  for (let i = 0; i < 3000; i++) {
    if (random(2) === 0) keys.key(random(256), random(2) === 0);
    else keys.keysym(random(4) === 0 ? random(0x1_0000_0000) : 0xff00 + random(256), random(2) === 0);
  }
  keys.release();
  const codes = take().map((code) => Number.parseInt(code, 16));
  const down = new Set<string>();
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] === 0xe1) {
      i += 5;
      continue;
    }
    const prefix = codes[i] === 0xe0 ? "e0 " : "";
    if (prefix) i++;
    const key = `${prefix}${codes[i] & 0x7f}`;
    if (codes[i] & 0x80) down.delete(key);
    else down.add(key);
  }
  expect([...down]).toEqual([]);
});

test("every character of a US keyboard and the keypad have a key", () => {
  for (let code = 0x20; code < 0x7f; code++) expect(keyOfKeysym(code)).toBeDefined();
  for (let code = 0xffaa; code <= 0xffb9; code++) if (code !== 0xffac) expect(keyOfKeysym(code)).toBeDefined();
  expect(keyOfKeysym(0xffc9)).toEqual({ code: 0x58 });
  expect(keyOfKeysym(0x20ac)).toBeUndefined();
  expect(keyOfKeysym(0x01ffffff)).toBeUndefined();
});

const size = { widthPixels: 800, heightPixels: 600 };

test("places become ways for a mouse, with a push at the edges", () => {
  const moves: number[][] = [];
  const pointer = new ViewerPointer({ relative: (...move) => moves.push(move), absolute: undefined }, () => size);
  pointer.move(100, 100, 0);
  pointer.move(110, 95, 1);
  pointer.move(110, 95, 5);
  pointer.move(110, 95, 8);
  pointer.move(110, 95, 0);
  pointer.move(0, 95, 0);
  pointer.move(0, 95, 0);
  expect(moves).toEqual([
    [10, -5, 0, 1],
    [0, 0, 0, 3],
    [0, 0, -1, 0],
    [-110 - 400, 0, 0, 0],
  ]);
});

test("places stay places for a tablet, corners are corners", () => {
  const places: number[][] = [];
  const pointer = new ViewerPointer({ relative: () => {}, absolute: (...place) => places.push(place) }, () => size);
  pointer.move(0, 0, 0);
  pointer.move(799, 599, 2);
  pointer.move(799, 599, 16);
  pointer.release();
  expect(places).toEqual([
    [0, 0, 0, 0],
    [32767, 32767, 0, 4],
    [32767, 32767, 1, 0],
  ]);
});
