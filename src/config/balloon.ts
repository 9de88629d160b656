/** The memory balloon in a .vbox file: kept for whoever carries it out. */
import { settings } from "./machine-settings.ts";
import { ResultError } from "./result-codes.ts";
import type { VboxFile } from "./vbox-file.ts";

/** MiB. Error: nine tenths of the VM's memory or more, which is what VirtualBox refuses. */
export function setBalloon(vbox: VboxFile, sizeMiB: number): void {
  const max = Math.floor((vbox.get(settings.memoryMiB) * 9) / 10);
  if (sizeMiB >= 0 && sizeMiB < max) vbox.set(settings.balloonMiB, sizeMiB);
  else
    throw new ResultError(
      "E_INVALIDARG",
      "MachineWrap",
      `Invalid memory balloon size: ${sizeMiB} MB (must be in range [0, ${max}] MB)`,
    );
}
