/** All of showvminfo's output for one VM, in either layout. */
import type { MachineState } from "../../config/machine-state.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import type { LiveStatus } from "../live-machine.ts";
import { reportDisplay, reportFirmware, reportIdentity, reportProcessor, reportState } from "./hardware.ts";
import { reportNetwork } from "./network.ts";
import {
  reportAudio,
  reportBandwidthGroups,
  reportConnections,
  reportDescription,
  reportGuest,
  reportInput,
  reportPorts,
  reportRecording,
  reportRemoteDisplay,
  reportSession,
  reportSharedFolders,
  reportSnapshots,
  reportUsb,
} from "./peripherals.ts";
import { InfoReport } from "./report.ts";
import { reportStorage } from "./storage.ts";

export function machineReport(
  vbox: VboxFile,
  state: MachineState,
  live: LiveStatus | undefined,
  isMachineReadable: boolean,
): string {
  const report = new InfoReport(isMachineReadable);
  reportIdentity(report, vbox);
  reportProcessor(report, vbox);
  reportFirmware(report, vbox);
  reportState(report, vbox, state);
  reportDisplay(report, vbox);
  reportStorage(report, vbox);
  reportNetwork(report, vbox);
  reportInput(report, vbox);
  reportPorts(report, vbox);
  reportAudio(report, vbox);
  reportSession(report, live);
  reportRemoteDisplay(report, vbox, live);
  reportUsb(report, vbox);
  reportBandwidthGroups(report, vbox);
  reportSharedFolders(report, vbox);
  reportConnections(report, live);
  reportRecording(report, vbox);
  reportDescription(report, vbox);
  reportSnapshots(report, vbox);
  reportGuest(report, vbox);
  return report.toString();
}
