/**
 * The DSDT, written from the machine's actual devices: processors, the PCI root with its windows and both interrupt
 * routings (8259 through link devices, I/O APIC by number), the ISA devices. What Windows demands of it is collected in
 * docs/firmware.md; there is no sleep state but S0 and S5, no embedded controller, no battery.
 */
import type { MachineSpec } from "../../spec/machine-spec.ts";
import { LAST_PCI_SLOT } from "../tables/pci-routing.ts";
import {
  type Aml,
  and,
  arg,
  createWordField,
  device,
  eisaId,
  field,
  findSetRightBit,
  ifThen,
  local,
  method,
  name,
  nameString,
  operationRegion,
  or,
  packageOf,
  processor,
  regionSpace,
  returns,
  scope,
  shiftLeft,
  store,
  subtract,
} from "./aml.ts";
import {
  bridgeMemory,
  bridgePorts,
  busNumbers,
  dma,
  fixedMemory,
  ioPorts,
  isaIrq,
  pciIrq,
  resourceTemplate,
} from "./resources.ts";

const PRESENT = 0x0f;
const LINK_DISABLED = 0x80;
const SOFT_OFF_TYPE = 5;
const links = ["LNKA", "LNKB", "LNKC", "LNKD"] as const;
const linkRegisters = ["PIRA", "PIRB", "PIRC", "PIRD"] as const;
/** PCI memory ends below the I/O APIC's region. */
const MEMORY_WINDOW_LAST = 0xfdffffff;

export interface DsdtMachine {
  readonly spec: MachineSpec;
  readonly ramBytes: number;
}

/** The definition block's terms, without the table header. */
export function buildDsdtBody({ ramBytes, spec }: DsdtMachine): Aml {
  const processors = Array.from({ length: spec.cpuCount }, (_, i) =>
    processor(`CP${i.toString(16).toUpperCase().padStart(2, "0")}`, i),
  );
  return [
    name("PICM", 0),
    method("_PIC", 1, false, store(arg(0), nameString("PICM"))),
    name("_S0", packageOf(0, 0)),
    name("_S5", packageOf(SOFT_OFF_TYPE, SOFT_OFF_TYPE)),
    method("_PTS", 1, false),
    method("_WAK", 1, false, returns(packageOf(0, 0))),
    scope("\\_PR", ...processors),
    scope("\\_SB", pciRoot(spec, ramBytes), ...links.map(linkDevice)),
  ].flat();
}

function pciRoot(spec: MachineSpec, ramBytes: number): Aml {
  const resources = resourceTemplate(
    busNumbers(0x00, 0xff),
    ioPorts(0xcf8, 8),
    bridgePorts(0x0000, 0x0cf7),
    bridgePorts(0x0d00, 0xffff),
    bridgeMemory(0xa0000, 0xbffff, true),
    bridgeMemory(ramBytes, MEMORY_WINDOW_LAST, false),
  );
  return device(
    "PCI0",
    name("_HID", eisaId("PNP0A03")),
    name("_UID", 0),
    name("_BBN", 0),
    name("_CRS", resources),
    name("PRTP", packageOf(...routing((slot, pin) => nameString(`\\_SB.${links[(slot - 1 + pin) & 3]}`)))),
    name("PRTA", packageOf(...routing((slot, pin) => 16 + ((slot + pin) & 7)))),
    method("_PRT", 0, false, ifThen(nameString("PICM"), [returns(nameString("PRTA"))], [returns(nameString("PRTP"))])),
    isaBridge(spec),
  );
}

/** Entries for all pins of all slots: a link device with index 0, or a global interrupt with source 0. */
function routing(target: (slot: number, pin: number) => Aml | number): Aml[] {
  const entries: Aml[] = [];
  for (let slot = 1; slot <= LAST_PCI_SLOT; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const address = ((slot << 16) | 0xffff) >>> 0;
      const to = target(slot, pin);
      entries.push(typeof to === "number" ? packageOf(address, pin, 0, to) : packageOf(address, pin, to, 0));
    }
  }
  return entries;
}

/** One PIRQ of the PIIX3 as a device that an operating system may route anew. */
function linkDevice(text: string, index: number): Aml {
  const register = nameString(`\\_SB.PCI0.SBRG.${linkRegisters[index]}`);
  const template = resourceTemplate(pciIrq());
  return device(
    text,
    name("_HID", eisaId("PNP0C0F")),
    name("_UID", index + 1),
    method("_STA", 0, false, ifThen(and(register, LINK_DISABLED), [returns(0x09)], [returns(0x0b)])),
    name("_PRS", resourceTemplate(pciIrq(5, 9, 10, 11))),
    method(
      "_CRS",
      0,
      true,
      name("BUFF", template),
      createWordField(nameString("BUFF"), 1, "IRQM"),
      ifThen(
        and(register, LINK_DISABLED),
        [store(0, nameString("IRQM"))],
        [shiftLeft(1, and(register, 0x0f), nameString("IRQM"))],
      ),
      returns(nameString("BUFF")),
    ),
    method(
      "_SRS",
      1,
      true,
      createWordField(arg(0), 1, "IRQM"),
      findSetRightBit(nameString("IRQM"), local(0)),
      ifThen(local(0), [subtract(local(0), 1, register)]),
    ),
    method("_DIS", 0, false, or(register, LINK_DISABLED, register)),
  );
}

function isaBridge(spec: MachineSpec): Aml {
  const registers = linkRegisters.map((text) => [text, 8] as const);
  const devices = [
    isaDevice("PIC", "PNP0000", ioPorts(0x20, 2), ioPorts(0xa0, 2), ioPorts(0x4d0, 2), isaIrq(2)),
    isaDevice("TIMR", "PNP0100", ioPorts(0x40, 4), isaIrq(0)),
    isaDevice("RTC", "PNP0B00", ioPorts(0x70, 4), isaIrq(8)),
    isaDevice("DMAC", "PNP0200", ioPorts(0x00, 16), ioPorts(0x80, 16), ioPorts(0xc0, 32), dma(4, 16)),
    isaDevice("SPKR", "PNP0800", ioPorts(0x61, 1)),
    isaDevice("COPR", "PNP0C04", ioPorts(0xf0, 16), isaIrq(13)),
    isaDevice("PS2K", "PNP0303", ioPorts(0x60, 1), ioPorts(0x64, 1), isaIrq(1)),
    isaDevice("PS2M", "PNP0F03", isaIrq(12)),
    // Power management, the SMI port, system control port A, APM's ports, the firmware's own.
    isaDevice(
      "MBRD",
      "PNP0C02",
      ioPorts(0x4000, 0x60),
      ioPorts(0x4100, 0x10),
      ioPorts(0x442e, 1),
      ioPorts(0x92, 1),
      ioPorts(0xb2, 2),
      ioPorts(0xe4, 1),
      ioPorts(0x1d4, 1),
      ioPorts(0x1d8, 8),
    ),
  ];
  if ((spec.floppy?.drives.length ?? 0) > 0)
    devices.push(isaDevice("FDC0", "PNP0700", ioPorts(0x3f0, 6), ioPorts(0x3f7, 1), isaIrq(6), dma(2)));
  spec.uarts.forEach((uart, i) => {
    if (uart.enabled)
      devices.push(numberedDevice(`COM${i + 1}`, "PNP0501", i + 1, ioPorts(uart.ioBase, 8), isaIrq(uart.irq)));
  });
  spec.parallels.forEach((port, i) => {
    if (port.enabled)
      devices.push(numberedDevice(`LPT${i + 1}`, "PNP0400", i + 1, ioPorts(port.ioBase, 4), isaIrq(port.irq)));
  });
  if (spec.hpet)
    devices.push(isaDevice("HPET", "PNP0103", isaIrq(0), isaIrq(8), fixedMemory(0xfed00000, 0x400, false)));
  return device(
    "SBRG",
    name("_ADR", 0x00010000),
    operationRegion("PIRQ", regionSpace.pciConfig, 0x60, 4),
    field("PIRQ", ...registers),
    ...devices,
  );
}

function isaDevice(text: string, id: string, ...resources: Parameters<typeof resourceTemplate>): Aml {
  return device(
    text,
    name("_HID", eisaId(id)),
    method("_STA", 0, false, returns(PRESENT)),
    name("_CRS", resourceTemplate(...resources)),
  );
}

function numberedDevice(
  text: string,
  id: string,
  unique: number,
  ...resources: Parameters<typeof resourceTemplate>
): Aml {
  return device(
    text,
    name("_HID", eisaId(id)),
    name("_UID", unique),
    method("_STA", 0, false, returns(PRESENT)),
    name("_CRS", resourceTemplate(...resources)),
  );
}
