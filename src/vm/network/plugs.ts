/** From an attachment to what the cable is plugged into. */

import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { hostOnlyPrefix } from "../../config/dhcp-servers.ts";
import type { NicAttachment } from "../../config/nic-attachments.ts";
import { natNetworkFamily, tapFamily } from "../../control/network-switch.ts";
import { NatNetwork } from "../../net/nat-network.ts";
import { NodeHostNetwork } from "../host-network.ts";
import { startDhcpService } from "./dhcp-service.ts";
import { InternalNetwork } from "./internal-network.ts";
import { startNatService } from "./nat-service.ts";
import type { FrameSink, MakePlug, NetPlug } from "./nic-host.ts";
import { TapUplink } from "./tap-uplink.ts";
import { UdpTunnel } from "./udp-tunnel.ts";

/** One card's own NAT network. */
export class NatPlug implements NetPlug {
  readonly network: NatNetwork;

  constructor(attachment: NicAttachment & { readonly kind: "nat" }, toGuest: FrameSink, log: Logger) {
    const { nat, bindAddress, tftpFolder } = attachment;
    this.network = new NatNetwork(nat, new NodeHostNetwork({ bindAddress, tftpFolder }), toGuest, log);
  }
  send(frame: Uint8Array): void {
    this.network.receiveFrame(frame);
  }
  resume(): void {
    this.network.resume();
  }
  pause(): void {
    this.network.pause();
  }
  wake(): void {
    this.network.wake();
  }
  close(): void {
    this.network.close();
  }
}

/** For the card with that address (12 hexadecimal digits). undefined: in nothing. Throws one line for an attachment that cannot be had. */
export function plugFor(attachment: NicAttachment, macAddress: string, log: Logger): MakePlug | undefined {
  switch (attachment.kind) {
    case "null":
      return undefined;
    case "nat":
      return async (toGuest) => {
        const plug = new NatPlug(attachment, toGuest, log);
        await plug.network.start(log);
        return plug;
      };
    case "udp-tunnel":
      return (toGuest) => UdpTunnel.open(attachment, toGuest, log);
    case "nat-network":
      return (toGuest) =>
        InternalNetwork.join(
          {
            name: attachment.name,
            family: natNetworkFamily,
            service: (send, serviceLog) => startNatService(attachment.name, send, serviceLog),
            macAddress: Buffer.from(macAddress, "hex"),
            isPromiscuous: false,
          },
          toGuest,
          log,
        );
    case "intnet":
      return (toGuest) =>
        InternalNetwork.join(
          {
            ...attachment,
            service: (send, serviceLog) => startDhcpService(attachment.name, send, serviceLog),
            // Without addresses from it the guests still have a network.
            isServiceOptional: true,
            macAddress: Buffer.from(macAddress, "hex"),
          },
          toGuest,
          log,
        );
    case "tap": {
      const { mode, name } = attachment;
      const label = `${mode === "hostonly" ? "Host-only" : "Bridged"} Interface '${name}'`;
      return (toGuest) =>
        InternalNetwork.join(
          {
            ...attachment,
            family: tapFamily(mode),
            uplink: (port, isTakeOver, log) => TapUplink.open({ name, mode, label }, port, isTakeOver, log),
            // A bridge leads to somebody else's network, which has a server of its own or wants none.
            service:
              mode === "hostonly" ? (send, log) => startDhcpService(hostOnlyPrefix + name, send, log) : undefined,
            isServiceOptional: true,
            macAddress: Buffer.from(macAddress, "hex"),
          },
          toGuest,
          log,
        );
    }
    case "unavailable":
      throw new AnneauError(`no ${attachment.why}`);
  }
}
