/**
 * An Ethernet switch between ports. As VirtualBox's internal networks it delivers a frame for one address to the port that
 * has it, and to promiscuous ports; an address that nobody has shown gets nobody else's attention. A port has the address it
 * was plugged in with and those that it has sent from. Frames for groups go everywhere.
 *
 * An uplink is a port with a network of the host behind it. It gets what is for no other port and learns nothing: a neighbour there
 * cannot take an address away from a machine here, nor can a machine here take the uplink's own.
 */

/** Addresses that one port may have; a guest that makes up more forgets its oldest. */
const MAX_ADDRESSES = 64;

export interface SwitchPortOptions {
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  readonly isPromiscuous: boolean;
  /** A promiscuous port hears what an uplink sends too, whoever it is for. */
  readonly hearsUplink?: boolean;
  readonly isUplink?: boolean;
  /** Takes a frame, valid during the call. */
  deliver(frame: Uint8Array): void;
}

export class FrameSwitch {
  readonly #ports = new Set<SwitchPort>();

  addPort(options: SwitchPortOptions): SwitchPort {
    const port = new SwitchPort(options, this.#ports);
    this.#ports.add(port);
    return port;
  }

  get portCount(): number {
    return this.#ports.size;
  }
}

export class SwitchPort {
  readonly #options: SwitchPortOptions;
  readonly #ports: Set<SwitchPort>;
  /** In the order of their appearance. */
  readonly #addresses = new Set<number>();

  constructor(options: SwitchPortOptions, ports: Set<SwitchPort>) {
    this.#options = options;
    this.#ports = ports;
    this.#addresses.add(addressAt(options.macAddress, 0));
  }

  /** A frame from this port. */
  send(frame: Uint8Array): void {
    if (frame.length < 14) return;
    const { isUplink } = this.#options;
    const source = addressAt(frame, 6);
    if (isUplink ? this.#isElsewhere(source) : this.#isUplinks(source)) return;
    if (!isUplink) this.#learn(source);
    const isGroup = (frame[0] & 1) !== 0;
    const destination = addressAt(frame, 0);
    const isOutside = !isGroup && !this.#isElsewhere(destination);
    for (const port of this.#ports) {
      if (port === this) continue;
      const { isPromiscuous, hearsUplink } = port.#options;
      const isFor = isGroup || port.#addresses.has(destination) || (isOutside && port.#options.isUplink);
      if (isFor || (isPromiscuous && (hearsUplink || !isUplink))) port.#options.deliver(frame);
    }
  }

  /** Another port has it. */
  #isElsewhere(address: number): boolean {
    for (const port of this.#ports) if (port !== this && port.#addresses.has(address)) return true;
    return false;
  }

  #isUplinks(address: number): boolean {
    for (const port of this.#ports) if (port.#options.isUplink && port.#addresses.has(address)) return true;
    return false;
  }

  /** Frames for that address (six bytes) come here from now on, whether or not it has sent any. */
  own(macAddress: Uint8Array): void {
    this.#learn(addressAt(macAddress, 0));
  }

  close(): void {
    this.#ports.delete(this);
  }

  #learn(address: number): void {
    if (this.#addresses.has(address)) return;
    // An address that moves to another port is no longer here.
    for (const port of this.#ports) port.#addresses.delete(address);
    this.#addresses.add(address);
    if (this.#addresses.size > MAX_ADDRESSES)
      for (const oldest of this.#addresses) return void this.#addresses.delete(oldest);
  }
}

/** Six bytes as a number below 2^48. */
function addressAt(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] << 8) | bytes[at + 1];
  return (
    high * 2 ** 32 + ((bytes[at + 2] << 24) | (bytes[at + 3] << 16) | (bytes[at + 4] << 8) | bytes[at + 5]) + 2 ** 31
  );
}
