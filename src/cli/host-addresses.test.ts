import { expect, test } from "vitest";
import { AnneauError } from "../base/errors.ts";
import { seededRandom } from "../device-api/testing.ts";
import { maskOf, parseAddresses } from "./host-addresses.ts";

const said =
  '[{"ifname":"vboxnet0","addr_info":[{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"},' +
  '{"family":"inet","local":"192.168.56.1","prefixlen":24,"scope":"global"},' +
  '{"family":"inet6","local":"fd00::1","prefixlen":60,"scope":"global"}]},{"ifname":"eth0","addr_info":[]}]';

test("addresses as `ip` says them, those that reach farthest first", () => {
  expect(parseAddresses(said)).toEqual(
    new Map([
      [
        "vboxnet0",
        [
          { isIpv6: false, address: "192.168.56.1", prefixLength: 24 },
          { isIpv6: true, address: "fd00::1", prefixLength: 60 },
          { isIpv6: true, address: "fe80::1", prefixLength: 64 },
        ],
      ],
      ["eth0", []],
    ]),
  );
});

test("anything else is no address, or one error", () => {
  expect(
    parseAddresses(
      '[null,1,{},{"ifname":"a"},{"ifname":"b","addr_info":[null,{"family":"inet","local":5,"prefixlen":1}]}]',
    ),
  ).toEqual(
    new Map([
      ["a", []],
      ["b", []],
    ]),
  );
  const random = seededRandom(9);
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(said);
    for (let k = random(4); k >= 0; k--) bytes[random(bytes.length)] = 32 + random(95);
    try {
      for (const addresses of parseAddresses(bytes.toString("latin1")).values())
        for (const { address, prefixLength } of addresses)
          expect([typeof address, Number.isInteger(prefixLength)]).toEqual(["string", true]);
    } catch (error) {
      expect(error).toBeInstanceOf(AnneauError);
    }
  }
});

test("masks", () => {
  expect([0, 1, 8, 24, 31, 32].map(maskOf)).toEqual([
    "0.0.0.0",
    "128.0.0.0",
    "255.0.0.0",
    "255.255.255.0",
    "255.255.255.254",
    "255.255.255.255",
  ]);
});
