/**
 * Where each single-valued setting of a VM stands in its .vbox file, how its value is spelled there, on the command line
 * and in showvminfo's human layout, and what counts when it is absent. Settings with several values or per-slot ones
 * (boot order, controllers, adapters, ports, shared folders …) have files of their own. Names and spellings: the
 * settings schema of VirtualBox 7.0.
 */
import { ensure } from "./settings-file.ts";
import type { XmlElement } from "./xml.ts";

/** One of a fixed set of values: command-line spelling, file spelling, human label. */
export interface Choice {
  readonly value: string;
  readonly xml: string;
  readonly label: string;
}

export interface Setting<T> {
  /** Elements below Machine, `` for Machine itself. */
  readonly path: string;
  readonly attribute: string;
  readonly fallback: T;
  readonly choices?: readonly Choice[];
  parse(text: string): T | undefined;
  format(value: T): string;
}

function flag(path: string, attribute: string, fallback: boolean): Setting<boolean> {
  return {
    path,
    attribute,
    fallback,
    parse: (text) => (/^(true|1|yes)$/i.test(text) ? true : /^(false|0|no)$/i.test(text) ? false : undefined),
    format: (value) => (value ? "true" : "false"),
  };
}

function count(path: string, attribute: string, fallback: number): Setting<number> {
  return {
    path,
    attribute,
    fallback,
    parse: (text) => (/^(-?[0-9]{1,15}|0[xX][0-9a-fA-F]{1,12})$/.test(text) ? Number(text) : undefined),
    format: (value) => String(value),
  };
}

function text(path: string, attribute: string, fallback = ""): Setting<string> {
  return { path, attribute, fallback, parse: (value) => value, format: (value) => value };
}

/** `spellings`: `value=Xml=Label`, label defaulting to the file's spelling. */
function choice(path: string, attribute: string, fallback: string, spellings: readonly string[]): Setting<string> {
  const choices = spellings.map((spelling) => {
    const [value, xml, label] = spelling.split("=");
    return { value, xml, label: label ?? xml };
  });
  return {
    path,
    attribute,
    fallback,
    choices,
    parse: (text) => choices.find(({ xml }) => xml.toLowerCase() === text.toLowerCase())?.value,
    format: (value) => choices.find((one) => one.value === value)?.xml ?? value,
  };
}

const transfer = [
  "disabled=Disabled=disabled",
  "hosttoguest=HostToGuest",
  "guesttohost=GuestToHost",
  "bidirectional=Bidirectional",
];

export const settings = {
  // General
  osType: text("", "OSType", "Other"),
  snapshotFolder: text("", "snapshotFolder", "Snapshots"),
  icon: text("", "icon"),
  processPriority: choice("", "processPriority", "default", [
    "default=Default=default",
    "flat=Flat=flat",
    "low=Low=low",
    "normal=Normal=normal",
    "high=High=high",
  ]),
  defaultFrontend: text("Hardware/Frontend", "default"),
  autostartEnabled: flag("Autostart", "enabled", false),
  autostartDelaySeconds: count("Autostart", "delay", 0),
  autostopType: choice("Autostart", "autostop", "disabled", [
    "disabled=Disabled",
    "savestate=SaveState",
    "poweroff=PowerOff",
    "acpishutdown=AcpiShutdown",
  ]),
  // Memory and CPU
  memoryMiB: count("Hardware/Memory", "RAMSize", 128),
  pageFusion: flag("Hardware/Memory", "PageFusion", false),
  balloonMiB: count("Hardware/Guest", "memoryBalloonSize", 0),
  cpus: count("Hardware/CPU", "count", 1),
  cpuHotplug: flag("Hardware/CPU", "hotplug", false),
  cpuExecutionCap: count("Hardware/CPU", "executionCap", 100),
  cpuProfile: text("Hardware/CPU", "CpuProfile", "host"),
  cpuidPortability: count("Hardware/CPU", "CpuIdPortabilityLevel", 0),
  hwvirtex: flag("Hardware/CPU/HardwareVirtEx", "enabled", true),
  nestedPaging: flag("Hardware/CPU/HardwareVirtExNestedPaging", "enabled", true),
  vtxVpid: flag("Hardware/CPU/HardwareVirtExVPID", "enabled", true),
  vtxUx: flag("Hardware/CPU/HardwareVirtExUX", "enabled", true),
  largePages: flag("Hardware/CPU/HardwareVirtExLargePages", "enabled", true),
  virtVmsaveVmload: flag("Hardware/CPU/HardwareVirtExVirtVmsaveVmload", "enabled", true),
  nestedHwVirt: flag("Hardware/CPU/NestedHWVirt", "enabled", false),
  pae: flag("Hardware/CPU/PAE", "enabled", true),
  longMode: flag("Hardware/CPU/LongMode", "enabled", false),
  tripleFaultReset: flag("Hardware/CPU/TripleFaultReset", "enabled", false),
  apic: flag("Hardware/CPU/APIC", "enabled", true),
  x2apic: flag("Hardware/CPU/X2APIC", "enabled", false),
  ibpbOnVmExit: flag("Hardware/CPU/IBPBOn", "vmexit", false),
  ibpbOnVmEntry: flag("Hardware/CPU/IBPBOn", "vmentry", false),
  specCtrl: flag("Hardware/CPU/SpecCtrl", "enabled", false),
  l1dFlushOnSched: flag("Hardware/CPU/L1DFlushOn", "scheduling", true),
  l1dFlushOnVmEntry: flag("Hardware/CPU/L1DFlushOn", "vmentry", false),
  mdsClearOnSched: flag("Hardware/CPU/MDSClearOn", "scheduling", true),
  mdsClearOnVmEntry: flag("Hardware/CPU/MDSClearOn", "vmentry", false),
  hpet: flag("Hardware/HPET", "enabled", false),
  paravirtProvider: choice("Hardware/Paravirt", "provider", "default", [
    "none=None",
    "default=Default",
    "legacy=Legacy",
    "minimal=Minimal",
    "hyperv=HyperV",
    "kvm=KVM",
  ]),
  paravirtDebug: text("Hardware/Paravirt", "debug"),
  // Chipset and firmware
  chipset: choice("Hardware/Chipset", "type", "piix3", ["piix3=PIIX3=piix3", "ich9=ICH9=ich9"]),
  firmware: choice("Hardware/Firmware", "type", "bios", [
    "bios=BIOS",
    "efi=EFI",
    "efi32=EFI32",
    "efi64=EFI64",
    "efidual=EFIDUAL",
  ]),
  iommu: choice("Hardware/Iommu", "type", "none", ["none=None", "automatic=Automatic", "amd=AMD", "intel=Intel"]),
  tpmType: choice("Hardware/TrustedPlatformModule", "type", "none", [
    "none=None",
    "1.2=v1_2=1.2",
    "2.0=v2_0=2.0",
    "host=Host",
    "swtpm=Swtpm",
  ]),
  tpmLocation: text("Hardware/TrustedPlatformModule", "location"),
  acpi: flag("Hardware/BIOS/ACPI", "enabled", true),
  ioapic: flag("Hardware/BIOS/IOAPIC", "enabled", false),
  biosApic: choice("Hardware/BIOS/APIC", "mode", "apic", ["disabled=Disabled", "apic=APIC", "x2apic=X2APIC"]),
  biosLogoFadeIn: flag("Hardware/BIOS/Logo", "fadeIn", true),
  biosLogoFadeOut: flag("Hardware/BIOS/Logo", "fadeOut", true),
  biosLogoDisplayTimeMs: count("Hardware/BIOS/Logo", "displayTime", 0),
  biosLogoImagePath: text("Hardware/BIOS/Logo", "imagePath"),
  biosBootMenu: choice("Hardware/BIOS/BootMenu", "mode", "messageandmenu", [
    "disabled=Disabled=disabled",
    "menuonly=MenuOnly=menu only",
    "messageandmenu=MessageAndMenu=message and menu",
  ]),
  biosTimeOffsetMs: count("Hardware/BIOS/TimeOffset", "value", 0),
  biosPxeDebug: flag("Hardware/BIOS/PXEDebug", "enabled", false),
  nvramPath: text("Hardware/BIOS/NVRAM", "path"),
  systemUuidLittleEndian: flag("Hardware/BIOS/SmbiosUuidLittleEndian", "enabled", false),
  rtc: choice("Hardware/RTC", "localOrUTC", "local", ["local=local=local time", "utc=UTC"]),
  // Display
  graphics: choice("Hardware/Display", "controller", "vboxvga", [
    "none=None",
    "vboxvga=VBoxVGA",
    "vmsvga=VMSVGA",
    "vboxsvga=VBoxSVGA",
  ]),
  vramMiB: count("Hardware/Display", "VRAMSize", 8),
  monitorCount: count("Hardware/Display", "monitorCount", 1),
  accelerate3d: flag("Hardware/Display", "accelerate3D", false),
  accelerate2dVideo: flag("Hardware/Display", "accelerate2DVideo", false),
  // Input
  pointing: choice("Hardware/HID", "Pointing", "ps2mouse", [
    "none=None",
    "ps2mouse=PS2Mouse=PS/2 Mouse",
    "usbmouse=USBMouse=USB Mouse",
    "usbtablet=USBTablet=USB Tablet",
    "combomouse=ComboMouse=USB Tablet and PS/2 Mouse",
    "usbmultitouch=USBMultiTouch=USB Multi-Touch",
    "usbmtscreenpluspad=USBMTScreenPlusPad=USB Multi-Touch Screen and Pad",
  ]),
  keyboard: choice("Hardware/HID", "Keyboard", "ps2kbd", [
    "none=None",
    "ps2kbd=PS2Keyboard=PS/2 Keyboard",
    "usbkbd=USBKeyboard=USB Keyboard",
    "combokbd=ComboKeyboard=USB and PS/2 Keyboard",
  ]),
  // Audio
  audioEnabled: flag("Hardware/AudioAdapter", "enabled", false),
  audioDriver: choice("Hardware/AudioAdapter", "driver", "default", [
    "default=Default",
    "null=Null",
    "winmm=WinMM",
    "dsound=DirectSound=DSOUND",
    "was=WAS",
    "oss=OSS",
    "alsa=ALSA",
    "pulse=Pulse=PulseAudio",
    "coreaudio=CoreAudio",
  ]),
  audioController: choice("Hardware/AudioAdapter", "controller", "ac97", ["ac97=AC97", "sb16=SB16", "hda=HDA"]),
  audioCodec: choice("Hardware/AudioAdapter", "codec", "stac9700", [
    "sb16=SB16",
    "stac9700=STAC9700",
    "ad1980=AD1980",
    "stac9221=STAC9221",
  ]),
  audioIn: flag("Hardware/AudioAdapter", "enabledIn", false),
  audioOut: flag("Hardware/AudioAdapter", "enabledOut", false),
  // Integration
  clipboardMode: choice("Hardware/Clipboard", "mode", "disabled", transfer),
  clipboardFileTransfers: flag("Hardware/Clipboard", "fileTransfersEnabled", false),
  dragAndDrop: choice("Hardware/DragAndDrop", "mode", "disabled", transfer),
  usbCardReader: flag("Hardware/EmulatedUSB/CardReader", "enabled", false),
  // Remote display
  vrde: flag("Hardware/RemoteDisplay", "enabled", false),
  vrdeAuthType: choice("Hardware/RemoteDisplay", "authType", "null", [
    "null=Null=null",
    "external=External=external",
    "guest=Guest=guest",
  ]),
  vrdeAuthLibrary: text("Hardware/RemoteDisplay", "authLibrary"),
  vrdeMultiCon: flag("Hardware/RemoteDisplay", "allowMultiConnection", false),
  vrdeReuseCon: flag("Hardware/RemoteDisplay", "reuseSingleConnection", false),
  vrdeExtPack: text("Hardware/RemoteDisplay", "VRDEExtPack"),
  // Recording
  recording: flag("Hardware/VideoCapture", "enabled", false),
  recordingScreens: text("Hardware/VideoCapture", "screens", "0"),
  recordingFile: text("Hardware/VideoCapture", "file"),
  recordingWidth: count("Hardware/VideoCapture", "horzRes", 1024),
  recordingHeight: count("Hardware/VideoCapture", "vertRes", 768),
  recordingRateKbps: count("Hardware/VideoCapture", "rate", 512),
  recordingFps: count("Hardware/VideoCapture", "fps", 25),
  recordingMaxTime: count("Hardware/VideoCapture", "maxTime", 0),
  recordingMaxSizeMB: count("Hardware/VideoCapture", "maxSize", 0),
  recordingOptions: text("Hardware/VideoCapture", "options", "vc_enabled=true,ac_enabled=false,ac_profile=med"),
  // Teleporting, tracing, debugging
  teleporter: flag("Teleporter", "enabled", false),
  teleporterPort: count("Teleporter", "port", 0),
  teleporterAddress: text("Teleporter", "address"),
  teleporterPassword: text("Teleporter", "password"),
  tracing: flag("Debugging/Tracing", "enabled", false),
  tracingAllowAccess: flag("Debugging/Tracing", "allowTracingToAccessVM", false),
  tracingConfig: text("Debugging/Tracing", "config"),
  debugProvider: choice("Debugging/GuestDebug", "provider", "none", ["none=None", "native=Native", "gdb=GDB", "kd=KD"]),
  debugIoProvider: choice("Debugging/GuestDebug", "io", "none", ["none=None", "tcp=TCP", "udp=UDP", "ipc=IPC"]),
  debugAddress: text("Debugging/GuestDebug", "address"),
  debugPort: count("Debugging/GuestDebug", "port", 0),
  // I/O
  ioCache: flag("Hardware/IO/IoCache", "enabled", true),
  ioCacheSizeMB: count("Hardware/IO/IoCache", "size", 5),
} as const satisfies Record<string, Setting<boolean> | Setting<number> | Setting<string>>;

/** The value, or its fallback when absent or unreadable. */
export function readSetting<T>(machine: XmlElement, setting: Setting<T>): T {
  const element = setting.path === "" ? machine : machine.find(setting.path);
  const value = element?.get(setting.attribute);
  return (value === undefined ? undefined : setting.parse(value)) ?? setting.fallback;
}

/** Stores the value; one that counts already leaves the file as it is. */
export function writeSetting<T>(machine: XmlElement, setting: Setting<T>, value: T): void {
  if (readSetting(machine, setting) === value) return;
  const element = setting.path === "" ? machine : ensure(machine, setting.path);
  element.set(setting.attribute, setting.format(value));
}

/** The label of a choice's value, for people. */
export function labelOf(setting: Setting<string>, value: string): string {
  return setting.choices?.find((one) => one.value === value)?.label ?? value;
}
