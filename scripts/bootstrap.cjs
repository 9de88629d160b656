/**
 * Entry of the npm scripts that must work on a clean clone with any Node: installs what is missing (npm packages; for
 * tests Debian packages), then runs the real thing under the Node that the `node` package brings.
 *
 *   node scripts/bootstrap.cjs test | test-long | quickstart | bench [arguments]
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { existsSync, mkdirSync } = require("node:fs");
const path = require("node:path");

const root = path.resolve(__dirname, "..");
const bin = path.join(root, "node_modules", ".bin");

/** Debian packages by the program or file that shows they are there. */
const forTests = [
  ["/usr/bin/qemu-system-i386", "qemu-system-x86"],
  ["/usr/bin/qemu-img", "qemu-utils"],
  ["/usr/bin/nasm", "nasm"],
  ["/usr/bin/gcc", "gcc"],
  ["/usr/include/gnu/stubs-32.h", "libc6-dev-i386"],
  ["/usr/lib/gcc/x86_64-linux-gnu/12/32/libgcc.a", "gcc-multilib"],
  ["/usr/bin/xorriso", "xorriso"],
  ["/usr/bin/mcopy", "mtools"],
  ["/usr/sbin/mke2fs", "e2fsprogs"],
  ["/usr/sbin/mkfs.vfat", "dosfstools"],
  ["/usr/bin/mmdebstrap", "mmdebstrap"],
  ["/usr/bin/iasl", "acpica-tools"],
  ["/usr/sbin/dmidecode", "dmidecode"],
  ["/usr/bin/bochs", "bochs"],
  ["/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so", "bochs-term"],
  ["/usr/share/bochs/BIOS-bochs-latest", "bochsbios"],
  ["/usr/share/vgabios/vgabios.bin", "vgabios"],
  ["/usr/share/seabios/bios-256k.bin", "seabios"],
  ["/usr/bin/wasm-validate", "wabt"],
  ["/usr/bin/tcpdump", "tcpdump"],
  ["/usr/bin/socat", "socat"],
  ["/usr/sbin/ip", "iproute2"],
  ["/usr/bin/dpkg-deb", "dpkg"],
  ["/usr/bin/vncviewer", "tigervnc-viewer"],
  ["/usr/bin/Xvfb", "xvfb"],
  ["/usr/bin/xdotool", "xdotool"],
  ["/usr/bin/chromium", "chromium"],
];
/** For the tests that take long, beside those above. */
const forLongTests = [
  ["/usr/sbin/apt-cacher-ng", "apt-cacher-ng"],
  ["/usr/bin/ssh", "openssh-client"],
];
const forQuickstart = [["/usr/bin/dpkg-deb", "dpkg"]];

function fail(text) {
  console.error(`anneau: ${text}`);
  process.exit(1);
}

function run(program, args, options = {}) {
  const result = spawnSync(program, args, { stdio: "inherit", cwd: root, ...options });
  if (result.error) fail(`${program}: ${result.error.message}`);
  return result.status === null ? 1 : result.status;
}

function need(packages) {
  if (process.platform !== "linux") return;
  const missing = packages.filter(([file]) => !existsSync(file)).map(([, name]) => name);
  if (missing.length === 0) return;
  const isRoot = typeof process.getuid === "function" && process.getuid() === 0;
  if (!isRoot || !existsSync("/usr/bin/apt-get")) fail(`missing Debian packages; install them with: apt-get install ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-q"], { env, stdio: ["ignore", "ignore", "inherit"] });
  if (run("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...missing], { env, stdio: ["ignore", "ignore", "inherit"] }) !== 0)
    fail(`could not install: apt-get install ${missing.join(" ")}`);
}

/** Containers come without it, and let their root make it. Where that fails the tests that need it say so. */
function makeTunDevice() {
  if (process.platform !== "linux" || process.getuid() !== 0 || existsSync("/dev/net/tun")) return;
  mkdirSync("/dev/net", { recursive: true });
  spawnSync("mknod", ["-m", "666", "/dev/net/tun", "c", "10", "200"], { stdio: "ignore" });
}

function packages() {
  const { dependencies, devDependencies } = require(path.join(root, "package.json"));
  const needed = Object.keys({ ...dependencies, ...devDependencies });
  if (needed.every((name) => existsSync(path.join(root, "node_modules", name)))) return;
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"];
  if (run(npm[0], [...npm.slice(1), "ci", "--no-audit", "--no-fund"]) !== 0) fail("npm ci failed");
}

const [command, ...rest] = process.argv.slice(2);
packages();
const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` };
const node = path.join(bin, "node");
switch (command) {
  case "test":
  case "test-long": {
    need(command === "test" ? forTests : [...forTests, ...forLongTests]);
    makeTunDevice();
    const projects = command === "test" ? ["unit", "system"] : ["long"];
    const steps = [
      [path.join(bin, "biome"), ["check", "."]],
      [path.join(bin, "tsc"), []],
      [path.join(bin, "tsc"), ["-p", "tsconfig.page.json"]],
      [node, ["scripts/check-layers.ts"]],
      [node, ["scripts/check-docs-links.ts"]],
      [path.join(bin, "tsc"), ["-p", "tsconfig.build.json"]],
      [node, [path.join(root, "node_modules/vitest/vitest.mjs"), "run", ...projects.flatMap((name) => ["--project", name]), ...rest]],
    ];
    for (const [program, args] of steps) {
      const status = run(program, args, { env });
      if (status !== 0) process.exit(status);
    }
    break;
  }
  case "quickstart":
    need(forQuickstart);
    if (run(path.join(bin, "tsc"), ["-p", "tsconfig.build.json"], { env }) !== 0) fail("the build failed");
    process.exit(run(node, ["scripts/quickstart.ts", ...rest], { env }));
    break;
  case "bench":
    need(forTests);
    process.exit(run(node, ["bench/run.ts", ...rest], { env }));
    break;
  default:
    fail("usage: bootstrap.cjs test | test-long | quickstart | bench");
}
