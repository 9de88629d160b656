/**
 * Leases of a network's DHCP server, in VirtualBox's format (`NETWORK-Dhcpd.leases` beside the registry): what the next server of the network goes
 * on with, and what `dhcpserver findlease` and other programs read.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { formatIpv4, parseIpv4 } from "../net/address.ts";
import type { DhcpLease } from "../net/dhcp/server.ts";
import { parseMac } from "./dhcp-servers.ts";
import { configurationFolder, safeFileName } from "./folders.ts";
import { makeFolderOf } from "./settings-file.ts";
import { parseXml } from "./xml.ts";

const MAX_BYTES = 1 << 20;

/** The name that leases of a NAT network are kept under: an internal network may be called the same. */
export function natNetworkLeases(name: string): string {
  return `NatNetwork-${name}`;
}

export function leasesPath(network: string): string {
  return join(configurationFolder(), `${safeFileName(network)}-Dhcpd.leases`);
}

/** What is in the file; nothing if there is none. Throws one line if it is no such file. */
export function loadLeases(network: string): DhcpLease[] {
  const path = leasesPath(network);
  if (!fs.existsSync(path) || fs.statSync(path).size > MAX_BYTES) return [];
  const { root } = parseXml(fs.readFileSync(path, "utf8"), path);
  return root.elements("Lease").flatMap((lease) => {
    const mac = parseMac(lease.get("mac") ?? "");
    const address = parseIpv4(lease.element("Address")?.get("value") ?? "");
    const time = lease.element("Time");
    const [issued, seconds] = [Number(time?.get("issued")), Number(time?.get("expiration"))];
    if (mac === undefined || address === undefined || !(issued >= 0) || !(seconds > 0)) return [];
    return [{ mac, address, issuedMs: issued * 1000, seconds }];
  });
}

/** Writes the file anew, the owner's alone; readers see the old or the new one. */
export function saveLeases(network: string, leases: readonly DhcpLease[], nowMs: number): void {
  const lines = leases.map(({ mac, address, issuedMs, seconds }) => {
    const state = issuedMs + seconds * 1000 > nowMs ? "acked" : "expired";
    return (
      `  <Lease mac="${mac}" network="0.0.0.0" state="${state}">\n` +
      `    <Address value="${formatIpv4(address)}"/>\n` +
      `    <Time issued="${Math.floor(issuedMs / 1000)}" expiration="${seconds}"/>\n  </Lease>\n`
    );
  });
  const path = leasesPath(network);
  makeFolderOf(path);
  const fresh = `${path}-${process.pid}`;
  fs.writeFileSync(fresh, `<?xml version="1.0"?>\n<Leases version="1.0">\n${lines.join("")}</Leases>\n`, {
    mode: 0o600,
  });
  fs.renameSync(fresh, path);
}
