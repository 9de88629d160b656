/**
 * Settings files from anywhere: whatever a mutated .vbox file says, reading it either works for every command that looks
 * at it or is refused with a result code. Seeded, so a failure comes back.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { machineReport } from "../../src/cli/vminfo/whole.ts";
import { describeMachine } from "../../src/config/machine-spec.ts";
import { recordedState } from "../../src/config/machine-state.ts";
import { ResultError } from "../../src/config/result-codes.ts";
import { supportOf } from "../../src/config/support.ts";
import { loadVbox } from "../../src/config/vbox-file.ts";
import { random, Sandbox } from "./sandbox.ts";

test("mutated settings files", () => {
  const box = new Sandbox();
  process.env.VBOX_USER_HOME = box.path("registry");
  const pick = random(4711);
  const originals = ["winXP.vbox", "old.vbox"].map((name) =>
    readFileSync(join(import.meta.dirname, "fixtures", name), "utf8"),
  );
  const values = [
    "",
    "-1",
    "999999999999999999999",
    "0x",
    "NaN",
    "true",
    "é\n",
    "../../../etc/passwd",
    "{}",
    "99",
    "999999999",
    "None",
    "a".repeat(5000),
  ];
  let [read, refused] = [0, 0];
  for (let round = 0; round < 600; round++) {
    let text = originals[pick(originals.length)];
    for (let change = pick(8); change >= 0; change--) {
      const kind = pick(4);
      if (kind === 0) {
        // Another attribute value.
        const attributes = [...text.matchAll(/="([^"]*)"/g)];
        const { index } = attributes[pick(attributes.length)];
        const end = text.indexOf('"', index + 2);
        text = `${text.slice(0, index + 2)}${values[pick(values.length)]}${text.slice(end)}`;
      } else if (kind === 1) {
        // A line less, a line twice.
        const lines = text.split("\n");
        const at = pick(lines.length);
        if (pick(2)) lines.splice(at, 1);
        else lines.splice(at, 0, lines[at]);
        text = lines.join("\n");
      } else if (kind === 2) {
        const names = [...text.matchAll(/<\/?([A-Z][A-Za-z]+)/g)];
        const [from, to] = [names[pick(names.length)][1], names[pick(names.length)][1]];
        text = text.replaceAll(from, to);
      } else {
        const at = pick(text.length);
        text = text.slice(0, at) + text.slice(at + pick(3));
      }
    }
    const path = box.write("fuzz.vbox", text);
    try {
      const vbox = loadVbox(path);
      for (const isMachineReadable of [true, false]) {
        expect(machineReport(vbox, recordedState(vbox) ?? "running", undefined, isMachineReadable)).toContain(
          vbox.name.slice(0, 1),
        );
      }
      supportOf(vbox);
      read++;
      const { spec } = describeMachine(vbox);
      expect(spec.cpuCount).toBe(1);
    } catch (error) {
      expect(error, text.slice(0, 200)).toBeInstanceOf(ResultError);
      refused++;
    }
  }
  expect(Math.min(read, refused)).toBeGreaterThan(50);
});

test("mutated argument vectors end with a code and a line, never with a stack", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  const pick = random(99);
  const words =
    "vm list vms createvm --name x --register modifyvm --memory 64 --nic1 nat --natpf1 a,tcp,,1,,2 delete storagectl --add ide --portcount storageattach --storagectl --port 0 --device --medium none emptydrive showvminfo --machinereadable unregistervm closemedium disk createhd --filename --size 1 guestproperty set get snapshot setextradata global key = -- --help @ {} \u0000x é".split(
      " ",
    );
  for (let round = 0; round < 60; round++) {
    const args = Array.from({ length: 1 + pick(6) }, () => words[pick(words.length)]).map((word) =>
      word.replace("\0", ""),
    );
    const { code, stdout, stderr } = box.anneau(...args);
    expect([0, 1, 2], JSON.stringify(args) + stderr).toContain(code);
    expect(stderr + stdout, JSON.stringify(args)).not.toMatch(/Internal error|\n\s+at /);
    if (code !== 0 && args.length > 0) expect(stderr + stdout).toMatch(/error: |Usage:|does not have any snapshots/);
  }
});
