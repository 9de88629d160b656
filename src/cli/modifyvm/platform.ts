/** modifyvm: chipset, firmware, boot order, display. */
import { bootPositions, setBootDevice } from "../../config/boot-order.ts";
import { settings } from "../../config/machine-settings.ts";
import { type BootPosition, limits } from "../../spec/machine-spec.ts";
import { parseOnOff } from "../options.ts";
import { choice, custom, inGroup, invalidArgument, number, onOff, plainNumber, text } from "./option.ts";

const { monitors } = limits;
const maxTime = 2 ** 31 - 1;

export const platformOptions = inGroup("Chipset and firmware", [
  choice("chipset", settings.chipset, { status: "refused", example: ["ich9"], note: "`piix3` works" }),
  choice("firmware", settings.firmware, {
    status: "refused",
    example: ["efi"],
    note: "`bios` works",
  }),
  onOff("acpi", settings.acpi, { example: ["off"] }),
  onOff("ioapic", settings.ioapic, { example: ["on"], note: "local and I/O APIC; off, the guest has the 8259A pair" }),
  choice("iommu", settings.iommu, { status: "warned", example: ["amd"] }),
  choice("tpm-type tpmtype", settings.tpmType, { status: "warned", example: ["2.0"] }),
  text("tpm-location tpmlocation", settings.tpmLocation, { status: "stored", example: ["tpm0"] }),
  custom(
    "rtc-use-utc rtcuseutc",
    "onoff",
    (vbox, { values }) => vbox.set(settings.rtc, parseOnOff(values[0]) ? "utc" : "local"),
    { example: ["on"] },
  ),
  onOff("bios-logo-fade-in bioslogofadein firmware-logo-fade-in", settings.biosLogoFadeIn, { status: "stored" }),
  onOff("bios-logo-fade-out bioslogofadeout firmware-logo-fade-out", settings.biosLogoFadeOut, { status: "stored" }),
  plainNumber(
    "bios-logo-display-time bioslogodisplaytime firmware-logo-display-time",
    settings.biosLogoDisplayTimeMs,
    0,
    maxTime,
    { status: "stored", example: ["100"] },
  ),
  text("bios-logo-image-path bioslogoimagepath firmware-logo-image-path", settings.biosLogoImagePath, {
    status: "stored",
    example: ["logo.bmp"],
    note: "there is no logo",
  }),
  choice("bios-boot-menu biosbootmenu firmware-boot-menu", settings.biosBootMenu, {
    example: ["disabled"],
  }),
  plainNumber(
    "bios-system-time-offset biossystemtimeoffset firmware-system-time-offset",
    settings.biosTimeOffsetMs,
    -Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER,
    { example: ["-86400000"] },
  ),
  choice("bios-apic biosapic firmware-apic", settings.biosApic, { status: "stored", example: ["x2apic"] }),
  onOff("bios-pxe-debug biospxedebug firmware-pxe-debug", settings.biosPxeDebug, { status: "stored" }),
  custom(
    "boot",
    "text",
    (vbox, option) => {
      const words: Record<string, BootPosition> = {
        none: "none",
        floppy: "floppy",
        dvd: "dvd",
        disk: "disk",
        net: "network",
      };
      const typed = option.values[0].toLowerCase();
      if (!Object.hasOwn(words, typed)) throw invalidArgument(option);
      setBootDevice(vbox, option.slot, words[typed]);
    },
    { slots: bootPositions, example: ["dvd"] },
  ),
]);

export const displayOptions = inGroup("Display", [
  choice("graphicscontroller graphics-controller", settings.graphics, {
    example: ["vmsvga"],
    note: "`vboxsvga` is VBoxVGA's card with the host interface (pointer, mode hints), without VMSVGA's commands, and `startvm` says so",
  }),
  number(
    "monitor-count monitorcount",
    settings.monitorCount,
    {
      ...monitors,
      refusal: (value) => `Invalid monitor count: ${value} (must be in range [${monitors.min}, ${monitors.max}])`,
    },
    { status: "warned", example: ["2"], note: "1 works" },
  ),
  onOff("accelerate-3d accelerate3d", settings.accelerate3d, { status: "warned" }),
  onOff("accelerate-2d-video accelerate2dvideo", settings.accelerate2dVideo, { status: "warned" }),
]);
