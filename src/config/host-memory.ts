/** The memory that this host, or the container it runs in, has for a VM. */
import { totalmem } from "node:os";

export interface HostMemory {
  readonly totalMiB: number;
  /** What programs can get without taking it from others. */
  readonly availableMiB: number;
}

const MIB = 1 << 20;

export function hostMemory(): HostMemory {
  const limitBytes = process.constrainedMemory();
  const totalBytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
  return {
    totalMiB: Math.floor(totalBytes / MIB),
    availableMiB: Math.floor(Math.min(process.availableMemory(), totalBytes) / MIB),
  };
}

/** One line when the VM's memory is more than the host has to spare now; undefined when there is enough. */
export function memoryWarning(ramMiB: number, { availableMiB } = hostMemory()): string | undefined {
  if (ramMiB <= availableMiB) return undefined;
  return `${ramMiB} MB of memory are more than the ${availableMiB} MB that the host has to spare now: both may become slow`;
}
