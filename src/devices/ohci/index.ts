/**
 * Plug of the USB controller: OpenHCI at 00:06.0 with the ids of VirtualBox's (Apple's KeyLargo, 106b:003f), registers in BAR0, INTA; and
 * of the devices in its ports: tablet or mouse, keyboard.
 */
import type { KeyboardSink, PointerSink, TabletSink } from "../../backend-api/display.ts";
import type { Device } from "../../device-api/device.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Ohci } from "./ohci.ts";
import { Tablet, UsbMouse } from "./pointers.ts";
import { UsbDevice } from "./usb-device.ts";
import { UsbKeyboard } from "./usb-keyboard.ts";

const kind = "ohci";

export interface OhciDeviceConfig {
  readonly pointing?: "tablet" | "mouse";
  readonly hasKeyboard: boolean;
}

/** A device that the guest may not use yet, or not any more. */
export interface UsbInput {
  readonly isInUse: boolean;
}

export interface OhciDevice extends Device {
  readonly tablet?: TabletSink;
  readonly mouse?: PointerSink & UsbInput;
  readonly keyboard?: KeyboardSink & UsbInput;
}

export function createOhci({ pointing, hasKeyboard }: OhciDeviceConfig): OhciDevice {
  let ohci: Ohci;
  const devices: UsbDevice[] = [];
  const plugIn = <T extends Tablet | UsbMouse | UsbKeyboard>(hid: T) => {
    const device = new UsbDevice(hid);
    devices.push(device);
    return { hid, isInUse: () => ohci.isInUse(device), tell: () => ohci.hasNews(device) };
  };
  const tablet = pointing === "tablet" ? plugIn(new Tablet()) : undefined;
  const mouse = pointing === "mouse" ? plugIn(new UsbMouse()) : undefined;
  const keyboard = hasKeyboard ? plugIn(new UsbKeyboard()) : undefined;
  return {
    id: kind,
    attach(context) {
      const pci = context.addPciFunction(6, 0, {
        name: "OHCI",
        vendorId: 0x106b,
        deviceId: 0x003f,
        revision: 0,
        classCode: 0x0c0310,
        interruptPin: 1,
        bars: [
          {
            index: 0,
            kind: "memory",
            sizeBytes: 4096,
            window: {
              read: (offset, size) => ohci.read(offset, size),
              write: (offset, size, value) => ohci.write(offset, size, value),
            },
          },
        ],
      });
      ohci = new Ohci({
        clock: context.clock,
        memory: context.memory,
        setInterrupt: (level) => (level ? pci.intx.raise() : pci.intx.lower()),
        isBusMaster: () => pci.busMasterEnabled,
        devices,
      });
    },
    tablet: tablet && {
      get isInUse() {
        return tablet.isInUse();
      },
      putAbsolute(x, y, dz, buttons) {
        tablet.hid.put(x, y, dz, buttons);
        tablet.tell();
      },
    },
    mouse: mouse && {
      get isInUse() {
        return mouse.isInUse();
      },
      putRelative(dx, dy, dz, buttons) {
        mouse.hid.put(dx, dy, dz, buttons);
        mouse.tell();
      },
    },
    keyboard: keyboard && {
      get isInUse() {
        return keyboard.isInUse();
      },
      get leds() {
        return keyboard.hid.leds;
      },
      get room() {
        return keyboard.hid.room;
      },
      putScancode(byte) {
        keyboard.hid.putScancode(byte);
        keyboard.tell();
      },
    },
    reset: () => ohci.reset(),
    save: () => ({ kind, version: 1, data: ohci.save() }),
    load: (leaf) => ohci.load(StateReader.open(leaf, kind, 1)),
  };
}
