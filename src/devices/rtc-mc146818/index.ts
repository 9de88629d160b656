/** Plug of clock and CMOS: ports 70h–71h and the second bank at 72h–73h, IRQ 8. */
import type { WallClock } from "../../device-api/clock.ts";
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { EXTENDED_INDEX_PORT, INDEX_NMI_MASK, INDEX_PORT } from "./registers.ts";
import { Rtc } from "./rtc.ts";

const kind = "rtc-mc146818";

export interface RtcConfig {
  readonly wallClock: WallClock;
  /** The clock shows UTC, else the host's local time. */
  readonly isUtc: boolean;
  /** Milliseconds added to the host's time. */
  readonly offsetMs: number;
  /** CMOS contents at power-on (index 80h–FFh: the second bank); everything else is 0. Time and control registers excepted. */
  readonly initialCmos?: readonly { readonly index: number; readonly value: number }[];
  /** Bit 7 of port 70h: true keeps NMIs from the processor. */
  setNmiMask?(isMasked: boolean): void;
}

export function createRtc(config: RtcConfig): Device {
  let rtc: Rtc;
  return {
    id: kind,
    attach(context) {
      const { wallClock, isUtc, offsetMs, initialCmos = [] } = config;
      rtc = new Rtc({ clock: context.clock, wallClock, isUtc, offsetMs, initialCmos, irq: context.isaIrq(8) });
      context.claimPorts(
        INDEX_PORT,
        2,
        byteWindow({
          // The index port is write-only.
          readByte: (offset) => (offset === 0 ? 0xff : rtc.readData()),
          writeByte(offset, value) {
            if (offset !== 0) {
              rtc.writeData(value);
              return;
            }
            rtc.writeIndex(value);
            config.setNmiMask?.((value & INDEX_NMI_MASK) !== 0);
          },
        }),
      );
      context.claimPorts(
        EXTENDED_INDEX_PORT,
        2,
        byteWindow({
          readByte: (offset) => (offset === 0 ? rtc.readExtendedIndex() : rtc.readExtended()),
          writeByte: (offset, value) => (offset === 0 ? rtc.writeExtendedIndex(value) : rtc.writeExtended(value)),
        }),
      );
    },
    reset(resetKind) {
      if (resetKind === "power-on") rtc.powerOn();
      else rtc.reset();
    },
    resume: () => rtc.followHost(),
    save: () => ({ kind, version: 1, data: rtc.save() }),
    load: (leaf) => rtc.load(StateReader.open(leaf, kind, 1)),
  };
}
