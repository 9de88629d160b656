/**
 * Entry of the translator thread (a worker): compiles the regions that the machine thread asks for, in the order of their
 * coming. It shares nothing with the machine: shapes come as data, modules go back.
 */
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
    port.postMessage(compiler.compile(message));
    countModule();
  }
});
