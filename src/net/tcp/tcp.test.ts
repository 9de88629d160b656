import { expect, test } from "vitest";
import { pattern, TestGuest } from "../testing/guest.ts";
import type { SimPeer } from "../testing/simulation.ts";

const server = "198.51.100.7";

/** A server that sends everything and ends. */
function sender(bytes: Uint8Array) {
  return (peer: SimPeer) => {
    let at = 0;
    const send = () => {
      while (at < bytes.length && !peer.isPaused) {
        peer.write(bytes.subarray(at, at + 65_536));
        at += 65_536;
      }
      if (at >= bytes.length) peer.end();
    };
    peer.onResume = send;
    send();
  };
}

function collector(parts: Uint8Array[], onEnd: (peer: SimPeer) => void) {
  return (peer: SimPeer) => {
    peer.onData = (bytes) => parts.push(bytes);
    peer.onEnd = () => onEnd(peer);
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Large arrays compared without a listing of their elements. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

test("a guest downloads a file and both sides close", () => {
  const guest = new TestGuest();
  const file = pattern(3_000_000, 1);
  guest.host.tcpServers.set(`${server}:80`, sender(file));
  const connection = guest.connect(server, 80, 40_000);
  guest.run(60_000, () => connection.peerHasEnded);
  expect(isEqual(connection.data, file)).toBe(true);
  connection.end();
  guest.run(60_000, () => guest.nat.statistics.connections === 0);
  expect(connection.finAcknowledged).toBe(true);
  expect(guest.nat.statistics.retransmissions).toBe(0);
  expect(guest.nat.statistics.bufferBytes).toBe(0);
});

test("a guest uploads a file, half-closes, and gets the answer afterwards", () => {
  const guest = new TestGuest();
  const file = pattern(3_000_000, 2);
  const parts: Uint8Array[] = [];
  guest.host.tcpServers.set(
    `${server}:80`,
    collector(parts, (peer) => {
      peer.write(new TextEncoder().encode("thanks"));
      peer.end();
    }),
  );
  const connection = guest.connect(server, 80, 40_000);
  connection.write(file);
  connection.end();
  guest.run(60_000, () => connection.peerHasEnded);
  expect(isEqual(joined(parts), file)).toBe(true);
  expect(new TextDecoder().decode(connection.data)).toBe("thanks");
  guest.run(60_000, () => guest.nat.statistics.connections === 0);
});

const bad = { lossPercent: 5, reorderPercent: 10, delayMs: 200 };
for (const withSack of [true, false])
  test(`20 MB down over a wire that loses, reorders and delays, SACK ${withSack}`, () => {
    const guest = new TestGuest({ faults: bad, seed: 11 });
    const file = pattern(20_000_000, 3);
    guest.host.tcpServers.set(`${server}:80`, sender(file));
    const connection = guest.connect(server, 80, 40_000, { withSack, windowBytes: 262_144 });
    guest.run(20_000_000, () => connection.peerHasEnded);
    expect(isEqual(connection.data, file)).toBe(true);
    expect(connection.longestStallMs).toBeLessThan(10_000);
    connection.end();
    guest.run(120_000, () => guest.nat.statistics.connections === 0);
  });

test("20 MB up over a wire that loses, reorders and delays", () => {
  const guest = new TestGuest({ faults: bad, seed: 12 });
  const file = pattern(20_000_000, 4);
  const parts: Uint8Array[] = [];
  guest.host.tcpServers.set(
    `${server}:80`,
    collector(parts, (peer) => peer.end()),
  );
  const connection = guest.connect(server, 80, 40_000);
  for (let at = 0; at < file.length; at += 1_000_000) connection.write(file.subarray(at, at + 1_000_000));
  connection.end();
  guest.run(20_000_000, () => connection.peerHasEnded);
  expect(isEqual(joined(parts), file)).toBe(true);
  expect(connection.longestStallMs).toBeLessThan(10_000);
});
