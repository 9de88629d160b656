/** IPv6 on NAT: addresses, neighbour discovery, advertisements, ping, errors, fragments, UDP, DNS, TCP. */
import { expect, test } from "vitest";
import { gatewayMac, guestMac, ip, pattern, TestGuest, type TestGuestOptions } from "../testing/guest.ts";
import { allNodesMac, bytes6, fragment6, guestLinkLocal, options6, text6 } from "../testing/ipv6.ts";
import { seededRandom } from "../testing/simulation.ts";
import { Ipv6Address, isForeignUnicast6, parsePrefix6, prefixFor } from "./address.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);
const prefix = "fd17:625c:f037:2::";
const gateway = `${prefix}2`;
const nameServer = `${prefix}3`;
const routerLinkLocal = "fe80::5054:ff:fe12:3502";
const server = "2001:db8::7";
const ipv6 = { prefix: `${prefix}/64`, isDefaultRouter: true, loopbackHost: 0 };

const guestWith = (options: TestGuestOptions = {}) =>
  new TestGuest({ ...options, config: { ipv6, ...options.config } });

/** A neighbour solicitation with the guest's Ethernet address. */
function solicitation(target: string, withOption = true): Uint8Array {
  const message = new Uint8Array(withOption ? 32 : 24);
  message[0] = 135;
  message.set(bytes6(target), 8);
  if (withOption) message.set([1, 1, ...guestMac], 24);
  return message;
}

test("addresses: text as sockets have it, and back", () => {
  const random = seededRandom(3);
  for (let i = 0; i < 2000; i++) {
    const raw = new Uint8Array(16).map(() => (random() % 3 === 0 ? random() : 0));
    const address = Ipv6Address.at(raw, 0);
    expect(address.text).toBe(text6(raw));
    expect(Ipv6Address.parse(address.text)?.equals(address)).toBe(true);
    const written = new Uint8Array(18);
    address.put(written, 1);
    expect([...written.subarray(1, 17)]).toEqual([...raw]);
  }
  expect(Ipv6Address.parse("2001:db8:0:1:0:0:0:1")?.text).toBe("2001:db8:0:1::1");
  expect(Ipv6Address.parse("2001:db8:0:1:1:1:1:1")?.text).toBe("2001:db8:0:1:1:1:1:1");
  expect(Ipv6Address.parse("::")?.text).toBe("::");
});

test("which addresses can be another host's: none that is the host itself to a socket, however it is dressed", () => {
  const foreign = (address: string) => isForeignUnicast6(Ipv6Address.parse(address)!);
  for (const one of ["2001:db8::1", "fd00::1", "64:ff9b::8.8.8.8", "2002:0808:0808::1", "2606:4700::1111"])
    expect(foreign(one), one).toBe(true);
  for (const one of [
    ...["::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"],
    ...["fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "64:ff9b::127.0.0.1", "64:ff9b::127.9.9.9"],
    ...["64:ff9b::0.0.0.0", "64:ff9b::224.0.0.1", "64:ff9b:1::127.0.0.1", "64:ff9b:1:7f00:0:100::"],
    ...["2002:7f00:1::1", "2002:7f01:203::", "2002::1", "2002:e000:1::1"],
  ])
    expect(foreign(one), one).toBe(false);
});

test("prefixes: VirtualBox's for an IPv4 network, 64 bits, unicast", () => {
  expect(prefixFor(ip("10.0.2.0"))).toBe("fd17:625c:f037:2::/64");
  expect(prefixFor(ip("10.222.173.0"))).toBe("fd17:625c:f037:dead::/64");
  expect(parsePrefix6("2001:db8:1:2:3::/64")?.text).toBe("2001:db8:1:2::");
  for (const bad of [
    "",
    "fd17::",
    "fd17::/48",
    "fd17::/65",
    "fe80::/64",
    "ff02::/64",
    "::/64",
    "10.0.2.0/64",
    "x/64",
  ]) {
    expect(parsePrefix6(bad), bad).toBeUndefined();
    expect(() => guestWith({ config: { ipv6: { ...ipv6, prefix: bad } } })).toThrow(`'${bad}' is not a prefix for NAT`);
  }
});

test("off: nothing of it answers", () => {
  const guest = new TestGuest();
  guest.sendIcmp6("ff02::2", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0), { source: guestLinkLocal, hopLimit: 255 });
  guest.sendIcmp6(gateway, solicitation(gateway), { hopLimit: 255 });
  guest.ping6(gateway);
  guest.sendUdp(5000, server, 7, bytes("x"));
  guest.host.run(100_000);
  expect([guest.frames, guest.host.openSockets, guest.nat.statistics.ipv6]).toEqual([0, 0, 4]);
});

test("neighbour discovery: our addresses are answered with the gateway's Ethernet address, others are not", () => {
  const guest = guestWith({ config: { ipv6: { ...ipv6, loopbackHost: 9 } } });
  guest.host.run(10);
  guest.icmp6.length = 0;
  for (const target of [
    gateway,
    nameServer,
    routerLinkLocal,
    `${prefix}9`,
    `${prefix}4`,
    `${prefix}15`,
    server,
    "ff02::1",
  ])
    guest.sendIcmp6(target, solicitation(target), { hopLimit: 255 });
  guest.host.run(10);
  expect(guest.icmp6.map(({ source, type }) => [source, type])).toEqual(
    [gateway, nameServer, routerLinkLocal, `${prefix}9`].map((address) => [address, 136]),
  );
  for (const { body, source, hopLimit } of guest.icmp6) {
    // Router, solicited, override; the target is who answers.
    expect([body[0], hopLimit, text6(body, 4)]).toEqual([0xe0, 255, source]);
    expect([...options6(body, 20).get(2)!]).toEqual([...gatewayMac]);
  }
});

test("somebody tries out an address: ours is defended, another one is his", () => {
  const guest = guestWith();
  guest.host.run(10);
  guest.icmp6.length = 0;
  guest.sendIcmp6("ff02::1:ff00:2", solicitation(gateway, false), { source: "::", hopLimit: 255 });
  guest.sendIcmp6("ff02::1:ff00:15", solicitation(guest.address6, false), { source: "::", hopLimit: 255 });
  guest.host.run(10);
  const summary = guest.icmp6.map(({ source, destination, type, body }) => [source, destination, type, body[0]]);
  expect(summary).toEqual([[gateway, "ff02::1", 136, 0xa0]]);
});

test("messages of neighbour discovery that did not start on the link, or are damaged, do nothing", () => {
  const guest = guestWith();
  guest.host.run(10);
  guest.icmp6.length = 0;
  const dropped = guest.nat.statistics.dropped;
  const good = solicitation(gateway);
  guest.sendIcmp6(gateway, good, { hopLimit: 254 });
  guest.sendIcmp6(gateway, good.slice(0, 16), { hopLimit: 255 });
  guest.sendIcmp6(
    gateway,
    good.map((byte, i) => (i === 25 ? 0 : byte)),
    { hopLimit: 255 },
  );
  guest.sendIcmp6(
    gateway,
    good.map((byte, i) => (i === 25 ? 2 : byte)),
    { hopLimit: 255 },
  );
  guest.sendIcmp6(
    gateway,
    good.map((byte, i) => (i === 1 ? 1 : byte)),
    { hopLimit: 255 },
  );
  guest.sendIcmp6(gateway, solicitation("ff02::1"), { hopLimit: 255 });
  // Right, but for the checksum.
  guest.sendIp6(gateway, 58, good, { hopLimit: 255 });
  // In fragments, which is not allowed to it (RFC 6980).
  guest.sendIp6(gateway, 44, fragment6(58, 0, true, 1, good.subarray(0, 16)), { hopLimit: 255 });
  guest.sendIp6(gateway, 44, fragment6(58, 16, false, 1, good.subarray(16)), { hopLimit: 255 });
  guest.host.run(10);
  expect([guest.icmp6.length, guest.nat.statistics.dropped - dropped]).toEqual([0, 8]);
});

test("advertisements: prefix, MTU, name server; asked and unasked; a way out only where it was said", () => {
  for (const isDefaultRouter of [true, false]) {
    const guest = guestWith({ config: { ipv6: { ...ipv6, isDefaultRouter } } });
    guest.host.run(10);
    expect(guest.icmp6.map(({ type, destination }) => [type, destination])).toEqual([[134, "ff02::1"]]);
    guest.sendIcmp6("ff02::2", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...guestMac), {
      source: guestLinkLocal,
      to: allNodesMac,
      hopLimit: 255,
    });
    guest.sendIcmp6("ff02::2", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0), { source: "::", hopLimit: 255 });
    guest.host.run(10);
    expect(guest.icmp6.map(({ destination }) => destination)).toEqual(["ff02::1", guestLinkLocal, "ff02::1"]);
    for (const { body, source, type, hopLimit } of guest.icmp6) {
      expect([source, type, hopLimit]).toEqual([routerLinkLocal, 134, 255]);
      const view = new DataView(body.buffer, body.byteOffset);
      expect([body[0], body[1], view.getUint16(2)]).toEqual([64, 0, isDefaultRouter ? 1800 : 0]);
      const options = options6(body, 12);
      expect([...options.get(1)!]).toEqual([...gatewayMac]);
      expect([...options.get(5)!]).toEqual([0, 0, 0, 0, 5, 220]);
      const information = options.get(3)!;
      // 64 bits, on this link, to be used for addresses; a day, four hours preferred.
      expect([...information.subarray(0, 10)]).toEqual([64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40]);
      expect(text6(information, 14)).toBe(prefix);
      expect(text6(options.get(25)!, 6)).toBe(nameServer);
    }
    guest.icmp6.length = 0;
    guest.host.run(1_800_000);
    expect(guest.icmp6.length).toBe(2 + 3);
    guest.nat.close();
    guest.host.run(1_800_000);
    expect(guest.icmp6.length).toBe(5);
  }
});

test("an MTU below IPv6's least is not IPv6's", () => {
  const guest = guestWith({ config: { ipv6, mtu: 600 } });
  guest.ping6(gateway, 3000);
  guest.ping(ip("10.0.2.2"), 3000);
  guest.host.run(10);
  expect([...options6(guest.icmp6[0].body, 12).get(5)!]).toEqual([0, 0, 0, 0, 5, 0]);
  expect(guest.icmp6.at(-1)?.body.length).toBe(3004);
  expect([guest.longestFrame, guest.icmp[0].body.length]).toEqual([1294, 3004]);
});

test("ping: our addresses answer, large packets in fragments; the outside says that it cannot be pinged", () => {
  const guest = guestWith();
  guest.host.run(10);
  guest.icmp6.length = 0;
  guest.ping6(gateway);
  guest.ping6(nameServer, 40_000);
  guest.ping6(routerLinkLocal, 8, { source: guestLinkLocal });
  guest.ping6("ff02::1", 8, { source: guestLinkLocal, to: allNodesMac });
  guest.ping6("ff02::2", 8, { source: guestLinkLocal, to: allNodesMac });
  guest.host.run(10);
  expect(guest.icmp6.map(({ source, type, body }) => [source, type, body.length])).toEqual([
    [gateway, 129, 60],
    [nameServer, 129, 40_004],
    [routerLinkLocal, 129, 12],
    [routerLinkLocal, 129, 12],
    [routerLinkLocal, 129, 12],
  ]);
  expect(guest.icmp6[1].body.at(-1)).toBe(40_007 & 255);
  guest.icmp6.length = 0;
  guest.ping6(server);
  guest.ping6(`${prefix}99`);
  guest.host.run(10);
  expect(guest.icmp6.map(({ source, type, code }) => [source, type, code])).toEqual([[gateway, 1, 1]]);
});

test("what leads nowhere is said: hop limit, scope, addresses, protocols, headers", () => {
  const guest = guestWith();
  guest.host.run(10);
  const datagram = (to: string, source = guest.address6) => guest.udpPacket(5000, to, 33_434, bytes("x"), source);
  const answers = (send: () => void) => {
    guest.icmp6.length = 0;
    send();
    guest.host.run(10);
    return guest.icmp6.map(({ type, code, body }) => [type, code, body[3]]);
  };
  expect(answers(() => guest.sendIp6(server, 17, datagram(server), { hopLimit: 1 }))).toEqual([[3, 0, 0]]);
  expect(guest.icmp6[0]).toMatchObject({ source: gateway, destination: guest.address6 });
  // The packet that caused it is in it.
  expect([...guest.icmp6[0].body.subarray(44)]).toEqual([...datagram(server)]);
  expect(answers(() => guest.ping6(server, 8, { hopLimit: 1 }))).toEqual([[3, 0, 0]]);
  expect(
    answers(() => guest.sendIp6(server, 17, datagram(server, guestLinkLocal), { source: guestLinkLocal })),
  ).toEqual([[1, 2, 0]]);
  for (const nowhere of ["::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"].map(
    (one) => Ipv6Address.parse(one)!.text,
  ))
    expect(
      answers(() => guest.sendIp6(nowhere, 17, datagram(nowhere))),
      nowhere,
    ).toEqual([[1, 3, 0]]);
  expect(answers(() => guest.sendIp6(gateway, 17, datagram(gateway)))).toEqual([[1, 4, 0]]);
  expect(answers(() => guest.sendIp6(server, 47, new Uint8Array(8)))).toEqual([[4, 1, 6]]);
  const wrapped = Uint8Array.of(47, 0, 1, 4, 0, 0, 0, 0, ...new Uint8Array(8));
  expect(answers(() => guest.sendIp6(server, 60, wrapped))).toEqual([[4, 1, 40]]);
  // Options: unknown ones that may be passed over, may not, or must be told of; routes with places to go.
  const option = (kind: number) => Uint8Array.of(17, 0, kind, 4, 1, 2, 3, 4, ...datagram(server));
  expect(answers(() => guest.sendIp6(server, 60, option(0x1e)))).toEqual([]);
  expect(answers(() => guest.sendIp6(server, 60, option(0x5e)))).toEqual([]);
  expect(answers(() => guest.sendIp6(server, 60, option(0x9e)))).toEqual([[4, 2, 42]]);
  expect(answers(() => guest.sendIp6(server, 0, option(0xde)))).toEqual([[4, 2, 42]]);
  const route = (left: number) => Uint8Array.of(17, 0, 0, left, 0, 0, 0, 0, ...datagram(server));
  expect(answers(() => guest.sendIp6(server, 43, route(1)))).toEqual([[4, 0, 42]]);
  expect(answers(() => guest.sendIp6(server, 43, route(0)))).toEqual([]);
  // Errors about errors and about groups are not sent.
  expect(answers(() => guest.sendIcmp6(server, new Uint8Array(48).fill(1, 0, 1), { hopLimit: 1 }))).toEqual([]);
  expect(answers(() => guest.sendIp6("ff02::fb", 17, datagram("ff02::fb")))).toEqual([]);
  expect(answers(() => guest.sendIcmp6("ff02::16", new Uint8Array(28).fill(143, 0, 1), { hopLimit: 1 }))).toEqual([]);
  // One socket for all that went through.
  expect(guest.host.openSockets).toBe(1);
});

test("errors are limited in number", () => {
  const guest = guestWith();
  guest.host.run(10);
  guest.icmp6.length = 0;
  for (let i = 0; i < 1000; i++) guest.ping6(server);
  guest.host.run(10);
  expect(guest.icmp6.length).toBe(100);
});

test("extension headers: eight and no more, hop-by-hop first, lengths inside the packet", () => {
  let got = 0;
  const guest = guestWith();
  guest.host.udpServers.set(`${server}:7`, () => got++);
  const datagram = guest.udpPacket(5000, server, 7, bytes("x"));
  const chain = (kinds: number[]) => {
    const headers = kinds.flatMap((_, i) => [kinds[i + 1] ?? 17, 0, 1, 4, 0, 0, 0, 0]);
    guest.sendIp6(server, kinds[0], Uint8Array.from([...headers, ...datagram]));
  };
  chain([0, 60, 60]);
  chain(new Array(8).fill(60));
  guest.host.run(10);
  expect(got).toBe(2);
  chain(new Array(9).fill(60));
  chain([60, 0]);
  // No header at all behind, lengths past the end, an option past its header's end, nothing next.
  guest.sendIp6(server, 60, new Uint8Array(0));
  guest.sendIp6(server, 60, Uint8Array.of(17, 9, 1, 4, 0, 0, 0, 0, ...datagram));
  guest.sendIp6(server, 60, Uint8Array.of(17, 0, 1, 9, 0, 0, 0, 0, ...datagram));
  guest.sendIp6(server, 60, Uint8Array.of(17, 0, 1, 2, 0, 0, 1, 1, ...datagram));
  guest.sendIp6(server, 59, datagram);
  guest.host.run(10);
  expect(got).toBe(2);
});

test("foreign sources are dropped", () => {
  const guest = guestWith();
  const before = guest.nat.statistics.dropped;
  for (const source of ["2001:db8::9", "fd17:625c:f037:3::15", gateway, nameServer, "::", "ff02::1", "::1"])
    guest.sendIp6(server, 17, guest.udpPacket(1, server, 7, bytes("x"), source), { source });
  guest.host.run(10);
  expect([guest.nat.statistics.dropped - before, guest.host.openSockets]).toEqual([7, 0]);
});

test("UDP: one socket per guest port, answers only from hosts that were asked, no checksum no datagram", () => {
  const guest = guestWith();
  const families: number[] = [];
  const receivers: ((bytes: Uint8Array, address: string, port: number) => void)[] = [];
  const open = guest.host.openUdp.bind(guest.host);
  guest.host.openUdp = (family, receive) => {
    families.push(family);
    receivers.push(receive);
    return open(family, receive);
  };
  guest.host.udpServers.set(`${server}:7`, (data, reply) => reply(data));
  guest.host.udpServers.set("2001:db8::8:7", (data, reply) => reply(data));
  guest.sendUdp(5000, server, 7, bytes("one"));
  guest.sendUdp(5000, "2001:db8::8", 7, bytes("two"));
  guest.sendUdp(5001, server, 7, bytes("three"));
  guest.sendUdp(5000, ip("198.51.100.7"), 7, bytes("IPv4's is another"));
  const bare = guest.udpPacket(5000, server, 7, bytes("bare"));
  guest.sendIp6(server, 17, bare.fill(0, 6, 8));
  guest.host.run(100);
  expect(guest.datagrams.map(({ data, port, source }) => [text(data), port, source]).sort()).toEqual([
    ["one", 5000, server],
    ["three", 5001, server],
    ["two", 5000, "2001:db8::8"],
  ]);
  expect(families).toEqual([6, 6, 4]);
  guest.datagrams.length = 0;
  receivers[0](bytes("stranger"), "2001:db8::bad", 7);
  receivers[0](bytes("same host, other port"), server, 4711);
  guest.host.run(10);
  expect(guest.datagrams.map(({ data, sourcePort }) => [text(data), sourcePort])).toEqual([
    ["same host, other port", 4711],
  ]);
  guest.host.run(300_000);
  expect([guest.nat.statistics.udpFlows, guest.host.openSockets]).toEqual([0, 0]);
});

test("large datagrams go out whole and come back in fragments, in any order", () => {
  const guest = guestWith({ faults: { lossPercent: 0, reorderPercent: 60, delayMs: 1 }, seed: 4 });
  guest.host.udpServers.set(`${server}:7`, (data, reply) => reply(data));
  guest.ping6(gateway);
  for (const length of [1452, 1453, 2888, 2889, 9000, 65_487]) {
    guest.datagrams.length = 0;
    guest.sendUdp(5000, server, 7, pattern(length, length));
    guest.host.run(1000);
    expect(guest.datagrams.map(({ data }) => Buffer.compare(data, pattern(length, length)))).toEqual([0]);
  }
  expect(guest.problems).toEqual([]);
});

test("fragments: of one alone, of several with one number; overlaps, second ends and headers in the middle are thrown away", () => {
  let got = 0;
  const guest = guestWith();
  guest.host.udpServers.set(`${server}:7`, () => got++);
  const packet = guest.udpPacket(5000, server, 7, pattern(3000, 1));
  const send = (id: number, at: number, end: number, more: boolean, next = 17) =>
    guest.sendIp6(server, 44, fragment6(next, at, more, id, packet.subarray(at, end)));
  send(1, 0, 1400, true);
  send(1, 1392, 2792, true);
  send(1, 1400, 2800, true);
  send(1, 2800, 3008, false);
  send(2, 2800, 3008, false);
  send(2, 3200, 3208, true);
  send(3, 1400, 2800, true);
  send(3, 0, 1400, false);
  send(4, 0, 1399, true);
  guest.host.run(10);
  expect(got).toBe(0);
  // What the first fragment says is next counts; twice the same one is no harm.
  send(5, 1400, 2800, true, 6);
  send(5, 1400, 2800, true, 6);
  send(5, 2800, 3008, false, 6);
  send(5, 0, 1400, true);
  // A whole datagram with a fragment header, between the fragments of another with the same number.
  const small = guest.udpPacket(5000, server, 7, bytes("atomic"));
  guest.sendIp6(server, 44, fragment6(17, 0, false, 6, small));
  guest.host.run(10);
  expect(got).toBe(2);
  // A fragment header inside what was put together.
  const nested = fragment6(17, 0, false, 1, small);
  guest.sendIp6(server, 44, fragment6(44, 0, true, 7, nested.subarray(0, 8)));
  guest.sendIp6(server, 44, fragment6(44, 8, false, 7, nested.subarray(8)));
  guest.host.run(10);
  expect(got).toBe(2);
});

test("the host's loopback is unreachable unless it is allowed, by UDP and TCP", () => {
  const disguises = ["::1", "::ffff:7f00:1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "fe80::1"];
  const servers = (guest: TestGuest) => {
    for (const address of ["::1", "127.0.0.1", "0.0.0.0", ...disguises]) {
      guest.host.udpServers.set(`${address}:7`, (data, reply) => reply(data));
      guest.host.tcpServers.set(`${address}:7`, (peer) => peer.write(bytes("hello")));
    }
  };
  const shut = guestWith();
  servers(shut);
  for (const to of [gateway, ...disguises]) {
    shut.sendUdp(5000, to, 7, bytes("hello"));
    shut.connect(to, 7, 40_000);
  }
  const refused = shut.connect(gateway, 7, 40_001);
  shut.host.run(5000);
  expect([shut.datagrams.length, shut.host.openSockets, shut.host.dialled, refused.state]).toEqual([
    0,
    0,
    [],
    "refused",
  ]);
  const open = guestWith({ config: { ipv6: { ...ipv6, loopbackHost: 2 } } });
  servers(open);
  open.sendUdp(5000, gateway, 7, bytes("hello"));
  const connection = open.connect(gateway, 7, 40_000);
  for (const to of disguises) {
    open.sendUdp(5000, to, 7, bytes("hello"));
    open.connect(to, 7, 40_001);
  }
  open.host.run(5000);
  expect(open.datagrams.map(({ source, data }) => [source, text(data)])).toEqual([[gateway, "hello"]]);
  expect([text(connection.data), open.host.dialled]).toEqual(["hello", ["::1:7"]]);
});

test("DNS: the name server answers AAAA over IPv6, by UDP and TCP", async () => {
  const guest = guestWith({ config: { dnsHostResolver: true } });
  guest.host.names.set("box.lan", ["192.0.2.9", "2001:db8::9"]);
  const query = Uint8Array.from([
    0x12,
    0x34,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    3,
    ...bytes("box"),
    3,
    ...bytes("lan"),
    0,
    0,
    28,
    0,
    1,
  ]);
  guest.sendUdp(5000, nameServer, 53, query);
  await guest.host.runAsync(100, () => guest.datagrams.length > 0);
  const [{ source, sourcePort, data }] = guest.datagrams;
  expect([source, sourcePort, data[0], data[3] & 15, data[7], text6(data, data.length - 16)]).toEqual([
    ...[nameServer, 53, 0x12, 0, 1, "2001:db8::9"],
  ]);
  const connection = guest.connect(nameServer, 53, 40_000);
  connection.write(Uint8Array.from([0, query.length, ...query]));
  await guest.host.runAsync(1000, () => connection.receivedBytes === data.length + 2);
  expect([...connection.data.subarray(2)]).toEqual([...data]);
});

test("TCP: 5 MB each way, whole, in segments that fit, over a good and a bad wire", () => {
  for (const faults of [undefined, { lossPercent: 5, reorderPercent: 10, delayMs: 20 }]) {
    const guest = guestWith({ faults, seed: 7 });
    const file = pattern(5_000_000, 2);
    let uploaded = 0;
    guest.host.tcpServers.set(`${server}:80`, (peer) => {
      let at = 0;
      const send = () => {
        while (at < file.length && peer.write(file.subarray(at, at + 65_536))) at += 65_536;
        if (at < file.length) at += 65_536;
        if (at >= file.length) peer.end();
      };
      peer.onResume = send;
      peer.onData = (data) => {
        expect(Buffer.compare(data, file.subarray(uploaded, uploaded + data.length))).toBe(0);
        uploaded += data.length;
      };
      peer.onEnd = send;
    });
    const connection = guest.connect(server, 80, 40_000, { windowBytes: 262_144, windowShift: 4 });
    connection.write(file);
    connection.end();
    guest.run(600_000, () => connection.peerHasEnded);
    expect([uploaded, Buffer.compare(connection.data, file)]).toEqual([file.length, 0]);
    expect(guest.longestFrame).toBe(1514);
  }
});

test("TCP: refused is a reset, unreachable is said, and IPv4's connections of the same ports are others", () => {
  const guest = guestWith();
  guest.host.unreachable.add("2001:db8::dead");
  guest.host.tcpServers.set(`${server}:80`, (peer) => peer.write(bytes("six")));
  guest.host.tcpServers.set("198.51.100.7:80", (peer) => peer.write(bytes("four")));
  const refused = guest.connect(server, 81, 40_000);
  guest.connect("2001:db8::dead", 80, 40_000);
  const six = guest.connect(server, 80, 40_002);
  const four = guest.connect("198.51.100.7", 80, 40_002);
  guest.host.run(500);
  expect([refused.state, text(six.data), text(four.data)]).toEqual(["refused", "six", "four"]);
  const error = guest.icmp6.find(({ type }) => type === 1)!;
  expect([error.code, text6(error.body, 28), error.body[10]]).toEqual([3, "2001:db8::dead", 6]);
  expect(guest.problems).toEqual([]);
});

test("forwarded ports lead to an IPv6 guest; the peer keeps its address unless it is the host or has none that can be answered", async () => {
  const guest = guestWith();
  const rule = { name: "web", hostIp: "", hostPort: 8080, guestIp: guest.address6, guestPort: 80 };
  await guest.nat.addForwarding({ ...rule, protocol: "tcp" });
  await guest.nat.addForwarding({ ...rule, protocol: "udp", name: "udp" });
  // IPv4's rules have names and ports of their own.
  await guest.nat.addForwarding({ ...rule, protocol: "tcp", guestIp: "10.0.2.15" });
  await expect(guest.nat.addForwarding({ ...rule, protocol: "tcp", hostPort: 1 })).rejects.toThrow("of this name");
  await expect(guest.nat.addForwarding({ ...rule, protocol: "tcp", name: "x" })).rejects.toThrow("this host port");
  expect([[...guest.host.listeners.keys()], [...guest.host.boundUdp.keys()]]).toEqual([
    [":::8080", ":8080"],
    [":::8080"],
  ]);
  const peers: unknown[] = [];
  guest.accepts.set(80, (connection) => {
    peers.push(connection.remote);
    connection.write(bytes("welcome"));
  });
  guest.ping6(gateway);
  const froms = ["2001:db8::77", "::1", "fe80::1%eth0", `${prefix}99`];
  for (const from of froms) {
    let answer = "";
    guest.host.connect(":::8080", from, 55_555, (peer) => {
      peer.onData = (data) => {
        answer += text(data);
      };
    });
    guest.run(5000, () => answer === "welcome");
  }
  expect(peers).toEqual(["2001:db8::77", gateway, gateway, gateway]);
  for (const from of froms) guest.host.boundUdp.get(":::8080")!(bytes(from), from, 4000);
  guest.host.run(10);
  expect(guest.datagrams.map(({ source, sourcePort, port }) => [source, sourcePort, port])).toEqual(
    peers.map((peer) => [peer, 4000, 80]),
  );
  guest.sendUdp(80, "2001:db8::77", 4000, bytes("answer"));
  guest.sendUdp(80, gateway, 4000, bytes("answer"));
  guest.host.run(10);
  expect(guest.host.sentUdp.map(({ from, to }) => [from, to])).toEqual([
    [":::8080", "2001:db8::77:4000"],
    [":::8080", "::1:4000"],
  ]);
  expect(guest.host.openSockets).toBe(0);
  // Where a rule leads out of the prefix nobody is let in.
  await guest.nat.addForwarding({ ...rule, protocol: "tcp", name: "out", hostPort: 9, guestIp: server });
  expect(guest.host.connect(":::9", "::1", 1, () => {})).toBe(false);
});

test("a guest that nobody remembers is asked for", () => {
  const guest = guestWith();
  let receive: ((bytes: Uint8Array, address: string, port: number) => void) | undefined;
  let receive4 = receive;
  const open = guest.host.openUdp.bind(guest.host);
  guest.host.openUdp = (family, listener) => {
    if (family === 6) receive = listener;
    else receive4 = listener;
    return open(family, listener);
  };
  guest.sendUdp(5000, server, 7, bytes("question"));
  guest.sendUdp(5000, ip("198.51.100.7"), 7, bytes("question"));
  // More neighbours than are remembered.
  for (let i = 0; i < 300; i++) guest.ping6(gateway, 8, { source: `${prefix}1:${(i + 1).toString(16)}` });
  guest.host.run(10);
  // Answers to those others.
  guest.problems.length = guest.icmp6.length = 0;
  for (let i = 0; i < 5; i++) receive!(bytes("lost"), server, 7);
  guest.host.run(10);
  // Once a second is enough.
  expect(
    guest.icmp6.map(({ type, source, destination, hopLimit, body }) => [
      type,
      source,
      destination,
      hopLimit,
      text6(body, 4),
    ]),
  ).toEqual([[135, gateway, "ff02::1:ff00:15", 255, guest.address6]]);
  expect([...options6(guest.icmp6[0].body, 20).get(1)!]).toEqual([...gatewayMac]);
  const answer = new Uint8Array(32);
  answer.set([136, 0, 0, 0, 0x60]);
  answer.set(bytes6(guest.address6), 8);
  answer.set([2, 1, ...guestMac], 24);
  guest.sendIcmp6(gateway, answer, { hopLimit: 255 });
  guest.host.run(10);
  receive!(bytes("found"), server, 7);
  // IPv4's neighbours were none of their business.
  receive4!(bytes("still known"), "198.51.100.7", 7);
  guest.host.run(10);
  expect(guest.datagrams.map(({ data }) => text(data))).toEqual(["found", "still known"]);
  expect(guest.problems).toEqual([]);
});
