import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import { UdpTunnel } from "./udp-tunnel.ts";

const to = "08:00:27:00:00:01";

/** A port that nobody has right now. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", () => resolve()));
  const { port } = socket.address() as AddressInfo;
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !isDone(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isDone()).toBe(true);
}

async function tunnel(sourcePort: number, destinationPort: number) {
  const received: Uint8Array[] = [];
  const plug = await UdpTunnel.open(
    { destination: "127.0.0.1", sourcePort, destinationPort },
    (frame) => received.push(Uint8Array.from(frame)) > 0,
    silentLogger,
  );
  onTestFinished(() => plug.close());
  return { plug, received };
}

test("frames pass between two ends; a stranger's datagrams and scraps do not", async () => {
  const [portA, portB] = [await freePort(), await freePort()];
  const a = await tunnel(portA, portB);
  // Nobody there yet: lost, and no reason to fail.
  a.plug.send(testFrame(to, 100, 1));
  const b = await tunnel(portB, portA);
  const stranger = createSocket("udp4");
  onTestFinished(() => {
    stranger.close();
  });
  for (let i = 0; i < 20; i++) stranger.send(testFrame(to, 100, 66), portB, "127.0.0.1");
  await until(() => {
    a.plug.send(testFrame(to, 1000, 2));
    return b.received.length > 0;
  });
  expect(b.received[0]).toEqual(testFrame(to, 1000, 2));
  a.plug.send(new Uint8Array(5));
  b.plug.send(testFrame(to, 60, 3));
  await until(() => a.received.length === 1);
  expect(a.received[0]).toEqual(testFrame(to, 60, 3));
  expect(b.received.every((frame) => frame[11] === 2)).toBe(true);
});

test("a port that is taken is one line", async () => {
  const port = await freePort();
  await tunnel(port, 9);
  await expect(tunnel(port, 9)).rejects.toThrow(/UDP tunnel to 127\.0\.0\.1:9 from port \d+ cannot be \(EADDRINUSE\)/);
});
