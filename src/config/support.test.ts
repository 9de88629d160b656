import { expect, test } from "vitest";
import { hostMemory, memoryWarning } from "./host-memory.ts";
import { settings } from "./machine-settings.ts";
import { describeMachine } from "./machine-spec.ts";
import { newSettings } from "./settings-file.ts";
import { addController, attach, buses } from "./storage-settings.ts";
import { supportOf } from "./support.ts";
import { VboxFile } from "./vbox-file.ts";

function machine(): VboxFile {
  const file = newSettings("/nowhere/vm.vbox", "Machine");
  const element = file.document.root.element("Machine");
  element?.set("uuid", "{11111111-2222-4333-8444-555555555555}").set("name", "vm").set("OSType", "Other");
  return new VboxFile(file);
}

test("a plain machine has nothing to be said about", () => {
  expect(supportOf(machine())).toEqual({ refused: [], warned: [] });
});

test("more memory than the host has, or than a VM can have, or than makes sense", () => {
  const vbox = machine();
  vbox.set(settings.memoryMiB, 2048);
  expect(supportOf(vbox, undefined, 4096).refused).toEqual([]);
  expect(supportOf(vbox, undefined, 1024).refused).toEqual([
    "2048 MB of memory are more than the 1024 MB that the host has",
  ]);
  expect(memoryWarning(2048, { totalMiB: 4096, availableMiB: 2048 })).toBeUndefined();
  expect(memoryWarning(2048, { totalMiB: 4096, availableMiB: 2047 })).toBe(
    "2048 MB of memory are more than the 2047 MB that the host has to spare now: both may become slow",
  );
  expect(hostMemory().availableMiB).toBeLessThanOrEqual(hostMemory().totalMiB);
  vbox.set(settings.memoryMiB, 3585);
  expect(supportOf(vbox).refused).toEqual(["3585 MB of memory are more than the 3584 MB that a VM can have"]);
  vbox.set(settings.memoryMiB, -1);
  expect(supportOf(vbox).refused).toEqual(["-1 MB of memory are fewer than 4 MB (modifyvm --memory)"]);
});

test("64-bit mode matters to 64-bit systems only", () => {
  const vbox = machine();
  vbox.set(settings.longMode, true);
  expect(supportOf(vbox)).toEqual({ refused: [], warned: ["64-bit mode of the CPU"] });
  vbox.set(settings.osType, "Debian_64");
  expect(supportOf(vbox).refused).toEqual(["a 64-bit guest (modifyvm --long-mode off, --ostype)"]);
});

test("drives on controllers that are not there stop the start, empty controllers do not", () => {
  const vbox = machine();
  const sata = buses.find(({ name }) => name === "sata");
  const controller = addController(vbox, { name: "SATA", bus: sata ?? buses[0] }, "piix3");
  expect(supportOf(vbox)).toEqual({ refused: [], warned: ["the storage controller 'SATA' (IntelAhci)"] });
  attach(controller, { port: 0, device: 0, type: "DVD" });
  expect(supportOf(vbox).refused).toEqual([
    "the storage controller 'SATA' (IntelAhci) with drives on it: attach them to an IDE controller",
  ]);
});

test("the engine that extra data names; another word is refused", () => {
  const vbox = machine();
  expect(describeMachine(vbox).spec.cpu.engine).toBe("translator");
  vbox.setExtraData("Anneau/Engine", "interpreter");
  expect(supportOf(vbox).refused).toEqual([]);
  expect(describeMachine(vbox).spec.cpu.engine).toBe("interpreter");
  vbox.setExtraData("Anneau/Engine", "turbo");
  expect(supportOf(vbox).refused).toEqual([
    "the extra data Anneau/Engine is 'turbo', which is none of interpreter, translator, shadow",
  ]);
});

test("Windows 95 and 98, whose delay loops want a slow processor, have the interpreter unless extra data says otherwise", () => {
  const vbox = machine();
  for (const [type, engine] of [
    ["Windows95", "interpreter"],
    ["Windows98", "interpreter"],
    ["WindowsMe", "translator"],
    ["WindowsXP", "translator"],
    ["DOS", "translator"],
  ] as const) {
    vbox.set(settings.osType, type);
    expect([type, describeMachine(vbox).spec.cpu.engine]).toEqual([type, engine]);
  }
  vbox.set(settings.osType, "Windows98");
  expect(describeMachine(vbox).spec.cpu.hasSmallTlb).toBe(true);
  vbox.setExtraData("Anneau/Engine", "translator");
  expect(describeMachine(vbox).spec.cpu.engine).toBe("translator");
});

test("sound: the cards that are there, who hears them, and the file that extra data names", () => {
  const vbox = machine();
  vbox.set(settings.audioEnabled, true);
  vbox.set(settings.audioOut, true);
  vbox.set(settings.audioDriver, "null");
  expect(supportOf(vbox).warned).toEqual([]);
  expect(describeMachine(vbox)).toMatchObject({ spec: { audio: { controller: "ac97" } }, audioFile: undefined });
  vbox.set(settings.audioDriver, "alsa");
  expect(supportOf(vbox).warned).toEqual([
    "the sound driver ALSA: the console's page (anneau console) plays what the guest plays",
  ]);
  vbox.setExtraData("Anneau/AudioFile", "out.wav");
  vbox.set(settings.audioController, "sb16");
  vbox.set(settings.audioCodec, "sb16");
  expect(supportOf(vbox).warned).toEqual([]);
  expect(describeMachine(vbox)).toMatchObject({
    spec: { audio: { controller: "sb16" } },
    audioFile: "/nowhere/out.wav",
  });
  vbox.set(settings.audioOut, false);
  expect(describeMachine(vbox).isPlaybackOn).toBe(false);
  vbox.set(settings.audioController, "hda");
  expect(supportOf(vbox).warned).toEqual(["the sound card HDA"]);
  expect(describeMachine(vbox).spec.audio).toBeUndefined();
  vbox.set(settings.audioController, "ac97");
  vbox.set(settings.audioCodec, "ad1980");
  expect(supportOf(vbox).warned).toEqual(["the codec AD1980: the guest has a STAC9700"]);
  vbox.set(settings.audioEnabled, false);
  expect(supportOf(vbox).warned).toEqual([]);
});

test("the boot menu is what the settings say", () => {
  for (const bootMenu of ["disabled", "menuonly", "messageandmenu"]) {
    const vbox = machine();
    vbox.set(settings.biosBootMenu, bootMenu);
    expect(describeMachine(vbox).spec.bootMenu).toBe(bootMenu);
  }
  expect(describeMachine(machine()).spec.bootMenu).toBe("messageandmenu");
});
