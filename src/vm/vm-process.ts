/**
 * One VM's process: takes the session of the settings file, builds the machine from it, answers on the control socket, and puts on
 * record how the run ended. States: starting → running ⇄ paused → stopping → poweroff; a dead guest stays as
 * gurumeditation until it is switched off; a machine thread that failed is aborted. Killed outright, the process leaves its session
 * lock behind, by which everybody sees that the run was aborted.
 */
import { existsSync } from "node:fs";
import { AnneauError } from "../base/errors.ts";
import { memoryWarning } from "../config/host-memory.ts";
import { takeSession } from "../config/machine-session.ts";
import { describeMachine, nicDescription } from "../config/machine-spec.ts";
import { loadRegistry } from "../config/registry.ts";
import { ejectDisc } from "../config/storage-settings.ts";
import { editVbox, extraDataIn, loadVbox, type VboxFile } from "../config/vbox-file.ts";
import type { MachineProcessState } from "../control/messages.ts";
import { defaultMetricSetup, metricSetupKey, parseMetricSetup } from "../control/metrics.ts";
import { ControlServer } from "../control/server.ts";
import { consoleTokenPath, socketPathOf } from "../control/socket-path.ts";
import type { OwnerLock } from "../disk/owner-lock.ts";
import { MachineConsole } from "./console.ts";
import { controlHandlers } from "./control-handlers.ts";
import { LogFile } from "./log-file.ts";
import type { MachineOutcome } from "./machine-protocol.ts";
import { MachineThreadClient } from "./machine-thread-client.ts";
import { MetricsSampler } from "./metrics-sampler.ts";
import { NetworkHosts } from "./network/network-hosts.ts";
import { type ProcessPriority, setProcessPriority } from "./process-priority.ts";
import { SoundHost } from "./sound-ring.ts";
import { UartHost } from "./uart-host.ts";
import { plugPrinter, plugUart, type Unplug } from "./uart-plugs.ts";

const DEFAULT_LOG_HISTORY = 3;
/** A machine thread that does not power off in this time is ended the hard way. */
const POWER_OFF_MS = 10_000;
/** How often the settings file is looked for. */
const WATCH_MS = 2000;

export interface VmProcessOptions {
  readonly settingsPath: string;
  /** headless, gui … */
  readonly sessionName: string;
  readonly trace: readonly string[];
  readonly startPaused: boolean;
}

export class VmProcess {
  readonly sessionName: string;
  readonly name: string;
  readonly log: LogFile;
  readonly metrics: MetricsSampler;
  readonly startedMs = performance.now();
  /** Settles with the process's exit code when everything is on record and released. */
  readonly done: Promise<number>;
  readonly #settingsPath: string;
  #session: OwnerLock;
  #hasSettings = true;
  #watch: NodeJS.Timeout | undefined;
  #state: MachineProcessState = "starting";
  #machine: MachineThreadClient | undefined;
  #control: ControlServer | undefined;
  #console: MachineConsole | undefined;
  #uarts: UartHost[] = [];
  #parallels: UartHost[] = [];
  #network: NetworkHosts | undefined;
  #unplugs: Unplug[] = [];
  #settleDone: (code: number) => void = () => {};
  #recorded: Promise<void> | undefined;

  private constructor(options: VmProcessOptions, vbox: VboxFile, session: OwnerLock) {
    this.sessionName = options.sessionName;
    this.#settingsPath = options.settingsPath;
    this.name = vbox.name;
    this.#session = session;
    const registry = loadRegistry();
    const setup =
      parseMetricSetup(vbox.extraData(metricSetupKey)) ??
      parseMetricSetup(extraDataIn(registry.global, metricSetupKey));
    this.metrics = new MetricsSampler(setup ?? defaultMetricSetup, async () =>
      this.#state === "running" || this.#state === "paused" ? await this.machine.request("counters") : undefined,
    );
    const history = Number(registry.systemProperty("LogHistoryCount") ?? DEFAULT_LOG_HISTORY);
    this.log = new LogFile(vbox.logFolder, Number.isInteger(history) && history >= 0 ? Math.min(history, 99) : 3);
    this.done = new Promise((resolve) => {
      this.#settleDone = resolve;
    });
  }

  /** Brings the machine up; settles when its CPU runs. Throws one line and leaves nothing behind if it cannot. */
  static async start(options: VmProcessOptions): Promise<VmProcess> {
    const { settingsPath } = options;
    const session = takeSession(settingsPath, loadVbox(settingsPath).name);
    let vm: VmProcess | undefined;
    try {
      // The settings as they are now that nobody else may change them.
      const vbox = loadVbox(settingsPath);
      vm = new VmProcess(options, vbox, session);
      await vm.#start(vbox, options);
      return vm;
    } catch (error) {
      vm?.log.error(error instanceof Error ? error.message : String(error));
      if (vm !== undefined) await vm.#release();
      session.release();
      throw error;
    }
  }

  get state(): MachineProcessState {
    return this.#state;
  }

  /** The machine, while it can be talked to. */
  get machine(): MachineThreadClient {
    if (this.#machine === undefined || !["running", "paused", "gurumeditation"].includes(this.#state))
      throw new AnneauError(`the machine is not running (${this.#state})`);
    return this.#machine;
  }

  /** Who looks at the machine and how; once it runs. */
  get console(): MachineConsole | undefined {
    return this.#console;
  }

  /** The settings of the remote display as they are now in the settings file. */
  async applyRemoteDisplay(): Promise<void> {
    await this.#console?.applyRemoteDisplay(loadVbox(this.#settingsPath));
  }

  /** A network card becomes what the settings file says of it now. Rejects with one line if that cannot be. */
  async applyAdapter(slot: number): Promise<void> {
    await this.network.apply(nicDescription(loadVbox(this.#settingsPath), slot));
  }

  /** Its network cards, while it runs. */
  get network(): NetworkHosts {
    if (this.#network === undefined) throw new AnneauError(`the machine is not running (${this.#state})`);
    return this.#network;
  }

  async pause(): Promise<void> {
    await this.machine.request("pause");
    this.#network?.pause();
    this.#change("paused");
  }

  async resume(): Promise<void> {
    this.#network?.wake();
    await this.machine.request("resume");
    this.#change("running");
  }

  /** To a state that showvminfo dates. */
  #change(state: "running" | "paused"): void {
    this.#state = state;
    this.#record(`the machine is ${state}`, (file) => file.touchStateChange());
  }

  /** Switches off; settles when the end is on record and disks, sockets and session are free. */
  async powerOff(): Promise<void> {
    const { machine } = this;
    this.#state = "stopping";
    const timer = setTimeout(() => void machine.terminate(), POWER_OFF_MS);
    try {
      // The answer may get lost in the end that it causes.
      await Promise.race([machine.request("powerOff"), machine.ended]).catch(() => {});
      await machine.ended.catch(() => {});
    } finally {
      clearTimeout(timer);
    }
    await this.#recorded;
  }

  /** A priority that the host refuses does not keep the machine from running. */
  #setPriority(priority: ProcessPriority): void {
    if (priority === "default") return;
    try {
      setProcessPriority(priority);
      this.log.info(`process priority '${priority}'`);
    } catch (error) {
      this.log.warn((error as Error).message);
    }
  }

  async #start(vbox: VboxFile, options: VmProcessOptions): Promise<void> {
    const { log } = this;
    log.info(`Anneau, process ${process.pid}, Node ${process.version}, ${process.platform} ${process.arch}`);
    log.info(`machine '${vbox.name}' {${vbox.uuid}}, settings '${vbox.path}'`);
    const description = describeMachine(vbox);
    const { spec, ide, floppies, uarts, nics, onTripleFault, executionCap, processPriority, support } = description;
    if (support.refused.length > 0)
      throw new AnneauError(`The machine '${vbox.name}' cannot start with ${support.refused.join("; ")}`);
    for (const what of support.warned) log.warn(`not carried out: ${what}`);
    const tight = memoryWarning(spec.ramMiB);
    if (tight !== undefined) log.warn(tight);
    this.#setPriority(processPriority as ProcessPriority);
    if (executionCap < 100) log.info(`CPU execution cap ${executionCap} %`);
    log.info(`${spec.osTypeId}, ${spec.ramMiB} MB, video ${spec.graphics} ${spec.vramMiB} MB, boot ${spec.bootOrder}`);
    for (const { port, device, medium } of ide) log.info(`IDE ${port}.${device}: ${medium?.path ?? "(empty)"}`);
    for (const { drive, medium } of floppies) log.info(`floppy ${drive}: ${medium?.path ?? "(empty)"}`);
    if (spec.audio) {
      const listeners = [description.audioFile, description.isHeard ? "the console's page" : undefined];
      const heardBy = listeners.filter((one) => one !== undefined).join(" and ");
      const isPlaying = heardBy !== "" && description.isPlaybackOn;
      log.info(`sound card ${spec.audio.controller}, played to ${isPlaying ? heardBy : "nobody"}`);
    }
    editVbox(this.#settingsPath, (file) => {
      file.isAborted = false;
      file.touchStateChange();
    });
    this.#uarts = uarts.map(() => new UartHost((text) => log.error(text)));
    for (const [i, mode] of uarts.entries()) {
      if (spec.uarts[i].enabled) this.#unplugs.push(await plugUart(this.#uarts[i], `serial port ${i + 1}`, mode, log));
    }
    this.#parallels = description.parallels.map(() => new UartHost((text) => log.error(text), "parallel port"));
    for (const [i, path] of description.parallels.entries()) {
      if (!spec.parallels[i].enabled) continue;
      log.info(`parallel port ${i + 1}: ${path ?? "(no printer)"}`);
      if (path !== undefined) await plugPrinter(this.#parallels[i], `parallel port ${i + 1}`, path);
    }
    for (const { slot, attachment } of nics) log.info(`network adapter ${slot + 1}: ${attachment.kind}`);
    this.#network = await NetworkHosts.open(nics, log);
    const socketPath = socketPathOf(vbox.uuid);
    const handlers = controlHandlers(this);
    this.#control = await ControlServer.listen(socketPath, handlers);
    const sound = new SoundHost();
    this.#machine = await MachineThreadClient.start({
      spec,
      ide,
      floppies,
      uarts: this.#uarts,
      parallels: this.#parallels,
      nics: this.#network.hosts,
      audioFile: description.audioFile,
      sound: sound.buffers,
      isCardHeard: description.isHeard,
      isPlaybackOn: description.isPlaybackOn,
      trace: options.trace,
      onTripleFault,
      executionCap,
      startPaused: options.startPaused,
      onLine: (tag, text) => {
        if (tag === "W") log.warn(text);
        else if (tag === "E") log.error(text);
        else log.info(text);
      },
      onReset: () => {
        log.info("the machine was reset");
        if (this.#state === "gurumeditation") this.#state = "running";
      },
      onEjected: ({ port, device }) => this.#record("a disc was ejected", (file) => ejectDisc(file, port, device)),
      onDeath: "stay",
      onDied: ({ cause, registers }) => {
        if (this.#state === "stopping") return;
        this.#state = "gurumeditation";
        log.error(`the guest died: ${cause}\n${registers}`);
      },
    });
    const tokenPath = consoleTokenPath(vbox.uuid);
    this.#console = await MachineConsole.open({ vbox, machine: this.#machine, log, handlers, tokenPath, sound });
    this.#network.machine = this.#machine;
    if (options.startPaused) this.#network.pause();
    this.#watch = setInterval(() => this.#watchSettings(), WATCH_MS);
    this.#state = options.startPaused ? "paused" : "running";
    log.info(`the machine is ${this.#state}`);
    this.#machine.ended.then(
      (outcome) => this.#machineEnded(outcome),
      (error: Error) => {
        log.error(error.stack ?? error.message);
        this.#recorded = this.#end("aborted");
      },
    );
  }

  /** Writes to the settings file; that it cannot be written does not end the machine. */
  #record(what: string, change: (file: VboxFile) => void): void {
    try {
      editVbox(this.#settingsPath, change);
    } catch (error) {
      this.log.error(`not on record that ${what}: ${(error as Error).message}`);
    }
  }

  #machineEnded(outcome: MachineOutcome): void {
    const { instructions, guestNs, idleNs, demand } = outcome.statistics;
    this.log.info(
      `${instructions} instructions in ${(guestNs / 1e9).toFixed(3)} s, idle ${(idleNs / 1e9).toFixed(3)} s`,
    );
    for (const [kind, count] of Object.entries(demand)) this.log.info(`${kind}: ${count}`);
    this.#recorded = this.#end("poweroff");
  }

  /**
   * A VM whose settings file or folder vanishes runs on, as under VirtualBox: what it needs is open, and its socket still
   * takes requests. When the settings are back, so is the mark that a process runs this VM.
   */
  #watchSettings(): void {
    try {
      const hasSettings = existsSync(this.#settingsPath);
      if (hasSettings && !this.#session.isHeld()) {
        this.#session = takeSession(this.#settingsPath, this.name);
        this.log.reopen();
      }
      if (hasSettings !== this.#hasSettings)
        this.log.warn(
          hasSettings
            ? `the settings file '${this.#settingsPath}' is back`
            : `the settings file '${this.#settingsPath}' is gone: the machine runs on, its state cannot be recorded`,
        );
      this.#hasSettings = hasSettings;
    } catch (error) {
      this.log.error(`cannot look after the settings file: ${(error as Error).message}`);
    }
  }

  /** Puts the end on record, releases everything, lets the process go. */
  async #end(state: "poweroff" | "aborted"): Promise<void> {
    this.#state = "stopping";
    clearInterval(this.#watch);
    this.#record("the run has ended", (file) => {
      file.isAborted = state === "aborted";
      file.touchStateChange();
    });
    await this.#console?.close();
    for (const port of [...this.#uarts, ...this.#parallels]) await port.close();
    this.#network?.close();
    for (const unplug of this.#unplugs.splice(0)) unplug();
    this.#state = state;
    this.log.info(`the machine is ${state}`);
    this.#session.release();
    // Requests that wait for the end are answered before the socket goes.
    setImmediate(async () => {
      await this.#release();
      this.#settleDone(state === "aborted" ? 1 : 0);
    });
  }

  async #release(): Promise<void> {
    clearInterval(this.#watch);
    this.metrics.close();
    for (const unplug of this.#unplugs.splice(0)) unplug();
    await this.#console?.close();
    this.#network?.close();
    await this.#control?.close();
    this.#control = undefined;
    this.log.close();
  }
}
