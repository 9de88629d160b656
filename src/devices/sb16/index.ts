/** Plug of the Sound Blaster 16: ports 220h–22Fh, interrupt and DMA channels as its mixer says (5, 1 and 5 after power-on). */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Device } from "../../device-api/device.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Dsp } from "./dsp.ts";
import { Mixer } from "./mixer.ts";
import * as R from "./registers.ts";

export interface Sb16Config {
  readonly backend: AudioBackend;
  /** Channels 0, 1, 3, 5, 6 and 7. */
  readonly dma: (channel: number) => DmaChannel;
}

const kind = "sb16";

export function createSb16(config: Sb16Config): Device {
  const channels = new Map<number, DmaChannel>();
  const lines = new Map<number, IrqLine>();
  let raised: IrqLine | undefined;
  let dsp: Dsp;
  /** One line at most is up: the one that the mixer has chosen. */
  const update = () => {
    const line = mixer.irqStatus !== 0 ? lines.get(mixer.irq) : undefined;
    if (line === raised) return;
    raised?.lower();
    line?.raise();
    raised = line;
  };
  const mixer = new Mixer(update);
  return {
    id: kind,
    attach(context) {
      dsp = new Dsp({
        backend: config.backend,
        clock: context.clock,
        mixer,
        dma: (channel) => channels.get(channel),
        onInterrupt: update,
      });
      for (const channel of R.DMAS) {
        if (channel < 0) continue;
        channels.set(channel, config.dma(channel));
        channels.get(channel)?.onReady(() => dsp.onDmaReady());
      }
      for (const irq of R.IRQS) lines.set(irq, context.isaIrq(irq));
      context.claimPorts(
        R.PORT_BASE,
        R.PORTS,
        byteWindow({
          readByte: (offset) => readPort(dsp, mixer, offset),
          writeByte: (offset, value) => writePort(dsp, mixer, offset, value),
        }),
      );
    },
    reset() {
      mixer.reset();
      dsp.reset();
    },
    save: () => ({ kind, version: 1, data: { mixer: mixer.save(), dsp: dsp.save() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      mixer.load(state.child("mixer"));
      dsp.load(state.child("dsp"));
      state.end();
      raised = mixer.irqStatus !== 0 ? lines.get(mixer.irq) : undefined;
    },
  };
}

function readPort(dsp: Dsp, mixer: Mixer, offset: number): number {
  switch (offset) {
    case R.MIXER_INDEX:
      return mixer.index;
    case R.MIXER_DATA:
      return mixer.read();
    case R.DSP_READ:
      return dsp.readData();
    case R.DSP_WRITE:
      return dsp.readWriteStatus();
    case R.DSP_READ_STATUS:
      return dsp.readStatus(false);
    case R.DSP_ACK_16:
      return dsp.readStatus(true);
    default:
      return 0xff;
  }
}

function writePort(dsp: Dsp, mixer: Mixer, offset: number, value: number): void {
  if (offset === R.MIXER_INDEX) mixer.selectRegister(value);
  else if (offset === R.MIXER_DATA) mixer.write(value);
  else if (offset === R.DSP_RESET) dsp.writeReset(value);
  else if (offset === R.DSP_WRITE) dsp.write(value);
}
