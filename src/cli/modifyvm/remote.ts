/** modifyvm: remote display, recording, teleporting, tracing, debugging, PCI passthrough, I/O cache. */

import { readFileSync } from "node:fs";
import { settings } from "../../config/machine-settings.ts";
import { fileError } from "../../config/result-codes.ts";
import { ensure } from "../../config/settings-file.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { isPortList, setVrdeProperty } from "../../config/vrde-settings.ts";
import { UsageError } from "../errors.ts";
import { type ParsedOption, parseOnOff } from "../options.ts";
import { choice, custom, inGroup, invalid, invalidArgument, onOff, plainNumber, text } from "./option.ts";

const maximum = 2 ** 31 - 1;
const stored = { status: "stored" } as const;

export const remoteOptions = inGroup("Remote display", [
  onOff("vrde vrdp", settings.vrde, {
    status: "warned",
    note: "VNC, not RDP; works with a password (`--vrde-property VNCPassword=…`), without one nothing listens",
  }),
  custom(
    "vrde-port vrdeport vrdpport vrdp-port",
    "text",
    (vbox, option) => {
      if (!isPortList(option.values[0])) throw invalidArgument(option);
      setVrdeProperty(vbox, "TCP/Ports", option.values[0] === "default" ? "0" : option.values[0]);
    },
    { status: "works", example: ["5901"] },
  ),
  custom(
    "vrde-address vrdeaddress vrdpaddress vrdp-address",
    "text",
    (vbox, { values }) => setVrdeProperty(vbox, "TCP/Address", values[0]),
    { status: "works", example: ["127.0.0.1"], note: "127.0.0.1 if not set" },
  ),
  choice("vrde-auth-type vrdeauthtype vrdpauthtype", settings.vrdeAuthType, {
    status: "warned",
    example: ["external"],
    note: "the VNC password counts, with `null` too",
  }),
  text("vrde-auth-library vrdeauthlibrary", settings.vrdeAuthLibrary, {
    ...stored,
    emptyWord: "default",
    example: ["VBoxAuthSimple"],
  }),
  onOff("vrde-multi-con vrdemulticon vrdpmulticon", settings.vrdeMultiCon, { status: "works" }),
  onOff("vrde-reuse-con vrdereusecon vrdpreusecon", settings.vrdeReuseCon, { status: "works" }),
  custom(
    "vrde-video-channel vrdevideochannel vrdpvideochannel",
    "onoff",
    (vbox, { values }) => setVrdeProperty(vbox, "VideoChannel/Enabled", String(parseOnOff(values[0]))),
    { ...stored, example: ["on"] },
  ),
  custom(
    "vrde-video-channel-quality vrdevideochannelquality vrdpvideochannelquality",
    "integer",
    (vbox, { values }) => {
      if (Number(values[0]) < 10 || Number(values[0]) > 100)
        throw invalid(`Invalid video channel quality: ${values[0]} (must be in range [10, 100])`);
      setVrdeProperty(vbox, "VideoChannel/Quality", values[0]);
    },
    { ...stored, example: ["75"] },
  ),
  custom(
    "vrde-property vrdeproperty",
    "text",
    (vbox, { values, typed }) => {
      const equals = values[0].indexOf("=");
      if (equals <= 0) throw new UsageError(`Invalid argument format for option '${typed}': '${values[0]}'`);
      setVrdeProperty(vbox, values[0].slice(0, equals), values[0].slice(equals + 1));
    },
    { status: "works", example: ["VNCPassword=secret"], note: "VNC compares the first eight characters" },
  ),
  text("vrde-extpack vrdeextpack", settings.vrdeExtPack, { ...stored, emptyWord: "default", example: ["VNC"] }),
]);

export const recordingOptions = inGroup("Recording", [
  onOff("recording videocap vcpenabled", settings.recording, { status: "warned" }),
  text("recording-screens recordingscreens videocapscreens vcpscreens", settings.recordingScreens, {
    ...stored,
    example: ["all"],
  }),
  text("recording-file recordingfile videocapfile vcpfile", settings.recordingFile, { ...stored, example: ["a.webm"] }),
  plainNumber(
    "recording-max-size recordingmaxsize videocapmaxsize vcpmaxsize",
    settings.recordingMaxSizeMB,
    0,
    maximum,
    {
      ...stored,
      example: ["100"],
    },
  ),
  plainNumber("recording-max-time recordingmaxtime videocapmaxtime vcpmaxtime", settings.recordingMaxTime, 0, maximum, {
    ...stored,
    example: ["60"],
  }),
  text("recording-opts recordingopts recording-options videocapopts vcpoptions", settings.recordingOptions, {
    ...stored,
    example: ["ac_enabled=true"],
  }),
  plainNumber("recording-video-fps recordingvideofps videocapfps vcpfps", settings.recordingFps, 1, 1000, {
    ...stored,
    example: ["10"],
  }),
  plainNumber("recording-video-rate recordingvideorate videocaprate vcprate", settings.recordingRateKbps, 1, maximum, {
    ...stored,
    example: ["1024"],
  }),
  custom("recording-video-res recordingvideores videocapres vcpres", "text", setRecordingSize, {
    ...stored,
    more: (first) => (/^[0-9]+$/.test(first) ? 1 : 0),
    example: ["640x480"],
  }),
]);

function setRecordingSize(vbox: VboxFile, option: ParsedOption): void {
  const size = /^([0-9]{1,5})[x ]([0-9]{1,5})$/i.exec(option.values.join(" "));
  if (size === null) throw invalidArgument(option);
  vbox.set(settings.recordingWidth, Number(size[1]));
  vbox.set(settings.recordingHeight, Number(size[2]));
}

export const teleportOptions = inGroup("Teleporting, tracing, debugging", [
  onOff("teleporter teleporter-enabled", settings.teleporter, { status: "warned" }),
  plainNumber("teleporter-port teleporterport", settings.teleporterPort, 0, 65535, { ...stored, example: ["6000"] }),
  text("teleporter-address teleporteraddress", settings.teleporterAddress, {
    ...stored,
    emptyWord: "empty",
    example: ["127.0.0.1"],
  }),
  text("teleporter-password teleporterpassword", settings.teleporterPassword, { ...stored, example: ["secret"] }),
  custom(
    "teleporter-password-file teleporterpasswordfile",
    "text",
    (vbox, { values }) => {
      try {
        const password = readFileSync(values[0] === "stdin" ? 0 : values[0], "utf8");
        vbox.set(settings.teleporterPassword, password.split(/\r?\n/)[0]);
      } catch (error) {
        throw fileError(error, "Could not read the password file", values[0], "MachineWrap");
      }
    },
    { ...stored, example: ["password.txt"] },
  ),
  onOff("tracing-enabled", settings.tracing, { status: "warned" }),
  text("tracing-config", settings.tracingConfig, { ...stored, example: ["all"] }),
  onOff("tracing-allow-vm-access", settings.tracingAllowAccess, stored),
  choice("guest-debug-provider", settings.debugProvider, { status: "warned", example: ["gdb"] }),
  choice("guest-debug-io-provider", settings.debugIoProvider, { ...stored, example: ["tcp"] }),
  text("guest-debug-address", settings.debugAddress, { ...stored, example: ["127.0.0.1"] }),
  plainNumber("guest-debug-port", settings.debugPort, 0, 65535, { ...stored, example: ["1234"] }),
  custom("testing-enabled", "onoff", testingFlag("TestingEnabled"), { status: "warned", example: ["on"] }),
  custom("testing-mmio", "onoff", testingFlag("TestingMMIO"), { ...stored, example: ["on"] }),
  custom(
    "testing-cfg-dword",
    "integer",
    (vbox, { slot, values }) =>
      vbox.setExtraData(`VBoxInternal/Devices/VMMDev/0/Config/TestingCfgDword${slot - 1}`, values[0]),
    { ...stored, slots: 10, example: ["7"] },
  ),
]);

function testingFlag(name: string) {
  return (vbox: VboxFile, { values }: ParsedOption) =>
    vbox.setExtraData(`VBoxInternal/Devices/VMMDev/0/Config/${name}`, parseOnOff(values[0]) ? "1" : undefined);
}

const pciAddress = /^([0-9a-f]{1,2}:[0-9a-f]{1,2}\.[0-7])(?:@([0-9a-f]{1,2}:[0-9a-f]{1,2}\.[0-7]))?$/i;

export const hostOptions = inGroup("Passthrough and I/O", [
  custom(
    "pci-attach pciattach",
    "text",
    (vbox, option) => {
      const address = pciAddress.exec(option.values[0]);
      if (address === null) throw invalidArgument(option);
      const devices = ensure(vbox.machine, "Hardware/HostPci/Devices");
      devices
        .add("Device")
        .set("host", address[1])
        .set("guest", address[2] ?? address[1]);
    },
    { status: "warned", example: ["02:00.0@01:05.0"] },
  ),
  custom(
    "pci-detach pcidetach",
    "text",
    (vbox, option) => {
      const parent = vbox.machine.find("Hardware/HostPci/Devices");
      const device = parent?.elements("Device").find((one) => one.get("host") === option.values[0]);
      if (parent === undefined || device === undefined)
        throw invalid(`No PCI device '${option.values[0]}' is attached`);
      parent.remove(device);
    },
    { status: "works", example: ["02:00.0"] },
  ),
  onOff("iocache io-cache", settings.ioCache, stored),
  plainNumber("iocache-size iocachesize io-cache-size", settings.ioCacheSizeMB, 0, maximum, {
    ...stored,
    example: ["8"],
  }),
]);
