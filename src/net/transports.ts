/** What carries the guest's data over either family of IP. */
import type { IpAddress } from "./address.ts";

/** unreachable: nobody listens there, and the sender is to be told; dropped: it makes no sense or leads nowhere. */
export type UdpOutcome = "taken" | "unreachable" | "dropped";

export interface Transports {
  /** A segment of `length` bytes at `at` of `packet`, from a guest to one of our addresses or a foreign one. */
  receiveTcp(packet: Uint8Array, at: number, length: number, source: IpAddress, destination: IpAddress): void;
  /** A datagram, likewise. */
  receiveUdp(packet: Uint8Array, at: number, length: number, source: IpAddress, destination: IpAddress): UdpOutcome;
}
