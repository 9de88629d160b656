/**
 * What every network card has in common: how it is described to its factory and what can be done to it while it runs.
 * Frames cross `NetBackend` (backend-api/net.ts).
 */
import type { NetBackend } from "../backend-api/net.ts";
import type { Device } from "./device.ts";

export interface NetworkCardConfig {
  /** 1–8: NIC 1 of the command line; names the device "nic-1" … */
  readonly number: number;
  /** Device number on PCI bus 0. */
  readonly pciSlot: number;
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  readonly isCableConnected: boolean;
  /** Without one the link is as the cable says and nothing answers. */
  readonly backend?: NetBackend;
}

export interface NetworkCard extends Device {
  /** Plugs the cable in or pulls it out: drivers see the link go up or down. Kept across resets. */
  setCableConnected(isConnected: boolean): void;
}
