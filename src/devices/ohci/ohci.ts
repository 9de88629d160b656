/**
 * An OpenHCI 1.0a host controller and its root hub. Frames come once a millisecond while there is something to do: a list that
 * the guest has filled, a device with news, an interrupt that the guest wants for every frame. Else only the frame number goes on, some
 * times a second: an idle guest stays idle. A guest cannot tell, as packets that are answered NAK leave no trace.
 *
 * Not modelled: isochronous transfers, legacy support (the PS/2 devices stay), over-current, power switching, ownership by SMM.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";
import { NO_DELAY, Transfers } from "./transfer.ts";
import type { UsbDevice } from "./usb-device.ts";

const FRAME_NS = 1_000_000;
/** Drivers look four times a second whether the frame number moves. */
const IDLE_FRAMES = 64;
const PORT_RESET_NS = 10_000_000;
/** A device whose news nobody fetches in this time does not keep the frames coming. */
const UNWANTED_NS = 100_000_000;
/** A device that was asked within this time is in use. */
const IN_USE_NS = 500_000_000;
export const PORTS = 12;

export interface OhciConfig {
  readonly clock: Clock;
  readonly memory: GuestMemory;
  readonly setInterrupt: (level: boolean) => void;
  readonly isBusMaster: () => boolean;
  /** From port 1 on. */
  readonly devices: readonly UsbDevice[];
}

class Port {
  readonly device: UsbDevice | undefined;
  status = 0;
  lastPolledNs = Number.NEGATIVE_INFINITY;
  newsSinceNs = Number.POSITIVE_INFINITY;
  constructor(device: UsbDevice | undefined) {
    this.device = device;
  }
}

export class Ohci implements IoWindow {
  readonly #config: OhciConfig;
  readonly #transfers: Transfers;
  readonly #frameTimer: Timer;
  readonly #resetTimer: Timer;
  readonly #ports: readonly Port[];
  #control = 0;
  #command = 0;
  #status = 0;
  #enable = 0;
  #hcca = 0;
  #controlHead = 0;
  #bulkHead = 0;
  #controlCurrent = 0;
  #bulkCurrent = 0;
  #interval = R.FM_INTERVAL_DEFAULT;
  #periodicStart = 0;
  #lsThreshold = R.LS_THRESHOLD_DEFAULT;
  #descriptorB = 0;
  #hasHubWake = false;
  /** The last frame, and when it began. */
  #frame = 0;
  #frameAtNs = 0;

  constructor(config: OhciConfig) {
    this.#config = config;
    this.#ports = Array.from({ length: PORTS }, (_, i) => new Port(config.devices[i]));
    this.#frameTimer = config.clock.createTimer("ohci frame", () => this.#runFrame());
    this.#resetTimer = config.clock.createTimer("ohci port reset", () => this.#endPortResets());
    this.#transfers = new Transfers(config.memory, {
      deviceAt: (address) => this.#deviceAt(address),
      onPolled: (device) => {
        const port = this.#ports.find((one) => one.device === device);
        if (port === undefined) return;
        port.lastPolledNs = this.#frameAtNs;
        port.newsSinceNs = this.#frameAtNs;
      },
    });
    this.reset();
  }

  /** The reset line. */
  reset(): void {
    this.#resetRegisters();
    this.#control = R.HCFS_RESET;
    for (const port of this.#ports) {
      port.device?.busReset();
      port.status = R.PORT_PPS | (port.device ? R.PORT_CCS | R.PORT_CSC : 0);
      port.lastPolledNs = Number.NEGATIVE_INFINITY;
      port.newsSinceNs = Number.POSITIVE_INFINITY;
    }
    this.#resetTimer.cancel();
    this.#updateInterrupt();
  }

  #resetRegisters(): void {
    this.#command = 0;
    this.#status = 0;
    this.#enable = 0;
    this.#hcca = 0;
    this.#controlHead = 0;
    this.#bulkHead = 0;
    this.#controlCurrent = 0;
    this.#bulkCurrent = 0;
    this.#interval = R.FM_INTERVAL_DEFAULT;
    this.#periodicStart = 0;
    this.#lsThreshold = R.LS_THRESHOLD_DEFAULT;
    this.#frame = 0;
    this.#transfers.reset();
    this.#frameTimer.cancel();
  }

  get #functionalState(): number {
    return this.#control & R.CONTROL_HCFS;
  }

  /** The host has set the device up and asks for its reports. */
  isInUse(device: UsbDevice): boolean {
    const port = this.#ports.find((one) => one.device === device);
    if (port === undefined || !device.isConfigured || this.#functionalState !== R.HCFS_OPERATIONAL) return false;
    return this.#config.clock.nowNs() - port.lastPolledNs < IN_USE_NS;
  }

  /** A device has something to tell. */
  hasNews(device: UsbDevice): void {
    const port = this.#ports.find((one) => one.device === device);
    if (port === undefined) return;
    if (port.newsSinceNs === Number.POSITIVE_INFINITY) port.newsSinceNs = this.#config.clock.nowNs();
    if (device.canWake) this.#wake(port);
    this.#kick();
  }

  /** Resume signalling of a device that sleeps. */
  #wake(port: Port): void {
    const isPortAsleep = (port.status & R.PORT_PSS) !== 0;
    if (isPortAsleep) {
      port.status &= ~R.PORT_PSS;
      this.#change(port, R.PORT_PSSC);
    }
    if (this.#functionalState !== R.HCFS_SUSPEND) return;
    this.#control = (this.#control & ~R.CONTROL_HCFS) | R.HCFS_RESUME;
    this.#raise(R.INTERRUPT_RD);
  }

  read(offset: number, size: AccessSize): number {
    const word = this.#readRegister(offset & ~3) >>> 0;
    if (size === 4) return word;
    const part = word >>> (8 * (offset & 3));
    return size === 1 ? part & 0xff : part & 0xffff;
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case R.HC_REVISION:
        return R.REVISION;
      case R.HC_CONTROL:
        return this.#control;
      case R.HC_COMMAND_STATUS:
        return this.#command;
      case R.HC_INTERRUPT_STATUS:
        return this.#status;
      case R.HC_INTERRUPT_ENABLE:
      case R.HC_INTERRUPT_DISABLE:
        return this.#enable;
      case R.HC_HCCA:
        return this.#hcca;
      case R.HC_CONTROL_HEAD_ED:
        return this.#controlHead;
      case R.HC_CONTROL_CURRENT_ED:
        return this.#controlCurrent;
      case R.HC_BULK_HEAD_ED:
        return this.#bulkHead;
      case R.HC_BULK_CURRENT_ED:
        return this.#bulkCurrent;
      case R.HC_DONE_HEAD:
        return this.#transfers.doneHead;
      case R.HC_FM_INTERVAL:
        return this.#interval;
      case R.HC_FM_REMAINING:
        return this.#remaining();
      case R.HC_FM_NUMBER:
        return this.#currentFrame();
      case R.HC_PERIODIC_START:
        return this.#periodicStart;
      case R.HC_LS_THRESHOLD:
        return this.#lsThreshold;
      case R.HC_RH_DESCRIPTOR_A:
        return PORTS | R.RHA_NPS | R.RHA_NOCP | (2 << 24);
      case R.HC_RH_DESCRIPTOR_B:
        return this.#descriptorB;
      case R.HC_RH_STATUS:
        return this.#hasHubWake ? 1 << 15 : 0;
    }
    const index = (offset - R.HC_RH_PORT_STATUS) / 4;
    return index >= 0 && index < PORTS ? this.#ports[index].status : 0;
  }

  #currentFrame(): number {
    if (this.#functionalState !== R.HCFS_OPERATIONAL) return this.#frame;
    return (this.#frame + Math.floor((this.#config.clock.nowNs() - this.#frameAtNs) / FRAME_NS)) & 0xffff;
  }

  /** Bit times left in the frame, and the toggle of the interval that it runs by. */
  #remaining(): number {
    if (this.#functionalState !== R.HCFS_OPERATIONAL) return 0;
    const inFrame = ((this.#config.clock.nowNs() - this.#frameAtNs) % FRAME_NS) / FRAME_NS;
    return Math.floor((this.#interval & 0x3fff) * (1 - inFrame)) | (this.#interval & 0x8000_0000);
  }

  /** Registers are 32 bits wide; other accesses are not decoded. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || (offset & 3) !== 0) return;
    this.#writeRegister(offset, value | 0);
    this.#updateInterrupt();
  }

  #writeRegister(offset: number, value: number): void {
    switch (offset) {
      case R.HC_CONTROL:
        this.#writeControl(value);
        break;
      case R.HC_COMMAND_STATUS:
        if ((value & R.COMMAND_HCR) !== 0) {
          this.#resetRegisters();
          this.#control = (this.#control & R.CONTROL_RWC) | R.HCFS_SUSPEND;
          break;
        }
        this.#command |= value & (R.COMMAND_CLF | R.COMMAND_BLF);
        this.#kick();
        break;
      case R.HC_INTERRUPT_STATUS:
        this.#status &= ~value;
        // A queue of finished transfers may have waited for this.
        if ((value & R.INTERRUPT_WDH) !== 0 && this.#transfers.doneHead !== 0) this.#kick();
        break;
      case R.HC_INTERRUPT_ENABLE:
        this.#enable |= value & (R.INTERRUPT_ALL | R.INTERRUPT_MIE);
        this.#kick();
        break;
      case R.HC_INTERRUPT_DISABLE:
        this.#enable &= ~value;
        break;
      case R.HC_HCCA:
        this.#hcca = value & ~0xff;
        break;
      case R.HC_CONTROL_HEAD_ED:
        this.#controlHead = value & ~15;
        break;
      case R.HC_CONTROL_CURRENT_ED:
        this.#controlCurrent = value & ~15;
        break;
      case R.HC_BULK_HEAD_ED:
        this.#bulkHead = value & ~15;
        break;
      case R.HC_BULK_CURRENT_ED:
        this.#bulkCurrent = value & ~15;
        break;
      case R.HC_FM_INTERVAL:
        this.#interval = value & 0xffff_3fff;
        break;
      case R.HC_PERIODIC_START:
        this.#periodicStart = value & 0x3fff;
        break;
      case R.HC_LS_THRESHOLD:
        this.#lsThreshold = value & 0xfff;
        break;
      case R.HC_RH_DESCRIPTOR_B:
        this.#descriptorB = value;
        break;
      case R.HC_RH_STATUS:
        if ((value & (1 << 15)) !== 0) this.#hasHubWake = true;
        if ((value & 0x8000_0000) !== 0) this.#hasHubWake = false;
        break;
      default: {
        const index = (offset - R.HC_RH_PORT_STATUS) / 4;
        if (index >= 0 && index < PORTS) this.#writePort(this.#ports[index], value);
      }
    }
  }

  #writeControl(value: number): void {
    const before = this.#functionalState;
    this.#control = value & R.CONTROL_WRITABLE;
    const now = this.#functionalState;
    if (now === before) {
      this.#kick();
      return;
    }
    if (now === R.HCFS_OPERATIONAL) {
      this.#frameAtNs = this.#config.clock.nowNs();
      this.#frameTimer.armAt(this.#frameAtNs + FRAME_NS);
      return;
    }
    this.#frameTimer.cancel();
    if (now === R.HCFS_RESET) this.#resetBus();
  }

  #resetBus(): void {
    for (const port of this.#ports) {
      if (port.device === undefined) continue;
      port.device.busReset();
      port.status &= ~(R.PORT_PES | R.PORT_PSS | R.PORT_PRS);
      this.#change(port, R.PORT_CSC);
    }
    this.#resetTimer.cancel();
  }

  #writePort(port: Port, value: number): void {
    port.status &= ~(value & R.PORT_CHANGES);
    if ((value & R.PORT_CLEAR_ENABLE) !== 0) port.status &= ~R.PORT_PES;
    const isConnected = port.device !== undefined;
    const wants = value & (R.PORT_SET_ENABLE | R.PORT_SET_SUSPEND | R.PORT_SET_RESET);
    // A wish for a port without a device tells the driver that it is out of date.
    if (wants !== 0 && !isConnected) this.#change(port, R.PORT_CSC);
    if (!isConnected) return;
    if ((value & R.PORT_SET_ENABLE) !== 0) port.status |= R.PORT_PES;
    if ((value & R.PORT_SET_SUSPEND) !== 0) port.status |= R.PORT_PSS;
    if ((value & R.PORT_CLEAR_SUSPEND) !== 0 && (port.status & R.PORT_PSS) !== 0) {
      port.status &= ~R.PORT_PSS;
      this.#change(port, R.PORT_PSSC);
    }
    if ((value & R.PORT_SET_RESET) !== 0) {
      port.device?.busReset();
      port.status = (port.status & ~(R.PORT_PES | R.PORT_PSS)) | R.PORT_PRS;
      this.#resetTimer.armAfter(PORT_RESET_NS);
    }
  }

  #endPortResets(): void {
    for (const port of this.#ports) {
      if ((port.status & R.PORT_PRS) === 0) continue;
      port.status = (port.status & ~R.PORT_PRS) | R.PORT_PES;
      this.#change(port, R.PORT_PRSC);
    }
  }

  #change(port: Port, bit: number): void {
    port.status |= bit;
    this.#raise(R.INTERRUPT_RHSC);
  }

  #deviceAt(address: number): UsbDevice | undefined {
    for (const { device, status } of this.#ports) {
      const isReachable = (status & (R.PORT_PES | R.PORT_PSS)) === R.PORT_PES;
      if (isReachable && device?.address === address) return device;
    }
    return undefined;
  }

  /** There is something to do at the next frame's beginning. */
  #kick(): void {
    if (this.#functionalState !== R.HCFS_OPERATIONAL || !this.#isBusy()) return;
    const nowNs = this.#config.clock.nowNs();
    const next = this.#frameAtNs + (Math.floor((nowNs - this.#frameAtNs) / FRAME_NS) + 1) * FRAME_NS;
    if (!this.#frameTimer.armed || this.#frameTimer.deadlineNs > next) this.#frameTimer.armAt(next);
  }

  #isBusy(): boolean {
    if ((this.#enable & R.INTERRUPT_SF) !== 0 || this.#transfers.doneHead !== 0) return true;
    if ((this.#control & R.CONTROL_CLE) !== 0 && (this.#command & R.COMMAND_CLF) !== 0) return true;
    if ((this.#control & R.CONTROL_BLE) !== 0 && (this.#command & R.COMMAND_BLF) !== 0) return true;
    const nowNs = this.#config.clock.nowNs();
    for (const { device, newsSinceNs } of this.#ports)
      if (device?.function.hasReport && nowNs - newsSinceNs < UNWANTED_NS) return true;
    return false;
  }

  #runFrame(): void {
    const passed = Math.max(1, Math.floor((this.#config.clock.nowNs() - this.#frameAtNs) / FRAME_NS));
    this.#frameAtNs += passed * FRAME_NS;
    const before = this.#frame;
    this.#frame = (before + passed) & 0xffff;
    if (((before ^ this.#frame) & 0x8000) !== 0) this.#raise(R.INTERRUPT_FNO);
    if (this.#config.isBusMaster()) this.#runLists(before, passed);
    this.#raise(R.INTERRUPT_SF);
    for (const port of this.#ports) {
      if (port.device?.function.hasReport) port.newsSinceNs = Math.min(port.newsSinceNs, this.#frameAtNs);
      else port.newsSinceNs = Number.POSITIVE_INFINITY;
    }
    this.#frameTimer.armAt(this.#frameAtNs + (this.#isBusy() ? 1 : IDLE_FRAMES) * FRAME_NS);
  }

  #runLists(before: number, passed: number): void {
    const { memory } = this.#config;
    const transfers = this.#transfers;
    const hcca = this.#hcca >>> 0;
    if (hcca !== 0) memory.write32(hcca + R.HCCA_FRAME_NUMBER, this.#frame);
    if ((this.#control & R.CONTROL_PLE) !== 0 && hcca !== 0) {
      // The frames that were passed over had lists of their own, mostly the same ones.
      let last = 0;
      for (let i = Math.max(1, passed - 31); i <= passed; i++) {
        const head = (memory.read32(hcca + ((before + i) & 31) * 4) & ~15) >>> 0;
        if (head !== last) transfers.serve(head, true);
        last = head;
      }
    }
    if ((this.#control & R.CONTROL_CLE) !== 0 && (this.#command & R.COMMAND_CLF) !== 0) {
      if (!transfers.serve(this.#controlHead >>> 0, false)) this.#command &= ~R.COMMAND_CLF;
    }
    if ((this.#control & R.CONTROL_BLE) !== 0 && (this.#command & R.COMMAND_BLF) !== 0) {
      if (!transfers.serve(this.#bulkHead >>> 0, false)) this.#command &= ~R.COMMAND_BLF;
    }
    if (transfers.doneHead === 0 || hcca === 0) return;
    if (transfers.doneDelay > 0 && transfers.doneDelay !== NO_DELAY)
      transfers.doneDelay = Math.max(0, transfers.doneDelay - passed);
    if (transfers.doneDelay !== 0 || (this.#status & R.INTERRUPT_WDH) !== 0) return;
    const hasOthers = (this.#status & this.#enable & R.INTERRUPT_ALL & ~R.INTERRUPT_WDH) !== 0;
    memory.write32(hcca + R.HCCA_DONE_HEAD, (transfers.doneHead | (hasOthers ? 1 : 0)) >>> 0);
    transfers.reset();
    this.#raise(R.INTERRUPT_WDH);
  }

  #raise(interrupt: number): void {
    this.#status |= interrupt;
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    const isOn = (this.#enable & R.INTERRUPT_MIE) !== 0 && (this.#status & this.#enable & R.INTERRUPT_ALL) !== 0;
    this.#config.setInterrupt(isOn);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      registers: [
        ...[this.#control, this.#command, this.#status, this.#enable, this.#hcca, this.#controlHead, this.#bulkHead],
        ...[this.#controlCurrent, this.#bulkCurrent, this.#interval, this.#periodicStart, this.#lsThreshold],
        ...[
          this.#descriptorB,
          this.#hasHubWake ? 1 : 0,
          this.#frame,
          this.#transfers.doneHead,
          this.#transfers.doneDelay,
        ],
      ].map((value) => value >>> 0),
      ports: this.#ports.map(({ status }) => status),
      frameAtNs: this.#frameAtNs,
      frameNs: this.#frameTimer.armed ? this.#frameTimer.deadlineNs : -1,
      resetNs: this.#resetTimer.armed ? this.#resetTimer.deadlineNs : -1,
      devices: this.#config.devices.map((device) => device.save()),
    };
  }

  load(state: StateReader): void {
    const registers = state.integers("registers", 17, 17, 0, 0xffff_ffff).map((value) => value | 0);
    [this.#control, this.#command, this.#status, this.#enable, this.#hcca, this.#controlHead, this.#bulkHead] =
      registers;
    [this.#controlCurrent, this.#bulkCurrent, this.#interval, this.#periodicStart, this.#lsThreshold] =
      registers.slice(7);
    this.#descriptorB = registers[12];
    this.#hasHubWake = registers[13] !== 0;
    this.#frame = registers[14] & 0xffff;
    this.#transfers.doneHead = registers[15] >>> 0;
    this.#transfers.doneDelay = registers[16] & 7;
    const ports = state.integers("ports", PORTS, PORTS, 0, 0x1f_ffff);
    for (const [i, port] of this.#ports.entries()) {
      const connected = port.device ? R.PORT_CCS : 0;
      port.status = (ports[i] & ~R.PORT_CCS) | connected;
      port.lastPolledNs = Number.NEGATIVE_INFINITY;
      port.newsSinceNs = Number.POSITIVE_INFINITY;
    }
    this.#frameAtNs = state.number("frameAtNs");
    for (const [key, timer] of [
      ["frameNs", this.#frameTimer],
      ["resetNs", this.#resetTimer],
    ] as const) {
      const deadlineNs = state.number(key);
      if (deadlineNs >= 0) timer.armAt(deadlineNs);
      else timer.cancel();
    }
    const devices = state.children("devices", this.#config.devices.length);
    for (const [i, device] of this.#config.devices.entries()) device.load(devices[i]);
    state.end();
  }
}
