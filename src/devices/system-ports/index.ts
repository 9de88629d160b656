/** Plug of the platform's small ports: 61h, 80h, 92h, B2h–B3h, F0h–F1h, CF9h. */
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";
import { SystemPorts, type SystemPortsConfig } from "./system-ports.ts";

export type { ResetRequest, SystemPortsConfig } from "./system-ports.ts";

const kind = "system-ports";

export interface SystemPortsDevice extends Device {
  /** To be called before counter 2 of the timer is written. Valid after `attach`. */
  settleSpeaker(): void;
}

export function createSystemPorts(config: SystemPortsConfig): SystemPortsDevice {
  let ports: SystemPorts;
  return {
    id: kind,
    attach(context) {
      ports = new SystemPorts(config, context.clock);
      const claim = (
        base: number,
        length: number,
        readByte: (offset: number) => number,
        writeByte: (offset: number, value: number) => void,
      ) => context.claimPorts(base, length, byteWindow({ readByte, writeByte }));
      claim(
        R.NMISC,
        1,
        () => ports.readNmisc(),
        (_offset, value) => ports.writeNmisc(value),
      );
      claim(
        R.POST_CODE,
        1,
        () => ports.readPostCode(),
        (_offset, value) => ports.writePostCode(value),
      );
      claim(
        R.PORT92,
        1,
        () => ports.readPort92(),
        (_offset, value) => ports.writePort92(value),
      );
      claim(
        R.APMC,
        2,
        (offset) => ports.readApm(offset),
        (offset, value) => ports.writeApm(offset, value),
      );
      claim(
        R.COPROCESSOR,
        2,
        () => 0xff,
        (offset) => ports.writeCoprocessor(offset),
      );
      claim(
        R.RC,
        1,
        () => ports.readResetControl(),
        (_offset, value) => ports.writeResetControl(value),
      );
    },
    settleSpeaker: () => ports.settleSpeaker(),
    reset: () => ports.reset(),
    save: () => ({ kind, version: 1, data: ports.save() }),
    load: (leaf) => ports.load(StateReader.open(leaf, kind, 1)),
  };
}
