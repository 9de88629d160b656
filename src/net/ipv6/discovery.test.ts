/** The router of IPv6 on NAT: neighbour discovery, advertisements, duplicate addresses. */
import { expect, test } from "vitest";
import { bytesOf, gatewayMac, guestMac, ip, TestGuest, textOf } from "../testing/guest.ts";
import { gateway, guestWith, ipv6, nameServer, prefix, routerLinkLocal, server } from "../testing/guest6.ts";
import { allNodesMac, bytes6, fragment6, guestLinkLocal, options6, text6 } from "../testing/ipv6.ts";

/** A neighbour solicitation with the guest's Ethernet address. */
function solicitation(target: string, withOption = true): Uint8Array {
  const message = new Uint8Array(withOption ? 32 : 24);
  message[0] = 135;
  message.set(bytes6(target), 8);
  if (withOption) message.set([1, 1, ...guestMac], 24);
  return message;
}

test("off: nothing of it answers", () => {
  const guest = new TestGuest();
  guest.sendIcmp6("ff02::2", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0), { source: guestLinkLocal, hopLimit: 255 });
  guest.sendIcmp6(gateway, solicitation(gateway), { hopLimit: 255 });
  guest.ping6(gateway);
  guest.sendUdp(5000, server, 7, bytesOf("x"));
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

test("a guest that nobody remembers is asked for", () => {
  const guest = guestWith();
  guest.sendUdp(5000, server, 7, bytesOf("question"));
  guest.sendUdp(5000, ip("198.51.100.7"), 7, bytesOf("question"));
  // More neighbours than are remembered.
  for (let i = 0; i < 300; i++) guest.ping6(gateway, 8, { source: `${prefix}1:${(i + 1).toString(16)}` });
  guest.host.run(10);
  const [{ receive }, { receive: receive4 }] = guest.host.udpSockets;
  // Answers to those others.
  guest.problems.length = guest.icmp6.length = 0;
  for (let i = 0; i < 5; i++) receive(bytesOf("lost"), server, 7);
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
  receive(bytesOf("found"), server, 7);
  // IPv4's neighbours were none of their business.
  receive4(bytesOf("still known"), "198.51.100.7", 7);
  guest.host.run(10);
  expect(guest.datagrams.map(({ data }) => textOf(data))).toEqual(["found", "still known"]);
  expect(guest.problems).toEqual([]);
});
