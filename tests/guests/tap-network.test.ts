/**
 * Debian guests on TAP devices of a host: a lease from the host-only network's DHCP server, the host, a server on it, another VM on the same
 * adapter; what stays when the relay or the VM that holds the device is killed; a bridge.
 */
import { beforeAll, expect, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";
import { HostNamespace } from "../net/host-namespace.ts";
import { netGuestMedia, patternBytes, sha256 } from "./net-guest.ts";
import { RunGuest } from "./run-guest.ts";

const FILE_BYTES = 2_000_000;
let media: string;
beforeAll(async () => {
  media = await netGuestMedia();
});

interface Host {
  readonly host: HostNamespace;
  readonly box: Sandbox;
}

/** Everything that the test starts sees that host's network, and has no rights there beyond its devices. */
async function newHost(): Promise<Host> {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enterUnprivileged);
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  RunGuest.inside = host.enterUnprivileged;
  return { host, box };
}

async function linux(nic: string): Promise<RunGuest> {
  const guest = new RunGuest(
    ...["--memory=96", `--kernel=${media}/vmlinuz`, `--initrd=${media}/initrd.gz`],
    "--append=console=ttyS0,115200 quiet panic=0 net.ifnames=0 cryptomgr.notests",
    `--nic=${nic}`,
  );
  await guest.says("ANNEAU-GUEST-READY");
  return guest;
}

async function lease(guest: RunGuest): Promise<string> {
  await guest.shell(
    "printf '#!/bin/sh\\n[ $1 = bound ] || exit 0\\nifconfig $interface $ip netmask $subnet\\necho $ip > /tmp/ip\\n' > /tmp/s; chmod +x /tmp/s; ip link set eth0 up",
  );
  await guest.shell("udhcpc -i eth0 -n -q -t 10 -s /tmp/s");
  return (await guest.shell("cat /tmp/ip")).trim();
}

/** GET answers with the pattern, PUT with how many bytes came. */
async function serveFile(host: HostNamespace, address: string): Promise<string> {
  await host.node(
    `require("http").createServer((q, r) => { let n = 0; q.on("data", (b) => (n += b.length)); q.on("end", () => ` +
      `r.end(q.method === "PUT" ? n + " bytes\\n" : (${patternBytes})(${FILE_BYTES}))) })` +
      `.listen(8080, "${address}", () => console.log("ready"))`,
  );
  return `${address}:8080`;
}

test("two VMs on a host-only adapter: leases, the host, each other; the device changes hands", async () => {
  const { host, box } = await newHost();
  host.sh(
    "ip tuntap add dev vboxnet0 mode tap user root && ip addr add 192.168.56.1/24 dev vboxnet0 && ip link set vboxnet0 up",
  );
  const range = "--ip 192.168.56.100 --netmask 255.255.255.0 --lowerip 192.168.56.101 --upperip 192.168.56.254";
  box.ok("dhcpserver", "add", "--ifname", "vboxnet0", ...range.split(" "), "--enable");
  const server = await serveFile(host, "192.168.56.1");

  const a = await linux("82540EM,net=hostonly:vboxnet0,mac=080027000001");
  const b = await linux("virtio,net=hostonly:vboxnet0,mac=080027000002");
  expect([await lease(a), await lease(b)]).toEqual(["192.168.56.101", "192.168.56.102"]);
  const find = ["dhcpserver", "findlease", "--interface", "vboxnet0", "--mac-address", "080027000001"];
  expect(box.ok(...find)).toMatch(/^IP Address: {2}192\.168\.56\.101$/m);
  expect(box.anneau("dhcpserver", "restart", "--interface", "vboxnet0")).toMatchObject({ code: 0, stderr: "" });
  for (const guest of [a, b]) expect(await guest.shell("ping -c 2 192.168.56.1")).toContain("2 packets received");
  expect(await a.shell("ping -c 2 192.168.56.102")).toContain("2 packets received");
  const expected = `${sha256(patternBytes(FILE_BYTES))}  -\n`;
  const fetch = `timeout 20 wget -q -O - http://${server}/ | sha256sum`;
  for (const guest of [a, b]) expect(await guest.shell(fetch)).toBe(expected);
  const put = `PUT / HTTP/1.0\\r\\nContent-Length: ${FILE_BYTES}\\r\\n\\r\\n`;
  const upload = `(printf '${put}'; head -c ${FILE_BYTES} /dev/zero) | nc ${server.replace(":", " ")} | tail -n 1`;
  expect(await b.shell(upload)).toBe(`${FILE_BYTES} bytes\n`);
  // The host reaches the machine.
  await b.shell("nc -l -p 7 -e cat > /dev/null & sleep 1");
  expect(host.sh("exec 3<>/dev/tcp/192.168.56.102/7; echo once >&3; timeout 10 head -n 1 <&3")).toBe("once\n");

  // One relay, in the VM that serves the switch; killed, it comes again.
  const [relay, ...others] = host.processes("socat");
  expect(others).toEqual([]);
  process.kill(relay, "SIGKILL");
  expect(await b.shell("until ping -c 1 -W 1 192.168.56.1; do :; done")).toContain("1 packets received");
  expect(host.processes("socat").length).toBe(1);

  // The VM that holds the device is killed: the other one takes it, and the DHCP server.
  a.kill();
  await a.exited;
  expect(await b.shell("until ping -c 1 -W 1 192.168.56.1; do :; done")).toContain("1 packets received");
  expect(await lease(b)).toBe("192.168.56.102");
  expect(await b.shell(fetch)).toBe(expected);
  expect(host.processes("socat").length).toBe(1);
  b.type("poweroff -f\n");
  expect(await b.exited).toBe(0);
  await expect.poll(() => host.processes("socat"), { timeout: 20_000 }).toEqual([]);
});

test("a VM on a bridge reaches what is behind it", async () => {
  const { host } = await newHost();
  host.sh(
    "ip link add br0 type bridge && ip addr add 10.5.0.1/24 dev br0 && ip tuntap add dev tap0 mode tap user root && " +
      "ip link set tap0 master br0 up && ip link set br0 up",
  );
  const server = await serveFile(host, "10.5.0.1");
  const guest = await linux("Am79C973,net=bridged:tap0");
  await guest.shell("ip link set eth0 up; ip addr add 10.5.0.2/24 dev eth0");
  // A bridge lets traffic through when it has listened for a while.
  expect(await guest.shell("until ping -c 1 -W 1 10.5.0.1; do :; done")).toContain("1 packets received");
  expect(await guest.shell(`timeout 20 wget -q -O - http://${server}/ | sha256sum`)).toBe(
    `${sha256(patternBytes(FILE_BYTES))}  -\n`,
  );
  // The device is deleted and made again: the machine has its network back.
  host.sh("ip link del tap0 && ip tuntap add dev tap0 mode tap user root && ip link set tap0 master br0 up");
  expect(await guest.shell("until ping -c 1 -W 1 10.5.0.1; do :; done")).toContain("1 packets received");
});
