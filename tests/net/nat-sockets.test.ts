/** NAT over the host's real sockets: every peer is a server of this test on the host's own loopback. */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket, SocketAddress } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Ipv6Address } from "../../src/net/ipv6/address.ts";
import type { NatConfig } from "../../src/net/nat-config.ts";
import { ip, pattern, TestGuest } from "../../src/net/testing/guest.ts";
import { NodeHostNetwork } from "../../src/vm/host-network.ts";

const clock = {
  nowMs: () => performance.now(),
  after: (delayMs: number, run: () => void) => {
    if (delayMs === 0) {
      const immediate = setImmediate(run);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

const closers: (() => void)[] = [];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-nat-"));
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
  rmSync(folder, { recursive: true });
});

function guestWith(config: Partial<NatConfig> = {}, nameServers?: readonly string[]): TestGuest {
  const network = new NodeHostNetwork({ tftpFolder: join(folder, "tftp"), nameServers });
  const guest = new TestGuest({ config, real: { network, clock } });
  closers.push(() => guest.nat.close());
  return guest;
}

async function until(guest: TestGuest, condition: () => boolean): Promise<void> {
  while (!condition()) {
    expect(guest.problems).toEqual([]);
    await sleep(2);
  }
}

/** A host without ::1 fails here; it gets it by: sysctl -w net.ipv6.conf.lo.disable_ipv6=0 */
async function serve(handle: (socket: Socket) => void, address = "127.0.0.1"): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, handle);
  server.listen(0, address);
  await once(server, "listening");
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A port that nobody has; whoever binds it first has it. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** As many bytes each way between the guest and a server at one of the host's addresses, which the guest calls `gateway`. */
async function moveBothWays(guest: TestGuest, gateway: string, hostAddress: string, bytes: number, seed: number) {
  const file = Buffer.from(pattern(bytes, seed));
  const uploaded = createHash("sha256");
  const port = await serve((socket) => {
    expect(socket.remoteAddress).toBe(hostAddress);
    socket.on("data", (bytes) => uploaded.update(bytes));
    socket.on("end", () => socket.end(file));
  }, hostAddress);
  const connection = guest.connect(gateway, port, 40_000, { windowBytes: 262_144, windowShift: 4 });
  for (let at = 0; at < file.length; at += 1_000_000) connection.write(file.subarray(at, at + 1_000_000));
  connection.end();
  await until(guest, () => connection.peerHasEnded);
  expect(uploaded.digest("hex")).toBe(digest(file));
  expect(digest(connection.data)).toBe(digest(file));
  await until(guest, () => guest.nat.statistics.connections === 0);
  expect(guest.nat.statistics.retransmissions).toBe(0);
}

test("30 MB down and 30 MB up through real sockets arrive whole", async () => {
  await moveBothWays(guestWith({ localhostReachable: true }), "10.0.2.2", "127.0.0.1", 30_000_000, 1);
});

test("a server that does not read stops the guest, and a guest that does not read stops the server", async () => {
  let slow: Socket | undefined;
  let sent = 0;
  const port = await serve((socket) => {
    socket.pause();
    slow = socket;
    const block = Buffer.alloc(1 << 20);
    const send = () => {
      while (sent < 24 && socket.write(block)) sent++;
    };
    socket.on("drain", send);
    socket.on("error", () => {});
    send();
  });
  const guest = guestWith({ localhostReachable: true });
  const connection = guest.connect("10.0.2.2", port, 40_000);
  connection.isSlow = true;
  const total = 16_000_000;
  connection.write(new Uint8Array(total));
  await until(guest, () => slow !== undefined);
  // Until nothing moves any more on either side.
  let last = "";
  for (let same = 0; same < 20; ) {
    const state = `${connection.una},${connection.receivedBytes},${sent}`;
    same = state === last ? same + 1 : 0;
    last = state;
    await sleep(20);
  }
  expect(guest.nat.statistics.bufferBytes).toBeLessThanOrEqual(2 * 512 * 1024);
  expect((connection.nxt - connection.una) | 0).toBeLessThanOrEqual(262_144);
  expect(sent).toBeLessThan(24);
  let read = 0;
  slow?.on("data", (bytes) => {
    read += bytes.length;
  });
  slow?.resume();
  connection.read();
  await until(guest, () => read === total);
  await until(guest, () => connection.receivedBytes >= (24 << 20) - (1 << 20));
});

test("1,000 short connections, 50 at a time", async () => {
  const port = await serve((socket) => {
    socket.on("data", (bytes) => socket.end(bytes));
    socket.on("error", () => {});
  });
  const guest = guestWith({ localhostReachable: true });
  let next = 10_000;
  let finished = 0;
  const worker = async () => {
    while (next < 11_000) {
      const sourcePort = next++;
      const connection = guest.connect("10.0.2.2", port, sourcePort);
      connection.write(new TextEncoder().encode(`hello ${sourcePort}`));
      await until(guest, () => connection.peerHasEnded);
      expect(new TextDecoder().decode(connection.data)).toBe(`hello ${sourcePort}`);
      connection.end();
      await until(guest, () => connection.finAcknowledged);
      finished++;
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  expect(finished).toBe(1000);
  expect(guest.nat.statistics.connectionsOpened).toBe(1000);
});

test("a port that nobody serves is refused; the host's loopback is, unless it is allowed", async () => {
  const port = await serve((socket) => socket.end("secret"));
  const closedPort = await freePort();
  const open = guestWith({ localhostReachable: true });
  const nobody = open.connect("10.0.2.2", closedPort, 40_000);
  await until(open, () => nobody.state === "refused");
  const shut = guestWith();
  for (const [i, address] of ["10.0.2.2", "10.0.2.4"].entries()) {
    const refused = shut.connect(address, port, 40_000 + i);
    await until(shut, () => refused.state === "refused");
  }
  // Other spellings of the host's loopback lead nowhere.
  const others = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.2.255", "255.255.255.255", "224.0.0.1"];
  const connections = others.map((address, i) => shut.connect(address, port, 41_000 + i));
  await sleep(300);
  for (const connection of connections) expect(connection.state).toBe("synSent");
});

test("a connection reset by the server is reset for the guest, and the other way round", async () => {
  const sockets: Socket[] = [];
  let resets = 0;
  const port = await serve((socket) => {
    sockets.push(socket);
    socket.resume();
    socket.on("error", () => resets++);
  });
  const guest = guestWith({ localhostReachable: true });
  const first = guest.connect("10.0.2.2", port, 40_000);
  const second = guest.connect("10.0.2.2", port, 40_001);
  await until(guest, () => sockets.length === 2 && first.state === "open" && second.state === "open");
  sockets[0].resetAndDestroy();
  await until(guest, () => first.state === "reset" || second.state === "reset");
  const alive = first.state === "reset" ? second : first;
  alive.reset();
  await until(guest, () => resets === 1);
  expect(guest.nat.statistics.connections).toBe(0);
});

test("TCP through a forwarded port that is added and removed while the guest runs", async () => {
  const guest = guestWith();
  guest.accepts.set(22, (connection) => connection.write(new TextEncoder().encode("SSH-2.0-guest\r\n")));
  guest.askFor(ip("10.0.2.2"));
  const port = await freePort();
  const rule = {
    name: "ssh",
    protocol: "tcp",
    hostIp: "127.0.0.1",
    hostPort: port,
    guestIp: "",
    guestPort: 22,
  } as const;
  await guest.nat.addForwarding(rule);
  await expect(guest.nat.addForwarding(rule)).rejects.toThrow("A NAT rule of this name already exists");
  await expect(guest.nat.addForwarding({ ...rule, name: "other" })).rejects.toThrow(
    "A NAT rule for this host port and this host IP already exists",
  );
  const client = connect(port, "127.0.0.1");
  closers.push(() => client.destroy());
  const [banner] = await once(client, "data");
  expect(String(banner)).toBe("SSH-2.0-guest\r\n");
  expect(guest.nat.removeForwarding("ssh")).toBe(true);
  expect(guest.nat.removeForwarding("ssh")).toBe(false);
  const late = connect(port, "127.0.0.1");
  const [error] = await once(late, "error");
  expect(error.code).toBe("ECONNREFUSED");
  // A port that somebody else has.
  const taken = await serve(() => {});
  await expect(guest.nat.addForwarding({ ...rule, hostPort: taken })).rejects.toThrow(
    `NAT rule 'ssh': tcp port ${taken} of 127.0.0.1 of the host cannot be had: EADDRINUSE`,
  );
});

test("UDP both ways: to a server, and through a forwarded port", async () => {
  const server = createSocket("udp4", (bytes, { address, port }) => server.send(`echo ${bytes}`, port, address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  const guest = guestWith({ localhostReachable: true });
  guest.sendUdp(5000, ip("10.0.2.2"), server.address().port, new TextEncoder().encode("hello"));
  await until(guest, () => guest.datagrams.length > 0);
  expect(new TextDecoder().decode(guest.datagrams[0].data)).toBe("echo hello");
  expect(guest.datagrams[0]).toMatchObject({ source: ip("10.0.2.2"), sourcePort: server.address().port, port: 5000 });
  const port = await freePort();
  await guest.nat.addForwarding({
    name: "dns",
    protocol: "udp",
    hostIp: "127.0.0.1",
    hostPort: port,
    guestIp: "10.0.2.15",
    guestPort: 53,
  });
  const client = createSocket("udp4");
  closers.push(() => client.close());
  client.send("question", port, "127.0.0.1");
  await until(guest, () => guest.datagrams.length > 1);
  const { source, sourcePort, data, port: guestPort } = guest.datagrams[1];
  expect([guestPort, new TextDecoder().decode(data)]).toEqual([53, "question"]);
  guest.sendUdp(53, source, sourcePort, new TextEncoder().encode("answer"));
  const [answer, from] = await once(client, "message");
  expect([String(answer), from.port]).toEqual(["answer", port]);
});

test("a 60,000-byte datagram goes out and comes back in fragments", async () => {
  const server = createSocket("udp4", (bytes, { address, port }) => server.send(bytes, port, address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  const guest = guestWith({ localhostReachable: true });
  const data = pattern(60_000, 5);
  guest.askFor(ip("10.0.2.2"));
  guest.sendUdp(5000, ip("10.0.2.2"), server.address().port, data);
  await until(guest, () => guest.datagrams.length > 0);
  expect(digest(guest.datagrams[0].data)).toBe(digest(data));
});

/** A name server of the host's that sends questions back as answers; by what it was asked. */
async function nameServerAt(address: string): Promise<{ port: number; asked: readonly string[] }> {
  const asked: string[] = [];
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4", (bytes, { address: from, port }) => {
    asked.push("udp");
    const reply = Buffer.from(bytes);
    reply[2] |= 0x80;
    udp.send(reply, port, from);
  });
  udp.bind(0, address);
  await once(udp, "listening");
  closers.push(() => udp.close());
  const { port } = udp.address();
  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      asked.push("tcp");
      bytes[4] |= 0x80;
      socket.write(bytes);
    });
  });
  tcp.listen(port, address);
  await once(tcp, "listening");
  closers.push(() => tcp.close());
  return { port, asked };
}

test("the name server forwards to the host's, by UDP and by TCP", async () => {
  const { port, asked } = await nameServerAt("127.0.0.1");
  const guest = guestWith({}, [`127.0.0.1:${port}`]);
  const query = Uint8Array.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 1, 0, 1]);
  guest.sendUdp(5000, ip("10.0.2.3"), 53, query);
  await until(guest, () => guest.datagrams.length > 0);
  expect([...guest.datagrams[0].data]).toEqual([0x12, 0x34, 0x81, ...query.slice(3)]);
  const connection = guest.connect("10.0.2.3", 53, 40_000);
  connection.write(Uint8Array.from([0, query.length, ...query]));
  await until(guest, () => connection.receivedBytes === query.length + 2);
  expect(connection.data[4]).toBe(0x81);
  expect(asked).toEqual(["udp", "tcp"]);
});

/** Of the network 10.0.2.0/24, with the host's ::1 behind ::2, or not. */
const withIpv6 = (isReachable: boolean) => ({
  ipv6: { prefix: "fd17:625c:f037:2::/64", isDefaultRouter: true, loopbackHost: isReachable ? 2 : 0 },
});
const gateway6 = "fd17:625c:f037:2::2";
const nameServer6 = "fd17:625c:f037:2::3";

test("IPv6: addresses are spelt as the host's sockets spell them", () => {
  for (let i = 0; i < 5000; i++) {
    // Runs of zeros of every length and place.
    const bytes = pattern(16, 977 * i).map((byte, at) => (((i >> (at / 2)) & 1) === 0 ? byte : 0));
    const { text } = Ipv6Address.at(bytes, 0);
    if (bytes.subarray(0, 10).some((byte) => byte !== 0))
      expect(text).toBe(new SocketAddress({ address: text, family: "ipv6" }).address);
  }
});

test("IPv6: 10 MB each way between the guest and a server on the host's ::1", async () => {
  const guest = guestWith(withIpv6(true));
  await moveBothWays(guest, gateway6, "::1", 10_000_000, 6);
  // A port of ::1 that nobody serves.
  const refused = guest.connect(gateway6, await freePort(), 40_001);
  await until(guest, () => refused.state === "refused");
});

test("IPv6: the host's loopback is not reached unless it is allowed, whatever it is called", async () => {
  let reached = 0;
  const count = (socket: Socket) => {
    reached++;
    socket.destroy();
  };
  const ports = [await serve(count, "::1"), await serve(count), await serve(count, "::")];
  const guest = guestWith(withIpv6(false));
  const names = ["::1", "::ffff:7f00:1", "::7f00:1", "::", "64:ff9b::7f00:1", "2002:7f00:1::1", "fe80::1"];
  const connections = ports.map((port, i) => guest.connect(gateway6, port, 41_000 + i));
  for (const name of names)
    for (const port of ports) {
      guest.connect(name, port, 42_000 + port);
      guest.sendUdp(5000, name, port, new TextEncoder().encode("x"));
    }
  await until(guest, () => connections.every(({ state }) => state === "refused"));
  await sleep(200);
  expect([reached, guest.nat.statistics.udpFlows, guest.nat.statistics.connections]).toEqual([0, 0, 0]);
});

test("IPv6: UDP to a server on ::1 and back, 60,000 bytes in fragments", async () => {
  const server = createSocket("udp6", (bytes, { address, port }) => server.send(bytes, port, address));
  server.bind(0, "::1");
  await once(server, "listening");
  closers.push(() => server.close());
  const guest = guestWith(withIpv6(true));
  const data = pattern(60_000, 5);
  guest.ping6(gateway6);
  guest.sendUdp(5000, gateway6, server.address().port, data);
  await until(guest, () => guest.datagrams.length > 0);
  expect(digest(guest.datagrams[0].data)).toBe(digest(data));
  expect(guest.datagrams[0]).toMatchObject({ source: gateway6, sourcePort: server.address().port, port: 5000 });
});

test("IPv6: TCP and UDP through forwarded ports, which are IPv6's alone", async () => {
  const guest = guestWith(withIpv6(false));
  const port = await freePort();
  const rule = { hostIp: "", hostPort: port, guestIp: guest.address6, guestPort: 22 };
  await guest.nat.addForwarding({ ...rule, name: "tcp", protocol: "tcp" });
  await guest.nat.addForwarding({ ...rule, name: "udp", protocol: "udp" });
  guest.accepts.set(22, (connection) => connection.write(new TextEncoder().encode("SSH-2.0")));
  guest.ping6(gateway6);
  const socket = connect(port, "::1");
  closers.push(() => socket.destroy());
  const [greeting] = await once(socket, "data");
  expect(String(greeting)).toBe("SSH-2.0");
  const other = connect(port, "127.0.0.1");
  const [error] = await once(other, "error");
  expect(error.code).toBe("ECONNREFUSED");
  const client = createSocket("udp6");
  closers.push(() => client.close());
  client.send("question", port, "::1");
  await until(guest, () => guest.datagrams.length > 0);
  const { source, sourcePort, data } = guest.datagrams[0];
  expect([source, new TextDecoder().decode(data)]).toEqual([gateway6, "question"]);
  guest.sendUdp(22, source, sourcePort, new TextEncoder().encode("answer"));
  const [answer] = await once(client, "message");
  expect(String(answer)).toBe("answer");
});

test("IPv6: the name server asks the host's, by UDP and by TCP, which may be IPv4's or IPv6's", async () => {
  for (const address of ["127.0.0.1", "::1"]) {
    const { port } = await nameServerAt(address);
    const guest = guestWith(withIpv6(false), [address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`]);
    // AAAA of a.bc.
    const query = Uint8Array.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 28, 0, 1]);
    guest.sendUdp(5000, nameServer6, 53, query);
    await until(guest, () => guest.datagrams.length > 0);
    expect([...guest.datagrams[0].data]).toEqual([0x12, 0x34, 0x81, ...query.slice(3)]);
    const connection = guest.connect(nameServer6, 53, 40_000);
    connection.write(Uint8Array.from([0, query.length, ...query]));
    await until(guest, () => connection.receivedBytes === query.length + 2);
    expect(connection.data[4]).toBe(0x81);
  }
});

test("with the host resolver, names of the host's hosts file are answered", async () => {
  const guest = guestWith({ dnsHostResolver: true }, []);
  const query = (name: string, type: number) => {
    const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
    return Uint8Array.from([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1]);
  };
  guest.sendUdp(5000, ip("10.0.2.3"), 53, query("localhost", 1));
  await until(guest, () => guest.datagrams.length > 0);
  const { data } = guest.datagrams[0];
  expect([data[1], data[3] & 15, data[7]]).toEqual([9, 0, 1]);
  expect([...data.slice(-4)]).toEqual([127, 0, 0, 1]);
});

test("TFTP serves its folder and nothing outside it", async () => {
  mkdirSync(join(folder, "tftp", "sub"), { recursive: true });
  writeFileSync(join(folder, "tftp", "sub", "boot.img"), pattern(5000, 3));
  writeFileSync(join(folder, "secret"), "secret");
  symlinkSync("sub/boot.img", join(folder, "tftp", "inside"));
  symlinkSync("../secret", join(folder, "tftp", "outside"));
  const guest = guestWith();
  let port = 6000;
  const fetchFile = async (name: string): Promise<Uint8Array | string> => {
    const mine = ++port;
    const encoder = new TextEncoder();
    guest.sendUdp(mine, ip("10.0.2.4"), 69, Uint8Array.from([0, 1, ...encoder.encode(`${name}\0octet\0`)]));
    const parts: Uint8Array[] = [];
    for (let block = 1; ; block++) {
      const next = () =>
        guest.datagrams.find((one) => one.port === mine && (one.data[1] === 5 || one.data[3] === block));
      await until(guest, () => next() !== undefined);
      const { data, sourcePort } = next()!;
      if (data[1] === 5) return `error ${data[3]}`;
      parts.push(data.slice(4));
      guest.sendUdp(mine, ip("10.0.2.4"), sourcePort, Uint8Array.from([0, 4, 0, block]));
      if (data.length < 516) return Buffer.concat(parts);
    }
  };
  guest.askFor(ip("10.0.2.4"));
  const expected = digest(pattern(5000, 3));
  for (const name of ["sub/boot.img", "/sub/boot.img", "sub\\boot.img", "./sub//boot.img", "inside"])
    expect(digest((await fetchFile(name)) as Uint8Array)).toBe(expected);
  for (const name of ["../secret", "sub/../../secret", "..\\secret", "/", "c:secret"])
    expect(await fetchFile(name)).toBe("error 2");
  for (const name of ["outside", "missing", "sub", "boot.img/x", join(folder, "secret")])
    expect(await fetchFile(name)).toBe("error 1");
});
