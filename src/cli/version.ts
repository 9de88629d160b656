/** Versions the program tells. Called as VBoxManage it speaks VirtualBox 7.0's interface and says so. */
import { readFileSync } from "node:fs";

/** What clients parse: major.minor.build, our mark, and the revision of the interface. */
export const interfaceVersion = "7.0.20_Anneaur163906";

/** Anneau's own version. */
export function ownVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
