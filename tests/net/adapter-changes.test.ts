/** What controlvm changes at the network adapters of a running VM: it takes effect, it is stored, it is refused where it cannot be. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";

test("link state, attachment, trace of a running VM", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok(
    "modifyvm",
    "vm",
    "--memory",
    "32",
    "--nic1",
    "nat",
    "--nictype1",
    "82540EM",
    "--nic2",
    "null",
    "--nictype2",
    "82540EM",
  );
  box.ok("startvm", "vm", "--type", "headless");
  const log = () => readFileSync(box.path("VirtualBox VMs/vm/Logs/VBox.log"), "utf8");
  expect(log()).toMatch(/PCI 00:03\.0 8086:100e.*nic-1/);
  expect(log()).toMatch(/PCI 00:08\.0 8086:100e.*nic-2/);

  box.ok("controlvm", "vm", "setlinkstate1", "off");
  expect(box.info("vm").get("cableconnected1")).toBe("off");
  box.ok("controlvm", "vm", "setlinkstate1", "on");
  expect(box.info("vm").get("cableconnected1")).toBe("on");

  box.ok("controlvm", "vm", "nictracefile1", box.path("one.pcap"));
  expect(existsSync(box.path("one.pcap"))).toBe(false);
  box.ok("controlvm", "vm", "nictrace1", "on");
  expect(readFileSync(box.path("one.pcap")).readUInt32LE(0)).toBe(0xa1b2c3d4);
  box.ok("controlvm", "vm", "nictrace1", "off");

  box.ok("controlvm", "vm", "nic2", "intnet", "lan");
  expect([box.info("vm").get("nic2"), box.info("vm").get("intnet2")]).toEqual(["intnet", "lan"]);
  // The switch of this network, beside the control socket.
  expect(readdirSync(box.path("run/anneau")).filter((name) => name.endsWith(".sock")).length).toBe(2);
  box.ok("controlvm", "vm", "nic2", "null");
  expect(readdirSync(box.path("run/anneau")).filter((name) => name.endsWith(".sock")).length).toBe(1);
  expect(box.info("vm").get("nic2")).toBe("null");

  box.ok("natnetwork", "add", "--netname", "green", "--network", "10.0.9.0/24", "--enable");
  box.ok("controlvm", "vm", "nic2", "natnetwork", "green");
  expect([box.info("vm").get("nic2"), box.info("vm").get("nat-network2")]).toEqual(["natnetwork", "green"]);
  expect(box.vboxManage("controlvm", "vm", "nic2", "natnetwork", "red").stderr).toContain("no NAT network 'red'");
  expect(box.info("vm").get("nat-network2")).toBe("green");
  box.ok("controlvm", "vm", "nic2", "null");

  for (const [args, text] of [
    [["nic1", "bridged", "lo"], "Bridged Interface 'lo': it is no TAP device; name one"],
    [["nic1", "bridged", "no such/name"], "no device of Linux has such a name"],
    [["nic1", "hostonlynet", "lan"], "there are no such networks"],
    [["nic1", "pigeons"], "Invalid type 'pigeons' specified for NIC 1"],
    [["nic3", "nat"], "The NIC 3 is currently disabled and thus can't change its attachment type"],
    [["nic9", "nat"], "Invalid network adapter slot 9"],
    [["setlinkstate1", "maybe"], "Invalid link state 'maybe'"],
    [["nictracefile1", "/nowhere/one.pcap"], undefined],
    [["nictrace1", "on"], "cannot write the network trace '/nowhere/one.pcap' (ENOENT)"],
    [["nic2", "generic"], "on the generic driver ''"],
  ] as const) {
    const { code, stderr } = box.vboxManage("controlvm", "vm", ...args);
    if (text === undefined) expect([code, stderr]).toEqual([0, ""]);
    else expect([code === 0, stderr], args.join(" ")).toEqual([false, expect.stringContaining(text)]);
  }
  expect([box.info("vm").get("nic1"), box.info("vm").get("nic2")]).toEqual(["nat", "null"]);

  // What was refused is nowhere in the settings.
  box.ok("controlvm", "vm", "nictracefile1", box.path("one.pcap"));
  box.ok("controlvm", "vm", "nictrace1", "on");
  const settings = box.read("VirtualBox VMs/vm/vm.vbox");
  for (const refused of [
    ["nic1", "natnetwork", "red"],
    ["nic2", "bridged", "lo"],
    ["nictracefile1", "/nowhere/one.pcap"],
    ["setlinkstate3", "off"],
  ]) {
    expect(box.vboxManage("controlvm", "vm", ...refused).code, refused.join(" ")).toBe(1);
    expect(box.read("VirtualBox VMs/vm/vm.vbox"), refused.join(" ")).toBe(settings);
  }
  box.ok("controlvm", "vm", "poweroff");
});

test("a VM whose network cannot be had does not start, with one line", () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "32", "--nic1", "hostonly", "--hostonlyadapter1", "vboxnet250");
  const { code, stderr } = box.anneau("startvm", "vm", "--type", "headless");
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("Host-only Interface 'vboxnet250': there is no such device"),
  ]);
  expect(stderr).toContain("as root type: ip tuntap add dev vboxnet250 mode tap user ");
  box.ok("modifyvm", "vm", "--nic1", "nat", "--natnet1", "10.9.9.0/30");
  expect(box.anneau("startvm", "vm", "--type", "headless").stderr).toContain("10.9.9.0/30");
});
