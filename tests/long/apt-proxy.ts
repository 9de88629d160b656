/**
 * A package proxy on this host's loopback: Debian's apt-cacher-ng under this user, its cache beside the guest media, so that a second
 * run downloads nothing twice.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { mediaCacheFolder } from "../../scripts/media/cache.ts";

const PROGRAM = "/usr/sbin/apt-cacher-ng";
const PATIENCE_MS = 20_000;

/** Starts it for the running test; its port on 127.0.0.1. */
export async function startAptProxy(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "anneau-apt-"));
  const cache = join(mediaCacheFolder(), "apt-cacher-ng");
  mkdirSync(cache, { recursive: true });
  const port = await freePort();
  const settings = {
    CacheDir: cache,
    LogDir: folder,
    PidFile: join(folder, "pid"),
    SocketPath: join(folder, "socket"),
    Port: port,
    BindAddress: "127.0.0.1",
    ForeGround: 1,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(folder, "acng.conf"), lines.join(""));
  const child = spawn(PROGRAM, ["-c", folder], { stdio: ["ignore", "ignore", "pipe"] });
  let [ending, said] = ["", ""];
  child.on("error", () => (ending = "apt-cacher-ng is missing: apt-get install apt-cacher-ng"));
  // It complains about things that do not stop it.
  child.stderr?.on("data", (bytes: Buffer) => (said += bytes));
  child.on("exit", (code) => (ending ||= `apt-cacher-ng ended with ${code}: ${said}`));
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const end = Date.now() + PATIENCE_MS;
  while (!(await answers(port))) {
    if (ending !== "" || Date.now() > end) throw new Error(ending || `apt-cacher-ng does not answer: ${said}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  return port;
}

/** A port of 127.0.0.1 that nobody had a moment ago, below 32768: apt-cacher-ng cannot listen on others. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((settle) => {
      server.on("error", () => settle(false));
      server.listen(port, "127.0.0.1", () => settle(true));
    });
    if (!isFree) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
  throw new Error("no port is free");
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    const settle = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on("connect", () => settle(true));
    socket.on("error", () => settle(false));
  });
}
