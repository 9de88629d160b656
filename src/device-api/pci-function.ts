/**
 * A PCI function by composition: the device describes itself and gets a handle; config space, BAR sizing and decoding,
 * command-register gating and INTx routing belong to the framework (machine/). PCI Local Bus 2.2.
 */
import type { AccessSize, IoWindow } from "./io-window.ts";
import type { IrqLine } from "./irq-line.ts";

export interface PciBarConfig {
  readonly index: 0 | 1 | 2 | 3 | 4 | 5;
  readonly kind: "io" | "memory";
  /** A power of two; at least 4 for ports, 16 for memory. */
  readonly sizeBytes: number;
  readonly prefetchable?: boolean;
  /**
   * What answers accesses: a register window, or `"ram"` with the offset of directly mapped bytes in the machine's
   * device memory (frame buffers), handed out by `DeviceMemoryAllocator`.
   */
  readonly window: IoWindow | { readonly kind: "ram"; readonly memory: DeviceMemory };
  /** Address programmed at reset; 0 leaves it to the firmware. */
  readonly initialBase?: number;
}

/** Bytes that guest and device share directly (VRAM, option ROMs). Lives in the shared memory beside guest RAM. */
export interface DeviceMemory {
  readonly bytes: Uint8Array;
  /** Byte offset in the machine's WebAssembly memory. */
  readonly hostOffset: number;
}

export interface PciFunctionConfig {
  readonly name: string;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revision: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly classCode: number;
  readonly headerType?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  readonly bars?: readonly PciBarConfig[];
  /** 0 none, 1 INTA … 4 INTD. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** Initial bytes of device-specific registers (offset ≥ 40h, or fixed fields such as command). */
  readonly initial?: readonly { offset: number; size: AccessSize; value: number }[];
  /** Which bits of device-specific registers a guest may write; everything not listed is read-only. */
  readonly writable?: readonly { offset: number; size: AccessSize; mask: number }[];
  /** Called after config space changed by a guest write (offset and size of the write). */
  onConfigWrite?(offset: number, size: AccessSize): void;
  /** Expansion ROM contents, a power of two bytes; mapped by the framework when the guest enables it. */
  readonly expansionRom?: Uint8Array;
}

export interface PciFunctionHandle {
  /** The function's INTx wire (open if interruptPin is 0). */
  readonly intx: IrqLine;
  readConfig(offset: number, size: AccessSize): number;
  /** Writes config space as the device itself (no masks, no callback). */
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /** Bus-master enable of the command register: DMA without it must not happen. */
  readonly busMasterEnabled: boolean;
}
