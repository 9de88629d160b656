/** Who is on the guest's side: Ethernet addresses by IP address, bounded. */
import { addressKey, type IpAddress } from "./address.ts";

export interface Neighbour {
  readonly address: IpAddress;
  readonly mac: Uint8Array;
  /** False while it is being asked for. */
  isKnown: boolean;
  askedAtMs: number;
}

/** Of each family: who makes up IPv6 addresses, of which a guest has no end, pushes no IPv4 guest out. */
const LIMIT = 256;

export class Neighbours {
  readonly #ipv4 = new Map<number | string, Neighbour>();
  readonly #ipv6 = new Map<number | string, Neighbour>();

  #tableOf(address: IpAddress): Map<number | string, Neighbour> {
    return typeof address === "number" ? this.#ipv4 : this.#ipv6;
  }

  find(address: IpAddress): Neighbour | undefined {
    return this.#tableOf(address).get(addressKey(address));
  }

  /** The address's entry, made if need be; the oldest one gives way. */
  entry(address: IpAddress): Neighbour {
    const key = addressKey(address);
    const table = this.#tableOf(address);
    const present = table.get(key);
    if (present !== undefined) return present;
    if (table.size >= LIMIT) {
      for (const oldest of table.keys()) {
        table.delete(oldest);
        break;
      }
    }
    const made = { address, mac: new Uint8Array(6), isKnown: false, askedAtMs: Number.NEGATIVE_INFINITY };
    table.set(key, made);
    return made;
  }

  /** `address` is at the Ethernet address at `at` in `bytes`. Group addresses are nobody's. */
  learn(address: IpAddress, bytes: Uint8Array, at: number): void {
    if ((bytes[at] & 1) !== 0) return;
    const neighbour = this.entry(address);
    neighbour.isKnown = true;
    for (let i = 0; i < 6; i++) neighbour.mac[i] = bytes[at + i];
  }
}
