/** Who is on the guest's side: Ethernet addresses by IPv4 address, bounded. */

export interface Neighbour {
  readonly address: number;
  readonly mac: Uint8Array;
  /** False while an ARP request is out. */
  isKnown: boolean;
  askedAtMs: number;
}

const LIMIT = 256;

export class Neighbours {
  readonly #table = new Map<number, Neighbour>();

  find(address: number): Neighbour | undefined {
    return this.#table.get(address);
  }

  /** The address's entry, made if need be; the oldest one gives way. */
  entry(address: number): Neighbour {
    const present = this.#table.get(address);
    if (present !== undefined) return present;
    if (this.#table.size >= LIMIT) {
      for (const oldest of this.#table.keys()) {
        this.#table.delete(oldest);
        break;
      }
    }
    const made = { address, mac: new Uint8Array(6), isKnown: false, askedAtMs: Number.NEGATIVE_INFINITY };
    this.#table.set(address, made);
    return made;
  }

  /** `address` is at the Ethernet address at `at` in `bytes`. Group addresses are nobody's. */
  learn(address: number, bytes: Uint8Array, at: number): void {
    if ((bytes[at] & 1) !== 0) return;
    const neighbour = this.entry(address);
    neighbour.isKnown = true;
    for (let i = 0; i < 6; i++) neighbour.mac[i] = bytes[at + i];
  }
}
