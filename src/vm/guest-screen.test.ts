import { expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { GuestScreen, type WatchedMachine } from "./guest-screen.ts";
import type { ScreenState } from "./machine-protocol.ts";

const OFFSET = 4096;

/** A machine whose picture is its video memory, one pixel a word, with a corner that blinks. */
class Machine {
  readonly memory = new SharedArrayBuffer(1 << 20);
  state: ScreenState = {
    hostOffset: OFFSET,
    lengthBytes: 320 * 200 * 4,
    revision: 1,
    phase: 0,
    widthPixels: 320,
    heightPixels: 200,
    leds: 0,
    pointerRevision: 0,
    isPointerAbsolute: false,
  };
  renders = 0;
  isGone = false;
  onRender: () => void = () => {};

  get pixels(): Int32Array {
    return new Int32Array(this.memory, OFFSET, this.state.widthPixels * this.state.heightPixels);
  }
  async request(name: string, params?: { readonly target: SharedArrayBuffer }): Promise<unknown> {
    if (this.isGone) throw new Error("gone");
    if (name === "screenState") return this.state;
    this.renders++;
    const { target } = params!;
    if (target.byteLength !== this.state.widthPixels * this.state.heightPixels * 4) return false;
    const picture = new Int32Array(target);
    picture.set(this.pixels);
    picture[0] += this.state.phase + 1000 * this.state.revision;
    this.onRender();
    return true;
  }
  change(change: Partial<ScreenState>): void {
    this.state = { ...this.state, ...change };
  }
}

function watch(): { machine: Machine; screen: GuestScreen } {
  const machine = new Machine();
  return { machine, screen: new GuestScreen(machine as unknown as WatchedMachine) };
}

test("what has not changed is not drawn again, and is the same picture", async () => {
  const { machine, screen } = watch();
  const first = await screen.look();
  for (let i = 0; i < 20; i++) expect(await screen.look()).toBe(first);
  expect(machine.renders).toBe(1);
  machine.pixels[63_999] = 7;
  const second = await screen.look();
  expect(second).not.toBe(first);
  expect(second.pixels[63_999]).toBe(7);
  machine.change({ revision: 2 });
  expect((await screen.look()).pixels[0]).toBe(2000);
  expect(machine.renders).toBe(3);
});

test("a blinking cursor is drawn once a phase", async () => {
  const { machine, screen } = watch();
  const seen = new Set<number>();
  for (let i = 0; i < 40; i++) {
    machine.change({ phase: i & 1 });
    seen.add((await screen.look()).pixels[0]);
  }
  expect([...seen]).toEqual([1000, 1001]);
  expect(machine.renders).toBe(2);
});

test("what the guest writes while its picture is drawn is in the next one", async () => {
  const { machine, screen } = watch();
  machine.onRender = () => {
    machine.pixels[5] = 99;
    machine.onRender = () => {};
  };
  expect((await screen.look()).pixels[5]).toBe(0);
  expect((await screen.look()).pixels[5]).toBe(99);
});

test("the picture of the look before stays as it was, whatever happens", async () => {
  const { machine, screen } = watch();
  const random = seededRandom(4);
  let last = await screen.look();
  let copy = last.pixels.slice();
  for (let i = 0; i < 200; i++) {
    if (random(2) === 0) machine.pixels[random(64_000)] = random(1000);
    if (random(3) === 0) machine.change({ phase: random(4), revision: random(3) });
    if (random(20) === 0) machine.change({ widthPixels: [320, 160][random(2)], heightPixels: 100 + random(2) });
    const next = await screen.look();
    expect(Buffer.compare(Buffer.from(last.pixels.buffer), Buffer.from(copy.buffer))).toBe(0);
    last = next;
    copy = last.pixels.slice();
  }
});

test("off is black in the size that viewers have; a machine that has gone leaves its last picture", async () => {
  const { machine, screen } = watch();
  machine.pixels.fill(3);
  const last = await screen.look();
  machine.change({ widthPixels: 0, heightPixels: 0, lengthBytes: 0 });
  const off = await screen.look();
  expect([off.widthPixels, off.heightPixels]).toEqual([320, 200]);
  expect(off.pixels.every((pixel) => pixel === 0)).toBe(true);
  expect(await screen.look()).toBe(off);
  machine.change({ widthPixels: 320, heightPixels: 200, lengthBytes: 256_000 });
  expect((await screen.look()).pixels[9]).toBe(last.pixels[9]);
  machine.isGone = true;
  expect((await screen.look()).pixels[9]).toBe(3);
});
