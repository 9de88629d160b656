/** Plug of keyboard, mouse and their controller: ports 60h and 64h, IRQ 1 and 12. */
import type { KeyboardSink, PointerSink } from "../../backend-api/display.ts";
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import type { Wire } from "../../device-api/irq-line.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Ps2Controller } from "./controller.ts";
import { COMMAND_PORT, DATA_PORT } from "./registers.ts";

const kind = "ps2-8042";

export interface Ps2Config {
  /** Gate A20, shared with port 92h: true lets address bit 20 through. */
  readonly a20: Wire;
  /** The controller's reset output: the processor starts over, nothing else. Carried out after the access. */
  requestReset(request: "cpu"): void;
}

export interface Ps2Device extends Device {
  readonly keyboard: KeyboardSink;
  /** x to the right, y down, wheel towards the person; buttons bits 3 and 4 are the fourth and fifth. */
  readonly pointer: PointerSink;
}

export function createPs2(config: Ps2Config): Ps2Device {
  let controller: Ps2Controller;
  return {
    id: kind,
    attach(context) {
      controller = new Ps2Controller(context.clock, {
        keyboardIrq: context.isaIrq(1),
        mouseIrq: context.isaIrq(12),
        a20: config.a20,
        requestReset: () => config.requestReset("cpu"),
      });
      context.claimPorts(
        DATA_PORT,
        1,
        byteWindow({
          readByte: () => controller.readData(),
          writeByte: (_offset, value) => controller.writeData(value),
        }),
      );
      context.claimPorts(
        COMMAND_PORT,
        1,
        byteWindow({
          readByte: () => controller.readStatus(),
          writeByte: (_offset, value) => controller.writeCommand(value),
        }),
      );
    },
    reset: () => controller.reset(),
    keyboard: {
      putScancode: (byte) => controller.keyboard.putScancode(byte),
      get room() {
        return controller.keyboard.room;
      },
      get leds() {
        return controller.keyboard.leds;
      },
    },
    pointer: { putRelative: (dx, dy, dz, buttons) => controller.mouse.putRelative(dx, dy, dz, buttons) },
    save: () => ({ kind, version: 1, data: controller.save() }),
    load: (leaf) => controller.load(StateReader.open(leaf, kind, 1)),
  };
}
