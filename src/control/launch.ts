/** Starting a VM's process from the command line: detached, so that it lives on when the caller ends. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ControlError } from "./client.ts";

/** What the process says once. */
export interface LaunchReport {
  readonly ready?: true;
  readonly error?: { readonly message: string; readonly code?: string; readonly component?: string };
}

export interface LaunchOptions {
  /** Absolute path of the .vbox file. */
  readonly settingsPath: string;
  /** headless, gui …: shown as the session's name. */
  readonly sessionName: string;
  readonly trace?: string;
  readonly startPaused?: boolean;
}

/** The C library's memory settings for a process with a machine (bin/start.cjs). */
const frugal = JSON.parse(readFileSync(new URL("../../bin/memory.json", import.meta.url), "utf8")) as NodeJS.ProcessEnv;

/**
 * Starts the process and settles when the machine's CPU runs. Rejects with ControlError (the process's own line, its result
 * code where there is one) if it could not.
 */
export function launchMachine(options: LaunchOptions): Promise<void> {
  const entry = fileURLToPath(new URL(`../vm/main${import.meta.filename.slice(-3)}`, import.meta.url));
  const args = ["--settings", options.settingsPath, "--type", options.sessionName];
  if (options.trace !== undefined) args.push("--trace", options.trace);
  if (options.startPaused) args.push("--start-paused");
  const child = spawn(process.execPath, [entry, ...args], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: { ...frugal, ...process.env },
  });
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      if (child.connected) child.disconnect();
      child.unref();
      outcome();
    };
    child.on("message", ({ error }: LaunchReport) =>
      settle(() => (error === undefined ? resolve() : reject(new ControlError(error.message, error.code)))),
    );
    child.on("error", (error) =>
      settle(() => reject(new ControlError(`cannot start the VM process: ${error.message}`))),
    );
    child.on("exit", (code, signal) =>
      settle(() => reject(new ControlError(`the VM process ended before it was ready (${signal ?? code})`))),
    );
  });
}
