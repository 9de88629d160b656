/**
 * `node bench/network.ts`: a Linux guest on NAT, on Anneau and on QEMU with its own user networking, same kernel, same card, same
 * server on the host's loopback: throughput both ways, connections a second, round-trip time. Prints one Markdown table, each
 * cell with the first pass over all four and the second, when more of the guest's code has been compiled. Not a test: nothing here fails for
 * being slow. All times are the server's.
 */
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { writeCpio } from "../scripts/media/cpio.ts";
import { linuxGuest } from "../scripts/media/linux-guest.ts";
import { OptionError, positive, readOptions, runProgram, whole } from "../scripts/options.ts";
import { buildProgram } from "./build.ts";
import { BenchGuest, type CommandLine } from "./guest.ts";
import { median } from "./report.ts";

const usage = `usage: node bench/network.ts [OPTIONS]
  --cards NAME,...   Am79C973, 82540EM, virtio (Am79C973)
  --peers NAME,...   translator, interpreter, qemu (all)
  --rounds N         interleaved rounds (3)
  --megabytes N      moved each way (100)`;

const { values } = readOptions({
  options: {
    cards: { type: "string", default: "Am79C973" },
    peers: { type: "string", default: "translator,interpreter,qemu" },
    rounds: { type: "string", default: "3" },
    megabytes: { type: "string", default: "100" },
    help: { type: "boolean", default: false },
  },
});

const qemuCards: Readonly<Record<string, string>> = {
  Am79C973: "pcnet",
  "82540EM": "e1000",
  virtio: "virtio-net-pci",
};
const modules = ["pcnet32", "e1000", "virtio_pci", "virtio_net"];
const append = "console=ttyS0,115200 quiet panic=0 net.ifnames=0 cryptomgr.notests";
const CONNECTIONS = 1000;
const TURNS = 5000;
const PASSES = 2;
const PATIENCE_SECONDS = 600;

/** One line of the guest's says what it wants; `times` gets seconds by its first letter. */
class Server {
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#serve(socket));
  readonly #block = Buffer.alloc(1 << 16, "network");
  #firstMs: number | undefined;
  #lastMs = 0;

  async listen(): Promise<number> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Seconds from the first request since the last call to the end of the last one. */
  takeSeconds(): number {
    const seconds = (this.#lastMs - (this.#firstMs ?? this.#lastMs)) / 1000;
    this.#firstMs = undefined;
    return seconds;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#firstMs ??= performance.now();
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#lastMs = performance.now();
    });
    let head = "";
    const first = (bytes: Buffer): void => {
      head += bytes.toString("latin1");
      const end = head.indexOf("\n");
      if (end < 0) return;
      socket.off("data", first);
      const [kind, count] = head.slice(0, end).split(" ");
      const rest = head.length - end - 1;
      if (kind === "D") this.#send(socket, Number(count));
      else if (kind === "C") socket.end("x");
      else if (kind === "T") {
        socket.on("data", (byte) => socket.write(byte));
        if (rest > 0) socket.write("x");
        socket.on("end", () => socket.end());
      } else {
        let total = rest;
        socket.on("data", (more) => {
          total += more.length;
        });
        socket.on("end", () => socket.end(`${total}\n`));
      }
      if (kind !== "U") return;
      socket.resume();
    };
    socket.on("data", first);
  }

  #send(socket: Socket, count: number): void {
    let left = count;
    const go = (): void => {
      while (left > 0) {
        const piece = this.#block.subarray(0, Math.min(left, this.#block.length));
        left -= piece.length;
        if (!socket.write(piece)) {
          socket.once("drain", go);
          return;
        }
      }
      socket.end();
      socket.resume();
    };
    go();
  }
}

function commandLine(peer: string, card: string, kernel: string, initrd: string): CommandLine {
  if (peer === "qemu") {
    return {
      program: "qemu-system-i386",
      args: [
        ...["-accel", "tcg", "-m", "128", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"],
        ...["-kernel", kernel, "-initrd", initrd, "-append", append],
        ...["-netdev", "user,id=n", "-device", `${qemuCards[card]},netdev=n`],
      ],
    };
  }
  return {
    program: process.execPath,
    args: [
      ...[resolve(import.meta.dirname, "../bin/anneau"), "run", "--memory", "128", "--engine", peer],
      ...["--kernel", kernel, "--initrd", initrd, "--append", append, "--nic", `${card},host-loopback`],
    ],
  };
}

/** Seconds of each kind, one for each pass. */
type Passes = Record<string, number[]>;

async function measure(command: CommandLine, bytes: number): Promise<Passes> {
  const server = new Server();
  const port = await server.listen();
  const guest = new BenchGuest(command);
  try {
    await guest.says(/ANNEAU-GUEST-READY/, PATIENCE_SECONDS);
    await guest.says(/# /, PATIENCE_SECONDS);
    guest.type("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; echo up''link\n");
    await guest.says(/uplink/, PATIENCE_SECONDS);
    const run = async (kind: string, count: number): Promise<number> => {
      guest.type(`/bin/network ${kind} ${port} ${count}; echo do''ne $?\n`);
      const [, status] = await guest.says(/done (\d+)/, PATIENCE_SECONDS);
      if (status !== "0") throw new Error(`${kind} failed in the guest`);
      await sleep(200);
      return server.takeSeconds();
    };
    // Once small: modules, ARP.
    for (const kind of ["down", "up"]) await run(kind, 2_000_000);
    const seconds: Passes = { down: [], up: [], connect: [], turn: [] };
    const counts = { down: bytes, up: bytes, connect: CONNECTIONS, turn: TURNS };
    for (let pass = 0; pass < PASSES; pass++)
      for (const [kind, count] of Object.entries(counts)) seconds[kind].push(await run(kind, count));
    return seconds;
  } finally {
    await guest.kill();
    server.close();
  }
}

async function main(): Promise<void> {
  const cards = values.cards.split(",");
  for (const card of cards)
    if (!Object.hasOwn(qemuCards, card))
      throw new OptionError(`no card ${card}; there are ${Object.keys(qemuCards).join(", ")}`);
  const rounds = whole("rounds", values.rounds);
  const bytes = positive("megabytes", values.megabytes) * 1_000_000;
  const media = await linuxGuest({ modules });
  const folder = mkdtempSync(join(tmpdir(), "anneau-network-"));
  try {
    const initrd = join(folder, "initrd.gz");
    copyFileSync(join(media, "initrd.gz"), initrd);
    const program = readFileSync(buildProgram(join(import.meta.dirname, "guest/network.c")));
    // A second archive behind the first: the kernel unpacks both.
    appendFileSync(initrd, gzipSync(writeCpio([{ path: "bin/network", kind: "file", data: program, mode: 0o755 }])));
    const found = new Map<string, Passes[]>();
    for (let round = 1; round <= rounds; round++)
      for (const card of cards)
        for (const peer of values.peers.split(",")) {
          const name = `${peer} ${card}`;
          console.error(`round ${round}: ${name}`);
          const result = await measure(commandLine(peer, card, join(media, "vmlinuz"), initrd), bytes);
          found.set(name, [...(found.get(name) ?? []), result]);
        }
    console.log("| machine and card | down | up | connections | round trip |\n| --- | --: | --: | --: | --: |");
    for (const [name, results] of found) {
      const of = (kind: string, format: (seconds: number) => string) =>
        Array.from({ length: PASSES }, (_, pass) => format(median(results.map((one) => one[kind][pass])))).join(" / ");
      const rate = (kind: string) => `${of(kind, (seconds) => (bytes / 1e6 / seconds).toFixed(1))} MB/s`;
      const perSecond = `${of("connect", (seconds) => (CONNECTIONS / seconds).toFixed(0))} /s`;
      const turnUs = `${of("turn", (seconds) => ((seconds / TURNS) * 1e6).toFixed(0))} µs`;
      console.log(`| ${name} | ${rate("down")} | ${rate("up")} | ${perSecond} | ${turnUs} |`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (values.help) console.log(usage);
else await runProgram(main);
