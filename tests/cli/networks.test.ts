/** Commands about networks: natnetwork, dhcpserver, in the words that clients look for. */
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

  // The gateway is counted from the network, not from the address that names it.
  box.ok("natnetwork", "add", "--netname", "blue", "--network", "10.1.2.77/16");
  expect(box.ok("natnetwork", "list", "blue")).toContain("Network:     10.1.2.77/16\nGateway:     10.1.0.1\n");
  box.ok("natnetwork", "remove", "--netname", "blue");

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

test("natnetwork: IPv6 with its prefix, default route and loopback mapping", () => {
  const box = new Sandbox();
  const modify = (...args: string[]) => box.vboxManage("natnetwork", "modify", "--netname", "green", ...args);
  expect(box.ok("natnetwork", "add", "--netname", "green", "--network", "192.168.15.0/24", "--ipv6", "on")).toBe("");
  expect(modify("--ipv6-default", "on", "--loopback-6", "2")).toMatchObject({ code: 0, stdout: "", stderr: "" });
  const listed = box.ok("list", "natnetworks");
  expect(listed).toContain("IPv6:        Yes\nIPv6 Prefix: fd17:625c:f037:2::/64\nIPv6 Default:Yes\n");
  expect(listed).toContain("loopback mappings (ipv6)\n        ::1=2\n");
  expect(box.read("registry/VirtualBox.xml")).toMatch(
    /ipv6="true" ipv6prefix="fd17:625c:f037:2::\/64" advertiseDefaultIPv6Route="true" [^>]*loopback6="2"/,
  );
  expect(modify("--ipv6-prefix", "2001:db8:1:2::/64").code).toBe(0);
  expect(box.ok("list", "natnetworks")).toContain("IPv6 Prefix: 2001:db8:1:2::/64\n");
  for (const prefix of ["fe80::/64", "fd17::/48", "10.0.2.0/64", "::1/64", "ff02::/64", "green"])
    expect(modify("--ipv6-prefix", prefix).stderr, prefix).toContain("E_INVALIDARG");
  for (const host of ["0", "1", "3", "65536", "::1=2", "x"]) expect(modify("--loopback-6", host).code, host).toBe(2);
  // Rules of the two families are apart, names included.
  const rule = (name: string, guest: string) => `${name}:tcp:[::1]:1022:[${guest}]:22`;
  box.ok("natnetwork", "modify", "--netname", "green", "--port-forward-6", rule("ssh", "fd17:625c:f037:2::15"));
  box.ok("natnetwork", "modify", "--netname", "green", "--port-forward-4", "ssh:tcp:[]:1022:[]:22");
  expect(box.ok("list", "natnetworks")).toContain(
    "Port-forwarding (ipv4)\n        ssh:tcp:[]:1022:[]:22\n" +
      "Port-forwarding (ipv6)\n        ssh:tcp:[::1]:1022:[fd17:625c:f037:2::15]:22\n",
  );
  expect(modify("--port-forward-6", rule("ssh", "fd17::1")).stderr).toContain("A NAT rule of this name already exists");
  for (const bad of [
    rule("a", ""),
    rule("a", "10.0.2.15"),
    rule("a", "fe80::1"),
    rule("a", "::1"),
    "a:tcp:[]:0:[fd17::1]:1",
  ])
    expect(modify("--port-forward-6", bad).code, bad).toBe(2);
  expect(modify("--port-forward-6", "a:tcp:[127.0.0.1]:1:[fd17::1]:1").code).toBe(2);
  box.ok("natnetwork", "modify", "--netname", "green", "--port-forward-6", "delete", "ssh");
  expect(box.ok("list", "natnetworks")).not.toContain("(ipv6)\n        ssh");
  // No prefix: the one that goes with the IPv4 network.
  expect(modify("--ipv6", "off", "--ipv6-prefix", "").code).toBe(0);
  expect(box.ok("list", "natnetworks")).toContain("IPv6 Prefix:\n");
  expect(modify("--ipv6", "on", "--loopback-6", "-1").code).toBe(0);
  expect(box.ok("list", "natnetworks")).toContain("IPv6 Prefix: fd17:625c:f037:a80f::/64\n");
  expect(box.ok("list", "natnetworks")).not.toContain("loopback");
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
  expect(box.vboxManage("dhcpserver", "start", "--ifname", "vboxnet0").stderr).toMatch(
    /warning: the DHCP server of 'HostInterfaceNetworking-vboxnet0' is disabled/,
  );
  box.ok("dhcpserver", "remove", "--ifname", "vboxnet0");
  expect(box.vboxManage("dhcpserver", "remove", "--ifname", "vboxnet0").stderr).toBe(
    "VBoxManage: error: DHCP server does not exist\n",
  );
  expect(box.vboxManage("dhcpserver", "add", ...range).code).toBe(2);
  expect(box.vboxManage("dhcpserver", "add", "--ifname", "x", "--ip", "1.2.3").code).toBe(2);
});

test("dhcpserver: options, lease times and fixed addresses of everybody, of a VM's card, of a MAC address", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  const range =
    "--server-ip 10.9.8.1 --netmask 255.255.255.0 --lower-ip 10.9.8.100 --upper-ip 10.9.8.200 --enable".split(" ");
  const global = [
    "--global",
    "--set-opt",
    "3",
    "10.9.8.2",
    "--set-opt=6",
    "10.9.8.3 10.9.8.4",
    "--default-lease-time",
    "3600",
  ];
  const card = ["--vm", "vm", "--nic", "2", "--fixed-address", "10.9.8.50", "--set-opt-hex", "121", "18:0a:0a:0a"];
  box.ok("dhcpserver", "add", "--network", "lan", ...range, ...global, ...card);
  const mac = ["--mac-address", "08-00-27-AA-BB-CC", "--set-opt", "12", "three", "--fixed-address=10.9.8.51"];
  box.ok("dhcpserver", "modify", "--network", "lan", ...mac, "--global", "--del-opt", "6");
  const uuid = box.info("vm").get("UUID");
  expect(box.ok("list", "dhcpservers")).toContain(
    "    defaultLeaseTime: 3600 sec\n    maxLeaseTime:     default\n    Forced options:   None\n    Suppressed opts.: None\n" +
      "        1/legacy: 255.255.255.0\n        3/legacy: 10.9.8.2\nGroups:               None\nIndividual Configs:\n" +
      `    Config:           VM {${uuid}}, NIC 2\n    Fixed Address:    10.9.8.50\n`,
  );
  expect(box.read("registry/VirtualBox.xml")).toMatch(
    /<Config MACAddress="08:00:27:aa:bb:cc" fixedAddress="10.9.8.51">\s*<Option name="12" value="three" encoding="0"\/>/,
  );
  for (const bad of [
    ["--set-opt", "3", "ten"],
    ["--set-opt", "51", "60"],
    ["--set-opt", "300", "1"],
    ["--set-opt-hex", "121", "1"],
    ["--del-opt", "0"],
    ["--nic", "1"],
    ["--vm", "vm", "--nic", "9"],
    ["--fixed-address", "10.9.8.60"],
    ["--mac-address", "1", "--fixed-address", "10.9.8.60"],
    ["--mac-address", "080027AABBCC", "--fixed-address", "ten"],
    ["--default-lease-time", "99999999999"],
  ])
    expect(box.vboxManage("dhcpserver", "modify", "--network", "lan", ...bad).code, bad.join(" ")).toBe(2);
  expect(box.vboxManage("dhcpserver", "modify", "--network", "lan", "--vm", "none").stderr).toContain("Could not find");
  const outside = box.vboxManage("dhcpserver", "modify", "--network", "lan", "--upper-ip", "10.9.9.1");
  expect([outside.code, outside.stderr]).toEqual([
    1,
    "VBoxManage: error: Invalid DHCP server settings: 10.9.8.100 to 10.9.9.1 is not in the server's network\n",
  ]);
  expect(box.ok("list", "dhcpservers")).toMatch(/^UpperIPAddress: 10\.9\.8\.200$/m);
});

test("dhcpserver findlease: what the server wrote last", () => {
  const box = new Sandbox();
  const range =
    "--server-ip 10.9.8.1 --netmask 255.255.255.0 --lower-ip 10.9.8.100 --upper-ip 10.9.8.200 --enable".split(" ");
  box.ok("dhcpserver", "add", "--network", "lan", ...range);
  const find = (mac: string) => box.vboxManage("dhcpserver", "findlease", "--network", "lan", "--mac-address", mac);
  expect(find("080027000001").stderr).toBe("VBoxManage: error: Could not find a lease for 08:00:27:00:00:01\n");
  expect(find("0800270000").code).toBe(2);
  box.write(
    "registry/lan-Dhcpd.leases",
    '<?xml version="1.0"?>\n<Leases version="1.0">\n  <Lease mac="08:00:27:00:00:01" network="0.0.0.0" state="acked">\n' +
      '    <Address value="10.9.8.100"/>\n    <Time issued="1718783211" expiration="600"/>\n  </Lease>\n</Leases>\n',
  );
  expect(find("080027000001").stdout).toBe(
    "IP Address:  10.9.8.100\nMAC Address: 08:00:27:00:00:01\nState:       expired\n" +
      "Issued:      2024-06-19T07:46:51.000Z (1718783211)\nExpire:      2024-06-19T07:56:51.000Z (1718783811)\n" +
      "TTL:         600 sec, currently 0 sec left\n",
  );
});

test("dhcpserver start, stop and remove with a VM on the network and without", () => {
  const box = new Sandbox();
  const range = "--server-ip 10.9.8.1 --netmask 255.255.255.0 --lower-ip 10.9.8.100 --upper-ip 10.9.8.200".split(" ");
  box.ok("dhcpserver", "add", "--network", "lan", ...range, "--enable");
  const tell = (verb: string) => box.vboxManage("dhcpserver", verb, "--network", "lan");
  expect(tell("start").stderr).toContain("warning: no VM is on the network 'lan'");
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "16", "--nic1", "intnet", "--intnet1", "lan");
  box.ok("startvm", "vm", "--type", "headless");
  for (const verb of ["restart", "stop", "start"]) expect([verb, tell(verb).stderr]).toEqual([verb, ""]);
  box.ok("dhcpserver", "modify", "--network", "lan", "--disable");
  expect(tell("restart").stderr).toContain("is disabled and does not run");
  expect(tell("remove")).toMatchObject({ code: 0, stderr: "" });
  box.ok("controlvm", "vm", "poweroff");
});
