/** A drive's slot on the machine thread: the medium that is in it and its change from outside. */
import type { BlockBackend, MediumSlot } from "../backend-api/block.ts";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { CounterTree } from "../device-api/counters.ts";
import { openMedium } from "../disk/open.ts";
import { MEDIUM_LOCKED, type MediumConfig } from "./machine-protocol.ts";

export class MediumDrive implements MediumSlot {
  readonly #log: Logger;
  readonly #listeners: (() => void)[] = [];
  #medium: BlockBackend | undefined;
  #path = "";
  #isLocked = false;
  #readBytes = 0;
  #writtenBytes = 0;

  readonly #onEjected: () => void;

  /** Opens and locks the medium; throws one line if that fails. `onEjected`: the guest has ejected it. */
  constructor(config: MediumConfig | undefined, log: Logger, onEjected: () => void = () => {}) {
    this.#log = log;
    this.#onEjected = onEjected;
    this.#medium = config && this.#open(config);
    this.#path = config?.path ?? "";
  }

  get medium(): BlockBackend | undefined {
    return this.#medium;
  }
  /** The file in the drive, or "". */
  get path(): string {
    return this.#path;
  }

  /** What the guest moved, of all media that were in the drive. */
  statistics(): CounterTree {
    return { readBytes: this.#readBytes, writtenBytes: this.#writtenBytes };
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The guest opens the tray. The disc stays locked by nobody. */
  eject(): boolean {
    this.#log.info(`the guest ejected ${this.#path}`);
    this.#close();
    this.#onEjected();
    return true;
  }

  /** The guest holds the disc, until it lets go or the disc is taken by force. */
  setLocked(isLocked: boolean): void {
    this.#isLocked = isLocked;
  }

  /** The user changes the medium (undefined: takes it out). A medium that cannot be opened, or may not leave, is still in. */
  change(config: MediumConfig | undefined, isForced = false): void {
    if (this.#isLocked && this.#medium !== undefined && !isForced) {
      const what = config ? `mount the media/drive '${config.path}'` : "unmount the currently mounted media/drive";
      throw new AnneauError(`Could not ${what} (${MEDIUM_LOCKED})`);
    }
    const next = config && this.#open(config);
    this.#medium?.close();
    this.#medium = next;
    this.#path = config?.path ?? "";
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#close();
  }

  #open(config: MediumConfig): BlockBackend {
    const { path, kind, readOnly, format } = config;
    const medium = openMedium(path, { kind, readOnly, format, onHostError: (text) => this.#log.error(text) });
    const [read, write] = [medium.read.bind(medium), medium.write.bind(medium)];
    medium.read = (offsetBytes, target, done) => {
      this.#readBytes += target.length;
      read(offsetBytes, target, done);
    };
    medium.write = (offsetBytes, source, done) => {
      this.#writtenBytes += source.length;
      write(offsetBytes, source, done);
    };
    return medium;
  }

  #close(): void {
    this.#medium?.close();
    this.#medium = undefined;
    this.#path = "";
  }
}
