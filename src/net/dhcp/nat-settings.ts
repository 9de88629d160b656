/**
 * What NAT's DHCP server gives out: .15 to the first client, .16 and on to others behind the same wire. The boot file and the TFTP
 * server are offered to everybody, as VirtualBox does; who does not boot from the network ignores them.
 */
import { formatIpv4, isLoopback, parseIpv4 } from "../address.ts";
import type { GuestLink } from "../guest-link.ts";
import type { HostNetwork } from "../host-network.ts";
import type { NatConfig } from "../nat-config.ts";
import {
  addressValue,
  type DhcpOption,
  numberValue,
  OPTION_BOOT_FILE,
  OPTION_BROADCAST,
  OPTION_DOMAIN,
  OPTION_MASK,
  OPTION_MTU,
  OPTION_NAME_SERVERS,
  OPTION_ROUTER,
  OPTION_TFTP_NAME,
  shortValue,
  textValue,
} from "./message.ts";
import type { DhcpSettings } from "./server.ts";

const LEASE_SECONDS = 86_400;
const LEASES = 16;
const DEFAULT_MTU = 1500;
const MAX_NAME_SERVERS = 4;

export function natDhcpSettings(link: GuestLink, config: NatConfig, host: HostNetwork): DhcpSettings {
  const { firstLease, tftp } = link.addresses;
  return {
    pool: Array.from({ length: LEASES }, (_, i) => firstLease + i),
    fixed: new Map(),
    evicts: "stalest",
    answerFor: () => {
      const nextServer = parseIpv4(config.tftpServer) ?? tftp;
      const options = optionsFor(link, config, host, nextServer);
      return { nextServer, file: config.bootFile, leaseSeconds: LEASE_SECONDS, options };
    },
  };
}

function optionsFor(link: GuestLink, config: NatConfig, host: HostNetwork, nextServer: number): DhcpOption[] {
  const { gateway, mask, broadcast } = link.addresses;
  const { tftpServer, bootFile, passDomain } = config;
  const options: DhcpOption[] = [
    [OPTION_MASK, numberValue(mask)],
    [OPTION_ROUTER, addressValue(gateway)],
    [OPTION_NAME_SERVERS, addressValue(...nameServers(link, config, host))],
    [OPTION_BROADCAST, addressValue(broadcast)],
  ];
  const domain = passDomain ? host.searchDomain() : undefined;
  if (domain !== undefined) options.push([OPTION_DOMAIN, textValue(domain)]);
  if (link.mtu !== DEFAULT_MTU) options.push([OPTION_MTU, shortValue(link.mtu)]);
  if (bootFile !== "") {
    const server = tftpServer === "" ? formatIpv4(nextServer) : tftpServer;
    options.push([OPTION_TFTP_NAME, textValue(server)], [OPTION_BOOT_FILE, textValue(bootFile)]);
  }
  return options;
}

/** The host's own name servers where the guest can reach them, else ours, which can reach them all. */
function nameServers(link: GuestLink, config: NatConfig, host: HostNetwork): number[] {
  const { dns } = link.addresses;
  if (config.dnsProxy || config.dnsHostResolver) return [dns];
  const usable: number[] = [];
  for (const text of host.nameServers()) {
    const address = parseIpv4(text);
    // One on another port, on IPv6 or on the host's loopback can only be had through us; so can its order.
    if (address === undefined || isLoopback(address) || link.isInNetwork(address)) return [dns];
    usable.push(address);
  }
  return usable.length > 0 ? usable.slice(0, MAX_NAME_SERVERS) : [dns];
}
