/**
 * Virtio over PCI (Virtual I/O Device 1.2, section 4.1): a transitional device with the legacy registers in ports at BAR 0
 * (4.1.4.10) and the modern structures in memory at BAR 4. Feature negotiation, status, queues and the interrupt are here;
 * what the queues mean is the device's. Interrupts are INTx: no MSI-X. Not modelled: the configuration access capability.
 */
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import { type AccessSize, allOnes, type IoWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { PciFunctionConfig } from "../../device-api/pci-function.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Virtqueue } from "./virtqueue.ts";

export const VENDOR_VIRTIO = 0x1af4;
/** Feature bits of every device. */
export const F_ANY_LAYOUT = 27;
export const F_INDIRECT_DESC = 28;
export const F_EVENT_IDX = 29;
export const F_VERSION_1 = 32;

export const STATUS_DRIVER_OK = 0x04;
export const STATUS_FEATURES_OK = 0x08;
const STATUS_NEEDS_RESET = 0x40;
const ISR_QUEUE = 1;
const ISR_CONFIG = 2;
const NO_VECTOR = 0xffff;

/** Legacy registers. */
const L_HOST_FEATURES = 0;
const L_GUEST_FEATURES = 4;
const L_QUEUE_PFN = 8;
const L_QUEUE_SIZE = 12;
const L_QUEUE_SELECT = 14;
const L_QUEUE_NOTIFY = 16;
const L_STATUS = 18;
const L_ISR = 19;
const L_CONFIG = 20;
const LEGACY_BYTES = 64;
const LEGACY_PAGE = 4096;

/** Modern structures in BAR 4. */
const BAR_BYTES = 0x4000;
const COMMON = 0x0000;
const ISR = 0x1000;
const DEVICE = 0x2000;
const NOTIFY = 0x3000;
const REGION_BYTES = 0x1000;
const NOTIFY_MULTIPLIER = 4;

const PCI_STATUS = 0x06;
const CAPABILITIES_POINTER = 0x34;
const FIRST_CAPABILITY = 0x40;
const CAP_VENDOR = 0x09;

/** What the transport asks of a device, and tells it. */
export interface VirtioDevice {
  /** 1: network … */
  readonly type: number;
  /** Offered feature bits 0–31 beside those of the transport. */
  readonly features: number;
  /** Sizes of the queues, powers of two. */
  readonly queueSizes: readonly number[];
  readonly configBytes: number;
  readConfigByte(offset: number): number;
  writeConfigByte(offset: number, value: number): void;
  /** Back to the start: the driver wrote status 0, or the machine was reset. */
  reset(): void;
  /** The driver has chosen its features and is ready. */
  start(): void;
  /** The driver has put something into a queue. */
  notified(queue: number): void;
}

export class VirtioPciTransport {
  readonly queues: readonly Virtqueue[];
  readonly #device: VirtioDevice;
  readonly #interrupt: IrqLine;
  readonly #isBusMaster: () => boolean;
  #status = 0;
  #isr = 0;
  #queueSelect = 0;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  /** Bits 0–31, 32–63. */
  readonly #driverFeatures = new Uint32Array(2);
  #configGeneration = 0;
  #isLegacy = false;

  constructor(device: VirtioDevice, memory: GuestMemory, interrupt: IrqLine, isBusMaster: () => boolean) {
    this.#device = device;
    this.#interrupt = interrupt;
    this.#isBusMaster = isBusMaster;
    this.queues = device.queueSizes.map((size) => new Virtqueue(memory, size));
  }

  /** The driver has accepted feature `bit`. */
  hasFeature(bit: number): boolean {
    return ((this.#driverFeatures[bit >>> 5] >>> (bit & 31)) & 1) !== 0;
  }

  /** Queues may be worked on. Legacy drivers of old forgot to switch bus mastering on. */
  get canRun(): boolean {
    const isReady = (this.#status & STATUS_DRIVER_OK) !== 0 && (this.#status & STATUS_NEEDS_RESET) === 0;
    return isReady && (this.#isLegacy || this.#isBusMaster());
  }

  /** After chains were put into a used ring: shows them, interrupts if the driver wants that. */
  publish(queue: number): void {
    if (this.queues[queue].publish()) this.#raise(ISR_QUEUE);
  }

  /** The device's configuration has changed by itself. */
  configChanged(): void {
    this.#configGeneration = (this.#configGeneration + 1) & 0xff;
    if ((this.#status & STATUS_DRIVER_OK) !== 0) this.#raise(ISR_CONFIG);
  }

  /** A queue made no sense: the driver has to start over. */
  fail(): void {
    if ((this.#status & STATUS_NEEDS_RESET) !== 0) return;
    this.#status |= STATUS_NEEDS_RESET;
    this.configChanged();
  }

  reset(): void {
    for (const queue of this.queues) queue.reset();
    this.#status = 0;
    this.#queueSelect = 0;
    this.#deviceFeatureSelect = 0;
    this.#driverFeatureSelect = 0;
    this.#driverFeatures.fill(0);
    this.#isLegacy = false;
    this.#isr = 0;
    this.#interrupt.lower();
    this.#device.reset();
  }

  #raise(cause: number): void {
    this.#isr |= cause;
    this.#interrupt.raise();
  }

  #takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#interrupt.lower();
    return isr;
  }

  #features(word: number): number {
    const common = (1 << F_ANY_LAYOUT) | (1 << F_INDIRECT_DESC) | (1 << F_EVENT_IDX);
    if (word === 0) return (this.#device.features | common) >>> 0;
    return word === 1 ? 1 << (F_VERSION_1 - 32) : 0;
  }

  #setStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const isNowOk = (value & ~this.#status & STATUS_DRIVER_OK) !== 0;
    let status = value & 0xff;
    // A modern driver has to accept what a modern device is.
    if (!this.#isLegacy && (status & STATUS_FEATURES_OK) !== 0 && !this.hasFeature(F_VERSION_1))
      status &= ~STATUS_FEATURES_OK;
    this.#status = (this.#status & STATUS_NEEDS_RESET) | status;
    if (!isNowOk) return;
    for (const queue of this.queues) queue.hasEventIndex = this.hasFeature(F_EVENT_IDX);
    this.#device.start();
  }

  #notify(queue: number): void {
    if (this.queues[queue] !== undefined && this.canRun) this.#device.notified(queue);
  }

  get #selected(): Virtqueue | undefined {
    return this.queues[this.#queueSelect];
  }

  // --- legacy registers ---

  readonly legacyWindow: IoWindow = {
    read: (offset, size) => {
      if (offset >= L_CONFIG) return this.#readConfig(offset - L_CONFIG, size);
      switch (offset) {
        case L_HOST_FEATURES:
          return clip(this.#features(0), size);
        case L_GUEST_FEATURES:
          return clip(this.#driverFeatures[0], size);
        case L_QUEUE_PFN: {
          const queue = this.#selected;
          return clip(queue?.isEnabled ? queue.descriptorTable / LEGACY_PAGE : 0, size);
        }
        case L_QUEUE_SIZE:
          return clip(this.#selected?.maxSize ?? 0, size);
        case L_QUEUE_SELECT:
          return clip(this.#queueSelect, size);
        case L_STATUS:
          return size === 1 ? this.#status : this.#status | (this.#takeIsr() << 8);
        case L_ISR:
          return this.#takeIsr();
        default:
          return 0;
      }
    },
    write: (offset, size, value) => {
      if (offset >= L_CONFIG) {
        this.#writeConfig(offset - L_CONFIG, size, value);
        return;
      }
      switch (offset) {
        case L_GUEST_FEATURES:
          this.#isLegacy = true;
          this.#driverFeatures[0] = value & this.#features(0);
          this.#driverFeatures[1] = 0;
          break;
        case L_QUEUE_PFN:
          this.#isLegacy = true;
          this.#placeLegacyQueue(value);
          break;
        case L_QUEUE_SELECT:
          this.#queueSelect = value & 0xffff;
          break;
        case L_QUEUE_NOTIFY:
          this.#notify(value & 0xffff);
          break;
        case L_STATUS:
          this.#isLegacy = true;
          this.#setStatus(value & 0xff);
          break;
      }
    },
  };

  /** Table, available ring and, from the next page, used ring. */
  #placeLegacyQueue(pageNumber: number): void {
    const queue = this.#selected;
    if (queue === undefined) return;
    queue.reset();
    if (pageNumber === 0) return;
    queue.descriptorTable = pageNumber * LEGACY_PAGE;
    queue.availableRing = queue.descriptorTable + 16 * queue.size;
    const end = queue.availableRing + 6 + 2 * queue.size;
    queue.usedRing = Math.ceil(end / LEGACY_PAGE) * LEGACY_PAGE;
    queue.hasEventIndex = this.hasFeature(F_EVENT_IDX);
    queue.isEnabled = true;
  }

  // --- modern structures ---

  readonly modernWindow: IoWindow = {
    read: (offset, size) => {
      if (offset >= NOTIFY) return 0;
      if (offset >= DEVICE) return this.#readConfig(offset - DEVICE, size);
      if (offset >= ISR) return offset === ISR ? this.#takeIsr() : 0;
      return clip(this.#readCommon(offset), size);
    },
    write: (offset, size, value) => {
      if (offset >= NOTIFY) this.#notify(Math.floor((offset - NOTIFY) / NOTIFY_MULTIPLIER));
      else if (offset >= DEVICE) this.#writeConfig(offset - DEVICE, size, value);
      else if (offset < ISR) this.#writeCommon(offset, value);
    },
  };

  #readCommon(offset: number): number {
    const queue = this.#selected;
    switch (offset) {
      case 0:
        return this.#deviceFeatureSelect;
      case 4:
        return this.#features(this.#deviceFeatureSelect);
      case 8:
        return this.#driverFeatureSelect;
      case 12:
        return this.#driverFeatures[this.#driverFeatureSelect] ?? 0;
      case 16:
      case 26:
        return NO_VECTOR;
      case 18:
        return this.queues.length;
      case 20:
        return this.#status;
      case 21:
        return this.#configGeneration;
      case 22:
        return this.#queueSelect;
      case 24:
        return queue?.size ?? 0;
      case 28:
        return queue?.isEnabled ? 1 : 0;
      case 30:
        return queue === undefined ? 0 : this.#queueSelect;
      case 32:
        return half(queue?.descriptorTable, false);
      case 36:
        return half(queue?.descriptorTable, true);
      case 40:
        return half(queue?.availableRing, false);
      case 44:
        return half(queue?.availableRing, true);
      case 48:
        return half(queue?.usedRing, false);
      case 52:
        return half(queue?.usedRing, true);
      default:
        return 0;
    }
  }

  #writeCommon(offset: number, value: number): void {
    switch (offset) {
      case 0:
        this.#deviceFeatureSelect = value;
        return;
      case 8:
        this.#driverFeatureSelect = value;
        return;
      case 12:
        if (this.#driverFeatureSelect < 2 && (this.#status & STATUS_FEATURES_OK) === 0)
          this.#driverFeatures[this.#driverFeatureSelect] = value & this.#features(this.#driverFeatureSelect);
        return;
      case 20:
        this.#setStatus(value & 0xff);
        return;
      case 22:
        this.#queueSelect = value & 0xffff;
        return;
    }
    const queue = this.#selected;
    if (queue === undefined || queue.isEnabled) return;
    switch (offset) {
      case 24:
        if (value > 0 && value <= queue.maxSize && (value & (value - 1)) === 0) queue.size = value;
        break;
      case 28:
        if (value === 1) {
          queue.hasEventIndex = this.hasFeature(F_EVENT_IDX);
          queue.isEnabled = true;
        }
        break;
      case 32:
      case 36:
        queue.descriptorTable = withHalf(queue.descriptorTable, value, offset === 36);
        break;
      case 40:
      case 44:
        queue.availableRing = withHalf(queue.availableRing, value, offset === 44);
        break;
      case 48:
      case 52:
        queue.usedRing = withHalf(queue.usedRing, value, offset === 52);
        break;
    }
  }

  #readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) {
      const byte = offset + i < this.#device.configBytes ? this.#device.readConfigByte(offset + i) : 0;
      value = value * 256 + byte;
    }
    return value;
  }
  #writeConfig(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size && offset + i < this.#device.configBytes; i++)
      this.#device.writeConfigByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** What the PCI function of such a device has beside name and class. */
  pciConfig(): Pick<
    PciFunctionConfig,
    "vendorId" | "deviceId" | "subsystemVendorId" | "subsystemId" | "bars" | "initial"
  > {
    const capabilities = [
      { type: 1, offset: COMMON, extra: [] },
      { type: 2, offset: NOTIFY, extra: [NOTIFY_MULTIPLIER, 0, 0, 0] },
      { type: 3, offset: ISR, extra: [] },
      { type: 4, offset: DEVICE, extra: [] },
    ];
    const initial: { offset: number; size: AccessSize; value: number }[] = [
      { offset: PCI_STATUS, size: 2, value: 0x0010 },
      { offset: CAPABILITIES_POINTER, size: 1, value: FIRST_CAPABILITY },
    ];
    let at = FIRST_CAPABILITY;
    capabilities.forEach(({ type, offset, extra }, i) => {
      const length = 16 + extra.length;
      const next = i === capabilities.length - 1 ? 0 : at + length;
      const bytes = [CAP_VENDOR, next, length, type, 4, 0, 0, 0, ...word(offset), ...word(REGION_BYTES), ...extra];
      bytes.forEach((value, k) => {
        initial.push({ offset: at + k, size: 1, value });
      });
      at += length;
    });
    return {
      vendorId: VENDOR_VIRTIO,
      // Transitional ids count from 1000h in an order of their own; network is the first.
      deviceId: 0x1000 + transitionalIds.indexOf(this.#device.type),
      subsystemVendorId: VENDOR_VIRTIO,
      subsystemId: this.#device.type,
      bars: [
        { index: 0, kind: "io", sizeBytes: LEGACY_BYTES, window: this.legacyWindow },
        { index: 4, kind: "memory", sizeBytes: BAR_BYTES, window: this.modernWindow },
      ],
      initial,
    };
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      queues: this.queues.map((queue) => queue.save()),
      status: this.#status,
      isr: this.#isr,
      queueSelect: this.#queueSelect,
      deviceFeatureSelect: this.#deviceFeatureSelect,
      driverFeatureSelect: this.#driverFeatureSelect,
      driverFeatures: [...this.#driverFeatures],
      configGeneration: this.#configGeneration,
      isLegacy: this.#isLegacy,
    };
  }

  load(state: StateReader): void {
    state.children("queues", this.queues.length).forEach((queue, i) => {
      this.queues[i].load(queue);
    });
    this.#status = state.byte("status");
    this.#isr = state.byte("isr");
    this.#queueSelect = state.integer("queueSelect", 0, 0xffff);
    this.#deviceFeatureSelect = state.integer("deviceFeatureSelect", 0, 0xffffffff);
    this.#driverFeatureSelect = state.integer("driverFeatureSelect", 0, 0xffffffff);
    this.#driverFeatures.set(state.integers("driverFeatures", 2, 2, 0, 0xffffffff));
    this.#configGeneration = state.byte("configGeneration");
    this.#isLegacy = state.boolean("isLegacy");
    state.end();
  }
}

/** Device types in the order of the transitional PCI ids: network, block, balloon, console, SCSI, entropy. */
const transitionalIds = [1, 2, 5, 3, 8, 4];

function clip(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & allOnes(size);
}
function half(address: number | undefined, isHigh: boolean): number {
  const value = address ?? 0;
  return isHigh ? Math.floor(value / 0x1_0000_0000) : value % 0x1_0000_0000;
}
/** Addresses stay below 2^53: what is above no memory has anyway. */
function withHalf(address: number, value: number, isHigh: boolean): number {
  return isHigh
    ? (value & 0x1f_ffff) * 0x1_0000_0000 + half(address, false)
    : half(address, true) * 0x1_0000_0000 + value;
}
function word(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
