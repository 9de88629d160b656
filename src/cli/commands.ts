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
const modifyMedium = () => import("./modifymedium.ts");
const cloneMedium = async () => ({ command: (await import("./clonemedium.ts")).cloneCommand });
const convertFromRaw = async () => ({ command: (await import("./clonemedium.ts")).convertCommand });

export const commands: Readonly<Record<string, CommandEntry>> = {
  list: { summary: "Lists VMs, media, guest OS types and properties", load: () => import("./list.ts") },
  showvminfo: { summary: "Shows a VM's settings and state", load: () => import("./showvminfo.ts") },
  createvm: { summary: "Creates a VM", load: () => import("./createvm.ts") },
  registervm: { summary: "Registers a VM that exists", load: () => import("./registervm.ts") },
  unregistervm: { summary: "Unregisters or deletes a VM", load: () => import("./unregistervm.ts") },
  modifyvm: { summary: "Changes settings of a VM that does not run", load: () => import("./modifyvm.ts") },
  clonevm: { summary: "Copies a VM", load: () => import("./clonevm.ts") },
  storagectl: { summary: "Adds, changes or removes a storage controller", load: () => import("./storagectl.ts") },
  storageattach: { summary: "Attaches or removes a drive or medium", load: () => import("./storageattach.ts") },
  startvm: { summary: "Starts a VM", load: () => import("./startvm.ts") },
  controlvm: { summary: "Controls a running VM", load: () => import("./controlvm.ts") },
  metrics: { summary: "Prints what VMs and the host measure", load: () => import("./metrics.ts") },
  debugvm: { summary: "Looks into a running VM", load: () => import("./debugvm.ts") },
  console: { summary: "Opens a running VM's screen in the browser", load: () => import("./console.ts") },
  createmedium: { summary: "Creates a disk, DVD or floppy image", load: createMedium },
  createhd: { summary: "", load: createMedium, isAlias: true },
  createvdi: { summary: "", load: createMedium, isAlias: true },
  showmediuminfo: { summary: "Shows what is known about a medium", load: showMediumInfo },
  showhdinfo: { summary: "", load: showMediumInfo, isAlias: true },
  showvdiinfo: { summary: "", load: showMediumInfo, isAlias: true },
  run: { summary: "Runs a machine in the foreground, without settings", load: () => import("./run.ts") },
  modifymedium: { summary: "Changes a medium's type, description or place", load: modifyMedium },
  modifyhd: { summary: "", load: modifyMedium, isAlias: true },
  modifyvdi: { summary: "", load: modifyMedium, isAlias: true },
  clonemedium: { summary: "Copies a medium into a new image", load: cloneMedium },
  clonehd: { summary: "", load: cloneMedium, isAlias: true },
  clonevdi: { summary: "", load: cloneMedium, isAlias: true },
  convertfromraw: { summary: "Makes an image of a raw one", load: convertFromRaw },
  convertdd: { summary: "", load: convertFromRaw, isAlias: true },
  closemedium: { summary: "Takes a medium off the registry", load: closeMedium },
  snapshot: { summary: "Lists a VM's snapshots", load: () => import("./snapshot.ts") },
  discardstate: { summary: "Drops a VM's saved state", load: () => import("./discardstate.ts") },
  sharedfolder: { summary: "Adds and removes shared folders", load: () => import("./sharedfolder.ts") },
  guestproperty: { summary: "Reads and changes guest properties", load: () => import("./guestproperty.ts") },
  setextradata: {
    summary: "Sets a key of a VM or of the registry",
    load: async () => ({ command: (await import("./extradata.ts")).setCommand }),
  },
  getextradata: {
    summary: "Prints keys of a VM or of the registry",
    load: async () => ({ command: (await import("./extradata.ts")).getCommand }),
  },
  natnetwork: { summary: "NAT networks that VMs share", load: () => import("./natnetwork.ts") },
  hostonlyif: { summary: "Interfaces of the host for host-only networks", load: () => import("./hostonlyif.ts") },
  dhcpserver: { summary: "DHCP servers of networks", load: () => import("./dhcpserver.ts") },
  setproperty: { summary: "Sets a property of the registry", load: () => import("./setproperty.ts") },
};

/** VBoxManage 7.0's other commands. */
export const unavailableCommands: readonly string[] = (
  "adoptstate bandwidthctl checkmediumpwd cloud cloudprofile encryptmedium encryptvm export " +
  "extpack guestcontrol hdproperty hostonlynet import internalcommands mediumio mediumproperty " +
  "modifynvram movevm signova teleport unattended updatecheck usbdevsource usbfilter"
).split(" ");
