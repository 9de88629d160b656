/** A VM's process as its owner sees it: started detached, controlled through its socket, its end on record. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sessionOf } from "../../src/config/machine-session.ts";
import { recordedState } from "../../src/config/machine-state.ts";
import { newMachine } from "../../src/config/new-machine.ts";
import { findOsType } from "../../src/config/os-types.ts";
import { ports } from "../../src/config/port-settings.ts";
import { addController, attach, buses } from "../../src/config/storage-settings.ts";
import { newUuid } from "../../src/config/uuid.ts";
import { loadVbox, type VboxFile } from "../../src/config/vbox-file.ts";
import { type ControlClient, connectToMachine } from "../../src/control/client.ts";
import { launchMachine } from "../../src/control/launch.ts";
import { socketPathOf } from "../../src/control/socket-path.ts";

let home: string;
let vbox: VboxFile;
let client: ControlClient | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "anneau-vm-"));
  process.env.VBOX_USER_HOME = home;
  const osType = findOsType("Other");
  if (osType === undefined) throw new Error("no OS type Other");
  vbox = newMachine({ name: "t", uuid: newUuid(), osType, groups: ["/"], baseFolder: home, withDefaults: false });
  const ide = addController(vbox, { name: "IDE", bus: buses[0] }, "piix3");
  attach(ide, { port: 1, device: 0, type: "DVD" });
  ports(vbox, "UART")[0].enable(0x3f8, 4);
});

afterEach(async () => {
  await client?.request("poweroff", {}).catch(() => {});
  client?.close();
  client = undefined;
  const session = sessionOf(vbox.path);
  if (session.kind === "alive") process.kill(session.pid, "SIGKILL");
  rmSync(home, { recursive: true, force: true });
  delete process.env.VBOX_USER_HOME;
});

async function start(): Promise<ControlClient> {
  vbox.save();
  await launchMachine({ settingsPath: vbox.path, sessionName: "headless" });
  client = await connectToMachine(socketPathOf(vbox.uuid));
  return client;
}

/** Waits until `isTrue`; a minute is far more than any of these takes. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isTrue()); tries++) {
    if (tries > 3000) throw new Error("it never became so");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("start, look, pause, resume, reset, switch off", async () => {
  const machine = await start();
  expect(await machine.request("status", {})).toMatchObject({ state: "running", sessionName: "headless" });
  expect(recordedState(loadVbox(vbox.path))).toBeUndefined();
  await machine.request("pause", {});
  expect((await machine.request("status", {})).state).toBe("paused");
  await expect(machine.request("pause", {})).rejects.toMatchObject({ code: "VBOX_E_INVALID_VM_STATE" });
  const before = await machine.request("statistics", {});
  expect((await machine.request("statistics", {})).instructions).toBe(before.instructions);
  await machine.request("resume", {});
  await machine.request("reset", {});
  await machine.request("keyboardputstring", { text: "hello" });
  await machine.request("keyboardputscancode", { bytes: [0x1c, 0x9c] });
  await expect(machine.request("keyboardputscancode", { bytes: [300] })).rejects.toThrow(/scan code/);
  expect((await machine.request("registers", {})).text).toContain("eip");
  await machine.request("poweroff", {});
  expect(recordedState(loadVbox(vbox.path))).toBe("poweroff");
  expect(sessionOf(vbox.path).kind).toBe("none");
  await until(() => !existsSync(socketPathOf(vbox.uuid)));
  const log = readFileSync(join(vbox.logFolder, "VBox.log"), "utf8");
  expect(log).toContain("the machine was reset");
  expect(log).toContain("the machine is poweroff");
});

test("a second start of the same VM is refused, and the first lives on", async () => {
  const machine = await start();
  await expect(launchMachine({ settingsPath: vbox.path, sessionName: "headless" })).rejects.toMatchObject({
    message: expect.stringContaining("is already locked by a session"),
    code: "VBOX_E_INVALID_OBJECT_STATE",
  });
  expect((await machine.request("status", {})).state).toBe("running");
});

test("killed outright, the VM counts as aborted and can be started again", async () => {
  const machine = await start();
  const { pid } = await machine.request("status", {});
  process.kill(pid, "SIGKILL");
  await until(() => recordedState(loadVbox(vbox.path)) === "aborted");
  machine.close();
  await start();
  expect(existsSync(join(vbox.logFolder, "VBox.log.1"))).toBe(true);
});

test("SIGTERM switches the machine off", async () => {
  const machine = await start();
  const { pid } = await machine.request("status", {});
  process.kill(pid, "SIGTERM");
  await until(() => recordedState(loadVbox(vbox.path)) === "poweroff");
});

test("a serial port that cannot be had gives one line, and the VM stays as it was", async () => {
  ports(vbox, "UART")[0].mode = { kind: "file", path: "/nonexistent/serial.txt" };
  vbox.save();
  await expect(launchMachine({ settingsPath: vbox.path, sessionName: "headless" })).rejects.toThrow(
    /serial port 1: cannot open '\/nonexistent\/serial.txt' \(ENOENT\)/,
  );
  expect(recordedState(loadVbox(vbox.path))).toBe("poweroff");
  expect(sessionOf(vbox.path).kind).toBe("none");
});

test("discs are put in and taken out while the machine runs", async () => {
  const disc = join(home, "disc.iso");
  writeFileSync(disc, new Uint8Array(64 * 2048));
  const machine = await start();
  const place = { bus: "ide", port: 1, device: 0 } as const;
  await machine.request("mediumchange", { place, path: disc });
  await expect(machine.request("mediumchange", { place, path: join(home, "none.iso") })).rejects.toMatchObject({
    code: "VBOX_E_FILE_ERROR",
  });
  await machine.request("mediumchange", { place });
  await expect(machine.request("mediumchange", { place: { ...place, port: 0 } })).rejects.toThrow(/no IDE drive 0.0/);
});

test("a serial port served on a local socket connects and survives its client", async () => {
  const path = join(home, "com1.sock");
  ports(vbox, "UART")[0].mode = { kind: "server", path };
  const machine = await start();
  for (let round = 0; round < 2; round++) {
    const socket = connect(path);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.write("x".repeat(100_000));
    socket.destroy();
    await until(async () => (await machine.request("status", {})).state === "running");
  }
});

test("a process with a serial port in a file is gone after the machine has been switched off", async () => {
  ports(vbox, "UART")[0].mode = { kind: "file", path: join(home, "com1.txt") };
  const machine = await start();
  const { pid } = await machine.request("status", {});
  await machine.request("poweroff", {});
  await until(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  expect(readFileSync(join(loadVbox(vbox.path).logFolder, "VBox.log"), "utf8")).not.toContain("in the VM process");
});
