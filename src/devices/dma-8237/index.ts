/** Plug of the DMA controllers: ports 00h–0Fh, C0h–DFh, page registers 81h–8Fh. */
import type { Device } from "../../device-api/device.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Dma } from "./dma.ts";
import * as R from "./registers.ts";

const kind = "dma-8237";

export interface DmaDevice extends Device {
  /** Channel 0–3 (bytes) or 5–7 (words), for the constructor of the device that uses it. */
  channel(channel: number): DmaChannel;
}

export function createDma(): DmaDevice {
  const dma = new Dma();
  return {
    id: kind,
    attach(context) {
      dma.connect(context.memory);
      context.claimPorts(
        R.CONTROLLER1_BASE,
        16,
        byteWindow({
          readByte: (offset) => dma.read(0, offset),
          writeByte: (offset, value) => dma.write(0, offset, value),
        }),
      );
      context.claimPorts(
        R.CONTROLLER2_BASE,
        32,
        byteWindow({
          readByte: (offset) => dma.read(1, offset >>> R.CONTROLLER2_SHIFT),
          writeByte: (offset, value) => dma.write(1, offset >>> R.CONTROLLER2_SHIFT, value),
        }),
      );
      context.claimPorts(
        R.PAGE_BASE,
        R.PAGE_PORTS,
        byteWindow({
          readByte: (offset) => dma.readPage(offset),
          writeByte: (offset, value) => dma.writePage(offset, value),
        }),
      );
    },
    channel: (channel) => dma.channel(channel),
    reset: () => dma.reset(),
    save: () => ({ kind, version: 1, data: dma.save() }),
    load: (leaf) => dma.load(StateReader.open(leaf, kind, 1)),
  };
}
