/**
 * The plug of the IDE controller: PCI function 00:01.1 as PIIX3 (82371SB), PIIX4 (82371AB) or ICH6, two channels on their
 * compatibility ports and ISA interrupts, the bus master in BAR 4, and the drives. Timing registers of the PCI function
 * hold what is written and do nothing; the channels always decode. Native mode is not modelled (the programming interface
 * is fixed at 8Ah).
 */
import type { BlockBackend, MediumSlot } from "../../backend-api/block.ts";
import { FormatError, InternalError } from "../../base/errors.ts";
import type { Device, DeviceContext } from "../../device-api/device.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import type { SavedLeaf } from "../../device-api/saved-state.ts";
import { AtaDisk } from "./ata-disk.ts";
import { AtapiDrive } from "./atapi-drive.ts";
import { BusMasterChannel } from "./bus-master.ts";
import { IdeChannel } from "./channel.ts";
import type { DriveHost, IdeDrive } from "./drive.ts";
import { defaultSerial } from "./identify.ts";
import * as pci from "./registers.ts";
import { SavedFields } from "./saved-fields.ts";
import { defaultTiming, type IdeTiming } from "./timing.ts";

export interface IdeDiskConfig {
  /** 0 primary, 1 secondary. */
  readonly port: 0 | 1;
  /** 0 master, 1 slave. */
  readonly device: 0 | 1;
  readonly kind: "disk";
  readonly backend: BlockBackend;
  /** Up to 20 and 40 ASCII characters; the defaults are stable for a medium. */
  readonly serial?: string;
  readonly model?: string;
}

export interface IdeDvdConfig {
  readonly port: 0 | 1;
  readonly device: 0 | 1;
  readonly kind: "dvd";
  readonly slot: MediumSlot;
  readonly serial?: string;
  readonly model?: string;
  /** Commands always go to the emulated drive. */
  readonly passthrough?: false;
}

export interface IdeConfig {
  readonly model: "PIIX3" | "PIIX4" | "ICH6";
  readonly drives: readonly (IdeDiskConfig | IdeDvdConfig)[];
  readonly timing?: Partial<IdeTiming>;
}

export interface IdeController extends Device {
  /** Back end requests in flight; the machine lets them finish before it pauses, saves or resets. */
  readonly pendingRequests: number;
  /** The guest has locked the tray of this DVD drive (PREVENT MEDIUM REMOVAL). */
  isTrayLocked(port: 0 | 1, device: 0 | 1): boolean;
}

const slot = 1;
const fn = 1;
const functionId = {
  PIIX3: { deviceId: 0x7010, revision: 0 },
  PIIX4: { deviceId: 0x7111, revision: 1 },
  ICH6: { deviceId: 0x269e, revision: 0 },
} as const;
const ports = [
  { command: 0x1f0, control: 0x3f6, irq: 14 },
  { command: 0x170, control: 0x376, irq: 15 },
] as const;
const placeNames = [
  ["primary master", "primary slave"],
  ["secondary master", "secondary slave"],
] as const;

/** Makes the controller; two drives at one place are the caller's mistake. */
export function createIde(config: IdeConfig): IdeController {
  const places = new Set(config.drives.map((drive) => drive.port * 2 + drive.device));
  if (places.size !== config.drives.length) throw new InternalError("two IDE drives at one place");
  return new IdeDevice(config);
}

class IdeDevice implements IdeController {
  readonly id = "ide";
  readonly #config: IdeConfig;
  readonly #channels: IdeChannel[] = [];
  readonly #busMasters: BusMasterChannel[] = [];
  #function: PciFunctionHandle | undefined;

  constructor(config: IdeConfig) {
    this.#config = config;
  }

  attach(context: DeviceContext): void {
    for (const port of [0, 1] as const) {
      const { command, control, irq } = ports[port];
      const busMaster = new BusMasterChannel(
        context.memory,
        () => this.#function?.busMasterEnabled ?? false,
        () => this.#channels[port].busMasterStarted(),
      );
      const channel = new IdeChannel(context.isaIrq(irq), busMaster);
      this.#busMasters.push(busMaster);
      this.#channels.push(channel);
      for (const drive of this.#config.drives) {
        if (drive.port === port) channel.drives[drive.device] = this.#createDrive(context, channel, busMaster, drive);
      }
      context.claimPorts(command, 8, channel.commandBlock);
      context.claimPorts(control, 1, channel.controlBlock);
    }
    this.#function = this.#addFunction(context);
  }

  #createDrive(
    context: DeviceContext,
    channel: IdeChannel,
    busMaster: BusMasterChannel,
    config: IdeDiskConfig | IdeDvdConfig,
  ): IdeDrive {
    const host: DriveHost = {
      clock: context.clock,
      memory: context.memory,
      timing: { ...defaultTiming, ...this.#config.timing },
      log: context.log,
      trace: context.trace("ide"),
      busMaster,
      interruptChanged: () => channel.interruptChanged(),
    };
    const { port, device } = config;
    const name = placeNames[port][device];
    if (config.kind === "disk") {
      const serial = config.serial ?? defaultSerial(config.backend.uuid, port, device);
      return new AtaDisk(host, name, { ...config, serial, model: config.model ?? "VBOX HARDDISK" });
    }
    const serial = config.serial ?? defaultSerial(undefined, port, device);
    return new AtapiDrive(host, name, { ...config, serial, model: config.model ?? "VBOX CD-ROM" });
  }

  #addFunction(context: DeviceContext): PciFunctionHandle {
    const { model } = this.#config;
    const isIch = model === "ICH6";
    return context.addPciFunction(slot, fn, {
      name: "ide",
      vendorId: 0x8086,
      ...functionId[model],
      classCode: 0x01018a,
      bars: [{ index: 4, kind: "io", sizeBytes: 2 * pci.BM_CHANNEL_BYTES, window: this.#busMasterWindow() }],
      initial: [
        { offset: 0x06, size: 2, value: 0x0280 },
        // The channels are enabled, as a BIOS leaves them: drivers look for a channel only where this bit is set.
        { offset: pci.IDETIM_PRIMARY, size: 2, value: pci.IDETIM_DECODE_ENABLE },
        { offset: pci.IDETIM_SECONDARY, size: 2, value: pci.IDETIM_DECODE_ENABLE },
        ...(isIch ? [{ offset: pci.IDE_CONFIG, size: 2, value: pci.IDE_CONFIG_CABLES_80 } as const] : []),
      ],
      writable: [
        { offset: pci.IDETIM_PRIMARY, size: 4, mask: 0xffff_ffff },
        { offset: pci.SIDETIM, size: 1, mask: 0xff },
        ...(model === "PIIX3"
          ? []
          : ([
              { offset: pci.UDMACTL, size: 1, mask: 0x0f },
              { offset: pci.UDMATIM, size: 2, mask: 0x3333 },
            ] as const)),
        ...(isIch ? [{ offset: pci.IDE_CONFIG, size: 4, mask: 0xffff_ffff } as const] : []),
      ],
      onConfigWrite: (offset) => {
        // Bus-master enable may be what a waiting transfer lacked.
        if (offset < 0x08) for (const channel of this.#channels) channel.busMasterStarted();
      },
    });
  }

  #busMasterWindow(): IoWindow {
    const byte = (offset: number) => this.#busMasters[offset < pci.BM_CHANNEL_BYTES ? 0 : 1];
    return {
      read: (offset: number, size: AccessSize) => {
        let value = 0;
        for (let i = 0; i < size; i++) {
          value += byte(offset + i).readByte((offset + i) % pci.BM_CHANNEL_BYTES) * 2 ** (8 * i);
        }
        return value;
      },
      write: (offset: number, size: AccessSize, value: number) => {
        // From the top, so that the start bit of a wide write acts when the rest is in place.
        for (let i = size - 1; i >= 0; i--) {
          byte(offset + i).writeByte((offset + i) % pci.BM_CHANNEL_BYTES, (value >>> (8 * i)) & 0xff);
        }
      },
    };
  }

  get pendingRequests(): number {
    return this.#channels.reduce((sum, channel) => sum + channel.pendingRequests, 0);
  }

  isTrayLocked(port: 0 | 1, device: 0 | 1): boolean {
    const drive = this.#channels[port]?.drives[device];
    return drive instanceof AtapiDrive && drive.isTrayLocked;
  }

  reset(): void {
    for (const channel of this.#channels) channel.reset();
  }

  save(): SavedLeaf {
    return {
      kind: "ide",
      version: 1,
      data: { primary: this.#channels[0].save(), secondary: this.#channels[1].save() },
    };
  }

  load(leaf: SavedLeaf): void {
    if (leaf.kind !== "ide" || leaf.version !== 1) {
      throw new FormatError(`saved state of the IDE controller: unknown kind ${leaf.kind} version ${leaf.version}`);
    }
    const fields = new SavedFields("saved IDE controller", leaf.data);
    this.#channels[0].load(fields.object("primary"));
    this.#channels[1].load(fields.object("secondary"));
    fields.end();
  }
}
