/**
 * A guest on the network with the stock driver of each card, all cards in one guest, each on a NAT of its own: lease, ping,
 * download and upload with checksums, many connections one after the other and at once, cable out and in, nothing to
 * complain about in the kernel's log. And two guests on an internal network.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { nicModels } from "../../src/spec/machine-spec.ts";
import { httpServer, NetGuest, netGuestMedia, patternBytes, sha256 } from "./net-guest.ts";

const DOWNLOAD_BYTES = 4_000_000;
const UPLOAD_BYTES = 2_000_000;
const CONNECTIONS = 60;
const PARALLEL = 12;

let media: string;
beforeAll(async () => {
  media = await netGuestMedia();
});

test("each card: lease, ping, transfers, connections, cable", async () => {
  const server = await httpServer();
  const guest = await NetGuest.boot(
    media,
    nicModels.map((model) => `${model},host-loopback`),
  );
  await guest.shell(
    "printf '#!/bin/sh\\n[ $1 = bound ] && ifconfig $interface $ip netmask $subnet && echo $ip $router > /tmp/lease\\ntrue\\n' > /tmp/s; chmod +x /tmp/s",
  );
  for (const [nic, model] of nicModels.entries()) {
    const name = await guest.interfaceOf(nic);
    expect(name, model).toMatch(/^eth[0-9]$/);
    const gateway = `10.0.${nic + 2}.2`;
    const url = `http://${gateway}:${server.port}`;
    await guest.shell(`ip link set ${name} up`);
    await guest.shell(`udhcpc -i ${name} -n -q -t 10 -s /tmp/s`);
    expect(await guest.shell("cat /tmp/lease"), model).toBe(`10.0.${nic + 2}.15 ${gateway}\n`);
    expect(await guest.shell(`ping -c 3 ${gateway}`), model).toContain("3 packets received");

    const expected = sha256(patternBytes(DOWNLOAD_BYTES));
    expect(await guest.shell(`wget -q -O - ${url}/${DOWNLOAD_BYTES} | sha256sum`), model).toBe(`${expected}  -\n`);
    const request = `PUT / HTTP/1.0\\r\\nContent-Length: ${UPLOAD_BYTES}\\r\\n\\r\\n`;
    const upload = `(printf '${request}'; head -c ${UPLOAD_BYTES} /dev/zero) | nc ${gateway} ${server.port} | tail -n 1`;
    expect(await guest.shell(upload), model).toBe(`${sha256(new Uint8Array(UPLOAD_BYTES))}\n`);

    const before = server.requests;
    await guest.shell(
      `i=0; while [ $i -lt ${CONNECTIONS} ]; do wget -q -O /dev/null ${url}/10 || break; i=$((i+1)); done`,
    );
    expect(server.requests - before, model).toBe(CONNECTIONS);
    const several = `for i in $(seq ${PARALLEL}); do wget -q -O - ${url}/50000 | sha256sum > /tmp/p$i & done; wait; cat /tmp/p* | sort | uniq -c`;
    const same = sha256(patternBytes(50_000));
    expect((await guest.shell(several)).split("\n").at(-2), model).toMatch(new RegExp(`^ *${PARALLEL} ${same}  -$`));

    // Without a cable a frame is lost for want of a carrier, which drivers count; with one none is.
    expect(await guest.shell(`cat /sys/class/net/${name}/statistics/tx_errors`), model).toBe("0\n");
    await guest.setCable(nic, false);
    await guest.shell(`until [ "$(cat /sys/class/net/${name}/carrier)" = 0 ]; do sleep 1; done`);
    expect((await guest.command(`ping -c 1 -W 2 ${gateway}`)).status, model).toBe(1);
    await guest.setCable(nic, true);
    await guest.shell(`until [ "$(cat /sys/class/net/${name}/carrier)" = 1 ]; do sleep 1; done`);
    expect(await guest.shell(`wget -q -O - ${url}/10 | wc -c`), model).toBe("10\n");
    await guest.shell(`ip link set ${name} down`);
  }
  const complaints = "error|fail|timed out|timeout|hang|reset|oversize|runt|nobody cared|WARNING|impossible";
  const drivers = "dmesg | grep -i -E 'eth[0-9]|pcnet|e1000|virtio' | grep -v -E 'module verification|NETDEV_CHANGE'";
  expect((await guest.command(`${drivers} | grep -i -E '${complaints}'`)).printed).toBe("");
});

test("two guests on one internal network reach each other, and nobody else", async () => {
  const runtime = mkdtempSync(join(tmpdir(), "anneau-intnet-"));
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = runtime;
  onTestFinished(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
    rmSync(runtime, { recursive: true });
  });
  const [a, b] = await Promise.all(
    ["82540EM", "virtio"].map((model) => NetGuest.boot(media, [`${model},net=intnet:lan`])),
  );
  await a.shell("ip link set eth0 up; ip addr add 192.168.7.1/24 dev eth0");
  await b.shell("ip link set eth0 up; ip addr add 192.168.7.2/24 dev eth0");
  expect(await a.shell("ping -c 3 192.168.7.2")).toContain("3 packets received");
  await b.shell("nc -l -p 99 > /tmp/got & sleep 1");
  await a.shell("head -c 1000000 /dev/zero | nc 192.168.7.2 99");
  expect(await b.shell("wait; sha256sum < /tmp/got")).toBe(`${sha256(new Uint8Array(1_000_000))}  -\n`);
  expect((await a.command("ping -c 1 -W 2 192.168.7.3")).status).toBe(1);
});
