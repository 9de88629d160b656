/**
 * Between a network card and its cable: lets the firmware use the cable while no driver does (network boot). The card's own
 * driver wins: its first frame closes the firmware's end.
 */
import type { NetBackend } from "../backend-api/net.ts";
import type { BootNic } from "../device-api/boot-nic.ts";

export interface BootNicOptions {
  readonly name: string;
  readonly pciSlot: number;
  readonly macAddress: Uint8Array;
  readonly isCableConnected: boolean;
  readonly backend: NetBackend | undefined;
}

/** Towards the firmware a BootNic, towards the card (`card`) what it is plugged into. */
export class SharedCable implements BootNic {
  readonly name: string;
  readonly pciSlot: number;
  readonly macAddress: Uint8Array;
  isCableConnected: boolean;
  /** Undefined where nothing answers at the other end. */
  readonly card: NetBackend | undefined;
  readonly #backend: NetBackend | undefined;
  readonly #listeners: (() => void)[] = [];
  #isOpen = false;

  constructor({ name, pciSlot, macAddress, isCableConnected, backend }: BootNicOptions) {
    this.name = name;
    this.pciSlot = pciSlot;
    this.macAddress = macAddress;
    this.isCableConnected = isCableConnected;
    this.#backend = backend;
    this.card = backend === undefined ? undefined : this.#cardEnd(backend);
  }

  open(): void {
    this.#isOpen = true;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const listener of this.#listeners) listener();
  }

  get hasFrame(): boolean {
    return (this.#backend?.readableBytes ?? 0) > 0;
  }

  receive(target: Uint8Array): number {
    this.open();
    const length = this.#backend?.receive(target) ?? 0;
    return this.isCableConnected ? length : 0;
  }

  send(frame: Uint8Array): boolean {
    this.open();
    if (!this.isCableConnected || this.#backend === undefined) return true;
    return this.#backend.send(frame);
  }

  #cardEnd(backend: NetBackend): NetBackend {
    const isTaken = () => this.#isOpen;
    backend.onEvent(() => {
      if (!this.#isOpen) for (const listener of this.#listeners) listener();
    });
    return {
      send: (frame) => {
        this.#isOpen = false;
        return backend.send(frame);
      },
      get readableBytes() {
        return isTaken() ? 0 : backend.readableBytes;
      },
      receive: (target) => (isTaken() ? 0 : backend.receive(target)),
      onEvent: (listener) => this.#listeners.push(listener),
    };
  }
}
