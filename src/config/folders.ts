/**
 * Where things lie. The registry is ours: `$VBOX_USER_HOME`, else the platform's configuration folder for `anneau`;
 * never a real VirtualBox's default folder. VM folders are VirtualBox's: `<home>/VirtualBox VMs`.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The folder of VirtualBox.xml. */
export function configurationFolder(): string {
  const chosen = process.env.VBOX_USER_HOME;
  if (chosen) return resolve(chosen);
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "anneau");
  if (process.platform === "win32") return join(process.env.APPDATA ?? join(homedir(), "AppData", "Roaming"), "anneau");
  const base = process.env.XDG_CONFIG_HOME;
  return base?.startsWith("/") ? join(base, "anneau") : join(homedir(), ".config", "anneau");
}

export function defaultMachineFolder(): string {
  return join(homedir(), "VirtualBox VMs");
}

/** A VM or group name as a file name: VirtualBox replaces what is not safe on every platform. */
export function safeFileName(name: string): string {
  // Control characters, path separators and what Windows forbids; a leading dot would hide the folder, trailing dots
  // and spaces get lost there.
  const safe = name.replace(/[\0-\x1f\x7f/\\:*?"<>|]/g, "_").replace(/^[. -]|[. ]+$/g, "_");
  return safe === "" ? "_" : safe;
}

/** `/dev/...` platform suffix of a settings file's version. */
export function platformSuffix(): string {
  const names: Record<string, string> = {
    darwin: "macosx",
    win32: "windows",
    sunos: "solaris",
    freebsd: "freebsd",
  };
  return names[process.platform] ?? "linux";
}
