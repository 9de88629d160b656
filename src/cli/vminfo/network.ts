/** showvminfo: network adapters. The attachment's key comes first, Forwarding after the adapter's own keys. */

import { settings } from "../../config/machine-settings.ts";
import { Adapter, type AttachmentMode } from "../../config/network-settings.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { limits } from "../../spec/machine-spec.ts";
import { escapeValue, type InfoReport } from "./report.ts";

export function reportNetwork(report: InfoReport, vbox: VboxFile): void {
  const count = limits.nics[vbox.get(settings.chipset) as "piix3" | "ich9"];
  for (let slot = 0; slot < count; slot++) reportAdapter(report, new Adapter(vbox, slot));
}

function reportAdapter(report: InfoReport, adapter: Adapter): void {
  const number = adapter.slot + 1;
  if (!adapter.isEnabled) {
    report.both(`nic${number}="none"`, `NIC ${number}:`, "disabled");
    return;
  }
  const { mode } = adapter;
  const name = mode ? adapter.modeName(mode) : "";
  const properties = mode?.cli === "generic" ? (adapter.modeElement(mode)?.elements("Property") ?? []) : [];
  const pairs = properties.map((property) => [property.get("name") ?? "", property.get("value") ?? ""]);
  if (mode) report.machine(`${mode.key}${number}="${escapeValue(mode.cli === "nat" && name === "" ? "nat" : name)}"`);
  for (const [key, value] of pairs) report.machine(`generic${number}_${key}="${escapeValue(value)}"`);
  report.machine(`macaddress${number}="${adapter.macAddress}"`);
  report.machine(`cableconnected${number}="${adapter.isCableConnected ? "on" : "off"}"`);
  report.machine(`nic${number}="${mode?.value ?? "null"}"`);
  report.machine(`nictype${number}="${adapter.type}"`);
  const speed = adapter.attribute("speed", "0");
  report.machine(`nicspeed${number}="${speed}"`);
  const properText = pairs.length > 0 ? ` { ${pairs.map(([key, value]) => `${key}='${value}'`).join(", ")} }` : "";
  report.human(
    `${`NIC ${number}:`.padEnd(28)} ${[
      `MAC: ${adapter.macAddress}`,
      `Attachment: ${attachmentText(mode, name)}${properText}`,
      `Cable connected: ${adapter.isCableConnected ? "on" : "off"}`,
      `Trace: ${adapter.attribute("trace", "false") === "true" ? "on" : "off"} (file: ${adapter.attribute("tracefile", "none")})`,
      `Type: ${adapter.type}`,
      `Reported speed: ${Math.floor(Number(speed) / 1000)} Mbps`,
      `Boot priority: ${adapter.attribute("bootPriority", "0")}`,
      `Promisc Policy: ${promiscTexts[adapter.attribute("promiscuousModePolicy", "Deny")] ?? "deny"}`,
      `Bandwidth group: ${adapter.attribute("bandwidthGroup", "") || "none"}`,
    ].join(", ")}`,
  );
  if (mode?.cli === "nat") reportNat(report, adapter);
}

const promiscTexts: Record<string, string> = { Deny: "deny", AllowNetwork: "allow-vms", AllowAll: "allow-all" };

function attachmentText(mode: AttachmentMode | undefined, name: string): string {
  if (mode === undefined) return "none";
  if (mode.cli === "nat") return name === "" ? "NAT" : `NAT (${name})`;
  return `${mode.label} '${name}'`;
}

function reportNat(report: InfoReport, adapter: Adapter): void {
  const number = adapter.slot + 1;
  const value = (attribute: string, fallback: string) => adapter.natValue("", attribute, fallback);
  const [mtu, send, receive] = [value("mtu", "0"), value("socksnd", "64"), value("sockrcv", "64")];
  const [tcpSend, tcpReceive] = [value("tcpsnd", "64"), value("tcprcv", "64")];
  report.machine(`mtu="${mtu}"`);
  report.machine(`sockSnd="${send}"`);
  report.machine(`sockRcv="${receive}"`);
  report.machine(`tcpWndSnd="${tcpSend}"`);
  report.machine(`tcpWndRcv="${tcpReceive}"`);
  report.human(
    `NIC ${number} Settings:  MTU: ${mtu}, Socket (send: ${send}, receive: ${receive}), TCP Window (send:${tcpSend}, receive: ${tcpReceive})`,
  );
  for (const [at, rule] of adapter.forwarding().entries()) {
    const { name, protocol, hostIp, hostPort, guestIp, guestPort } = rule;
    report.machine(
      `Forwarding(${at})="${escapeValue(name)},${protocol},${hostIp},${hostPort},${guestIp},${guestPort}"`,
    );
    report.human(
      `NIC ${number} Rule(${at}):   name = ${name}, protocol = ${protocol}, host ip = ${hostIp}, host port = ${hostPort}, guest ip = ${guestIp}, guest port = ${guestPort}`,
    );
  }
}
