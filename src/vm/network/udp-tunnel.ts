/**
 * VirtualBox's UDP tunnel: each frame is a datagram's payload between two machines' cards. Only the named destination is
 * heard. Frames that the host cannot send at once are lost, as on a wire.
 */
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { FrameSink, NetPlug } from "./nic-host.ts";

export interface UdpTunnelAddress {
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const MIN_FRAME_BYTES = 14;
const MAX_QUEUED_BYTES = 1 << 20;

export class UdpTunnel implements NetPlug {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Binds the source port (on loopback only, if the destination is there) and connects. Rejects with one line. */
  static async open(to: UdpTunnelAddress, toGuest: FrameSink, log: Logger): Promise<UdpTunnel> {
    const name = `UDP tunnel to ${to.destination}:${to.destinationPort}`;
    try {
      const { address, family } = await lookup(to.destination);
      const socket = createSocket({ type: family === 6 ? "udp6" : "udp4" });
      const isLocal = family === 6 ? address === "::1" : address.startsWith("127.");
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(to.sourcePort, isLocal ? address.replace(/^127\..*/, "127.0.0.1") : undefined, () =>
          socket.connect(to.destinationPort, address, () => resolve()),
        );
      }).catch((error) => {
        socket.close();
        throw error;
      });
      socket.removeAllListeners("error");
      // A peer that is not there (yet) is answered with ICMP errors: a cable without a partner.
      socket.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "ECONNREFUSED") log.warn(`${name}: ${error.code ?? error.message}`);
      });
      socket.on("message", (frame) => {
        if (frame.length >= MIN_FRAME_BYTES) toGuest(frame);
      });
      return new UdpTunnel(socket);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new AnneauError(`${name} from port ${to.sourcePort} cannot be (${code ?? message})`, { cause: error });
    }
  }

  send(frame: Uint8Array): void {
    if (this.#socket.getSendQueueSize() > MAX_QUEUED_BYTES) return;
    // The frame is only lent, the socket keeps what it gets.
    this.#socket.send(frame.slice(), () => {});
  }

  close(): void {
    this.#socket.close();
  }
}
