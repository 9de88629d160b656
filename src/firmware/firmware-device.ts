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
import { type DirectedProgram, DirectedServices, type Operation, SERVICE_SLOTS } from "./directed.ts";
import type { Firmware, FirmwareConfig } from "./index.ts";
import { post } from "./post/post.ts";
import { loadOperation } from "./rom/executor.ts";
import { buildSystemRom } from "./rom/system-rom.ts";
import type { ServiceContext } from "./service-context.ts";
import { identifyTrap, type ServiceName, TRAP_PORT } from "./trap.ts";
import { buildVideoRom } from "./video/video-rom.ts";

const KIND = "firmware";
const VERSION = 1;

export function createFirmwareDevice(config: FirmwareConfig): Firmware {
  return new FirmwareDevice(config);
}

class FirmwareDevice implements Device {
  readonly id = "firmware";
  readonly systemRom: Uint8Array;
  readonly videoRom: Uint8Array;
  private readonly config: FirmwareConfig;
  private readonly services: ServiceContext;
  private readonly directed: DirectedServices;
  private context: DeviceContext | undefined;

  constructor(config: FirmwareConfig) {
    this.config = config;
    const rom = buildSystemRom();
    this.systemRom = rom.bytes;
    this.videoRom = buildVideoRom();
    const nowNs = () => this.context?.clock.nowNs() ?? 0;
    this.services = {
      ...config,
      rom,
      log: () => this.context?.log ?? silentLogger,
      nowNs,
      powerOff: () => config.powerOff?.(),
    };
    const programs = new Map<string, DirectedProgram>([["post", (memory) => post(this.services, memory)]]);
    this.directed = new DirectedServices(programs, config.cpu, nowNs);
  }

  attach(context: DeviceContext): void {
    this.context = context;
    context.claimPorts(TRAP_PORT, 1, {
      read: (_offset: number, size: AccessSize) => allOnes(size),
      write: (_offset: number, size: AccessSize) => {
        if (size === 1) this.trap();
      },
    });
  }

  reset(): void {
    this.directed.reset();
  }

  save(): SavedLeaf {
    return { kind: KIND, version: VERSION, data: { directed: this.directed.save() } };
  }

  load(leaf: SavedLeaf): void {
    const state = StateReader.open(leaf, KIND, VERSION);
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
      case "post":
        this.begin(service);
        return;
      case "step": {
        const operation = this.directed.step(this.slotOnStack(), cpu.getRegister("eax") & 0xff);
        this.perform(operation ?? { kind: "done" });
        return;
      }
    }
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
