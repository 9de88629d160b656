/**
 * Debian packages without root and without touching the host: a private apt configuration per architecture inside the
 * media cache, with its own lists, package cache and (empty) dpkg status. Its sources are the host's own Debian
 * sources, limited to that architecture, or $ANNEAU_DEBIAN_MIRROR (the address of a Debian archive; suite bookworm).
 * From the host's apt settings only `Acquire` (proxies and the like) is taken over: hooks would act on the host.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AnneauError } from "../../src/base/errors.ts";
import { waitForLock } from "../../src/disk/owner-lock.ts";
import { mediaCacheFolder, runTool } from "./cache.ts";

export type DebianArchitecture = "i386" | "amd64";

const listsMaxAgeMs = 12 * 3_600_000;

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** The .deb in the cache. */
  readonly path: string;
}

export interface DebianSource {
  readonly version: string;
  /** The .dsc and the archives it names, in the cache. */
  readonly files: readonly string[];
}

export class PrivateApt {
  readonly architecture: DebianArchitecture;
  readonly #kind: "packages" | "sources";
  readonly #folder: string;
  readonly #lock: string;
  readonly #env: NodeJS.ProcessEnv;
  #updateFailure: Error | undefined;

  /** For packages of an architecture, or for the sources that packages are built from. */
  constructor(architecture: DebianArchitecture, kind: "packages" | "sources" = "packages") {
    this.architecture = architecture;
    this.#kind = kind;
    const name = kind === "packages" ? `apt-${architecture}` : `apt-${architecture}-sources`;
    this.#folder = join(mediaCacheFolder(), name);
    this.#lock = `${this.#folder}.lock`;
    this.#env = { APT_CONFIG: join(this.#folder, "apt.conf") };
  }

  /**
   * The sources whose lists could be fetched, in one-line form, for tools that run an apt of their own and give up on
   * the first source that fails; and the `Acquire` settings that go with them.
   */
  usableSources(): { readonly sources: string[]; readonly settings: string[] } {
    const lock = waitForLock(this.#lock, 1_800_000);
    try {
      this.#prepare();
      const format = ["--format", "$(REPO_URI) $(RELEASE)", "Identifier: Packages"];
      const fetched = new Set(
        this.#run("apt-get", ["indextargets", ...format])
          .split("\n")
          .map((line) => line.replace(/\/? /, " ")),
      );
      const sources = debianSources(this.architecture).filter((line) => {
        const [, uri, suite] = /^deb \[[^\]]*\] (\S+?)\/? (\S+) /.exec(line)!;
        const isFetched = fetched.has(`${uri} ${suite}`);
        if (!isFetched) console.error(`note: without ${uri} ${suite}, whose package lists could not be fetched`);
        return isFetched;
      });
      return { sources, settings: acquireSettings() };
    } finally {
      lock.release();
    }
  }

  /** Fetches the packages into the cache (those already there in the current version are kept) and returns them in order. */
  download(names: readonly string[]): DebianPackage[] {
    const lock = waitForLock(this.#lock, 1_800_000);
    try {
      this.#prepare();
      try {
        return this.#fetch(names);
      } catch {
        // The archive drops old versions: lists from yesterday may name files that are gone.
        this.#update();
        return this.#fetch(names);
      }
    } finally {
      lock.release();
    }
  }

  /** Fetches the source package (of kind "sources") into the cache. */
  downloadSource(name: string): DebianSource {
    const lock = waitForLock(this.#lock, 1_800_000);
    try {
      this.#prepare();
      try {
        return this.#fetchSource(name);
      } catch {
        this.#update();
        return this.#fetchSource(name);
      }
    } finally {
      lock.release();
    }
  }

  /** The value of a field (such as Depends) of the version that `download` would take. */
  field(name: string, field: string): string {
    const lock = waitForLock(this.#lock, 1_800_000);
    try {
      this.#prepare();
      const text = this.#run("apt-cache", ["show", "--no-all-versions", name]);
      const value = new RegExp(`^${field}: (.*)$`, "m").exec(text)?.[1];
      if (value === undefined) throw new AnneauError(`Debian package ${name} has no field ${field}`);
      return value;
    } finally {
      lock.release();
    }
  }

  #run(tool: string, args: string[], cwd?: string): string {
    return runTool(tool, args, { aptPackage: "apt", cwd, env: this.#env });
  }

  #fetch(names: readonly string[]): DebianPackage[] {
    const debs = join(this.#folder, "debs");
    // apt lists no address of a file that lies in its working folder already.
    const empty = join(this.#folder, "empty");
    const packages: DebianPackage[] = [];
    for (const name of names) {
      let answer: string;
      try {
        answer = this.#run("apt-get", ["download", "--print-uris", name], empty);
      } catch (error) {
        const why = this.#updateFailure ?? (error as Error);
        throw new AnneauError(`Debian package ${name} (${this.architecture}) is not available: ${why.message}`, {
          cause: error,
        });
      }
      const found = /^'[^']*' (\S+\.deb) (\d+)/m.exec(answer);
      if (!found) throw new AnneauError(`Debian package ${name} (${this.architecture}) is not in the archive's lists`);
      const path = join(debs, found[1]);
      if (!existsSync(path) || statSync(path).size !== Number(found[2])) this.#run("apt-get", ["download", name], debs);
      const version = runTool("dpkg-deb", ["--field", path, "Version"], { aptPackage: "dpkg" }).trim();
      packages.push({ name, version, path });
    }
    return packages;
  }

  #fetchSource(name: string): DebianSource {
    const folder = join(this.#folder, "debs");
    let answer: string;
    try {
      answer = this.#run("apt-get", ["source", "--print-uris", name], join(this.#folder, "empty"));
    } catch (error) {
      const why = this.#updateFailure ?? (error as Error);
      throw new AnneauError(`Debian source package ${name} is not available: ${why.message}`, { cause: error });
    }
    const files = [...answer.matchAll(/^'[^']*' (\S+) (\d+)/gm)].map(([, file, size]) => ({
      path: join(folder, file),
      size: Number(size),
    }));
    const description = files.find(({ path }) => path.endsWith(".dsc"));
    if (description === undefined) throw new AnneauError(`Debian source package ${name} is not in the archive's lists`);
    if (files.some(({ path, size }) => !existsSync(path) || statSync(path).size !== size))
      this.#run("apt-get", ["source", "--download-only", name], folder);
    const version = /^Version: (\S+)$/m.exec(readFileSync(description.path, "utf8"))?.[1];
    if (version === undefined) throw new AnneauError(`${description.path} names no version`);
    return { version, files: files.map(({ path }) => path) };
  }

  #prepare(): void {
    for (const name of [
      "etc/preferences.d",
      "etc/apt.conf.d",
      "state/lists/partial",
      "cache/archives/partial",
      "debs",
      "empty",
    ])
      mkdirSync(join(this.#folder, name), { recursive: true });
    writeFileSync(join(this.#folder, "state/status"), "", { flag: "a" });
    const settings = [
      ...acquireSettings(),
      `APT::Architecture "${this.architecture}";`,
      `APT::Architectures "${this.architecture}";`,
      // The sandbox user could not enter a folder that is private to this user.
      `APT::Sandbox::User "";`,
      `Dir "${this.#folder}/";`,
      `Dir::State "${this.#folder}/state/";`,
      `Dir::State::status "${this.#folder}/state/status";`,
      `Dir::Cache "${this.#folder}/cache/";`,
      `Dir::Etc "${this.#folder}/etc/";`,
      `Dir::Etc::trusted "/etc/apt/trusted.gpg";`,
      `Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d/";`,
      `Dir::Etc::netrc "/etc/apt/auth.conf";`,
      `Dir::Etc::netrcparts "/etc/apt/auth.conf.d/";`,
      "",
    ].join("\n");
    const lines = debianSources(this.architecture);
    const isSource = this.#kind === "sources";
    const sources = (isSource ? lines.map((line) => line.replace(/^deb /, "deb-src ")) : lines).join("\n") + "\n";
    writeFileSync(join(this.#folder, "apt.conf"), settings);
    const sourcesPath = join(this.#folder, "etc/sources.list");
    const isSame = existsSync(sourcesPath) && readFileSync(sourcesPath, "utf8") === sources;
    writeFileSync(sourcesPath, sources);
    const stamp = join(this.#folder, "updated");
    if (!isSame || !existsSync(stamp) || Date.now() - statSync(stamp).mtimeMs > listsMaxAgeMs) this.#update();
  }

  /** One archive of several may be in the middle of its own update: what matters is whether the packages are found. */
  #update(): void {
    try {
      this.#run("apt-get", ["update", "--error-on=any"]);
      this.#updateFailure = undefined;
      writeFileSync(join(this.#folder, "updated"), new Date().toISOString() + "\n");
    } catch (error) {
      this.#updateFailure = error as Error;
    }
  }
}

function acquireSettings(): string[] {
  return runTool("apt-config", ["dump"], { aptPackage: "apt" })
    .split("\n")
    .filter((line) => line.startsWith("Acquire::"));
}

/** The host's Debian sources as one-line entries for one architecture. */
function debianSources(architecture: DebianArchitecture): string[] {
  const mirror = process.env.ANNEAU_DEBIAN_MIRROR;
  if (mirror) {
    const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    if (!existsSync(keyring)) throw new AnneauError(`${keyring} is missing: apt-get install debian-archive-keyring`);
    return [`deb [arch=${architecture} signed-by=${keyring}] ${mirror} bookworm main`];
  }
  const lines: string[] = [];
  const add = (uris: string, suites: string, components: string, signedBy: string | undefined) => {
    for (const uri of uris.split(/\s+/)) {
      // Debian's own archives; third parties seldom build for i386.
      if (!/\/debian(-security)?\/?$/.test(uri)) continue;
      for (const suite of suites.split(/\s+/)) {
        const options = [`arch=${architecture}`, ...(signedBy ? [`signed-by=${signedBy}`] : [])];
        lines.push(`deb [${options.join(" ")}] ${uri} ${suite} ${components}`);
      }
    }
  };
  for (const path of sourceFiles()) {
    const text = readFileSync(path, "utf8");
    if (path.endsWith(".list")) {
      for (const line of text.split("\n")) {
        const found = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
        if (found) add(found[2], found[3], found[4].trim(), /signed-by=(\S+)/i.exec(found[1] ?? "")?.[1]);
      }
      continue;
    }
    for (const stanza of text.replace(/^#.*\n/gm, "").split(/\n\s*\n/)) {
      const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "im").exec(stanza)?.[1].trim();
      if (!/\bdeb\b/.test(field("Types") ?? "") || /^no$/i.test(field("Enabled") ?? "")) continue;
      const signedBy = field("Signed-By");
      add(
        field("URIs") ?? "",
        field("Suites") ?? "",
        field("Components") ?? "",
        signedBy?.startsWith("/") ? signedBy : undefined,
      );
    }
  }
  if (lines.length === 0)
    throw new AnneauError(
      "no Debian archive among this host's apt sources: set ANNEAU_DEBIAN_MIRROR to the address of one (suite bookworm)",
    );
  return lines;
}

function sourceFiles(): string[] {
  const parts = "/etc/apt/sources.list.d";
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  return [
    "/etc/apt/sources.list",
    ...names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(parts, name)),
  ].filter((path) => existsSync(path));
}

/** Unpacks a package's files below `folder`. */
export function unpackDeb(debianPackage: DebianPackage, folder: string): void {
  mkdirSync(folder, { recursive: true });
  runTool("dpkg-deb", ["--extract", debianPackage.path, folder], { aptPackage: "dpkg" });
}
