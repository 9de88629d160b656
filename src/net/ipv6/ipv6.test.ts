/** IPv6 on NAT beyond discovery: ping, errors, headers, fragments, UDP, DNS, TCP, forwarding. */
import { expect, test } from "vitest";
import { bytesOf, ip, pattern, type TestGuest, textOf } from "../testing/guest.ts";
import { gateway, guestWith, ipv6, nameServer, prefix, routerLinkLocal, server } from "../testing/guest6.ts";
import { allNodesMac, fragment6, guestLinkLocal, text6 } from "../testing/ipv6.ts";
import { Ipv6Address } from "./address.ts";

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
  const datagram = (to: string, source = guest.address6) => guest.udpPacket(5000, to, 33_434, bytesOf("x"), source);
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
  const datagram = guest.udpPacket(5000, server, 7, bytesOf("x"));
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
    guest.sendIp6(server, 17, guest.udpPacket(1, server, 7, bytesOf("x"), source), { source });
  guest.host.run(10);
  expect([guest.nat.statistics.dropped - before, guest.host.openSockets]).toEqual([7, 0]);
});

test("UDP: one socket per guest port, answers only from hosts that were asked, no checksum no datagram", () => {
  const guest = guestWith();
  const { udpSockets } = guest.host;
  guest.host.udpServers.set(`${server}:7`, (data, reply) => reply(data));
  guest.host.udpServers.set("2001:db8::8:7", (data, reply) => reply(data));
  guest.sendUdp(5000, server, 7, bytesOf("one"));
  guest.sendUdp(5000, "2001:db8::8", 7, bytesOf("two"));
  guest.sendUdp(5001, server, 7, bytesOf("three"));
  guest.sendUdp(5000, ip("198.51.100.7"), 7, bytesOf("IPv4's is another"));
  const bare = guest.udpPacket(5000, server, 7, bytesOf("bare"));
  guest.sendIp6(server, 17, bare.fill(0, 6, 8));
  guest.host.run(100);
  expect(guest.datagrams.map(({ data, port, source }) => [textOf(data), port, source]).sort()).toEqual([
    ["one", 5000, server],
    ["three", 5001, server],
    ["two", 5000, "2001:db8::8"],
  ]);
  expect(udpSockets.map(({ family }) => family)).toEqual([6, 6, 4]);
  guest.datagrams.length = 0;
  udpSockets[0].receive(bytesOf("stranger"), "2001:db8::bad", 7);
  udpSockets[0].receive(bytesOf("same host, other port"), server, 4711);
  guest.host.run(10);
  expect(guest.datagrams.map(({ data, sourcePort }) => [textOf(data), sourcePort])).toEqual([
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
  const small = guest.udpPacket(5000, server, 7, bytesOf("atomic"));
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
      guest.host.tcpServers.set(`${address}:7`, (peer) => peer.write(bytesOf("hello")));
    }
  };
  const shut = guestWith();
  servers(shut);
  for (const to of [gateway, ...disguises]) {
    shut.sendUdp(5000, to, 7, bytesOf("hello"));
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
  open.sendUdp(5000, gateway, 7, bytesOf("hello"));
  const connection = open.connect(gateway, 7, 40_000);
  for (const to of disguises) {
    open.sendUdp(5000, to, 7, bytesOf("hello"));
    open.connect(to, 7, 40_001);
  }
  open.host.run(5000);
  expect(open.datagrams.map(({ source, data }) => [source, textOf(data)])).toEqual([[gateway, "hello"]]);
  expect([textOf(connection.data), open.host.dialled]).toEqual(["hello", ["::1:7"]]);
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
    ...bytesOf("box"),
    3,
    ...bytesOf("lan"),
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
  guest.host.tcpServers.set(`${server}:80`, (peer) => peer.write(bytesOf("six")));
  guest.host.tcpServers.set("198.51.100.7:80", (peer) => peer.write(bytesOf("four")));
  const refused = guest.connect(server, 81, 40_000);
  guest.connect("2001:db8::dead", 80, 40_000);
  const six = guest.connect(server, 80, 40_002);
  const four = guest.connect("198.51.100.7", 80, 40_002);
  guest.host.run(500);
  expect([refused.state, textOf(six.data), textOf(four.data)]).toEqual(["refused", "six", "four"]);
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
    connection.write(bytesOf("welcome"));
  });
  guest.ping6(gateway);
  const froms = ["2001:db8::77", "::1", "fe80::1%eth0", `${prefix}99`];
  for (const from of froms) {
    let answer = "";
    guest.host.connect(":::8080", from, 55_555, (peer) => {
      peer.onData = (data) => {
        answer += textOf(data);
      };
    });
    guest.run(5000, () => answer === "welcome");
  }
  expect(peers).toEqual(["2001:db8::77", gateway, gateway, gateway]);
  for (const from of froms) guest.host.boundUdp.get(":::8080")!(bytesOf(from), from, 4000);
  guest.host.run(10);
  expect(guest.datagrams.map(({ source, sourcePort, port }) => [source, sourcePort, port])).toEqual(
    peers.map((peer) => [peer, 4000, 80]),
  );
  guest.sendUdp(80, "2001:db8::77", 4000, bytesOf("answer"));
  guest.sendUdp(80, gateway, 4000, bytesOf("answer"));
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
