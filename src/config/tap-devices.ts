/**
 * TAP devices of a Linux host, as sysfs tells about them without opening any: which there are, whose they are, whether they are up. A
 * persistent one that root has made for a user can be opened by that user without root (Documentation/networking/tuntap.rst).
 */
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

const SYSFS = "/sys/class/net";
export const TUN_CONTROL = "/dev/net/tun";
/** linux/if_tun.h, linux/if.h, linux/capability.h. */
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_UP = 1;
const CAP_NET_ADMIN = 12;
/** Names end before 16 bytes. */
const MAX_NAME_BYTES = 15;
/** A host has some dozen interfaces; one with more is looked through up to here. */
const MAX_DEVICES = 4096;
/** Host-only interfaces are told from other TAP devices by VirtualBox's name for them. */
const hostOnlyName = /^vboxnet(0|[1-9][0-9]{0,2})$/;

export interface TapDevice {
  readonly name: string;
  /** Several programs may have it open at once. */
  readonly isMultiQueue: boolean;
  /** User and group that may open it; undefined: not limited to one. */
  readonly owner: number | undefined;
  readonly group: number | undefined;
  /** `08:00:27:01:02:03`, the host's own end. */
  readonly macAddress: string;
  readonly mtu: number;
  readonly isUp: boolean;
}

/** What a kernel would take as an interface's name. */
export function isInterfaceName(name: string): boolean {
  return /^[^\s/:\0]+$/.test(name) && name !== "." && name !== ".." && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}

export function isHostOnlyName(name: string): boolean {
  return hostOnlyName.test(name);
}

/** undefined: no such device, or no TAP device. `sysfs` is for tests. */
export function findTapDevice(name: string, sysfs = SYSFS): TapDevice | undefined {
  if (!isInterfaceName(name)) return undefined;
  const read = (file: string) => {
    try {
      return readFileSync(join(sysfs, name, file), "latin1").trim();
    } catch {
      return "";
    }
  };
  const number = (file: string) => {
    const text = read(file);
    return /^(0x[0-9a-f]{1,8}|[0-9]{1,10})$/.test(text) ? Number(text) : undefined;
  };
  const tunFlags = number("tun_flags") ?? 0;
  const macAddress = read("address");
  if ((tunFlags & IFF_TAP) === 0 || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(macAddress)) return undefined;
  return {
    name,
    isMultiQueue: (tunFlags & IFF_MULTI_QUEUE) !== 0,
    owner: number("owner"),
    group: number("group"),
    macAddress,
    mtu: number("mtu") ?? 0,
    isUp: ((number("flags") ?? 0) & IFF_UP) !== 0,
  };
}

/** All interfaces of the host, in the order of their names, numbers in them counted; none where there is no sysfs. */
export function interfaceNames(sysfs = SYSFS): string[] {
  try {
    const names = readdirSync(sysfs).slice(0, MAX_DEVICES);
    return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  } catch {
    return [];
  }
}

export function tapDevices(sysfs = SYSFS): TapDevice[] {
  return interfaceNames(sysfs)
    .map((name) => findTapDevice(name, sysfs))
    .filter((device) => device !== undefined);
}

export const hostOnlyDevices = (sysfs = SYSFS): TapDevice[] =>
  tapDevices(sysfs).filter(({ name }) => isHostOnlyName(name));

/** Whether this process may change the host's interfaces; a sandbox may still refuse it. */
export function mayConfigureInterfaces(): boolean {
  try {
    const capabilities = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
    return ((BigInt(`0x${capabilities ?? "0"}`) >> BigInt(CAP_NET_ADMIN)) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** As the kernel decides (tun_not_capable): owner and group must both fit, as far as they are set. */
export function mayOpenTap({ owner, group }: TapDevice): boolean {
  const isOwner = owner === undefined || owner === process.geteuid?.();
  const isMember = group === undefined || group === process.getegid?.() || process.getgroups?.().includes(group);
  return (isOwner && isMember === true) || mayConfigureInterfaces();
}

/** Who runs this, as `ip tuntap … user` takes it. */
export function ownUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.geteuid?.() ?? 0);
  }
}

/** What root types to make that device; host-only interfaces have an address. */
export function makingCommands(name: string, address?: string): string {
  const use = address === undefined ? `ip link set ${name} master BRIDGE up` : `ip link set ${name} up`;
  const steps = [`ip tuntap add dev ${name} mode tap user ${ownUserName()}`, use];
  if (address !== undefined) steps.splice(1, 0, `ip addr add ${address} dev ${name}`);
  return steps.join(" && ");
}

/** VirtualBox's default for the interface's number: 192.168.56.1/24 for vboxnet0, 192.168.57.1/24 for vboxnet1 … */
export function defaultHostOnlyAddress(name: string): string | undefined {
  const number = Number(hostOnlyName.exec(name)?.[1] ?? "256");
  return 56 + number > 255 ? undefined : `192.168.${56 + number}.1/24`;
}

/** Why a VM cannot be connected to that device, and what to do, in one line; undefined: it can, as far as can be seen. */
export function tapProblem(name: string, mode: "hostonly" | "bridged"): string | undefined {
  if (process.platform !== "linux") return "it needs a TAP device, which there is on Linux hosts only";
  const device = findTapDevice(name);
  if (device === undefined) return missingProblem(name, mode);
  if (!mayOpenTap(device)) {
    const whose = device.owner === undefined ? `group ${device.group}` : `user ${device.owner}`;
    return `it is a TAP device of ${whose}; as root type: ip tuntap del dev ${name} mode tap && ${commandsFor(name, mode)}`;
  }
  if (!device.isUp) return `it is down; as root type: ip link set ${name} up`;
  try {
    accessSync(TUN_CONTROL, constants.R_OK | constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const remedy = code === "ENOENT" ? "modprobe tun" : `chmod 666 ${TUN_CONTROL}`;
    return `'${TUN_CONTROL}' cannot be opened (${code}); as root type: ${remedy}`;
  }
  return undefined;
}

function commandsFor(name: string, mode: "hostonly" | "bridged"): string {
  return makingCommands(name, mode === "hostonly" ? (defaultHostOnlyAddress(name) ?? "ADDRESS/LENGTH") : undefined);
}

function missingProblem(name: string, mode: "hostonly" | "bridged"): string {
  const isThere = interfaceNames().includes(name);
  const cli = mode === "hostonly" ? "host-only-adapter" : "bridge-adapter";
  const other = mode === "hostonly" ? "vboxnet0" : "tap0";
  if (!isThere && isInterfaceName(name)) return `there is no such device; as root type: ${commandsFor(name, mode)}`;
  const what = isThere ? "it is no TAP device" : "no device of Linux has such a name";
  return `${what}; name one (modifyvm --${cli}N ${other}) that root has made: ${commandsFor(other, mode)}`;
}
