/** What a network adapter is attached to, as the VM process needs it: from the adapter's settings, nothing opened yet. */
import { join, resolve } from "node:path";
import { defaultNatConfig, type NatConfig } from "../net/nat-config.ts";
import { configurationFolder } from "./folders.ts";
import type { Adapter } from "./network-settings.ts";

export type NicAttachment =
  /** The cable is in something that never answers. */
  | { readonly kind: "null" }
  | {
      readonly kind: "nat";
      readonly nat: NatConfig;
      /** Empty: the host routes. */
      readonly bindAddress: string;
      readonly tftpFolder: string;
    }
  /** One that VMs share; how it is set up is looked up when it is opened. */
  | { readonly kind: "nat-network"; readonly name: string }
  | { readonly kind: "intnet"; readonly name: string; readonly isPromiscuous: boolean }
  /** A TAP device of the host, behind a switch that the owner's machines share. */
  | {
      readonly kind: "tap";
      readonly mode: "hostonly" | "bridged";
      readonly name: string;
      readonly isPromiscuous: boolean;
      /** Promiscuous as to frames from the host's side too. */
      readonly hearsUplink: boolean;
    }
  | {
      readonly kind: "udp-tunnel";
      readonly destination: string;
      readonly sourcePort: number;
      readonly destinationPort: number;
    }
  /** One line that says why this attachment cannot be had. */
  | { readonly kind: "unavailable"; readonly why: string };

/** The port that VirtualBox's tunnel uses where none is named. */
const DEFAULT_TUNNEL_PORT = 4444;

/** `vmName` names the file that DHCP offers for network boot. */
export function attachmentOf(adapter: Adapter, vmName: string): NicAttachment {
  const { mode } = adapter;
  const name = mode === undefined ? "" : adapter.modeName(mode);
  switch (mode?.cli) {
    case undefined:
      return { kind: "null" };
    case "nat":
      return natAttachment(adapter, vmName);
    case "intnet":
      return {
        kind: "intnet",
        name: name || "intnet",
        isPromiscuous: promiscuousPolicy(adapter) !== "Deny",
      };
    case "hostonly":
    case "bridged":
      return tapAttachment(adapter, mode.cli, name);
    case "natnetwork":
      return { kind: "nat-network", name: name || "NatNetwork" };
    case "generic":
      return genericAttachment(adapter, name);
    default:
      return { kind: "unavailable", why: unavailable(adapter, mode?.label ?? "", name) };
  }
}

function unavailable(adapter: Adapter, label: string, name: string): string {
  const number = adapter.slot + 1;
  return `network adapter ${number} on ${label} '${name}': there are no such networks (modifyvm --nic${number} nat)`;
}

const promiscuousPolicy = (adapter: Adapter) => adapter.attribute("promiscuousModePolicy", "Deny");

/** Whether there is such a device, and whose, is seen when it is opened. */
function tapAttachment(adapter: Adapter, mode: "hostonly" | "bridged", name: string): NicAttachment {
  if (name === "") {
    const number = adapter.slot + 1;
    const [what, option] =
      mode === "hostonly"
        ? ["a host-only network", `host-only-adapter${number} vboxnet0`]
        : ["a bridge", `bridge-adapter${number} tap0`];
    return { kind: "unavailable", why: `network adapter ${number} on ${what} without a name (modifyvm --${option})` };
  }
  const policy = promiscuousPolicy(adapter);
  return { kind: "tap", mode, name, isPromiscuous: policy !== "Deny", hearsUplink: policy === "AllowAll" };
}

function natAttachment(adapter: Adapter, vmName: string): NicAttachment {
  const text = (path: string, attribute: string) => adapter.natValue(path, attribute, "");
  const flag = (path: string, attribute: string, fallback: boolean) =>
    adapter.natValue(path, attribute, String(fallback)) === "true";
  const count = (attribute: string) => Number(adapter.natValue("", attribute, "0")) || 0;
  const network = text("", "network");
  const nat: NatConfig = {
    ...defaultNatConfig,
    network: network === "" ? `10.0.${adapter.slot + 2}.0/24` : network.includes("/") ? network : `${network}/24`,
    mtu: count("mtu"),
    tcpSendKiB: count("tcpsnd"),
    tcpReceiveKiB: count("tcprcv"),
    passDomain: flag("DNS", "pass-domain", defaultNatConfig.passDomain),
    dnsProxy: flag("DNS", "use-proxy", defaultNatConfig.dnsProxy),
    dnsHostResolver: flag("DNS", "use-host-resolver", defaultNatConfig.dnsHostResolver),
    tftpServer: text("TFTP", "next-server"),
    bootFile: text("TFTP", "boot-file") || `${vmName}.pxe`,
    localhostReachable: flag("", "localhost-reachable", defaultNatConfig.localhostReachable),
    forwarding: adapter.forwarding(),
  };
  const prefix = text("TFTP", "prefix");
  const tftpFolder = prefix === "" ? join(configurationFolder(), "TFTP") : resolve(prefix);
  return { kind: "nat", nat, bindAddress: text("", "hostip"), tftpFolder };
}

function genericAttachment(adapter: Adapter, driver: string): NicAttachment {
  const number = adapter.slot + 1;
  if (driver !== "UDPTunnel") {
    const why = `network adapter ${number} on the generic driver '${driver}' (modifyvm --nic-generic-drv${number} UDPTunnel)`;
    return { kind: "unavailable", why };
  }
  const properties = adapter.mode === undefined ? [] : (adapter.modeElement(adapter.mode)?.elements("Property") ?? []);
  const property = (name: string) => properties.find((one) => one.get("name") === name)?.get("value") ?? "";
  const port = (name: string) => Number(property(name) || DEFAULT_TUNNEL_PORT);
  const isPort = (value: number) => Number.isInteger(value) && value > 0 && value < 65536;
  const [sourcePort, destinationPort] = [port("sport"), port("dport")];
  const destination = property("dest");
  if (destination === "" || !isPort(sourcePort) || !isPort(destinationPort)) {
    const why = `the UDP tunnel of network adapter ${number} without destination and ports (modifyvm --nic-property${number} dest=HOST, sport=PORT, dport=PORT)`;
    return { kind: "unavailable", why };
  }
  return { kind: "udp-tunnel", destination, sourcePort, destinationPort };
}
