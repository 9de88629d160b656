/**
 * `node bench/console.ts [KEYS]`: what a console costs. The same floppy, which echoes what is typed, on Anneau and on
 * qemu-system-i386, each behind its own VNC server and the same client: from a key to the changed picture, bytes for a
 * scrolling screen, and the processor time of an idle machine with and without a viewer. Prints a Markdown table. Not a test.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RfbTestClient } from "../src/display/rfb/testing.ts";
import { vncResponse } from "../src/display/rfb/vnc-authentication.ts";
import { desEncrypt } from "../src/vm/remote-display.ts";
import { median } from "./report.ts";

const keys = Number(process.argv[2] ?? 60);
const IDLE_SECONDS = 10;
/** A machine that takes longer gets dashes. */
const LONGEST_MS = 150_000;
const ZRLE = 16;
const COPY_RECT = 1;
const QEMU_KEYS = -258;
const anneau = join(resolve(import.meta.dirname, ".."), "bin", "anneau");
const folder = mkdtempSync(join(tmpdir(), "anneau-bench-console-"));

/** Echoes keys; Enter begins a new line, and at the screen's bottom everything scrolls. */
const source = `
        bits 16
        org 0x7c00
next:   xor ah, ah
        int 0x16
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        cmp al, 13
        jne next
        mov al, 10
        int 0x10
        inc dl                  ; no two lines are the same
        mov cx, 60
fill:   mov ax, 0x0e78
        add al, cl
        add al, dl
        and al, 0x7f
        or al, 0x20
        int 0x10
        loop fill
        jmp next
times 510-($-$$) db 0
        dw 0xaa55
`;

function makeFloppy(): string {
  writeFileSync(join(folder, "echo.asm"), source);
  const image = join(folder, "echo.img");
  execFileSync("nasm", ["-f", "bin", "-o", image, join(folder, "echo.asm")]);
  writeFileSync(image, Buffer.concat([readFileSync(image), Buffer.alloc(1_474_560 - 512)]));
  return image;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** Processor seconds that a process has used. */
function usedSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function idlePercent(pid: number): Promise<number> {
  await sleep(3000);
  const before = usedSeconds(pid);
  await sleep(IDLE_SECONDS * 1000);
  return (100 * (usedSeconds(pid) - before)) / IDLE_SECONDS;
}

interface Machine {
  readonly pid: number;
  readonly port: number;
  stop(): void;
}

type Start = (image: string, hasConsole: boolean) => Promise<Machine>;

const startAnneau: Start = async (image, hasConsole) => {
  const port = await freePort();
  const run = join(folder, "run");
  mkdirSync(run, { mode: 0o700, recursive: true });
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: folder,
    VBOX_USER_HOME: join(folder, "registry"),
    XDG_RUNTIME_DIR: run,
  };
  const ok = (...args: string[]) =>
    execFileSync(process.execPath, [anneau, ...args], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  ok("createvm", "--name", "echo", "--register");
  ok("modifyvm", "echo", "--memory", "32", "--vrde", hasConsole ? "on" : "off", "--vrdeport", String(port));
  ok("modifyvm", "echo", "--vrdeproperty", "VNCPassword=bench");
  ok("storagectl", "echo", "--name", "F", "--add", "floppy");
  ok("storageattach", "echo", "--storagectl", "F", "--device", "0", "--type", "fdd", "--medium", image);
  ok("startvm", "echo", "--type", "headless");
  const session = readFileSync(join(folder, "VirtualBox VMs", "echo", "echo.vbox.session"), "utf8");
  const pid = Number(/[0-9]+/.exec(session)?.[0]);
  const stop = () => {
    ok("controlvm", "echo", "poweroff");
    ok("unregistervm", "echo", "--delete");
  };
  return { pid, port, stop };
};

const startQemu: Start = async (image, hasConsole) => {
  const port = await freePort();
  const child = spawn("qemu-system-i386", [
    ...["-accel", "tcg", "-m", "32", "-vga", "std", "-net", "none", "-monitor", "none", "-serial", "none"],
    ...["-fda", image, "-boot", "a", ...(hasConsole ? ["-vnc", `127.0.0.1:${port - 5900}`] : ["-display", "none"])],
  ]);
  return { pid: child.pid ?? 0, port, stop: () => void child.kill("SIGKILL") };
};

async function viewer(port: number): Promise<{ client: RfbTestClient; close: () => void }> {
  for (let tries = 0; ; tries++) {
    try {
      const socket = connect(port, "127.0.0.1");
      socket.setNoDelay(true);
      await new Promise((done, fail) => socket.once("connect", done).once("error", fail));
      const client = new RfbTestClient((bytes) => socket.write(bytes));
      socket.on("data", (bytes: Buffer) => client.receive(bytes));
      socket.on("error", () => client.end());
      socket.on("close", () => client.end());
      await client.handshake((challenge) => vncResponse("bench", challenge, desEncrypt));
      client.setEncodings(ZRLE, COPY_RECT, QEMU_KEYS, -223);
      await client.refresh();
      return { client, close: () => socket.destroy() };
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(100);
    }
  }
}

/** Types a key and waits until the cell behind the cursor has changed; milliseconds. */
async function echo(client: RfbTestClient, code: number, minBytes: number): Promise<number> {
  const before = client.rgb.slice();
  client.request(true);
  const startMs = performance.now();
  client.scancode(code, true);
  client.scancode(code, false);
  for (;;) {
    const update = client.update();
    // A key that got lost is pressed again; its time shows in the worst ones.
    while (!(await Promise.race([update.then(() => true), sleep(3000)]))) {
      client.scancode(code, true);
      client.scancode(code, false);
    }
    let changed = 0;
    for (let i = 0; i < before.length; i++) if (before[i] !== client.rgb[i]) changed++;
    // A blinking cursor changes less than a letter beside it.
    if (changed >= minBytes) return performance.now() - startMs;
    client.request(true);
  }
}

async function measure(machine: Machine): Promise<readonly string[]> {
  const say = (text: string) => process.stderr.write(`${Math.round(performance.now())} ${text}\n`);
  await sleep(4000);
  const alone = await idlePercent(machine.pid);
  say(`idle: ${alone.toFixed(1)} %`);
  const { client, close } = await viewer(machine.port);
  const times: number[] = [];
  for (let i = 0; i < keys; i++) {
    // H: many dots.
    times.push(await echo(client, 0x23, 30));
    await sleep(150 + (i % 7) * 11);
  }
  let isWatching = true;
  const watching = (async () => {
    while (isWatching) await client.refresh(true);
  })().catch(() => {});
  const pressEnter = async (times: number) => {
    for (let i = 0; i < times; i++) {
      client.scancode(0x1c, true);
      client.scancode(0x1c, false);
      await sleep(200);
    }
  };
  await pressEnter(30);
  const before = client.bytesReceived;
  const lines = 40;
  await pressEnter(lines);
  const perLine = (client.bytesReceived - before) / lines;
  const watched = await idlePercent(machine.pid);
  say(`keys: ${times.map((ms) => ms.toFixed(0)).join(" ")} ms; watched: ${watched.toFixed(1)} %`);
  isWatching = false;
  close();
  await watching;
  times.sort((a, b) => a - b);
  return [
    `${median(times).toFixed(1)} ms`,
    `${times[Math.floor(times.length * 0.9)].toFixed(1)} ms`,
    `${Math.round(perLine)}`,
    `${alone.toFixed(1)} %`,
    `${watched.toFixed(1)} %`,
  ];
}

async function run<T>(
  start: Start,
  image: string,
  hasConsole: boolean,
  work: (machine: Machine) => Promise<T>,
): Promise<T> {
  const machine = await start(image, hasConsole);
  try {
    return await work(machine);
  } finally {
    machine.stop();
  }
}

const image = makeFloppy();
const columns: (readonly string[])[] = [];
try {
  for (const start of [startAnneau, startQemu]) {
    const withoutConsole = await run(start, image, false, async ({ pid }) => {
      await sleep(4000);
      return `${(await idlePercent(pid)).toFixed(1)} %`;
    });
    const late = sleep(LONGEST_MS).then(() => new Array<string>(5).fill("–"));
    const figures = await run(start, image, true, (machine) => Promise.race([measure(machine), late]));
    columns.push([...figures, withoutConsole]);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const rows = [
  `key to changed picture, median of ${keys}`,
  "the same, 90th percentile",
  "bytes for a line that scrolls the screen (ZRLE, CopyRect)",
  "idle guest, nobody watching, of one core",
  "idle guest, a viewer watching the blinking cursor",
  "idle guest on a machine without remote display",
];
console.log("| | anneau | qemu-system-i386 |\n| --- | --: | --: |");
for (const [i, row] of rows.entries()) console.log(`| ${row} | ${columns[0][i]} | ${columns[1][i]} |`);
// A viewer that still waits does not keep the program.
process.exit();
