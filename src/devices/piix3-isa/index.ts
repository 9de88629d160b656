/**
 * ISA bridge 00:01.0, Intel 82371SB (order 290550), as the head of a multi-function device: interrupt steering, and the
 * registers by which firmware and operating systems recognise and tune the part. Modelled: PIRQ route control. Registers
 * that hold their value and act on nothing: I/O recovery, X-bus chip select, top of memory, motherboard device routing,
 * APIC base, SMI and timers (no SMM). The parts behind the bridge (8259, 8254, 8237, RTC …) are devices of their own.
 */
import type { Device } from "../../device-api/device.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { PirqRouter } from "./pirq-router.ts";
import * as R from "./registers.ts";

const kind = "piix3-isa";

export interface Piix3IsaDevice extends Device {
  /**
   * A new driver of PIRQ `pirq` (0–3 for A–D), level-triggered; drivers of one PIRQ are combined. Only while the machine is
   * assembled: saved state keeps their levels in the order of the calls.
   */
  pirq(pirq: number): IrqLine;
}

/** Takes a line for each ISA interrupt that PIRQs can be routed to from its context. */
export function createPiix3Isa(): Piix3IsaDevice {
  const router = new PirqRouter();
  let pciFunction: PciFunctionHandle;

  function showRoutes(): void {
    for (let i = 0; i < R.PIRQ_COUNT; i++) pciFunction.writeConfig(R.PIRQRCA + i, 1, router.route(i));
  }

  return {
    id: kind,
    attach(context) {
      const routable = (irq: number) => (R.ROUTABLE_IRQS & (1 << irq)) !== 0;
      router.connect(Array.from({ length: 16 }, (_, irq) => (routable(irq) ? context.isaIrq(irq) : undefined)));
      pciFunction = context.addPciFunction(1, 0, {
        name: "PIIX3 ISA bridge",
        vendorId: R.VENDOR_INTEL,
        deviceId: R.DEVICE_PIIX3_ISA,
        revision: 0,
        classCode: R.CLASS_ISA_BRIDGE,
        headerType: R.HEADER_TYPE,
        initial: [
          { offset: R.PCICMD, size: 2, value: 0x0007 },
          { offset: R.PCISTS, size: 2, value: 0x0200 },
          { offset: R.IORT, size: 1, value: 0x4d },
          { offset: R.XBCS, size: 2, value: 0x0003 },
          { offset: R.PIRQRCA, size: 4, value: 0x80808080 },
          { offset: R.TOM, size: 1, value: 0x02 },
          { offset: R.MBIRQ0, size: 1, value: 0x80 },
          { offset: R.MBDMA0, size: 2, value: 0x0c0c },
          { offset: R.PCSC, size: 2, value: 0x0002 },
          { offset: R.SMICNTL, size: 1, value: 0x08 },
          { offset: R.FTMR, size: 1, value: 0x0f },
        ],
        writable: [
          { offset: R.PCICMD, size: 2, mask: 0x0008 },
          { offset: R.IORT, size: 1, mask: 0xff },
          { offset: R.XBCS, size: 2, mask: 0x01ff },
          { offset: R.PIRQRCA, size: 4, mask: 0x8f8f8f8f },
          { offset: R.TOM, size: 1, mask: 0xfe },
          { offset: R.MSTAT, size: 2, mask: 0x8080 },
          { offset: R.MBIRQ0, size: 1, mask: 0xef },
          { offset: R.MBDMA0, size: 2, mask: 0x8f8f },
          { offset: R.PCSC, size: 2, mask: 0xffff },
          { offset: R.APICBASE, size: 1, mask: 0x7f },
          { offset: R.DLC, size: 1, mask: 0x0f },
          { offset: R.SMICNTL, size: 1, mask: 0x1f },
          { offset: R.SMIEN, size: 2, mask: 0x01ff },
          { offset: R.SEE, size: 4, mask: 0xffffffff },
          { offset: R.FTMR, size: 1, mask: 0xff },
          { offset: R.SMIREQ, size: 2, mask: 0x01ff },
          { offset: R.CTLTMR, size: 1, mask: 0xff },
          { offset: R.CTHTMR, size: 1, mask: 0xff },
        ],
        onConfigWrite(offset, size) {
          for (let at = offset; at < offset + size; at++) {
            const pirq = at - R.PIRQRCA;
            if (pirq >= 0 && pirq < R.PIRQ_COUNT) router.setRoute(pirq, pciFunction.readConfig(at, 1));
          }
        },
      });
    },
    pirq: (pirq) => router.input(pirq),
    reset() {
      router.reset();
      showRoutes();
    },
    save: () => ({ kind, version: 1, data: router.save() }),
    load(leaf) {
      router.load(StateReader.open(leaf, kind, 1));
      showRoutes();
    },
  };
}
