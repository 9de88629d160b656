/** What the web console may do with the machine: mostly what the control socket's clients may do. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { MediaIndex } from "../config/media-registry.ts";
import { allAttachments } from "../config/storage-settings.ts";
import { loadVbox } from "../config/vbox-file.ts";
import type { ControlHandlers } from "../control/server.ts";
import type { ConsoleDrive, ConsoleHost, ConsoleMedia } from "../web/host.ts";
import { metricTotals } from "./metrics-sampler.ts";
import type { SoundHost } from "./sound-ring.ts";
import type { Viewers } from "./viewers.ts";

export interface ConsoleHostParts {
  readonly name: string;
  readonly settingsPath: string;
  readonly handlers: ControlHandlers;
  readonly viewers: Viewers;
  readonly sound: SoundHost;
}

interface Drive extends ConsoleDrive {
  readonly controller: string;
  readonly port: number;
  readonly device: number;
}

export function consoleHost({ name, settingsPath, handlers, viewers, sound }: ConsoleHostParts): ConsoleHost {
  const drives = (index: MediaIndex): Drive[] =>
    allAttachments(loadVbox(settingsPath).machine).flatMap(
      ({ controller, port, device, type, imageUuid, isEjected }) => {
        if (type === "HardDisk") return [];
        const kind = type === "DVD" ? "dvd" : "floppy";
        const path = imageUuid === undefined || isEjected ? "" : (index.byUuid(imageUuid, kind)?.location ?? "");
        const label = `${controller.name} ${port}.${device}`;
        return [
          { id: `${controller.name}/${port}/${device}`, label, kind, path, controller: controller.name, port, device },
        ];
      },
    );
  return {
    name,
    state: async () => {
      const { state } = await handlers.status({});
      const isThere = state === "running" || state === "paused" || state === "gurumeditation";
      const statistics = isThere ? await handlers.statistics({}) : {};
      const counters = isThere ? (await handlers.counters({})).counters : undefined;
      const { readBytes, writtenBytes, receivedBytes, sentBytes } = metricTotals(counters);
      return {
        name,
        state,
        viewers: viewers.count,
        isPointerAbsolute: viewers.isPointerAbsolute,
        busyNs: Number(statistics.busyNs ?? 0),
        idleNs: Number(statistics.idleNs ?? 0),
        diskBytes: readBytes + writtenBytes,
        netBytes: receivedBytes + sentBytes,
      };
    },
    act: async (action) => {
      // Its answer comes when the machine is off, and with it this server.
      if (action === "poweroff") void Promise.resolve(handlers.poweroff({})).catch(() => {});
      else await handlers[action]({});
      viewers.wake();
    },
    media: (): ConsoleMedia => {
      const index = new MediaIndex();
      const images = (kind: "dvd" | "floppy") => [...new Set(index.ofKind(kind).map(({ location }) => location))];
      return {
        drives: drives(index).map(({ id, label, kind, path }) => ({ id, label, kind, path })),
        images: { dvd: images("dvd"), floppy: images("floppy") },
      };
    },
    changeMedium: async (driveId, path) => {
      const drive = drives(new MediaIndex()).find(({ id }) => id === driveId);
      if (drive === undefined) throw new AnneauError("there is no such drive");
      await storageAttach(settingsPath, drive, path);
    },
    screenshot: async () => Buffer.from((await handlers.screenshotpng({})).png ?? "", "base64"),
    connectViewer: (options) => viewers.connect(options),
    listen: (listener) => sound.listen(listener),
    movePointer: (dx, dy, dz, buttons) => {
      viewers.input.relative(dx, dy, dz, buttons);
      viewers.wake();
    },
  };
}

/** The command line knows how a medium gets into the registry, the settings and the running machine. */
function storageAttach(settingsPath: string, drive: Drive, path: string): Promise<void> {
  const anneau = resolve(import.meta.dirname, "../../bin/anneau");
  const place = ["--storagectl", drive.controller, "--port", String(drive.port), "--device", String(drive.device)];
  const type = drive.kind === "dvd" ? "dvddrive" : "fdd";
  const medium = path === "" ? "emptydrive" : resolve(path);
  const args = [
    anneau,
    "storageattach",
    loadVbox(settingsPath).uuid,
    ...place,
    "--type",
    type,
    "--medium",
    medium,
    "--forceunmount",
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    if (said.length < 4096) said += text.toString();
  });
  return new Promise((done, fail) => {
    child.on("error", (error) => fail(new AnneauError(`cannot start '${anneau}' (${error.message})`)));
    child.on("close", (code) => {
      const line = /error: (.*)/.exec(said)?.[1] ?? "the medium cannot be changed";
      if (code === 0) done();
      else fail(new AnneauError(line));
    });
  });
}
