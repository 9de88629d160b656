/**
 * A Linux guest of scripts/media/linux-guest.ts with a shell on COM1, on our machine in the calling thread, and the kernel
 * messages of the same guest under QEMU: what Linux's drivers complain about here and not there is ours to explain.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { NetBackend } from "../../src/backend-api/net.ts";
import { TestPc, type TestPcOptions } from "../../src/machine/testing.ts";

export const MEMORY_MIB = 128;
/** Ciphers are not tested against themselves. */
const words = "console=ttyS0,115200 panic=0 quiet cryptomgr.notests initcall_blacklist=load_system_certificate_list";
const prompt = /ANNEAU-GUEST-READY \S+[\s\S]*\/ # /;

// The quotes keep the echo of what is typed from looking like the answer.
const typed = (command: string) => `echo be''gin; ${command}; echo e''nd\n`;
const answered = /\nend\r\n[\s\S]*# /;
function answerIn(said: string): string {
  const text = said.replaceAll("\r", "");
  return text.slice(text.indexOf("\nbegin\n") + 7, text.lastIndexOf("\nend\n") + 1);
}

/** Kernel messages of level warning and worse, without their time. */
function complaintsIn(log: string): string[] {
  const messages = [...log.matchAll(/^<(\d+)>\[ *\d+\.\d+\] (.*)$/gm)];
  expect(messages.length).toBeGreaterThan(100);
  return messages.filter(([, level]) => (Number(level) & 7) <= 4).map(([, , text]) => text);
}

/** The machine at the other end of a network cable: answers ARP requests and pings, whomever they ask for. */
class Peer implements NetBackend {
  readonly #frames: Uint8Array[] = [];
  #listener = () => {};

  send(frame: Uint8Array): boolean {
    const answer = new Uint8Array(frame);
    const view = new DataView(answer.buffer);
    answer.copyWithin(0, 6, 12);
    answer.set(OWN_MAC, 6);
    const type = view.getUint16(12);
    if (type === 0x0806 && view.getUint16(20) === 1) {
      view.setUint16(20, 2);
      const asked = frame.slice(38, 42);
      answer.set(frame.subarray(22, 32), 32);
      answer.set(OWN_MAC, 22);
      answer.set(asked, 28);
    } else if (type === 0x0800 && frame[23] === 1 && frame[34] === 8) {
      answer.set(frame.subarray(30, 34), 26);
      answer.set(frame.subarray(26, 30), 30);
      answer[34] = 0;
      // The sum over a type of 0 in the place of 8.
      const sum = view.getUint16(36) + 0x0800;
      view.setUint16(36, (sum & 0xffff) + (sum >> 16));
    } else return true;
    this.#frames.push(answer);
    return true;
  }
  /** The answers arrive: between two steps of the machine, never while the card is sending. */
  deliver(): void {
    if (this.#frames.length > 0) this.#listener();
  }
  get readableBytes(): number {
    return this.#frames[0]?.length ?? 0;
  }
  receive(target: Uint8Array): number {
    const frame = this.#frames.shift();
    if (frame === undefined) return 0;
    target.set(frame);
    return frame.length;
  }
  onEvent(listener: () => void): void {
    this.#listener = listener;
  }
}
const OWN_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

export class LinuxShell {
  readonly pc: TestPc;
  readonly #peers: readonly Peer[];
  private constructor(pc: TestPc, peers: readonly Peer[]) {
    this.pc = pc;
    this.#peers = peers;
  }

  /** Boots the kernel and initramfs in `folder`, with more words on the command line, to its shell. */
  static async boot(folder: string, extra: string, options: TestPcOptions = {}): Promise<LinuxShell> {
    const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
    const peers = (options.spec?.nics ?? []).map(() => new Peer());
    const pc = await TestPc.start({
      nets: peers,
      ...options,
      spec: {
        ramMiB: MEMORY_MIB,
        linux: { kernel: read("vmlinuz"), initrd: read("initrd.gz"), commandLine: `${words} ${extra}` },
        ...options.spec,
      },
    });
    const guest = new LinuxShell(pc, peers);
    guest.#until(prompt, 8_000_000_000);
    return guest;
  }

  #until(said: RegExp, maxInstructions: number, from = 0): void {
    const isSaid = () => {
      for (const peer of this.#peers) peer.deliver();
      return said.test(this.pc.serial.text.slice(from));
    };
    if (!this.pc.runUntil(isSaid, maxInstructions)) throw new Error(this.pc.describe());
  }

  /** Types a command that starts the machine over, to the shell again. */
  restart(command: string): void {
    const from = this.pc.serial.text.length;
    this.begin(command);
    this.#until(prompt, 8_000_000_000, from);
  }

  /** Types a command that does not come back. */
  begin(command: string): void {
    this.pc.serial.type(`${command}\n`);
  }

  /** What a command at the shell prints. */
  shell(command: string): string {
    const from = this.pc.serial.text.length;
    this.pc.serial.type(typed(command));
    this.#until(answered, 1_000_000_000, from);
    return answerIn(this.pc.serial.text.slice(from));
  }

  /** Interrupts by number or name: how often, and the rest of the line. */
  interrupts(): Map<string, { readonly count: number; readonly kind: string }> {
    const lines = this.shell("cat /proc/interrupts").split("\n").slice(1);
    const fields = lines.map((line) => /^ *(\w+): +(\d+) *(.*)$/.exec(line)).filter((match) => match !== null);
    return new Map(fields.map(([, name, count, kind]) => [name, { count: Number(count), kind }]));
  }

  /** Kernel messages of level warning and worse, without their time. */
  get complaints(): string[] {
    return complaintsIn(this.shell("dmesg -r"));
  }
}

/**
 * The complaints of the same guest under QEMU, with a 32-bit processor like ours and time made of instructions too. `devices`
 * are QEMU's options for the rest of the machine; `command` is typed before the messages are looked at.
 */
export function complaintsUnderQemu(
  folder: string,
  extra: string,
  devices: readonly string[] = [],
  command = "true",
): Promise<string[]> {
  const machine = ["-machine", "pc,accel=tcg", "-icount", "shift=1,sleep=off", "-cpu", "coreduo"];
  const plugs = ["-m", String(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"];
  const kernel = ["-kernel", join(folder, "vmlinuz"), "-initrd", join(folder, "initrd.gz")];
  const qemu = spawn("qemu-system-i386", [
    ...[...machine, ...plugs, ...kernel, "-append", `${words} ${extra}`],
    ...["-vga", "std", ...devices],
  ]);
  // A test that fails before it waits for this leaves nothing behind either.
  onTestFinished(() => {
    qemu.kill("SIGKILL");
  });
  return new Promise<string[]>((resolve, reject) => {
    let text = "";
    let isAsked = false;
    qemu.on("error", (error) => reject(new Error(`${error.message}: apt-get install qemu-system-x86`)));
    qemu.on("close", () => reject(new Error(`QEMU ended: ${text.slice(-2000)}`)));
    qemu.stderr.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
    });
    qemu.stdout.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      if (!isAsked && prompt.test(text)) {
        isAsked = true;
        text = "";
        qemu.stdin.write(typed(`${command} >/dev/null 2>&1; dmesg -r`));
      } else if (isAsked && answered.test(text)) resolve(complaintsIn(answerIn(text)));
    });
  }).finally(() => qemu.kill("SIGKILL"));
}
