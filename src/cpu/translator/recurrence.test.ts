import { describe, expect, test } from "vitest";
import { Recurrence } from "./recurrence.ts";

const MS = 1_000_000;

/** When code that runs every `periodMs`, `times` times in a row, is found steady; undefined if not within a minute. */
function steadyAfterMs(periodMs: number, times = 1): number | undefined {
  const recurrence = new Recurrence();
  for (let ms = 0; ms < 60_000; ms += periodMs)
    for (let n = 0; n < times; n++) if (recurrence.isSteady(4711, ms * MS)) return ms;
  return undefined;
}

describe("code that comes again", () => {
  test("a timer's is steady within two seconds", () => {
    expect(steadyAfterMs(4)).toBeLessThan(2000);
    expect(steadyAfterMs(250)).toBeLessThan(3000);
  });

  test("what runs every second is not, however long it runs then", () => {
    expect(steadyAfterMs(1000)).toBeUndefined();
    expect(steadyAfterMs(1000, 10_000)).toBeUndefined();
  });

  test("one long burst is not", () => {
    const recurrence = new Recurrence();
    for (let n = 0; n < 100_000; n++) expect(recurrence.isSteady(1, 5 * MS + n)).toBe(false);
  });

  test("more places than are kept, and a clock that goes back, do no harm", () => {
    const recurrence = new Recurrence();
    for (let place = 0; place < 100_000; place++) recurrence.isSteady(place, place * MS);
    for (let ms = 5000; ms > 0; ms -= 100) expect(recurrence.isSteady(7, ms * MS)).toBe(false);
  });
});
