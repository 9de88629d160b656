/**
 * Who may talk to the web console: whoever knows the token, from a page that this server gave out. The token is part of
 * every path; a browser's Host and Origin headers must name this server, so that no other page can talk to it, not even
 * one whose name resolves to this host (DNS rebinding).
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export type Verdict =
  | { readonly isAllowed: true /** What follows the token, beginning with a slash. */; readonly path: string }
  | { readonly isAllowed: false; readonly status: 403 | 404 };

const hash = (text: string) => createHash("sha256").update(text).digest();

export class Access {
  readonly #token: Buffer;
  readonly #hosts: ReadonlySet<string>;

  /** `port` is where the server listens on 127.0.0.1. */
  constructor(token: string, port: number) {
    this.#token = hash(token);
    this.#hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  }

  judge(url: string, headers: IncomingHttpHeaders): Verdict {
    const { host, origin } = headers;
    if (host === undefined || !this.#hosts.has(host.toLowerCase())) return { isAllowed: false, status: 403 };
    if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)
      return { isAllowed: false, status: 403 };
    // Modern browsers say so themselves when another site is behind a request.
    const site = headers["sec-fetch-site"];
    if (
      site !== undefined &&
      !["same-origin", "none"].includes(String(site)) &&
      headers["sec-fetch-mode"] !== "navigate"
    )
      return { isAllowed: false, status: 403 };
    const match = /^\/([A-Za-z0-9_-]{1,128})(\/[^?#]*)?(?:[?#].*)?$/.exec(url);
    // Hashes have one length: what is compared takes the same time for every token.
    if (match === null || !timingSafeEqual(hash(match[1]), this.#token)) return { isAllowed: false, status: 404 };
    return { isAllowed: true, path: match[2] ?? "" };
  }
}
