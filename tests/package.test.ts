/**
 * The story of somebody who installs the tarball of `npm pack` into an empty folder: the command is there, creates a
 * machine and runs one.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "anneau-package-"));
const env = {
  ...process.env,
  HOME: join(folder, "home"),
  VBOX_USER_HOME: join(folder, "home", "registry"),
  // The tarball brings no Node of its own: the one that runs the tests serves.
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
};
const anneau = join(folder, "place", "node_modules", ".bin", "anneau");

beforeAll(() => {
  mkdirSync(join(folder, "home"));
  mkdirSync(join(folder, "place"));
  // What `npm pack` packs, staged beside: other tests run from the tree's own dist/ at the same time.
  const stage = join(folder, "stage");
  mkdirSync(stage);
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  for (const name of ["package.json", ...files.filter((file) => file !== "dist")])
    cpSync(join(root, name), join(stage, name), { recursive: true });
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json", "--outDir", join(stage, "dist")], {
    cwd: root,
    env,
    stdio: "pipe",
  });
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: stage, env, stdio: "pipe" });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  writeFileSync(join(folder, "place", "package.json"), '{ "private": true }\n');
  // Its dependencies are those that the tests run with: nothing is fetched.
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies))
    cpSync(join(root, "node_modules", name), join(folder, "place", "node_modules", name), { recursive: true });
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--offline", join(folder, tarball)], {
    cwd: join(folder, "place"),
    env,
    stdio: "pipe",
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the installed command creates and lists a machine", () => {
  const created = spawnSync(anneau, ["createvm", "--name", "installed", "--register"], { env, encoding: "utf8" });
  expect(created.stderr).toBe("");
  expect(created.stdout).toContain("Virtual machine 'installed' is created and registered.");
  const listed = spawnSync(anneau, ["list", "vms"], { env, encoding: "utf8" });
  expect(listed.stdout).toMatch(/^"installed" \{[0-9a-f-]{36}\}\n$/);
});

test("the installed command runs a machine from a disk until it switches itself off", () => {
  const source = join(folder, "boot.asm");
  writeFileSync(
    source,
    `bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov si, text
        cld
next:   lodsb
        test al, al
        jz off
        mov bl, al
wait_:  mov dx, 0x3fd
        in al, dx
        test al, 0x20
        jz wait_
        mov dx, 0x3f8
        mov al, bl
        out dx, al
        jmp next
off:    mov dx, 0x4004          ; PM1a control: S5, sleep enable
        mov ax, 0x3400
        out dx, ax
        jmp $
text:   db "booted from an installed package", 13, 10, 0
times 510-($-$$) db 0
        dw 0xaa55
`,
  );
  const image = join(folder, "boot.img");
  execFileSync("nasm", ["-f", "bin", "-o", image, source]);
  writeFileSync(image, Buffer.concat([readFileSync(image), Buffer.alloc((1 << 20) - 512)]));
  const run = spawnSync(anneau, ["run", "--disk", image, "--memory", "16", "--display", "none"], {
    env,
    encoding: "utf8",
    input: "",
    timeout: 120_000,
  });
  expect(run.stdout).toContain("booted from an installed package");
  expect(run.status).toBe(0);
});

test("the installed command serves the page of a machine's console", async () => {
  const start = spawnSync(anneau, ["startvm", "installed", "--type", "gui"], { env, encoding: "utf8" });
  const url = /http:\/\/127\.0\.0\.1:[0-9]+\/[^/]+\//.exec(start.stdout)?.[0] ?? "";
  try {
    expect(start.stderr).not.toContain("cannot be opened");
    for (const [name, text] of [
      ["", "<title>Anneau</title>"],
      ["style.css", "#screen"],
      ["console.js", "new RFB("],
      ["novnc/core/rfb.js", "export default class RFB"],
    ]) {
      const answer = await fetch(url + name);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain(text);
    }
  } finally {
    spawnSync(anneau, ["controlvm", "installed", "poweroff"], { env });
  }
});
