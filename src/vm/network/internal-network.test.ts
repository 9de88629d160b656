import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { requestService } from "../../control/network-switch.ts";
import { socketPathNamed } from "../../control/socket-path.ts";
import { macBytes, testFrame } from "../../device-api/testing-net.ts";
import { InternalNetwork, type MakeSwitchUplink } from "./internal-network.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
let folder: string;
let runtimeBefore: string | undefined;
const open: InternalNetwork[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-intnet-"));
  runtimeBefore = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = folder;
});
afterEach(() => {
  for (const network of open.splice(0)) network.close();
  if (runtimeBefore === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = runtimeBefore;
  rmSync(folder, { recursive: true });
});

interface Card {
  readonly network: InternalNetwork;
  readonly received: Uint8Array[];
  hasRoom: boolean;
}

async function card(number: number, name = "lan", isPromiscuous = false): Promise<Card> {
  const received: Uint8Array[] = [];
  const made = { received, hasRoom: true } as unknown as Card;
  const take = (frame: Uint8Array) => {
    if (made.hasRoom) received.push(Uint8Array.from(frame));
    return made.hasRoom;
  };
  const macAddress = macBytes(addressOf(number));
  const network = await InternalNetwork.join({ name, macAddress, isPromiscuous }, take, silentLogger);
  open.push(network);
  return Object.assign(made, { network });
}

const addressOf = (number: number) => `08:00:27:00:00:0${number}`;

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !isDone(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isDone()).toBe(true);
}

/** Everything that was sent before has arrived. */
async function settled(...cards: Card[]): Promise<void> {
  for (const one of cards) {
    const before = one.received.length;
    const other = cards.find((candidate) => candidate !== one);
    other?.network.send(testFrame(BROADCAST, 46, 250));
    await until(() => one.received.length > before && one.received.at(-1)?.[11] === 250);
  }
  for (const one of cards) one.received.splice(0, one.received.length, ...one.received.filter((f) => f[11] !== 250));
}

test("frames go to whom they are for, groups to all, nothing to another network", async () => {
  const [a, b, c, spy, other] = [
    await card(1),
    await card(2),
    await card(3),
    await card(4, "lan", true),
    await card(5, "other"),
  ];
  a.network.send(testFrame(addressOf(2), 100, 7));
  a.network.send(testFrame(BROADCAST, 100, 8));
  await settled(a, b, c, spy);
  expect(b.received.map((frame) => frame[11])).toEqual([7, 8]);
  expect(b.received[0]).toEqual(testFrame(addressOf(2), 100, 7));
  expect(c.received.map((frame) => frame[11])).toEqual([8]);
  expect(spy.received.map((frame) => frame[11])).toEqual([7, 8]);
  expect([a.received.length, other.received.length]).toEqual([0, 0]);
});

test("who serves may go: the others go on without it", async () => {
  const [a, b, c] = [await card(1), await card(2), await card(3)];
  a.network.close();
  await until(() => {
    b.network.send(testFrame(addressOf(3), 60, 9));
    return c.received.length > 0;
  });
  expect(c.received[0]).toEqual(testFrame(addressOf(3), 60, 9));
});

test("a card without room holds its frames; they come in order when there is some", async () => {
  const [a, b] = [await card(1), await card(2)];
  b.hasRoom = false;
  for (let i = 0; i < 50; i++) a.network.send(testFrame(addressOf(2), 500, i));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(b.received.length).toBe(0);
  b.hasRoom = true;
  b.network.resume();
  await until(() => b.received.length === 50);
  expect(b.received.map((frame) => frame[11])).toEqual(Array.from({ length: 50 }, (_, i) => i));
});

test("a socket that stays silent or talks nonsense gets nothing and hurts nobody", async () => {
  const [a, b] = [await card(1), await card(2)];
  const path = socketPathNamed("intnet\0lan");
  const silent = createConnection(path);
  let heard = 0;
  silent.on("data", (bytes) => {
    heard += bytes.length;
  });
  const noisy = createConnection(path);
  const isCutOff = new Promise((resolve) => noisy.on("close", resolve));
  noisy.on("error", () => {});
  noisy.write(Buffer.alloc(300, 0xff));
  await isCutOff;
  a.network.send(testFrame(BROADCAST, 100, 3));
  await until(() => b.received.length === 1);
  expect(heard).toBe(0);
  silent.destroy();
});

test("a service at the switch: cards reach its addresses at once, also after it was stopped and started", async () => {
  const SERVICE = "52:54:00:12:35:02";
  const heard: number[] = [];
  let running = 0;
  const service = async (send: (frame: Uint8Array) => void) => {
    const number = ++running;
    return {
      macAddresses: [macBytes(SERVICE)],
      receive: (frame: Uint8Array) => {
        heard.push(number);
        send(testFrame(addressOf(1), frame.length));
      },
      close: () => {},
    };
  };
  const received: number[] = [];
  const take = (frame: Uint8Array) => received.push(frame.length) > 0;
  const options = { name: "shared", family: "test", isPromiscuous: false, service, macAddress: macBytes(addressOf(1)) };
  const network = await InternalNetwork.join(options, take, silentLogger);
  open.push(network);
  const say = () => network.send(testFrame(SERVICE, 60));
  say();
  await until(() => received.length === 1);
  expect(await requestService("test", "shared", "stop")).toBe("done");
  say();
  expect(await requestService("test", "shared", "start")).toBe("done");
  say();
  await until(() => received.length === 2);
  expect(heard).toEqual([1, 2]);
  expect(await requestService("test", "elsewhere", "stop")).toBe("nobody");
});

test("a service that cannot be had: nobody joins, and the next one may", async () => {
  const service = () => Promise.reject(new Error("not now"));
  const options = { name: "shared", isPromiscuous: false, macAddress: macBytes(addressOf(1)) };
  await expect(InternalNetwork.join({ ...options, service }, () => true, silentLogger)).rejects.toThrow("not now");
  const network = await InternalNetwork.join(options, () => true, silentLogger);
  open.push(network);
});

test("an uplink stands at the switch of the process that serves: gets what is for nobody here, gives what is for somebody", async () => {
  const made: boolean[] = [];
  const sent: number[][] = [];
  const ports: { send(frame: Uint8Array): void }[] = [];
  let closed = 0;
  const uplink: MakeSwitchUplink = async (port, isTakeOver) => {
    made.push(isTakeOver);
    ports.push(port);
    port.own(macBytes("0a:00:27:00:00:00"));
    const frames: number[] = [];
    sent.push(frames);
    return { send: (frame) => frames.push(frame[11]), close: () => closed++ };
  };
  const received: number[] = [];
  const options = { name: "up", family: "test", isPromiscuous: false, uplink, macAddress: macBytes(addressOf(1)) };
  const one = await InternalNetwork.join(options, (frame) => received.push(frame[11]) > 0, silentLogger);
  open.push(one);
  one.send(testFrame("0a:00:27:00:00:00", 50, 1));
  one.send(testFrame(addressOf(7), 50, 2));
  await until(() => sent[0].length === 2);
  ports[0].send(testFrame(addressOf(1), 50, 3));
  ports[0].send(testFrame(addressOf(2), 50, 4));
  ports[0].send(testFrame(BROADCAST, 50, 5));
  await until(() => received.length === 2);
  expect([made, sent[0], received]).toEqual([[false], [1, 2], [3, 5]]);
  one.close();
  expect(closed).toBe(1);
});

test("a network whose uplink cannot be had is not joined, and leaves nothing behind", async () => {
  const options = { name: "up", family: "test", isPromiscuous: false, macAddress: macBytes(addressOf(1)) };
  const uplink = () => Promise.reject(new Error("no such device"));
  await expect(InternalNetwork.join({ ...options, uplink }, () => true, silentLogger)).rejects.toThrow(
    "no such device",
  );
  open.push(await InternalNetwork.join(options, () => true, silentLogger));
});
