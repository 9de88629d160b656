/**
 * Who is wired to whose interrupt input. Without I/O APIC: everything to the 8259 pair, which drives the processor's INTR.
 * With it, as on VirtualBox's board: the pair's request is the local APIC's LINT0, an ISA interrupt goes to the pair and to the
 * I/O APIC (IRQ 0 to input 2, the others to the input of their number), a PCI function's INTx to a PIRQ of the PIIX3,
 * which steers it to the pair alone, and to input 16 + ((slot + pin) & 7).
 */

import type { SoftwareCpu } from "../cpu/software-cpu.ts";
import type { Device } from "../device-api/device.ts";
import type { IrqLine } from "../device-api/irq-line.ts";
import * as devices from "../devices/catalogue.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import type { MachineCore } from "./core.ts";
import type { ResetRequest } from "./machine.ts";

const TIMER_INPUT = 2;
const FIRST_PCI_INPUT = 16;
const PCI_INPUTS = 8;

export interface Interrupts {
  /** The controllers, in the order of attaching. */
  readonly devices: readonly Device[];
  /** A new driver of an ISA interrupt. */
  isaIrq(irq: number): IrqLine;
  /** A new driver of an interrupt that reaches the 8259 pair only. */
  picIrq(irq: number): IrqLine;
  /** A new driver of an I/O APIC input; undefined without one. */
  apicInput(pin: number): IrqLine | undefined;
  /** The level of one of the eight inputs that PCI functions share. */
  setPciInput(input: number, level: boolean): void;
  /** The processor alone was reset. */
  onCpuReset(): void;
}

/** Makes the controllers and ties them to the processor. */
export function createInterrupts(
  spec: MachineSpec,
  core: MachineCore,
  requestReset: (request: ResetRequest) => void,
): Interrupts {
  const { cpu, wires } = core;
  const intr = wires.add("intr", (level) => cpu.setInterruptLine(level));
  if (!spec.ioApic) {
    const pic = devices.createPic({ intr });
    core.acknowledgeInterrupt = () => pic.acknowledge();
    const isaIrq = (irq: number) => pic.irq(irq);
    return {
      devices: [pic],
      isaIrq,
      picIrq: isaIrq,
      apicInput: () => undefined,
      setPciInput: () => {},
      onCpuReset: () => {},
    };
  }
  return createApics(spec, core, cpu, (level) => intr.set(level), requestReset);
}

function createApics(
  spec: MachineSpec,
  core: MachineCore,
  cpu: SoftwareCpu,
  setIntr: (level: boolean) => void,
  requestReset: (request: ResetRequest) => void,
): Interrupts {
  const pic = devices.createPic({ intr: { set: (level) => localApic.setLint0(level) } });
  const localApic = devices.createLocalApic({
    hasX2Apic: spec.x2Apic === true,
    setIntr,
    raiseNmi: () => cpu.raiseNmi(),
    requestInit: () => requestReset("cpu"),
    acknowledgeExternal: () => pic.acknowledge(),
    endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
    destinationChanged: () => ioApic.retry(),
  });
  const ioApic = devices.createIoApic({
    deliver: (destination, isLogical, mode, vector, isLevel) =>
      localApic.accept(destination, isLogical, mode, vector, isLevel),
  });
  core.acknowledgeInterrupt = () => localApic.acknowledge();
  core.localApic = localApic;
  const pciInputs = Array.from({ length: PCI_INPUTS }, (_, i) => ioApic.input(FIRST_PCI_INPUT + i));
  return {
    devices: [pic, localApic, ioApic],
    isaIrq: (irq) => both(pic.irq(irq), ioApic.input(irq === 0 ? TIMER_INPUT : irq)),
    picIrq: (irq) => pic.irq(irq),
    apicInput: (pin) => ioApic.input(pin),
    setPciInput: (input, level) => (level ? pciInputs[input].raise() : pciInputs[input].lower()),
    onCpuReset: () => localApic.init(),
  };
}

function both(one: IrqLine, other: IrqLine): IrqLine {
  return {
    raise() {
      one.raise();
      other.raise();
    },
    lower() {
      one.lower();
      other.lower();
    },
  };
}
