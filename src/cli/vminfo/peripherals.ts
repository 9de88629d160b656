/** showvminfo: input, ports, sound, integration, remote display, USB, shared folders, recording, snapshots. */
import { labelOf, settings } from "../../config/machine-settings.ts";
import { type Port, ports, type UartMode } from "../../config/port-settings.ts";
import { parseUuid } from "../../config/uuid.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { DEFAULT_VRDE_ADDRESS, DEFAULT_VRDE_PORT, vrdeProperties, vrdeProperty } from "../../config/vrde-settings.ts";
import type { XmlElement } from "../../config/xml.ts";
import { limits } from "../../spec/machine-spec.ts";
import type { LiveStatus } from "../live-machine.ts";
import { escapeValue, type InfoReport } from "./report.ts";

const onOff = (value: boolean) => (value ? "on" : "off");
const padded = (label: string) => `${label.padEnd(28)} `;

export function reportInput(report: InfoReport, vbox: VboxFile): void {
  const pointing = vbox.get(settings.pointing);
  report.text("hidpointing", "Pointing Device:", pointing, labelOf(settings.pointing, pointing));
  const keyboard = vbox.get(settings.keyboard);
  report.text("hidkeyboard", "Keyboard Device:", keyboard, labelOf(settings.keyboard, keyboard));
}

const hex4 = (value: number) => `0x${value.toString(16).padStart(4, "0")}`;

function uartModeTexts(mode: UartMode): { machine: string; human: string } {
  if (mode.kind === "disconnected") return { machine: "disconnected", human: "disconnected" };
  const { kind, path } = mode;
  const humans = {
    server: `attached to pipe (server) '${path}'`,
    client: `attached to pipe (client) '${path}'`,
    tcpserver: `attached to tcp (server) '${path}'`,
    tcpclient: `attached to tcp (client) '${path}'`,
    file: `attached to raw file '${path}'`,
    device: `attached to device '${path}'`,
  };
  return { machine: kind === "device" ? path : `${kind},${path}`, human: humans[kind] };
}

export function reportPorts(report: InfoReport, vbox: VboxFile): void {
  for (const port of ports(vbox, "UART")) {
    const number = port.index + 1;
    if (!port.isEnabled) {
      report.both(`uart${number}="off"`, `UART ${number}:`, "disabled");
      continue;
    }
    const { machine, human } = uartModeTexts(port.mode);
    report.machine(`uart${number}="${hex4(port.ioBase)},${port.irq}"`);
    report.machine(`uartmode${number}="${escapeValue(machine)}"`);
    report.machine(`uarttype${number}="${port.uartType}"`);
    report.human(`${padded(`UART ${number}:`)}${resources(port)}, ${human}, ${port.uartType}`);
  }
  for (const port of ports(vbox, "LPT")) {
    const number = port.index + 1;
    if (!port.isEnabled) {
      report.both(`lpt${number}="off"`, `LPT ${number}:`, "disabled");
      continue;
    }
    report.machine(`lpt${number}="${hex4(port.ioBase)},${port.irq}"`);
    report.machine(`lptmode${number}="${escapeValue(port.path)}"`);
    report.human(`${padded(`LPT ${number}:`)}${resources(port)}, attached to device '${port.path}'`);
  }
}

function resources(port: Port): string {
  return `I/O base: ${hex4(port.ioBase)}, IRQ: ${port.irq}`;
}

export function reportAudio(report: InfoReport, vbox: VboxFile): void {
  const isEnabled = vbox.get(settings.audioEnabled);
  const driver = vbox.get(settings.audioDriver);
  const label = (setting: typeof settings.audioDriver) => labelOf(setting, vbox.get(setting));
  report.both(
    `audio="${isEnabled ? driver : "none"}"`,
    "Audio:",
    isEnabled
      ? `enabled (Driver: ${label(settings.audioDriver)}, Controller: ${label(settings.audioController)}, Codec: ${label(settings.audioCodec)})`
      : "disabled",
  );
  report.flag("audio_out", "Audio playback:", vbox.get(settings.audioOut));
  report.flag("audio_in", "Audio capture:", vbox.get(settings.audioIn));
  const clipboard = vbox.get(settings.clipboardMode);
  report.text("clipboard", "Clipboard Mode:", clipboard, labelOf(settings.clipboardMode, clipboard));
  report.flag("clipboard_file_transfers", "Clipboard file transfers:", vbox.get(settings.clipboardFileTransfers));
  const dragAndDrop = vbox.get(settings.dragAndDrop);
  report.text("draganddrop", "Drag and drop Mode:", dragAndDrop, labelOf(settings.dragAndDrop, dragAndDrop));
}

export function reportSession(report: InfoReport, live: LiveStatus | undefined): void {
  if (live === undefined) return;
  const sessionName = live.sessionName ?? "headless";
  report.text("SessionName", "Session name:", sessionName);
  if (!live.video) return;
  const { width, height, bitsPerPixel } = live.video;
  report.machine(`VideoMode="${width},${height},${bitsPerPixel}"@0,0 1`);
  report.human(`${padded("Video mode:")}${width}x${height}x${bitsPerPixel} at 0,0 enabled`);
}

export function reportRemoteDisplay(report: InfoReport, vbox: VboxFile, live: LiveStatus | undefined): void {
  if (!vbox.get(settings.vrde)) {
    report.flag("vrde", "VRDE:", false);
    return;
  }
  const ports_ = vrdeProperty(vbox, "TCP/Ports") ?? String(DEFAULT_VRDE_PORT);
  const address = vrdeProperty(vbox, "TCP/Address") ?? DEFAULT_VRDE_ADDRESS;
  const authType = vbox.get(settings.vrdeAuthType);
  const [multi, reuse] = [onOff(vbox.get(settings.vrdeMultiCon)), onOff(vbox.get(settings.vrdeReuseCon))];
  const channel = vrdeProperty(vbox, "VideoChannel/Enabled");
  const isVideo = channel !== undefined && /^(1|true)$/i.test(channel);
  const quality = vrdeProperty(vbox, "VideoChannel/Quality") ?? "75";
  report.machine('vrde="on"');
  report.machine(`vrdeport=${live?.remoteDisplay?.port ?? -1}`);
  report.machine(`vrdeports="${escapeValue(ports_)}"`);
  report.machine(`vrdeaddress="${escapeValue(address)}"`);
  report.machine(`vrdeauthtype="${authType}"`);
  report.machine(`vrdemulticon="${multi}"`);
  report.machine(`vrdereusecon="${reuse}"`);
  report.machine(`vrdevideochannel="${onOff(isVideo)}"`);
  if (isVideo) report.machine(`vrdevideochannelquality="${escapeValue(quality)}"`);
  report.human(
    `${padded("VRDE:")}enabled (Address ${address}, Ports ${ports_}, MultiConn: ${multi}, ReuseSingleConn: ${reuse}, Authentication type: ${authType})`,
  );
  report.human(`${padded("Video redirection:")}${isVideo ? `enabled (Quality: ${quality})` : "disabled"}`);
  for (const [name, value] of vrdeProperties(vbox)) {
    report.machine(`vrdeproperty[${name}]="${escapeValue(value)}"`);
    report.human(`${padded("VRDE property:")}${name} = "${value}"`);
  }
}

/** Who is connected, of a running VM. */
export function reportConnections(report: InfoReport, live: LiveStatus | undefined): void {
  if (live === undefined) return;
  const clients = live.remoteDisplay?.clients ?? 0;
  report.machine(`VRDEActiveConnection="${onOff(clients > 0)}"`);
  report.machine(`VRDEClients=${clients}`);
  report.human(`${padded("VRDE Connection:")}${clients > 0 ? "active" : "not active"}`);
}

export function reportUsb(report: InfoReport, vbox: VboxFile): void {
  const controllers = vbox.machine.find("Hardware/USB/Controllers")?.elements("Controller") ?? [];
  const has = (type: string) => controllers.some((controller) => controller.get("type") === type);
  report.flag("usb", "OHCI USB:", has("OHCI"));
  report.flag("ehci", "EHCI USB:", has("EHCI"));
  report.flag("xhci", "xHCI USB:", has("XHCI"));
  const filters = vbox.machine.find("Hardware/USB/DeviceFilters")?.elements("DeviceFilter") ?? [];
  if (filters.length === 0) report.human(`${padded("USB Device Filters:")}<none>`);
  else report.human("USB Device Filters:");
  for (const [at, filter] of filters.entries()) {
    const number = at + 1;
    const isActive = filter.get("active") === "true";
    report.machine(`USBFilterActive${number}="${onOff(isActive)}"`);
    report.human(`${padded("  Index:")}${at}`);
    report.human(`${padded("  Active:")}${isActive ? "yes" : "no"}`);
    for (const [key, label, attribute] of filterFields) {
      const value = filter.get(attribute) ?? "";
      report.machine(`USBFilter${key}${number}="${escapeValue(value)}"`);
      report.human(`${padded(`  ${label}:`)}${value}`.trimEnd());
    }
  }
}

const filterFields = [
  ["Name", "Name", "name"],
  ["VendorId", "VendorId", "vendorId"],
  ["ProductId", "ProductId", "productId"],
  ["Revision", "Revision", "revision"],
  ["Manufacturer", "Manufacturer", "manufacturer"],
  ["Product", "Product", "product"],
  ["Remote", "Remote", "remote"],
  ["SerialNumber", "Serial Number", "serialNumber"],
] as const;

export function reportBandwidthGroups(report: InfoReport, vbox: VboxFile): void {
  const groups = vbox.machine.find("Hardware/IO/BandwidthGroups")?.elements("BandwidthGroup") ?? [];
  if (groups.length === 0) report.human(`${padded("Bandwidth groups:")}<none>`);
  for (const [at, group] of groups.entries()) {
    const [name, type, bytes] = ["name", "type", "maxBytesPerSec"].map((attribute) => group.get(attribute) ?? "");
    report.machine(`BandwidthGroup${at}=${name},${type},${bytes}`);
    if (at === 0) report.human("Bandwidth groups:");
    report.human(
      `#${at}: Name: '${name}', Type: ${type}, Limit: ${bytes === "0" ? "none (disabled)" : `${bytes} bytes/sec`}`,
    );
  }
}

export function reportSharedFolders(report: InfoReport, vbox: VboxFile): void {
  const folders = vbox.machine.find("Hardware/SharedFolders")?.elements("SharedFolder") ?? [];
  if (folders.length === 0) report.human(`${padded("Shared folders:")}<none>`);
  else report.human("Shared folders:");
  for (const [at, folder] of folders.entries()) {
    const name = folder.get("name") ?? "";
    const path = folder.get("hostPath") ?? "";
    report.machine(`SharedFolderNameMachineMapping${at + 1}="${escapeValue(name)}"`);
    report.machine(`SharedFolderPathMachineMapping${at + 1}="${escapeValue(path)}"`);
    const access = folder.get("writable") === "false" ? "readonly" : "writable";
    const mounting = folder.get("autoMount") === "true" ? ", auto-mount" : "";
    const point = folder.get("autoMountPoint");
    report.human(
      `Name: '${name}', Host path: '${path}' (machine mapping), ${access}${mounting}${point ? `, mount-point: '${point}'` : ""}`,
    );
  }
}

export function reportRecording(report: InfoReport, vbox: VboxFile): void {
  const isEnabled = vbox.get(settings.recording);
  const monitors = Math.min(vbox.get(settings.monitorCount), limits.monitors.max);
  report.both(`recording_enabled="${onOff(isEnabled)}"`, "Recording enabled:", isEnabled ? "yes" : "no");
  report.number("recording_screens", "Recording screens:", monitors);
  const listed = vbox.get(settings.recordingScreens);
  for (let screen = 0; screen < monitors; screen++) {
    const isRecorded = /^(all|0)$/.test(listed) || listed.split(",").includes(String(screen));
    const file = vbox.get(settings.recordingFile) || `${vbox.path.replace(/\.vbox$/i, "")}-screen${screen}.webm`;
    const size = `${vbox.get(settings.recordingWidth)}x${vbox.get(settings.recordingHeight)}`;
    report.both(` rec_screen${screen}`, ` Screen ${screen}:`, "");
    const field = (machine: string, label: string, value: string | number) => {
      report.machine(machine);
      report.human(`    ${label.padEnd(24)} ${value}`);
    };
    field(`rec_screen_enabled="${onOff(isRecorded)}"`, "Enabled:", isRecorded ? "yes" : "no");
    field(`rec_screen_id=${screen}`, "ID:", screen);
    field('rec_screen_video_enabled="on"', "Record video:", "yes");
    field('rec_screen_dest="File"', "Destination:", "File");
    field(`rec_screen_dest_filename="${escapeValue(file)}"`, "File:", file);
    const options = vbox.get(settings.recordingOptions);
    field(`rec_screen_opts="${escapeValue(options)}"`, "Options:", options);
    field(`rec_screen_video_res_xy="${size}"`, "Video dimensions:", size);
    const [rate, fps] = [vbox.get(settings.recordingRateKbps), vbox.get(settings.recordingFps)];
    field(`rec_screen_video_rate_kbps=${rate}`, "Video rate:", `${rate}kbps`);
    field(`rec_screen_video_fps=${fps}`, "Video FPS:", `${fps}fps`);
  }
}

export function reportDescription(report: InfoReport, vbox: VboxFile): void {
  const { description } = vbox;
  if (description === "") return;
  report.machine(`description="${escapeValue(description)}"`);
  report.human("Description:");
  report.human(description);
}

/** The snapshot tree; also the whole output of `snapshot VM list`. */
export function reportSnapshots(report: InfoReport, vbox: VboxFile, hasHeading = true): boolean {
  const root = vbox.machine.element("Snapshot");
  if (root === undefined) return false;
  const current = parseUuid(vbox.machine.get("currentSnapshot"));
  const pending: { element: XmlElement; suffix: string; depth: number }[] = [{ element: root, suffix: "", depth: 0 }];
  if (hasHeading) report.human("* Snapshots:");
  for (let next = pending.shift(); next; next = pending.shift()) {
    const { element, suffix, depth } = next;
    const name = element.get("name") ?? "";
    const uuid = parseUuid(element.get("uuid")) ?? "";
    const isCurrent = uuid === current;
    report.machine(`SnapshotName${suffix}="${escapeValue(name)}"`);
    report.machine(`SnapshotUUID${suffix}="${uuid}"`);
    report.human(`${" ".repeat(3 * (depth + 1))}Name: ${name} (UUID: ${uuid})${isCurrent ? " *" : ""}`);
    const description = element.element("Description")?.text ?? "";
    if (description !== "") {
      report.machine(`SnapshotDescription${suffix}="${escapeValue(description)}"`);
      report.human(`${" ".repeat(3 * (depth + 1))}Description: ${description}`);
    }
    if (isCurrent) {
      report.machine(`CurrentSnapshotName="${escapeValue(name)}"`);
      report.machine(`CurrentSnapshotUUID="${uuid}"`);
      report.machine(`CurrentSnapshotNode="SnapshotName${suffix}"`);
    }
    const children = element.element("Snapshots")?.elements("Snapshot") ?? [];
    pending.unshift(
      ...children.map((child, at) => ({ element: child, suffix: `${suffix}-${at + 1}`, depth: depth + 1 })),
    );
  }
  return true;
}

export function reportGuest(report: InfoReport, vbox: VboxFile): void {
  report.human("* Guest:");
  report.number("GuestMemoryBalloon", "Configured memory balloon:", vbox.get(settings.balloonMiB), "MB");
}
