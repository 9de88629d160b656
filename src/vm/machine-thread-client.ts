/**
 * The main thread's handle on a machine thread: starts the worker, sends requests and rings the doorbell, turns replies
 * into promises, drains the log ring line by line. One handle, one machine, one life.
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { AnneauError } from "../base/errors.ts";
import type { ResultCode } from "../config/result-codes.ts";
import { ByteRing, Doorbell } from "./byte-ring.ts";
import type {
  IdePlace,
  MachineDeath,
  MachineMessage,
  MachineOutcome,
  MachineRequestName,
  MachineRequests,
  MachineThreadConfig,
  ScreenImage,
} from "./machine-protocol.ts";
import type { NicHost } from "./network/nic-host.ts";
import type { TranslatorThreadConfig } from "./translator-thread.ts";
import type { UartHost } from "./uart-host.ts";

const LOG_RING_BYTES = 1 << 20;

export type MachineThreadOptions = Omit<
  MachineThreadConfig,
  "uarts" | "parallels" | "nics" | "doorbell" | "log" | "port"
> & {
  /** By index of spec.uarts. */
  readonly uarts: readonly (UartHost | undefined)[];
  /** By index of spec.parallels. */
  readonly parallels?: readonly UartHost[];
  /** By index of spec.nics. */
  readonly nics: readonly NicHost[];
  /** A line of the machine's log ("I", "W", "E") or trace ("T"). */
  readonly onLine: (tag: string, text: string) => void;
  readonly onReset?: () => void;
  /** The guest has ejected a disc: the drive is empty. */
  readonly onEjected?: (place: IdePlace) => void;
  /** With `onDeath` "stay". */
  readonly onDied?: (death: MachineDeath) => void;
};

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** The machine cannot start, for a reason that a person can act on. */
export class MachineRefused extends AnneauError {
  override name = "MachineRefused";
  readonly code: ResultCode | undefined;

  constructor(message: string, code: ResultCode | undefined) {
    super(message);
    this.code = code;
  }
}

/** Of a thread's JavaScript heap: left alone it takes 48 MiB, for no gain here. */
const YOUNG_GENERATION_MIB = 6;

export class MachineThreadClient {
  readonly doorbell: Doorbell;
  /** Settles once, when the machine has ended and its media are closed. Rejects if the thread itself failed. */
  readonly ended: Promise<MachineOutcome>;
  /** The last picture, once `ended` has settled. */
  lastScreen: ScreenImage | undefined;
  /** The machine's memory, all of it; set when the machine is ready. */
  memory = new SharedArrayBuffer(0);
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #log: ByteRing;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #outcome: MachineOutcome | undefined;
  #refusal: AnneauError | undefined;
  #hasExited = false;

  private constructor(
    options: MachineThreadOptions,
    doorbell: Doorbell,
    onReady: () => void,
    onFail: (e: Error) => void,
  ) {
    const { uarts, parallels, nics, onLine, onReset, onEjected, onDied, ...rest } = options;
    this.doorbell = doorbell;
    this.#log = ByteRing.create(LOG_RING_BYTES);
    const channel = new MessageChannel();
    this.#port = channel.port1;
    const translator = options.spec.cpu.engine === "translator" ? startTranslator(onLine) : undefined;
    const config: MachineThreadConfig = {
      ...rest,
      uarts: uarts.map((uart) => uart?.buffers),
      parallels: parallels?.map((port) => port.buffers),
      nics: nics.map((nic) => nic.buffers),
      doorbell: doorbell.counter.buffer,
      log: this.#log.buffer,
      port: channel.port2,
      translator: translator?.port,
    };
    this.#worker = new Worker(new URL(`./machine-thread${import.meta.filename.slice(-3)}`, import.meta.url), {
      workerData: config,
      transferList: translator === undefined ? [channel.port2] : [channel.port2, translator.port],
      name: "machine",
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    this.#port.on("message", (message: MachineMessage) => {
      if ("reply" in message) this.#settle(message.reply, message.result, message.error);
      else if (message.event === "ready") {
        this.memory = message.memory;
        onReady();
      } else if (message.event === "reset") onReset?.();
      else if (message.event === "ejected") onEjected?.(message);
      else if (message.event === "died") onDied?.(message.death);
      else if (message.event === "refused") this.#refusal = new MachineRefused(message.message, message.code);
      else {
        this.#outcome = message.outcome;
        this.lastScreen = message.screen;
      }
    });
    this.ended = new Promise((resolve, reject) => {
      let failure: Error | undefined;
      this.#worker.on("error", (error) => {
        failure = error instanceof Error ? error : new Error(String(error));
      });
      this.#worker.on("exit", (code) => {
        void translator?.worker.terminate();
        // The port's last messages may still be on their way here.
        setImmediate(() => {
          this.#hasExited = true;
          this.#port.close();
          this.#drainLog(onLine);
          failure ??= this.#refusal;
          failure ??= this.#outcome === undefined ? new AnneauError(`the machine's thread ended (${code})`) : undefined;
          for (const { reject } of this.#pending.values()) reject(new AnneauError("the machine is gone"));
          this.#pending.clear();
          if (failure !== undefined) {
            onFail(failure);
            reject(failure);
          } else {
            resolve(this.#outcome!);
          }
        });
      });
    });
    this.ended.catch(() => {});
    void this.#followLog(onLine);
  }

  /** Starts a machine; settles when its CPU is about to run, or rejects with the one line that says why not. */
  static start(options: MachineThreadOptions): Promise<MachineThreadClient> {
    const doorbell = new Doorbell();
    for (const uart of options.uarts) uart?.connectDoorbell(doorbell);
    for (const port of options.parallels ?? []) port.connectDoorbell(doorbell);
    for (const nic of options.nics) nic.connectDoorbell(doorbell);
    return new Promise((resolve, reject) => {
      const client: MachineThreadClient = new MachineThreadClient(options, doorbell, () => resolve(client), reject);
    });
  }

  request<Name extends MachineRequestName>(
    name: Name,
    ...params: MachineRequests[Name]["params"] extends undefined ? [] : [MachineRequests[Name]["params"]]
  ): Promise<MachineRequests[Name]["result"]> {
    if (this.#hasExited) return Promise.reject(new AnneauError("the machine is gone"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#port.postMessage({ id, name, params: params[0] });
      this.doorbell.ring();
    });
  }

  /** The hard way, for a thread that does not answer. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(id: number, result: unknown, error: string | undefined): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error !== undefined) pending?.reject(new AnneauError(error));
    else pending?.resolve(result as never);
  }

  async #followLog(onLine: MachineThreadOptions["onLine"]): Promise<void> {
    while (!this.#hasExited) {
      await this.#log.whenWritten();
      this.#drainLog(onLine);
    }
  }

  #rest = "";
  readonly #decoder = new TextDecoder();

  #drainLog(onLine: MachineThreadOptions["onLine"]): void {
    const lines = (this.#rest + this.#decoder.decode(this.#log.read(), { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) onLine(line.slice(0, 1), line.slice(2));
    const lost = this.#log.takeLost();
    if (lost > 0) onLine("W", `${lost} lines of log or trace did not fit and are lost`);
  }
}

/** The thread that compiles beside the machine, and the end of its port for the machine thread. */
function startTranslator(onLine: MachineThreadOptions["onLine"]): { worker: Worker; port: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  const workerData: TranslatorThreadConfig = { port: port1 };
  const worker = new Worker(new URL(`./translator-thread${import.meta.filename.slice(-3)}`, import.meta.url), {
    workerData,
    transferList: [port1],
    name: "translator",
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  });
  // The machine goes on without: what is not compiled is interpreted.
  worker.on("error", (error) => onLine("E", `the translator has failed: ${(error as Error).stack ?? error}`));
  return { worker, port: port2 };
}
