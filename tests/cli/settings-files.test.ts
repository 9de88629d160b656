/** Settings files in VirtualBox's format: what is not changed stays as it was, byte for byte. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

/** Lines that differ, as [before, after]. */
function differences(before: string, after: string): [string, string][] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  expect(b.length).toBe(a.length);
  return a.flatMap((line, at) => (line === b[at] ? [] : [[line.trim(), b[at].trim()] as [string, string]]));
}

for (const [fixture, name] of [
  ["winXP.vbox", "Büro & XP"],
  ["old.vbox", "old"],
] as const) {
  test(`${fixture}: one changed setting changes one line`, () => {
    const box = new Sandbox();
    const file = box.fixture(fixture);
    const before = readFileSync(file, "utf8");
    box.ok("registervm", file);
    box.ok("modifyvm", name, "--memory", "64");
    const changed = differences(before, readFileSync(file, "utf8"));
    expect(changed).toHaveLength(1);
    expect(changed[0][1]).toBe(changed[0][0].replace(/RAMSize="[0-9]+"/, 'RAMSize="64"'));
    expect(readFileSync(`${file}-prev`, "utf8")).toBe(before);
    // Setting what is set writes nothing.
    box.ok("modifyvm", name, "--memory", "64", "--acpi", "on", "--nic1", "nat");
    expect(readFileSync(`${file}-prev`, "utf8")).toBe(before);
  });
}

test("an old file keeps its controllers where that version has them", () => {
  const box = new Sandbox();
  const file = box.fixture("old.vbox");
  box.ok("registervm", file);
  box.ok("storagectl", "old", "--name", "Floppy", "--add", "floppy");
  const text = readFileSync(file, "utf8");
  expect(text.indexOf('name="Floppy"')).toBeGreaterThan(text.indexOf("</Hardware>"));
  const info = box.info("old");
  expect(info.get("storagecontrollertype0")).toBe("PIIX3");
  expect(info.get("storagecontrollertype1")).toBe("I82078");
  // Files of that age say it when the cable is in.
  expect([info.get("cableconnected1"), info.get("cableconnected2")]).toEqual(["on", "off"]);
});

test("the registry keeps what it does not know, and never loses machines of others", () => {
  const box = new Sandbox();
  const registry = `<?xml version="1.0"?>
<!-- mine -->
<VirtualBox xmlns="http://www.virtualbox.org/" version="1.12-linux">
  <Global>
    <ExtraData>
      <ExtraDataItem name="GUI/DetailsPageBoxes" value="general,system"/>
    </ExtraData>
    <MachineRegistry>
      <MachineEntry uuid="{11111111-1111-4111-8111-111111111111}" src="/gone/gone.vbox"/>
    </MachineRegistry>
    <NetserviceRegistry>
      <DHCPServers>
        <DHCPServer networkName="HostInterfaceNetworking-vboxnet0" IPAddress="192.168.56.100" networkMask="255.255.255.0" lowerIP="192.168.56.101" upperIP="192.168.56.254" enabled="1"/>
      </DHCPServers>
    </NetserviceRegistry>
    <Updates enabled="false"/>
    <SystemProperties defaultMachineFolder="${box.path("machines")}" defaultHardDiskFormat="VDI" proxyMode="0" exclusiveHwVirt="false"/>
    <USBDeviceFilters/>
  </Global>
</VirtualBox>
`;
  mkdirSync(box.path("registry"));
  writeFileSync(box.path("registry/VirtualBox.xml"), registry);
  expect(box.ok("list", "vms")).toBe('"<inaccessible>" {11111111-1111-4111-8111-111111111111}\n');
  expect(box.ok("showvminfo", "11111111-1111-4111-8111-111111111111", "--machinereadable")).toBe(
    'name="<inaccessible>"\nUUID="11111111-1111-4111-8111-111111111111"\n',
  );
  box.ok("createvm", "--name", "x", "--register", "--uuid", "{22222222-2222-4222-8222-222222222222}");
  expect(box.info("x").get("CfgFile")).toBe(box.path("machines/x/x.vbox"));
  const added = `      <MachineEntry uuid="{22222222-2222-4222-8222-222222222222}" src="${box.path("machines/x/x.vbox")}"/>\n`;
  expect(box.read("registry/VirtualBox.xml")).toBe(
    registry.replace("    </MachineRegistry>", `${added}    </MachineRegistry>`),
  );
  box.ok("unregistervm", "x");
  expect(box.read("registry/VirtualBox.xml")).toBe(registry);
});

test("a real VirtualBox's registry is not written", () => {
  const box = new Sandbox();
  box.env.VBOX_USER_HOME = box.path(".config/VirtualBox");
  const text = '<VirtualBox version="1.12-linux"><Global/></VirtualBox>';
  box.write(".config/VirtualBox/VirtualBox.xml", text);
  const { code, stderr } = box.anneau("createvm", "--name", "x", "--register");
  expect(code).toBe(1);
  expect(stderr).toContain("belongs to VirtualBox and is not written");
  expect(box.read(".config/VirtualBox/VirtualBox.xml")).toBe(text);
});

test("twenty processes that change settings at once lose nothing", async () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "busy", "--register");
  const changes = [
    ["--memory", "64"],
    ["--vram", "32"],
    ["--cpu-execution-cap", "50"],
    ["--boot1", "disk"],
    ["--boot2", "net"],
    ["--mac-address1", "080027000001"],
    ["--nic2", "intnet"],
    ["--nic3", "null"],
    ["--nic4", "hostonly"],
    ["--uart1", "0x3f8", "4"],
    ["--uart2", "0x2f8", "3"],
    ["--lpt1", "0x378", "7"],
    ["--rtc-use-utc", "on"],
    ["--vrde", "on"],
    ["--vrde-port", "5901"],
    ["--recording-video-fps", "7"],
    ["--teleporter-port", "77"],
    ["--natpf1", "a,tcp,,1111,,11"],
    ["--natpf1", "b,tcp,,2222,,22"],
    ["--description", "all of it"],
  ];
  const outcomes = await Promise.all(changes.map((change) => box.start("modifyvm", "busy", ...change)));
  expect(outcomes.filter(({ code }) => code !== 0)).toEqual([]);
  const text = box.ok("showvminfo", "busy", "--machinereadable");
  for (const line of [
    "memory=64",
    "vram=32",
    "cpuexecutioncap=50",
    'boot1="disk"',
    'boot2="net"',
    'macaddress1="080027000001"',
    'nic2="intnet"',
    'nic3="null"',
    'nic4="hostonly"',
    'uart1="0x03f8,4"',
    'uart2="0x02f8,3"',
    'lpt1="0x0378,7"',
    'rtcuseutc="on"',
    'vrdeports="5901"',
    "rec_screen_video_fps=7",
    "teleporterport=77",
    "a,tcp,,1111,,11",
    "b,tcp,,2222,,22",
    'description="all of it"',
  ]) {
    expect(text).toContain(line);
  }
});

test("machines created at once are all registered", async () => {
  const box = new Sandbox();
  const names = Array.from({ length: 8 }, (_, at) => `vm${at}`);
  const outcomes = await Promise.all(names.map((name) => box.start("createvm", "--name", name, "--register")));
  expect(outcomes.filter(({ code }) => code !== 0)).toEqual([]);
  const listed = [...box.ok("list", "vms").matchAll(/^"(.+?)" \{(.+?)\}$/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(names);
});
