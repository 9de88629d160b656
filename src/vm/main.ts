/**
 * Entry of a VM process: `main --settings PATH [--type NAME] [--trace LIST] [--start-paused]`. Started detached by `startvm`
 * with an IPC channel: says {ready: true} or {error: …} once, then lets go of it and lives on alone.
 */
import { parseArgs } from "node:util";
import type { LaunchReport } from "../control/launch.ts";
import { VmProcess } from "./vm-process.ts";

const { values } = parseArgs({
  options: {
    settings: { type: "string" },
    type: { type: "string", default: "headless" },
    trace: { type: "string", default: "" },
    "start-paused": { type: "boolean", default: false },
  },
});

function report(message: LaunchReport): Promise<void> {
  if (!process.connected) {
    if (message.error !== undefined) process.stderr.write(`${message.error.message}\n`);
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    process.send?.(message, undefined, {}, () => {
      if (process.connected) process.disconnect?.();
      resolve();
    });
  });
}

async function main(settingsPath: string): Promise<number> {
  let vm: VmProcess;
  try {
    vm = await VmProcess.start({
      settingsPath,
      sessionName: values.type,
      trace: values.trace.split(",").filter((name) => name !== ""),
      startPaused: values["start-paused"],
    });
  } catch (error) {
    const { message, code, component } = error as { message: string; code?: unknown; component?: unknown };
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    await report({ error: { message, code: text(code), component: text(component) } });
    return 1;
  }
  const switchOff = () => void vm.powerOff().catch((error: Error) => vm.log.error(error.message));
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, switchOff);
  // The terminal that startvm ran in may close.
  process.on("SIGHUP", () => {});
  process.on("uncaughtException", (error) => vm.log.error(`in the VM process: ${error.stack ?? error.message}`));
  await report({ ready: true });
  return await vm.done;
}

if (values.settings === undefined) {
  process.stderr.write("--settings is missing\n");
  process.exitCode = 2;
} else {
  process.exitCode = await main(values.settings);
  // Sockets of clients that do not hang up must not keep a VM's process alive.
  process.exit();
}
