/** The parts of a TAP uplink that need no device: what is asked of the kernel, what socat says, how much may pass. */
import { expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import { FrameLimiter } from "./frame-limiter.ts";
import { SocatLines } from "./socat.ts";
import { interfaceRequest } from "./tap-open.ts";
import { localPort } from "./tap-relay.ts";

test("the kernel is asked for the device by name: TAP, no packet information, queues as it has them", () => {
  const request = interfaceRequest({ name: "vboxnet0", isMultiQueue: false });
  expect([request.length, request.toString("latin1", 0, 9)]).toEqual([40, "vboxnet0\0"]);
  expect(new Uint16Array(Uint8Array.from(request.subarray(16, 18)).buffer)[0]).toBe(0x1002);
  const other = interfaceRequest({ name: "a-name-that-is-far-too-long", isMultiQueue: true });
  expect([other.length, other[15], new Uint16Array(Uint8Array.from(other.subarray(16, 18)).buffer)[0]]).toEqual([
    40, 0, 0x1102,
  ]);
});

const line = (level: string, text: string) => `2026/01/02 03:04:05 socat[123] ${level} ${text}\n`;

test("what socat says: its port, that it runs, its last error, in any pieces", () => {
  const said =
    line("N", "successfully connected from local address AF=2 127.0.0.1:40049") +
    line("N", "starting data transfer loop with FDs [3,3] and [0,6]") +
    line("E", "read(3, 0x55dd95a04000, 8192): File descriptor in bad state");
  const random = seededRandom(7);
  for (let round = 0; round < 50; round++) {
    const heard: string[] = [];
    const lines = new SocatLines((text) => heard.push(text));
    for (let at = 0; at < said.length; ) {
      const end = at + 1 + random(60);
      lines.push(Buffer.from(said.slice(at, end)));
      at = end;
    }
    expect(heard.length).toBe(3);
    expect(localPort(heard[0])).toBe(40049);
    expect(lines.lastError).toContain("File descriptor in bad state");
  }
});

test("no other line is a port, and one that never ends is not kept", () => {
  for (const text of [
    "AF=2 127.0.0.2:5",
    "AF=2 127.0.0.1:0",
    "AF=2 127.0.0.1:65536",
    "AF=2 127.0.0.1:5 ",
    "AF=10 [::1]:5",
  ])
    expect(localPort(`successfully connected from local address ${text}`)).toBeUndefined();
  const random = seededRandom(8);
  const lines = new SocatLines((text) => expect(localPort(text)).toBeUndefined());
  for (let i = 0; i < 2000; i++) lines.push(Buffer.from(Array.from({ length: random(400) }, () => random(256))));
  lines.push(Buffer.alloc(10 << 20, 0x41));
  const heard: string[] = [];
  const after = new SocatLines((text) => heard.push(text));
  after.push(Buffer.alloc(10 << 20, 0x41));
  after.push(Buffer.from(`\n${line("W", "well")}`));
  expect(heard).toEqual(["well"]);
});

test("a storm is cut: of groups sooner, and what follows it passes again", () => {
  const limiter = new FrameLimiter(0);
  const group = testFrame("ff:ff:ff:ff:ff:ff", 50);
  const single = testFrame("08:00:27:00:00:01", 50);
  const passing = (frame: Uint8Array, count: number, nowMs: number) => {
    let passed = 0;
    for (let i = 0; i < count; i++) if (limiter.allows(frame, nowMs)) passed++;
    return passed;
  };
  expect(passing(group, 20_000, 0)).toBe(5_000);
  expect(passing(single, 200_000, 0)).toBe(80_000);
  expect(limiter.dropped).toBe(15_000 + 120_000);
  expect(passing(group, 20_000, 100)).toBe(500);
  expect(passing(single, 200_000, 3_600_000)).toBe(100_000);
});
