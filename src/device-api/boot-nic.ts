/**
 * How the firmware reaches a network card's cable without driving the card: frames go straight to and from what the cable is plugged
 * into, so one network boot serves every model. Filled by machine/. All calls on the machine thread, none blocks.
 */
export interface BootNic {
  /** "NIC 1 (82540EM)", for the screen. */
  readonly name: string;
  /** Device number on PCI bus 0. */
  readonly pciSlot: number;
  readonly macAddress: Uint8Array;
  readonly isCableConnected: boolean;
  /** Frames go to the firmware from now on; the card sees none until `close`, or until its driver sends one. */
  open(): void;
  close(): void;
  readonly hasFrame: boolean;
  /** Moves the next frame into `target`, opening if need be; its length, 0 if there is none. One that does not fit is dropped. */
  receive(target: Uint8Array): number;
  /** False: no room now. A frame into an unplugged cable is gone. */
  send(frame: Uint8Array): boolean;
}
