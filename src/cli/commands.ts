/**
 * The table of commands. Each is loaded when it is called, which keeps the start of every other one short. Names of
 * VBoxManage's commands that Anneau does not have are known too, so that they are answered as what they are.
 */
import type { Command } from "./command.ts";

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ command: Command }>;
  /** Old spelling of another command: works, and stays out of the list. */
  readonly isAlias?: boolean;
}

const createMedium = () => import("./createmedium.ts");
const showMediumInfo = () => import("./showmediuminfo.ts");
const closeMedium = () => import("./closemedium.ts");

export const commands: Readonly<Record<string, CommandEntry>> = {
  list: { summary: "Lists VMs, media, guest OS types and properties", load: () => import("./list.ts") },
  showvminfo: { summary: "Shows a VM's settings and state", load: () => import("./showvminfo.ts") },
  createvm: { summary: "Creates a VM", load: () => import("./createvm.ts") },
  registervm: { summary: "Registers a VM that exists", load: () => import("./registervm.ts") },
  unregistervm: { summary: "Unregisters or deletes a VM", load: () => import("./unregistervm.ts") },
  modifyvm: { summary: "Changes settings of a VM that does not run", load: () => import("./modifyvm.ts") },
  storagectl: { summary: "Adds, changes or removes a storage controller", load: () => import("./storagectl.ts") },
  storageattach: { summary: "Attaches or removes a drive or medium", load: () => import("./storageattach.ts") },
  startvm: { summary: "Starts a VM", load: () => import("./startvm.ts") },
  controlvm: { summary: "Controls a running VM", load: () => import("./controlvm.ts") },
  createmedium: { summary: "Creates a disk, DVD or floppy image", load: createMedium },
  createhd: { summary: "", load: createMedium, isAlias: true },
  createvdi: { summary: "", load: createMedium, isAlias: true },
  showmediuminfo: { summary: "Shows what is known about a medium", load: showMediumInfo },
  showhdinfo: { summary: "", load: showMediumInfo, isAlias: true },
  showvdiinfo: { summary: "", load: showMediumInfo, isAlias: true },
  run: { summary: "Runs a machine in the foreground, without settings", load: () => import("./run.ts") },
  closemedium: { summary: "Takes a medium off the registry", load: closeMedium },
};

/** VBoxManage 7.0's other commands. */
export const unavailableCommands: readonly string[] = (
  "adoptstate bandwidthctl checkmediumpwd clonehd clonemedium clonevdi clonevm cloud cloudprofile convertdd " +
  "convertfromraw debugvm dhcpserver discardstate encryptmedium encryptvm export extpack getextradata guestcontrol " +
  "guestproperty hdproperty hostonlyif hostonlynet import internalcommands mediumio mediumproperty metrics modifyhd " +
  "modifymedium modifynvram modifyvdi movevm natnetwork setextradata setproperty sharedfolder signova snapshot " +
  "unattended updatecheck usbdevsource usbfilter"
).split(" ");
