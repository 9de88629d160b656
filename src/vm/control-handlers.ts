/** What a VM process does for each control request. Parameters are checked here: they come from outside. */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { ControlError } from "../control/client.ts";
import type { MachineProcessState, MediumPlace, TextScreen } from "../control/messages.ts";
import { isMetricSetup } from "../control/metrics.ts";
import type { ControlHandlers } from "../control/server.ts";
import { codePage437 } from "../display/code-page-437.ts";
import { encodePng } from "../display/png.ts";
import { textToScancodes } from "../display/us-keyboard.ts";
import { MEDIUM_LOCKED, type MediumConfig } from "./machine-protocol.ts";
import { addForwarding, removeForwarding } from "./network/nat-control.ts";
import { processPriorities, setProcessPriority } from "./process-priority.ts";
import { KeysLeftError, Typist } from "./typing.ts";
import { MAX_HINT, MIN_HINT } from "./viewers.ts";
import type { VmProcess } from "./vm-process.ts";

/** More scan codes or characters than a person types are refused. */
const MAX_TYPED = 65_536;

type Fields = { readonly [name: string]: unknown };

function fieldsOf(params: unknown): Fields {
  return typeof params === "object" && params !== null ? (params as Fields) : {};
}

function integerIn(value: unknown, min: number, max: number, what: string): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
    throw new ControlError(`${what} is not a number from ${min} to ${max}`, "E_INVALIDARG");
  return value as number;
}

/** As VirtualBox spells it. */
function stateName(state: MachineProcessState): string {
  return state === "gurumeditation" ? "GuruMeditation" : state[0].toUpperCase() + state.slice(1);
}

/** The handlers over `vm`. */
export function controlHandlers(vm: VmProcess): ControlHandlers {
  const wrongState = (wanted: "Running" | "Paused") =>
    new ControlError(`Invalid machine state: ${stateName(vm.state)} (must be ${wanted})`, "VBOX_E_INVALID_VM_STATE");
  const running = () => {
    if (vm.state !== "running") throw wrongState("Running");
    return vm.machine;
  };
  /** Also of a machine whose guest has died: to be looked at, reset or switched off. */
  const anyMachine = () => {
    if (vm.state !== "gurumeditation") return machine();
    return vm.machine;
  };
  /** The machine thread, or the refusal that clients know. */
  const machine = () => {
    if (vm.state !== "running" && vm.state !== "paused") throw wrongState("Running");
    return vm.machine;
  };
  const typist = new Typist();
  const type = async (bytes: readonly number[]) => {
    if (bytes.length > MAX_TYPED) throw new ControlError("too many keys at once", "E_INVALIDARG");
    try {
      await typist.type(machine(), bytes);
    } catch (error) {
      if (error instanceof KeysLeftError) throw new ControlError(error.message, "VBOX_E_IPRT_ERROR", { cause: error });
      throw error;
    }
    return {};
  };
  return {
    status: async () => {
      const { state, name, sessionName, startedMs } = vm;
      const status = {
        state,
        name,
        sessionName,
        pid: process.pid,
        uptimeMs: Math.round(performance.now() - startedMs),
        remoteDisplay: vm.console?.remoteDisplay,
        remoteDisplayProblem: vm.console?.remoteDisplayProblem,
      };
      if (state !== "running" && state !== "paused" && state !== "gurumeditation") return status;
      const { widthPixels, heightPixels, bitsPerPixel } = await vm.machine.request("videoMode");
      return { ...status, video: { width: widthPixels, height: heightPixels, bitsPerPixel } };
    },
    poweroff: async () => {
      if (!["running", "paused", "gurumeditation"].includes(vm.state)) throw wrongState("Running");
      await vm.powerOff();
      return {};
    },
    reset: async () => {
      if (vm.state === "paused") throw wrongState("Running");
      await anyMachine().request("reset");
      return {};
    },
    pause: async () => {
      running();
      await vm.pause();
      return {};
    },
    resume: async () => {
      if (vm.state !== "paused") throw wrongState("Paused");
      await vm.resume();
      return {};
    },
    acpipowerbutton: async () => {
      await running().request("powerButton");
      return {};
    },
    acpisleepbutton: async () => {
      await running().request("sleepButton");
      return {};
    },
    cpuexecutioncap: async (params) => {
      await anyMachine().request("setExecutionCap", {
        percent: integerIn(fieldsOf(params).percent, 1, 100, "a CPU execution cap"),
      });
      return {};
    },
    audioout: async (params) => {
      const { isOn } = fieldsOf(params);
      if (typeof isOn !== "boolean") throw new ControlError("playback is on or off", "E_INVALIDARG");
      await anyMachine().request("setPlayback", { isOn });
      return {};
    },
    processpriority: async (params) => {
      const wanted = processPriorities.find((one) => one === fieldsOf(params).priority);
      if (wanted === undefined) throw new ControlError("this is no priority of a process", "E_INVALIDARG");
      try {
        setProcessPriority(wanted);
      } catch (error) {
        throw new ControlError((error as Error).message, "E_ACCESSDENIED", { cause: error });
      }
      return {};
    },
    keyboardputscancode: async (params) => {
      const { bytes } = fieldsOf(params);
      if (!Array.isArray(bytes)) throw new ControlError("scan codes are a list of bytes", "E_INVALIDARG");
      return await type(bytes.map((byte) => integerIn(byte, 0, 255, "a scan code")));
    },
    keyboardputstring: async (params) => {
      const { text } = fieldsOf(params);
      if (typeof text !== "string") throw new ControlError("there is no text to type", "E_INVALIDARG");
      return await type(textToScancodes(text));
    },
    pointer: async (params) => {
      const fields = fieldsOf(params);
      const motion = (name: string) => integerIn(fields[name], -32768, 32767, name);
      const buttons = integerIn(fields.buttons, 0, 7, "buttons");
      await machine().request("pointer", { dx: motion("dx"), dy: motion("dy"), dz: motion("dz"), buttons });
      return {};
    },
    setvideomodehint: async (params) => {
      const fields = fieldsOf(params);
      const bitsPerPixel = integerIn(fields.bitsPerPixel, 0, 32, "the colour depth");
      if (![0, 8, 16, 24, 32].includes(bitsPerPixel))
        throw new ControlError("a colour depth is 8, 16, 24 or 32", "E_INVALIDARG");
      const isHeard = await machine().request("modeHint", {
        widthPixels: integerIn(fields.width, MIN_HINT, MAX_HINT, "the width"),
        heightPixels: integerIn(fields.height, MIN_HINT, MAX_HINT, "the height"),
        bitsPerPixel: bitsPerPixel === 0 ? 32 : bitsPerPixel,
      });
      return { isHeard };
    },
    screenshotpng: async (params) => {
      const { path } = fieldsOf(params);
      const { widthPixels, heightPixels, rgba } = await anyMachine().request("screen");
      const png = encodePng(widthPixels, heightPixels, rgba);
      if (path === undefined) return { png: Buffer.from(png).toString("base64") };
      if (typeof path !== "string" || !isAbsolute(path))
        throw new ControlError("a screenshot goes to an absolute path", "E_INVALIDARG");
      const beside = `${path}.${process.pid}.new`;
      try {
        writeFileSync(beside, png);
        renameSync(beside, path);
      } catch (error) {
        rmSync(beside, { force: true });
        const { code } = error as NodeJS.ErrnoException;
        throw new ControlError(`cannot write '${path}' (${code})`, "VBOX_E_FILE_ERROR");
      }
      return {};
    },
    textscreen: async (): Promise<TextScreen | null> => {
      const cells = await anyMachine().request("textScreen");
      if (cells === undefined) return null;
      const { columns, rows, characters, cursor } = cells;
      const lines = Array.from({ length: rows }, (_, row) =>
        Array.from(characters.subarray(row * columns, (row + 1) * columns), (c) => codePage437[c]).join(""),
      );
      return { columns, rows, lines, cursor };
    },
    counters: async () => ({ counters: await anyMachine().request("counters") }),
    registerset: async () => ({ registers: await anyMachine().request("registerSet") }),
    dumpcore: async (params) => {
      const { path } = fieldsOf(params);
      if (typeof path !== "string" || !isAbsolute(path))
        throw new ControlError("a core file goes to an absolute path", "E_INVALIDARG");
      try {
        await anyMachine().request("dumpCore", { path });
      } catch (error) {
        if (error instanceof ControlError) throw error;
        throw new ControlError((error as Error).message, "VBOX_E_FILE_ERROR", { cause: error });
      }
      return {};
    },
    injectnmi: async () => {
      await machine().request("injectNmi");
      return {};
    },
    info: async (params) => {
      const { item } = fieldsOf(params);
      if (typeof item !== "string") throw new ControlError("there is no item", "E_INVALIDARG");
      return { text: await anyMachine().request("info", { item }) };
    },
    metrics: () => vm.metrics.report(),
    metricssetup: (params) => {
      const { periodSeconds, samples } = fieldsOf(params);
      const setup = { periodSeconds: Number(periodSeconds), samples: Number(samples) };
      if (!isMetricSetup(setup)) throw new ControlError("this is no period and number of samples", "E_INVALIDARG");
      vm.metrics.setup(setup);
      return {};
    },
    metricsswitch: (params) => {
      vm.metrics.isEnabled = fieldsOf(params).enabled === true;
      return {};
    },
    console: async () => {
      anyMachine();
      if (vm.console === undefined) throw wrongState("Running");
      return { url: await vm.console.webAddress() };
    },
    remotedisplay: async () => {
      await vm.applyRemoteDisplay();
      return { listening: vm.console?.remoteDisplay, problem: vm.console?.remoteDisplayProblem };
    },
    statistics: async () => ({
      ...(await anyMachine().request("statistics")),
      viewers: vm.console?.viewers.count ?? 0,
      ...vm.console?.viewers.work,
    }),
    registers: async () => ({ text: await anyMachine().request("registers") }),
    natpf: async (params) => {
      const { slot, add, remove } = fieldsOf(params);
      machine();
      const network = vm.network.natOf(integerIn(slot, 0, 35, "the slot"));
      if (add !== undefined) await addForwarding(network, add);
      else removeForwarding(network, remove);
      return {};
    },
    adapter: async (params) => {
      machine();
      await vm.applyAdapter(integerIn(fieldsOf(params).slot, 0, 35, "the slot"));
      return {};
    },
    mediumchange: async (params) => {
      const { place, path, format, isForced } = fieldsOf(params);
      const { bus, port, device } = fieldsOf(place) as Partial<Record<keyof (MediumPlace & { port: number }), unknown>>;
      const unit = integerIn(device, 0, 1, "the device") as 0 | 1;
      if (path !== undefined && (typeof path !== "string" || !isAbsolute(path)))
        throw new ControlError("a medium has an absolute path", "E_INVALIDARG");
      if (format !== undefined && format !== "VDI" && format !== "RAW")
        throw new ControlError("a medium's format is VDI or RAW", "E_INVALIDARG");
      const medium = (kind: "dvd" | "floppy"): MediumConfig | undefined =>
        path === undefined ? undefined : { path, kind, readOnly: kind === "dvd", format };
      try {
        if (bus === "floppy") await machine().request("changeFloppy", { drive: unit, medium: medium("floppy") });
        else if (bus === "ide") {
          const at = integerIn(port, 0, 1, "the port") as 0 | 1;
          const attachment = { port: at, device: unit, medium: medium("dvd"), isForced: isForced === true };
          await machine().request("changeIde", attachment);
        } else throw new ControlError("a drive's bus is 'ide' or 'floppy'", "E_INVALIDARG");
      } catch (error) {
        if (error instanceof AnneauError && !(error instanceof ControlError))
          throw new ControlError(
            error.message,
            error.message.includes(MEDIUM_LOCKED) ? "NS_ERROR_FAILURE" : "VBOX_E_FILE_ERROR",
            { cause: error },
          );
        throw error;
      }
      return {};
    },
  };
}
