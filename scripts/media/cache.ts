/**
 * Where guest media live and how they get there: a cache folder ($ANNEAU_MEDIA_CACHE, else build/media in the
 * repository) with one folder per product. A product is built in a scratch folder beside it and put in place by one
 * rename, under a lock, so that scripts may run twice or side by side and a reader never meets half a product.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { AnneauError } from "../../src/base/errors.ts";
import { waitForLock } from "../../src/disk/owner-lock.ts";

/** Absolute path of the cache folder; it is created when missing. */
export function mediaCacheFolder(): string {
  const folder = process.env.ANNEAU_MEDIA_CACHE
    ? resolve(process.env.ANNEAU_MEDIA_CACHE)
    : resolve(import.meta.dirname, "../../build/media");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** What went into a product: package names to versions, and free facts; written as `versions.json` beside the files. */
export interface ProductVersions {
  readonly recipe: string;
  readonly packages: Readonly<Record<string, string>>;
}

/**
 * Returns the folder of product `name`, building it first when it is missing or was made from another `recipeText` (any
 * string that changes whenever the script would make something else; its hash is kept). `build` fills the given scratch folder and returns the
 * package versions that went in. Packages are not looked up again for a product that is already there: remove its
 * folder, or pass `refresh`, to take newer ones.
 */
export async function cachedProduct(
  name: string,
  recipeText: string,
  build: (scratchFolder: string) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>,
  refresh = false,
): Promise<string> {
  const cache = mediaCacheFolder();
  const folder = join(cache, name);
  const recipe = createHash("sha256").update(recipeText).digest("hex").slice(0, 16);
  if (!refresh && recipeOf(folder) === recipe) return folder;
  const lock = waitForLock(join(cache, `${name}.lock`), 3_600_000);
  const scratch = mkdtempSync(join(cache, `.${name}-`));
  try {
    if (!refresh && recipeOf(folder) === recipe) return folder;
    chmodSync(scratch, 0o755);
    const packages = await build(scratch);
    const versions: ProductVersions = { recipe, packages };
    writeFileSync(join(scratch, "versions.json"), JSON.stringify(versions, null, 2) + "\n");
    const previous = `${scratch}.old`;
    if (existsSync(folder)) renameSync(folder, previous);
    renameSync(scratch, folder);
    rmSync(previous, { recursive: true, force: true });
    return folder;
  } finally {
    lock.release();
    try {
      rmSync(scratch, { recursive: true, force: true });
    } catch {
      console.error(`note: cannot remove ${scratch}`);
    }
  }
}

function recipeOf(folder: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, "versions.json"), "utf8")) as ProductVersions).recipe;
  } catch {
    return undefined;
  }
}

/**
 * Runs a tool and returns what it printed. A missing tool is one line that names the Debian package it comes from; a
 * failing one is one line with the first telling line of what it said.
 */
export function runTool(
  tool: string,
  args: readonly string[],
  options: {
    readonly aptPackage: string;
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly input?: string;
  },
): string {
  try {
    return execFileSync(tool, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: "C", PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...options.env },
      input: options.input ?? "",
      encoding: "utf8",
      maxBuffer: 256 << 20,
      stdio: ["pipe", "pipe", "pipe"],
    });
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stderr?: string; status?: number };
    if (failure.code === "ENOENT")
      throw new AnneauError(`${tool} is missing: apt-get install ${options.aptPackage}`, { cause: error });
    const lines = (failure.stderr ?? "")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    const telling = lines.find((line) => /^E:|error|cannot|failed/i.test(line)) ?? lines.at(-1);
    throw new AnneauError(`${tool} ${args[0] ?? ""} failed (${failure.status}): ${telling ?? "it said nothing"}`, {
      cause: error,
    });
  }
}

/** Runs a script's main function; a failure is one line on stderr and exit code 1. */
export async function runScript(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof AnneauError ? error.message : error);
    process.exitCode = 1;
  }
}
