/** IPv6 addresses and prefixes: text and back, which can be another host's. */
import { expect, test } from "vitest";
import { ip } from "../testing/guest.ts";
import { guestWith, ipv6 } from "../testing/guest6.ts";
import { text6 } from "../testing/ipv6.ts";
import { seededRandom } from "../testing/simulation.ts";
import { Ipv6Address, isForeignUnicast6, parsePrefix6, prefixFor } from "./address.ts";

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
