/**
 * `anneau run --nic MODEL[,WORD…]`: a network card on NAT of its own, or elsewhere. Words: `net=nat|null|intnet:NAME|natnetwork:NAME|hostonly:DEVICE|bridged:DEVICE`,
 * `mac=HEX12`, `cable=on|off`, `host-loopback` (the guest reaches the host's loopback at .2), `ipv6` (its own NAT has IPv6,
 * fd17:625c:f037:N::/64, the host's ::1 at ::2 with `host-loopback`), `forward=tcp|udp:[HOSTIP:]HOSTPORT:GUESTPORT`
 * (from 127.0.0.1 unless said otherwise), `tftp=FOLDER` (what NAT's TFTP server serves), `boot=FILE` (what DHCP names to boot), `trace=FILE`, `wire=LOSS:REORDER:DELAY[:SEED]` (a bad wire: per cent, per cent,
 * milliseconds each way).
 */
import { resolve } from "node:path";
import { configurationFolder } from "../config/folders.ts";
import type { NicDescription } from "../config/machine-spec.ts";
import { newMacAddress, parseForwarding } from "../config/network-settings.ts";
import type { NicAttachment } from "../config/nic-attachments.ts";
import { parseWireFaults, type WireFaults } from "../config/wire-faults.ts";
import { parseIpv4 } from "../net/address.ts";
import { prefixFor } from "../net/ipv6/address.ts";
import { defaultNatConfig, type ForwardingRule, type NatConfig } from "../net/nat-config.ts";
import { type NicSpec, nicModels } from "../spec/machine-spec.ts";
import { UsageError } from "./errors.ts";

/** As in IPv4. */
const LOOPBACK_HOST = 2;

export interface RunNic {
  readonly spec: NicSpec;
  readonly description: NicDescription;
}

/** The card of the option's `slot`-th occurrence, from 0. UsageError for what it does not know. */
export function parseRunNic(text: string, slot: number): RunNic {
  const bad = (why: string) => new UsageError(`Invalid argument format for option '--nic': '${text}' (${why})`);
  const [typed, ...words] = text.split(",");
  const model = nicModels.find((known) => known.toLowerCase() === typed.toLowerCase());
  if (model === undefined) throw bad(`models: ${nicModels.join(", ")}`);
  let net = "nat";
  let macAddress = newMacAddress();
  let cableConnected = true;
  let localhostReachable = false;
  let hasIpv6 = false;
  let traceFile: string | undefined;
  let tftpFolder = `${configurationFolder()}/TFTP`;
  let bootFile = "";
  let wire: WireFaults | undefined;
  const forwarding: ForwardingRule[] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    const [name, value] = equals < 0 ? [word, ""] : [word.slice(0, equals), word.slice(equals + 1)];
    switch (name) {
      case "net":
        net = value;
        break;
      case "mac":
        macAddress = value.replace(/[:-]/g, "").toUpperCase();
        if (!/^[0-9A-F][02468ACE][0-9A-F]{10}$/.test(macAddress)) throw bad("mac is twelve hexadecimal digits");
        break;
      case "cable":
        if (value !== "on" && value !== "off") throw bad("cable is on or off");
        cableConnected = value === "on";
        break;
      case "host-loopback":
        localhostReachable = true;
        break;
      case "ipv6":
        hasIpv6 = true;
        break;
      case "forward": {
        const parts = value.split(":");
        if (parts.length === 3) parts.splice(1, 0, "127.0.0.1");
        const [protocol, hostIp, hostPort, guestPort] = parts;
        const rule = parts.length === 4 && parseForwarding(`${value},${protocol},${hostIp},${hostPort},,${guestPort}`);
        if (!rule) throw bad("forward is tcp|udp:[HOSTIP:]HOSTPORT:GUESTPORT");
        forwarding.push(rule);
        break;
      }
      case "tftp":
        if (value === "") throw bad("tftp names a folder");
        tftpFolder = resolve(value);
        break;
      case "boot":
        bootFile = value;
        break;
      case "trace":
        if (value === "") throw bad("trace names a file");
        traceFile = resolve(value);
        break;
      case "wire":
        wire = parseWireFaults(value);
        if (wire === undefined) throw bad("wire is LOSS%:REORDER%:DELAYMS[:SEED]");
        break;
      default:
        throw bad(`there is no '${name}'`);
    }
  }
  const network = `10.0.${slot + 2}.0`;
  const ipv6 = hasIpv6
    ? {
        prefix: prefixFor(parseIpv4(network)!),
        isDefaultRouter: true,
        loopbackHost: localhostReachable ? LOOPBACK_HOST : 0,
      }
    : undefined;
  const nat = { ...defaultNatConfig, network: `${network}/24`, localhostReachable, forwarding, bootFile, ipv6 };
  const attachment = attachmentNamed(net, nat, tftpFolder);
  if (attachment === undefined)
    throw bad("net is nat, null, intnet:NAME, natnetwork:NAME, hostonly:DEVICE or bridged:DEVICE");
  return {
    spec: { slot, model, macAddress, cableConnected },
    description: { slot, attachment, macAddress, cableConnected, traceFile, wire },
  };
}

function attachmentNamed(net: string, nat: NatConfig, tftpFolder: string): NicAttachment | undefined {
  if (net === "nat") return { kind: "nat", nat, bindAddress: "", tftpFolder };
  if (net === "null") return { kind: "null" };
  const shared = /^natnetwork:(.+)$/.exec(net)?.[1];
  if (shared !== undefined) return { kind: "nat-network", name: shared };
  const [, mode, device] = /^(hostonly|bridged):(.+)$/.exec(net) ?? [];
  if (mode === "hostonly" || mode === "bridged")
    return { kind: "tap", mode, name: device, isPromiscuous: false, hearsUplink: false };
  const name = /^intnet:(.+)$/.exec(net)?.[1];
  return name === undefined ? undefined : { kind: "intnet", name, isPromiscuous: false };
}
