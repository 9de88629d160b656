/** Who is on the guest's side: Ethernet addresses by IP address, bounded. */
import { addressKey, type IpAddress } from "./address.ts";

export interface Neighbour {
  readonly address: IpAddress;
  readonly mac: Uint8Array;
  /** False while it is being asked for. */
  isKnown: boolean;
  askedAtMs: number;
}

const LIMIT = 256;

export class Neighbours {
  readonly #table = new Map<number | string, Neighbour>();

  find(address: IpAddress): Neighbour | undefined {
    return this.#table.get(addressKey(address));
  }

  /** The address's entry, made if need be; the oldest one gives way. */
  entry(address: IpAddress): Neighbour {
    const key = addressKey(address);
    const present = this.#table.get(key);
    if (present !== undefined) return present;
    if (this.#table.size >= LIMIT) {
      for (const oldest of this.#table.keys()) {
        this.#table.delete(oldest);
        break;
      }
    }
    const made = { address, mac: new Uint8Array(6), isKnown: false, askedAtMs: Number.NEGATIVE_INFINITY };
    this.#table.set(key, made);
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
