/** The machine thread's end of the translator thread: jobs go out as messages, results are looked for between budgets. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { CompileJob, CompileResult, CompileService } from "../cpu/translator/compile-service.ts";
import { countModule } from "./module-garbage.ts";
import type { TranslatorStart } from "./translator-thread.ts";

export class PortCompileService implements CompileService {
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
  }
  /** Before the first job: the size of the memory that modules import. */
  start(memoryPages: number): void {
    this.#port.postMessage({ memoryPages } satisfies TranslatorStart);
  }
  submit(job: CompileJob): void {
    this.#port.postMessage(job);
  }
  take(): CompileResult | undefined {
    const result: CompileResult | undefined = receiveMessageOnPort(this.#port)?.message;
    if (result !== undefined) countModule(result.moduleBytes);
    return result;
  }
}
