/**
 * The files that the page is made of: its own, and noVNC's modules from the npm package. All of them are listed when the
 * server starts; a request can name one of the list and nothing else.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { AnneauError } from "../base/errors.ts";

export interface PageFile {
  readonly contentType: string;
  read(): Uint8Array | string;
}

const javaScript = "text/javascript; charset=utf-8";

/** By path below the token: `/`, `/console.js`, `/novnc/core/rfb.js` … */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  const page = pageFolder();
  const text = (name: string, contentType: string) => ({ contentType, read: () => readFileSync(join(page, name)) });
  files.set("/", text("index.html", "text/html; charset=utf-8"));
  files.set("/style.css", text("style.css", "text/css; charset=utf-8"));
  for (const name of ["console", "elements", "keys", "sound", "player"]) {
    files.set(`/${name}.js`, {
      contentType: javaScript,
      // Types are all that separates the page's scripts from what a browser runs.
      read: () => stripTypeScriptTypes(readFileSync(join(page, `${name}.ts`), "utf8")),
    });
  }
  const novnc = novncFolder();
  for (const folder of ["core", "vendor"]) {
    for (const name of readdirSync(join(novnc, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".js")) continue;
      const path = join(novnc, folder, name);
      files.set(`/novnc/${relative(novnc, path).split(sep).join("/")}`, {
        contentType: javaScript,
        read: () => readFileSync(path),
      });
    }
  }
  return files;
}

/** The same files serve the program run from its sources and from `dist/`. */
function pageFolder(): string {
  const beside = resolve(import.meta.dirname, "page");
  return existsSync(join(beside, "index.html")) ? beside : resolve(import.meta.dirname, "../../src/web/page");
}

function novncFolder(): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve("@novnc/novnc")));
  } catch (error) {
    throw new AnneauError("the web console needs the npm package @novnc/novnc: npm ci", { cause: error });
  }
}
