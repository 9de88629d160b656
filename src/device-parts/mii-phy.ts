/**
 * The basic registers of an Ethernet transceiver behind a management interface (IEEE 802.3, clause 22.2.4; gigabit:
 * clause 40): control, status, identifiers, auto-negotiation. The partner at the other end of the cable can do everything
 * that this one can and negotiates at once. Vendor registers are a subclass's business. Not modelled: next pages, tests,
 * the link that drops for a moment when negotiation is restarted.
 */
import type { SavedValue } from "../device-api/saved-state.ts";
import type { StateReader } from "../device-api/state-reader.ts";

const BMCR = 0;
const BMSR = 1;
const PHYSID1 = 2;
const PHYSID2 = 3;
const ANAR = 4;
const ANLPAR = 5;
const ANER = 6;
const CTRL1000 = 9;
const STAT1000 = 10;
const ESTATUS = 15;

const BMCR_RESET = 0x8000;
export const BMCR_LOOPBACK = 0x4000;
const BMCR_SPEED100 = 0x2000;
const BMCR_ANENABLE = 0x1000;
const BMCR_PDOWN = 0x0800;
const BMCR_ANRESTART = 0x0200;
const BMCR_FULLDPLX = 0x0100;
const BMCR_SPEED1000 = 0x0040;
const BMCR_HELD = 0x7dc0;

/** 10 and 100 Mbit/s in both duplex modes, short preamble, negotiation, extended registers. */
const BMSR_ABILITIES = 0x7849;
const BMSR_ESTATEN = 0x0100;
const BMSR_ANEGCOMPLETE = 0x0020;
const BMSR_LSTATUS = 0x0004;

/** 802.3, all four modes. */
const ADVERTISE_ALL = 0x01e1;
const LPA_ALL = 0x45e1;
const ANER_PARTNER_CAN = 0x0001;
const CTRL1000_FULL = 0x0200;
/** Both receivers fine, partner does 1000BASE-T full and half duplex. */
const STAT1000_ALL = 0x3c00;
/** 1000BASE-T full and half duplex. */
const ESTATUS_ALL = 0x3000;

export interface PhyIdentity {
  /** Registers 2 and 3. */
  readonly id1: number;
  readonly id2: number;
  readonly isGigabit?: boolean;
}

export class MiiPhy {
  readonly #identity: PhyIdentity;
  #control = 0;
  #advertised = 0;
  #gigabitControl = 0;
  #hasCable = false;
  /** The status register's link bit stays 0 after a loss until it has been read. */
  #sawLinkLoss = false;

  constructor(identity: PhyIdentity) {
    this.#identity = identity;
    this.#setDefaults();
  }

  reset(): void {
    this.#setDefaults();
  }

  #setDefaults(): void {
    this.#control = BMCR_ANENABLE | BMCR_FULLDPLX | (this.#identity.isGigabit ? BMCR_SPEED1000 : BMCR_SPEED100);
    this.#advertised = ADVERTISE_ALL;
    this.#gigabitControl = this.#identity.isGigabit ? CTRL1000_FULL : 0;
  }

  setCableConnected(isConnected: boolean): void {
    if (!isConnected) this.#sawLinkLoss = true;
    this.#hasCable = isConnected;
  }

  get isLinkUp(): boolean {
    return this.#hasCable && (this.#control & BMCR_PDOWN) === 0;
  }
  get isLoopback(): boolean {
    return (this.#control & BMCR_LOOPBACK) !== 0;
  }
  get speedMbps(): 10 | 100 | 1000 {
    if (this.#isNegotiating) {
      if (this.#identity.isGigabit && (this.#gigabitControl & 0x0300) !== 0) return 1000;
      return (this.#advertised & 0x0180) !== 0 ? 100 : 10;
    }
    if (this.#control & BMCR_SPEED1000 && this.#identity.isGigabit) return 1000;
    return this.#control & BMCR_SPEED100 ? 100 : 10;
  }
  get isFullDuplex(): boolean {
    if (!this.#isNegotiating) return (this.#control & BMCR_FULLDPLX) !== 0;
    if (this.speedMbps === 1000) return (this.#gigabitControl & CTRL1000_FULL) !== 0;
    return (this.#advertised & (this.speedMbps === 100 ? 0x0100 : 0x0040)) !== 0;
  }
  get #isNegotiating(): boolean {
    return (this.#control & BMCR_ANENABLE) !== 0;
  }

  /** 16 bits; registers that are not there read 0. */
  read(register: number): number {
    const { id1, id2, isGigabit } = this.#identity;
    const hasPartner = this.isLinkUp && this.#isNegotiating;
    switch (register) {
      case BMCR:
        return this.#control;
      case BMSR: {
        const isUp = this.isLinkUp && !this.#sawLinkLoss;
        this.#sawLinkLoss = !this.isLinkUp;
        const link = (isUp ? BMSR_LSTATUS : 0) | (hasPartner ? BMSR_ANEGCOMPLETE : 0);
        return BMSR_ABILITIES | (isGigabit ? BMSR_ESTATEN : 0) | link;
      }
      case PHYSID1:
        return id1;
      case PHYSID2:
        return id2;
      case ANAR:
        return this.#advertised;
      case ANLPAR:
        return hasPartner ? LPA_ALL : 0;
      case ANER:
        return hasPartner ? ANER_PARTNER_CAN : 0;
      case CTRL1000:
        return this.#gigabitControl;
      case STAT1000:
        return isGigabit && hasPartner ? STAT1000_ALL : 0;
      case ESTATUS:
        return isGigabit ? ESTATUS_ALL : 0;
      default:
        return 0;
    }
  }

  write(register: number, value: number): void {
    switch (register) {
      case BMCR:
        if (value & BMCR_RESET) this.reset();
        else this.#control = value & BMCR_HELD & ~BMCR_ANRESTART;
        break;
      case ANAR:
        this.#advertised = value & 0x7fff;
        break;
      case CTRL1000:
        if (this.#identity.isGigabit) this.#gigabitControl = value & 0xff00;
        break;
    }
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      control: this.#control,
      advertised: this.#advertised,
      gigabitControl: this.#gigabitControl,
      hasCable: this.#hasCable,
      sawLinkLoss: this.#sawLinkLoss,
    };
  }

  /** The caller calls `end` on `state`. */
  load(state: StateReader): void {
    this.#control = state.integer("control", 0, 0xffff) & BMCR_HELD & ~BMCR_ANRESTART;
    this.#advertised = state.integer("advertised", 0, 0x7fff);
    this.#gigabitControl = state.integer("gigabitControl", 0, 0xff00);
    this.#hasCable = state.boolean("hasCable");
    this.#sawLinkLoss = state.boolean("sawLinkLoss");
  }
}
