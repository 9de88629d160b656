/**
 * Addresses of the host's interfaces, read and changed with iproute2's `ip`: an interface that nothing is connected to has its addresses
 * too, of which Node does not tell.
 */
import { spawnSync } from "node:child_process";
import { networkInterfaces } from "node:os";
import { AnneauError } from "../base/errors.ts";

export interface HostAddress {
  readonly isIpv6: boolean;
  readonly address: string;
  readonly prefixLength: number;
}

/** Programs for administrators are not on everybody's path. */
const env = () => ({ PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" });
const PATIENCE_MS = 10_000;
const MAX_OUTPUT_BYTES = 16 << 20;

/** Runs `ip ARGS`: its output. AnneauError with what it says, or that it is missing. */
export function runIp(...args: string[]): string {
  const options = { env: env(), encoding: "utf8", timeout: PATIENCE_MS, maxBuffer: MAX_OUTPUT_BYTES } as const;
  const { error, status, stdout, stderr } = spawnSync("ip", args, options);
  const typed = `ip ${args.join(" ")}`;
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT")
    throw new AnneauError("the program ip is not installed (Debian package 'iproute2')", { cause: error });
  if (status !== 0) throw new AnneauError(`'${typed}' fails: ${stderr.trim().split("\n")[0] || error?.message}`);
  return stdout;
}

/** By interface, those that reach farthest first. Without `ip`: what Node knows. */
export function hostAddresses(): Map<string, HostAddress[]> {
  try {
    return parseAddresses(runIp("-json", "address", "show"));
  } catch (error) {
    if (!(error instanceof AnneauError)) throw error;
    return new Map(
      Object.entries(networkInterfaces()).map(([name, addresses = []]) => [
        name,
        addresses.map(({ family, address, cidr }) => ({
          isIpv6: family === "IPv6",
          address,
          prefixLength: Number(cidr?.split("/")[1] ?? "0"),
        })),
      ]),
    );
  }
}

/** `ip -json address show`. AnneauError where it is something else. */
export function parseAddresses(json: string): Map<string, HostAddress[]> {
  let links: unknown;
  try {
    links = JSON.parse(json);
  } catch (error) {
    throw new AnneauError("'ip -json address show' says something that is no JSON", { cause: error });
  }
  const found = new Map<string, HostAddress[]>();
  const fields = (value: unknown) =>
    (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  for (const link of Array.isArray(links) ? links.map(fields) : []) {
    if (typeof link.ifname !== "string") continue;
    const addresses = (Array.isArray(link.addr_info) ? link.addr_info : [])
      .map(fields)
      .filter(({ family, local, prefixlen }) => {
        return (family === "inet" || family === "inet6") && typeof local === "string" && Number.isInteger(prefixlen);
      })
      .sort((a, b) => Number(a.scope !== "global") - Number(b.scope !== "global"))
      .map(({ family, local, prefixlen }) => ({
        isIpv6: family === "inet6",
        address: local as string,
        prefixLength: prefixlen as number,
      }));
    found.set(link.ifname, addresses);
  }
  return found;
}

/** 24 is 255.255.255.0. */
export function maskOf(prefixLength: number): string {
  const mask = prefixLength <= 0 ? 0 : (-1 << (32 - Math.min(prefixLength, 32))) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}
