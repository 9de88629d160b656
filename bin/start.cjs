// Loads the command line: dist/ when built and not older than a checkout's sources, else src/ directly.
"use strict";

const fs = require("node:fs");
const module_ = require("node:module");
const path = require("node:path");

module.exports = function start(program, args) {
  delete process.env.ANNEAU_NODE_TRIED;
  if (args[0] === "run") restartFrugally();
  // Compiled code is kept between runs, which takes about a third off the start.
  module_.enableCompileCache?.();
  const root = path.dirname(__dirname);
  const built = path.join(root, "dist", "cli", "main.js");
  const entry = isCurrent(built, path.join(root, "src")) ? built : path.join(root, "src", "cli", "main.ts");
  return require(entry).main(program, args);
};

/**
 * A machine that runs in this process: the C library would give each of its threads memory of its own and keep what they free, some
 * hundred megabytes. It reads that from the environment at start only, so the process replaces itself once.
 */
function restartFrugally() {
  const frugal = require("./memory.json");
  const isSet = Object.keys(frugal).every((name) => process.env[name] !== undefined);
  if (process.platform !== "linux" || isSet || process.execve === undefined) return;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
      ...frugal,
      ...process.env,
    });
  } catch {
    // Then with more memory.
  }
  process.emitWarning = emitWarning;
}

/** Whether the build exists and no source is newer (an installed package has none but the console's page). */
function isCurrent(built, sources) {
  const builtAt = fs.statSync(built, { throwIfNoEntry: false })?.mtimeMs;
  if (builtAt === undefined) return false;
  if (!fs.existsSync(path.join(sources, "cli"))) return true;
  return fs
    .readdirSync(sources, { recursive: true })
    .every((name) => !name.endsWith(".ts") || fs.statSync(path.join(sources, name)).mtimeMs <= builtAt);
}
