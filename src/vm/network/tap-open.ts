/** Opens a TAP device: Node opens /dev/net/tun, socat makes the one ioctl that names the device, and the open file is Node's. */
import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AnneauError } from "../../base/errors.ts";
import { type TapDevice, TUN_CONTROL } from "../../config/tap-devices.ts";
import { startSocat, TAP_DESCRIPTOR } from "./socat.ts";

/** linux/if_tun.h: _IOW('T', 202, int) on x86, ARM, RISC-V, s390 and LoongArch. */
const TUNSETIFF = "0x400454ca";
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_MULTI_QUEUE = 0x0100;
/** struct ifreq: the name, then a union that starts with the flags. */
const IFREQ_BYTES = 40;
const IFREQ_FLAGS = 16;
/** The process that had it may be gone for a moment only. */
const PATIENCE_MS = 3000;
const RETRY_MS = 50;

export function interfaceRequest({ name, isMultiQueue }: Pick<TapDevice, "name" | "isMultiQueue">): Buffer {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name, 0, IFREQ_FLAGS - 1, "utf8");
  const flags = Uint16Array.of(IFF_TAP | IFF_NO_PI | (isMultiQueue ? IFF_MULTI_QUEUE : 0));
  request.set(new Uint8Array(flags.buffer), IFREQ_FLAGS);
  return request;
}

/**
 * A descriptor that reads and writes frames of the device, one a call, and never waits. The caller closes it. Waits for a device that
 * somebody else has, up to three seconds. Rejects with one line.
 */
export async function openTap(device: TapDevice): Promise<number> {
  const request = `ioctl-bin=${TUNSETIFF}:x${interfaceRequest(device).toString("hex")}`;
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const descriptor = openControl();
    let problem: string | undefined;
    let isAttached = false;
    try {
      problem = await attach(descriptor, request);
      isAttached = problem === undefined;
    } finally {
      if (!isAttached) closeSync(descriptor);
    }
    if (problem === undefined) return descriptor;
    const isBusy = problem.includes("resource busy");
    if (isBusy && performance.now() < endMs) await sleep(RETRY_MS);
    else throw new AnneauError(isBusy ? "another program has it open" : `it cannot be opened (${problem})`);
  }
}

function openControl(): number {
  try {
    return openSync(TUN_CONTROL, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AnneauError(`'${TUN_CONTROL}' cannot be opened (${code})`, { cause: error });
  }
}

/** undefined: done. socat has nothing to copy and ends at once. */
async function attach(descriptor: number, request: string): Promise<string | undefined> {
  let isDone = false;
  const args = ["-d", "-d", "-u", "OPEN:/dev/null", `${TAP_DESCRIPTOR},${request}`];
  const { child, ended } = startSocat(args, descriptor, "ignore", (text) => {
    isDone ||= text.startsWith("starting data transfer loop");
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  try {
    const how = await ended;
    return isDone ? undefined : how;
  } finally {
    clearTimeout(timer);
  }
}
