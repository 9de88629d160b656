/**
 * Entry of the machine thread (a worker): builds the back ends that live here, assembles the PC and runs its loop until the
 * machine ends. The loop never yields to JavaScript's event loop: requests are taken from the port between CPU budgets when
 * the doorbell has rung, text leaves through the shared log ring.
 */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { silentAudio } from "../backend-api/audio.ts";
import { AnneauError, InternalError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { createSoftwareCpu } from "../cpu/create.ts";
import type { CounterTree } from "../device-api/counters.ts";
import { MediumInUseError } from "../disk/lock.ts";
import { coreFileHead } from "../machine/core-dump.ts";
import { ExecutionCap } from "../machine/execution-cap.ts";
import { inspect } from "../machine/inspect.ts";
import type { Machine } from "../machine/machine.ts";
import { assemblePc } from "../machine/pc.ts";
import { readRegisters } from "../machine/registers.ts";
import { createWavSink } from "./audio-files.ts";
import { ByteRing } from "./byte-ring.ts";
import { hostWallClock, monotonicNs, threadCpuNs } from "./host-time.ts";
import type {
  FinalStatistics,
  IdeAttachment,
  IdePlace,
  MachineMessage,
  MachineOutcome,
  MachineRequestName,
  MachineRequests,
  MachineStatistics,
  MachineThreadConfig,
  RequestMessage,
  ScreenImage,
} from "./machine-protocol.ts";
import { MediumDrive } from "./medium-drive.ts";
import { PortCompileService } from "./port-compile-service.ts";
import { RingCharBackend } from "./ring-char-backend.ts";
import { RingNetBackend } from "./ring-net-backend.ts";
import { bothAudio, RingAudioBackend, SwitchedAudio } from "./sound-ring.ts";

/** A line that would not leave room for others is cut. */
const MAX_LINE_BYTES = 8192;

/** 128 KiB: the legacy hole is in a piece of its own. */
const DUMP_PIECE_BYTES = 0x20000;

const encoder = new TextEncoder();

class RingLogger implements Logger {
  readonly #ring: ByteRing;

  constructor(ring: ByteRing) {
    this.#ring = ring;
  }
  info(text: string): void {
    this.put("I", text);
  }
  warn(text: string): void {
    this.put("W", text);
  }
  error(text: string): void {
    this.put("E", text);
  }
  put(tag: string, text: string): void {
    for (const line of text.split("\n")) {
      const bytes = encoder.encode(`${tag} ${line.slice(0, MAX_LINE_BYTES)}\n`);
      if (!this.#ring.write(bytes)) this.#ring.countLost();
    }
  }
}

type Handlers = {
  readonly [Name in MachineRequestName]: (params: MachineRequests[Name]["params"]) => MachineRequests[Name]["result"];
};

class MachineThread {
  readonly #port: MessagePort;
  readonly #machine: Machine;
  readonly #uarts: readonly (RingCharBackend | undefined)[];
  readonly #nics: readonly RingNetBackend[];
  readonly #ide: ReadonlyMap<string, MediumDrive>;
  readonly #floppies: ReadonlyMap<number, MediumDrive>;
  readonly #cap: ExecutionCap;
  readonly #audio: SwitchedAudio;
  readonly #handlers: Handlers;
  #outcome: MachineOutcome | undefined;

  private constructor(
    port: MessagePort,
    machine: Machine,
    uarts: readonly (RingCharBackend | undefined)[],
    nics: readonly RingNetBackend[],
    ide: ReadonlyMap<string, MediumDrive>,
    floppies: ReadonlyMap<number, MediumDrive>,
    cap: ExecutionCap,
    audio: SwitchedAudio,
  ) {
    this.#port = port;
    this.#machine = machine;
    this.#uarts = uarts;
    this.#nics = nics;
    this.#ide = ide;
    this.#floppies = floppies;
    this.#cap = cap;
    this.#audio = audio;
    this.#handlers = this.#makeHandlers();
  }

  static async start(config: MachineThreadConfig): Promise<void> {
    const log = new RingLogger(new ByteRing(config.log));
    const drives: MediumDrive[] = [];
    const wav = config.audioFile === undefined ? undefined : createWavSink(config.audioFile, log);
    const live = config.sound && config.isCardHeard ? new RingAudioBackend(config.sound) : undefined;
    const outlet = wav && live ? bothAudio(wav, live) : (wav ?? live ?? silentAudio);
    const audio = new SwitchedAudio(outlet, config.isPlaybackOn ?? true);
    let thread: MachineThread | undefined;
    const open = (medium: IdeAttachment["medium"], place?: IdePlace): MediumDrive => {
      const drive = new MediumDrive(medium, log, () => {
        if (place !== undefined) thread?.say({ event: "ejected", ...place });
      });
      drives.push(drive);
      return drive;
    };
    try {
      const ide = new Map(
        config.ide.map(({ port, device, medium }) => [`${port}.${device}`, open(medium, { port, device })]),
      );
      const floppies = new Map(config.floppies.map(({ drive, medium }) => [drive as number, open(medium)]));
      const uarts = config.uarts.map((buffers) => (buffers ? new RingCharBackend(buffers) : undefined));
      const parallels = (config.parallels ?? []).map((buffers) => (buffers ? new RingCharBackend(buffers) : undefined));
      const nics = config.nics.map((buffers) => new RingNetBackend(buffers));
      const cap = new ExecutionCap(monotonicNs, threadCpuNs);
      cap.percent = config.executionCap ?? 100;
      const machine = await assemblePc(
        config.spec,
        {
          ide: (port, device) => ide.get(`${port}.${device}`),
          floppy: (drive) => floppies.get(drive),
          uart: (index) => uarts[index],
          parallel: (index) => parallels[index],
          nic: (index) => nics[index],
          audio: () => audio,
          speaker: () => config.sound && new RingAudioBackend(config.sound, 1),
        },
        {
          log,
          hostNowNs: monotonicNs,
          wallClock: hostWallClock(config.spec),
          trace: new Set(config.trace),
          onTraceLine: (line) => log.put("T", line),
          doorbell: new Int32Array(config.doorbell),
          poll: () => thread?.poll(),
          onEvent: (event) => {
            if (event.kind === "reset") thread?.say({ event: "reset" });
            else if (event.kind === "died" && config.onDeath === "stay") thread?.died(event);
            else thread?.end(event);
          },
          onTripleFault: config.onTripleFault,
          cap,
          createCpu: (options) => {
            if (config.translator === undefined) return createSoftwareCpu(options);
            const compileService = new PortCompileService(config.translator);
            compileService.start(options.memory.buffer.byteLength / 65536);
            return createSoftwareCpu({ ...options, compileService });
          },
        },
      );
      thread = new MachineThread(config.port, machine, [...uarts, ...parallels], nics, ide, floppies, cap, audio);
      thread.run(config.startPaused === true);
    } catch (error) {
      // Classes of errors do not survive the way to the main thread.
      if (!(error instanceof AnneauError) || error instanceof InternalError) throw error;
      const code = error instanceof MediumInUseError ? "VBOX_E_INVALID_OBJECT_STATE" : undefined;
      config.port.postMessage({ event: "refused", message: error.message, code } satisfies MachineMessage);
    } finally {
      for (const drive of drives) drive.close();
      wav?.close();
      config.translator?.close();
      config.port.close();
    }
  }

  run(startsPaused: boolean): void {
    const machine = this.#machine;
    machine.powerOn();
    if (startsPaused) machine.pause();
    this.say({ event: "ready", memory: machine.hostMemory });
    machine.loop.run();
    const outcome = this.#outcome;
    if (outcome !== undefined) this.say({ event: "ended", outcome, screen: screenOf(machine) });
  }

  say(message: MachineMessage): void {
    this.#port.postMessage(message);
  }

  end(event: { kind: "powered-off" } | { kind: "died"; cause: string; registers: string }): void {
    this.#outcome = { ...event, statistics: this.#finalStatistics() };
    this.#machine.loop.end();
  }

  died(event: { kind: "died"; cause: string; registers: string }): void {
    this.say({ event: "died", death: { ...event, statistics: this.#finalStatistics() } });
  }

  /** The doorbell rang: requests, then serial input, then frames. */
  poll(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) break;
      const { id, name, params } = received.message as RequestMessage;
      try {
        this.say({ reply: id, result: (this.#handlers[name] as (params: unknown) => unknown)(params) });
      } catch (error) {
        this.say({ reply: id, error: error instanceof Error ? error.message : String(error) });
      }
    }
    for (const uart of this.#uarts) uart?.poll();
    // A paused machine's memory stands still: its frames wait in the rings, resuming looks at them.
    if (this.#machine.state !== "paused") for (const nic of this.#nics) nic.poll();
  }

  #makeHandlers(): Handlers {
    const machine = this.#machine;
    const { front } = machine;
    return {
      pause: () => {
        machine.pause();
      },
      resume: () => {
        machine.resume();
      },
      reset: () => {
        machine.reset();
      },
      powerOff: () => {
        machine.powerOff();
      },
      powerButton: () => {
        if (front.powerButton === undefined) throw new AnneauError("the machine has no ACPI power button");
        front.powerButton();
      },
      sleepButton: () => {
        if (front.sleepButton === undefined) throw new AnneauError("the machine has no ACPI sleep button");
        front.sleepButton();
      },
      scancodes: ({ bytes }) => {
        if (front.keyboard === undefined) throw new AnneauError("the machine has no keyboard");
        let taken = 0;
        while (taken < bytes.length && front.keyboard.room > 0) front.keyboard.putScancode(bytes[taken++]);
        return { taken };
      },
      pointer: ({ dx, dy, dz, buttons }) => {
        if (front.pointer === undefined) throw new AnneauError("the machine has no pointing device");
        front.pointer.putRelative(dx, dy, dz, buttons);
      },
      tablet: ({ x, y, dz, buttons }) => {
        front.tablet?.putAbsolute(x, y, dz, buttons);
      },
      screenState: () => ({
        ...(front.display?.scanout() ?? { hostOffset: 0, lengthBytes: 0, revision: 0, phase: 0 }),
        widthPixels: front.display?.widthPixels ?? 0,
        heightPixels: front.display?.heightPixels ?? 0,
        leds: front.keyboard?.leds ?? 0,
        isPointerAbsolute: front.tablet?.isInUse ?? false,
        pointerRevision: front.display?.pointerRevision ?? 0,
      }),
      pointerShape: () => front.display?.pointerShape,
      modeHint: ({ widthPixels, heightPixels, bitsPerPixel }) =>
        front.display?.setModeHint(widthPixels, heightPixels, bitsPerPixel) ?? false,
      render: ({ target }) => {
        const { display } = front;
        if (display === undefined || display.widthPixels * display.heightPixels * 4 !== target.byteLength) return false;
        display.renderRgba(new Uint8Array(target));
        return true;
      },
      screen: () => {
        const screen = screenOf(machine);
        if (screen === undefined) throw new AnneauError("the machine has no screen, or it is off");
        return screen;
      },
      textScreen: () => front.display?.textCells(),
      videoMode: () => {
        const { widthPixels = 0, heightPixels = 0, bitsPerPixel = 0 } = front.display ?? {};
        return { widthPixels, heightPixels, bitsPerPixel };
      },
      statistics: () => this.#statistics(),
      registers: () => machine.cpu.describe(),
      counters: () => ({
        ...machine.counters(),
        drives: this.#driveCounters(),
        network: Object.fromEntries(this.#nics.map((nic, index) => [String(index), nic.statistics()])),
      }),
      registerSet: () => readRegisters(machine.cpu),
      dumpCore: ({ path }) => dumpCore(machine, path),
      injectNmi: () => {
        machine.cpu.raiseNmi();
      },
      info: ({ item }) => {
        const text = inspect(machine, item);
        if (text === undefined) throw new AnneauError(`there is no item '${item}' (info help lists them)`);
        return text;
      },
      setExecutionCap: ({ percent }) => {
        this.#cap.percent = percent;
      },
      setPlayback: ({ isOn }) => {
        this.#audio.isOn = isOn;
      },
      setCable: ({ nic, isConnected }) => {
        front.setCableConnected?.(nic, isConnected);
      },
      changeIde: ({ port, device, medium, isForced }) => {
        const drive = this.#ide.get(`${port}.${device}`);
        if (drive === undefined) throw new AnneauError(`the machine has no IDE drive ${port}.${device}`);
        drive.change(medium, isForced);
      },
      changeFloppy: ({ drive: number, medium }) => {
        const drive = this.#floppies.get(number);
        if (drive === undefined) throw new AnneauError(`the machine has no floppy drive ${number}`);
        drive.change(medium);
      },
    };
  }

  #driveCounters(): CounterTree {
    const ide = [...this.#ide].map(([place, drive]) => [`ide ${place}`, drive.statistics()] as const);
    const floppies = [...this.#floppies].map(([number, drive]) => [`floppy ${number}`, drive.statistics()] as const);
    return Object.fromEntries([...ide, ...floppies]);
  }

  #statistics(): MachineStatistics {
    const { loop, clock, ports, memoryBus, demand } = this.#machine;
    return {
      ...loop.statistics(),
      instructionsPerSecond: loop.instructionsPerSecond,
      guestNs: clock.nowNs(),
      portAccesses: ports.accesses,
      mmioAccesses: memoryBus.accesses,
      demand: demand.counts(),
    };
  }

  #finalStatistics(): FinalStatistics {
    return { ...this.#statistics(), cpu: this.#machine.cpu.statistics?.() ?? {} };
  }
}

/** Writes the core file; what cannot be written whole is removed. */
function dumpCore({ cpu, memory }: Machine, path: string): undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "wx", 0o600);
    writeWhole(file, coreFileHead(readRegisters(cpu), memory.ramBytes));
    const buffer = new Uint8Array(DUMP_PIECE_BYTES);
    for (let at = 0; at < memory.ramBytes; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, memory.ramBytes - at));
      memory.read(at, piece);
      writeWhole(file, piece);
    }
  } catch (error) {
    if (file !== undefined) rmSync(path, { force: true });
    throw new AnneauError(`cannot write '${path}' (${(error as NodeJS.ErrnoException).code ?? error})`, {
      cause: error,
    });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

function screenOf(machine: Machine): ScreenImage | undefined {
  const { display } = machine.front;
  if (display === undefined || display.widthPixels === 0) return undefined;
  const rgba = display.renderRgba();
  return { widthPixels: display.widthPixels, heightPixels: display.heightPixels, rgba };
}

await MachineThread.start(workerData as MachineThreadConfig);
