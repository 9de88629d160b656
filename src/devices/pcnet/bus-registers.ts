/**
 * The bus configuration registers (BCRs) of the PCnet as the guest sees them: LEDs that tell about the link, software style,
 * and the 973's way to its transceiver. The others keep what is written.
 */
import type { MiiPhy } from "../../device-parts/mii-phy.ts";
import { type PcnetRegisters, PHY_ADDRESS } from "./register-file.ts";
import * as R from "./registers.ts";

export class BusRegisters {
  readonly #registers: PcnetRegisters;
  readonly #phy: MiiPhy;
  readonly #onStatus: () => void;

  /** `onStatus` is called when an access may have caused an interrupt. */
  constructor(registers: PcnetRegisters, phy: MiiPhy, onStatus: () => void) {
    this.#registers = registers;
    this.#phy = phy;
    this.#onStatus = onStatus;
  }

  read(number: number): number {
    const { bcr, is973 } = this.#registers;
    if (number >= R.BCR_COUNT) return 0;
    if (number >= R.BCR_LED0 && number <= R.BCR_LED3) return bcr[number] | (this.#isLit(bcr[number]) ? R.LED_OUT : 0);
    if (number !== R.BCR_MIIMDR) return bcr[number];
    if (!is973) return 0;
    this.#managementDone();
    const address = bcr[R.BCR_MIIADDR];
    return address >>> 5 === PHY_ADDRESS ? this.#phy.read(address & 0x1f) : 0xffff;
  }

  write(number: number, value: number): void {
    const { bcr, is973, isStopped, isSuspended } = this.#registers;
    if (number >= R.BCR_COUNT) return;
    if (number >= R.BCR_LED0 && number <= R.BCR_LED3) {
      if (!is973 || (bcr[R.BCR_MC] & R.MC_LEDPE) !== 0) bcr[number] = value & ~R.LED_OUT;
      return;
    }
    switch (number) {
      case 0:
      case 1:
      case 35:
        break;
      case R.BCR_BSBC:
        bcr[number] = (value & ~R.BSBC_DWIO) | (bcr[number] & R.BSBC_DWIO);
        break;
      case R.BCR_SWS:
        if (isStopped || isSuspended) this.#registers.setSoftwareStyle(value);
        break;
      case R.BCR_MIICAS:
      case R.BCR_MIIADDR:
      case R.BCR_STVAL:
        if (is973) bcr[number] = number === R.BCR_MIIADDR ? value & 0x3ff : value;
        break;
      case R.BCR_MIIMDR:
        if (!is973) break;
        if (bcr[R.BCR_MIIADDR] >>> 5 === PHY_ADDRESS) this.#phy.write(bcr[R.BCR_MIIADDR] & 0x1f, value);
        this.#managementDone();
        break;
      default:
        bcr[number] = value;
    }
  }

  #managementDone(): void {
    this.#registers.csr[7] |= R.CSR7_MCCINT;
    this.#onStatus();
  }

  #isLit(led: number): boolean {
    if (!this.#phy.isLinkUp) return false;
    const isFull = (this.#registers.bcr[R.BCR_FDC] & R.FDC_FDEN) !== 0;
    const isFast = this.#registers.is973 && this.#phy.speedMbps === 100;
    return (led & (R.LED_LNKSTE | (isFull ? R.LED_FDLSE : 0) | (isFast ? R.LED_100E : 0))) !== 0;
  }
}
