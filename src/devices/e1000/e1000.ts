/**
 * The MAC of an 8254x (Software Developer's Manual 317453): register window, reset, EEPROM and transceiver access; transmitter,
 * receiver and interrupts are in files of their own. Accesses are 32 bits wide; narrower reads see their part of a register,
 * narrower writes change it. Not modelled: wake-up, manageability, flow control, flash, diagnostic access to the
 * packet buffer, PCI-X; their registers keep what is written.
 */
import type { NetBackend } from "../../backend-api/net.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { EEPROM_WORDS, type EepromIdentity, eepromContents, MicrowireEeprom } from "./eeprom.ts";
import { Interrupts } from "./interrupts.ts";
import { ManagementBus, MarvellPhy, PHY_ADDRESS } from "./phy.ts";
import { Receiver } from "./receiver.ts";
import { E1000Registers } from "./register-file.ts";
import * as R from "./registers.ts";
import { Transmitter } from "./transmitter.ts";

/** After a turn's worth of descriptors the guest has its turn. */
const PAUSE_NS = 100_000;
const BMCR = 0;
const BMCR_ANENABLE_ANRESTART = 0x1200;

/** What differs between the members of the family. */
export interface E1000Traits {
  readonly identity: EepromIdentity;
  /** Register 3 of the transceiver. */
  readonly phyId2: number;
  /** 82543: no EERD, MDIC, throttle; management bus at pins of CTRL. */
  readonly isFirstGeneration: boolean;
}

export interface E1000Options {
  readonly traits: E1000Traits;
  readonly macAddress: Uint8Array;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly interrupt: IrqLine;
  readonly isBusMaster: () => boolean;
  readonly backend: NetBackend | undefined;
}

export class E1000 implements IoWindow {
  readonly #traits: E1000Traits;
  readonly #isBusMaster: () => boolean;
  readonly #registers = new E1000Registers();
  readonly #eeprom: MicrowireEeprom;
  readonly #phy: MarvellPhy;
  readonly #bus: ManagementBus;
  readonly #interrupts: Interrupts;
  readonly #transmitter: Transmitter;
  readonly #receiver: Receiver;
  readonly #timer: Timer;

  constructor(options: E1000Options) {
    const { traits, memory, clock, backend } = options;
    this.#traits = traits;
    this.#isBusMaster = options.isBusMaster;
    this.#eeprom = new MicrowireEeprom(eepromContents(options.macAddress, traits.identity));
    this.#phy = new MarvellPhy(traits.phyId2);
    this.#bus = new ManagementBus(this.#phy);
    const registers = this.#registers;
    this.#interrupts = new Interrupts(registers, clock, options.interrupt);
    this.#receiver = new Receiver(registers, {
      memory,
      clock,
      backend,
      canRun: () => this.#isReceiverOn && this.#isBusMaster(),
      isDeaf: () => !this.isLinkUp || !this.#isReceiverOn || this.#isLoopback,
      onCause: (causes) => this.#interrupts.cause(causes),
      onFrame: () => this.#interrupts.received(),
    });
    this.#transmitter = new Transmitter(registers, {
      memory,
      backend,
      isLinkUp: () => this.isLinkUp,
      isLoopback: () => this.#isLoopback,
      loopBack: (frame, length) => this.#receiver.loopBack(frame, length),
      onDone: (causes, isDelayed) => {
        if (causes === R.ICR_TXDW) this.#interrupts.transmitted(isDelayed);
        else this.#interrupts.cause(causes);
      },
    });
    this.#timer = clock.createTimer("e1000 transmit", () => this.#transmit());
    registers.reset(this.#eeprom.words);
    backend?.onEvent(() => this.hostEvent());
  }

  /** The reset line: everything but the cable. */
  reset(): void {
    this.#phy.reset();
    this.#resetMac();
  }

  get isLinkUp(): boolean {
    return this.#phy.isLinkUp;
  }

  setCableConnected(isConnected: boolean): void {
    this.#phy.setCableConnected(isConnected);
    this.#interrupts.cause(R.ICR_LSC);
    this.hostEvent();
  }

  /** Frames have come, room has become free, or DMA is allowed now. */
  hostEvent(): void {
    this.#transmit();
    this.#receiver.run();
  }

  get #isReceiverOn(): boolean {
    return (this.#registers.get(R.RCTL) & R.RCTL_EN) !== 0;
  }
  get #isLoopback(): boolean {
    return (this.#registers.get(R.RCTL) & R.RCTL_LBM) !== 0 || this.#phy.isLoopback;
  }

  #resetMac(): void {
    this.#registers.reset(this.#eeprom.words);
    this.#transmitter.reset();
    this.#receiver.reset();
    this.#timer.cancel();
    this.#interrupts.reset();
  }

  #transmit(): void {
    if ((this.#registers.get(R.TCTL) & R.TCTL_EN) === 0 || !this.#isBusMaster()) return;
    if (this.#transmitter.run() === "more") this.#timer.armAfter(PAUSE_NS);
  }

  read(offset: number, size: AccessSize): number {
    const value = this.readRegister(offset & ~3);
    if (size === 4) return value;
    const shifted = value >>> (8 * (offset & 3));
    return size === 1 ? shifted & 0xff : shifted & 0xffff;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const register = offset & ~3;
    if (size === 4) {
      this.writeRegister(register, value);
      return;
    }
    if (register >= R.REGISTERS_BYTES) return;
    const shift = 8 * (offset & 3);
    const mask = (size === 1 ? 0xff : 0xffff) << shift;
    this.writeRegister(register, ((this.#registers.get(register) & ~mask) | (value << shift)) >>> 0);
  }

  readRegister(offset: number): number {
    const registers = this.#registers;
    if (offset >= R.REGISTERS_BYTES) return 0;
    if (offset >= R.STATISTICS && offset < R.STATISTICS_END) return registers.readStatistic(offset);
    switch (offset) {
      case R.CTRL:
      case R.CTRL_DUP:
        return this.#readControl();
      case R.STATUS:
        return this.#readStatus();
      case R.EECD: {
        const pins = registers.get(R.EECD) & R.EECD_HELD;
        const grant = (pins & R.EECD_REQ) !== 0 ? R.EECD_GNT : 0;
        return pins | grant | R.EECD_PRES | (this.#eeprom.dataOut ? R.EECD_DO : 0);
      }
      case R.ICR: {
        const causes = registers.get(R.ICR);
        registers.set(R.ICR, 0);
        this.#interrupts.update();
        return causes;
      }
      case R.IMC:
      case R.ICS:
        return 0;
      default:
        return registers.get(offset);
    }
  }

  #readControl(): number {
    const value = this.#registers.get(R.CTRL);
    if (!this.#traits.isFirstGeneration || (value & R.CTRL_MDIO_DIR) !== 0) return value;
    return (this.#bus.dataOut ? value | R.CTRL_MDIO : value & ~R.CTRL_MDIO) >>> 0;
  }

  #readStatus(): number {
    const { speedMbps, isFullDuplex } = this.#phy;
    const speed = speedMbps === 1000 ? R.STATUS_SPEED_1000 : speedMbps === 100 ? R.STATUS_SPEED_100 : 0;
    const link = this.isLinkUp ? R.STATUS_LU : 0;
    // The detected speed is repeated.
    return R.STATUS_MTXCKOK | link | (isFullDuplex ? R.STATUS_FD : 0) | speed | (speed << 2);
  }

  writeRegister(offset: number, value: number): void {
    const registers = this.#registers;
    if (registers.writePlain(offset, value)) {
      if (offset === R.CTRL_EXT && (value & R.CTRL_EXT_EE_RST) !== 0) registers.loadAddress(this.#eeprom.words);
      return;
    }
    switch (offset) {
      case R.CTRL:
      case R.CTRL_DUP:
        this.#writeControl(value);
        break;
      case R.EECD:
        registers.set(R.EECD, value & R.EECD_HELD);
        this.#eeprom.setPins(value);
        break;
      case R.EERD:
        if (!this.#traits.isFirstGeneration) this.#readEeprom(value);
        break;
      case R.MDIC:
        if (!this.#traits.isFirstGeneration) this.#access(value);
        break;
      case R.ICR:
        registers.set(R.ICR, registers.get(R.ICR) & ~value);
        this.#interrupts.update();
        break;
      case R.ITR:
        if (!this.#traits.isFirstGeneration) registers.set(R.ITR, value & 0xffff);
        break;
      case R.ICS:
        this.#interrupts.cause(value & 0x1ffff);
        break;
      case R.IMS:
        registers.set(R.IMS, registers.get(R.IMS) | (value & 0x1ffff));
        this.#interrupts.update();
        break;
      case R.IMC:
        registers.set(R.IMS, registers.get(R.IMS) & ~value);
        this.#interrupts.update();
        break;
      case R.RCTL:
        registers.set(R.RCTL, value & 0x7fff_ffff);
        this.#receiver.run();
        break;
      case R.TCTL:
        registers.set(R.TCTL, value);
        this.#transmit();
        break;
      case R.RDH:
      case R.TDH:
        registers.set(offset, value & 0xffff);
        break;
      case R.RDT:
        registers.set(R.RDT, value & 0xffff);
        this.#receiver.run();
        break;
      case R.TDT:
        registers.set(R.TDT, value & 0xffff);
        this.#transmit();
        break;
      case R.RDTR:
        registers.set(R.RDTR, value & 0xffff);
        if ((value & R.RDTR_FPD) !== 0) this.#interrupts.flushReceive();
        break;
    }
  }

  #writeControl(value: number): void {
    if ((value & R.CTRL_RST) !== 0) {
      this.#resetMac();
      return;
    }
    const before = this.#registers.get(R.CTRL);
    this.#registers.set(R.CTRL, (value & ~R.CTRL_PHY_RST) >>> 0);
    if ((value & R.CTRL_PHY_RST) !== 0) {
      this.#phy.reset();
      this.#interrupts.cause(R.ICR_LSC);
    }
    const clockRises = (value & R.CTRL_MDC) !== 0 && (before & R.CTRL_MDC) === 0;
    if (this.#traits.isFirstGeneration && clockRises) {
      const isDriven = (value & R.CTRL_MDIO_DIR) !== 0;
      this.#bus.clock(!isDriven || (value & R.CTRL_MDIO) !== 0 ? 1 : 0);
    }
  }

  #readEeprom(value: number): void {
    if ((value & R.EERD_START) === 0) return;
    const address = (value >>> 8) & 0xff;
    const data = this.#eeprom.words[address % EEPROM_WORDS];
    this.#registers.set(R.EERD, (R.EERD_DONE | (value & 0xff00) | (data << 16)) >>> 0);
  }

  /** A transceiver register through MDIC; done at once. */
  #access(value: number): void {
    const operation = (value >>> 26) & 3;
    const address = (value >>> 21) & 31;
    const register = (value >>> 16) & 31;
    let result = ((value & 0x0fff_ffff) | R.MDIC_READY) >>> 0;
    if (address !== PHY_ADDRESS || (operation !== R.MDIC_OP_READ && operation !== R.MDIC_OP_WRITE)) {
      result |= R.MDIC_ERROR;
    } else if (operation === R.MDIC_OP_READ) {
      result = ((result & ~0xffff) | this.#phy.read(register)) >>> 0;
    } else {
      this.#phy.write(register, value & 0xffff);
      // A negotiation that is asked for ends at once, with the news that it has.
      if (register === BMCR && (value & BMCR_ANENABLE_ANRESTART) === BMCR_ANENABLE_ANRESTART)
        this.#interrupts.cause(R.ICR_LSC);
    }
    this.#registers.set(R.MDIC, result >>> 0);
    if ((value & R.MDIC_INT_EN) !== 0) this.#interrupts.cause(R.ICR_MDAC);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      registers: this.#registers.save(),
      eeprom: this.#eeprom.save(),
      phy: this.#phy.save(),
      bus: this.#bus.save(),
      interrupts: this.#interrupts.save(),
      transmitter: this.#transmitter.save(),
      receiver: this.#receiver.save(),
    };
  }

  load(state: StateReader): void {
    this.#registers.load(state, "registers");
    this.#eeprom.load(state.child("eeprom"));
    const phy = state.child("phy");
    this.#phy.load(phy);
    phy.end();
    this.#bus.load(state.child("bus"));
    this.#interrupts.load(state.child("interrupts"));
    this.#transmitter.load(state.child("transmitter"));
    this.#receiver.load(state.child("receiver"));
    state.end();
    this.#timer.armAfter(PAUSE_NS);
  }
}
