/**
 * The whole machine as a tree keyed by id: "clock", "ram", "pci-bus", every device, "wires", "cpu". Saving needs a paused
 * machine with nothing in flight; loading, a freshly assembled one that has not run. Order of loading matters and is
 * fixed here: time first (timers are armed in it), then memory and PCI decoding, devices, the CPU last.
 */
import { FormatError } from "../base/errors.ts";
import type { Wire } from "../device-api/irq-line.ts";
import type { SavedLeaf, SavedState } from "../device-api/saved-state.ts";
import { StateReader } from "../device-api/state-reader.ts";

/** A part of the machine that has saved state. */
export interface Saveable {
  readonly id: string;
  save(): SavedLeaf;
  load(leaf: SavedLeaf): void;
}

/** Saves every part, in order. */
export function saveAll(parts: readonly Saveable[]): SavedState {
  const state: Record<string, SavedLeaf> = {};
  for (const part of parts) {
    if (part.id in state) throw new FormatError(`two parts of the machine are called ${part.id}`);
    state[part.id] = part.save();
  }
  return state;
}

/** Loads every part, in order; each must be there and nothing else may be. */
export function loadAll(parts: readonly Saveable[], state: SavedState): void {
  const known = new Set(parts.map((part) => part.id));
  const unknown = Object.keys(state).filter((id) => !known.has(id));
  if (unknown.length > 0) throw new FormatError(`saved state: this machine has no ${unknown.join(", ")}`);
  const missing = parts.filter((part) => !(part.id in state)).map((part) => part.id);
  if (missing.length > 0) throw new FormatError(`saved state: nothing saved for ${missing.join(", ")}`);
  for (const part of parts) part.load(state[part.id]);
}

/** Guest RAM as it is. The leaf holds a copy. */
export function memoryState(id: string, bytes: Uint8Array): Saveable {
  return {
    id,
    save: () => ({ kind: "memory", version: 1, data: { bytes: bytes.slice() } }),
    load: (leaf) => {
      const state = StateReader.open(leaf, "memory", 1);
      bytes.set(state.bytes("bytes", bytes.length));
      state.end();
    },
  };
}

/** The wires that the machine runs between devices and the CPU, by name. Loading sets levels and tells the listeners. */
export class WireState implements Saveable {
  readonly id = "wires";
  readonly #wires = new Map<string, MachineWire>();

  /** A new wire, low; `onChange` is told each new level. */
  add(name: string, onChange: (level: boolean) => void): Wire {
    const wire = new MachineWire(onChange);
    this.#wires.set(name, wire);
    return wire;
  }

  save(): SavedLeaf {
    const levels = [...this.#wires].map(([name, wire]) => [name, wire.level]);
    return { kind: "wires", version: 1, data: Object.fromEntries(levels) };
  }

  load(leaf: SavedLeaf): void {
    const state = StateReader.open(leaf, "wires", 1);
    for (const [name, wire] of this.#wires) wire.force(state.boolean(name));
    state.end();
  }
}

class MachineWire implements Wire {
  level = false;
  readonly #onChange: (level: boolean) => void;

  constructor(onChange: (level: boolean) => void) {
    this.#onChange = onChange;
  }
  set(level: boolean): void {
    if (level !== this.level) this.force(level);
  }
  force(level: boolean): void {
    this.level = level;
    this.#onChange(level);
  }
}
