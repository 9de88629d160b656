/**
 * The console of one VM process: who may look and type, and how they get here. The screen is shared; the remote display (VNC)
 * and the web console are ways to it, started when the settings or somebody ask for them.
 */
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import { type RemoteDisplaySettings, remoteDisplayOf } from "../config/vrde-settings.ts";
import type { RemoteDisplayStatus } from "../control/messages.ts";
import type { ControlHandlers } from "../control/server.ts";
import type { WebConsole } from "../web/server.ts";
import { consoleHost } from "./console-host.ts";
import type { MachineThreadClient } from "./machine-thread-client.ts";
import { RemoteDisplay } from "./remote-display.ts";
import type { SoundHost } from "./sound-ring.ts";
import { Viewers } from "./viewers.ts";

export interface ConsoleParts {
  readonly vbox: VboxFile;
  readonly machine: MachineThreadClient;
  readonly log: Logger;
  /** What the guest plays. */
  readonly sound: SoundHost;
  /** What the control socket's clients may do, the page may too. */
  readonly handlers: ControlHandlers;
  /** Where the web console keeps its token, see web/token.ts. */
  readonly tokenPath: string;
}

export class MachineConsole {
  readonly viewers: Viewers;
  readonly #parts: ConsoleParts;
  readonly #log: Logger;
  #web: Promise<WebConsole> | undefined;
  #settings: RemoteDisplaySettings;
  #remoteDisplay: RemoteDisplay | undefined;
  #remoteDisplayProblem: string | undefined;
  /** Changes of the remote display, one after another. */
  #change: Promise<void> = Promise.resolve();

  private constructor(parts: ConsoleParts) {
    this.#parts = parts;
    this.viewers = new Viewers(parts.vbox.name, parts.machine);
    this.#settings = remoteDisplayOf(parts.vbox);
    this.#log = parts.log;
  }

  /** With the remote display as the settings have it. A listener that cannot be had is a line in the log. */
  static async open(parts: ConsoleParts): Promise<MachineConsole> {
    const console = new MachineConsole(parts);
    await console.#listen();
    return console;
  }

  /** undefined: off, or it could not be had. */
  get remoteDisplay(): RemoteDisplayStatus | undefined {
    return this.#remoteDisplay && { port: this.#remoteDisplay.port, clients: this.#remoteDisplay.clients };
  }

  /** Why the remote display does not listen although it is to. */
  get remoteDisplayProblem(): string | undefined {
    return this.#remoteDisplayProblem;
  }

  /** The settings have changed: takes them over. Viewers lose their connections if what concerns them has changed. */
  applyRemoteDisplay(vbox: VboxFile): Promise<void> {
    this.#change = this.#change.then(async () => {
      const settings = remoteDisplayOf(vbox);
      if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
      this.#settings = settings;
      await this.#remoteDisplay?.close();
      this.#remoteDisplay = undefined;
      await this.#listen();
    });
    return this.#change;
  }

  /** The web console's address, token included; started by whoever asks first. */
  async webAddress(): Promise<string> {
    this.#web ??= this.#openWeb();
    try {
      return (await this.#web).url;
    } catch (error) {
      this.#web = undefined;
      throw error;
    }
  }

  async #openWeb(): Promise<WebConsole> {
    const { vbox, handlers, tokenPath, log, sound } = this.#parts;
    // Loaded when wanted: a machine without a web console does not pay for it.
    const { WebConsole } = await import("../web/server.ts");
    const { name, path: settingsPath } = vbox;
    return WebConsole.listen(
      consoleHost({ name, settingsPath, handlers, viewers: this.viewers, sound }),
      tokenPath,
      log,
    );
  }

  async close(): Promise<void> {
    await this.#change;
    this.viewers.close();
    await (await this.#web?.catch(() => undefined))?.close();
    this.#web = undefined;
    await this.#remoteDisplay?.close();
    this.#remoteDisplay = undefined;
  }

  async #listen(): Promise<void> {
    this.#remoteDisplayProblem = undefined;
    if (!this.#settings.isOn) return;
    try {
      this.#remoteDisplay = await RemoteDisplay.listen(this.#settings, this.viewers, this.#log);
    } catch (error) {
      if (!(error instanceof AnneauError)) throw error;
      this.#remoteDisplayProblem = error.message;
      this.#log.warn(`remote display: not started: ${error.message}`);
    }
  }
}
