/**
 * The PCnet MAC: ports, CSRs, BCRs, initialisation block, start and stop, interrupts (Am79C970A, AMD 19436; Am79C973, AMD
 * 21510). Transmission and reception are in files of their own. Initialisation and everything else completes inside the
 * access that asks for it. A restart without initialisation begins at the rings' bases. Not modelled: EEPROM port,
 * magic packets and power management, EADI, expansion bus, JTAG, bus burst timing; their registers keep what is written.
 */
import type { NetBackend } from "../../backend-api/net.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import { type AccessSize, allOnes, type IoWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { MiiPhy } from "../../device-parts/mii-phy.ts";
import { addressProm } from "./address-prom.ts";
import { BusRegisters } from "./bus-registers.ts";
import { DescriptorRing } from "./descriptor-ring.ts";
import { readInitBlock } from "./init-block.ts";
import { Receiver } from "./receiver.ts";
import { type PcnetModel, PcnetRegisters } from "./register-file.ts";
import * as R from "./registers.ts";
import { Transmitter } from "./transmitter.ts";

/** How often the chip looks at its transmit ring by itself: at first, and when that has never found anything. */
const POLL_NS = 2_000_000;
const IDLE_POLL_NS = 50_000_000;
const POLLS_UNTIL_IDLE = 50;
/** After a turn's worth of descriptors: a wire would take longer. */
const PAUSE_NS = 1_000_000;
/** Own transceiver of the 973. */
const phyIdentity = { id1: 0x0000, id2: 0x6b60 } as const;

export interface PcnetOptions {
  readonly model: PcnetModel;
  readonly macAddress: Uint8Array;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly interrupt: IrqLine;
  readonly isBusMaster: () => boolean;
  readonly backend: NetBackend | undefined;
}

export class Pcnet implements IoWindow {
  readonly #options: PcnetOptions;
  readonly #registers: PcnetRegisters;
  readonly #aprom: Uint8Array;
  readonly #phy = new MiiPhy(phyIdentity);
  readonly #bus: BusRegisters;
  readonly #receiveRing: DescriptorRing;
  readonly #transmitRing: DescriptorRing;
  readonly #receiver: Receiver;
  readonly #transmitter: Transmitter;
  readonly #pollTimer: Timer;
  readonly #softwareTimer: Timer;
  #rap = 0;
  /** Polls since the last one that found something. */
  #idlePolls = 0;

  constructor(options: PcnetOptions) {
    const { model, memory, clock, backend } = options;
    this.#options = options;
    this.#registers = new PcnetRegisters(model);
    this.#aprom = addressProm(options.macAddress);
    this.#bus = new BusRegisters(this.#registers, this.#phy, () => this.#updateInterrupt());
    this.#receiveRing = new DescriptorRing(memory);
    this.#transmitRing = new DescriptorRing(memory);
    this.#receiver = new Receiver(this.#registers, this.#receiveRing, {
      memory,
      clock,
      backend,
      canRun: () => this.#canRun && this.#registers.isReceiverOn,
      isDeaf: () => !this.isLinkUp || !this.#registers.isReceiverOn || this.#isLoopback,
      onStatus: () => this.#updateInterrupt(),
    });
    this.#transmitter = new Transmitter(this.#registers, this.#transmitRing, {
      memory,
      backend,
      isLinkUp: () => this.isLinkUp,
      isLoopback: () => this.#isLoopback,
      loopBack: (frame, length, hasFcs) => this.#receiver.loopBack(frame, length, hasFcs),
    });
    this.#pollTimer = clock.createTimer("pcnet poll", () => this.#pollTransmit());
    this.#softwareTimer = clock.createTimer("pcnet software timer", () => this.#softwareTimerFired());
    backend?.onEvent(() => this.hostEvent());
  }

  /** The reset line. The cable stays as it is. */
  reset(): void {
    this.#registers.reset();
    this.#aprom.set(addressProm(this.#options.macAddress));
    const { csr } = this.#registers;
    for (let i = 0; i < 3; i++) csr[R.CSR_PADR + i] = this.#aprom[2 * i] | (this.#aprom[2 * i + 1] << 8);
    this.#phy.reset();
    this.#rap = 0;
    for (const ring of [this.#receiveRing, this.#transmitRing]) {
      ring.base = 0;
      ring.length = 1;
      ring.index = 0;
    }
    this.#halt();
    this.#softwareTimer.cancel();
    this.#updateInterrupt();
  }

  get isLinkUp(): boolean {
    return this.#phy.isLinkUp;
  }

  setCableConnected(isConnected: boolean): void {
    this.#phy.setCableConnected(isConnected);
    const { csr, bcr, is973 } = this.#registers;
    if (is973 && (bcr[R.BCR_MIICAS] & R.MIICAS_APEP) !== 0) csr[7] |= R.CSR7_MAPINT;
    this.hostEvent();
  }

  /** Frames have come, room has become free, or DMA is allowed now. */
  hostEvent(): void {
    this.#transmit();
    this.#receiver.run();
    this.#updateInterrupt();
  }

  read(offset: number, size: AccessSize): number {
    if (offset + size <= R.APROM_BYTES) {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#aprom[offset + i];
      return value;
    }
    if (this.#isDwordIo) {
      if (size !== 4) return allOnes(size);
      if (offset === R.RDP) return this.#readCsr(this.#rap);
      if (offset === R.DWIO_RAP) return this.#rap;
      if (offset === R.DWIO_RESET) return this.#softReset();
      if (offset === R.DWIO_BDP) return this.#bus.read(this.#rap);
      return allOnes(size);
    }
    // A byte read of the reset port resets too, as the LANCE's.
    if (offset === R.WIO_RESET && size !== 4) return this.#softReset();
    if (size !== 2) return allOnes(size);
    if (offset === R.RDP) return this.#readCsr(this.#rap);
    if (offset === R.WIO_RAP) return this.#rap;
    if (offset === R.WIO_BDP) return this.#bus.read(this.#rap);
    return allOnes(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset < R.APROM_BYTES) {
      if ((this.#registers.bcr[R.BCR_MC] & R.MC_APROMWE) === 0) return;
      for (let i = 0; i < size && offset + i < R.APROM_BYTES; i++) this.#aprom[offset + i] = value >>> (8 * i);
      return;
    }
    // The first 32-bit write to RDP switches the ports to 32 bits until the next hardware reset.
    if (size === 4 && offset === R.RDP) this.#registers.bcr[R.BCR_BSBC] |= R.BSBC_DWIO;
    const data = value & 0xffff;
    if (this.#isDwordIo) {
      if (size !== 4) return;
      if (offset === R.RDP) this.#writeCsr(this.#rap, data);
      else if (offset === R.DWIO_RAP) this.#rap = data & 0x7f;
      else if (offset === R.DWIO_BDP) this.#bus.write(this.#rap, data);
      return;
    }
    if (size !== 2) return;
    if (offset === R.RDP) this.#writeCsr(this.#rap, data);
    else if (offset === R.WIO_RAP) this.#rap = data & 0x7f;
    else if (offset === R.WIO_BDP) this.#bus.write(this.#rap, data);
  }

  get #isDwordIo(): boolean {
    return (this.#registers.bcr[R.BCR_BSBC] & R.BSBC_DWIO) !== 0;
  }
  get #isLoopback(): boolean {
    return this.#registers.isMacLoopback || (this.#registers.is973 && this.#phy.isLoopback);
  }
  get #canRun(): boolean {
    return !this.#registers.isStopped && !this.#registers.isSuspended && this.#options.isBusMaster();
  }

  #softReset(): number {
    this.#registers.softReset();
    this.#halt();
    this.#softwareTimer.cancel();
    this.#updateInterrupt();
    return 0;
  }

  #readCsr(number: number): number {
    const { csr, bcr, is973 } = this.#registers;
    const receive = this.#receiveRing;
    const transmit = this.#transmitRing;
    switch (number) {
      case 0:
        return csr[0] | ((csr[0] & R.CSR0_ERRORS) !== 0 ? R.CSR0_ERR : 0) | (this.#isRequesting ? R.CSR0_INTR : 0);
      case 7:
        return is973 ? csr[7] : 0;
      case R.CSR_IADR_LOW_ALIAS:
        return csr[R.CSR_IADR_LOW];
      case R.CSR_IADR_HIGH_ALIAS:
        return csr[R.CSR_IADR_HIGH];
      case R.CSR_BADR:
        return receive.base & 0xffff;
      case R.CSR_BADR + 1:
        return receive.base >>> 16;
      case R.CSR_CRDA:
        return receive.at(0) & 0xffff;
      case R.CSR_CRDA + 1:
        return (receive.at(0) >>> 16) & 0xffff;
      case R.CSR_BADX:
        return transmit.base & 0xffff;
      case R.CSR_BADX + 1:
        return transmit.base >>> 16;
      case R.CSR_CXDA:
        return transmit.at(0) & 0xffff;
      case R.CSR_CXDA + 1:
        return (transmit.at(0) >>> 16) & 0xffff;
      case R.CSR_SWS:
        return bcr[R.BCR_SWS];
      case R.CSR_RCVRC:
        return (receive.index - receive.length) & 0xffff;
      case R.CSR_XMTRC:
        return (transmit.index - transmit.length) & 0xffff;
      case R.CSR_RCVRL:
        return -receive.length & 0xffff;
      case R.CSR_XMTRL:
        return -transmit.length & 0xffff;
      default:
        return csr[number];
    }
  }

  #writeCsr(number: number, value: number): void {
    const { csr } = this.#registers;
    switch (number) {
      case 0:
        this.#writeCsr0(value);
        return;
      case 3:
        csr[3] = value & R.CSR3_HELD;
        break;
      case 4:
        csr[4] = (value & R.CSR4_HELD) | (csr[4] & R.CSR4_EVENTS & ~value);
        if ((value & R.CSR4_UINTCMD) !== 0) csr[4] |= R.CSR4_UINT;
        break;
      case 5:
        csr[5] = (value & R.CSR5_HELD) | (csr[5] & R.CSR5_EVENTS & ~value);
        // Back from suspension: what came meanwhile.
        this.hostEvent();
        break;
      case 7:
        if (this.#registers.is973) this.#writeCsr7(value);
        break;
      case R.CSR_SWS:
        this.#bus.write(R.BCR_SWS, value);
        return;
      default:
        // The rest is the chip's while it runs.
        if (this.#registers.isStopped || this.#registers.isSuspended) this.#writeQuietCsr(number, value);
        return;
    }
    this.#updateInterrupt();
  }

  #writeQuietCsr(number: number, value: number): void {
    const { csr } = this.#registers;
    const receive = this.#receiveRing;
    const transmit = this.#transmitRing;
    switch (number) {
      case R.CSR_IADR_LOW_ALIAS:
        csr[R.CSR_IADR_LOW] = value;
        break;
      case R.CSR_IADR_HIGH_ALIAS:
        csr[R.CSR_IADR_HIGH] = value;
        break;
      case R.CSR_BADR:
        receive.base = ((receive.base & 0xffff0000) | value) >>> 0;
        break;
      case R.CSR_BADR + 1:
        receive.base = ((receive.base & 0xffff) | (value << 16)) >>> 0;
        break;
      case R.CSR_BADX:
        transmit.base = ((transmit.base & 0xffff0000) | value) >>> 0;
        break;
      case R.CSR_BADX + 1:
        transmit.base = ((transmit.base & 0xffff) | (value << 16)) >>> 0;
        break;
      case R.CSR_RCVRL:
        setLength(receive, value);
        break;
      case R.CSR_XMTRL:
        setLength(transmit, value);
        break;
      case R.CSR_CHIP_ID_LOW:
      case R.CSR_CHIP_ID_HIGH:
      case R.CSR_MFC:
      case R.CSR_RCVCC:
        break;
      default:
        csr[number] = value;
    }
  }

  #writeCsr0(value: number): void {
    const { csr } = this.#registers;
    if ((value & R.CSR0_STOP) !== 0) {
      csr[0] = R.CSR0_STOP;
      csr[4] &= ~R.CSR4_EVENTS;
      csr[5] &= ~R.CSR5_SPND;
      csr[R.CSR_MFC] = 0;
      this.#halt();
      this.#updateInterrupt();
      return;
    }
    csr[0] = (csr[0] & ~(value & R.CSR0_EVENTS) & ~R.CSR0_IENA) | (value & R.CSR0_IENA);
    if ((value & R.CSR0_INIT) !== 0 && (csr[0] & R.CSR0_INIT) === 0) this.#initialise();
    if ((value & R.CSR0_STRT) !== 0 && (csr[0] & R.CSR0_STRT) === 0) this.#start();
    if ((value & R.CSR0_TDMD) !== 0) this.#transmit();
    this.#receiver.run();
    this.#updateInterrupt();
  }

  #initialise(): void {
    const registers = this.#registers;
    const { csr } = registers;
    csr[0] = (csr[0] & ~R.CSR0_STOP) | R.CSR0_INIT;
    if (!this.#options.isBusMaster()) {
      csr[0] |= R.CSR0_MERR;
      return;
    }
    const { receive, transmit } = readInitBlock(this.#options.memory, registers);
    this.#receiveRing.base = receive.base;
    this.#receiveRing.length = receive.length;
    this.#transmitRing.base = transmit.base;
    this.#transmitRing.length = transmit.length;
    csr[0] |= R.CSR0_IDON;
  }

  #start(): void {
    const registers = this.#registers;
    const { csr } = registers;
    const mode = csr[R.CSR_MODE];
    csr[0] = (csr[0] & ~(R.CSR0_STOP | R.CSR0_RXON | R.CSR0_TXON)) | R.CSR0_STRT;
    if ((mode & R.MODE_DRX) === 0) csr[0] |= R.CSR0_RXON;
    if ((mode & R.MODE_DTX) === 0) csr[0] |= R.CSR0_TXON;
    csr[5] &= ~R.CSR5_SPND;
    for (const ring of [this.#receiveRing, this.#transmitRing]) {
      ring.index = 0;
      ring.format = registers.descriptorFormat;
      ring.addressHigh = registers.addressHigh;
    }
    this.#idlePolls = 0;
    this.#transmit();
  }

  /** Everything under way ends. */
  #halt(): void {
    this.#pollTimer.cancel();
    this.#receiver.stop();
  }

  #transmit(): void {
    if (!this.#canRun || !this.#registers.isTransmitterOn) return;
    const outcome = this.#transmitter.run();
    if (outcome === "more") this.#pollTimer.armAfter(PAUSE_NS);
    else if (outcome !== "blocked") this.#armPoll();
  }

  #armPoll(): void {
    if ((this.#registers.csr[4] & R.CSR4_DPOLL) !== 0) return;
    this.#pollTimer.armAfter(this.#idlePolls < POLLS_UNTIL_IDLE ? POLL_NS : IDLE_POLL_NS);
  }

  /** A driver that never asks for transmission has to be found out. One that does costs an idle guest next to nothing. */
  #pollTransmit(): void {
    if (!this.#canRun || !this.#registers.isTransmitterOn) return;
    const outcome = this.#transmitter.run();
    this.#idlePolls = outcome === "idle" ? Math.min(this.#idlePolls + 1, POLLS_UNTIL_IDLE) : 0;
    if (outcome === "more") this.#pollTimer.armAfter(PAUSE_NS);
    else if (outcome !== "blocked") this.#armPoll();
    this.#updateInterrupt();
  }

  #writeCsr7(value: number): void {
    const { csr, bcr } = this.#registers;
    const hadTimer = (csr[7] & R.CSR7_STINTE) !== 0;
    csr[7] = (value & R.CSR7_HELD) | (csr[7] & R.CSR7_EVENTS & ~value);
    const hasTimer = (value & R.CSR7_STINTE) !== 0;
    if (hasTimer && !hadTimer) this.#softwareTimer.armAfter((bcr[R.BCR_STVAL] + 1) * R.STVAL_STEP_NS);
    if (!hasTimer) this.#softwareTimer.cancel();
    if ((value & R.CSR7_RDMD) !== 0) this.#receiver.run();
  }

  #softwareTimerFired(): void {
    const { csr, bcr } = this.#registers;
    csr[7] |= R.CSR7_STINT;
    this.#softwareTimer.armAfter((bcr[R.BCR_STVAL] + 1) * R.STVAL_STEP_NS);
    this.#updateInterrupt();
  }

  /** The INTR bit. */
  get #isRequesting(): boolean {
    const { csr, is973 } = this.#registers;
    const sinte = (csr[5] & R.CSR5_EVENTS & ((csr[5] << 1) & 0xffff)) !== 0;
    return (
      (csr[0] & ~csr[3] & R.CSR0_MASKABLE) !== 0 ||
      (csr[4] & ~(csr[4] << 1) & R.CSR4_MASKED_EVENTS) !== 0 ||
      (csr[4] & R.CSR4_UINT) !== 0 ||
      sinte ||
      (is973 && (csr[7] & (csr[7] << 1) & R.CSR7_EVENTS) !== 0)
    );
  }

  #updateInterrupt(): void {
    if ((this.#registers.csr[0] & R.CSR0_IENA) !== 0 && this.#isRequesting) this.#options.interrupt.raise();
    else this.#options.interrupt.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      registers: this.#registers.save(),
      aprom: this.#aprom.slice(),
      phy: this.#phy.save(),
      receiveRing: this.#receiveRing.save(),
      transmitRing: this.#transmitRing.save(),
      receiver: this.#receiver.save(),
      rap: this.#rap,
      softwareTimerNs: this.#softwareTimer.armed ? this.#softwareTimer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#registers.load(state.child("registers"));
    this.#aprom.set(state.bytes("aprom", R.APROM_BYTES));
    const phy = state.child("phy");
    this.#phy.load(phy);
    phy.end();
    this.#receiveRing.load(state.child("receiveRing"));
    this.#transmitRing.load(state.child("transmitRing"));
    for (const ring of [this.#receiveRing, this.#transmitRing]) {
      ring.format = this.#registers.descriptorFormat;
      ring.addressHigh = this.#registers.addressHigh;
    }
    this.#halt();
    this.#receiver.load(state.child("receiver"));
    this.#rap = state.integer("rap", 0, 0x7f);
    const softwareTimerNs = state.number("softwareTimerNs");
    if (softwareTimerNs >= 0) this.#softwareTimer.armAt(softwareTimerNs);
    else this.#softwareTimer.cancel();
    state.end();
    this.#idlePolls = 0;
    if (this.#registers.isTransmitterOn) this.#armPoll();
  }
}

/** Ring lengths are kept negative; 0 is 65536. */
function setLength(ring: DescriptorRing, value: number): void {
  ring.length = 0x10000 - value;
  ring.index = 0;
}
