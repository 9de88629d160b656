/** modifyvm: memory and CPU. */
import { setBalloon } from "../../config/balloon.ts";
import { settings } from "../../config/machine-settings.ts";
import { ensure } from "../../config/settings-file.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { limits } from "../../spec/machine-spec.ts";
import type { ParsedOption } from "../options.ts";
import { choice, custom, inGroup, invalid, invalidArgument, number, onOff, plainNumber, text } from "./option.ts";

const { ramMiB, ramMiBSupported, vramMiB, cpus } = limits;
const virtualisation = { status: "stored", note: "hardware virtualisation is not used" } as const;
const mitigation = { status: "stored", note: "guest code never runs on the host's CPU directly" } as const;

export const processorOptions = inGroup("Memory and CPU", [
  number(
    "memory",
    settings.memoryMiB,
    {
      ...ramMiB,
      refusal: (value) => `Invalid RAM size: ${value} MB (must be in range [${ramMiB.min}, ${ramMiB.max}] MB)`,
    },
    {
      example: ["100"],
      note: `a VM with more than ${ramMiBSupported} MB, or more than the host has, refuses to start`,
    },
  ),
  number(
    "vram",
    settings.vramMiB,
    {
      ...vramMiB,
      refusal: (value) => `Invalid VRAM size: ${value} MB (must be in range [${vramMiB.min}, ${vramMiB.max}] MB)`,
    },
    { example: ["100"] },
  ),
  onOff("page-fusion pagefusion", settings.pageFusion, { status: "warned" }),
  custom(
    "guest-memory-balloon guestmemoryballoon",
    "integer",
    (vbox, { values }) => setBalloon(vbox, Number(values[0])),
    { status: "warned", example: ["16"] },
  ),
  number(
    "cpus",
    settings.cpus,
    {
      ...cpus,
      refusal: (value) => `Invalid virtual CPU count: ${value} (must be in range [${cpus.min}, ${cpus.max}])`,
    },
    { status: "refused", example: ["2"], note: "1 works" },
  ),
  onOff("cpu-hotplug cpuhotplug", settings.cpuHotplug, { status: "warned" }),
  custom("plug-cpu plugcpu", "integer", plugCpu, { status: "refused", example: ["1"], note: "with --cpu-hotplug on" }),
  custom("unplug-cpu unplugcpu", "integer", unplugCpu, { status: "works", example: ["1"] }),
  number(
    "cpu-execution-cap cpuexecutioncap",
    settings.cpuExecutionCap,
    {
      min: 1,
      max: 100,
      refusal: (value) => `Invalid CPU execution cap value: ${value} (must be in range [1, 100])`,
    },
    { example: ["50"], note: "of one of the host's processors" },
  ),
  text("cpu-profile cpuprofile", settings.cpuProfile, {
    status: "warned",
    example: ["Intel 80386"],
    note: "`host` works",
  }),
  onOff("pae", settings.pae, { example: ["on"] }),
  onOff("long-mode longmode", settings.longMode, {
    status: "warned",
    note: "a VM with a 64-bit OS type refuses to start with `on`",
  }),
  onOff("apic", settings.apic, { note: "`off` takes the I/O APIC away too" }),
  onOff("x2apic", settings.x2apic, { note: "with `--ioapic on`" }),
  onOff("hpet", settings.hpet),
  onOff("nested-hw-virt nestedhwvirt", settings.nestedHwVirt, { status: "warned" }),
  onOff("hwvirtex", settings.hwvirtex, virtualisation),
  onOff("nested-paging nestedpaging", settings.nestedPaging, virtualisation),
  onOff("large-pages largepages", settings.largePages, virtualisation),
  onOff("vtx-vpid vtxvpid", settings.vtxVpid, virtualisation),
  onOff("vtx-ux vtxux", settings.vtxUx, virtualisation),
  onOff("virt-vmsave-vmload virtvmsavevmload", settings.virtVmsaveVmload, virtualisation),
  plainNumber("cpuid-portability-level", settings.cpuidPortability, 0, 3, { status: "stored", example: ["1"] }),
  custom("cpuid-set cpuidset", "text", setCpuid, {
    status: "warned",
    more: () => 4,
    example: ["0x1", "0x0", "0x0", "0x0", "0x0"],
  }),
  custom("cpuid-remove cpuidremove", "text", (vbox, option) => removeCpuid(vbox, parseLeaf(option)), {
    example: ["0x1"],
  }),
  custom("cpuid-remove-all cpuidremoveall", "switch", (vbox) => removeCpuid(vbox), { example: [] }),
  onOff("triple-fault-reset triplefaultreset", settings.tripleFaultReset),
  onOff("ibpb-on-vm-entry", settings.ibpbOnVmEntry, mitigation),
  onOff("ibpb-on-vm-exit", settings.ibpbOnVmExit, mitigation),
  onOff("spec-ctrl", settings.specCtrl, mitigation),
  onOff("l1d-flush-on-sched", settings.l1dFlushOnSched, mitigation),
  onOff("l1d-flush-on-vm-entry", settings.l1dFlushOnVmEntry, mitigation),
  onOff("mds-clear-on-sched", settings.mdsClearOnSched, mitigation),
  onOff("mds-clear-on-vm-entry", settings.mdsClearOnVmEntry, mitigation),
  choice("paravirt-provider paravirtprovider", settings.paravirtProvider, {
    status: "warned",
    example: ["kvm"],
    note: "`none`, `default` and `legacy` give the guest no interface",
  }),
  text("paravirt-debug paravirtdebug", settings.paravirtDebug, { status: "stored", example: ["enabled=1"] }),
]);

function plugCpu(vbox: VboxFile, { values }: ParsedOption): void {
  if (!vbox.get(settings.cpuHotplug)) throw invalid("CPU hotplug is not enabled");
  const id = Number(values[0]);
  if (!(id >= 0 && id < cpus.max)) throw invalid(`CPU id exceeds number of possible CPUs [0:${cpus.max - 1}]`);
  const tree = ensure(vbox.machine, "Hardware/CPU/CpuTree");
  if (tree.elements("Cpu").some((cpu) => Number(cpu.get("id")) === id)) throw invalid("CPU is already attached");
  tree.add("Cpu").set("id", String(id));
}

function unplugCpu(vbox: VboxFile, { values }: ParsedOption): void {
  const tree = vbox.machine.find("Hardware/CPU/CpuTree");
  const cpu = tree?.elements("Cpu").find((one) => Number(one.get("id")) === Number(values[0]));
  if (tree === undefined || cpu === undefined) throw invalid(`CPU ${values[0]} is not attached`);
  tree.remove(cpu);
}

interface Leaf {
  readonly leaf: number;
  readonly subleaf: number;
}

function parseLeaf(option: ParsedOption): Leaf {
  const parts = /^(0x[0-9a-f]{1,8}|[0-9a-f]{1,8})(?::(0x[0-9a-f]{1,8}|[0-9a-f]{1,8}))?$/i.exec(option.values[0]);
  if (parts === null) throw invalidArgument(option);
  const hex = (digits: string) => Number.parseInt(digits, 16);
  return { leaf: hex(parts[1]), subleaf: hex(parts[2] ?? "0") };
}

function setCpuid(vbox: VboxFile, option: ParsedOption): void {
  const { leaf, subleaf } = parseLeaf(option);
  const registers = option.values.slice(1).map((value) => {
    if (!/^(0x)?[0-9a-f]{1,8}$/i.test(value)) throw invalidArgument(option, value);
    return Number.parseInt(value, 16) >>> 0;
  });
  removeCpuid(vbox, { leaf, subleaf });
  const element = ensure(vbox.machine, "Hardware/CPU/CpuIdTree").add("CpuIdLeaf").set("id", String(leaf));
  element.set("subleaf", String(subleaf));
  for (const [at, name] of ["eax", "ebx", "ecx", "edx"].entries()) element.set(name, String(registers[at]));
}

function removeCpuid(vbox: VboxFile, wanted?: Leaf): void {
  const tree = vbox.machine.find("Hardware/CPU/CpuIdTree");
  for (const element of tree?.elements("CpuIdLeaf") ?? []) {
    const isWanted =
      wanted === undefined ||
      (Number(element.get("id")) === wanted.leaf && Number(element.get("subleaf") ?? 0) === wanted.subleaf);
    if (isWanted) tree?.remove(element);
  }
}
