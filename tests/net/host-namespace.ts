/**
 * A host's network of a test's own: a user, network and mount namespace in which the test is root, without being it outside. TAP devices,
 * addresses and bridges made there are nobody else's and go with the test.
 *
 * Where there are no user namespaces (a container whose profile forbids them) or no /dev/net/tun, the tests that use this fail and say so: nothing
 * else here shows that a VM reaches its host. An ordinary container loses nothing by that. `npm test` makes /dev/net/tun where root lacks it,
 * and guests are made with mmdebstrap, for which user namespaces are needed anyway.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { onTestFinished } from "vitest";

export class HostNamespace {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** With an interface `lo` that is up and a /sys that shows this network. Ends with the test. */
  static async open(): Promise<HostNamespace> {
    for (const [file, name] of [
      ["/usr/bin/socat", "socat"],
      ["/usr/sbin/ip", "iproute2"],
    ])
      if (!existsSync(file)) throw new Error(`${file} is missing: apt-get install ${name}`);
    try {
      accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    } catch (error) {
      throw new Error(
        "this test needs /dev/net/tun: mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200 && modprobe tun",
        { cause: error },
      );
    }
    const setUp = "mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec sleep infinity";
    const child = spawn("unshare", ["--map-root-user", "--net", "--mount", "sh", "-c", setUp]);
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes));
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("error", reject);
      child.once("close", () =>
        reject(
          new Error(
            `this test needs user namespaces with a network and a /sys of their own (unshare -rnm; mount -t sysfs): ${said}`,
          ),
        ),
      );
    });
    return new HostNamespace(child);
  }

  /** What to put before a command to run it in there. */
  get enter(): string[] {
    return ["nsenter", "--preserve-credentials", "-U", "-n", "-m", "-t", String(this.#child.pid)];
  }

  /** The same without any of root's rights: as the user to whom the devices belong. */
  get enterUnprivileged(): string[] {
    return [...this.enter, "setpriv", "--bounding-set=-all", "--inh-caps=-all"];
  }

  /** A shell's script in there: its standard output. Throws with what it says if it fails. */
  sh(script: string): string {
    const [program, ...args] = [...this.enter, "bash", "-c", script];
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
    if (status !== 0) throw new Error(`${script}: exit code ${status}\n${stderr}`);
    return stdout;
  }

  /** A program of Node in there; ends with the test. Settles when it has printed something. */
  async node(program: string): Promise<void> {
    const [first, ...rest] = [...this.enter, process.execPath, "-e", program];
    const child = spawn(first, rest);
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("close", () => reject(new Error(`${program} has ended`)));
    });
  }

  /** Living processes in there of that name. */
  processes(name: string): number[] {
    const own = readlinkSync(`/proc/${this.#child.pid}/ns/net`);
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => {
        try {
          return (
            readFileSync(`/proc/${pid}/comm`, "utf8") === `${name}\n` && readlinkSync(`/proc/${pid}/ns/net`) === own
          );
        } catch {
          return false;
        }
      });
  }
}
