/** A hostile guest on IPv6, with fixed seeds: nothing throws, memory and sockets stay bounded, and NAT still works over both families. */
import { expect, test } from "vitest";
import { checksum, gatewayMac, guestMac, pattern, TestGuest } from "../testing/guest.ts";
import { bytes6, fragment6, guestLinkLocal } from "../testing/ipv6.ts";
import { seededRandom } from "../testing/simulation.ts";

const prefix = "fd17:625c:f037:2::";
const server = "2001:db8::7";
const limits = { connections: 200, dialing: 100, udpFlows: 50, bufferBytes: 2 << 20 };

function hostileGuest(seed: number): TestGuest {
  const ipv6 = { prefix: `${prefix}/64`, isDefaultRouter: true, loopbackHost: seed % 2 === 0 ? 2 : 0 };
  const guest = new TestGuest({ limits, seed, config: { ipv6 } });
  for (const address of [server, "198.51.100.7"])
    guest.host.tcpServers.set(`${address}:7`, (peer) => {
      peer.onData = (bytes) => peer.write(bytes);
      peer.onEnd = () => peer.end();
    });
  return guest;
}

/** After everything: an honest connection of each family, to see that the engine still works. */
function expectAlive(guest: TestGuest, port: number, mayDialLoopback = false): void {
  guest.host.run(200_000);
  guest.problems.length = 0;
  const connections = [server, "198.51.100.7"].map((address) => {
    const connection = guest.connect(address, 7, port);
    connection.write(pattern(50_000, 1));
    connection.end();
    return connection;
  });
  expect(guest.host.run(60_000, () => connections.every(({ peerHasEnded }) => peerHasEnded))).toBe(true);
  // Others that the guest made up may still be talked to.
  expect(guest.problems.filter((one) => !/for (another address|somebody else)$/.test(one))).toEqual([]);
  for (const { data } of connections) expect(Buffer.compare(data, pattern(50_000, 1))).toBe(0);
  const { connections: count, udpFlows, bufferBytes } = guest.nat.statistics;
  expect(count).toBeLessThanOrEqual(limits.connections);
  expect(udpFlows).toBeLessThanOrEqual(limits.udpFlows);
  expect(bufferBytes).toBeLessThanOrEqual(limits.bufferBytes + limits.connections * 65_536);
  // No socket was ever asked for the host itself or a group, unless the former was allowed.
  const allowed = mayDialLoopback ? /^::1:\d+$/ : /^$/;
  const suspicious = guest.host.dialled.filter((one) => /^(127\.|0\.|::|0:|fe[89a-f]|ff)/.test(one));
  expect(suspicious.filter((one) => !allowed.test(one))).toEqual([]);
}

/** Makes the length and the transport's checksum right again behind plain headers, so that the damage gets past them. */
function repair(frame: Uint8Array): void {
  if (frame.length < 54 + 8) return;
  const length = frame.length - 54;
  frame[18] = length >> 8;
  frame[19] = length & 255;
  const place = { 6: 16, 17: 6, 58: 2 }[frame[20]];
  if (place === undefined || place + 2 > length) return;
  const payload = frame.subarray(54);
  payload[place] = payload[place + 1] = 0;
  const summed = new Uint8Array(40 + length);
  summed.set(frame.subarray(22, 54));
  new DataView(summed.buffer).setUint32(32, length);
  summed[39] = frame[20];
  summed.set(payload, 40);
  const sum = checksum(summed);
  payload[place] = sum >> 8;
  payload[place + 1] = sum & 255;
}

test("frames of random bytes behind a header that is half right", () => {
  const guest = hostileGuest(1);
  const random = seededRandom(1);
  const places = [`${prefix}2`, `${prefix}3`, server, "ff02::1", "ff02::2", "::1", "fe80::5054:ff:fe12:3502"];
  for (let i = 0; i < 20_000; i++) {
    const frame = new Uint8Array(14 + 40 + (random() % (i % 10 === 0 ? 1460 : 120))).map(() => random());
    frame.set(random() % 4 === 0 ? [0x33, 0x33, 0, 0, 0, 1] : gatewayMac);
    frame.set(guestMac, 6);
    frame.set([0x86, 0xdd, 0x60], 12);
    frame[18] = 0;
    frame[19] = Math.min(255, frame.length - 54);
    if (random() % 4 !== 0) frame[20] = [0, 6, 17, 43, 44, 58, 60, 59][random() % 8];
    if (random() % 8 !== 0) frame.set(bytes6(random() % 3 === 0 ? guestLinkLocal : guest.address6), 22);
    if (random() % 8 !== 0) frame.set(bytes6(places[random() % places.length]), 38);
    if (frame[20] === 58 && random() % 2 === 0) frame[54] = [128, 133, 134, 135, 136, 137, 143][random() % 7];
    if (random() % 3 === 0) frame[21] = 255;
    if (random() % 3 !== 0) repair(frame);
    guest.nat.receiveFrame(random() % 20 === 0 ? frame.slice(0, random() % frame.length) : frame);
  }
  expectAlive(guest, 40_000);
});

test("honest traffic, damaged: fields changed, packets cut, checksums right", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = seededRandom(50 + seed);
    const guest = hostileGuest(seed);
    const seen: Uint8Array[] = [];
    const receive = guest.nat.receiveFrame.bind(guest.nat);
    guest.nat.receiveFrame = (frame) => {
      if (seen.length < 4000) seen.push(frame.slice());
      receive(frame);
    };
    const solicitation = new Uint8Array(32);
    solicitation.set([135]);
    solicitation.set(bytes6(`${prefix}2`), 8);
    solicitation.set([1, 1, ...guestMac], 24);
    for (let i = 0; i < 12; i++) {
      const connection = guest.connect(server, 7, 40_000 + i);
      connection.write(pattern(20_000, i));
      if (i % 2 === 0) connection.end();
      guest.sendUdp(5000 + i, server, 7, pattern(100 + 300 * i, i));
      guest.sendUdp(6000 + i, `${prefix}3`, 53, pattern(30, i));
      guest.ping6(`${prefix}2`, 3000);
      guest.sendIcmp6(`${prefix}2`, solicitation, { hopLimit: 255 });
      guest.sendIcmp6("ff02::2", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...guestMac), { hopLimit: 255 });
      guest.sendIp6(
        server,
        60,
        Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0, ...guest.udpPacket(7000, server, 7, pattern(20, i))),
      );
    }
    guest.host.run(seed % 2 === 0 ? 3 : 500);
    for (let i = 0; i < 10_000; i++) {
      let frame = seen[random() % seen.length].slice();
      for (let j = 1 + (random() % 4); j > 0; j--) {
        // Mostly in the headers.
        const at = 14 + (random() % (random() % 4 === 0 ? frame.length : 72));
        if (at < frame.length) frame[at] = random();
      }
      if (random() % 5 === 0) frame = frame.slice(0, random() % frame.length);
      if (random() % 8 !== 0) repair(frame);
      receive(frame);
      if (i % 200 === 0) guest.host.run(random() % 50);
    }
    expectAlive(guest, 50_000, seed % 2 === 0);
  }
});

test("fragments of every kind, thousands of datagrams never finished", () => {
  const guest = hostileGuest(9);
  const random = seededRandom(9);
  for (let i = 0; i < 20_000; i++) {
    const offset = 8 * (random() % 4 === 0 ? random() % 8192 : random() % 16);
    const part = new Uint8Array(random() % 5 === 0 ? random() % 1441 : 8 * (random() % 20)).map(() => random() % 64);
    const next = [0, 6, 17, 43, 44, 58, 60, 99][random() % 8];
    guest.sendIp6(server, 44, fragment6(next, offset, random() % 3 !== 0, random() % 40, part));
    if (i % 1000 === 0) guest.host.run(random() % 40_000);
  }
  expectAlive(guest, 40_000);
});

test("chains of extension headers of every kind and length", () => {
  const guest = hostileGuest(10);
  const random = seededRandom(10);
  for (let i = 0; i < 20_000; i++) {
    const kinds = Array.from({ length: 1 + (random() % 12) }, () => [0, 43, 44, 60][random() % 4]);
    const parts = kinds.flatMap((_, at) => {
      const units = random() % 3;
      const header = new Uint8Array(8 + 8 * units).map(() => (random() % 2 === 0 ? random() % 8 : random()));
      header[0] = kinds[at + 1] ?? [6, 17, 58, 59, 4][random() % 5];
      if (random() % 8 !== 0) header[1] = units;
      if (random() % 2 === 0) header.fill(0, 2);
      return [...header];
    });
    const payload = Uint8Array.from([...parts, ...guest.udpPacket(5000, server, 7, pattern(random() % 60, i))]);
    guest.sendIp6(
      server,
      kinds[0],
      payload.subarray(0, random() % 4 === 0 ? random() % payload.length : payload.length),
    );
  }
  expectAlive(guest, 40_000, true);
});
