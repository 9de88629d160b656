/**
 * Host bridge 00:00.0, Intel 82441FX (order 290549): the function that operating systems and firmware recognise the
 * chipset by, with its Programmable Attribute Map. Configuration mechanism #1 itself (CF8h/CFCh) belongs to the PCI bus
 * of the machine, memory routing to its memory bus: this part tells it each PAM register. Not modelled: DRAM timing,
 * SMRAM (the register holds its value, there is no SMM), error reporting, the turbo reset register.
 */
import type { Device } from "../../device-api/device.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

const kind = "i440fx";

export interface I440fxConfig {
  /**
   * PAM register `index` (0–6) now holds `value`; bits 0/1 read/write to DRAM of the lower region, bits 4/5 of the upper.
   * Index 0: F0000h–FFFFFh in the upper field. Index n: C0000h + (n − 1) × 8000h, 16 KiB lower then 16 KiB upper. Called
   * on change, and for every register after reset and load.
   */
  onPamChange(index: number, value: number): void;
}

/** Takes the RAM size for the row boundaries from its context. */
export function createI440fx(config: I440fxConfig): Device {
  let pciFunction: PciFunctionHandle;
  const pam = new Uint8Array(R.PAM_COUNT);

  function tellAll(): void {
    pam.forEach((value, index) => {
      config.onPamChange(index, value);
    });
  }

  return {
    id: kind,
    attach(context) {
      const units = Math.min(R.DRB_MAX, Math.ceil(context.memory.ramBytes / R.DRB_UNIT_BYTES));
      const rows = Array.from({ length: R.DRB_COUNT }, (_, row) => ({
        offset: R.DRB0 + row,
        size: 1 as const,
        value: Math.min(units, 16 * (row + 1)),
      }));
      const writable = (offset: number, mask = 0xff) => ({ offset, size: 1 as const, mask });
      pciFunction = context.addPciFunction(0, 0, {
        name: "i440FX host bridge",
        vendorId: R.VENDOR_INTEL,
        deviceId: R.DEVICE_82441FX,
        revision: R.REVISION,
        classCode: R.CLASS_HOST_BRIDGE,
        initial: [
          { offset: R.PCICMD, size: 2, value: 0x0006 },
          { offset: R.PMCCFG, size: 2, value: 0x0010 },
          { offset: R.DRAMC, size: 1, value: 0x01 },
          { offset: R.DRAMT, size: 1, value: 0x10 },
          ...rows,
          { offset: R.CLT, size: 1, value: 0x10 },
          { offset: R.SMRAM, size: 1, value: 0x02 },
        ],
        writable: [
          writable(R.PMCCFG),
          writable(R.PMCCFG + 1, 0x7b),
          writable(R.DETURBO),
          writable(R.DBC),
          writable(R.AXC),
          writable(R.DRT),
          writable(R.DRT + 1),
          writable(R.DRAMC, 0x7f),
          writable(R.DRAMT, 0x7f),
          ...R.PAM_WRITABLE.map((mask, i) => writable(R.PAM0 + i, mask)),
          ...rows.map(({ offset }) => writable(offset)),
          writable(R.FDHC, 0xc0),
          writable(R.MTT, 0xf8),
          writable(R.CLT),
          writable(R.SMRAM, 0x7f),
          writable(R.ERRCMD),
        ],
        onConfigWrite(offset, size) {
          for (let at = offset; at < offset + size; at++) {
            const index = at - R.PAM0;
            if (index < 0 || index >= R.PAM_COUNT) continue;
            const value = pciFunction.readConfig(at, 1);
            if (value === pam[index]) continue;
            pam[index] = value;
            config.onPamChange(index, value);
          }
        },
      });
    },
    reset() {
      pam.fill(0);
      for (let i = 0; i < R.PAM_COUNT; i++) pciFunction.writeConfig(R.PAM0 + i, 1, 0);
      tellAll();
    },
    save: () => ({ kind, version: 1, data: { pam: pam.slice() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      pam.set(state.bytes("pam", R.PAM_COUNT));
      state.end();
      pam.forEach((value, i) => {
        pam[i] = value & R.PAM_WRITABLE[i];
        pciFunction.writeConfig(R.PAM0 + i, 1, pam[i]);
      });
      tellAll();
    },
  };
}
