/**
 * MachineSpec: what the guest's PC consists of, as pure data. config/ fills it from a .vbox file, `anneau run` from its
 * options; machine/ reads it and nothing else. Limits are VirtualBox's. Host things (files, sockets) are not here: back
 * ends are injected beside the spec, matched by the ids used below.
 */

export type BootPosition = "none" | "floppy" | "dvd" | "disk" | "network";

export const cpuEngines = ["interpreter", "translator", "shadow"] as const;
export type CpuEngine = (typeof cpuEngines)[number];

export interface UartSpec {
  readonly enabled: boolean;
  readonly ioBase: number;
  readonly irq: number;
  readonly type: "16450" | "16550A" | "16750";
}

export interface ParallelSpec {
  readonly enabled: boolean;
  readonly ioBase: number;
  readonly irq: number;
}

export interface IdeDriveSpec {
  /** 0 primary, 1 secondary. */
  readonly port: 0 | 1;
  /** 0 master, 1 slave. */
  readonly device: 0 | 1;
  readonly type: "disk" | "dvd";
}

export interface IdeControllerSpec {
  readonly name: string;
  readonly model: "PIIX3" | "PIIX4" | "ICH6";
  readonly bootable: boolean;
  readonly drives: readonly IdeDriveSpec[];
}

export interface FloppySpec {
  /** Drives 0 and 1 that exist, with or without a disk. */
  readonly drives: readonly (0 | 1)[];
}

export const nicModels = ["Am79C970A", "Am79C973", "82540EM", "82543GC", "82545EM", "virtio"] as const;
export type NicModel = (typeof nicModels)[number];

export interface NicSpec {
  /** 0-based: NIC 1 of the command line is slot 0. */
  readonly slot: number;
  readonly model: NicModel;
  /** 12 upper-case hex digits. */
  readonly macAddress: string;
  readonly cableConnected: boolean;
  /** Network boot tries 1 before 2 … 4, those with 0 or none last. */
  readonly bootPriority?: number;
}

export interface AudioSpec {
  /** AC'97 with a STAC9700 codec on the PCI bus, or a Sound Blaster 16 at 220h, IRQ 5, DMA 1 and 5. */
  readonly controller: "ac97" | "sb16";
}

/** A USB 1.1 controller and what is plugged into it. PS/2 keyboard and mouse are there in any case. */
export interface UsbSpec {
  readonly pointing?: "tablet" | "mouse";
  readonly hasKeyboard: boolean;
}

export interface LinuxBootSpec {
  /** The bzImage. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
}

export interface MachineSpec {
  readonly name: string;
  /** Lower case with dashes. */
  readonly uuid: string;
  readonly osTypeId: string;
  readonly ramMiB: number;
  readonly vramMiB: number;
  readonly cpuCount: number;
  readonly cpu: {
    readonly pae: boolean;
    readonly nx: boolean;
    /** Highest basic CPUID leaf to report (NT 4 wants ≤ 3), or undefined for all. */
    readonly maxLeaf?: number;
    /** How guest code is executed; the interpreter unless said otherwise. Makes no difference to the guest. */
    readonly engine?: CpuEngine;
    /** For systems that forget to invalidate pages: few translations are kept, and none over a switch of task or address space. */
    readonly hasSmallTlb?: boolean;
  };
  readonly acpi: boolean;
  /** Local APIC and I/O APIC: both or neither, for systems stumble over one without the other. */
  readonly ioApic: boolean;
  /** CPUID promises x2APIC mode; only together with `ioApic`. */
  readonly x2Apic?: boolean;
  readonly hpet: boolean;
  readonly rtcUseUtc: boolean;
  /** Milliseconds added to the host's wall clock. */
  readonly systemTimeOffsetMs: number;
  readonly bootOrder: readonly [BootPosition, BootPosition, BootPosition, BootPosition];
  /** F12 during POST opens the firmware's boot menu, with or without a hint on the screen; both if left out. */
  readonly bootMenu?: "disabled" | "menuonly" | "messageandmenu";
  readonly graphics: "none" | "vboxvga" | "vmsvga" | "vboxsvga";
  readonly ide?: IdeControllerSpec;
  readonly floppy?: FloppySpec;
  readonly uarts: readonly UartSpec[];
  readonly parallels: readonly ParallelSpec[];
  readonly nics: readonly NicSpec[];
  readonly usb?: UsbSpec;
  /** A sound card. */
  readonly audio?: AudioSpec;
  /** Boot a Linux kernel directly instead of through the BIOS's boot order. */
  readonly linux?: LinuxBootSpec;
  /** A BIOS image of the user's instead of ours: 64, 128 or 256 KiB, mapped to end at 1 MiB and at 4 GiB. */
  readonly biosImage?: Uint8Array;
  /** Time follows executed instructions instead of the host's clock: reproducible runs. */
  readonly deterministic?: { readonly nsPerInstruction: number };
}

export const limits = {
  ramMiB: { min: 4, max: 2097152 },
  /** What this machine can really give a guest (wasm32 address space). */
  ramMiBSupported: 3584,
  vramMiB: { min: 0, max: 256 },
  cpus: { min: 1, max: 64 },
  monitors: { min: 1, max: 64 },
  nics: { piix3: 8, ich9: 36 },
  uarts: 4,
  parallels: 2,
} as const;
