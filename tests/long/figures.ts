/** What a long test measured: printed, and kept in build/long/NAME.json. */
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

export function report(name: string, figures: Readonly<Record<string, number | string>>): void {
  const folder = resolve(import.meta.dirname, "../../build/long");
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${name}.json`, JSON.stringify(figures, undefined, 2) + "\n");
  console.log(
    `${name}: ${Object.entries(figures)
      .map(([what, value]) => `${what} ${value}`)
      .join(", ")}`,
  );
}

/** Seconds since `startMs` (performance.now), whole. */
export const secondsSince = (startMs: number): number => Math.round((performance.now() - startMs) / 1000);
