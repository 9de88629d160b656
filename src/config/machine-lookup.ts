/** Finding registered VMs by name or UUID. */
import { loadRegistry, type MachineEntry, type Registry } from "./registry.ts";
import { ResultError } from "./result-codes.ts";
import { parseUuid } from "./uuid.ts";
import { loadVbox, type VboxFile } from "./vbox-file.ts";

export interface FoundMachine {
  readonly entry: MachineEntry;
  /** The settings, or why they cannot be read. */
  readonly settings: VboxFile | ResultError;
}

/** Every registered VM, in registry order. */
export function registeredMachines(registry: Registry = loadRegistry()): FoundMachine[] {
  return registry.machines().map(open);
}

function open(entry: MachineEntry): FoundMachine {
  try {
    return { entry, settings: loadVbox(entry.path) };
  } catch (error) {
    if (error instanceof ResultError) return { entry, settings: error };
    throw error;
  }
}

/** The VM with that name or UUID, readable or not. Error: VBOX_E_OBJECT_NOT_FOUND. */
export function lookUpMachine(nameOrUuid: string, registry: Registry = loadRegistry()): FoundMachine {
  const uuid = parseUuid(nameOrUuid);
  const entries = registry.machines();
  const byUuid = uuid === undefined ? undefined : entries.find((entry) => entry.uuid === uuid);
  if (byUuid) return open(byUuid);
  for (const entry of entries) {
    const found = open(entry);
    if (!(found.settings instanceof ResultError) && found.settings.name === nameOrUuid) return found;
  }
  throw new ResultError(
    "VBOX_E_OBJECT_NOT_FOUND",
    "VirtualBoxWrap",
    uuid === undefined
      ? `Could not find a registered machine named '${nameOrUuid}'`
      : `Could not find a registered machine with UUID {${uuid}}`,
  );
}

/** The VM's settings. Errors: not registered, or its settings file cannot be read. */
export function findMachine(nameOrUuid: string, registry: Registry = loadRegistry()): VboxFile {
  const { settings } = lookUpMachine(nameOrUuid, registry);
  if (settings instanceof ResultError) throw settings;
  return settings;
}
