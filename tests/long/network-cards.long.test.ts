/**
 * Every card with Linux's own driver on NAT, full sizes: a lease, 100 MB down and 100 MB up with checksums, 1,000 short connections one
 * after the other, 50 at once.
 */
import { beforeAll, expect, test } from "vitest";
import { nicModels } from "../../src/spec/machine-spec.ts";
import { httpServer, netGuestMedia, patternBytes, sha256 } from "../guests/net-guest.ts";
import { RunGuest } from "../guests/run-guest.ts";
import { report, secondsSince } from "./figures.ts";

const BYTES = 100_000_000;
const CONNECTIONS = 1000;
const PARALLEL = 50;
const PARALLEL_BYTES = 200_000;
const PATIENCE_MS = 3 * 3_600_000;

let media: string;
beforeAll(async () => {
  media = await netGuestMedia();
});

test.each(nicModels)(
  "%s: 100 MB each way, 1,000 connections, 50 at once",
  async (model) => {
    const server = await httpServer();
    const guest = new RunGuest(
      ...["--memory=128", `--kernel=${media}/vmlinuz`, `--initrd=${media}/initrd.gz`],
      "--append=console=ttyS0,115200 quiet panic=0 net.ifnames=0 cryptomgr.notests",
      `--nic=${model},host-loopback`,
    );
    await guest.says(/ANNEAU-GUEST-READY/);
    await guest.says("# ");
    /** Runs it behind the shell's back, for nobody waits that long for one command; what it printed and how long it took. */
    const run = async (command: string): Promise<{ readonly printed: string; readonly seconds: number }> => {
      const startMs = performance.now();
      await guest.shell(`rm -f /tmp/done; ( { { ${command}; } > /tmp/out 2>&1; echo $? > /tmp/done; } & )`);
      let status = "";
      while (status === "") {
        await new Promise((done) => setTimeout(done, 1000));
        status = (await guest.shell("cat /tmp/done 2> /dev/null || true")).trim().split("\n").at(-1) ?? "";
        if (!/^\d+$/.test(status)) status = "";
      }
      const printed = await guest.shell("cat /tmp/out");
      expect([status, printed]).toEqual(["0", printed]);
      return { printed, seconds: secondsSince(startMs) };
    };
    await guest.shell(
      "printf '#!/bin/sh\\n[ $1 = bound ] && ifconfig $interface $ip netmask $subnet && echo $ip > /tmp/ip\\ntrue\\n' > /tmp/s; chmod +x /tmp/s; ip link set eth0 up",
    );
    await guest.shell("udhcpc -i eth0 -n -q -t 10 -s /tmp/s");
    expect(await guest.shell("cat /tmp/ip")).toBe("10.0.2.15\n");
    const url = `http://10.0.2.2:${server.port}`;

    const down = await run(`wget -q -O - ${url}/${BYTES} | sha256sum`);
    expect(down.printed).toBe(`${sha256(patternBytes(BYTES))}  -\n`);
    const request = `PUT / HTTP/1.0\\r\\nContent-Length: ${BYTES}\\r\\n\\r\\n`;
    const up = await run(`(printf '${request}'; head -c ${BYTES} /dev/zero) | nc 10.0.2.2 ${server.port} | tail -n 1`);
    expect(up.printed).toBe(`${sha256(new Uint8Array(BYTES))}\n`);
    const before = server.requests;
    const short = await run(
      `i=0; while [ $i -lt ${CONNECTIONS} ]; do wget -q -O /dev/null ${url}/10 || break; i=$((i+1)); done; echo $i`,
    );
    expect([short.printed, server.requests - before]).toEqual([`${CONNECTIONS}\n`, CONNECTIONS]);
    const parallel = await run(
      `for i in $(seq ${PARALLEL}); do wget -q -O - ${url}/${PARALLEL_BYTES} | sha256sum > /tmp/p$i & done; wait; cat /tmp/p* | sort | uniq -c`,
    );
    expect(parallel.printed).toMatch(new RegExp(`^ *${PARALLEL} ${sha256(patternBytes(PARALLEL_BYTES))}  -$`, "m"));
    report(`network-${model}`, {
      downMBps: Math.round((BYTES / 1e6 / down.seconds) * 10) / 10,
      upMBps: Math.round((BYTES / 1e6 / up.seconds) * 10) / 10,
      connectionsPerSecond: Math.round(CONNECTIONS / short.seconds),
      parallelSeconds: parallel.seconds,
    });
  },
  PATIENCE_MS,
);
