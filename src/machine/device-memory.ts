/**
 * Device memory (frame buffers, ROM copies) behind guest RAM in the machine's shared memory, page aligned, handed out
 * while the machine is assembled and never given back.
 */
import { InternalError } from "../base/errors.ts";
import type { DeviceMemory } from "../device-api/pci-function.ts";

const PAGE = 4096;

export class DeviceMemoryAllocator {
  readonly #memory: WebAssembly.Memory;
  #next: number;

  /** From `hostOffset` (the end of guest RAM) to the end of `memory`. */
  constructor(memory: WebAssembly.Memory, hostOffset: number) {
    this.#memory = memory;
    this.#next = Math.ceil(hostOffset / PAGE) * PAGE;
  }

  allocate(sizeBytes: number): DeviceMemory {
    const hostOffset = this.#next;
    const end = hostOffset + Math.ceil(sizeBytes / PAGE) * PAGE;
    if (end > this.#memory.buffer.byteLength)
      throw new InternalError(`no room for ${sizeBytes} bytes of device memory: the machine's memory is too small`);
    this.#next = end;
    return { bytes: new Uint8Array(this.#memory.buffer, hostOffset, sizeBytes), hostOffset };
  }

  /** A copy of `contents`, for ROMs. */
  allocateCopy(contents: Uint8Array): DeviceMemory {
    const memory = this.allocate(contents.length);
    memory.bytes.set(contents);
    return memory;
  }
}
