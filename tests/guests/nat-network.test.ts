/**
 * VMs that share a NAT network: leases from one server, each other, the host where a mapping allows it, a forwarded port, stop and
 * start, and what stays when the VM that served the network ends; IPv6 where it is on. An internal network's DHCP server. Two NATs of VMs' own know nothing
 * of each other.
 */
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";
import { httpServer, netGuestMedia, patternBytes, sha256 } from "./net-guest.ts";
import { RunGuest } from "./run-guest.ts";

let media: string;
beforeAll(async () => {
  media = await netGuestMedia();
});

const linux = (...nics: string[]) =>
  new RunGuest(
    ...["--memory=96", `--kernel=${media}/vmlinuz`, `--initrd=${media}/initrd.gz`],
    "--append=console=ttyS0,115200 quiet panic=0 net.ifnames=0 cryptomgr.notests",
    ...nics.map((nic) => `--nic=${nic}`),
  );

/** Takes a lease with busybox's client; the guest's address. */
async function lease(guest: RunGuest): Promise<string> {
  await guest.shell(
    "printf '#!/bin/sh\\n[ $1 = bound ] || exit 0\\nifconfig $interface $ip netmask $subnet\\nroute add default gw $router\\necho $ip > /tmp/ip\\n' > /tmp/s; chmod +x /tmp/s; ip link set eth0 up; ip route flush default",
  );
  await guest.shell("udhcpc -i eth0 -n -q -t 10 -s /tmp/s");
  return (await guest.shell("cat /tmp/ip")).trim();
}

/** What comes back from the host's loopback after sending `text` to `port`. */
function exchange(port: number, text: string, address = "127.0.0.1"): Promise<string> {
  return new Promise((resolve) => {
    let got = "";
    const socket = connect(port, address, () => socket.write(text));
    socket.on("data", (bytes) => (got += bytes));
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
    socket.setTimeout(20_000, () => socket.destroy());
  });
}

test("two VMs on a NAT network", async () => {
  const box = new Sandbox();
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const server = await httpServer();
  const hostPort = 20_000 + Math.floor(Math.random() * 10_000);
  box.ok("natnetwork", "add", "--netname", "green", "--network", "10.9.8.0/24", "--loopback-4", "127.0.0.1=2");
  box.ok("natnetwork", "modify", "--netname", "green", "-p", `echo:tcp:[127.0.0.1]:${hostPort}:[10.9.8.16]:7`);

  const a = linux("82540EM,net=natnetwork:green");
  await a.says("ANNEAU-GUEST-READY");
  const b = linux("virtio,net=natnetwork:green");
  await b.says("ANNEAU-GUEST-READY");
  expect([await lease(a), await lease(b)]).toEqual(["10.9.8.15", "10.9.8.16"]);
  expect(await a.shell("ping -c 2 10.9.8.16")).toContain("2 packets received");
  expect(await b.shell("ping -c 2 10.9.8.1")).toContain("2 packets received");
  const expected = `${sha256(patternBytes(1_000_000))}  -\n`;
  const fetch = `timeout 20 wget -q -O - http://10.9.8.2:${server.port}/1000000 | sha256sum`;
  expect(await a.shell(fetch)).toBe(expected);
  expect(await b.shell(fetch)).toBe(expected);
  // The router itself is not the host.
  expect((await b.command(`timeout 5 wget -q -O - http://10.9.8.1:${server.port}/10`)).status).not.toBe(0);
  await b.shell("nc -l -p 7 -e cat > /dev/null & sleep 1");
  expect(await exchange(hostPort, "once\n")).toContain("once");

  box.ok("natnetwork", "stop", "--netname", "green");
  expect((await b.command("ping -c 1 -W 2 10.9.8.1")).status).toBe(1);
  expect(await b.shell("ping -c 1 10.9.8.15")).toContain("1 packets received");
  box.ok("natnetwork", "start", "--netname", "green");
  expect(await b.shell(fetch)).toBe(expected);

  // The first VM served the switch and the router; the second one takes over.
  a.type("poweroff -f\n");
  expect(await a.exited).toBe(0);
  // With the leases of the first one: 10.9.8.15 is still that VM's.
  await b.shell("ip -4 addr flush dev eth0");
  expect(await lease(b)).toBe("10.9.8.16");
  expect(await b.shell(fetch)).toBe(expected);
});

test("a NAT network with IPv6: Linux makes its address, reaches gateway, neighbour and, where allowed, the host's ::1", async () => {
  const box = new Sandbox();
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const server = await httpServer("::1");
  const modify = ["natnetwork", "modify", "--netname", "six"];
  box.ok("natnetwork", "add", "--netname", "six", "--network", "10.9.6.0/24", "--ipv6", "on", "--ipv6-default", "on");
  const hostPort = 20_000 + Math.floor(Math.random() * 10_000);
  const guestEnd = "[fd17:625c:f037:2:a00:27ff:fe00:2]:7";
  box.ok(...modify, "--loopback-6", "2", "--port-forward-6", `echo:tcp:[::1]:${hostPort}:${guestEnd}`);
  const prefix = "fd17:625c:f037:2:";
  const a = linux("82540EM,net=natnetwork:six,mac=080027000001");
  await a.says("ANNEAU-GUEST-READY");
  const b = linux("Am79C973,net=natnetwork:six,mac=080027000002");
  await b.says("ANNEAU-GUEST-READY");
  const ready = (address: string) =>
    `for i in $(seq 20); do ip -6 addr show dev eth0 | grep -v tentative | grep -q 'inet6 ${address}/64 scope global' && break; sleep 1; done; ip -6 addr show dev eth0`;
  const addresses = [`${prefix}a00:27ff:fe00:1`, `${prefix}a00:27ff:fe00:2`];
  for (const [i, guest] of [a, b].entries()) {
    await guest.shell("ip link set eth0 up");
    expect(await guest.shell(ready(addresses[i]))).toMatch(new RegExp(`inet6 ${addresses[i]}/64 scope global dynamic`));
    expect(await guest.shell("ip -6 route show default")).toContain("via fe80::5054:ff:fe12:3501 dev eth0");
    for (const address of [`${prefix}:1`, `${prefix}:3`, "fe80::5054:ff:fe12:3501%eth0"])
      expect(await guest.shell(`ping6 -c 2 ${address}`)).toContain("2 packets received");
  }
  // Each is found by the group that it listens to: cards let it through.
  expect(await a.shell(`ping6 -c 2 ${addresses[1]}`)).toContain("2 packets received");
  expect(await b.shell("ping6 -c 2 fe80::a00:27ff:fe00:1%eth0")).toContain("2 packets received");
  expect(await a.shell("ping6 -c 1 -s 20000 fd17:625c:f037:2::1")).toContain("1 packets received");
  const expected = `${sha256(patternBytes(1_000_000))}  -\n`;
  const url = (host: string) => `http://[${host}]:${server.port}`;
  const fetch = `timeout 20 wget -q -O - ${url(`${prefix}:2`)}/1000000 | sha256sum`;
  expect(await a.shell(fetch)).toBe(expected);
  expect(await b.shell(fetch)).toBe(expected);
  const request = "PUT / HTTP/1.0\\r\\nContent-Length: 300000\\r\\n\\r\\n";
  const upload = `(printf '${request}'; head -c 300000 /dev/zero) | nc ${prefix}:2 ${server.port} | tail -n 1`;
  expect(await b.shell(upload)).toBe(`${sha256(new Uint8Array(300_000))}\n`);
  await b.shell("nc -l -p 7 -e cat > /dev/null & sleep 1");
  expect(await exchange(hostPort, "once\n", "::1")).toContain("once");
  const before = server.requests;
  // Nobody else is the host: not the router, nor the host's loopback by its other names.
  for (const host of [`${prefix}:1`, `${prefix}:3`, "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1"])
    expect((await a.command(`timeout 5 wget -q -O - ${url(host)}/10`)).status, host).not.toBe(0);

  box.ok(...modify, "--loopback-6", "-1");
  box.ok("natnetwork", "stop", "--netname", "six");
  box.ok("natnetwork", "start", "--netname", "six");
  expect(await a.shell(`ping6 -c 1 ${prefix}:1`)).toContain("1 packets received");
  expect((await a.command(`timeout 10 wget -q -O - ${url(`${prefix}:2`)}/10`)).status).not.toBe(0);
  expect(server.requests).toBe(before);

  box.ok(...modify, "--ipv6", "off");
  box.ok("natnetwork", "stop", "--netname", "six");
  box.ok("natnetwork", "start", "--netname", "six");
  expect((await a.command(`ping6 -c 1 -W 2 ${prefix}:1`)).status).not.toBe(0);
  await b.shell("ip link set eth0 down; ip link set eth0 up; sleep 5");
  expect(await b.shell("ip -6 addr show dev eth0")).not.toContain("scope global");
});

test("two VMs on an internal network have its DHCP server, which survives the VM that served it", async () => {
  const box = new Sandbox();
  process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
  process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
  const range = "--server-ip 10.9.7.1 --netmask 255.255.255.0 --lower-ip 10.9.7.100 --upper-ip 10.9.7.200 --enable";
  const fixed = "--mac-address 080027000002 --fixed-address 10.9.7.50 --global --set-opt 3 10.9.7.1";
  box.ok("dhcpserver", "add", "--network", "lan", ...range.split(" "), ...fixed.split(" "));
  const a = linux("82540EM,net=intnet:lan,mac=080027000001");
  await a.says("ANNEAU-GUEST-READY");
  const b = linux("virtio,net=intnet:lan,mac=080027000002");
  await b.says("ANNEAU-GUEST-READY");
  expect([await lease(a), await lease(b)]).toEqual(["10.9.7.100", "10.9.7.50"]);
  expect(await a.shell("ping -c 2 10.9.7.50")).toContain("2 packets received");
  expect(await b.shell("ping -c 2 10.9.7.1")).toContain("2 packets received");
  const find = ["dhcpserver", "findlease", "--network", "lan", "--mac-address"];
  expect(box.ok(...find, "08:00:27:00:00:01")).toMatch(/^IP Address: {2}10\.9\.7\.100$/m);

  // The first VM served the switch and its DHCP server; the second one takes over.
  a.type("poweroff -f\n");
  expect(await a.exited).toBe(0);
  expect(await lease(b)).toBe("10.9.7.50");
  const c = linux("Am79C973,net=intnet:lan,mac=080027000003");
  await c.says("ANNEAU-GUEST-READY");
  expect(await lease(c)).toBe("10.9.7.101");
});

test("a VM's own NAT is its own: the same addresses in another are others", async () => {
  const server = await httpServer();
  const [a, b] = ["82540EM,ipv6", "Am79C973"].map((card) => linux(`${card},host-loopback`));
  const [c] = ["virtio"].map((card) => linux(card));
  for (const guest of [a, b, c]) {
    await guest.says("ANNEAU-GUEST-READY");
    expect(await lease(guest)).toBe("10.0.2.15");
  }
  await a.shell("nc -l -p 7 -e cat > /dev/null & sleep 1");
  // 10.0.2.15 is b itself, and nobody else's port 7.
  expect((await b.command("echo x | nc -w 3 10.0.2.15 7")).printed).not.toContain("x");
  expect((await b.command("ping -c 1 -W 2 10.0.2.16")).status).toBe(1);
  const get = `timeout 5 wget -q -O /dev/null http://10.0.2.2:${server.port}/10`;
  expect((await b.command(get)).status).toBe(0);
  expect((await c.command(get)).status).not.toBe(0);
  // IPv6 is where it was asked for.
  const server6 = await httpServer("::1");
  const get6 = `timeout 10 wget -q -O /dev/null http://[fd17:625c:f037:2::2]:${server6.port}/10`;
  expect((await a.command(get6)).status).toBe(0);
  expect((await b.command(get6)).status).not.toBe(0);
  expect((await c.command(`timeout 5 wget -q -O /dev/null http://127.0.0.1:${server.port}/10`)).status).not.toBe(0);
});
