/** modifyvm: input devices, serial and parallel ports, sound, USB, clipboard. */
import { settings } from "../../config/machine-settings.ts";
import { Port, portCounts, type UartMode, uartTypes } from "../../config/port-settings.ts";
import { ensure } from "../../config/settings-file.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { type ParsedOption, parseOnOff } from "../options.ts";
import { choice, custom, inGroup, invalid, invalidArgument, type ModifyOption, onOff } from "./option.ts";

const isOff = (first: string) => /^(off|none)$/i.test(first);

export const inputOptions = inGroup("Input and ports", [
  choice("mouse", settings.pointing, {
    status: "warned",
    spellings: { ps2: "ps2mouse", usb: "usbmouse" },
    example: ["usbtablet"],
    note: "`ps2` works; `usb` and `usbtablet` with `--usb-ohci on`; the guest has a PS/2 mouse in any case",
  }),
  choice("keyboard", settings.keyboard, {
    status: "warned",
    spellings: { ps2: "ps2kbd", usb: "usbkbd" },
    example: ["usb"],
    note: "`ps2` works, `usb` with `--usb-ohci on`; the guest has a PS/2 keyboard in any case",
  }),
  portOption("uart", "UART", "works", ["0x3f8", "4"]),
  custom("uart-mode uartmode", "text", setUartMode, {
    slots: portCounts.UART,
    more: (first) => (/^(server|client|tcpserver|tcpclient|file)$/.test(first) ? 1 : 0),
    example: ["file", "/tmp/serial.log"],
  }),
  custom(
    "uart-type uarttype",
    "text",
    (vbox, option) => {
      const type = uartTypes.find((known) => known.toLowerCase() === option.values[0].toLowerCase());
      if (type === undefined) throw invalidArgument(option);
      new Port(vbox, "UART", option.slot - 1).uartType = type;
    },
    { slots: portCounts.UART, example: ["16450"] },
  ),
  portOption("lpt", "LPT", "works", ["0x378", "7"]),
  custom("lpt-mode lptmode", "text", (vbox, { slot, values }) => (new Port(vbox, "LPT", slot - 1).path = values[0]), {
    slots: portCounts.LPT,
    example: ["/dev/lp0"],
    note: "a device, or a file that takes what is printed",
  }),
]);

function portOption(
  name: string,
  group: "UART" | "LPT",
  status: ModifyOption["status"],
  example: readonly string[],
): Omit<ModifyOption, "group"> {
  return custom(
    name,
    "text",
    (vbox, option) => {
      const port = new Port(vbox, group, option.slot - 1);
      if (isOff(option.values[0])) {
        port.disable();
        return;
      }
      const [ioBase, irq] = option.values;
      if (!/^(0x[0-9a-f]{1,4}|[0-9]{1,5})$/i.test(ioBase) || !/^[0-9]{1,2}$/.test(irq))
        throw invalidArgument(option, `${ioBase} ${irq}`);
      if (Number(ioBase) > 0xffff) throw invalid(`Invalid port I/O base '${ioBase}' (must be at most 0xffff)`);
      if (Number(irq) > 255) throw invalid(`Invalid IRQ number of the port: ${irq} (must be in range [0, 255])`);
      port.enable(Number(ioBase), Number(irq));
    },
    { slots: portCounts[group], more: (first) => (isOff(first) ? 0 : 1), status, example },
  );
}

function setUartMode(vbox: VboxFile, option: ParsedOption): void {
  const [kind, path] = option.values;
  const port = new Port(vbox, "UART", option.slot - 1);
  if (kind === "disconnected") port.mode = { kind };
  else if (path === undefined) port.mode = { kind: "device", path: kind };
  else {
    if (kind === "tcpserver" && !(/^[0-9]{1,5}$/.test(path) && Number(path) > 0 && Number(path) <= 65535)) {
      throw invalid(`Invalid TCP port '${path}' in ${option.typed}`);
    }
    if (kind === "tcpclient" && !/^.+:[0-9]{1,5}$/.test(path))
      throw invalid(`Invalid address '${path}' in ${option.typed}`);
    port.mode = { kind: kind as Exclude<UartMode["kind"], "disconnected">, path };
  }
}

/** Drivers that the platform has; the others are refused, as VirtualBox does. */
const platformDrivers: Record<string, readonly string[]> = {
  linux: ["default", "null", "oss", "alsa", "pulse"],
  freebsd: ["default", "null", "oss", "pulse"],
  darwin: ["default", "null", "coreaudio"],
  win32: ["default", "null", "dsound", "was", "winmm"],
};

function setAudioDriver(vbox: VboxFile, option: ParsedOption, switchesOn: boolean): void {
  const typed = option.values[0].toLowerCase();
  if (typed === "none") {
    vbox.set(settings.audioEnabled, false);
    return;
  }
  if (!(platformDrivers[process.platform] ?? platformDrivers.linux).includes(typed)) throw invalidArgument(option);
  vbox.set(settings.audioDriver, typed);
  ensure(vbox.machine, "Hardware/AudioAdapter")
    .set("driver", settings.audioDriver.format(typed))
    .set("useDefault", typed === "default" ? "true" : undefined);
  if (switchesOn) {
    vbox.set(settings.audioEnabled, true);
  }
}

const codecs: Record<string, string> = { ac97: "stac9700", sb16: "sb16", hda: "stac9221" };

export const audioOptions = inGroup("Audio", [
  custom("audio-driver audiodriver", "text", (vbox, option) => setAudioDriver(vbox, option, false), {
    example: ["null"],
    note: "the drivers of the host's platform: all of them but `null` are the console's page, and `startvm` says so",
  }),
  custom("audio", "text", (vbox, option) => setAudioDriver(vbox, option, true), {
    status: "warned",
    example: ["alsa"],
    note: "old spelling: driver and switching on in one",
  }),
  onOff("audio-enabled audioenabled", settings.audioEnabled, {
    note: "the console's page plays it; extra data `Anneau/AudioFile` names a WAV file for it",
  }),
  custom(
    "audio-controller audiocontroller",
    "text",
    (vbox, option) => {
      const typed = option.values[0].toLowerCase();
      if (!Object.hasOwn(codecs, typed)) throw invalidArgument(option);
      vbox.set(settings.audioController, typed);
      vbox.set(settings.audioCodec, codecs[typed]);
    },
    { status: "stored", example: ["hda"], note: "`hda` is warned about at start" },
  ),
  choice("audio-codec audiocodec", settings.audioCodec, { status: "stored", example: ["ad1980"] }),
  onOff("audio-in audioin", settings.audioIn, { status: "stored", example: ["on"] }),
  onOff("audio-out audioout", settings.audioOut),
]);

function usbController(names: string, type: "OHCI" | "EHCI" | "XHCI"): Omit<ModifyOption, "group"> {
  return custom(
    names,
    "onoff",
    (vbox, { values }) => {
      const parent = vbox.machine.find("Hardware/USB/Controllers");
      const present = parent?.elements("Controller").filter((one) => one.get("type") === type) ?? [];
      if (!parseOnOff(values[0])) for (const controller of present) parent?.remove(controller);
      else if (present.length === 0) {
        ensure(vbox.machine, "Hardware/USB/Controllers").add("Controller").set("name", type).set("type", type);
      }
    },
    { status: type === "OHCI" ? "works" : "warned", example: ["on"] },
  );
}

function renameUsbController(vbox: VboxFile, { values }: ParsedOption): void {
  const controllers = vbox.machine.find("Hardware/USB/Controllers")?.elements("Controller") ?? [];
  const controller = controllers.find((one) => one.get("name") === values[0]);
  if (controller === undefined) throw invalid(`No USB controller named '${values[0]}'`);
  if (controllers.some((one) => one.get("name") === values[1])) {
    throw invalid(`USB controller named '${values[1]}' already exists`);
  }
  controller.set("name", values[1]);
}

export const integrationOptions = inGroup("Integration and USB", [
  choice("clipboard-mode clipboard", settings.clipboardMode, { status: "warned", example: ["bidirectional"] }),
  onOff("clipboard-file-transfers", settings.clipboardFileTransfers, { status: "stored" }),
  choice("drag-and-drop draganddrop", settings.dragAndDrop, { status: "warned", example: ["hosttoguest"] }),
  usbController("usb-ohci usbohci usb", "OHCI"),
  usbController("usb-ehci usbehci", "EHCI"),
  usbController("usb-xhci usbxhci", "XHCI"),
  onOff("usb-card-reader usbcardreader", settings.usbCardReader, { status: "warned" }),
  custom("usb-rename usbrename", "text", renameUsbController, {
    status: "stored",
    more: () => 1,
    example: ["OHCI", "USB-1"],
  }),
]);
