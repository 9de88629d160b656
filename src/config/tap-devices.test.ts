import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import {
  defaultHostOnlyAddress,
  findTapDevice,
  hostOnlyDevices,
  isInterfaceName,
  mayConfigureInterfaces,
  mayOpenTap,
  tapDevices,
  tapProblem,
} from "./tap-devices.ts";

const tap = {
  tun_flags: "0x1002",
  owner: "1000",
  group: "-1",
  address: "0a:00:27:00:00:00",
  mtu: "1500",
  flags: "0x1003",
};

function sysfs(devices: Record<string, Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "anneau-sysfs-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [name, files] of Object.entries(devices)) {
    mkdirSync(join(root, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), `${text}\n`);
  }
  return root;
}

test("TAP devices are told from others, with owner, address and state", () => {
  const root = sysfs({
    vboxnet10: tap,
    vboxnet2: { ...tap, tun_flags: "0x1102", owner: "-1", group: "7", flags: "0x1002", mtu: "9000" },
    eth0: { address: "52:54:00:00:00:01", mtu: "1500", flags: "0x1003" },
    tun0: { ...tap, tun_flags: "0x1801" },
    vboxnet1: { address: "0a:00:27:00:00:01", mtu: "1500", flags: "0x1003" },
    lan: tap,
  });
  expect(tapDevices(root).map(({ name }) => name)).toEqual(["lan", "vboxnet2", "vboxnet10"]);
  expect(hostOnlyDevices(root)).toEqual([
    {
      name: "vboxnet2",
      isMultiQueue: true,
      owner: undefined,
      group: 7,
      macAddress: tap.address,
      mtu: 9000,
      isUp: false,
    },
    {
      name: "vboxnet10",
      isMultiQueue: false,
      owner: 1000,
      group: undefined,
      macAddress: tap.address,
      mtu: 1500,
      isUp: true,
    },
  ]);
  expect(tapDevices(join(root, "none"))).toEqual([]);
});

test("who may open one: its owner and its group, both where both are set", () => {
  const device = { ...tap, name: "t", isMultiQueue: false, macAddress: tap.address, mtu: 1500, isUp: true };
  const uid = process.geteuid?.() ?? 0;
  const may = (owner: number | undefined, group: number | undefined) => mayOpenTap({ ...device, owner, group });
  expect([may(uid, undefined), may(undefined, undefined), may(uid, process.getegid?.())]).toEqual([true, true, true]);
  const isAdmin = mayConfigureInterfaces();
  expect([may(uid + 1, undefined), may(undefined, 4_000_000), may(uid, 4_000_000)]).toEqual([
    isAdmin,
    isAdmin,
    isAdmin,
  ]);
});

test("names lead nowhere but to interfaces", () => {
  const root = sysfs({ "x:y": tap });
  const random = seededRandom(5);
  const letters = ["a", "/", ".", "..", "\0", " ", "\n", ":", "ä", "vboxnet0", "../../"];
  for (let i = 0; i < 5000; i++) {
    const name = Array.from({ length: random(6) }, () => letters[random(letters.length)]).join("");
    if (/[/\s:\0]/.test(name) || name === "" || name === "." || name === "..")
      expect(isInterfaceName(name)).toBe(false);
    if (isInterfaceName(name)) expect(Buffer.byteLength(name)).toBeLessThan(16);
    expect(findTapDevice(name, root)).toBeUndefined();
    expect(tapProblem(name, i % 2 === 0 ? "hostonly" : "bridged")).toMatch(/^[^\n]+$/);
  }
});

test("files that say nonsense make no device, or one without what they should say", () => {
  const random = seededRandom(6);
  const words = ["", "0x2", "-1", "0xffffffffffff", "1e9", "NaN", "0x1002\n0x1002", "08:00:27:00:00:01", "65536", "\0"];
  for (let i = 0; i < 100; i++) {
    const files = Object.fromEntries(Object.keys(tap).map((file) => [file, words[random(words.length)]]));
    const device = findTapDevice("t", sysfs({ t: files }));
    if (device === undefined) continue;
    expect(device.macAddress).toBe("08:00:27:00:00:01");
    expect(Number.isSafeInteger(device.mtu)).toBe(true);
  }
});

test("host-only interfaces have VirtualBox's addresses", () => {
  expect(["vboxnet0", "vboxnet3", "vboxnet199", "vboxnet200", "tap0"].map(defaultHostOnlyAddress)).toEqual([
    "192.168.56.1/24",
    "192.168.59.1/24",
    "192.168.255.1/24",
    undefined,
    undefined,
  ]);
});
