/**
 * The benchmark's programs, at a small share of their size: natively they give the results written down here, and on Anneau the
 * same as natively.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { BenchGuest } from "../../bench/guest.ts";
import { kernels } from "../../bench/kernels.ts";
import { type GuestFiles, makePeers } from "../../bench/peers.ts";
import { prepareGuest } from "../../bench/suite.ts";

const PERMILLE = 4;
const PATIENCE_S = 300;

let folder: string;
let files: GuestFiles;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "anneau-bench-test-"));
  files = await prepareGuest(kernels, folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function results(peerName: string, permille: number): Promise<Record<string, string>> {
  const [peer] = makePeers([peerName], { anneau: [], anneauFlags: [] });
  const guest = new BenchGuest(peer.startKernels(files));
  onTestFinished(() => guest.kill());
  await guest.says(/BENCH-READY\r?\n/, PATIENCE_S);
  const found: Record<string, string> = {};
  for (const { name } of kernels) found[name] = (await guest.run(name, permille, PATIENCE_S)).result;
  return found;
}

/** At PERMILLE; those of Debian's applications depend on the versions of the packages. */
const expected: Record<string, string> = {
  integer: "2ecd6c92",
  integer64: "640e7d8c",
  branchy: "c5785f82",
  indirect: "5c632155",
  bytecode: "00390bc6",
  recursive: "43380be8",
  "loads-stores": "d7ba743a",
  "pointer-chase": "e0c0e6e3",
  memcpy: "1302a120",
  "rep-strings": "6997fa30",
  x87: "1b889fa1",
  "x87-functions": "e575c5b8",
  "sse2-scalar": "5b0afe07",
  "sse2-packed": "c0d63c3b",
  mmx: "950b8ac3",
  "syscall-int80": "00000640",
  "syscall-sysenter": "00000fa0",
  pipe: "22103901",
  fork: "dbd50c10",
  "fork-exec": "0000002a",
  "page-faults": "4f3a3220",
  "self-modifying": "1e22d580",
  generated: "3c65797e",
  once: "fea96976",
};

test("natively, the programs print the results that they always printed", async () => {
  const native = await results("native", PERMILLE);
  expect(Object.fromEntries(Object.entries(native).filter(([name]) => name in expected))).toEqual(expected);
  expect(native).toEqual(await results("native", PERMILLE));
});

test("the result depends on all the work", async () => {
  const small = await results("native", PERMILLE);
  const large = await results("native", 500);
  expect(kernels.filter(({ name }) => small[name] === large[name])).toEqual([]);
});

for (const peer of ["anneau", "anneau-interpreter"])
  test(`${peer}: every program's result is the host's`, async () => {
    expect(await results(peer, PERMILLE)).toEqual(await results("native", PERMILLE));
  });

test("a program that fails or is not there is an error, and the next one runs", async () => {
  const [native] = makePeers(["native"], { anneau: [], anneauFlags: [] });
  const guest = new BenchGuest(native.startKernels(files));
  onTestFinished(() => guest.kill());
  await expect(guest.run("no-such-program", PERMILLE, 10)).rejects.toThrow("ended with status 32512");
  expect((await guest.run("integer", PERMILLE, 10)).result).toBe(expected.integer);
  await guest.powerOff(10);
  await expect(guest.run("integer", PERMILLE, 10)).rejects.toThrow("ended");
});
