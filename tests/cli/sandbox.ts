/** A home folder of its own for the real command line: what a test runs, it runs as a person would. */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { sessionOf } from "../../src/config/machine-session.ts";

const bin = resolve(import.meta.dirname, "../../bin");
const fixtures = resolve(import.meta.dirname, "fixtures");

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export class Sandbox {
  readonly home = mkdtempSync(join(tmpdir(), "anneau-cli-"));
  readonly env: NodeJS.ProcessEnv = {
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    HOME: this.home,
    VBOX_USER_HOME: join(this.home, "registry"),
    XDG_RUNTIME_DIR: join(this.home, "run"),
    LANG: "C",
  };

  readonly #inside: readonly string[];

  /** `inside`: a command by way of which everything is run (`nsenter …`). */
  constructor(inside: readonly string[] = []) {
    this.#inside = inside;
    mkdirSync(join(this.home, "run"), { mode: 0o700 });
    onTestFinished(() => {
      this.#endMachines();
      rmSync(this.home, { recursive: true, force: true });
    });
  }

  /** A test that failed half-way must not leave machines running. */
  #endMachines(): void {
    for (const name of readdirSync(this.home, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".vbox")) continue;
      const session = sessionOf(this.path(name));
      if (session.kind === "alive") process.kill(session.pid, "SIGKILL");
    }
  }

  path(...parts: string[]): string {
    return join(this.home, ...parts);
  }

  /** Runs `anneau ARGS` in the home folder. */
  anneau(...args: string[]): Outcome {
    return this.as("anneau", args);
  }

  /** Runs `VBoxManage ARGS`. */
  vboxManage(...args: string[]): Outcome {
    return this.as("VBoxManage", args);
  }

  as(program: string, args: readonly string[], input?: string): Outcome {
    const [first, ...rest] = [...this.#inside, process.execPath, join(bin, program), ...args];
    const outcome: SpawnSyncReturns<string> = spawnSync(first, rest, {
      cwd: this.home,
      env: this.env,
      encoding: "utf8",
      input,
      maxBuffer: 64 << 20,
    });
    return { stdout: outcome.stdout, stderr: outcome.stderr, code: outcome.status };
  }

  /** Runs a shell's script in which `"$@"` is `anneau`. */
  sh(script: string): Outcome {
    const command = ["-c", script, "sh", process.execPath, join(bin, "anneau")];
    const outcome = spawnSync("/bin/sh", command, { cwd: this.home, env: this.env, encoding: "utf8" });
    return { stdout: outcome.stdout, stderr: outcome.stderr, code: outcome.status };
  }

  /** Runs `anneau ARGS` where no file can grow. */
  onFullDisk(...args: string[]): Outcome {
    const limited = ["-c", 'ulimit -f 0; exec "$@"', "sh", process.execPath, join(bin, "anneau"), ...args];
    const outcome = spawnSync("/bin/sh", limited, { cwd: this.home, env: this.env, encoding: "utf8" });
    return { stdout: outcome.stdout, stderr: outcome.stderr, code: outcome.status };
  }

  /** Runs `VBoxManage ARGS` with a folder on a file system that is mounted read-only. */
  onReadOnly(folder: string, ...args: string[]): Outcome {
    const mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';
    const command = ["sh", "-c", mount, "sh", this.path(folder), process.execPath, join(bin, "VBoxManage"), ...args];
    const outcome = spawnSync("unshare", ["--map-root-user", "--mount", ...command], {
      cwd: this.home,
      env: this.env,
      encoding: "utf8",
    });
    return { stdout: outcome.stdout, stderr: outcome.stderr, code: outcome.status };
  }

  /** Runs in the background, for many at once. */
  start(...args: string[]): Promise<Outcome> {
    const [first, ...rest] = [...this.#inside, process.execPath, join(bin, "anneau"), ...args];
    const child = spawn(first, rest, { cwd: this.home, env: this.env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    return new Promise((settle) => child.on("close", (code) => settle({ stdout, stderr, code })));
  }

  /** Runs and demands success: its standard output. */
  ok(...args: string[]): string {
    const { stdout, stderr, code } = this.anneau(...args);
    if (code !== 0) throw new Error(`anneau ${args.join(" ")}: exit code ${code}\n${stderr}`);
    return stdout;
  }

  /** showvminfo --machinereadable as a map; quotes of keys and values taken off. */
  info(id: string): Map<string, string> {
    const map = new Map<string, string>();
    for (const line of this.ok("showvminfo", id, "--machinereadable").split("\n")) {
      const match = /^"?([^"=]+)"?=(.*)$/.exec(line);
      if (match) map.set(match[1], match[2].replace(/^"|"$/g, ""));
    }
    return map;
  }

  /** A fixture's copy in the home folder. */
  fixture(name: string, as = name): string {
    const target = this.path(as);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(fixtures, name), target);
    return target;
  }

  write(name: string, content: string | Uint8Array): string {
    const target = this.path(name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
    return target;
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  /** Settings file of a VM made with createvm. */
  vbox(name: string): string {
    return this.read(`VirtualBox VMs/${name}/${name}.vbox`);
  }
}

/** A disc image: `sectors` sectors with an ISO 9660 volume descriptor that says `volumeSectors`. */
export function discImage(sectors: number, volumeSectors = sectors): Uint8Array {
  const bytes = Buffer.alloc(sectors * 2048);
  if (sectors > 16) {
    bytes.write("\u0001CD001\u0001", 16 * 2048, "latin1");
    bytes.writeUInt32LE(volumeSectors, 16 * 2048 + 80);
  }
  return bytes;
}

/** A small PRNG (mulberry32) for seeded fuzzing. */
export function random(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
