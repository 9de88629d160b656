/** What the DSP is playing or recording at the moment. */
import type { StateReader } from "../../device-api/state-reader.ts";

export interface Transfer {
  isRunning: boolean;
  /** Time passes, nothing moves (command 80h). */
  isSilence: boolean;
  /** 16 bits through the 16-bit channel. */
  isWide: boolean;
  isRecording: boolean;
  /** Begins again at the end of a block. */
  isAutomatic: boolean;
  isStereo: boolean;
  isSigned: boolean;
  /** The DMA channel gives nothing. */
  isStalled: boolean;
  /** Samples of a block, one for each side, and what is left of it. */
  blockUnits: number;
  leftUnits: number;
  /** Guest time up to which samples have been moved. */
  doneNs: number;
}

export function idleTransfer(): Transfer {
  return {
    isRunning: false,
    isSilence: false,
    isWide: false,
    isRecording: false,
    isAutomatic: false,
    isStereo: false,
    isSigned: false,
    isStalled: false,
    blockUnits: 1,
    leftUnits: 0,
    doneNs: 0,
  };
}

export function readTransfer(state: StateReader): Transfer {
  const blockUnits = state.integer("blockUnits", 1, 0x10000);
  const transfer = {
    isRunning: state.boolean("isRunning"),
    isSilence: state.boolean("isSilence"),
    isWide: state.boolean("isWide"),
    isRecording: state.boolean("isRecording"),
    isAutomatic: state.boolean("isAutomatic"),
    isStereo: state.boolean("isStereo"),
    isSigned: state.boolean("isSigned"),
    isStalled: state.boolean("isStalled"),
    blockUnits,
    leftUnits: state.integer("leftUnits", 0, blockUnits),
    doneNs: state.number("doneNs"),
  };
  state.end();
  // A running transfer has something left, or its loop would have no end.
  if (transfer.leftUnits === 0) transfer.isRunning = false;
  return transfer;
}
