import { expect, test } from "vitest";
import { guestMac, ip, TestGuest, type TestGuestOptions } from "../testing/guest.ts";
import { seededRandom } from "../testing/simulation.ts";

interface Reply {
  readonly yours: number;
  readonly next: number;
  readonly file: string;
  readonly type: number | undefined;
  readonly options: Map<number, Uint8Array>;
  readonly destination: number;
}

class Client {
  readonly guest: TestGuest;
  constructor(options: TestGuestOptions = {}) {
    this.guest = new TestGuest(options);
  }

  /** Sends a message and returns the answer, if one comes. */
  send(
    type: number,
    options: Record<number, number[]> = {},
    { mac = guestMac, ciaddr = 0, source = 0, flags = 0x80, to = -1 } = {},
  ): Reply | undefined {
    const message = new Uint8Array(300);
    const view = new DataView(message.buffer);
    message.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, flags]);
    view.setInt32(12, ciaddr);
    message.set(mac, 28);
    const body = [0x63, 0x82, 0x53, 0x63];
    if (type > 0) body.push(53, 1, type);
    for (const [code, value] of Object.entries(options)) body.push(Number(code), value.length, ...value);
    message.set([...body, 255], 236);
    this.guest.datagrams.length = 0;
    const wasAddress = this.guest.address;
    if (type !== 8 && ciaddr === 0) this.guest.address = -1;
    this.guest.sendUdp(68, to, 67, message, source);
    this.guest.host.run(100);
    this.guest.address = wasAddress;
    const [datagram] = this.guest.datagrams;
    return datagram === undefined ? undefined : parse(datagram.data, Number(datagram.destination));
  }
}

function parse(data: Uint8Array, destination: number): Reply {
  const view = new DataView(data.buffer, data.byteOffset);
  expect([data[0], view.getUint32(4), view.getUint32(236)]).toEqual([2, 0xdeadbeef, 0x63825363]);
  const options = new Map<number, Uint8Array>();
  for (let at = 240; data[at] !== 255; at += 2 + data[at + 1])
    options.set(data[at], data.slice(at + 2, at + 2 + data[at + 1]));
  return {
    yours: view.getInt32(16),
    next: view.getInt32(20),
    file: new TextDecoder().decode(data.slice(108, 236)).replace(/\0.*/, ""),
    type: options.get(53)?.[0],
    options,
    destination,
  };
}

const quad = (text: string) => text.split(".").map(Number);
const REQUESTED = 50;
const SERVER = 54;

test("discover, offer, request, acknowledgement: .15 from .2, with router, mask, name server and lease time", () => {
  const client = new Client();
  const offer = client.send(1)!;
  expect([offer.type, offer.yours, offer.destination]).toEqual([2, ip("10.0.2.15"), -1]);
  const ack = client.send(3, { [REQUESTED]: quad("10.0.2.15"), [SERVER]: quad("10.0.2.2") })!;
  expect([ack.type, ack.yours, ack.next]).toEqual([5, ip("10.0.2.15"), ip("10.0.2.4")]);
  const option = (code: number) => [...(ack.options.get(code) ?? [])];
  expect([option(1), option(3), option(54), option(51)]).toEqual([
    quad("255.255.255.0"),
    quad("10.0.2.2"),
    quad("10.0.2.2"),
    [0, 1, 0x51, 0x80],
  ]);
  // The host's own name server, which the guest can reach.
  expect(option(6)).toEqual(quad("192.0.2.53"));
  // Renewal goes from address to address.
  const renewed = client.send(
    3,
    {},
    { ciaddr: ip("10.0.2.15"), source: ip("10.0.2.15"), flags: 0, to: ip("10.0.2.2") },
  )!;
  expect([renewed.type, renewed.destination]).toEqual([5, ip("10.0.2.15")]);
});

test("without the broadcast flag the offer goes to the address that it offers", () => {
  const client = new Client();
  client.guest.address = ip("10.0.2.15");
  client.guest.datagrams.length = 0;
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  message.set(guestMac, 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);
  client.guest.sendUdp(68, -1, 67, message, 0);
  client.guest.host.run(10);
  expect(client.guest.datagrams.map(({ destination }) => destination)).toEqual([ip("10.0.2.15")]);
});

test("name servers: ours where the guest could not reach the host's, or where the settings say so", () => {
  const nameServers = (servers: string[], config = {}) => {
    const client = new Client({ config });
    client.guest.host.servers = servers;
    return [...client.send(1)!.options.get(6)!];
  };
  const ours = quad("10.0.2.3");
  expect(nameServers(["192.0.2.1", "192.0.2.2"])).toEqual([...quad("192.0.2.1"), ...quad("192.0.2.2")]);
  expect(nameServers([])).toEqual(ours);
  expect(nameServers(["127.0.0.53"])).toEqual(ours);
  expect(nameServers(["192.0.2.1", "::1"])).toEqual(ours);
  expect(nameServers(["192.0.2.1:5353"])).toEqual(ours);
  expect(nameServers(["192.0.2.1"], { dnsProxy: true })).toEqual(ours);
  expect(nameServers(["192.0.2.1"], { dnsHostResolver: true })).toEqual(ours);
});

test("the host's domain, the boot file, another TFTP server and a small MTU are told", () => {
  const config = { bootFile: "XP.pxe", tftpServer: "10.0.2.9", mtu: 1400 };
  const client = new Client({ config });
  client.guest.host.domain = "example.net";
  const offer = client.send(1)!;
  expect([offer.file, offer.next]).toEqual(["XP.pxe", ip("10.0.2.9")]);
  const text = (code: number) => new TextDecoder().decode(offer.options.get(code));
  expect([text(15), text(66), text(67)]).toEqual(["example.net", "10.0.2.9", "XP.pxe"]);
  expect([...offer.options.get(26)!]).toEqual([1400 >> 8, 1400 & 255]);
  const silent = new Client({ config: { passDomain: false } });
  silent.guest.host.domain = "example.net";
  expect(silent.send(1)!.options.has(15)).toBe(false);
});

test("a wrong address is refused; another server's client is left alone; a declined address is not offered again", () => {
  const client = new Client();
  const nak = client.send(3, { [REQUESTED]: quad("192.168.1.5") })!;
  expect([nak.type, nak.yours, nak.destination]).toEqual([6, 0, -1]);
  expect(client.send(3, { [REQUESTED]: quad("10.0.2.15"), [SERVER]: quad("10.0.2.9") })).toBeUndefined();
  client.send(1);
  client.send(4, { [REQUESTED]: quad("10.0.2.15"), [SERVER]: quad("10.0.2.2") });
  expect(client.send(1)!.yours).toBe(ip("10.0.2.16"));
});

test("a client keeps its address, others get their own, and the stalest gives way", () => {
  const client = new Client();
  const mac = (i: number) => Uint8Array.of(8, 0, 0x27, 0, i >> 8, i & 255);
  const address = (i: number) => client.send(1, {}, { mac: mac(i) })!.yours & 255;
  expect(Array.from({ length: 16 }, (_, i) => address(i))).toEqual(Array.from({ length: 16 }, (_, i) => 15 + i));
  expect(address(3)).toBe(18);
  expect(address(100)).toBe(15);
  expect(address(0)).toBe(16);
  // What was had before a restart of the VM is given again.
  const fresh = new Client();
  expect(fresh.send(3, { [REQUESTED]: quad("10.0.2.20") })!.type).toBe(5);
});

test("INFORM and BOOTP are answered", () => {
  const client = new Client();
  const inform = client.send(8, {}, { ciaddr: ip("10.0.2.15"), source: ip("10.0.2.15"), flags: 0 })!;
  expect([inform.type, inform.yours, inform.options.has(51), inform.options.has(3)]).toEqual([5, 0, true, true]);
  const bootp = client.send(0)!;
  expect([bootp.type, bootp.yours, bootp.options.has(51)]).toEqual([undefined, ip("10.0.2.15"), false]);
});

test("hostile messages: nothing throws, and a real one is still answered", () => {
  const client = new Client();
  const random = seededRandom(7);
  for (let i = 0; i < 5000; i++) {
    const message = new Uint8Array(random() % 400).map(() => random());
    if (message.length > 250) {
      message.set([1, 1, 6]);
      message.set([0x63, 0x82, 0x53, 0x63, 53, random() % 4, random() % 10, random(), random()], 236);
    }
    client.guest.address = -1;
    client.guest.sendUdp(68, -1, 67, message, random() % 2 === 0 ? 0 : ip("10.0.2.15"));
  }
  client.guest.host.run(1000);
  expect(client.send(1, {}, { mac: Uint8Array.of(8, 0, 0x27, 9, 9, 9) })!.type).toBe(2);
});
