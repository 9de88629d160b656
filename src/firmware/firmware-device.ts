/**
 * The firmware device: owns the trap port, recognises traps from our ROM and runs the service they name. Immediate
 * services work on the caller's registers; directed ones go on in the ROM's executor loop.
 */
import { silentLogger } from "../base/logger.ts";
import type { Device, DeviceContext } from "../device-api/device.ts";
import { type AccessSize, allOnes } from "../device-api/io-window.ts";
import type { SavedLeaf } from "../device-api/saved-state.ts";
import { StateReader } from "../device-api/state-reader.ts";
import { GuestFaultSignal } from "../device-api/virtual-cpu.ts";
import { buildAcpiTables } from "./acpi/tables.ts";
import { print, waitKey } from "./boot/guest-calls.ts";
import { startSystem } from "./boot/menu.ts";
import { TrapCaller } from "./caller.ts";
import {
  type DirectedProgram,
  DirectedServices,
  type Operation,
  SERVICE_SLOTS,
  type ServiceMemory,
} from "./directed.ts";
import { int13 } from "./disk/disk-services.ts";
import { DriveTable } from "./disk/drive-table.ts";
import type { Firmware, FirmwareConfig } from "./index.ts";
import { PXE_SEGMENT, PXENV_OFFSET } from "./network/pxe-memory.ts";
import { pxe } from "./network/pxe-services.ts";
import { NetworkStack } from "./network/stack.ts";
import { post } from "./post/post.ts";
import { loadOperation } from "./rom/executor.ts";
import { buildSystemRom, ROM_SEGMENT_BASE } from "./rom/system-rom.ts";
import type { ServiceContext } from "./service-context.ts";
import { ApmState, apm, apmConnections } from "./services/apm.ts";
import { int15Directed } from "./services/directed-services.ts";
import { KeyboardService } from "./services/keyboard.ts";
import { mouseByte } from "./services/mouse.ts";
import { pciBios } from "./services/pci-bios.ts";
import { printScreen } from "./services/print-screen.ts";
import { int14, int17 } from "./services/serial-parallel.ts";
import { int15 } from "./services/system-services.ts";
import { int1a } from "./services/time.ts";
import { identifyTrap, type ServiceName, TRAP_PORT } from "./trap.ts";
import { int10 } from "./video/int10.ts";
import { VIDEO_CONTROL_PORT, VIDEO_ROM_SEGMENT, VIDEO_SESSION_PORT, VIDEO_SESSIONS } from "./video/program.ts";
import { buildVideoRom } from "./video/video-rom.ts";
import { VideoService } from "./video/video-service.ts";

const KIND = "firmware";
const VERSION = 1;

export function createFirmwareDevice(config: FirmwareConfig): Firmware {
  return new FirmwareDevice(config);
}

/** The ids in the video ROM's PCI data structure must match the card's. */
const graphicsIds = {
  none: { vendorId: 0x80ee, deviceId: 0xbeef },
  vboxvga: { vendorId: 0x80ee, deviceId: 0xbeef },
  vboxsvga: { vendorId: 0x80ee, deviceId: 0xbeef },
  vmsvga: { vendorId: 0x15ad, deviceId: 0x0405 },
} as const;
const PCI_SERVICE = 0x49435024;
const PCI_FUNCTION = 0xb1;
const INVALID_SERVICE = 0x80;
const INVALID_FUNCTION = 0x81;
const PXE_CHECK = 0x5650;
const PXE_PRESENT = 0x564e;

class FirmwareDevice implements Device {
  readonly id = "firmware";
  readonly systemRom: Uint8Array;
  readonly videoRom: Uint8Array;
  private readonly config: FirmwareConfig;
  private readonly services: ServiceContext;
  private readonly directed: DirectedServices;
  private readonly keyboard: KeyboardService;
  private readonly video: VideoService;
  private context: DeviceContext | undefined;

  constructor(config: FirmwareConfig) {
    this.config = config;
    const { bootMedia, bootNics = [], cpu, memory, ports, spec } = config;
    const acpiTables = spec.acpi ? buildAcpiTables(spec, memory.ramBytes) : undefined;
    const rom = buildSystemRom(spec, bootMedia, acpiTables?.rootPointer);
    this.systemRom = rom.bytes;
    const videoRom = buildVideoRom(graphicsIds[spec.graphics]);
    this.videoRom = videoRom.bytes;
    const videoContext = { romSegment: VIDEO_ROM_SEGMENT, labels: videoRom.labels };
    this.video = new VideoService((frame) => int10(videoContext, frame));
    const nowNs = () => this.context?.clock.nowNs() ?? 0;
    this.services = {
      spec,
      cpu,
      memory,
      ports,
      bootMedia,
      bootNics,
      network: new NetworkStack(cpu, bootNics),
      rom,
      acpiTables,
      apm: new ApmState(),
      drives: new DriveTable(bootMedia),
      log: () => this.context?.log ?? silentLogger,
      nowNs,
      powerOff: () => config.powerOff?.(),
    };
    this.keyboard = new KeyboardService(cpu, ports);
    this.directed = new DirectedServices(directedPrograms(this.services), cpu, nowNs);
  }

  attach(context: DeviceContext): void {
    this.context = context;
    // Another BIOS starts the card's video ROM, which is ours.
    context.claimPorts(VIDEO_CONTROL_PORT, 1, this.video.control);
    context.claimPorts(VIDEO_SESSION_PORT, VIDEO_SESSIONS, this.video.sessions);
    if (this.config.spec.biosImage !== undefined) return;
    context.claimPorts(TRAP_PORT, 1, {
      read: (_offset: number, size: AccessSize) => allOnes(size),
      write: (_offset: number, size: AccessSize) => {
        if (size === 1) this.trap();
      },
    });
  }

  reset(): void {
    this.directed.reset();
    this.video.reset();
    this.services.apm.reset();
    this.services.drives.reset();
    for (const nic of this.services.bootNics) nic.close();
  }

  save(): SavedLeaf {
    const { apm: state, drives } = this.services;
    const { enabled, engaged, version } = state;
    const data = {
      directed: this.directed.save(),
      apm: { connection: apmConnections.indexOf(state.connection), enabled, engaged, version },
      drives: drives.save(),
      video: this.video.save(),
    };
    return { kind: KIND, version: VERSION, data };
  }

  load(leaf: SavedLeaf): void {
    const state = StateReader.open(leaf, KIND, VERSION);
    const apmState = state.child("apm");
    this.services.apm.connection = apmConnections[apmState.integer("connection", 0, apmConnections.length - 1)];
    this.services.apm.enabled = apmState.boolean("enabled");
    this.services.apm.engaged = apmState.boolean("engaged");
    this.services.apm.version = apmState.integer("version", 0, 0xffff);
    apmState.end();
    this.services.drives.load(state.child("drives"));
    this.video.load(state.child("video"));
    this.directed.load(state.children("directed", SERVICE_SLOTS));
    state.end();
  }

  private trap(): void {
    const service = identifyTrap(this.config.cpu, this.systemRom);
    if (service === undefined) return;
    try {
      this.serve(service);
    } catch (error) {
      if (error instanceof GuestFaultSignal) throw error;
      // A defect of ours must not take the machine down: the guest gets whatever the registers hold now.
      this.services.log().error(`firmware: service ${service} failed: ${(error as Error).stack ?? error}`);
    }
  }

  private serve(service: ServiceName): void {
    const { cpu } = this.config;
    switch (service) {
      case "step": {
        const operation = this.directed.step(this.slotOnStack(), cpu.getRegister("eax") & 0xffff);
        this.perform(operation ?? { kind: "done" });
        return;
      }
      case "int15": {
        const caller = new TrapCaller(cpu, "stacked");
        caller.commit(int15(this.services, caller) === "directed" ? "spin" : "no");
        return;
      }
      case "int16": {
        const caller = new TrapCaller(cpu, "stacked");
        const isWaiting = this.keyboard.int16(caller);
        caller.commit(isWaiting ? (cpu.mode === "real" ? "sleep" : "spin") : "no");
        return;
      }
      case "int1a": {
        const caller = new TrapCaller(cpu, "stacked");
        caller.enableInterrupts();
        let isUpdating = false;
        if (caller.ah === PCI_FUNCTION) pciBios(cpu, this.config.ports, caller, 16);
        else if (caller.ax === PXE_CHECK && this.services.network.state.isInstalled) this.answerPxeCheck(caller);
        else isUpdating = int1a(cpu, this.config.ports, caller);
        caller.commit(isUpdating ? "spin" : "no");
        return;
      }
      case "keyboard-irq":
        this.answerInAl(this.keyboard.scancode(cpu.getRegister("eax") & 0xff));
        return;
      case "mouse-irq":
        this.answerInAl(mouseByte(cpu, cpu.getRegister("eax") & 0xff) ? 1 : 0);
        return;
      case "protected-apm": {
        const caller = new TrapCaller(cpu, "live");
        if (caller.ah === 0x53) apm(this.services, caller, "protected");
        else caller.finish(0x86);
        caller.commit();
        return;
      }
      case "protected-pci": {
        const caller = new TrapCaller(cpu, "live");
        if (caller.ah === PCI_FUNCTION) pciBios(cpu, this.config.ports, caller, 32);
        else caller.finish(INVALID_FUNCTION);
        caller.commit();
        return;
      }
      case "bios32-directory":
        this.findBios32Service();
        return;
      default:
        this.begin(service);
    }
  }

  /** INT 1Ah 5650h (PXE 2.1, 3.2): where PXENV+ is. */
  private answerPxeCheck(caller: TrapCaller): void {
    caller.ax = PXE_PRESENT;
    caller.es = PXE_SEGMENT;
    caller.bx = PXENV_OFFSET;
    caller.edx = PXE_SEGMENT * 16 + PXENV_OFFSET;
    caller.carry = false;
  }

  private answerInAl(value: number): void {
    const { cpu } = this.config;
    cpu.setRegister("eax", ((cpu.getRegister("eax") & 0xffffff00) | value) >>> 0);
  }

  /** EAX names a service, BL = 0 asks where it is: EBX physical base, ECX length, EDX entry. */
  private findBios32Service(): void {
    const caller = new TrapCaller(this.config.cpu, "live");
    if (caller.bl !== 0) caller.al = INVALID_FUNCTION;
    else if (caller.eax !== PCI_SERVICE) caller.al = INVALID_SERVICE;
    else {
      caller.al = 0;
      caller.ebx = ROM_SEGMENT_BASE;
      caller.ecx = 0x10000;
      caller.edx = this.services.rom.labels.pci32;
    }
    caller.commit();
  }

  private begin(program: ServiceName): void {
    const { cpu } = this.config;
    const frame = (cpu.getSegment("ss").base + (cpu.getRegister("ebp") & 0xffff)) >>> 0;
    const { id, operation } = this.directed.begin(program, frame);
    cpu.writeLinear((frame - 2) >>> 0, 2, id);
    this.perform(operation);
  }

  private slotOnStack(): number {
    const { cpu } = this.config;
    return cpu.readLinear((cpu.getSegment("ss").base + ((cpu.getRegister("ebp") - 2) & 0xffff)) >>> 0, 2);
  }

  private perform(operation: Operation): void {
    loadOperation(this.config.cpu, operation);
  }
}

function directedPrograms(services: ServiceContext): ReadonlyMap<ServiceName, DirectedProgram> {
  const isRealMode = (memory: ServiceMemory) => memory.input(() => (services.cpu.mode === "real" ? 1 : 0)) === 1;
  return new Map<ServiceName, DirectedProgram>([
    ["post", (memory) => post(services, memory)],
    ["int05", (memory) => printScreen(memory, isRealMode(memory))],
    ["int13", (memory, frame) => int13(services, memory, frame)],
    ["int14", int14],
    ["int15-directed", (memory, frame) => int15Directed(memory, frame, isRealMode(memory))],
    ["int17", int17],
    ["pxe-stack", (memory, frame) => pxe(services, memory, frame, "stack")],
    ["pxe-registers", (memory, frame) => pxe(services, memory, frame, "registers")],
    [
      "int18",
      function* (memory) {
        yield* print(memory, "\nThe system could not be started. Press a key to try again.\n");
        yield* waitKey(memory);
        yield* startSystem(services, memory, false);
      },
    ],
    ["int19", (memory) => startSystem(services, memory, false)],
  ]);
}
