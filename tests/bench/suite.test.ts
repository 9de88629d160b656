/** The benchmark's rounds and its table, with peers that are shell scripts: what they answer is known. */
import { expect, test } from "vitest";
import { selectKernels } from "../../bench/kernels.ts";
import { makePeers, type Peer } from "../../bench/peers.ts";
import { Report } from "../../bench/report.ts";
import { runSuite, type SuiteResult } from "../../bench/suite.ts";

const kernels = selectKernels(["integer", "pipe"]);

/** Answers as bench/guest/init.c does; `answer` is shell, between the marks, with the kernel's name in $name. */
function scripted(name: string, answer: string, result = "cafe"): Peer {
  const loop = `echo BENCH-READY; while read -r name size; do
    printf 'BEGIN %s\\n<' "$name"; ${answer}; printf '> %s 0.5 ${result} 0\\n' "$name"; done`;
  return { name, startKernels: () => ({ program: "/bin/sh", args: ["-c", loop] }) };
}

const run = (peers: readonly Peer[], rounds = 2): Promise<SuiteResult> =>
  runSuite({ kernels, peers, rounds, permille: 1, patienceSeconds: 20 });

test("each kernel is measured once a round on each peer, by the host's clock", async () => {
  const count = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
  const { measurements, failures } = await run([scripted("sleeps", "sleep 0.3"), scripted("computes", count)]);
  expect(failures).toEqual([]);
  const sleeps = measurements.get("sleeps")!.get("pipe")!;
  expect(sleeps).toHaveLength(2);
  expect(sleeps[1]).toMatchObject({ guestSeconds: 0.5, result: "cafe" });
  for (const one of [...sleeps, ...measurements.get("computes")!.get("integer")!]) {
    expect(one!.wallSeconds).toBeCloseTo((one!.endUs - one!.startUs) / 1e6);
    expect(one!.cpuSeconds).toBeGreaterThanOrEqual(0);
  }
});

test("a result that differs is said, with who has it", async () => {
  const { failures } = await run([scripted("one", ":"), scripted("other", ":", "beef")], 1);
  expect(failures).toEqual([
    "integer: different results: cafe (one), beef (other)",
    "pipe: different results: cafe (one), beef (other)",
  ]);
});

test("a peer that dies in a kernel is started again for the next one", async () => {
  const { measurements, failures } = await run([scripted("fragile", '[ "$name" = integer ] && exit')], 1);
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatch(/^fragile, integer, round 1: ended/);
  expect(measurements.get("fragile")!.get("integer")).toEqual([undefined]);
  expect(measurements.get("fragile")!.get("pipe")![0]?.result).toBe("cafe");
});

test("the table: medians, ratios to QEMU within a round, geometric means", () => {
  const times = {
    "qemu-x86_64": { integer: [1, 2, 3], pipe: [1, 1, 1] },
    anneau: { integer: [2, 2, 3], pipe: [4, 4, 9] },
  };
  const measurements = new Map(
    Object.entries(times).map(([peer, byKernel]) => [
      peer,
      new Map(
        Object.entries(byKernel).map(([name, seconds]) => [
          name,
          seconds.map((n) => ({ wallSeconds: n, cpuSeconds: 1, guestSeconds: n, result: "0", startUs: 0, endUs: 0 })),
        ]),
      ),
    ]),
  );
  const peers = makePeers(["anneau", "qemu-x86_64"], { anneau: [], anneauFlags: [] });
  const report = new Report(kernels, peers, { measurements, peakRssMiB: new Map(), failures: [] });
  expect(report.table().split("\n")).toEqual([
    "|  | anneau | qemu-x86_64 |",
    "| --- | --: | --: |",
    "| integer | 2.00 / 1.00 (1.00 / 1.00) | 2.00 / 1.00 |",
    "| pipe | 4.00 / 1.00 (4.00 / 1.00) | 1.00 / 1.00 |",
    "| **all, geometric mean** | **2.00 / 1.00** | **1.00 / 1.00** |",
  ]);
});

test("builds of Anneau are told apart by their labels or folders; unknown names are refused", () => {
  const builds = ["before=/a/bin/anneau", "/somewhere/clone/bin/anneau"];
  const peers = makePeers(["anneau", "native"], { anneau: builds, anneauFlags: ["--statistics"] });
  expect(peers.map(({ name }) => name)).toEqual(["anneau before", "anneau clone", "native"]);
  const guest = { kernel: "k", initrd: "i", append: "a b", memoryMiB: 64 };
  const { args } = peers[0].startKernels({ guest, root: "r" });
  expect(args).toEqual(expect.arrayContaining(["/a/bin/anneau", "run", "--append", "a b", "--statistics"]));
  expect(() => makePeers(["bochs"], { anneau: [], anneauFlags: [] })).toThrow("no peer bochs; there are anneau,");
  expect(() => selectKernels(["integer", "nonsense"])).toThrow("no kernel nonsense");
});
