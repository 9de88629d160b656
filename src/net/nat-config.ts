/** How one NAT network is set up; filled from a VM's settings. */
import type { Ipv6Config } from "./ipv6/address.ts";

export interface ForwardingRule {
  readonly name: string;
  readonly protocol: "tcp" | "udp";
  /** Where the host listens; empty: all its interfaces of the guest's family, as VirtualBox does. */
  readonly hostIp: string;
  readonly hostPort: number;
  /** IPv4 or IPv6, which the rule is then for. Empty: whoever has the IPv4 lease. */
  readonly guestIp: string;
  readonly guestPort: number;
}

export interface NatConfig {
  /** The guest's network as `a.b.c.d/n`; VirtualBox's is 10.0.(N+1).0/24 for adapter N. */
  readonly network: string;
  /** Host number of the router: 2, on NAT networks that VMs share 1. */
  readonly routerHost: number;
  /** Host number of the address behind which the host's loopback is, where `localhostReachable`: the router's, unless it has one of its own. */
  readonly loopbackHost: number;
  /** Gives leases. */
  readonly dhcp: boolean;
  /** Largest packet, 0: 1500. */
  readonly mtu: number;
  /** Largest TCP window towards the guest and announced to it, in KiB; 0: 256. */
  readonly tcpSendKiB: number;
  readonly tcpReceiveKiB: number;
  /** Gives the guest the domain that the host searches. */
  readonly passDomain: boolean;
  /** The guest is told that .3 is its name server, which asks the host's. */
  readonly dnsProxy: boolean;
  /** .3 answers addresses and names from the host's resolver (hosts file and all). */
  readonly dnsHostResolver: boolean;
  /** TFTP server that DHCP names, empty: ours (.4); and the file to boot. */
  readonly tftpServer: string;
  readonly bootFile: string;
  /** The loopback address (.2) is the host's 127.0.0.1. */
  readonly localhostReachable: boolean;
  readonly forwarding: readonly ForwardingRule[];
  /** undefined: none. */
  readonly ipv6: Ipv6Config | undefined;
}

export const defaultNatConfig: NatConfig = {
  network: "10.0.2.0/24",
  routerHost: 2,
  loopbackHost: 2,
  dhcp: true,
  mtu: 0,
  tcpSendKiB: 0,
  tcpReceiveKiB: 0,
  passDomain: true,
  dnsProxy: false,
  dnsHostResolver: false,
  tftpServer: "",
  bootFile: "",
  localhostReachable: false,
  forwarding: [],
  ipv6: undefined,
};

/** Bounds on what one NAT network holds, whatever its guest does. */
export interface NatLimits {
  readonly connections: number;
  /** Connections whose peer has not answered. */
  readonly dialing: number;
  readonly udpFlows: number;
  /** Memory of all connections' buffers together. */
  readonly bufferBytes: number;
}

export const natLimits: NatLimits = {
  connections: 4096,
  dialing: 1024,
  udpFlows: 1024,
  bufferBytes: 64 * 1024 * 1024,
};
