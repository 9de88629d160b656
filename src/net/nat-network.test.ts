/** Everything but TCP, DHCP, DNS and TFTP: Ethernet, ARP, IPv4 with fragments, ICMP, UDP, forwarding. */
import { expect, test } from "vitest";
import {
  bytesOf,
  everybody,
  gatewayMac,
  guestMac,
  ip,
  pattern,
  type TestAddress,
  TestGuest,
  textOf,
} from "./testing/guest.ts";

const server = "198.51.100.7";

test("ARP is answered for gateway, name server and TFTP server, and for nobody else", () => {
  const guest = new TestGuest();
  for (const last of [1, 2, 3, 4, 5, 15, 255]) guest.askFor(ip(`10.0.2.${last}`));
  guest.askFor(ip("10.0.3.2"));
  guest.host.run(10);
  expect(guest.arpReplies.map(({ address, mac }) => [address & 255, mac[5]])).toEqual([
    [2, 2],
    [3, 3],
    [4, 4],
  ]);
});

test("another network has its own addresses", () => {
  const guest = new TestGuest({ config: { network: "192.168.7.0/26" } });
  guest.address = ip("192.168.7.15");
  guest.askFor(ip("192.168.7.2"));
  guest.askFor(ip("10.0.2.2"));
  guest.ping(ip("192.168.7.2"));
  guest.host.run(10);
  expect(guest.arpReplies.length).toBe(1);
  expect(guest.icmp.map(({ source, type }) => [source, type])).toEqual([[ip("192.168.7.2"), 0]]);
  expect(() => new TestGuest({ config: { network: "10.0.2.0/28" } })).toThrow("'10.0.2.0/28' is not a network for NAT");
  for (const network of ["10.0.2", "10.0.2.0/x", "127.0.0.0/24", "224.0.0.0/24", "0.0.0.0/8", "300.1.1.1/24"])
    expect(() => new TestGuest({ config: { network } })).toThrow("is not a network for NAT");
});

test("ping: our own addresses answer, large packets in fragments; the outside says that it cannot be pinged", () => {
  const guest = new TestGuest();
  for (const address of ["10.0.2.2", "10.0.2.3", "10.0.2.4"]) guest.ping(ip(address));
  guest.ping(ip("10.0.2.2"), 40_000);
  guest.host.run(10);
  expect(guest.icmp.map(({ type, body }) => [type, body.length])).toEqual([
    [0, 60],
    [0, 60],
    [0, 60],
    [0, 40_004],
  ]);
  expect(guest.icmp[3].body.at(-1)).toBe(40_007 & 255);
  guest.icmp.length = 0;
  guest.ping(ip(server));
  guest.ping(ip("10.0.2.99"));
  guest.host.run(10);
  // Communication administratively prohibited.
  expect(guest.icmp.map(({ source, type, code }) => [source, type, code])).toEqual([[ip("10.0.2.2"), 3, 13]]);
});

test("traceroute sees the gateway", () => {
  const guest = new TestGuest();
  guest.ping(ip(server), 56, 1);
  guest.sendIp(ip(server), 17, guest.udpPacket(5000, ip(server), 33_434, bytesOf("x")), { ttl: 1 });
  guest.host.run(10);
  expect(guest.icmp.map(({ source, type }) => [source, type])).toEqual([
    [ip("10.0.2.2"), 11],
    [ip("10.0.2.2"), 11],
  ]);
});

test("UDP: one socket per guest port, answers only from hosts that were asked", () => {
  const guest = new TestGuest();
  guest.host.udpServers.set(`${server}:7`, (data, reply) => reply(data));
  guest.host.udpServers.set("198.51.100.8:7", (data, reply) => reply(data));
  const { udpSockets } = guest.host;
  guest.sendUdp(5000, ip(server), 7, bytesOf("one"));
  guest.sendUdp(5000, ip("198.51.100.8"), 7, bytesOf("two"));
  guest.sendUdp(5001, ip(server), 7, bytesOf("three"));
  guest.host.run(100);
  expect(guest.datagrams.map(({ data, port }) => [textOf(data), port]).sort()).toEqual([
    ["one", 5000],
    ["three", 5001],
    ["two", 5000],
  ]);
  expect(udpSockets.length).toBe(2);
  guest.datagrams.length = 0;
  udpSockets[0].receive(bytesOf("stranger"), "203.0.113.5", 7);
  udpSockets[0].receive(bytesOf("same host, other port"), server, 4711);
  guest.host.run(10);
  expect(guest.datagrams.map(({ data, sourcePort }) => [textOf(data), sourcePort])).toEqual([
    ["same host, other port", 4711],
  ]);
  guest.host.run(300_000);
  expect([guest.nat.statistics.udpFlows, guest.host.openSockets]).toEqual([0, 0]);
});

test("UDP flows are bounded: the one that was silent longest gives way", () => {
  const guest = new TestGuest({ limits: { udpFlows: 10 } });
  for (let i = 0; i < 1000; i++) guest.sendUdp(5000 + i, ip(server), 7, bytesOf("x"));
  guest.host.run(100);
  expect([guest.nat.statistics.udpFlows, guest.host.openSockets]).toEqual([10, 10]);
});

test("the host's loopback is unreachable unless it is allowed, also by UDP", () => {
  const shut = new TestGuest();
  shut.host.udpServers.set("127.0.0.1:7", (data, reply) => reply(data));
  shut.sendUdp(5000, ip("10.0.2.2"), 7, bytesOf("hello"));
  shut.sendUdp(5000, ip("127.0.0.1"), 7, bytesOf("hello"));
  shut.sendUdp(5000, ip("0.0.0.0"), 7, bytesOf("hello"));
  shut.host.run(100);
  expect([shut.datagrams.length, shut.host.openSockets]).toEqual([0, 0]);
  expect(shut.icmp.map(({ type, code }) => [type, code])).toEqual([[3, 3]]);
  const open = new TestGuest({ config: { localhostReachable: true } });
  open.host.udpServers.set("127.0.0.1:7", (data, reply) => reply(data));
  open.sendUdp(5000, ip("10.0.2.2"), 7, bytesOf("hello"));
  open.sendUdp(5000, ip("127.0.0.1"), 8, bytesOf("hello"));
  open.host.run(100);
  expect(open.datagrams.map(({ source, data }) => [source, textOf(data)])).toEqual([[ip("10.0.2.2"), "hello"]]);
});

test("large datagrams go out whole and come back in fragments, in any order", () => {
  const guest = new TestGuest({ faults: { lossPercent: 0, reorderPercent: 60, delayMs: 1 }, seed: 4 });
  guest.host.udpServers.set(`${server}:7`, (data, reply) => reply(data));
  guest.askFor(ip("10.0.2.2"));
  for (const length of [1472, 1473, 2952, 2953, 9000, 65_507]) {
    guest.datagrams.length = 0;
    guest.sendUdp(5000, ip(server), 7, pattern(length, length));
    guest.host.run(1000);
    expect(guest.datagrams.map(({ data }) => Buffer.compare(data, pattern(length, length)))).toEqual([0]);
  }
  expect(guest.problems).toEqual([]);
});

test("fragments that overlap or reach beyond a datagram's end are thrown away with it", () => {
  const guest = new TestGuest();
  let got = 0;
  guest.host.udpServers.set(`${server}:7`, () => got++);
  const packet = guest.udpPacket(5000, ip(server), 7, pattern(3000, 1));
  const send = (id: number, at: number, end: number, more: boolean) =>
    guest.sendIp(ip(server), 17, packet.subarray(at, end), { id, flags: (more ? 0x2000 : 0) | (at >> 3) });
  // Overlap.
  send(1, 0, 1480, true);
  send(1, 1472, 2952, true);
  send(1, 1480, 2960, true);
  send(1, 2960, 3008, false);
  // Past the end.
  send(2, 2960, 3008, false);
  send(2, 3200, 3208, true);
  // A second, earlier end.
  send(3, 1480, 2960, true);
  send(3, 0, 1480, false);
  // A length in the middle that no fragment can have.
  send(4, 0, 1479, true);
  guest.host.run(10);
  expect(got).toBe(0);
  // Twice the same fragment is no harm.
  for (const id of [5, 6]) {
    send(id, 1480, 2960, true);
    send(id, 1480, 2960, true);
    send(id, 2960, 3008, false);
    send(id, 0, 1480, true);
  }
  guest.host.run(10);
  expect(got).toBe(2);
});

test("a protocol that NAT does not know is refused; source routes and foreign sources are dropped", () => {
  const guest = new TestGuest();
  guest.sendIp(ip(server), 47, new Uint8Array(20));
  guest.host.run(10);
  expect(guest.icmp.map(({ type, code }) => [type, code])).toEqual([[3, 2]]);
  const before = guest.nat.statistics.dropped;
  guest.sendIp(ip(server), 17, guest.udpPacket(1, ip(server), 7, bytesOf("x")), { source: ip("192.168.1.1") });
  guest.sendIp(ip(server), 17, guest.udpPacket(1, ip(server), 7, bytesOf("x")), { source: ip("10.0.2.2") });
  guest.sendIp(ip(server), 17, guest.udpPacket(1, ip(server), 7, bytesOf("x")), { source: ip("10.0.2.255") });
  guest.host.run(10);
  expect(guest.nat.statistics.dropped - before).toBe(3);
  expect(guest.host.openSockets).toBe(0);
});

test("IPv6 is off: its frames are counted and dropped", () => {
  const guest = new TestGuest();
  guest.sendFrame(everybody, 0x86dd, new Uint8Array(40));
  guest.sendFrame(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1), 0x86dd, new Uint8Array(40));
  guest.host.run(10);
  expect(guest.nat.statistics.ipv6).toBe(1);
  expect(guest.frames).toBe(0);
});

test("a forwarded port leads to the guest that has the lease, with the peer's own address", async () => {
  const guest = new TestGuest();
  await guest.nat.addForwarding({
    name: "web",
    protocol: "tcp",
    hostIp: "",
    hostPort: 8080,
    guestIp: "",
    guestPort: 80,
  });
  const peers: TestAddress[] = [];
  guest.accepts.set(80, (connection) => {
    peers.push(connection.remote);
    connection.write(bytesOf("welcome"));
  });
  // The guest has not said a word: it is asked for by ARP.
  for (const from of ["203.0.113.77", "127.0.0.1"]) {
    let answer = "";
    guest.host.connect(":8080", from, 55_555, (peer) => {
      peer.onData = (data) => {
        answer += textOf(data);
      };
    });
    guest.run(5000, () => answer === "welcome");
  }
  expect(peers).toEqual([ip("203.0.113.77"), ip("10.0.2.2")]);
});

test("a forwarded port of a guest that does not serve it is reset, and of one that is not there in the end", async () => {
  const guest = new TestGuest();
  await guest.nat.addForwarding({ name: "a", protocol: "tcp", hostIp: "", hostPort: 1, guestIp: "", guestPort: 81 });
  await guest.nat.addForwarding({
    name: "b",
    protocol: "tcp",
    hostIp: "",
    hostPort: 2,
    guestIp: "10.0.2.77",
    guestPort: 81,
  });
  const over: string[] = [];
  for (const listener of [":1", ":2"])
    guest.host.connect(listener, "127.0.0.1", 50_000, (peer) => {
      peer.onReset = () => over.push(listener);
    });
  guest.run(2000, () => over.length === 1);
  expect(over).toEqual([":1"]);
  guest.run(200_000, () => over.length === 2);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("nothing is left open after the end", async () => {
  const guest = new TestGuest({ config: { localhostReachable: true } });
  await guest.nat.addForwarding({ name: "a", protocol: "tcp", hostIp: "", hostPort: 1, guestIp: "", guestPort: 81 });
  await guest.nat.addForwarding({ name: "b", protocol: "udp", hostIp: "", hostPort: 1, guestIp: "", guestPort: 81 });
  let wasReset = false;
  guest.host.tcpServers.set(`${server}:80`, (peer) => {
    peer.onReset = () => {
      wasReset = true;
    };
  });
  const connection = guest.connect(server, 80, 40_000);
  guest.sendUdp(5000, ip(server), 7, bytesOf("x"));
  guest.run(1000, () => connection.state === "open");
  guest.nat.close();
  guest.host.run(1000);
  expect([wasReset, guest.host.openSockets, guest.host.listeners.size, guest.host.boundUdp.size]).toEqual([
    true,
    0,
    0,
    0,
  ]);
  const before = guest.frames;
  guest.ping(ip("10.0.2.2"));
  guest.host.run(1000);
  expect(guest.frames).toBe(before);
});

test("frames that are not for us do nothing", () => {
  const guest = new TestGuest();
  const other = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x35, 0x05);
  guest.sendFrame(other, 0x0806, new Uint8Array(28));
  guest.sendFrame(guestMac, 0x0800, new Uint8Array(28));
  guest.sendFrame(gatewayMac, 0x8100, new Uint8Array(28));
  guest.host.run(10);
  expect(guest.nat.statistics.dropped).toBe(3);
});
