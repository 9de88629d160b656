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

function withUplink() {
  const hub = new FrameSwitch();
  const received: number[][] = [[], [], [], []];
  const [a, b, spy, uplink] = received.map((list, i) =>
    hub.addPort({
      macAddress: macBytes(mac(i)),
      isPromiscuous: i === 2,
      isUplink: i === 3,
      deliver: (frame) => list.push(frame[11]),
    }),
  );
  return { hub, a, b, spy, uplink, received };
}

test("an uplink gets what is for nobody here, and groups; what is for a machine here stays here", () => {
  const { a, uplink, received } = withUplink();
  a.send(testFrame("52:54:00:00:00:63", 50, 1));
  a.send(testFrame(mac(1), 50, 2));
  a.send(testFrame("ff:ff:ff:ff:ff:ff", 50, 3));
  a.send(testFrame(mac(3), 50, 4));
  expect(received).toEqual([[], [2, 3], [1, 2, 3, 4], [1, 3, 4]]);
  // A stranger's frame for a stranger is nobody's; `allow-vms` hears machines only.
  uplink.send(testFrame("52:54:00:00:00:64", 50, 5));
  uplink.send(testFrame(mac(0), 50, 6));
  expect(received[0]).toEqual([6]);
  expect(received[1]).toEqual([2, 3]);
  expect(received[2]).toEqual([1, 2, 3, 4]);
});

test("`allow-all` hears what comes from the uplink for others", () => {
  const { hub, uplink } = withUplink();
  const heard: number[] = [];
  hub.addPort({
    macAddress: macBytes(mac(7)),
    isPromiscuous: true,
    hearsUplink: true,
    deliver: (f) => heard.push(f[11]),
  });
  uplink.send(testFrame("52:54:00:00:00:64", 50, 5));
  uplink.send(testFrame(mac(0), 50, 6));
  expect(heard).toEqual([5, 6]);
});

test("neither side of an uplink takes addresses of the other", () => {
  const { a, b, uplink, received } = withUplink();
  const from = (source: string, destination: string, tag: number) => {
    const frame = testFrame(destination, 50, tag);
    frame.set(macBytes(source), 6);
    frame[11] = macBytes(source)[5];
    return frame;
  };
  // The network claims to be machine a; machine b claims to be the host.
  uplink.send(from(mac(0), mac(1), 1));
  b.send(from(mac(3), mac(0), 2));
  expect(received).toEqual([[], [], [], []]);
  b.send(testFrame(mac(0), 50, 9));
  a.send(testFrame(mac(3), 50, 8));
  expect([received[0], received[1], received[3]]).toEqual([[9], [], [8]]);
});

test("a network that makes up addresses without end takes none away", () => {
  const { a, b, uplink, received } = withUplink();
  const random = seededRandom(4);
  for (let i = 0; i < 10_000; i++) {
    const frame = testFrame("52:54:00:00:00:63", 14 + random(40), 5);
    for (let k = 0; k < 12; k++) frame[k] = random(256);
    frame[0] &= 0xfe;
    uplink.send(frame.subarray(0, random(frame.length + 1)));
  }
  b.send(testFrame(mac(0), 50, 6));
  a.send(testFrame("52:54:00:00:00:63", 50, 7));
  expect([received[0], received[1], received[3]]).toEqual([[6], [], [7]]);
});
