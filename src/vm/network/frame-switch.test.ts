import { expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { macBytes, testFrame } from "../../device-api/testing-net.ts";
import { FrameSwitch } from "./frame-switch.ts";

const mac = (n: number) => `08:00:27:00:0${n >> 4}:0${n & 15}`.replace(/0([0-9a-f]{2})/g, "$1");

function ports(count: number, isPromiscuous = false) {
  const hub = new FrameSwitch();
  return Array.from({ length: count }, (_, i) => {
    const received: number[] = [];
    const port = hub.addPort({
      macAddress: macBytes(mac(i)),
      isPromiscuous: isPromiscuous && i === count - 1,
      deliver: (frame) => received.push(frame[11]),
    });
    return { port, received };
  });
}

test("an address that moves to another port is followed", () => {
  const [a, b, c] = ports(3);
  const roaming = testFrame(mac(0), 50, 99);
  b.port.send(roaming);
  a.port.send(testFrame("52:54:00:00:00:63", 50, 1));
  c.port.send(roaming);
  a.port.send(testFrame("52:54:00:00:00:63", 50, 2));
  expect([b.received, c.received]).toEqual([[1], [2]]);
});

test("addresses that nobody has go to promiscuous ports only", () => {
  const [a, b, spy] = ports(3, true);
  a.port.send(testFrame("52:54:00:12:34:56", 50, 1));
  expect([b.received, spy.received]).toEqual([[], [1]]);
});

test("a port that makes up addresses without end neither grows nor takes others' away for good", () => {
  const [a, b, c] = ports(3);
  const random = seededRandom(3);
  for (let i = 0; i < 10_000; i++) {
    const frame = testFrame(mac(1), 50, 5);
    for (let k = 6; k < 12; k++) frame[k] = random(256);
    c.port.send(frame);
  }
  expect(b.received.length).toBe(10_000);
  a.port.send(testFrame(mac(1), 50, 6));
  expect(b.received.at(-1)).toBe(6);
  expect(a.received).toEqual([]);
});
