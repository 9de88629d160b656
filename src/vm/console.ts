/**
 * The console of one VM process: who may look and type, and how they get here. The screen is shared; the remote display (VNC)
 * and the web console are ways to it, started when the settings or somebody ask for them.
 */
import type { Logger } from "../base/logger.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import { type RemoteDisplaySettings, remoteDisplayOf } from "../config/vrde-settings.ts";
import type { RemoteDisplayStatus } from "../control/messages.ts";
import type { MachineThreadClient } from "./machine-thread-client.ts";
import { RemoteDisplay } from "./remote-display.ts";
import { Viewers } from "./viewers.ts";

export class MachineConsole {
  readonly viewers: Viewers;
  readonly #log: Logger;
  #settings: RemoteDisplaySettings;
  #remoteDisplay: RemoteDisplay | undefined;
  /** Changes of the remote display, one after another. */
  #change: Promise<void> = Promise.resolve();

  private constructor(vbox: VboxFile, machine: MachineThreadClient, log: Logger) {
    this.viewers = new Viewers(vbox.name, machine);
    this.#settings = remoteDisplayOf(vbox);
    this.#log = log;
  }

  /** With the remote display as the settings have it. A listener that cannot be had is a line in the log. */
  static async open(vbox: VboxFile, machine: MachineThreadClient, log: Logger): Promise<MachineConsole> {
    const console = new MachineConsole(vbox, machine, log);
    await console.#listen();
    return console;
  }

  /** undefined: off, or it could not be had. */
  get remoteDisplay(): RemoteDisplayStatus | undefined {
    return this.#remoteDisplay && { port: this.#remoteDisplay.port, clients: this.#remoteDisplay.clients };
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

  async close(): Promise<void> {
    await this.#change;
    this.viewers.close();
    await this.#remoteDisplay?.close();
    this.#remoteDisplay = undefined;
  }

  async #listen(): Promise<void> {
    if (this.#settings.isOn) this.#remoteDisplay = await RemoteDisplay.listen(this.#settings, this.viewers, this.#log);
  }
}
