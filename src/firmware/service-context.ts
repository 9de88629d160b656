/** What the services work with: the machine as the firmware sees it. */
import type { Logger } from "../base/logger.ts";
import type { BootMedia } from "../device-api/boot-media.ts";
import type { BootNic } from "../device-api/boot-nic.ts";
import type { GuestMemory } from "../device-api/guest-memory.ts";
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import type { AcpiTables } from "./acpi/tables.ts";
import type { DriveTable } from "./disk/drive-table.ts";
import type { PortAccess } from "./index.ts";
import type { NetworkStack } from "./network/stack.ts";
import type { SystemRom } from "./rom/system-rom.ts";
import type { ApmState } from "./services/apm.ts";

export interface ServiceContext {
  readonly spec: MachineSpec;
  readonly cpu: VirtualCpu;
  readonly memory: GuestMemory;
  readonly ports: PortAccess;
  readonly bootMedia: BootMedia;
  /** In the order in which a network boot tries them. */
  readonly bootNics: readonly BootNic[];
  readonly network: NetworkStack;
  readonly rom: SystemRom;
  /** Undefined on machines without ACPI. */
  readonly acpiTables: AcpiTables | undefined;
  readonly apm: ApmState;
  readonly drives: DriveTable;
  log(): Logger;
  /** Guest nanoseconds since power-on. */
  nowNs(): number;
  powerOff(): void;
}
