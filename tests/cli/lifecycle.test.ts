/** A VM's life on the command line: start, pause, keys, pictures, power off, and what happens to a killed one. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { sessionOf } from "../../src/config/machine-session.ts";
import { discImage, Sandbox } from "./sandbox.ts";

const silent = { stdout: "", stderr: "", code: 0 };

function machine(): { box: Sandbox; settings: string; pid: () => number | undefined } {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "32", "--nic1", "none");
  const settings = box.path("VirtualBox VMs/vm/vm.vbox");
  const pid = () => {
    const session = sessionOf(settings);
    return session.kind === "alive" ? session.pid : undefined;
  };
  onTestFinished(() => {
    const running = pid();
    if (running) process.kill(running, "SIGKILL");
  });
  return { box, settings, pid };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  // Far more than any of these takes, also on a host with much else to do.
  const endMs = Date.now() + 120_000;
  while (Date.now() < endMs) {
    if (isSo()) return;
    await sleep(50);
  }
  throw new Error(`still not: ${what}`);
}

test("start, look, control, power off, delete", async () => {
  const { box, pid } = machine();
  const started = box.anneau("startvm", "vm", "--type", "headless");
  expect(started).toEqual({
    stdout: 'Waiting for VM "vm" to power on...\nVM "vm" has been successfully started.\n',
    stderr: "",
    code: 0,
  });
  expect(pid()).toBeGreaterThan(0);
  expect(box.ok("list", "runningvms")).toBe(box.ok("list", "vms"));
  expect([box.info("vm").get("VMState"), box.info("vm").get("SessionName")]).toEqual(["running", "headless"]);
  expect(box.ok("showvminfo", "vm")).toMatch(/^State: {23}running \(since /m);

  const second = box.vboxManage("startvm", "vm", "--type", "headless");
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("The machine 'vm' is already locked by a session (or being locked or unlocked)");
  expect(second.stderr).toContain("VBOX_E_INVALID_OBJECT_STATE");
  for (const args of [
    ["modifyvm", "vm", "--memory", "64"],
    ["unregistervm", "vm", "--delete"],
    ["storagectl", "vm", "--name", "IDE", "--add", "ide"],
  ]) {
    const refused = box.vboxManage(...args);
    expect([refused.code, refused.stderr], args[0]).toEqual([
      1,
      expect.stringContaining("already locked by a session"),
    ]);
  }

  const beforeMs = Math.floor(Date.now() / 1000) * 1000;
  expect(box.anneau("controlvm", "vm", "pause")).toEqual(silent);
  expect(box.info("vm").get("VMState")).toBe("paused");
  expect(Date.parse(`${box.info("vm").get("VMStateChangeTime")?.slice(0, 19)}Z`)).toBeGreaterThanOrEqual(beforeMs);
  for (const button of ["pause", "reset", "acpipowerbutton", "acpisleepbutton"])
    expect(box.vboxManage("controlvm", "vm", button), button).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^VBoxManage: error: Invalid machine state: Paused .*VBOX_E_INVALID_VM_STATE/s),
    });
  expect(box.anneau("controlvm", "vm", "resume", "--type", "headless")).toEqual(silent);
  expect(box.vboxManage("controlvm", "vm", "resume").stderr).toContain("Invalid machine state: Running");
  expect(box.info("vm").get("VMState")).toBe("running");
  expect(box.anneau("controlvm", "vm", "keyboardputscancode", "1c", "9c")).toEqual(silent);
  expect(box.anneau("controlvm", "vm", "keyboardputscancode", "1c 9c 1e")).toEqual(silent);
  expect(box.anneau("controlvm", "vm", "keyboardputscancode", "1g").code).toBe(1);
  expect(box.anneau("controlvm", "vm", "keyboardputstring", "Hello, world", "again")).toEqual(silent);
  expect(box.anneau("controlvm", "vm", "keyboardputstring", "déjà")).toEqual({
    ...silent,
    stderr: "anneau: warning: A US keyboard has no keys for 'éà': left out\n",
  });
  // A file's control characters are not for the terminal.
  expect(box.anneau("controlvm", "vm", "keyboardputstring", "a\x07b").stderr).toContain("for '\\x07': left out\n");
  expect(box.anneau("controlvm", "vm", "screenshotpng", "shot.png")).toEqual(silent);
  expect(readFileSync(box.path("shot.png")).subarray(1, 4).toString()).toBe("PNG");
  expect(box.anneau("controlvm", "vm", "reset")).toEqual(silent);
  expect(box.anneau("controlvm", "vm", "savestate")).toMatchObject({ code: 1 });

  const off = box.anneau("controlvm", "vm", "poweroff");
  expect([off.code, off.stdout]).toEqual([0, ""]);
  expect(off.stderr).toMatch(/^0%\.\.\..*100%\n$/);
  // Clients look and delete at once.
  expect(box.info("vm").get("VMState")).toBe("poweroff");
  const again = box.vboxManage("controlvm", "vm", "poweroff");
  expect([again.code, again.stderr]).toEqual([1, "VBoxManage: error: Machine 'vm' is not currently running.\n"]);
  expect(box.ok("showvminfo", "vm", "--log", "0").length).toBeGreaterThan(10);
  expect(box.anneau("unregistervm", "vm", "--delete").code).toBe(0);
  expect(existsSync(box.path("VirtualBox VMs/vm"))).toBe(false);
});

test("a killed VM process is aborted, holds nothing, and starts again", async () => {
  const { box, settings, pid } = machine();
  box.ok("createhd", "--filename", "vm.vdi", "--size", "10");
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  box.ok(
    "storageattach",
    "vm",
    "--storagectl",
    "IDE",
    "--port",
    "0",
    "--device",
    "0",
    "--type",
    "hdd",
    "--medium",
    "vm.vdi",
  );
  box.ok("startvm", "vm", "--type", "headless");
  await until("the disk is locked", () => box.ok("list", "hdds").includes("State:          locked write"));
  process.kill(pid() as number, "SIGKILL");
  await until("the process is gone", () => pid() === undefined);
  expect(box.info("vm").get("VMState")).toBe("aborted");
  expect(box.ok("list", "runningvms")).toBe("");
  expect(box.ok("list", "hdds")).toContain("State:          created");
  // Settings may change; the state stays on record until the next start.
  expect(box.anneau("modifyvm", "vm", "--memory", "48")).toEqual(silent);
  expect(box.info("vm").get("VMState")).toBe("aborted");
  expect(readFileSync(settings, "utf8")).toContain('aborted="true"');
  box.ok("startvm", "vm", "--type", "headless");
  expect(box.info("vm").get("VMState")).toBe("running");
  box.ok("controlvm", "vm", "poweroff");
  expect(box.info("vm").get("VMState")).toBe("poweroff");
  const left = readdirSync(box.path("VirtualBox VMs/vm")).filter((name) => /lock|session|tmp/.test(name));
  expect(left).toEqual([]);
});

test("a killed VM that is unregistered leaves no socket and no locks", async () => {
  const { box, pid } = machine();
  box.ok("createhd", "--filename", "vm.vdi", "--size", "10");
  box.write("one.iso", discImage(40));
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  const attach = ["storageattach", "vm", "--storagectl", "IDE", "--device", "0"];
  box.ok(...attach, "--port", "0", "--type", "hdd", "--medium", "vm.vdi");
  box.ok(...attach, "--port", "1", "--type", "dvddrive", "--medium", "one.iso");
  box.ok("startvm", "vm", "--type", "headless");
  const traces = () =>
    readdirSync(box.home, { recursive: true, encoding: "utf8" }).filter((name) => /\.sock$|lock/.test(name));
  expect(traces()).toEqual([
    expect.stringMatching(/^one\.iso\.anneau-lock-r-/),
    "vm.vdi.anneau-lock",
    expect.stringMatching(/^run\/anneau\/[0-9a-f]+\.sock$/),
  ]);
  process.kill(pid() as number, "SIGKILL");
  await until("the process is gone", () => pid() === undefined);
  expect(traces()).toHaveLength(3);
  expect(box.anneau("unregistervm", "vm", "--delete").code).toBe(0);
  expect(traces()).toEqual([]);
  expect(existsSync(box.path("vm.vdi"))).toBe(false);
  expect(existsSync(box.path("one.iso"))).toBe(true);
});

test("a VM whose folder vanishes runs on, can be controlled, and is marked again when the folder is back", async () => {
  const { box, settings, pid } = machine();
  box.ok("startvm", "vm", "--type", "headless");
  const folder = box.path("VirtualBox VMs/vm");
  const uuid = box.info("vm").get("UUID") as string;
  const text = readFileSync(settings);
  rmSync(folder, { recursive: true });
  expect(box.ok("list", "vms")).toBe(`"<inaccessible>" {${uuid}}\n`);
  expect(box.ok("list", "runningvms")).toBe(`"<inaccessible>" {${uuid}}\n`);
  expect(box.anneau("controlvm", uuid, "pause")).toEqual(silent);
  expect(box.anneau("controlvm", "vm", "resume")).toEqual(silent);
  expect(box.vboxManage("unregistervm", uuid).stderr).toContain("already locked by a session");

  box.write("VirtualBox VMs/vm/vm.vbox", text);
  await until("the session is marked", () => pid() !== undefined);
  expect(box.info("vm").get("VMState")).toBe("running");
  await until("it is said", () => existsSync(`${folder}/Logs/VBox.log`));
  expect(box.vboxManage("modifyvm", "vm", "--memory", "64").stderr).toContain("already locked by a session");

  const process_ = pid() as number;
  rmSync(folder, { recursive: true });
  expect(box.anneau("controlvm", uuid, "poweroff").code).toBe(0);
  await until("the process is gone", () => !existsSync(`/proc/${process_}`));
  expect(box.ok("list", "runningvms")).toBe("");
  expect(box.anneau("unregistervm", uuid)).toEqual(silent);
  expect(existsSync(folder)).toBe(false);
});

test("why a start fails has its code, and names what is in the way", async () => {
  const { box } = machine();
  box.ok("createvm", "--name", "second", "--register");
  box.ok("modifyvm", "second", "--memory", "32", "--nic1", "none");
  const refused = (details: string) => {
    const { code, stderr, stdout } = box.vboxManage("startvm", "second", "--type", "headless");
    expect([code, stdout]).toEqual([1, 'Waiting for VM "second" to power on...\n']);
    expect(stderr).toContain(`VBoxManage: error: Details: code ${details}, callee nsISupports\n`);
    expect(stderr).toContain('VBoxManage: error: Context: "startvm second"\n');
    return stderr;
  };
  const failed = "NS_ERROR_FAILURE (0x80004005), component ConsoleWrap, interface IConsole";
  box.ok("modifyvm", "second", "--uart1", "0x3f8", "4", "--uart2", "0x3f8", "3");
  expect(refused("VBOX_E_NOT_SUPPORTED (0x80bb0009), component ConsoleWrap, interface IConsole")).toContain(
    "serial ports 1 and 2 at the same I/O ports, 0x3f8",
  );
  box.ok("modifyvm", "second", "--uart1", "off", "--uart2", "0x2f8", "3");
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  box.ok("modifyvm", "second", "--uart-mode2", "tcpserver", String(port));
  expect(refused(failed)).toContain(`error: serial port 2: cannot listen on '${port}' (EADDRINUSE)\n`);
  box.ok("modifyvm", "second", "--uart-mode2", "file", "/nonexistent/serial");
  expect(refused(failed)).toContain("error: serial port 2: cannot open '/nonexistent/serial' (ENOENT)\n");
  box.ok("modifyvm", "second", "--uart-mode2", "server", "/nonexistent/pipe");
  expect(refused(failed)).toMatch(/error: serial port 2: cannot listen on '\/nonexistent\/pipe' \(E[A-Z]+\)\n/);
  box.ok("modifyvm", "second", "--uart2", "off");

  for (const name of ["vm", "second"]) box.ok("storagectl", name, "--name", "Floppy", "--add", "floppy");
  box.write("shared.img", Buffer.alloc(1_474_560));
  const drive = ["--storagectl", "Floppy", "--type", "fdd", "--medium", "shared.img", "--device"];
  box.ok("storageattach", "vm", ...drive, "0");
  box.ok("storageattach", "second", ...drive, "0");
  box.ok("startvm", "vm", "--type", "headless");
  const inUse = "VBOX_E_INVALID_OBJECT_STATE (0x80bb0007), component ConsoleWrap, interface IConsole";
  expect(refused(inUse)).toMatch(/error: .*shared\.img is in use by process [0-9]+\n/);
  box.ok("controlvm", "vm", "poweroff");
  box.ok("storageattach", "second", ...drive, "1");
  expect(refused(inUse)).toMatch(/shared\.img is in use by another drive of the same machine\n/);
  expect(box.vboxManage("startvm", "second", "--trace", "bogus").code).toBe(2);
});

test("a start asks for nothing that is not there", async () => {
  const { box } = machine();
  bootFrom(box, bootFloppy(0xf4, 0xeb, 0xfd));
  box.ok("startvm", "vm", "--type", "headless");
  box.ok("controlvm", "vm", "poweroff");
  expect(box.read("VirtualBox VMs/vm/Logs/VBox.log")).not.toMatch(/demand: .*memory/);
});

test("what is stored but not carried out is said once, at start", () => {
  const { box } = machine();
  box.ok("modifyvm", "vm", "--clipboard", "bidirectional", "--page-fusion", "on", "--graphicscontroller", "vboxsvga");
  const { stderr, code } = box.vboxManage("startvm", "vm", "--type", "headless");
  expect(code).toBe(0);
  expect(stderr.split("\n").sort()).toEqual([
    "",
    "VBoxManage: warning: 'vm': not carried out: VBoxSVGA's drawing commands: the guest has its pointer and mode hints",
    "VBoxManage: warning: 'vm': not carried out: page fusion",
    "VBoxManage: warning: 'vm': not carried out: the shared clipboard",
  ]);
  box.ok("controlvm", "vm", "poweroff");
});

test("discs change in a running VM, disks do not; serial ports reach their file", async () => {
  const { box } = machine();
  box.write("one.iso", discImage(40));
  box.write("two.iso", discImage(50));
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  const place = ["storageattach", "vm", "--storagectl", "IDE", "--port", "1", "--device", "0"];
  box.ok(...place, "--type", "dvddrive", "--medium", "one.iso");
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("serial.log"));
  box.ok("modifyvm", "vm", "--uart2", "0x2f8", "3", "--uart-mode2", "server", box.path("pipe"));
  const started = box.anneau("startvm", "vm");
  expect(started.code).toBe(0);
  expect(started.stderr).toBe("");
  expect(started.stdout).toMatch(/^The console of VM "vm" is at http:\/\/127\.0\.0\.1:[0-9]+\/[\w-]{43}\/$/m);
  expect(existsSync(box.path("serial.log"))).toBe(true);
  expect(existsSync(box.path("pipe"))).toBe(true);
  expect(box.info("vm").get("uartmode2")).toBe(`server,${box.path("pipe")}`);
  for (const medium of ["two.iso", "emptydrive", "one.iso"]) {
    expect(box.anneau(...place, "--type", "dvddrive", "--medium", medium), medium).toEqual(silent);
    expect(box.info("vm").get("IDE-1-0")).toBe(medium === "emptydrive" ? medium : box.path(medium));
  }
  expect(box.anneau(...place, "--type", "dvddrive", "--medium", "gone.iso").stderr).toContain("VERR_FILE_NOT_FOUND");
  expect(box.anneau(...place, "--medium", "none").stderr).toContain("already locked by a session");
  const other = ["storageattach", "vm", "--storagectl", "IDE", "--port", "0", "--device", "0"];
  expect(box.anneau(...other, "--type", "dvddrive", "--medium", "two.iso").code).toBe(1);
  expect(box.info("vm").get("IDE-1-0")).toBe(box.path("one.iso"));
  // Another VM on the same path does not take it away.
  box.ok("createvm", "--name", "second", "--register");
  box.ok("modifyvm", "second", "--memory", "32", "--nic1", "none", "--uart1", "0x3f8", "4");
  box.ok("modifyvm", "second", "--uart-mode1", "server", box.path("pipe"));
  const clash = box.vboxManage("startvm", "second", "--type", "headless");
  expect([clash.code, clash.stderr]).toEqual([1, expect.stringContaining(`'${box.path("pipe")}'`)]);
  expect(statSync(box.path("pipe")).isSocket()).toBe(true);
  box.ok("controlvm", "vm", "poweroff");
  expect(existsSync(box.path("pipe"))).toBe(false);
  box.ok("startvm", "second", "--type", "headless");
  box.ok("controlvm", "second", "poweroff");
});

/** A floppy that sends a packet command to the secondary master by hand (bytes 0 and 4 given), then '!' to COM1. */
function packetFloppy(command: number, byte4: number): Uint8Array {
  const start = [0xba, 0x76, 0x01, 0xb0, 0xa0, 0xee, 0xba, 0x77, 0x01, 0xb0, 0xa0, 0xee, 0xec, 0xa8, 0x08, 0x74, 0xfb];
  const packet = [0xba, 0x70, 0x01, 0xb8, command, 0x00, 0xef, 0x31, 0xc0, 0xef, 0xb8, byte4, 0x00, 0xef, 0x31, 0xc0];
  const wait = [0xef, 0xef, 0xef, 0xba, 0x77, 0x01, 0xec, 0xa8, 0x80, 0x75, 0xfb, 0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee];
  return bootFloppy(...start, ...packet, ...wait, 0xf4, 0xeb, 0xfd);
}

test("a disc that the guest has locked leaves by force only", async () => {
  const { box } = machine();
  bootFrom(box, packetFloppy(0x1e, 1));
  box.write("one.iso", discImage(40));
  box.write("two.iso", discImage(40));
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  const place = ["storageattach", "vm", "--storagectl", "IDE", "--port", "1", "--device", "0", "--type", "dvddrive"];
  box.ok(...place, "--medium", "one.iso");
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("said"));
  box.ok("startvm", "vm", "--type", "headless");
  await until("the guest has locked it", () => readFileSync(box.path("said")).length > 0);
  const refused = (medium: string) => {
    const { code, stderr } = box.vboxManage(...place, "--medium", medium);
    expect([code, box.info("vm").get("IDE-1-0")]).toEqual([1, box.path("one.iso")]);
    return stderr;
  };
  expect(refused("emptydrive")).toMatch(
    /^VBoxManage: error: Could not unmount the currently mounted media\/drive \(VERR_PDM_MEDIA_LOCKED\)\n.*0x80004005/,
  );
  expect(refused("two.iso")).toContain("Could not mount the media/drive");
  box.ok(...place, "--medium", "two.iso", "--forceunmount");
  expect(box.info("vm").get("IDE-1-0")).toBe(box.path("two.iso"));
  // The new one is not locked.
  box.ok(...place, "--medium", "emptydrive");
  box.ok("controlvm", "vm", "poweroff");
});

test("a disc that the guest ejects is out, also at the next start; with tempeject it comes back", async () => {
  const { box } = machine();
  bootFrom(box, packetFloppy(0x1b, 2));
  box.write("one.iso", discImage(40));
  box.ok("storagectl", "vm", "--name", "IDE", "--add", "ide");
  const place = ["storageattach", "vm", "--storagectl", "IDE", "--port", "1", "--device", "0"];
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("said"));
  const run = async () => {
    rmSync(box.path("said"), { force: true });
    box.ok("startvm", "vm", "--type", "headless");
    await until(
      "the guest has ejected",
      () => existsSync(box.path("said")) && readFileSync(box.path("said")).length > 0,
    );
  };
  const drive = () => [box.info("vm").get("IDE-1-0"), box.info("vm").get("IDE-IsEjected-1-0")];
  box.ok(...place, "--type", "dvddrive", "--medium", "one.iso");
  expect(drive()).toEqual([box.path("one.iso"), "off"]);
  await run();
  await until("it is on record", () => drive()[0] === "emptydrive");
  expect(drive()).toEqual(["emptydrive", "on"]);
  // What is attached while the machine runs is in the drive again.
  box.ok(...place, "--type", "dvddrive", "--medium", "one.iso");
  expect(drive()).toEqual([box.path("one.iso"), "off"]);
  box.ok("controlvm", "vm", "poweroff");
  box.ok(...place, "--tempeject", "on");
  await run();
  box.ok("controlvm", "vm", "poweroff");
  expect(drive()).toEqual([box.path("one.iso"), "off"]);
});

/** A floppy whose boot sector does `code`. */
function bootFloppy(...code: number[]): Uint8Array {
  const image = Buffer.alloc(1_474_560);
  image.set(code);
  image.writeUInt16LE(0xaa55, 510);
  return image;
}

function bootFrom(box: Sandbox, floppy: Uint8Array): void {
  box.write("boot.img", floppy);
  box.ok("storagectl", "vm", "--name", "Floppy", "--add", "floppy");
  const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0"];
  box.ok("storageattach", "vm", ...place, "--type", "fdd", "--medium", "boot.img");
}

test("a guest that dies stays as gurumeditation, or is reset if the settings say so", async () => {
  const { box } = machine();
  // cli; lidt of a table without entries; int3
  bootFrom(box, bootFloppy(0xfa, 0x0f, 0x01, 0x1e, 0x07, 0x7c, 0xcc));
  const log = () => box.read("VirtualBox VMs/vm/Logs/VBox.log");
  box.ok("modifyvm", "vm", "--triplefaultreset", "off");
  box.ok("startvm", "vm", "--type", "headless");
  await until("it is dead", () => box.info("vm").get("VMState") === "gurumeditation");
  expect(box.ok("list", "runningvms")).toBe("");
  expect(log()).toMatch(/error: the guest died: triple fault\n.*eax=/);
  expect(box.ok("showvminfo", "vm")).toMatch(/^State: {23}guru meditation \(since /m);
  expect(box.vboxManage("modifyvm", "vm", "--memory", "64").stderr).toContain("already locked by a session");
  expect(box.anneau("controlvm", "vm", "pause").code).toBe(1);
  expect(box.anneau("controlvm", "vm", "keyboardputscancode", "1c").stderr).toContain("VBOX_E_INVALID_VM_STATE");
  // It can be looked at, and reset: then it dies again.
  expect(box.info("vm").get("VideoMode")).toContain("720,400,0");
  expect(box.anneau("controlvm", "vm", "screenshotpng", "dead.png")).toEqual(silent);
  expect(readFileSync(box.path("dead.png")).subarray(1, 4).toString()).toBe("PNG");
  expect(box.anneau("controlvm", "vm", "reset")).toEqual(silent);
  await until("it has died twice", () => log().match(/the guest died/g)?.length === 2);
  expect(log()).toMatch(/the machine was reset[\s\S]*the guest died/);
  await until("it is dead", () => box.info("vm").get("VMState") === "gurumeditation");
  box.ok("controlvm", "vm", "poweroff");
  expect(box.info("vm").get("VMState")).toBe("poweroff");

  box.ok("modifyvm", "vm", "--triplefaultreset", "on");
  box.ok("startvm", "vm", "--type", "headless");
  await until("it was reset", () => log().includes("the machine was reset"));
  expect(log()).toMatch(/warning: triple fault, the machine is reset\n.*eax=/);
  expect(box.info("vm").get("VMState")).toBe("running");
  box.ok("controlvm", "vm", "poweroff");
});

test("caps, priority and balloon of a running VM, and the buttons of one without an agent", async () => {
  const { box, pid } = machine();
  bootFrom(box, bootFloppy(0xeb, 0xfe));
  box.ok("modifyvm", "vm", "--cpuexecutioncap", "40");
  const started = box.vboxManage("startvm", "vm", "--type", "headless");
  expect([started.code, started.stderr]).toEqual([0, ""]);
  // A capped machine answers as any other.
  for (const cap of ["1", "100", "60"]) {
    expect(box.anneau("controlvm", "vm", "cpuexecutioncap", cap)).toEqual(silent);
    expect(box.info("vm").get("cpuexecutioncap")).toBe(cap);
    expect(box.anneau("controlvm", "vm", "pause")).toEqual(silent);
    expect(box.anneau("controlvm", "vm", "resume")).toEqual(silent);
  }
  expect(box.vboxManage("controlvm", "vm", "cpuexecutioncap", "101")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Invalid CPU execution cap value: 101 (must be in range [1, 100])"),
  });
  expect(box.anneau("controlvm", "vm", "vm-process-priority", "flat").code).toBe(process.getuid?.() === 0 ? 0 : 1);
  expect(box.anneau("controlvm", "vm", "vm-process-priority", "soon").code).toBe(1);
  const balloon = box.vboxManage("controlvm", "vm", "guestmemoryballoon", "8");
  expect([balloon.code, balloon.stderr]).toEqual([
    0,
    "VBoxManage: warning: 'vm': not carried out: the memory balloon\n",
  ]);
  expect(box.vboxManage("controlvm", "vm", "guestmemoryballoon", "99999")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Invalid memory balloon size: 99999 MB (must be in range [0, "),
  });
  expect(box.info("vm").get("GuestMemoryBalloon")).toBe("8");
  for (const verb of ["shutdown", "reboot"]) expect(box.anneau("controlvm", "vm", verb, "--force")).toEqual(silent);
  expect(box.vboxManage("controlvm", "vm", "shutdown", "now").code).toBe(2);
  box.ok("controlvm", "vm", "poweroff");
  expect(box.info("vm").get("cpuexecutioncap")).toBe("60");
  const tooMuch = box.vboxManage("modifyvm", "vm", "--memory", "100", "--guest-memory-balloon", "90");
  expect(tooMuch.stderr).toContain("Invalid memory balloon size: 90 MB (must be in range [0, 90] MB)");
  box.ok("modifyvm", "vm", "--guest-memory-balloon", "0");

  box.ok("modifyvm", "vm", "--vm-process-priority", "low");
  box.ok("startvm", "vm", "--type", "headless");
  const threads = () => readdirSync(`/proc/${pid()}/task`);
  const niceness = (thread: string) =>
    Number(
      readFileSync(`/proc/${pid()}/task/${thread}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ")[16],
    );
  expect(Math.max(...threads().map(niceness))).toBeGreaterThan(0);
  const group = `/proc/${pid()}/autogroup`;
  if (existsSync(group)) expect(readFileSync(group, "utf8")).toContain("nice 10\n");
  box.ok("controlvm", "vm", "poweroff");
});

test("looking into a running VM: registers, counters, core files, NMI", async () => {
  const { box } = machine();
  // The NMI handler at 7c20h: inc word [7e00h]; iret. The program: IVT[2] = 0:7c20h; eax = 12345678h; hlt; jmp to the hlt
  const program = Buffer.alloc(1_474_560);
  program.set(
    bootFloppy(
      ...[0x31, 0xc0, 0x8e, 0xd8, 0xc7, 0x06, 0x08, 0x00, 0x20, 0x7c, 0xc7, 0x06, 0x0a, 0x00, 0x00, 0x00],
      ...[0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, 0xf4, 0xeb, 0xfd],
    ),
  );
  program.set([0xff, 0x06, 0x00, 0x7e, 0xcf], 0x20);
  bootFrom(box, program);
  box.ok("startvm", "vm", "--type", "headless");
  const registers = (...names: string[]) => box.ok("debugvm", "vm", "getregisters", ...names);
  await until("the program runs", () => registers("eax") === "eax = 0x12345678\n");
  expect(registers("CS", "cpu0.cr0")).toMatch(/^cs = 0x0000\ncr0 = 0x[0-9a-f]{8}\n$/);
  expect(registers("all").split("\n").length).toBeGreaterThan(25);
  expect(box.vboxManage("debugvm", "vm", "getregisters", "r8").stderr).toContain("There is no register 'r8'");

  const core = (name: string) => {
    expect(box.anneau("debugvm", "vm", "dumpvmcore", "--filename", name)).toEqual(silent);
    return readFileSync(box.path(name));
  };
  const first = core("first.core");
  const at = (gpa: number) => 4096 + gpa;
  expect(first.length).toBe(at(32 << 20));
  expect(first.subarray(at(0x7c00), at(0x7c19)).equals(program.subarray(0, 0x19))).toBe(true);
  expect(first.readUInt16LE(at(0x7e00))).toBe(0);
  expect(box.anneau("debugvm", "vm", "injectnmi")).toEqual(silent);
  await until("the NMI was taken", () => registers("eip") === "eip = 0x00007c17\n");
  expect(core("second.core").readUInt16LE(at(0x7e00))).toBe(1);
  const taken = box.vboxManage("debugvm", "vm", "dumpvmcore", "--filename", "first.core");
  expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("(EEXIST)")]);
  const header = spawnSync("readelf", ["--headers", "--notes", box.path("first.core")], { encoding: "utf8" });
  expect(header.stderr).toBe("");
  expect(header.stdout).toMatch(
    /CORE \(Core file\)[\s\S]*Intel 80386[\s\S]*LOAD +0x001000 0x00000000 0x00000000 0x2000000/,
  );
  expect(header.stdout).toMatch(/NT_PRSTATUS/);

  const counters = box.ok("debugvm", "vm", "statistics", "--pattern", "/cpu/*|/loop/slices");
  expect(counters).toMatch(/^<\?xml [^\n]*\n<Statistics>\n/);
  expect(counters).toMatch(/<Counter c="[1-9][0-9]*" unit="times" name="\/cpu\/instructions"\/>\n/);
  expect(counters).toContain('name="/loop/slices"');
  expect(counters).not.toContain('name="/loop/idleNs"');
  expect(box.ok("debugvm", "vm", "info", "help")).toMatch(/^pci +PCI functions/m);
  expect(box.ok("debugvm", "vm", "info", "pci")).toContain("8086:1237");
  expect(box.ok("debugvm", "vm", "info", "timers")).toMatch(/^now [0-9]+\n/);
  expect(box.anneau("debugvm", "vm", "info", "weather").code).toBe(1);
  expect(box.anneau("debugvm", "vm", "osinfo").code).toBe(1);
  expect(box.anneau("debugvm", "vm", "dance").code).toBe(2);
  box.ok("controlvm", "vm", "poweroff");
  expect(box.vboxManage("debugvm", "vm", "injectnmi").stderr).toContain("is not currently running");
});

test("a VM with the translator: its counters say what regions do; a word that names no engine is refused", async () => {
  const { box } = machine();
  // cli; ds = 0; lgdt [7c80h]; cr0.pe = 1; jmp 8:7c40h. There: ds = es = ss = 10h; l: inc dword [9000h]; dec ecx; jmp l
  const program = Buffer.from(
    bootFloppy(
      ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x0f, 0x01, 0x16, 0x80, 0x7c, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0],
      ...[0x66, 0xea, 0x40, 0x7c, 0x00, 0x00, 0x08, 0x00],
    ),
  );
  program.set([0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], 0x40);
  program.set([0xff, 0x05, 0x00, 0x90, 0x00, 0x00, 0x49, 0xeb, 0xf7], 0x4a);
  program.set([0x17, 0x00, 0x90, 0x7c, 0x00, 0x00], 0x80);
  program.set([0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], 0x98);
  bootFrom(box, program);
  box.ok("setextradata", "vm", "Anneau/Engine", "turbo");
  const refused = box.vboxManage("startvm", "vm", "--type", "headless");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("Anneau/Engine is 'turbo'")]);
  box.ok("setextradata", "vm", "Anneau/Engine", "translator");
  box.ok("startvm", "vm", "--type", "headless");
  const counters = () =>
    new Map(
      [...box.ok("debugvm", "vm", "statistics", "--pattern", "/cpu/*").matchAll(/c="(\d+)".* name="([^"]*)"/g)].map(
        ([, value, name]) => [name, Number(value)],
      ),
    );
  // Most of the guest's instructions, once the loop is translated.
  await until("the loop runs in its region", () => (counters().get("/cpu/regions/executed") ?? 0) > 1_000_000);
  const now = counters();
  expect(now.get("/cpu/regions/executed")).toBeLessThanOrEqual(now.get("/cpu/instructions") as number);
  for (const name of ["regions/regions", "regions/entries", "regions/modules", "regions/moduleBytes", "tlb/pageWalks"])
    expect(now.get(`/cpu/${name}`), name).toBeGreaterThan(0);
  box.ok("controlvm", "vm", "poweroff");
});

test("two VMs side by side: one is killed, the other goes on", async () => {
  const { box, pid } = machine();
  box.ok("createvm", "--name", "second", "--register");
  box.ok("modifyvm", "second", "--memory", "32", "--nic1", "none", "--cpuexecutioncap", "2");
  box.ok("modifyvm", "vm", "--cpuexecutioncap", "30");
  // inc eax, for ever
  box.write("busy.img", bootFloppy(0x66, 0x40, 0xeb, 0xfc));
  for (const name of ["vm", "second"]) {
    box.ok("storagectl", name, "--name", "Floppy", "--add", "floppy");
    copyFileSync(box.path("busy.img"), box.path(`${name}.img`));
    const place = ["--storagectl", "Floppy", "--port", "0", "--device", "0", "--type", "fdd"];
    box.ok("storageattach", name, ...place, "--medium", `${name}.img`);
    box.ok("startvm", name, "--type", "headless");
  }
  expect(box.ok("list", "runningvms").match(/^"(vm|second)" /gm)).toHaveLength(2);
  const counter = () => box.ok("debugvm", "second", "statistics", "--pattern", "/cpu/instructions|/loop/restedNs");
  const value = (name: string) => Number(new RegExp(`c="([0-9.]+)" unit="[a-z]+" name="${name}"`).exec(counter())?.[1]);
  await until("the cap has been felt", () => value("/loop/restedNs") > 0);
  process.kill(pid() as number, "SIGKILL");
  await until("the process is gone", () => pid() === undefined);
  // A process that is stopped runs its VM all the same, and nobody waits for it for long.
  const session = sessionOf(box.path("VirtualBox VMs/second/second.vbox"));
  const other = session.kind === "alive" ? session.pid : Number.NaN;
  process.kill(other, "SIGSTOP");
  try {
    expect(box.ok("list", "runningvms")).toMatch(/^"second" /);
    expect(box.info("second").get("VMState")).toBe("running");
  } finally {
    process.kill(other, "SIGCONT");
  }
  const before = value("/cpu/instructions");
  await until("the other one works", () => value("/cpu/instructions") > before);
  expect(box.ok("list", "runningvms")).toMatch(/^"second" /);
  expect([box.info("vm").get("VMState"), box.info("second").get("VMState")]).toEqual(["aborted", "running"]);
  expect(box.anneau("unregistervm", "vm", "--delete").code).toBe(0);
  box.ok("controlvm", "second", "poweroff");
});

test("reboot types Ctrl-Alt-Delete", async () => {
  const { box } = machine();
  // cli; wait for a byte at port 64h, take it from 60h; wait for THRE of COM1, send it; again
  const wait = [0xfa, 0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60, 0x88, 0xc3, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20];
  const ready = [0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee]; // '!' to COM1
  bootFrom(box, bootFloppy(...ready, ...wait, 0x74, 0xfb, 0x88, 0xd8, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xe6));
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("keys"));
  box.ok("startvm", "vm", "--type", "headless");
  const keys = () => readFileSync(box.path("keys")).toString("hex");
  // Before the boot sector runs the BIOS has the keyboard, and restarts.
  await until("the boot sector runs", () => keys() === "21");
  box.ok("controlvm", "vm", "reboot");
  await until("the keys are there", () => keys() === "211d38e053e0d3b89d");
  box.ok("controlvm", "vm", "poweroff");
});

test("the power and the sleep button reach the guest's registers; without ACPI there are none", async () => {
  const { box } = machine();
  // '!' to COM1; then the upper byte of PM1_STS (port 4001h) whenever it is another.
  const watch = [0x31, 0xdb, 0xba, 0x01, 0x40, 0xec, 0x38, 0xd8, 0x74, 0xf8, 0x88, 0xc3, 0xba, 0xf8, 0x03, 0xee];
  bootFrom(box, bootFloppy(0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, ...watch, 0xeb, 0xf0));
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("seen"));
  box.ok("startvm", "vm", "--type", "headless");
  const seen = () => readFileSync(box.path("seen")).toString("hex");
  await until("the boot sector runs", () => seen() === "21");
  expect(box.anneau("controlvm", "vm", "acpisleepbutton")).toEqual(silent);
  await until("the sleep button is seen", () => seen() === "2102");
  expect(box.anneau("controlvm", "vm", "acpipowerbutton")).toEqual(silent);
  await until("the power button is seen", () => seen() === "210203");
  box.ok("controlvm", "vm", "poweroff");
  box.ok("modifyvm", "vm", "--acpi", "off");
  box.ok("startvm", "vm", "--type", "headless");
  for (const button of ["acpipowerbutton", "acpisleepbutton"]) {
    const refused = box.vboxManage("controlvm", "vm", button);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^VBoxManage: error: /)]);
  }
  box.ok("controlvm", "vm", "poweroff");
});

test("keyboardputfile types a file of thousands of characters; what has no end or is not there is refused", async () => {
  const { box } = machine();
  // COM1 at 115200; '!' to it; INT 16h AH=00h; wait for THRE; what came to COM1; again.
  const wait = [0x88, 0xc3, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb, 0x88, 0xd8, 0xba, 0xf8, 0x03, 0xee];
  const out = (port: number, value: number) => [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
  const fast = [...out(0x3fb, 0x83), ...out(0x3f8, 1), ...out(0x3f9, 0), ...out(0x3fb, 3)];
  bootFrom(box, bootFloppy(...fast, ...out(0x3f8, 0x21), 0x30, 0xe4, 0xcd, 0x16, ...wait, 0xeb, 0xea));
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", box.path("keys"));
  box.ok("startvm", "vm", "--type", "headless");
  const typed = () => readFileSync(box.path("keys"), "latin1");
  await until("the boot sector runs", () => typed() === "!");
  const text = Array.from({ length: 40 }, (_, i) => `Line ${i}: ~{[(|"The quick brown fox" & co.; 100%)]}_?\n`).join(
    "",
  );
  box.write("text", Buffer.from(text));
  box.ok("controlvm", "vm", "keyboardputfile", box.path("text"));
  await until("the text is there", () => typed().length > text.length);
  expect(typed().slice(1)).toBe(text.replaceAll("\n", "\r"));
  const refused = (path: string) => box.anneau("controlvm", "vm", "keyboardputfile", path).stderr;
  expect(refused("/dev/zero")).toMatch(/^\S+: error: The file '\/dev\/zero' is too long to be typed/);
  expect(refused(box.path("nothing"))).toMatch(
    /^\S+: error: Could not read the file '.*nothing' \(ENOENT|VERR_FILE_NOT_FOUND/,
  );
  box.ok("controlvm", "vm", "poweroff");
});

test("a parallel port prints into its file", async () => {
  const { box } = machine();
  // INT 17h with AH = 0, DX = 0 for each letter, then sleep.
  const print = [..."paper"].flatMap((letter) => [0xb8, letter.charCodeAt(0), 0x00, 0x31, 0xd2, 0xcd, 0x17]);
  bootFrom(box, bootFloppy(...print, 0xf4, 0xeb, 0xfd));
  box.ok("modifyvm", "vm", "--lpt1", "0x378", "7", "--lpt-mode1", box.path("printed.txt"));
  const started = box.anneau("startvm", "vm", "--type", "headless");
  expect([started.code, started.stderr]).toEqual([0, ""]);
  await until("the print", () => readFileSync(box.path("printed.txt"), "latin1") === "paper");
  box.ok("controlvm", "vm", "poweroff");
  box.ok("modifyvm", "vm", "--lpt-mode1", box.path("no folder/printed.txt"));
  expect(box.anneau("startvm", "vm", "--type", "headless").stderr).toMatch(/parallel port 1: cannot open .*ENOENT/);
});

test("the guest can write a floppy", async () => {
  const { box } = machine();
  // INT 13h writes the boot sector from 7C00h to the second sector, then hlt
  const write = [0x31, 0xc0, 0x8e, 0xc0, 0xb8, 0x01, 0x03, 0xbb, 0x00, 0x7c, 0xb9, 0x02, 0x00, 0x31, 0xd2, 0xcd, 0x13];
  bootFrom(box, bootFloppy(...write, 0xf4, 0xeb, 0xfd));
  expect(box.ok("list", "floppies")).toContain("Type:           writethrough\n");
  box.ok("startvm", "vm", "--type", "headless");
  const sector = (number: number) => readFileSync(box.path("boot.img")).subarray(number * 512, (number + 1) * 512);
  await until("the sector is there", () => sector(1).equals(sector(0)));
  expect(box.ok("list", "floppies")).toContain("State:          locked write\n");
  box.ok("controlvm", "vm", "poweroff");
});

test("a serial port on a full disk is said in the log and does not keep the VM from ending", async () => {
  const { box, pid } = machine();
  // wait for THRE of COM1, send an A, again
  bootFrom(
    box,
    bootFloppy(0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xf0),
  );
  box.ok("modifyvm", "vm", "--uart1", "0x3f8", "4", "--uart-mode1", "file", "/dev/full");
  box.ok("startvm", "vm", "--type", "headless");
  const log = () => box.read("VirtualBox VMs/vm/Logs/VBox.log");
  await until("it is said", () => log().includes("serial port: ENOSPC"));
  box.ok("controlvm", "vm", "poweroff");
  expect(box.info("vm").get("VMState")).toBe("poweroff");
  await until("the process is gone", () => pid() === undefined);
  expect(log().match(/serial port:/g)).toHaveLength(1);
});

test("the handbook's Windows XP machine starts, its disc gone it does not", () => {
  const { box } = machine();
  box.ok("createhd", "--filename", "winXP", "--size", "5000");
  box.write("install.iso", discImage(300));
  box.ok("modifyvm", "vm", "--ostype", "WindowsXP", "--memory", "100");
  box.ok(
    "storagectl",
    "vm",
    "--name",
    "IDE",
    "--add",
    "ide",
    "--controller",
    "PIIX4",
    "--portcount",
    "2",
    "--bootable",
    "on",
  );
  const attach = ["storageattach", "vm", "--storagectl", "IDE", "--device", "0"];
  box.ok(...attach, "--port", "0", "--type", "hdd", "--medium", box.path("winXP.vdi"));
  box.ok(...attach, "--port", "1", "--type", "dvddrive", "--medium", box.path("install.iso"));
  box.ok("modifyvm", "vm", "--vram", "100", "--accelerate3d", "on", "--audio", "alsa", "--audiocontroller", "ac97");
  box.ok("modifyvm", "vm", "--nic1", "nat", "--nictype1", "Am79C973", "--cableconnected1", "on");
  const started = box.anneau("startvm", "vm");
  expect([started.code, started.stdout]).toEqual([
    0,
    expect.stringMatching(
      /^Waiting for VM "vm" to power on\.\.\.\nVM "vm" has been successfully started\.\nThe console of VM "vm" is at http:/,
    ),
  ]);
  expect(started.stderr.match(/^anneau: warning: /gm)?.length).toBe(started.stderr.trimEnd().split("\n").length);
  box.ok("controlvm", "vm", "poweroff");
  rmSync(box.path("install.iso"));
  const refused = box.vboxManage("startvm", "vm");
  expect([refused.code, refused.stdout]).toEqual([1, 'Waiting for VM "vm" to power on...\n']);
  expect(refused.stderr).toContain("Could not find file for the medium");
  expect(box.info("vm").get("VMState")).toBe("poweroff");
});

test("a WAV file that cannot be written is said at start", () => {
  const { box } = machine();
  box.ok("modifyvm", "vm", "--audio-enabled", "on", "--audio-out", "on");
  for (const [path, why] of [
    ["nowhere/played.wav", "ENOENT"],
    [box.home, "it is a folder"],
  ]) {
    box.ok("setextradata", "vm", "Anneau/AudioFile", path);
    const { stderr, code } = box.anneau("startvm", "vm", "--type", "headless");
    expect(code).toBe(0);
    expect(stderr).toContain("warning: 'vm': sound cannot be written to ");
    expect(stderr).toContain(why);
    box.ok("controlvm", "vm", "poweroff");
  }
  box.ok("setextradata", "vm", "Anneau/AudioFile", "played.wav");
  expect(box.anneau("startvm", "vm", "--type", "headless").stderr).toBe("");
});
