import { expect, test } from "vitest";
import { parseIpv6 } from "../ipv6/address.ts";
import { ip, TestGuest } from "../testing/guest.ts";
import { seededRandom } from "../testing/simulation.ts";
import { addressOfReverseName } from "./message.ts";

const A = 1;
const PTR = 12;
const MX = 15;
const AAAA = 28;

function query(name: string, type: number, id = 0x1234): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, type >> 8, type & 255, 0, 1]);
}

/** Asks .3 and returns the answer's code and records. */
async function ask(guest: TestGuest, bytes: Uint8Array, limitMs = 20_000) {
  guest.datagrams.length = 0;
  guest.sendUdp(5353, ip("10.0.2.3"), 53, bytes);
  await guest.host.runAsync(limitMs, () => guest.datagrams.length > 0);
  const [datagram] = guest.datagrams;
  if (datagram === undefined) return undefined;
  const { data } = datagram;
  expect(datagram.source).toBe(ip("10.0.2.3"));
  expect([data[0], data[1], data[2] & 0x80]).toEqual([bytes[0], bytes[1], 0x80]);
  const records: Uint8Array[] = [];
  for (let at = bytes.length; at < data.length; ) {
    const length = (data[at + 10] << 8) | data[at + 11];
    records.push(data.slice(at + 12, at + 12 + length));
    at += 12 + length;
  }
  return { code: data[3] & 15, isTruncated: (data[2] & 2) !== 0, records };
}

/** A name server that answers every question with one address. */
function answering(last: number) {
  return (bytes: Uint8Array, reply: (bytes: Uint8Array) => void) => {
    const answer = new Uint8Array(bytes.length + 16);
    answer.set(bytes);
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.set([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last], bytes.length);
    reply(answer);
  };
}

test("a query goes to the host's name server under another number and comes back under its own", async () => {
  const guest = new TestGuest();
  let seen: Uint8Array | undefined;
  guest.host.udpServers.set("192.0.2.53:53", (bytes, reply) => {
    seen = bytes;
    answering(9)(bytes, reply);
  });
  const answer = await ask(guest, query("www.example.net", A));
  expect(answer).toEqual({ code: 0, isTruncated: false, records: [Uint8Array.of(192, 0, 2, 9)] });
  expect([...seen!.subarray(2)]).toEqual([...query("www.example.net", A).subarray(2)]);
  expect((seen![0] << 8) | seen![1]).not.toBe(0x1234);
  expect(guest.host.openSockets).toBe(0);
});

test("a name server that is silent is passed over; when all are, the guest is told", async () => {
  const guest = new TestGuest();
  guest.host.servers = ["192.0.2.1", "192.0.2.2"];
  guest.host.udpServers.set("192.0.2.2:53", answering(2));
  expect((await ask(guest, query("a.b", A)))?.records).toEqual([Uint8Array.of(192, 0, 2, 2)]);
  guest.host.udpServers.clear();
  expect((await ask(guest, query("a.b", A)))?.code).toBe(2);
  guest.host.servers = [];
  expect((await ask(guest, query("a.b", A)))?.code).toBe(2);
  expect(guest.host.openSockets).toBe(0);
});

test("answers with the wrong number or to another question are not believed", async () => {
  const guest = new TestGuest();
  guest.host.udpServers.set("192.0.2.53:53", (bytes, reply) => {
    const wrongId = bytes.slice();
    wrongId[2] |= 0x80;
    wrongId[0] ^= 1;
    reply(wrongId);
    const wrongName = bytes.slice();
    wrongName[2] |= 0x80;
    wrongName[13] ^= 1;
    reply(wrongName);
    answering(5)(bytes, reply);
  });
  expect((await ask(guest, query("a.b", A)))?.records).toEqual([Uint8Array.of(192, 0, 2, 5)]);
});

test("the host resolver answers addresses and names; other types go to the name server", async () => {
  const guest = new TestGuest({ config: { dnsHostResolver: true } });
  guest.host.names.set("box.lan", ["192.168.1.9", "192.168.1.10", "fd00::9"]);
  guest.host.names.set("v4.lan", ["192.168.1.11"]);
  guest.host.udpServers.set("192.0.2.53:53", answering(7));
  expect((await ask(guest, query("Box.LAN", A)))?.records).toEqual([
    Uint8Array.of(192, 168, 1, 9),
    Uint8Array.of(192, 168, 1, 10),
  ]);
  expect((await ask(guest, query("box.lan", AAAA)))?.records).toEqual([parseIpv6("fd00::9")]);
  expect(await ask(guest, query("v4.lan", AAAA))).toMatchObject({ code: 0, records: [] });
  expect(await ask(guest, query("nobody.lan", A))).toMatchObject({ code: 3, records: [] });
  const names = (await ask(guest, query("9.1.168.192.in-addr.arpa", PTR)))?.records.map((one) => [...one]);
  expect(names).toEqual([[3, ...Buffer.from("box"), 3, ...Buffer.from("lan"), 0]]);
  expect((await ask(guest, query("box.lan", MX)))?.records).toEqual([Uint8Array.of(192, 0, 2, 7)]);
});

test("more addresses than fit into a datagram: truncated, and whole by TCP", async () => {
  const guest = new TestGuest({ config: { dnsHostResolver: true } });
  guest.host.names.set(
    "many.lan",
    Array.from({ length: 32 }, (_, i) => `192.168.1.${i}`),
  );
  const short = await ask(guest, query("many.lan", A));
  expect(short?.isTruncated).toBe(true);
  expect(short?.records.length).toBe(30);
  const connection = guest.connect("10.0.2.3", 53, 40_000);
  const bytes = query("many.lan", A);
  // Two queries, split across segments at odd places.
  const framed = Uint8Array.from([0, bytes.length, ...bytes, 0, bytes.length, ...bytes]);
  for (const [from, to] of [
    [0, 1],
    [1, 20],
    [20, framed.length],
  ]) {
    connection.write(framed.subarray(from, to));
    await guest.host.runAsync(50);
  }
  connection.end();
  const expected = 2 * (2 + bytes.length + 32 * 16);
  expect(await guest.host.runAsync(5000, () => connection.peerHasEnded)).toBe(true);
  expect(connection.receivedBytes).toBe(expected);
  expect([...connection.data.slice(-4)]).toEqual([192, 168, 1, 31]);
});

test("a flood of queries is bounded, and hostile ones do nothing", async () => {
  const guest = new TestGuest();
  for (let i = 0; i < 5000; i++) guest.sendUdp(1024 + i, ip("10.0.2.3"), 53, query(`n${i}.example`, A));
  guest.host.run(100);
  expect(guest.host.openSockets).toBeLessThanOrEqual(256);
  const random = seededRandom(3);
  for (const config of [{}, { dnsHostResolver: true }]) {
    const other = new TestGuest({ config });
    for (let i = 0; i < 3000; i++) {
      const bytes = random() % 2 === 0 ? query("abc.example.net", random() % 40) : new Uint8Array(random() % 60);
      for (let j = random() % 6; j > 0; j--) bytes[random() % (bytes.length || 1)] = random();
      other.sendUdp(1024, ip("10.0.2.3"), 53, bytes);
      if (i % 100 === 0) await other.host.runAsync(20_000);
    }
    await other.host.runAsync(20_000);
    expect(other.problems).toEqual([]);
    expect(other.host.openSockets).toBe(0);
  }
});

test("hostile answers of a name server do nothing", async () => {
  const guest = new TestGuest();
  const random = seededRandom(4);
  guest.host.udpServers.set("192.0.2.53:53", (bytes, reply) => {
    for (let i = 0; i < 20; i++) {
      const answer = bytes.slice(0, random() % (bytes.length + 1));
      for (let j = random() % 5; j > 0; j--) answer[random() % (answer.length || 1)] = random();
      reply(answer);
    }
  });
  for (let i = 0; i < 100; i++) await ask(guest, query("a.b", A), 500);
  expect(guest.problems).toEqual([]);
});

test("names of addresses and addresses of names", () => {
  expect(addressOfReverseName("4.3.2.1.in-addr.arpa")).toBe("1.2.3.4");
  expect(addressOfReverseName("400.3.2.1.in-addr.arpa")).toBeUndefined();
  expect(addressOfReverseName(`${"1.0.".repeat(16)}ip6.arpa`)).toBe("0101:0101:0101:0101:0101:0101:0101:0101");
  expect([...parseIpv6("::ffff:1.2.3.4")!].slice(10)).toEqual([255, 255, 1, 2, 3, 4]);
  expect([...parseIpv6("::")!]).toEqual(new Array(16).fill(0));
  for (const bad of ["", ":", "1:2", "1::2::3", "g::", "1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8"])
    expect(parseIpv6(bad)).toBeUndefined();
});
