/**
 * hostonlyif and the lists of interfaces, in a network of the test's own: as a user who may open the devices that are his and no more, and as
 * one who may make them. What a VM says about devices that it cannot have.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { HostNamespace } from "../net/host-namespace.ts";
import { Sandbox } from "./sandbox.ts";

const make = (name: string, address: string) =>
  `ip tuntap add dev ${name} mode tap user root && ip addr add ${address} dev ${name} && ip link set ${name} up`;

/** Blocks of `list hostonlyifs` and `bridgedifs`, as Vagrant and docker-machine take them apart. */
function blocks(text: string): Map<string, string>[] {
  const parts = text.split("\n\n").filter((block) => block !== "");
  return parts.map(
    (block) => new Map(block.split("\n").map((line) => line.split(/:\s*(.*)/).slice(0, 2) as [string, string])),
  );
}

const namesOf = (text: string) => blocks(text).map((block) => block.get("Name"));

test("without rights: a device that root has made is taken, another one is root's to make", async () => {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enterUnprivileged);
  expect(box.ok("list", "hostonlyifs")).toBe("");
  const none = box.vboxManage("hostonlyif", "create");
  expect([none.code, none.stdout]).toEqual([1, ""]);
  // Vagrant looks for the path; the commands are for root.
  expect(none.stderr).toMatch(
    /^0%\.\.\.NS_ERROR_FAILURE\nVBoxManage: error: .*failed to open \/dev\/vboxnetctl: .*\n.*Details/,
  );
  const typed = /as root type: (.*)/.exec(none.stderr)?.[1] as string;
  expect(typed).toBe(make("vboxnet0", "192.168.56.1/24"));
  host.sh(typed);

  const [listed] = blocks(box.ok("list", "hostonlyifs"));
  expect(Object.fromEntries(listed)).toMatchObject({
    Name: "vboxnet0",
    DHCP: "Disabled",
    IPAddress: "192.168.56.1",
    NetworkMask: "255.255.255.0",
    HardwareAddress: host.sh("cat /sys/class/net/vboxnet0/address").trim(),
    MediumType: "Ethernet",
    Status: "Up",
    VBoxNetworkName: "HostInterfaceNetworking-vboxnet0",
  });
  expect(box.vboxManage("hostonlyif", "create")).toMatchObject({
    code: 0,
    stdout: "Interface 'vboxnet0' was successfully created\n",
    stderr: expect.stringMatching(/^0%\.\.\..*100%\n$/),
  });
  // It is given out once.
  expect(box.vboxManage("hostonlyif", "create").stderr).toContain("ip tuntap add dev vboxnet1 ");

  // What is so already needs no rights.
  const ipconfig = (...args: string[]) => box.vboxManage("hostonlyif", "ipconfig", "vboxnet0", ...args);
  expect(ipconfig("--ip", "192.168.56.1", "--netmask", "255.255.255.0")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "",
  });
  const refused = ipconfig("--ip", "192.168.99.1", "--netmask", "255.255.255.0");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("E_ACCESSDENIED (0x80070005)")]);
  host.sh(/as root type: (.*)/.exec(refused.stderr)?.[1] as string);
  expect(ipconfig("--ip", "192.168.99.1").code).toBe(0);
  expect(blocks(box.ok("list", "hostonlyifs"))[0].get("IPAddress")).toBe("192.168.99.1");

  // One that is everybody's is not taken.
  host.sh("ip tuntap add dev vboxnet1 mode tap");
  expect(box.vboxManage("hostonlyif", "create").code).toBe(1);
  expect(box.vboxManage("hostonlyif", "remove", "vboxnet0")).toMatchObject({ code: 0, stdout: "" });
  expect(box.vboxManage("hostonlyif", "remove", "vboxnet0").stderr).toContain(
    "The host network interface named 'vboxnet0' could not be found",
  );
  expect(ipconfig("--ip", "192.168.56.1").code).toBe(1);
  expect(box.vboxManage("hostonlyif", "create", "extra").code).toBe(2);
});

test("with rights: made, configured, removed; wrong addresses change nothing", async () => {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enter);
  host.sh("ip link add vboxnet0 type bridge");
  expect(box.ok("hostonlyif", "create")).toBe("Interface 'vboxnet1' was successfully created\n");
  expect(box.ok("hostonlyif", "create", "--machinereadable")).toBe("vboxnet2\n");
  expect(box.ok("hostonlyif", "ipconfig", "vboxnet2", "--ip", "10.11.12.1", "--netmask", "255.255.0.0")).toBe("");
  expect(box.ok("hostonlyif", "ipconfig", "vboxnet2", "--ipv6", "FD00:0::1", "--netmasklengthv6", "60")).toBe("");
  for (const [code, ...args] of [
    [2],
    [2, "--ip", "10.0.0.1", "--dhcp"],
    [2, "--ip", "10.0.0.1", "--netmasklengthv6", "64"],
    [2, "--ipv6", "fd00::2", "--netmask", "255.0.0.0"],
    [1, "--dhcp"],
    [1, "--ip", "10.0.0"],
    [1, "--ip", "10.0.0.1 dev lo"],
    [1, "--ip", "10.0.0.1", "--netmask", "255.0.255.0"],
    [1, "--ip", "10.0.0.1", "--netmask", "0.0.0.0"],
    [1, "--ipv6", "fd00::2%lo"],
    [1, "--ipv6", "fd00::2", "--netmasklengthv6", "129"],
  ] as const)
    expect(box.vboxManage("hostonlyif", "ipconfig", "vboxnet2", ...args).code, args.join(" ")).toBe(code);
  const listed = blocks(box.ok("list", "hostonlyifs"));
  expect(listed.map((block) => [block.get("Name"), block.get("IPAddress")])).toEqual([
    ["vboxnet1", "192.168.57.1"],
    ["vboxnet2", "10.11.12.1"],
  ]);
  expect([
    listed[1].get("NetworkMask"),
    listed[1].get("IPV6Address"),
    listed[1].get("IPV6NetworkMaskPrefixLength"),
  ]).toEqual(["255.255.0.0", "fd00::1", "60"]);
  box.ok("hostonlyif", "remove", "vboxnet1");
  expect(namesOf(box.ok("list", "hostonlyifs"))).toEqual(["vboxnet2"]);
  expect(host.sh("ls /sys/class/net")).not.toContain("vboxnet1");
  // Several at once: each gets one of its own.
  const made = await Promise.all(
    Array.from({ length: 4 }, () => box.start("hostonlyif", "create", "--machinereadable")),
  );
  expect(made.map(({ stdout }) => stdout.trim()).sort()).toEqual(["vboxnet1", "vboxnet3", "vboxnet4", "vboxnet5"]);
});

test("list bridgedifs: what a VM can be bridged to comes first, host-only interfaces not at all", async () => {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enterUnprivileged);
  host.sh(
    "ip link add br0 type bridge && ip link add eth0 type bridge && ip addr add 10.5.0.1/24 dev eth0 && ip link set eth0 up",
  );
  host.sh(
    `${make("vboxnet0", "192.168.56.1/24")} && ip tuntap add dev tap0 mode tap user root && ip link set tap0 master br0 up`,
  );
  const listed = blocks(box.ok("list", "bridgedifs"));
  expect(listed.map((block) => [block.get("Name"), block.get("IPAddress"), block.get("Status")])).toEqual([
    ["tap0", "0.0.0.0", "Up"],
    ["br0", "0.0.0.0", "Down"],
    ["eth0", "10.5.0.1", "Up"],
  ]);
});

test("a VM whose device cannot be had does not start: one line names it and what to do", async () => {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enterUnprivileged);
  box.ok("createvm", "--name", "vm", "--register");
  const start = (mode: string, adapter: string) => {
    const option = mode === "hostonly" ? "--hostonlyadapter1" : "--bridgeadapter1";
    box.ok("modifyvm", "vm", "--memory", "16", "--nic1", mode, option, adapter);
    const { code, stderr } = box.vboxManage("startvm", "vm", "--type", "headless");
    expect(code).toBe(1);
    return stderr.split("\n").find((line) => line.startsWith("VBoxManage: error: ")) ?? stderr;
  };
  host.sh("ip link add eth0 type bridge && ip tuntap add dev tap0 mode tap user root");
  host.sh(
    "ip tuntap add dev tap1 mode tap user root && ip link set tap1 up && ip tuntap add dev tun0 mode tun user root",
  );
  expect(start("hostonly", "vboxnet0")).toContain(
    `'vboxnet0': there is no such device; as root type: ${make("vboxnet0", "192.168.56.1/24")}`,
  );
  expect(start("bridged", "eth0")).toContain("'eth0': it is no TAP device; name one");
  expect(start("bridged", "tun0")).toContain("'tun0': it is no TAP device; name one");
  expect(start("bridged", "none")).toContain("bridge-adapter1 tap0");
  expect(start("bridged", "tap0")).toContain("'tap0': it is down; as root type: ip link set tap0 up");
  // Somebody else has it open.
  const holder =
    `const s=require("fs").openSync("/dev/net/tun","r+"),b=Buffer.alloc(40);b.write("tap1");b.writeUInt16LE(0x1002,16);` +
    `require("child_process").spawnSync("socat",["-u","OPEN:/dev/null","FD:3,ioctl-bin=0x400454ca:x"+b.toString("hex")],` +
    `{stdio:["ignore","ignore","ignore",s]});console.log("held");setInterval(()=>{},1e6)`;
  await host.node(holder);
  expect(start("bridged", "tap1")).toContain("'tap1': another program has it open");

  // Without socat: everything else still works.
  mkdirSync(box.path("bin"));
  for (const tool of ["/usr/bin/env", "/bin/sh", "/usr/bin/nsenter", "/usr/bin/setpriv", process.execPath])
    symlinkSync(tool, box.path("bin", basename(tool)));
  box.env.PATH = box.path("bin");
  host.sh(make("vboxnet0", "192.168.56.1/24"));
  expect(start("hostonly", "vboxnet0")).toContain("(Debian package 'socat')");
  expect(namesOf(box.ok("list", "hostonlyifs"))).toEqual(["vboxnet0"]);
});

test("a running VM is plugged into a device and out of it, also where there is none; nothing is left behind", async () => {
  const host = await HostNamespace.open();
  const box = new Sandbox(host.enterUnprivileged);
  host.sh(`${make("vboxnet0", "192.168.56.1/24")} && ${make("tap0", "10.5.0.1/24")}`);
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "16", "--nic1", "hostonly", "--hostonlyadapter1", "vboxnet0", "--nic2", "null");
  box.ok("startvm", "vm", "--type", "headless");
  const relays = () => host.processes("socat").length;
  expect(relays()).toBe(1);
  box.ok("controlvm", "vm", "nic2", "bridged", "tap0");
  expect([box.info("vm").get("nic2"), box.info("vm").get("bridgeadapter2")]).toEqual(["bridged", "tap0"]);
  expect(relays()).toBe(2);
  // One device, one switch: both cards are on it.
  box.ok("controlvm", "vm", "nic2", "hostonly", "vboxnet0");
  await expect.poll(relays).toBe(1);
  const refused = box.vboxManage("controlvm", "vm", "nic1", "bridged", "tap9");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("'tap9': there is no such device")]);
  expect([box.info("vm").get("nic1"), box.info("vm").get("hostonlyadapter1")]).toEqual(["hostonly", "vboxnet0"]);
  expect(relays()).toBe(1);
  for (const nic of ["nic1", "nic2"]) box.ok("controlvm", "vm", nic, "null");
  await expect.poll(relays).toBe(0);
  box.ok("controlvm", "vm", "nic1", "hostonly", "vboxnet0");
  expect(relays()).toBe(1);
  box.ok("controlvm", "vm", "poweroff");
  await expect.poll(relays).toBe(0);
});
