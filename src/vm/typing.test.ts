import { expect, test, vi } from "vitest";
import type { MachineThreadClient } from "./machine-thread-client.ts";
import { Typist } from "./typing.ts";

/** A keyboard with room for `room` bytes, which the guest empties whenever `isTaking`. */
function fakeMachine(room: number) {
  const got: number[] = [];
  const state = { isTaking: true, left: room };
  const request = async (_name: string, { bytes }: { bytes: readonly number[] }) => {
    if (state.isTaking) state.left = room;
    const taken = bytes.slice(0, state.left);
    state.left -= taken.length;
    got.push(...taken);
    return { taken: taken.length };
  };
  return { got, state, machine: { request } as unknown as MachineThreadClient };
}

test("long texts arrive whole, one after the other", async () => {
  const { got, machine } = fakeMachine(7);
  const typist = new Typist();
  await Promise.all([typist.type(machine, new Array(50).fill(1)), typist.type(machine, new Array(20).fill(2))]);
  expect(got).toEqual([...new Array(50).fill(1), ...new Array(20).fill(2)]);
});

test("a guest that takes nothing more is given up, and the next text gets its chance", async () => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout"] });
  try {
    const { got, machine, state } = fakeMachine(10);
    state.isTaking = false;
    const typist = new Typist();
    const typed = typist.type(machine, new Array(12).fill(1)).catch((error: Error) => error.message);
    // The pauses between two looks are Node's own timers: real.
    const end = Date.now() + 2_000;
    let said: string | undefined;
    typed.then((message) => {
      said = message as string;
    });
    while (said === undefined && Date.now() < end) {
      vi.advanceTimersByTime(1_000);
      await new Promise((done) => setImmediate(done));
    }
    expect(said).toBe("Could not send all scan codes to the virtual keyboard (10 of 12 were sent)");
    state.isTaking = true;
    await typist.type(machine, [2]);
    expect(got).toEqual([...new Array(10).fill(1), 2]);
  } finally {
    vi.useRealTimers();
  }
});
