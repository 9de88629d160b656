import { expect, test } from "vitest";
import { ExecutionCap } from "./execution-cap.ts";

/** A host whose clocks move only when told: `work` uses the processor, `wait` does not. */
function host() {
  let [hostNs, usedNs] = [5e9, 3e9];
  const cap = new ExecutionCap(
    () => hostNs,
    () => usedNs,
  );
  return {
    cap,
    /** Works in slices of 100 µs and rests when told, for a while; the share of time that was work. */
    share(durationNs: number, stolen = 0): number {
      const [startNs, startUsedNs] = [hostNs, usedNs];
      while (hostNs - startNs < durationNs) {
        usedNs += 100_000;
        hostNs += 100_000 * (1 + stolen);
        hostNs += cap.dueRestNs();
      }
      return (usedNs - startUsedNs) / (hostNs - startNs);
    },
    wait: (ns: number) => {
      hostNs += ns;
    },
  };
}

test.each([1, 5, 30, 60, 95])("a cap of %i %% is kept", (percent) => {
  const { cap, share } = host();
  cap.percent = percent;
  expect(share(20e9)).toBeCloseTo(percent / 100, 2);
});

test("without a cap nobody rests; it can be set and taken away", () => {
  const { cap, share } = host();
  expect(share(1e9)).toBe(1);
  cap.percent = 30;
  expect(share(10e9)).toBeCloseTo(0.3, 2);
  cap.percent = 100;
  expect(share(1e9)).toBe(1);
});

test("time that others take is not charged", () => {
  const { cap, share } = host();
  cap.percent = 40;
  // Half of the host's time goes elsewhere: 40 % of the whole are still there to be had.
  expect(share(20e9, 1)).toBeCloseTo(0.4, 2);
});

test("a long idle time earns a short burst only", () => {
  const { cap, share, wait } = host();
  cap.percent = 50;
  wait(100e9);
  expect(share(1e9)).toBeLessThan(0.75);
  expect(share(20e9)).toBeCloseTo(0.5, 2);
});

test("a clock that leaps cannot stop the machine for long", () => {
  let usedNs = 0;
  const cap = new ExecutionCap(
    () => 2e6,
    () => usedNs,
  );
  cap.percent = 1;
  usedNs = 1e15;
  expect(cap.leftNs()).toBe(1e9);
});
