/** DHCP, TFTP, UDP and UNDI of the network boot against a server made here, and against nonsense from the wire and from programs. */
import { expect, test } from "vitest";
import type { BootNic } from "../../device-api/boot-nic.ts";
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { type Directed, ServiceMemory } from "../directed.ts";
import type { ServiceContext } from "../service-context.ts";
import { bootOffer, configure } from "./dhcp.ts";
import { PXE_SEGMENT, PXENV_OFFSET } from "./pxe-memory.ts";
import { pxe } from "./pxe-services.ts";
import { type Datagram, NetworkStack, read16, write16, write32 } from "./stack.ts";
import { openFile, readBlock, tftpStatus } from "./tftp.ts";

const MAC = Uint8Array.of(8, 0, 0x27, 1, 2, 3);
const SERVER_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x35, 2);
const SERVER = 0x0a000204;
const OWN = 0x0a00020f;
const ROM_SEGMENT = 0xf000;

/** One MiB, a clock that the waits move, and a cable whose other end answers at once. */
class Bench {
  readonly ram = new Uint8Array(1 << 20);
  readonly sent: Uint8Array[] = [];
  readonly waiting: Uint8Array[] = [];
  answer: (frame: Uint8Array) => void = () => {};
  nowNs = 0;
  readonly stack: NetworkStack;
  readonly memory: ServiceMemory;
  readonly context: ServiceContext;

  constructor() {
    const view = new DataView(this.ram.buffer);
    const cpu = {
      readLinear: (at: number, size: number) =>
        size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, true) : view.getUint32(at, true),
      writeLinear: (at: number, size: number, value: number) => {
        if (size === 1) view.setUint8(at, value);
        else if (size === 2) view.setUint16(at, value, true);
        else view.setUint32(at, value, true);
      },
      readLinearBytes: (at: number, target: Uint8Array) => target.set(this.ram.subarray(at, at + target.length)),
      writeLinearBytes: (at: number, bytes: Uint8Array) => this.ram.set(bytes, at),
    } as unknown as VirtualCpu;
    const { sent, waiting } = this;
    const nic: BootNic = {
      name: "card",
      pciSlot: 3,
      macAddress: MAC,
      isCableConnected: true,
      open: () => {},
      close: () => {},
      get hasFrame() {
        return waiting.length > 0;
      },
      receive: (target) => {
        const frame = waiting.shift();
        if (frame === undefined || frame.length > target.length) return 0;
        target.set(frame);
        return frame.length;
      },
      send: (frame) => {
        sent.push(frame.slice());
        this.answer(frame.slice());
        return true;
      },
    };
    this.stack = new NetworkStack(cpu, [nic]);
    this.stack.state.install(0, ROM_SEGMENT, { onStack: 0x1234, inRegisters: 0x5678 });
    this.memory = new ServiceMemory(cpu, () => this.nowNs);
    const ram = { ramBytes: this.ram.length, write: (at: number, bytes: Uint8Array) => this.ram.set(bytes, at) };
    const ports = { readPort: () => 0xffffffff, writePort: () => {} };
    this.context = { cpu, network: this.stack, memory: ram, ports } as unknown as ServiceContext;
  }

  run<T>(directed: Directed<T>): T {
    for (;;) {
      const step = directed.next(0);
      if (step.done) return step.value;
      this.nowNs += step.value.kind === "halt" ? 55e6 : 1e6;
    }
  }

  /** A datagram from the server. */
  says(port: number, toPort: number, payload: Uint8Array, destination = OWN): void {
    this.waiting.push(
      datagramFrame({ source: SERVER, destination, sourcePort: port, destinationPort: toPort, payload }),
    );
  }

  /** The address is known, ARP works. */
  configured(): void {
    this.stack.state.set32("ownAddress", OWN);
    this.stack.state.set32("mask", 0xffffff00);
  }

  answerArp(frame: Uint8Array): boolean {
    if (read16(frame, 12) !== 0x0806) return false;
    const reply = frame.slice();
    reply.set(MAC, 0);
    reply.set(SERVER_MAC, 6);
    write16(reply, 20, 2);
    reply.set(SERVER_MAC, 22);
    reply.set(frame.subarray(38, 42), 28);
    reply.set(MAC, 32);
    write32(reply, 38, OWN);
    this.waiting.push(reply);
    return true;
  }

  /** Calls the PXE entry with opcode and parameter block on the stack; AX and the block after. */
  call(opcode: number, parameters: Uint8Array): { readonly ax: number; readonly block: Uint8Array } {
    const frame = 0x7000;
    const block = 0x20000;
    this.ram.fill(0, frame, frame + 64);
    this.ram.set(parameters, block);
    write16le(this.ram, frame + 46, opcode);
    write16le(this.ram, frame + 50, block >> 4);
    this.run(pxe(this.context, this.memory, frame, "stack"));
    return { ax: this.ram[frame + 32] | (this.ram[frame + 33] << 8), block: this.ram.slice(block, block + 160) };
  }
}

function write16le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

/** Written apart from the stack's own: no UDP checksum. */
function datagramFrame({ destination, destinationPort, payload, source, sourcePort }: Datagram): Uint8Array {
  const frame = new Uint8Array(Math.max(60, 42 + payload.length));
  frame.set(MAC, 0);
  frame.set(SERVER_MAC, 6);
  write16(frame, 12, 0x0800);
  frame.set([0x45, 0], 14);
  write16(frame, 16, 28 + payload.length);
  frame.set([0, 0, 0, 0, 64, 17], 18);
  write32(frame, 26, source);
  write32(frame, 30, destination);
  let total = 0;
  for (let at = 14; at < 34; at += 2) total += read16(frame, at);
  write16(frame, 24, ~((total & 0xffff) + (total >> 16)) & 0xffff);
  write16(frame, 34, sourcePort);
  write16(frame, 36, destinationPort);
  write16(frame, 38, 8 + payload.length);
  frame.set(payload, 42);
  return frame;
}

/** What a DHCP server says to the packet `asked`. */
function dhcpReply(asked: Uint8Array, type: number, file: string): Uint8Array {
  const reply = new Uint8Array(320);
  reply.set(asked.subarray(0, 240));
  reply[0] = 2;
  write32(reply, 16, OWN);
  write32(reply, 20, SERVER);
  reply.set(new TextEncoder().encode(file), 108);
  reply.set([53, 1, type, 54, 4, 10, 0, 2, 2, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 255], 240);
  return reply;
}

test("structures: signatures, checksums, entry points in memory below the EBDA", () => {
  const { ram } = new Bench();
  const base = PXE_SEGMENT * 16;
  expect(String.fromCharCode(...ram.subarray(base, base + 4))).toBe("!PXE");
  expect(sum(ram.subarray(base, base + ram[base + 4]))).toBe(0);
  const pxenv = base + PXENV_OFFSET;
  expect(String.fromCharCode(...ram.subarray(pxenv, pxenv + 6))).toBe("PXENV+");
  expect(sum(ram.subarray(pxenv, pxenv + ram[pxenv + 8]))).toBe(0);
  const entry = base + ram[base + 0x10];
  expect([...ram.subarray(entry, entry + 5)]).toEqual([0xea, 0x34, 0x12, 0x00, 0xf0]);
  expect(ram[0x413] | (ram[0x414] << 8)).toBe(631);
});

test("DHCP: the offer with a boot file wins, the packets stay for programs", () => {
  const bench = new Bench();
  bench.answer = (frame) => {
    const asked = frame.subarray(42);
    const broadcast = 0xffffffff;
    const type = asked[242];
    if (type === 1) {
      bench.says(67, 68, dhcpReply(asked, 2, ""), broadcast);
      bench.says(67, 68, dhcpReply(asked, 2, "boot.0"), broadcast);
    } else bench.says(67, 68, dhcpReply(asked, 5, "boot.0"), broadcast);
  };
  expect(bench.run(configure(bench.memory, bench.stack, new Uint8Array(16)))).toBe(true);
  expect(bench.stack.ownAddress).toBe(OWN);
  expect(bootOffer(bench.stack.state)).toEqual({ server: SERVER, file: "boot.0" });
  expect(bench.sent).toHaveLength(2);

  const info = new Uint8Array(160);
  write16le(info, 2, 2);
  write16le(info, 4, 200);
  write16le(info, 8, 0x3000);
  const { ax, block } = bench.call(0x71, info);
  expect([ax, block[4]]).toEqual([0, 200]);
  expect(String.fromCharCode(...bench.ram.subarray(0x30000 + 108, 0x30000 + 114))).toBe("boot.0");
});

test("DHCP: nobody answers, and it gives up after four tries", () => {
  const bench = new Bench();
  expect(bench.run(configure(bench.memory, bench.stack, new Uint8Array(16)))).toBe(false);
  expect(bench.sent).toHaveLength(4);
  expect(bench.nowNs).toBeGreaterThan(15e9);
});

test.each(["with options", "without"])("TFTP: a file block by block (%s), a lost block comes again", (kind) => {
  const bench = new Bench();
  bench.configured();
  const content = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
  const blockBytes = kind === "with options" ? 1456 : 512;
  let lost = 0;
  const send = (to: number, block: number) => {
    const data = content.subarray((block - 1) * blockBytes, block * blockBytes);
    bench.says(5000, to, Uint8Array.of(0, 3, block >> 8, block, ...data));
  };
  bench.answer = (frame) => {
    if (bench.answerArp(frame)) return;
    const port = read16(frame, 34);
    const payload = frame.subarray(42, 34 + read16(frame, 38));
    if (payload[1] === 1) {
      if (kind === "without") send(port, 1);
      else bench.says(5000, port, new TextEncoder().encode("\0\u0006blksize\u00001456\0tsize\u00003000\0"));
    }
    if (payload[1] === 4) {
      const block = read16(payload, 2);
      if (block === 1 && lost++ === 0) return;
      if (block * blockBytes <= content.length) send(port, block + 1);
    }
  };
  const request = { server: SERVER, gateway: 0, serverPort: 0, file: "a.0", blockBytes: 1456 };
  expect(bench.run(openFile(bench.memory, bench.stack, request))).toBe(tftpStatus.success);
  expect(bench.stack.state.get32("tftpFileBytes")).toBe(kind === "without" ? 0 : 3000);
  let done = 0;
  const store = (at: number, bytes: Uint8Array) => bench.ram.set(bytes, at);
  for (let isLast = false; !isLast; ) {
    const block = bench.run(readBlock(bench.memory, bench.stack, 0x40000 + done, 1456, store));
    expect(block.status).toBe(tftpStatus.success);
    done += block.bytes;
    isLast = block.isLast;
  }
  expect(done).toBe(3000);
  expect(bench.ram.subarray(0x40000, 0x40000 + 3000)).toEqual(content);
});

test("TFTP: the server's error is the status", () => {
  const bench = new Bench();
  bench.configured();
  bench.answer = (frame) => {
    if (!bench.answerArp(frame)) bench.says(5000, read16(frame, 34), Uint8Array.of(0, 5, 0, 1, 0x6e, 0x6f, 0));
  };
  const request = { server: SERVER, gateway: 0, serverPort: 0, file: "no", blockBytes: 1456 };
  expect(bench.run(openFile(bench.memory, bench.stack, request))).toBe(tftpStatus.fileNotFound);
});

test("UNDI: a frame out with our header, a frame in through the filter", () => {
  const bench = new Bench();
  const transmit = new Uint8Array(160);
  transmit.set([1, 0], 2);
  write16le(transmit, 6, 0x3000);
  write16le(transmit, 8, 0x10);
  write16le(transmit, 10, 0x3000);
  bench.ram.set(SERVER_MAC, 0x30000);
  bench.ram.set([3, 0, 0x80, 0, 0x00, 0x30, 0, 0], 0x30010);
  bench.ram.set([9, 8, 7], 0x30080);
  expect(bench.call(0x08, transmit).ax).toBe(0);
  expect([...bench.sent[0].subarray(0, 17)]).toEqual([...SERVER_MAC, ...MAC, 8, 0, 9, 8, 7]);

  const other = new Uint8Array(60).fill(2);
  bench.waiting.push(
    other,
    datagramFrame({ source: 1, destination: 2, sourcePort: 3, destinationPort: 4, payload: MAC }),
  );
  const ask = new Uint8Array(160);
  ask[2] = 1;
  expect(bench.call(0x14, ask).block[2]).toBe(0);
  ask[2] = 2;
  const { block } = bench.call(0x14, ask);
  expect([block[2], block[4], block[8], block[14], block[15]]).toEqual([3, 60, 14, 1, 0]);
  const at = (block[10] | (block[11] << 8)) + (block[12] | (block[13] << 8)) * 16;
  expect(bench.ram.subarray(at, at + 6)).toEqual(MAC);
  ask[2] = 3;
  expect(bench.call(0x14, ask).block[2]).toBe(0);
});

/** mulberry32 */
function random(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

test.each([1, 2, 3, 4])("any call with any parameters while anything comes from the wire ends (seed %i)", (seed) => {
  const next = random(seed);
  const bench = new Bench();
  const junk = (length: number) => Uint8Array.from({ length }, () => next(256));
  bench.answer = (frame) => {
    if (next(3) === 0 && bench.answerArp(frame)) return;
    // Answers that are right up to one byte or a cut.
    const reply = datagramFrame({
      source: SERVER,
      destination: next(2) === 0 ? OWN : 0xffffffff,
      sourcePort: next(2) === 0 ? 67 : 5000,
      destinationPort: frame.length > 42 ? read16(frame, 34) : 68,
      payload:
        next(2) === 0
          ? dhcpReply(frame.subarray(42, 282), next(8), "x")
          : Uint8Array.of(0, next(8), 0, next(3), ...junk(next(600))),
    });
    if (next(2) === 0) reply[next(reply.length)] ^= 1 << next(8);
    bench.waiting.push(reply.subarray(0, next(4) === 0 ? 14 + next(reply.length - 14) : reply.length));
  };
  for (let i = 0; i < 150; i++) {
    if (next(4) === 0) bench.configured();
    if (next(20) === 0) bench.stack.state.write(0, junk(0x90));
    bench.waiting.push(junk(next(1600)));
    const parameters = junk(160);
    // Far pointers into memory that exists.
    for (const at of [6, 8, 10, 16, 18]) parameters[at + 1] &= 0x7f;
    bench.call(next(0x80), parameters);
  }
  bench.run(configure(bench.memory, bench.stack, junk(16)));
  expect(bench.waiting.length).toBeLessThan(1000);
});
