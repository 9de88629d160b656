/**
 * What of a VM's settings is not carried out. `refused`: the guest would be another machine than the one described, so
 * the VM does not start. `warned`: said once at start. What is in neither list works, or makes no difference here
 * (hardware virtualisation, other front ends …). modifyvm's table and docs/vboxmanage.md say the same per option; a test
 * holds them together.
 */
import { type CpuEngine, cpuEngines, limits, nicModels } from "../spec/machine-spec.ts";
import { hostMemory } from "./host-memory.ts";
import { labelOf, type Setting, settings } from "./machine-settings.ts";
import type { MediaIndex } from "./media-registry.ts";
import { adapters } from "./network-settings.ts";
import { attachmentOf } from "./nic-attachments.ts";
import { ports } from "./port-settings.ts";
import { allAttachments, controllersOf, controllerTypeText } from "./storage-settings.ts";
import type { VboxFile } from "./vbox-file.ts";
import { remoteDisplayOf } from "./vrde-settings.ts";

export interface SupportReport {
  readonly refused: readonly string[];
  readonly warned: readonly string[];
}

/** What the machine has today; grows with the devices. */
export const carriedOut = {
  buses: ["ide", "floppy"],
  nicTypes: nicModels,
  audioControllers: ["ac97", "sb16"],
} as const;

/** Extra data that names a WAV file for what the guest plays. */
export const AUDIO_FILE_KEY = "Anneau/AudioFile";

/** Extra data that names the CPU engine; without it the operating system's type decides. */
export const ENGINE_KEY = "Anneau/Engine";

/**
 * These divide by what a million turns of LOOP take in milliseconds (NDIS.VXD, Microsoft's KB312108): on a processor that
 * needs less than one, as the translator does, they stop at start. The interpreter takes about sixteen.
 */
const needsSlowLoops = /^Windows9[58]$/;

/** The engine that a VM's extra data names, or that suits its operating system; undefined for a word that is none. */
export function engineOf(vbox: VboxFile): CpuEngine | undefined {
  const word =
    vbox.extraData(ENGINE_KEY) ?? (needsSlowLoops.test(vbox.get(settings.osType)) ? "interpreter" : "translator");
  return cpuEngines.find((engine) => engine === word);
}

const UART_PORTS = 8;
const PARALLEL_PORTS = 4;

interface Lists {
  readonly refused: string[];
  readonly warned: string[];
}

/** Looks through all settings. `index` knows the media; without it, media are not looked at. */
export function supportOf(vbox: VboxFile, index?: MediaIndex, hostMiB = hostMemory().totalMiB): SupportReport {
  const lists: Lists = { refused: [], warned: [] };
  checkPlatform(vbox, hostMiB, lists);
  checkStorage(vbox, index, lists);
  checkNetwork(vbox, lists);
  checkDevices(vbox, lists);
  checkHostSide(vbox, lists);
  return lists;
}

function checkPlatform(vbox: VboxFile, hostMiB: number, { refused, warned }: Lists): void {
  const ramMiB = vbox.get(settings.memoryMiB);
  const { ramMiB: ram, vramMiB: vram } = limits;
  const vramMiB = vbox.get(settings.vramMiB);
  if (engineOf(vbox) === undefined)
    refused.push(
      `the extra data ${ENGINE_KEY} is '${vbox.extraData(ENGINE_KEY)}', which is none of ${cpuEngines.join(", ")}`,
    );
  if (ramMiB < ram.min) refused.push(`${ramMiB} MB of memory are fewer than ${ram.min} MB (modifyvm --memory)`);
  if (vramMiB < vram.min || vramMiB > vram.max) {
    refused.push(`${vramMiB} MB of video memory are not between ${vram.min} and ${vram.max} MB (modifyvm --vram)`);
  }
  if (ramMiB > limits.ramMiBSupported) {
    refused.push(`${ramMiB} MB of memory are more than the ${limits.ramMiBSupported} MB that a VM can have`);
  } else if (ramMiB > hostMiB) refused.push(`${ramMiB} MB of memory are more than the ${hostMiB} MB that the host has`);
  const cpus = vbox.get(settings.cpus);
  if (cpus !== 1) refused.push(`${cpus} CPUs: a VM has one (modifyvm --cpus 1)`);
  const plugged = vbox.machine
    .find("Hardware/CPU/CpuTree")
    ?.elements("Cpu")
    .some((cpu) => Number(cpu.get("id")) > 0);
  if (plugged && vbox.get(settings.cpuHotplug)) refused.push("more than one CPU is plugged in (modifyvm --unplug-cpu)");
  if (vbox.get(settings.chipset) !== "piix3") refused.push("the chipset ICH9 (modifyvm --chipset piix3)");
  if (vbox.get(settings.firmware) !== "bios") refused.push("EFI firmware (modifyvm --firmware bios)");
  if (vbox.get(settings.longMode)) {
    // A 32-bit system does not miss it; a 64-bit one cannot run without.
    if (vbox.get(settings.osType).endsWith("_64")) refused.push("a 64-bit guest (modifyvm --long-mode off, --ostype)");
    else warned.push("64-bit mode of the CPU");
  }
  const flags: readonly (readonly [Setting<boolean>, string])[] = [
    [settings.nestedHwVirt, "nested hardware virtualisation"],
    [settings.pageFusion, "page fusion"],
    [settings.cpuHotplug, "CPU hotplug"],
    [settings.accelerate3d, "3D acceleration"],
    [settings.accelerate2dVideo, "2D video acceleration"],
  ];
  for (const [setting, what] of flags) if (vbox.get(setting)) warned.push(what);
  if (vbox.get(settings.cpuProfile) !== "host") warned.push(`the CPU profile '${vbox.get(settings.cpuProfile)}'`);
  if (vbox.machine.find("Hardware/CPU/CpuIdTree")?.elements("CpuIdLeaf").length) warned.push("CPUID overrides");
  const provider = vbox.get(settings.paravirtProvider);
  if (["minimal", "hyperv", "kvm"].includes(provider)) {
    warned.push(`the paravirtualisation provider ${labelOf(settings.paravirtProvider, provider)}`);
  }
  if (vbox.get(settings.iommu) !== "none") warned.push("the IOMMU");
  if (vbox.get(settings.tpmType) !== "none") warned.push("the TPM");
  if (vbox.get(settings.balloonMiB) > 0) warned.push("the memory balloon");
  const graphics = vbox.get(settings.graphics);
  if (graphics === "vboxsvga") warned.push("VBoxSVGA's drawing commands: the guest has its pointer and mode hints");
  if (vbox.get(settings.monitorCount) > 1) warned.push("more than one monitor");
}

function checkStorage(vbox: VboxFile, index: MediaIndex | undefined, { refused, warned }: Lists): void {
  const supported: readonly string[] = carriedOut.buses;
  for (const { name, type, bus } of controllersOf(vbox.machine)) {
    if (supported.includes(bus.name)) continue;
    const hasDrives = allAttachments(vbox.machine).some((one) => one.controller.name === name);
    const what = `the storage controller '${name}' (${controllerTypeText(type)})`;
    if (hasDrives) refused.push(`${what} with drives on it: attach them to an IDE controller`);
    else warned.push(what);
  }
  for (const attachment of allAttachments(vbox.machine)) {
    const { controller, port, device, isPassthrough, hostDrive, imageUuid } = attachment;
    const place = `'${controller.name}' port ${port}, device ${device}`;
    if (isPassthrough) warned.push(`DVD passthrough at ${place}`);
    if (hostDrive !== undefined) refused.push(`the host's drive '${hostDrive}' at ${place}`);
    if (attachment.bandwidthGroup !== "") warned.push(`the bandwidth limit of ${place}`);
    const medium = imageUuid === undefined ? undefined : index?.byUuid(imageUuid);
    if (medium?.type === "Immutable" || medium?.type === "MultiAttach") {
      refused.push(`the ${medium.type.toLowerCase()} medium '${medium.location}': its changes cannot be kept apart`);
    }
  }
}

function checkNetwork(vbox: VboxFile, { refused, warned }: Lists): void {
  const types: readonly string[] = carriedOut.nicTypes;
  for (const adapter of adapters(vbox)) {
    if (!adapter.isEnabled) continue;
    const name = `network adapter ${adapter.slot + 1}`;
    if (!types.includes(adapter.type)) warned.push(`${name}: the guest has no ${adapter.type}`);
    const attachment = attachmentOf(adapter, vbox.name);
    if (attachment.kind === "unavailable") refused.push(attachment.why);
    if (adapter.attribute("bandwidthGroup", "") !== "") warned.push(`${name}: the bandwidth limit`);
  }
}

/** What is wrong with a place that no ISA card can have. */
function outOfReach(ioBase: number, irq: number, option: string): string {
  const place = `at I/O port 0x${ioBase.toString(16)} with interrupt ${irq}`;
  return `${place}: the last port is 0xffff, the last interrupt 15 (modifyvm --${option})`;
}

function checkDevices(vbox: VboxFile, { refused, warned }: Lists): void {
  for (const { index, isEnabled, ioBase, irq } of ports(vbox, "UART")) {
    const isPossible = ioBase <= 0xfff8 && irq <= 15;
    if (isEnabled && !isPossible)
      refused.push(`serial port ${index + 1} ${outOfReach(ioBase, irq, `uart${index + 1}`)}`);
    const other = ports(vbox, "UART").find(
      (one) => one.isEnabled && one.index < index && Math.abs(one.ioBase - ioBase) < UART_PORTS,
    );
    if (isEnabled && other !== undefined) {
      refused.push(
        `serial ports ${other.index + 1} and ${index + 1} at the same I/O ports, 0x${ioBase.toString(16)} (modifyvm --uart${index + 1})`,
      );
    }
  }
  const pointing = vbox.get(settings.pointing);
  const hasOhci = hasUsbController(vbox, "OHCI");
  const why = hasOhci ? "" : ": it needs the USB controller OHCI (modifyvm --usb-ohci on)";
  const isUsbPointing = pointing === "usbtablet" || pointing === "usbmouse" || pointing === "combomouse";
  if (pointing !== "ps2mouse" && pointing !== "none" && !(hasOhci && isUsbPointing)) {
    warned.push(`the pointing device ${labelOf(settings.pointing, pointing)}${isUsbPointing ? why : ""}, PS/2 instead`);
  }
  const keyboard = vbox.get(settings.keyboard);
  if (keyboard !== "ps2kbd" && keyboard !== "none" && !hasOhci) {
    warned.push(`the keyboard ${labelOf(settings.keyboard, keyboard)}${why}, PS/2 instead`);
  }
  const [lpt1, lpt2] = ports(vbox, "LPT").filter(({ isEnabled }) => isEnabled);
  for (const { index, ioBase, irq } of [lpt1, lpt2].filter((port) => port !== undefined))
    if (ioBase > 0xfffc || irq > 15)
      refused.push(`parallel port ${index + 1} ${outOfReach(ioBase, irq, `lpt${index + 1}`)}`);
  if (lpt2 !== undefined && Math.abs(lpt1.ioBase - lpt2.ioBase) < PARALLEL_PORTS)
    refused.push(`parallel ports 1 and 2 at the same I/O ports, 0x${lpt2.ioBase.toString(16)} (modifyvm --lpt2)`);
  if (vbox.get(settings.audioEnabled)) checkSound(vbox, warned);
  if (hasUsbController(vbox, "EHCI")) warned.push("the USB controller EHCI");
  if (hasUsbController(vbox, "XHCI")) warned.push("the USB controller xHCI (OHCI is there: modifyvm --usb-ohci on)");
  if (vbox.machine.find("Hardware/USB/DeviceFilters")?.elements("DeviceFilter").length) warned.push("USB filters");
  if (vbox.get(settings.usbCardReader)) warned.push("the USB card reader");
  if (vbox.machine.find("Hardware/HostPci/Devices")?.elements("Device").length) warned.push("PCI passthrough");
}

/** Whether the settings have a USB controller of that type: OHCI, EHCI or XHCI. */
export function hasUsbController(vbox: VboxFile, type: string): boolean {
  const controllers = vbox.machine.find("Hardware/USB/Controllers")?.elements("Controller") ?? [];
  return controllers.some((controller) => controller.get("type") === type);
}

function checkSound(vbox: VboxFile, warned: string[]): void {
  const controller = vbox.get(settings.audioController);
  if (!(carriedOut.audioControllers as readonly string[]).includes(controller)) {
    warned.push(`the sound card ${labelOf(settings.audioController, controller)}`);
    return;
  }
  const codec = vbox.get(settings.audioCodec);
  if (controller === "ac97" && codec !== "stac9700")
    warned.push(`the codec ${labelOf(settings.audioCodec, codec)}: the guest has a STAC9700`);
  const driver = vbox.get(settings.audioDriver);
  const hasFile = vbox.extraData(AUDIO_FILE_KEY) !== undefined;
  if (driver === "null" || driver === "default" || hasFile) return;
  const instead = vbox.get(settings.audioOut)
    ? "the console's page (anneau console) plays what the guest plays"
    : "nobody hears what the guest plays (modifyvm --audio-out on)";
  warned.push(`the sound driver ${labelOf(settings.audioDriver, driver)}: ${instead}`);
}

function checkHostSide(vbox: VboxFile, { warned }: Lists): void {
  const isOn: readonly (readonly [boolean, string])[] = [
    [vbox.get(settings.autostartEnabled), "autostart"],
    [vbox.get(settings.clipboardMode) !== "disabled", "the shared clipboard"],
    [vbox.get(settings.dragAndDrop) !== "disabled", "drag and drop"],
    [
      vbox.get(settings.vrde) && remoteDisplayOf(vbox).password === "",
      "the remote display: it needs a password (modifyvm --vrde-property VNCPassword=TEXT)",
    ],
    [vbox.get(settings.vrdeAuthType) !== "null", "the remote display's authentication type: the VNC password counts"],
    [vbox.get(settings.recording), "recording"],
    [vbox.get(settings.teleporter), "teleporting"],
    [vbox.get(settings.tracing), "tracing"],
    [vbox.get(settings.debugProvider) !== "none", "the guest debugger"],
    [vbox.extraData("VBoxInternal/Devices/VMMDev/0/Config/TestingEnabled") === "1", "the testing device"],
    [(vbox.machine.find("Hardware/SharedFolders")?.elements("SharedFolder").length ?? 0) > 0, "shared folders"],
  ];
  for (const [on, what] of isOn) if (on) warned.push(what);
}
