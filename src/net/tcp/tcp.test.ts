import { expect, test } from "vitest";
import { ip, pattern, TestGuest } from "../testing/guest.ts";
import { echo, type SimPeer, seededRandom } from "../testing/simulation.ts";

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

/** A server that says what happened to it. */
function watched(guest: TestGuest, port: number) {
  const seen: { peer?: SimPeer; parts: Uint8Array[]; ended: boolean; wasReset: boolean } = {
    parts: [],
    ended: false,
    wasReset: false,
  };
  guest.host.tcpServers.set(`${server}:${port}`, (peer) => {
    seen.peer = peer;
    peer.onData = (bytes) => seen.parts.push(bytes);
    peer.onEnd = () => {
      seen.ended = true;
    };
    peer.onReset = () => {
      seen.wasReset = true;
    };
  });
  return seen;
}

test("nobody there is refused, nowhere is unreachable, and nothing is left of either", () => {
  const guest = new TestGuest();
  guest.host.unreachable.add("203.0.113.1");
  const refused = guest.connect(server, 9, 40_000);
  const nowhere = guest.connect("203.0.113.1", 9, 40_001);
  guest.run(1000, () => refused.state === "refused" && guest.icmp.length > 0);
  expect(guest.icmp[0]).toMatchObject({ type: 3, code: 1, source: ip("10.0.2.2") });
  // The error quotes the guest's own SYN.
  const quoted = guest.icmp[0].body.subarray(4);
  expect([...quoted.subarray(16, 20)]).toEqual([203, 0, 113, 1]);
  expect((quoted[20] << 8) | quoted[21]).toBe(40_001);
  expect(new DataView(quoted.buffer, quoted.byteOffset).getInt32(24)).toBe(nowhere.una | 0);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("a server that never answers keeps the guest waiting, and a guest that gives up ends the dial", () => {
  const guest = new TestGuest();
  guest.host.dialTcp = () => ({ write() {}, end() {}, destroy() {}, resumeReading() {} });
  const connection = guest.connect(server, 80, 40_000);
  guest.host.run(100_000);
  expect([connection.state, guest.nat.statistics.connections]).toEqual(["synSent", 1]);
  guest.host.run(40_000);
  expect(guest.nat.statistics.connections).toBeLessThanOrEqual(1);
});

test("the server ends first: the guest can still send, then both are done and late segments are answered", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  seen.peer?.end();
  guest.run(1000, () => connection.peerHasEnded);
  connection.write(pattern(100_000, 1));
  connection.end();
  guest.run(5000, () => seen.ended);
  expect(isEqual(joined(seen.parts), pattern(100_000, 1))).toBe(true);
  guest.run(5000, () => connection.finAcknowledged);
  // The active closer is us: the pair of addresses rests, and answers a FIN that comes again.
  expect(guest.nat.statistics.connections).toBe(1);
  const before = connection.acksSeen;
  guest.sendTcp(
    40_000,
    ip(server),
    80,
    1 | 16,
    (connection.nxt - 1) | 0,
    0,
    1000,
    new Uint8Array(0),
    new Uint8Array(0),
  );
  guest.host.run(100);
  expect(guest.nat.statistics.connections).toBe(1);
  expect(connection.acksSeen).toBeGreaterThanOrEqual(before);
  guest.host.run(20_000);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("a resting pair of addresses is taken over by a new connection", () => {
  const guest = new TestGuest();
  for (let round = 0; round < 3; round++) {
    const seen = watched(guest, 80);
    const connection = guest.connect(server, 80, 40_000);
    // As stacks do, each new connection starts beyond the last one.
    guest.run(5000, () => connection.state === "open" && seen.peer !== undefined);
    seen.peer?.end();
    guest.run(5000, () => connection.peerHasEnded);
    connection.end();
    guest.run(5000, () => connection.finAcknowledged);
    if (round < 2) guest.nextSequence += 100_000;
  }
  expect(guest.nat.statistics.connectionsOpened).toBe(3);
});

test("resets pass both ways", () => {
  const guest = new TestGuest();
  const first = watched(guest, 80);
  const second = watched(guest, 81);
  const a = guest.connect(server, 80, 40_000);
  const b = guest.connect(server, 81, 40_001);
  guest.run(
    1000,
    () => first.peer !== undefined && second.peer !== undefined && a.state === "open" && b.state === "open",
  );
  first.peer?.reset();
  b.reset();
  guest.run(1000, () => a.state === "reset" && second.wasReset);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("a reset or SYN from elsewhere in the window does not end a connection (RFC 5961)", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  const nothing = new Uint8Array(0);
  guest.sendTcp(40_000, ip(server), 80, 4, (connection.nxt + 1000) | 0, 0, 0, nothing, nothing);
  guest.sendTcp(40_000, ip(server), 80, 2, (connection.nxt + 1000) | 0, 0, 0, nothing, nothing);
  guest.sendTcp(40_000, ip(server), 80, 4, (connection.nxt - 100_000) | 0, 0, 0, nothing, nothing);
  guest.host.run(100);
  connection.write(new TextEncoder().encode("alive"));
  guest.run(1000, () => seen.parts.length > 0);
  expect(connection.state).toBe("open");
});

test("a shut window is probed, and the data follows when it opens", () => {
  const guest = new TestGuest();
  const file = pattern(400_000, 5);
  guest.host.tcpServers.set(`${server}:80`, sender(file));
  const connection = guest.connect(server, 80, 40_000, { windowBytes: 20_000, windowShift: -1 });
  connection.isSlow = true;
  guest.run(10_000, () => connection.receivedBytes >= 18_000);
  // An hour of nothing: probes, no data, no end.
  guest.host.run(3_600_000);
  expect([connection.state, connection.receivedBytes]).toEqual(["open", 20_000]);
  // The window update itself is lost: the next probe asks for it.
  connection.isSlow = false;
  connection.forgetUnread();
  guest.run(20_000, () => connection.peerHasEnded);
  expect(isEqual(connection.data, file)).toBe(true);
});

test("a slow server closes the window, and the guest goes on when it reads", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  seen.peer!.isSlow = true;
  const file = pattern(2_000_000, 6);
  connection.write(file);
  connection.end();
  guest.host.run(60_000);
  expect((connection.una - connection.initialSequence) | 0).toBeLessThanOrEqual(262_144 + 1);
  expect(guest.nat.statistics.bufferBytes).toBeLessThanOrEqual(524_288);
  seen.peer!.isSlow = false;
  seen.peer!.drain();
  guest.run(60_000, () => seen.ended);
  expect(isEqual(joined(seen.parts), file)).toBe(true);
});

test("a guest that takes no frames stops the server, and all goes on when it does", () => {
  const guest = new TestGuest();
  const file = pattern(2_000_000, 7);
  guest.host.tcpServers.set(`${server}:80`, sender(file));
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => connection.receivedBytes > 100_000);
  guest.isDeaf = true;
  guest.host.run(600_000);
  expect(guest.nat.statistics.bufferBytes).toBeLessThanOrEqual(524_288);
  guest.isDeaf = false;
  guest.nat.resume();
  guest.run(60_000, () => connection.peerHasEnded);
  expect(isEqual(connection.data, file)).toBe(true);
});

test("a guest that vanishes is found out, with data under way and without", () => {
  const guest = new TestGuest();
  const idle = watched(guest, 80);
  const busy = watched(guest, 81);
  const a = guest.connect(server, 80, 40_000);
  const b = guest.connect(server, 81, 40_001);
  guest.run(1000, () => idle.peer !== undefined && busy.peer !== undefined && a.state === "open" && b.state === "open");
  guest.host.run(50);
  guest.isUnplugged = true;
  busy.peer?.write(new Uint8Array(1000));
  guest.host.run(300_000);
  expect([busy.wasReset, idle.wasReset]).toEqual([true, false]);
  guest.host.run(3 * 3_600_000);
  expect(idle.wasReset).toBe(true);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("an idle connection with a living guest stays for days", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  guest.host.run(48 * 3_600_000);
  connection.write(new TextEncoder().encode("still here"));
  guest.run(1000, () => seen.parts.length > 0);
  expect(seen.wasReset).toBe(false);
});

test("segments that overlap, repeat and come backwards make the same stream", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  const file = pattern(20_000, 8);
  const random = seededRandom(5);
  for (let i = 0; i < 2000; i++) {
    const at = random() % file.length;
    const length = 1 + (random() % 1400);
    guest.sendTcp(
      40_000,
      ip(server),
      80,
      16,
      (connection.nxt + at) | 0,
      connection.peerSequence,
      60_000,
      new Uint8Array(0),
      file.subarray(at, at + length),
    );
  }
  for (let at = 0; at < file.length; at += 1000)
    guest.sendTcp(
      40_000,
      ip(server),
      80,
      16,
      (connection.nxt + at) | 0,
      connection.peerSequence,
      60_000,
      new Uint8Array(0),
      file.subarray(at, at + 1000),
    );
  guest.host.run(1000);
  expect(isEqual(joined(seen.parts), file)).toBe(true);
});

for (const [name, options, config] of [
  ["no window scaling, no SACK", { windowShift: -1, withSack: false }, {}],
  ["segments of 536 bytes", { mss: 536 }, {}],
  ["an MTU of 576 and 8 KiB windows", {}, { mtu: 576, tcpSendKiB: 8, tcpReceiveKiB: 8 }],
] as const)
  test(`a round trip of 500,000 bytes with ${name}`, () => {
    const guest = new TestGuest({ config, faults: { lossPercent: 1, reorderPercent: 5, delayMs: 5 } });
    guest.host.tcpServers.set(`${server}:7`, echo);
    const file = pattern(500_000, 9);
    const connection = guest.connect(server, 7, 40_000, options);
    connection.write(file);
    connection.end();
    guest.run(1_000_000, () => connection.peerHasEnded);
    expect(isEqual(connection.data, file)).toBe(true);
    if ("mss" in options) expect(guest.longestFrame).toBeLessThanOrEqual(14 + 40 + 536);
    if ("mtu" in config) expect(guest.longestFrame).toBeLessThanOrEqual(14 + 576);
  });

test("acknowledgements come for every second segment, not for every one", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  const before = guest.frames;
  connection.write(pattern(1_460_000, 1));
  connection.end();
  guest.run(10_000, () => seen.ended);
  expect(guest.frames - before).toBeLessThanOrEqual(520);
});

test("2,500 connections: the table is bounded, and so is the memory", () => {
  const guest = new TestGuest({ limits: { connections: 500, bufferBytes: 4 << 20 } });
  guest.host.tcpServers.set(`${server}:80`, (peer) => {
    peer.onData = () => {};
    for (let i = 0; i < 4 && peer.write(new Uint8Array(65_536)); i++);
  });
  for (let i = 0; i < 2500; i++) {
    const connection = guest.connect(server, 80, 10_000 + i, { windowBytes: 2000 });
    connection.isSlow = true;
    if (i % 100 === 0) guest.host.run(10);
  }
  guest.host.run(2000);
  expect(guest.nat.statistics.connections).toBeLessThanOrEqual(500);
  // The budget, and what each connection's server had handed over before it was stopped.
  expect(guest.nat.statistics.bufferBytes).toBeLessThanOrEqual((4 << 20) + 500 * 65_536);
});

test("many downloads at once share little memory, and all arrive", () => {
  const guest = new TestGuest({ limits: { bufferBytes: 1 << 20 } });
  const file = pattern(300_000, 4);
  guest.host.tcpServers.set(`${server}:80`, sender(file));
  const connections = Array.from({ length: 60 }, (_, i) => guest.connect(server, 80, 40_000 + i));
  guest.run(60_000, () => connections.every(({ peerHasEnded }) => peerHasEnded));
  for (const connection of connections) expect(isEqual(connection.data, file)).toBe(true);
});

test("a flood of SYNs leaves no more than the bound, and a connection still gets through afterwards", () => {
  const guest = new TestGuest({ limits: { dialing: 100 } });
  let dials = 0;
  const real = guest.host.dialTcp.bind(guest.host);
  guest.host.dialTcp = (address, port, events) => {
    if (address === server) return real(address, port, events);
    dials++;
    return { write() {}, end() {}, destroy() {}, resumeReading() {} };
  };
  const seen = watched(guest, 80);
  const nothing = new Uint8Array(0);
  for (let i = 0; i < 20_000; i++)
    guest.sendTcp(1024 + (i % 60_000), ip("203.0.113.9"), 80, 2, i, 0, 1000, nothing, nothing);
  guest.host.run(1000);
  expect(dials).toBe(100);
  guest.host.run(140_000);
  expect(guest.nat.statistics.connections).toBe(0);
  guest.connect(server, 80, 40_000);
  guest.run(5000, () => seen.peer !== undefined);
});

test("a paused machine's connections outlive the pause", () => {
  const guest = new TestGuest();
  const seen = watched(guest, 80);
  const connection = guest.connect(server, 80, 40_000);
  guest.run(1000, () => seen.peer !== undefined && connection.state === "open");
  guest.nat.pause();
  guest.isUnplugged = true;
  seen.peer?.write(new Uint8Array(1000));
  guest.host.run(86_400_000);
  guest.isUnplugged = false;
  guest.nat.wake();
  guest.run(10_000, () => connection.receivedBytes === 1000);
});
