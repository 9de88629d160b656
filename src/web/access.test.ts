import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { Access } from "./access.ts";
import { loadToken, storeToken } from "./token.ts";

const token = "A".repeat(20) + "-_".repeat(11) + "b";
const access = new Access(token, 8080);
const host = "127.0.0.1:8080";

test("the token in the path, from this host's names", () => {
  expect(access.judge(`/${token}/state`, { host })).toEqual({ isAllowed: true, path: "/state" });
  expect(access.judge(`/${token}/?x=1`, { host: "LOCALHOST:8080" })).toEqual({ isAllowed: true, path: "/" });
  expect(access.judge(`/${token}`, { host })).toEqual({ isAllowed: true, path: "" });
  expect(access.judge(`/${token}/rfb`, { host, origin: `http://${host}` }).isAllowed).toBe(true);
});

test("everything else is refused, a wrong host before the token counts", () => {
  const refused = (url: string, headers: Record<string, string | undefined>) => access.judge(url, headers);
  for (const url of [
    "/",
    "",
    "/x",
    `/${token.slice(1)}/`,
    `/${token}x/`,
    `//${token}/`,
    "/%41",
    `/${token.toLowerCase()}/`,
  ])
    expect(refused(url, { host })).toEqual({ isAllowed: false, status: 404 });
  for (const other of [undefined, "", "evil.example:8080", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8080"])
    expect(refused(`/${token}/`, { host: other })).toEqual({ isAllowed: false, status: 403 });
  for (const origin of ["http://evil.example", "null", "https://127.0.0.1:8080", "http://localhost:8080", ""])
    expect(refused(`/${token}/`, { host, origin })).toEqual({ isAllowed: false, status: 403 });
  const crossSite = { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
  expect(refused(`/${token}/screenshot.png`, crossSite)).toEqual({ isAllowed: false, status: 403 });
});

test("no noise is let in", () => {
  const random = seededRandom(6);
  for (let i = 0; i < 20_000; i++) {
    const noise = Array.from({ length: random(80) }, () => String.fromCharCode(32 + random(96))).join("");
    expect(access.judge(`/${noise}`, { host }).isAllowed).toBe(false);
  }
});

test("the token's file is the owner's alone, and counts only then", () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-token-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "x.token");
  const fresh = loadToken(path);
  expect(fresh).toMatchObject({ port: 0, token: expect.stringMatching(/^[\w-]{43}$/) });
  expect(loadToken(path).token).not.toBe(fresh.token);
  storeToken(path, { ...fresh, port: 4711 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(loadToken(path)).toEqual({ ...fresh, port: 4711 });
  chmodSync(path, 0o644);
  expect(loadToken(path).token).not.toBe(fresh.token);
  storeToken(path, fresh);
  const link = join(folder, "y.token");
  symlinkSync(path, link);
  expect(loadToken(link).token).not.toBe(fresh.token);
  storeToken(link, { token: fresh.token, port: 1 });
  expect(readFileSync(path, "latin1")).toBe(`${fresh.token} 0\n`);
  writeFileSync(path, "nonsense");
  expect(loadToken(path).token).not.toBe(fresh.token);
});
