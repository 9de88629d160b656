/**
 * Plug of power management: PCI function 00:07.0 (8086:7113), the register block where PMBA and PMREGMISC put it, SMI_CMD at
 * 442Eh, SCI on IRQ 9; the SMBus host where SMBBA and SMBHSTCFG put it. With ACPI off the function is there but neither the block
 * nor SMI_CMD answers.
 */
import type { Device } from "../../device-api/device.ts";
import { byteWindow, type IoWindow } from "../../device-api/io-window.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { AcpiPm, type AcpiPmEvents } from "./acpi-pm.ts";
import * as R from "./registers.ts";
import { SMBUS_BYTES, Smbus } from "./smbus.ts";

const kind = "acpi-pm";

export interface AcpiPmConfig extends AcpiPmEvents {
  readonly isAcpiEnabled: boolean;
}

export interface AcpiPmDevice extends Device {
  /** The guest is told if it listens (ACPI mode, button enabled); otherwise the press is remembered in the status. */
  pressPowerButton(): void;
  pressSleepButton(): void;
  /** The operating system has switched to ACPI mode. */
  readonly isInAcpiMode: boolean;
  /** The guest has taken note of the last press of the power button. */
  readonly isPowerButtonHandled: boolean;
}

export function createAcpiPm(config: AcpiPmConfig): AcpiPmDevice {
  let pm: AcpiPm;
  let pciFunction: PciFunctionHandle;
  let place: (base: number | undefined) => void = () => {};
  /** PMBA and PMREGMISC as the block is placed now. */
  let base = 0;
  let isOpen = false;
  let smbus: Smbus;
  let placeSmbus: (base: number | undefined) => void = () => {};
  let smbusBase = 0;
  let isSmbusOn = false;

  function follow(): void {
    place(isOpen && base !== 0 ? base : undefined);
    placeSmbus(isSmbusOn && smbusBase !== 0 ? smbusBase : undefined);
  }

  return {
    id: kind,
    attach(context) {
      pm = new AcpiPm(context.clock, context.isaIrq(R.SCI_IRQ), config);
      if (config.isAcpiEnabled) {
        const bytes = byteWindow(pm);
        const window: IoWindow = {
          // The timer must not move between its bytes.
          read: (offset, size) => (offset === R.PM_TMR && size === 4 ? pm.readTimer() : bytes.read(offset, size)),
          write: bytes.write,
        };
        const ports = context.claimMovablePorts(R.PM_BLOCK_BYTES, window);
        place = (at) => (at === undefined ? ports.remove() : ports.place(at));
        const writeByte = (_offset: number, value: number) => pm.writeSmiCommand(value);
        context.claimPorts(R.SMI_CMD, 1, byteWindow({ readByte: () => 0, writeByte }));
      }
      smbus = new Smbus(context.clock);
      const smbusPorts = context.claimMovablePorts(SMBUS_BYTES, byteWindow(smbus));
      placeSmbus = (at) => (at === undefined ? smbusPorts.remove() : smbusPorts.place(at));
      pciFunction = context.addPciFunction(R.PCI_SLOT, 0, {
        name: "PIIX4 power management",
        vendorId: R.VENDOR_INTEL,
        deviceId: R.DEVICE_PIIX4_PM,
        revision: R.REVISION,
        classCode: R.CLASS_OTHER_BRIDGE,
        interruptPin: 1,
        initial: [
          { offset: R.PCISTS, size: 2, value: 0x0280 },
          { offset: R.INTERRUPT_LINE, size: 1, value: R.SCI_IRQ },
          { offset: R.PMBA, size: 4, value: 0x00000001 },
          { offset: R.DEVACTB, size: 4, value: R.DEVACTB_APMC_EN },
          { offset: R.SMBBA, size: 4, value: 0x00000001 },
          { offset: R.SMBREV, size: 1, value: 0 },
        ],
        writable: [
          { offset: R.PMBA, size: 2, mask: R.PMBA_MASK },
          { offset: R.DEVACTB, size: 4, mask: 0x07ffffff },
          { offset: R.PMREGMISC, size: 1, mask: R.PMREGMISC_PMIOSE },
          { offset: R.SMBBA, size: 2, mask: R.SMBBA_MASK },
          { offset: R.SMBHSTCFG, size: 1, mask: 0x0f },
        ],
        onConfigWrite() {
          base = pciFunction.readConfig(R.PMBA, 2) & R.PMBA_MASK;
          isOpen = (pciFunction.readConfig(R.PMREGMISC, 1) & R.PMREGMISC_PMIOSE) !== 0;
          smbusBase = pciFunction.readConfig(R.SMBBA, 2) & R.SMBBA_MASK;
          isSmbusOn = (pciFunction.readConfig(R.SMBHSTCFG, 1) & R.SMBHSTCFG_EN) !== 0;
          follow();
        },
      });
    },
    reset() {
      base = 0;
      isOpen = false;
      smbusBase = 0;
      isSmbusOn = false;
      pciFunction.writeConfig(R.PMBA, 2, 1);
      pciFunction.writeConfig(R.PMREGMISC, 1, 0);
      pciFunction.writeConfig(R.SMBBA, 2, 1);
      pciFunction.writeConfig(R.SMBHSTCFG, 1, 0);
      smbus.reset();
      follow();
      pm.reset();
    },
    pressPowerButton: () => pm.pressPowerButton(),
    pressSleepButton: () => pm.pressSleepButton(),
    get isInAcpiMode() {
      return pm.isInAcpiMode;
    },
    get isPowerButtonHandled() {
      return pm.isPowerButtonHandled;
    },
    save: () => ({
      kind,
      version: 2,
      data: { registers: pm.save(), base, isOpen, smbus: smbus.save(), smbusBase, isSmbusOn },
    }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 2);
      pm.load(state.child("registers"));
      base = state.integer("base", 0, 0xffff) & R.PMBA_MASK;
      isOpen = state.boolean("isOpen");
      smbus.load(state.child("smbus"));
      smbusBase = state.integer("smbusBase", 0, 0xffff) & R.SMBBA_MASK;
      isSmbusOn = state.boolean("isSmbusOn");
      state.end();
      follow();
    },
  };
}
