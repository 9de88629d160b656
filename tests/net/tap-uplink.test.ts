/** Uplinks on real TAP devices, bridged to each other in a network of the test's own: frames unchanged, bounds, strangers, storms, restarts, leaks. */
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { HostNamespace } from "./host-namespace.ts";

test("what goes in at one device comes out at the other one's uplink, and nothing else does", async () => {
  const host = await HostNamespace.open();
  host.sh(
    "sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link add br0 type bridge && ip link set br0 up && " +
      "for d in tap0 tap1; do ip tuntap add dev $d mode tap user root && ip link set $d master br0 up || exit 1; done",
  );
  const script = resolve(import.meta.dirname, "tap-pair.ts");
  const seen = JSON.parse(host.sh(`exec '${process.execPath}' '${script}'`));
  expect(seen).toMatchObject({
    areSame: true,
    afterBadLengths: [60],
    // Two of each relay.
    ports: 4,
    afterStrangers: [7],
    isWellAfterStorm: true,
    restarts: 3,
    children: "",
    // Of each: the device, the socket, two pipes to the relay.
    open: [8, 0],
  });
  expect(seen.storm.passed).toBeGreaterThan(1000);
  expect(seen.storm.passed).toBeLessThanOrEqual(seen.storm.allowed);
  expect(seen.log.filter((line: string) => line.includes("tap0: its MTU is 65000"))).toHaveLength(1);
  expect(seen.log).toContainEqual(expect.stringMatching(/tap1: [1-9][0-9]{2,} frames dropped, there were too many/));
  expect(seen.log.filter((line: string) => line.includes("socat has ended by SIGKILL"))).toHaveLength(3);
});
