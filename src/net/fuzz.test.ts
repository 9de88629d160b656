/** A hostile guest and hostile peers, with fixed seeds: nothing throws, memory and sockets stay bounded, and NAT still works. */
import { expect, test } from "vitest";
import { checksum, gatewayMac, guestMac, ip, pattern, TestGuest } from "./testing/guest.ts";
import { SimPeer, seededRandom } from "./testing/simulation.ts";

const server = "198.51.100.7";
const limits = { connections: 200, dialing: 100, udpFlows: 50, bufferBytes: 2 << 20 };

function echoServer(guest: TestGuest): void {
  guest.host.tcpServers.set(`${server}:7`, (peer) => {
    peer.onData = (bytes) => peer.write(bytes);
    peer.onEnd = () => peer.end();
  });
}

/** After everything: one honest connection, to see that the engine still works. */
function expectAlive(guest: TestGuest, port: number): void {
  guest.problems.length = 0;
  guest.host.run(200_000);
  const connection = guest.connect(server, 7, port);
  connection.write(pattern(50_000, 1));
  connection.end();
  expect(guest.host.run(60_000, () => connection.peerHasEnded)).toBe(true);
  // Others that the guest made up may still be talked to.
  expect(guest.problems.filter((one) => !/for (another address|somebody else)$/.test(one))).toEqual([]);
  expect(Buffer.compare(connection.data, pattern(50_000, 1))).toBe(0);
  const { connections, udpFlows, bufferBytes } = guest.nat.statistics;
  expect(connections).toBeLessThanOrEqual(limits.connections);
  expect(udpFlows).toBeLessThanOrEqual(limits.udpFlows);
  expect(bufferBytes).toBeLessThanOrEqual(limits.bufferBytes + limits.connections * 65_536);
}

/** Makes IPv4 and transport checksums right again, so that the damage gets past them. */
function repair(frame: Uint8Array): void {
  const headerBytes = (frame[14] & 15) * 4;
  if (frame.length < 14 + headerBytes || headerBytes < 20) return;
  frame[24] = frame[25] = 0;
  const sum = checksum(frame.subarray(14, 14 + headerBytes));
  frame[24] = sum >> 8;
  frame[25] = sum & 255;
  const at = 14 + headerBytes;
  const total = Math.min(frame.length, 14 + ((frame[16] << 8) | frame[17]));
  const place = frame[23] === 6 ? at + 16 : frame[23] === 17 ? at + 6 : frame[23] === 1 ? at + 2 : 0;
  if (place === 0 || place + 2 > total) return;
  frame[place] = frame[place + 1] = 0;
  const payload = frame.subarray(at, total);
  const pseudo = new Uint8Array(12 + payload.length + (payload.length & 1));
  const isIcmp = frame[23] === 1;
  if (!isIcmp) {
    pseudo.set(frame.subarray(26, 34));
    pseudo[9] = frame[23];
    pseudo[10] = payload.length >> 8;
    pseudo[11] = payload.length & 255;
  }
  pseudo.set(payload, 12);
  const transport = checksum(pseudo);
  frame[place] = transport >> 8;
  frame[place + 1] = transport & 255;
}

test("frames of random bytes and lengths", () => {
  const guest = new TestGuest({ limits });
  echoServer(guest);
  const random = seededRandom(1);
  for (let i = 0; i < 10_000; i++) {
    const frame = new Uint8Array(random() % (i % 10 === 0 ? 1600 : 80)).map(() => random());
    if (frame.length > 14) {
      frame.set(gatewayMac);
      frame.set(guestMac, 6);
      frame.set(
        [
          [8, 0],
          [8, 6],
          [0x86, 0xdd],
        ][random() % 3],
        12,
      );
      if (frame.length > 20) frame[14] = 0x45;
    }
    guest.nat.receiveFrame(frame);
  }
  expectAlive(guest, 40_000);
});

test("honest traffic, damaged: fields changed, packets cut, checksums right", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = seededRandom(seed);
    const guest = new TestGuest({ limits, seed, config: { localhostReachable: seed % 2 === 0 } });
    echoServer(guest);
    const seen: Uint8Array[] = [];
    const receive = guest.nat.receiveFrame.bind(guest.nat);
    guest.nat.receiveFrame = (frame) => {
      if (seen.length < 4000) seen.push(frame.slice());
      receive(frame);
    };
    for (let i = 0; i < 12; i++) {
      const connection = guest.connect(server, 7, 40_000 + i);
      connection.write(pattern(20_000, i));
      if (i % 2 === 0) connection.end();
      guest.sendUdp(5000 + i, ip(server), 7, pattern(100 + 300 * i, i));
      guest.ping(ip("10.0.2.2"), 3000);
      guest.sendUdp(6000, ip("10.0.2.4"), 69, new TextEncoder().encode("\0\x01file\0octet\0"));
    }
    guest.host.run(seed % 2 === 0 ? 3 : 500);
    for (let i = 0; i < 10_000; i++) {
      let frame = seen[random() % seen.length].slice();
      for (let j = 1 + (random() % 4); j > 0; j--) {
        // Mostly in the headers.
        const at = 14 + (random() % (random() % 4 === 0 ? frame.length : 46));
        if (at < frame.length) frame[at] = random();
      }
      if (random() % 5 === 0) frame = frame.slice(0, random() % frame.length);
      if (random() % 8 !== 0) repair(frame);
      receive(frame);
      if (i % 200 === 0) guest.host.run(random() % 50);
    }
    expectAlive(guest, 50_000);
  }
});

test("segments made of random flags, numbers and options inside a living connection", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = seededRandom(100 + seed);
    const guest = new TestGuest({ limits, seed });
    echoServer(guest);
    const connection = guest.connect(server, 7, 40_000);
    guest.run(1000, () => connection.state === "open");
    const near = () => (random() % 3 === 0 ? random() | 0 : (random() % 200_000) - 100_000);
    for (let i = 0; i < 8000; i++) {
      const options = new Uint8Array(4 * (random() % 11)).map(() => (random() % 3 === 0 ? random() : random() % 9));
      // Mostly no RST, else the connection is over at once.
      const flags = random() & (i % 50 === 0 ? 0xff : 0xfb);
      const data = pattern(random() % 1400, i);
      const seq = (connection.nxt + near()) | 0;
      const ack = (connection.peerSequence + near()) | 0;
      guest.sendTcp(40_000, ip(server), 7, flags, seq, ack, random() & 0xffff, options, data);
      if (i % 100 === 0) guest.host.run(random() % 300);
    }
    expectAlive(guest, 40_001);
  }
});

test("fragments of every kind, thousands of datagrams never finished", () => {
  const guest = new TestGuest({ limits });
  echoServer(guest);
  const random = seededRandom(9);
  for (let i = 0; i < 20_000; i++) {
    const offset = random() % 4 === 0 ? random() % 8192 : random() % 16;
    const more = random() % 3 === 0 ? 0 : 0x2000;
    const payload = new Uint8Array(random() % 5 === 0 ? random() % 1481 : 8 * (random() % 20));
    const protocol = [1, 6, 17, 99][random() % 4];
    guest.sendIp(ip(server), protocol, payload, { id: random() % 40, flags: more | offset });
    if (i % 1000 === 0) guest.host.run(random() % 40_000);
  }
  expectAlive(guest, 40_000);
});

test("peers that send, end and reset at any time, in any state", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = seededRandom(200 + seed);
    const guest = new TestGuest({
      limits,
      seed,
      faults: { lossPercent: random() % 10, reorderPercent: random() % 20, delayMs: random() % 30 },
    });
    echoServer(guest);
    const peers: SimPeer[] = [];
    guest.host.dialTcp = (address, port, events) => {
      const peer = new SimPeer(guest.host, events);
      guest.host.after(random() % 50, () => {
        if (peer.isOver) return;
        if (address === server && port === 7) {
          events.connected();
          guest.host.tcpServers.get(`${server}:7`)!(peer);
          return;
        }
        const fate = random() % 8;
        if (fate === 0) events.failed((["refused", "unreachable", "timeout", "other"] as const)[random() % 4]);
        else {
          events.connected();
          peers.push(peer);
        }
        if (fate <= 1) peer.isOver = true;
      });
      return peer.stream;
    };
    const connections = Array.from({ length: 60 }, (_, i) => guest.connect("203.0.113.1", 80, 30_000 + i));
    for (let i = 0; i < 3000; i++) {
      const peer = peers[random() % (peers.length || 1)];
      const connection = connections[random() % connections.length];
      switch (random() % 12) {
        case 0:
          peer?.reset();
          break;
        case 1:
          peer?.end();
          break;
        case 2:
          if (peer !== undefined) peer.isSlow = !peer.isSlow;
          peer?.drain();
          break;
        case 3:
          connection.end();
          break;
        case 4:
          if (random() % 5 === 0) connection.reset();
          break;
        case 5:
          guest.isDeaf = random() % 3 === 0;
          if (!guest.isDeaf) guest.nat.resume();
          break;
        case 6:
          guest.host.run(random() % 200);
          break;
        case 7:
        case 8:
          connection.write(pattern(random() % 5000, i));
          break;
        default:
          if (peer !== undefined && !peer.isPaused && !peer.hasEnded) peer.write(pattern(random() % 65_536, i));
      }
    }
    expect(guest.problems).toEqual([]);
    guest.isDeaf = false;
    guest.nat.resume();
    expectAlive(guest, 50_000);
  }
});
