import { expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import {
  DHCP,
  type DhcpFrameOptions,
  dhcpFrame,
  dotted,
  OPTION,
  parseDhcpFrame,
  quad,
} from "../testing/dhcp-client.ts";
import { checksum } from "../testing/guest.ts";
import { seededRandom } from "../testing/simulation.ts";
import { DhcpNetwork, type DhcpNetworkSettings, rangeProblem } from "./network.ts";
import { optionFromHex, optionFromText } from "./options.ts";

const range = { server: "10.9.8.1", mask: "255.255.255.0", lower: "10.9.8.100", upper: "10.9.8.103" };
const mac = (number: number) => Uint8Array.of(8, 0, 0x27, 0, number >> 8, number & 255);
const nobody = { options: new Map<number, Uint8Array>() };

class Wire {
  nowMs = 1_000_000;
  readonly frames: Uint8Array[] = [];
  readonly network: DhcpNetwork;

  constructor(settings: Partial<DhcpNetworkSettings> = {}) {
    const all = { ...range, everybody: nobody, clients: new Map(), ...settings };
    const take = (frame: Uint8Array) => this.frames.push(Uint8Array.from(frame)) > 0;
    this.network = new DhcpNetwork(all, take, () => this.nowMs, silentLogger);
  }

  say(client: Uint8Array, type: number, options: DhcpFrameOptions = {}) {
    this.frames.length = 0;
    this.network.receiveFrame(dhcpFrame(client, type, options));
    return this.frames.map(parseDhcpFrame)[0];
  }

  /** The whole conversation; the address, or why there is none. */
  lease(client: Uint8Array): string {
    const offer = this.say(client, DHCP.discover);
    if (offer === undefined) return "silence";
    const options = { [OPTION.requested]: quad(offer.yours), [OPTION.server]: quad(offer.server) };
    const answer = this.say(client, DHCP.request, { options });
    return answer?.type === DHCP.ack ? answer.yours : `message ${answer?.type}`;
  }
}

test("clients get addresses of their own, keep them, and the mask; nobody else's is given away before it has run out", () => {
  const wire = new Wire();
  const all = () => [1, 2, 3, 4].map((number) => wire.lease(mac(number)));
  expect(all()).toEqual(["10.9.8.100", "10.9.8.101", "10.9.8.102", "10.9.8.103"]);
  expect(all()).toEqual(["10.9.8.100", "10.9.8.101", "10.9.8.102", "10.9.8.103"]);
  expect(wire.lease(mac(5))).toBe("silence");
  wire.nowMs += 500_000;
  wire.lease(mac(2));
  wire.nowMs += 200_000;
  expect(wire.lease(mac(5))).toBe("10.9.8.100");
  const offer = wire.say(mac(2), DHCP.discover)!;
  expect([offer.yours, offer.server]).toEqual(["10.9.8.101", "10.9.8.1"]);
  expect([...offer.options.get(1)!]).toEqual(quad("255.255.255.0"));
  expect([...offer.options.get(51)!]).toEqual([0, 0, 600 >> 8, 600 & 255]);
  expect([offer.options.has(3), offer.options.has(6)]).toEqual([false, false]);
});

test("offers that nobody takes are free again after a minute; what was released is at once", () => {
  const wire = new Wire();
  for (let i = 10; i < 14; i++) wire.say(mac(i), DHCP.discover);
  expect(wire.lease(mac(1))).toBe("silence");
  wire.nowMs += 61_000;
  expect(wire.lease(mac(1))).toBe("10.9.8.100");
  for (let i = 2; i < 5; i++) wire.lease(mac(i));
  expect(wire.lease(mac(5))).toBe("silence");
  wire.say(mac(3), DHCP.release, { clientAddress: "10.9.8.102", source: "10.9.8.102", destination: "10.9.8.1" });
  expect(wire.lease(mac(5))).toBe("10.9.8.102");
});

test("one client's fixed address, options and lease time; nobody else gets the address", () => {
  const clients = new Map([
    [
      "08:00:27:00:00:07",
      { fixedAddress: "10.9.8.100", leaseSeconds: 60, options: new Map([[12, optionFromText(12, "seven")!]]) },
    ],
    ["08:00:27:00:00:08", { fixedAddress: "10.9.8.7", options: new Map() }],
    ["08:00:27:00:00:09", { fixedAddress: "10.9.8.1", options: new Map() }],
  ]);
  const everybody = { leaseSeconds: 3600, options: new Map([[3, optionFromText(3, "10.9.8.2 10.9.8.3")!]]) };
  const wire = new Wire({ everybody, clients });
  expect([1, 7, 8, 9].map((number) => wire.lease(mac(number)))).toEqual([
    "10.9.8.101",
    "10.9.8.100",
    "10.9.8.7",
    "10.9.8.102",
  ]);
  const seven = wire.say(mac(7), DHCP.discover)!;
  expect([dotted(seven.options.get(3)!), dotted(seven.options.get(51)!)]).toEqual(["10.9.8.2.10.9.8.3", "0.0.0.60"]);
  expect(new TextDecoder().decode(seven.options.get(12))).toBe("seven");
  expect(dotted(wire.say(mac(1), DHCP.discover)!.options.get(51)!)).toBe("0.0.14.16");
});

test("a server that takes over goes on with the leases of the one before, as far as they fit", () => {
  const before = new Wire();
  expect([before.lease(mac(1)), before.lease(mac(2))]).toEqual(["10.9.8.100", "10.9.8.101"]);
  const after = new Wire();
  const strange = { mac: "08:00:27:00:00:05", address: 0x01020304, issuedMs: 0, seconds: 60 };
  after.network.server.restore([...before.network.server.leases.toReversed(), strange]);
  expect([3, 2, 1].map((number) => after.lease(mac(number)))).toEqual(["10.9.8.102", "10.9.8.101", "10.9.8.100"]);
});

test("ARP and ping at the server's address; other addresses, other servers' clients and strangers are left alone", () => {
  const wire = new Wire();
  wire.lease(mac(1));
  const other = { options: { [OPTION.requested]: quad("10.9.8.100"), [OPTION.server]: quad("10.9.8.9") } };
  expect(wire.say(mac(1), DHCP.request, other)).toBeUndefined();
  expect(wire.say(mac(1), DHCP.request, { options: { [OPTION.requested]: quad("192.168.1.5") } })?.type).toBe(DHCP.nak);
  const arp = (target: string) => {
    const frame = new Uint8Array(60);
    frame.fill(255, 0, 6);
    frame.set(mac(1), 6);
    frame.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...mac(1), ...quad("10.9.8.100"), 0, 0, 0, 0, 0, 0, ...quad(target)], 12);
    wire.frames.length = 0;
    wire.network.receiveFrame(frame);
    return wire.frames.map((answer) => dotted(answer.subarray(28, 32)));
  };
  expect([arp("10.9.8.1"), arp("10.9.8.2")]).toEqual([["10.9.8.1"], []]);
  const echo = new Uint8Array(14 + 20 + 16);
  echo.set(wire.network.macAddresses[0]);
  echo.set(mac(1), 6);
  echo.set([8, 0, 0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, ...quad("10.9.8.100"), ...quad("10.9.8.1"), 8], 12);
  const view = new DataView(echo.buffer);
  view.setUint16(24, checksum(echo.subarray(14, 34)));
  view.setUint16(36, checksum(echo.subarray(34)));
  wire.frames.length = 0;
  wire.network.receiveFrame(echo);
  expect(wire.frames.map((frame) => [frame[23], frame[34], dotted(frame.subarray(30, 34))])).toEqual([
    [1, 0, "10.9.8.100"],
  ]);
});

test("ranges that make no sense are refused with one line", () => {
  const problem = (changed: Partial<typeof range>) => rangeProblem({ ...range, ...changed });
  expect(problem({})).toBeUndefined();
  expect(problem({ mask: "255.255.255.252", lower: "10.9.8.2", upper: "10.9.8.2" })).toBeUndefined();
  expect(problem({ server: "" })).toMatch(/^'' is not an address$/);
  expect(problem({ mask: "255.0.255.0" })).toMatch(/not the mask/);
  for (const mask of ["255.255.255.255", "0.0.0.0", "254.0.0.0", "255.255.255.254"])
    expect(problem({ mask })).toMatch(/not the mask/);
  expect(problem({ server: "127.0.0.1" })).toMatch(/cannot have the address 127.0.0.1/);
  expect(problem({ server: "10.9.8.255" })).toMatch(/cannot have the address/);
  expect(problem({ upper: "10.9.9.5" })).toMatch(/not in the server's network/);
  expect(problem({ lower: "10.9.8.104" })).toMatch(/before it begins/);
  expect(() => new Wire({ mask: "1.2.3.4" })).toThrow(/not the mask/);
  // A range with the whole network in it: neither the network's own addresses nor the server's are given out.
  const wide = new Wire({ mask: "255.255.255.248", server: "10.9.8.3", lower: "10.9.8.0", upper: "10.9.8.7" });
  const got = [1, 2, 3, 4, 5, 6].map((number) => wide.lease(mac(number)));
  expect(got).toEqual(["10.9.8.1", "10.9.8.2", "10.9.8.4", "10.9.8.5", "10.9.8.6", "silence"]);
});

test("option values as they are typed", () => {
  const text = (code: number, value: string) => optionFromText(code, value) && [...optionFromText(code, value)!];
  expect(text(6, "10.0.0.1,10.0.0.2")).toEqual([10, 0, 0, 1, 10, 0, 0, 2]);
  expect([text(15, "a.b"), text(19, "1"), text(26, "1400"), text(2, "3600")]).toEqual([
    [97, 46, 98],
    [1],
    [5, 120],
    [0, 0, 14, 16],
  ]);
  for (const [code, value] of [
    [6, ""],
    [6, "1.2.3"],
    [1, "1.2.3.4 1.2.3.4"],
    [19, "256"],
    [26, "-1"],
    [15, ""],
    [53, "1"],
    [54, "1.2.3.4"],
    [0, "1"],
    [255, "1"],
    [15, "x".repeat(256)],
    [121, "1"],
  ] as const)
    expect(text(code, value)).toBeUndefined();
  expect([...optionFromHex(121, "18:0A0b0c")!]).toEqual([24, 10, 11, 12]);
  for (const bad of ["", "1", "gg", "00".repeat(256)]) expect(optionFromHex(121, bad)).toBeUndefined();
});

test("hostile frames with a fixed seed: nothing throws, what is kept stays bounded, and a real client is served", () => {
  const wire = new Wire({ lower: "10.9.8.100", upper: "10.9.8.250" });
  expect(wire.lease(mac(1))).toBe("10.9.8.100");
  const random = seededRandom(20);
  let answers = 0;
  for (let i = 0; i < 20_000; i++) {
    const frame = dhcpFrame(mac(random() % 4000), 1 + (random() % 9), {
      options: { [random() % 256]: [random() & 255, random() & 255, random() & 255, random() & 255] },
    });
    // Damage in a third of the headers, options and lengths; some frames end early.
    if (random() % 3 === 0) for (let n = random() % 8; n > 0; n--) frame[random() % frame.length] = random();
    if (random() % 3 === 0) frame.set([random(), random()], 282 + (random() % 50));
    wire.network.receiveFrame(random() % 8 === 0 ? frame.subarray(0, random() % frame.length) : frame);
    answers += wire.frames.length;
    wire.frames.length = 0;
  }
  expect(answers).toBeGreaterThan(100);
  expect(wire.network.server.leases.length).toBeLessThanOrEqual(151);
  wire.nowMs += 1_000_000;
  expect(wire.lease(Uint8Array.of(8, 0, 0x27, 9, 9, 9))).toMatch(/^10\.9\.8\.(1\d\d|2[0-5]\d)$/);
});
