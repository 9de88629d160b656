/**
 * Entry of the translator thread (a worker): compiles the regions that the machine thread asks for, in the order of their
 * coming. It shares nothing with the machine: shapes come as data, modules go back.
 */
import { setFlagsFromString } from "node:v8";
import { type MessagePort, workerData } from "node:worker_threads";
import { opcodeTable } from "../cpu/table/table.ts";
import { type CompileJob, JobCompiler } from "../cpu/translator/compile-service.ts";
import { countModule } from "./module-garbage.ts";

/** Of the machine's memory, which modules must name exactly. */
export interface TranslatorThreadConfig {
  readonly port: MessagePort;
}

/** The first message; jobs follow. */
export interface TranslatorStart {
  readonly memoryPages: number;
}

const { port } = workerData as TranslatorThreadConfig;
let compiler: JobCompiler | undefined;
port.on("message", (message: TranslatorStart | CompileJob) => {
  if ("memoryPages" in message) compiler = JobCompiler.forRows(opcodeTable, message.memoryPages);
  else if (compiler !== undefined) {
    compileEagerly();
    const result = compiler.compile(message);
    port.postMessage(result);
    countModule(result.moduleBytes);
  }
});

let isEager = false;

/**
 * V8 compiles a function when it is first called: on the machine's thread. Regions are compiled because they will be called, so it does
 * that here. The flag is the process's; the interpreter has been compiled when the first job comes.
 */
function compileEagerly(): void {
  if (isEager) return;
  setFlagsFromString("--no-wasm-lazy-compilation");
  isEager = true;
}
