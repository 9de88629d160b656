/**
 * The two register banks of the PCnet, CSRs and BCRs, as plain values, with the readings that transmitter, receiver and
 * chip share: what mode the chip is in, how its structures in memory look.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export type PcnetModel = "Am79C970A" | "Am79C973";

/** Where a descriptor's fields are: 16-bit structures, 32-bit ones, 32-bit ones with buffer address and counts exchanged. */
export type DescriptorFormat = "16" | "32" | "32-exchanged";

/** Part numbers of CSR88/89: manufacturer 001h, part, version 0. */
const partNumbers = { Am79C970A: 0x2621, Am79C973: 0x2625 } as const;

export class PcnetRegisters {
  readonly model: PcnetModel;
  readonly csr = new Uint16Array(R.CSR_COUNT);
  readonly bcr = new Uint16Array(R.BCR_COUNT);

  constructor(model: PcnetModel) {
    this.model = model;
    this.reset();
  }

  /** H_RESET: everything. */
  reset(): void {
    const { bcr } = this;
    this.csr.fill(0);
    bcr.fill(0);
    bcr[0] = 0x0005;
    bcr[1] = 0x0005;
    bcr[R.BCR_MC] = 0x0002;
    bcr[R.BCR_LED0] = 0x00c0;
    bcr[5] = 0x0084;
    bcr[6] = 0x0088;
    bcr[R.BCR_LED3] = 0x0090;
    bcr[R.BCR_BSBC] = 0x9001;
    bcr[19] = 0x0002;
    bcr[22] = 0xff06;
    if (this.is973) {
      bcr[R.BCR_STVAL] = 0xffff;
      bcr[R.BCR_MIICAS] = 0x0400;
      bcr[R.BCR_MIIADDR] = PHY_ADDRESS << 5;
      bcr[35] = R.VENDOR_AMD;
    }
    this.setSoftwareStyle(0);
    this.softReset();
  }

  /** S_RESET: the CSRs that the data sheet lists; BCRs, addresses and filters stay. */
  softReset(): void {
    const { csr } = this;
    csr[0] = R.CSR0_STOP;
    csr[3] = 0;
    csr[4] = 0x0115;
    csr[5] = 0;
    csr[7] = 0;
    csr[80] = 0x1410;
    csr[100] = 0x0200;
    csr[R.CSR_MFC] = 0;
    csr[R.CSR_RCVCC] = 0;
    csr[124] = 0;
    const id = ((partNumbers[this.model] << 12) | 0x003) >>> 0;
    csr[R.CSR_CHIP_ID_LOW] = id;
    csr[R.CSR_CHIP_ID_HIGH] = id >>> 16;
  }

  get is973(): boolean {
    return this.model === "Am79C973";
  }

  /** Styles that the data sheets do not define (a driver's "back to 16 bits" writes 4) are style 0. */
  setSoftwareStyle(value: number): void {
    const style = (value & 0xff) <= 3 ? value & 0xff : 0;
    const width = style === 0 ? 0 : R.SWS_SSIZE32;
    this.bcr[R.BCR_SWS] = (value & 0x0400) | width | (style === 1 ? 0 : R.SWS_CSRPCNET) | style;
  }

  get hasWideStructures(): boolean {
    return (this.bcr[R.BCR_SWS] & R.SWS_SSIZE32) !== 0;
  }
  get descriptorFormat(): DescriptorFormat {
    const style = this.bcr[R.BCR_SWS] & 0xff;
    return style === 0 ? "16" : style === 3 ? "32-exchanged" : "32";
  }
  /** 16-bit structures have 24-bit addresses; the rest comes from the initialisation block's own. */
  get addressHigh(): number {
    return this.hasWideStructures ? 0 : (this.csr[R.CSR_IADR_HIGH] & 0xff00) * 0x10000;
  }
  get isStopped(): boolean {
    return (this.csr[0] & R.CSR0_STOP) !== 0;
  }
  get isSuspended(): boolean {
    return (this.csr[5] & R.CSR5_SPND) !== 0;
  }
  get isTransmitterOn(): boolean {
    return (this.csr[0] & R.CSR0_TXON) !== 0;
  }
  get isReceiverOn(): boolean {
    return (this.csr[0] & R.CSR0_RXON) !== 0;
  }
  get isMacLoopback(): boolean {
    const isMii = this.is973 && (this.bcr[R.BCR_MIICAS] & R.MIICAS_MIILP) !== 0;
    return isMii || (this.csr[R.CSR_MODE] & R.MODE_LOOP) !== 0;
  }

  save(): { readonly [key: string]: SavedValue } {
    return { csr: [...this.csr], bcr: [...this.bcr] };
  }

  load(state: StateReader): void {
    this.csr.set(state.integers("csr", R.CSR_COUNT, R.CSR_COUNT, 0, 0xffff));
    this.bcr.set(state.integers("bcr", R.BCR_COUNT, R.BCR_COUNT, 0, 0xffff));
    this.setSoftwareStyle(this.bcr[R.BCR_SWS]);
    state.end();
  }
}

/** Where the 973's own transceiver answers on its management bus. */
export const PHY_ADDRESS = 0x1e;
