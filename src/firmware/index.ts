/**
 * The firmware device: system BIOS and video BIOS of our own. machine/ maps the two ROM images (read-only for the guest)
 * and gives the device the CPU and the ports; the ROM's entry stubs trap here with an OUT, and the services run as
 * TypeScript over VirtualCpu. docs/firmware.md describes the pieces.
 */
import type { BootMedia } from "../device-api/boot-media.ts";
import type { BootNic } from "../device-api/boot-nic.ts";
import type { Device } from "../device-api/device.ts";
import type { GuestMemory } from "../device-api/guest-memory.ts";
import type { AccessSize } from "../device-api/io-window.ts";
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import { createFirmwareDevice } from "./firmware-device.ts";

/** Port I/O as the guest would do it (the machine's port bus). Used by POST, outside the CPU's run of instructions. */
export interface PortAccess {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
}

export interface FirmwareConfig {
  readonly spec: MachineSpec;
  /** Read and written from inside the trap port's write access: registers there are those of the OUT instruction. */
  readonly cpu: VirtualCpu;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly bootMedia: BootMedia;
  /** In the order in which a network boot tries them; none if absent. */
  readonly bootNics?: readonly BootNic[];
  /** APM "power off" (INT 15h 5307h): the machine powers off after the current budget. */
  powerOff?(): void;
}

export interface FirmwareRoms {
  /** 128 KiB: maps to E0000h–FFFFFh and, again, to end at 4 GiB (FFFE0000h–FFFFFFFFh). Read-only for the guest. */
  readonly systemRom: Uint8Array;
  /** 32 KiB: maps to C0000h–C7FFFh unless spec.graphics is "none". Also the graphics card's expansion ROM. */
  readonly videoRom: Uint8Array;
}

export type Firmware = Device & FirmwareRoms;

/** Makes the firmware. Both ROM images are complete when it returns; services run once the CPU does. */
export function createFirmware(config: FirmwareConfig): Firmware {
  return createFirmwareDevice(config);
}
