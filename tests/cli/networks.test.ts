/** Commands about networks: natnetwork, dhcpserver, hostonlyif, in the words that clients look for. */
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

test("natnetwork: add, modify, list, remove, in the registry as VirtualBox keeps it", () => {
  const box = new Sandbox();
  expect(box.ok("natnetwork", "add", "--netname", "green", "--network", "192.168.15.0/24", "--enable")).toBe("");
  box.ok("natnetwork", "modify", "--netname", "green", "--dhcp", "off", "--loopback-4", "127.0.0.1=2");
  box.ok("natnetwork", "modify", "--netname", "green", "-p", "ssh:tcp:[127.0.0.1]:1022:[192.168.15.15]:22");
  const listed =
    "Name:        green\nEnabled:     Yes\nNetwork:     192.168.15.0/24\nGateway:     192.168.15.1\nDHCP Server: No\n" +
    "IPv6:        No\nIPv6 Prefix: fd17:625c:f037:2::/64\nIPv6 Default:No\n" +
    "Port-forwarding (ipv4)\n        ssh:tcp:[127.0.0.1]:1022:[192.168.15.15]:22\n" +
    "loopback mappings (ipv4)\n        127.0.0.1=2\n\n";
  expect(box.ok("list", "natnetworks")).toBe(`NAT Networks:\n\n${listed}1 network found\n`);
  expect(box.ok("natnetwork", "list", "gr*")).toContain("1 network found");
  expect(box.ok("natnetwork", "list", "blue")).toBe("NAT Networks:\n\n0 networks found\n");
  expect(box.read("registry/VirtualBox.xml")).toMatch(/<NATNetwork networkName="green" network="192\.168\.15\.0\/24"/);

  const again = box.vboxManage("natnetwork", "add", "--netname", "green", "--network", "10.1.0.0/24");
  expect([again.code, again.stderr]).toEqual([1, "VBoxManage: error: NATNetwork server already exists\n"]);
  const rule = "ssh:tcp:[]:1023:[192.168.15.16]:22";
  expect(box.vboxManage("natnetwork", "modify", "--netname", "green", "--port-forward-4", rule).stderr).toContain(
    "A NAT rule of this name already exists",
  );
  box.ok("natnetwork", "modify", "--netname", "green", "--port-forward-4", "delete", "ssh");
  expect(box.ok("list", "natnetworks")).not.toContain("Port-forwarding");
  // Nobody is on it: nothing to start or stop, and no error.
  box.ok("natnetwork", "start", "--netname", "green");
  box.ok("natnetwork", "stop", "--netname", "green");
  box.ok("natnetwork", "remove", "--netname", "green");
  expect(box.vboxManage("natnetwork", "remove", "--netname", "green").stderr).toBe(
    "VBoxManage: error: NATNetwork server does not exist\n",
  );
});

test("natnetwork refuses what no network can be", () => {
  const box = new Sandbox();
  const add = ["natnetwork", "add", "--netname", "n"];
  for (const network of ["10.0.2.0/30", "10.0.2.0/99", "127.0.0.0/8", "300.0.0.0/24", "ten"])
    expect(box.vboxManage(...add, "--network", network).stderr).toContain("E_INVALIDARG");
  for (const args of [
    ["--network", "10.0.9.0/24", "-p", "ssh,tcp,,1022,,22"],
    ["--network", "10.0.9.0/24", "-p", "ssh:tcp:[x]:1022:[]:22"],
    ["--network", "10.0.9.0/24", "-p", "ssh:tcp:[]:70000:[]:22"],
    ["--network", "10.0.9.0/24", "--loopback-4", "127.0.0.1=15"],
    ["--network", "10.0.9.0/24", "--loopback-4", "10.0.0.1=2"],
    [],
  ])
    expect(box.vboxManage(...add, ...args).code, args.join(" ")).toBe(2);
  expect(box.ok("list", "natnetworks")).toContain("0 networks found");
});

test("a VM on a NAT network that is not there, or disabled, does not start and says what to do", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "16", "--nic1", "natnetwork", "--nat-network1", "green");
  expect(box.vboxManage("startvm", "vm", "--type", "headless").stderr).toContain(
    "no NAT network 'green' (natnetwork add",
  );
  box.ok("natnetwork", "add", "--netname", "green", "--network", "10.0.9.0/24", "--disable");
  expect(box.vboxManage("startvm", "vm", "--type", "headless").stderr).toContain("the NAT network 'green' is disabled");
});

test("dhcpserver: what Vagrant and docker-machine type", () => {
  const box = new Sandbox();
  const range = "--ip 192.168.56.100 --netmask 255.255.255.0 --lowerip 192.168.56.101 --upperip 192.168.56.254".split(
    " ",
  );
  expect(box.ok("dhcpserver", "add", "--ifname", "vboxnet0", ...range, "--enable")).toBe("");
  expect(box.ok("list", "dhcpservers")).toMatch(
    /^NetworkName: {4}HostInterfaceNetworking-vboxnet0\nDhcpd IP: {7}192\.168\.56\.100\n[\s\S]*^Enabled: {8}Yes$/m,
  );
  const again = box.vboxManage("dhcpserver", "add", "--netname", "HostInterfaceNetworking-vboxnet0", ...range);
  expect([again.code, again.stderr]).toEqual([1, "VBoxManage: error: DHCP server already exists\n"]);
  box.ok(
    "dhcpserver",
    "modify",
    "--netname",
    "HostInterfaceNetworking-vboxnet0",
    "--disable",
    "--upperip",
    "192.168.56.200",
  );
  expect(box.ok("list", "dhcpservers")).toMatch(/^UpperIPAddress: 192\.168\.56\.200$[\s\S]*^Enabled: {8}No$/m);
  expect(box.vboxManage("dhcpserver", "start", "--ifname", "vboxnet0").stderr).toMatch(/warning: .*do not run/);
  box.ok("dhcpserver", "remove", "--ifname", "vboxnet0");
  expect(box.vboxManage("dhcpserver", "remove", "--ifname", "vboxnet0").stderr).toBe(
    "VBoxManage: error: DHCP server does not exist\n",
  );
  expect(box.vboxManage("dhcpserver", "add", ...range).code).toBe(2);
  expect(box.vboxManage("dhcpserver", "add", "--ifname", "x", "--ip", "1.2.3").code).toBe(2);
});

test("hostonlyif: none can be made, in Vagrant's words", () => {
  const box = new Sandbox();
  const made = box.vboxManage("hostonlyif", "create");
  expect([made.code, made.stdout]).toEqual([1, ""]);
  expect(made.stderr).toMatch(/^0%\.\.\.NS_ERROR_FAILURE\nVBoxManage: error: .*failed to open \/dev\/vboxnetctl/);
  expect(box.vboxManage("hostonlyif", "remove", "vboxnet0").stderr).toContain(
    "The host network interface named 'vboxnet0' could not be found",
  );
  expect(box.vboxManage("hostonlyif", "ipconfig", "vboxnet0", "--ip", "192.168.56.1").code).toBe(1);
  expect(box.ok("list", "hostonlyifs")).toBe("");
});
