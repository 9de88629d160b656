/** The remote display as viewers have it: VNC on a TCP port of a VM's process. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { RfbTestClient } from "../../src/display/rfb/testing.ts";
import { vncResponse } from "../../src/display/rfb/vnc-authentication.ts";
import { desEncrypt } from "../../src/vm/remote-display.ts";
import { ConsoleGuest, until } from "./console-guest.ts";
import { answer, freePort, readXwd, viewer } from "./rfb-viewer.ts";

beforeAll(() => {
  for (const [program, name] of [
    ["nasm", "nasm"],
    ["vncviewer", "tigervnc-viewer"],
    ["Xvfb", "xvfb"],
    ["xdotool", "xdotool"],
  ])
    if (spawnSync("which", [program]).status !== 0) throw new Error(`${program} is missing: apt-get install ${name}`);
});

async function remoteGuest(...settings: string[]): Promise<{ guest: ConsoleGuest; port: number }> {
  const guest = new ConsoleGuest();
  const port = await freePort();
  guest.box.ok("modifyvm", guest.name, "--vrde", "on", "--vrdeport", String(port), ...settings);
  guest.box.ok("modifyvm", guest.name, "--vrdeproperty", "VNCPassword=geheim");
  guest.start();
  await guest.shows("ready");
  return { guest, port };
}

test("every encoding gives the picture that screenshotpng gives, through typing and changes of mode", async () => {
  const { guest, port } = await remoteGuest("--vrdemulticon", "on");
  const control = await guest.control();
  const viewers: RfbTestClient[] = [];
  for (const encoding of [0, 5, 7, 16]) {
    const { client } = await viewer(port);
    await client.handshake(answer);
    expect(client.name).toBe("screen");
    client.setEncodings(encoding, 1, -223, -258);
    await client.refresh();
    expect(client.hasKeyExtension).toBe(true);
    viewers.push(client);
  }
  expect(guest.box.info(guest.name).get("VRDEClients")).toBe("4");
  expect(guest.box.info(guest.name).get("vrdeport")).toBe(String(port));
  const compare = async () => {
    await control.request("pause", {});
    const { width, height, rgb } = guest.screenshot();
    for (const client of viewers) {
      for (let tries = 0; tries < 5; tries++) {
        await client.refresh();
        if (client.width === width && Buffer.compare(client.rgb, rgb) === 0) break;
        await new Promise((done) => setTimeout(done, 150));
      }
      expect([client.width, client.height]).toEqual([width, height]);
      expect(Buffer.compare(client.rgb, rgb)).toBe(0);
    }
    await control.request("resume", {});
  };
  await compare();
  // By place: h; by meaning: I with the viewer's own Shift, and an exclamation mark without.
  const [first, second] = viewers;
  for (const isDown of [true, false]) first.scancode(0x23, isDown, 0x68);
  for (const [sym, isDown] of [
    [0xffe1, true],
    [0x49, true],
    [0x49, false],
    [0xffe1, false],
  ] as const)
    second.key(sym, isDown);
  for (const isDown of [true, false]) second.key(0x21, isDown);
  await guest.shows("hI!");
  await compare();
  for (const isDown of [true, false]) first.scancode(0x3c, isDown);
  await until("the graphics mode", async () => (await control.request("textscreen", {})) === null);
  await compare();
  expect(first.width).toBe(640);
  for (const isDown of [true, false]) first.scancode(0x3d, isDown);
  await until("the text mode", async () => (await control.request("textscreen", {})) !== null);
  await compare();
  expect(first.width).toBe(720);
});

test("a wrong password gets nothing, again and again, and the machine does not notice", async () => {
  const { guest, port } = await remoteGuest();
  const control = await guest.control();
  const looks = async () => (await control.request("statistics", {})).looks;
  const before = await looks();
  let refused = 0;
  const reasons = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const { client, socket } = await viewer(port);
    await client
      .handshake((challenge) => vncResponse("falsch", challenge, desEncrypt))
      .catch((error: Error) => {
        refused++;
        reasons.add(error.message);
      });
    expect(client.bytesReceived).toBeLessThan(70);
    expect(client.width).toBe(0);
    socket.destroy();
  }
  expect(refused).toBe(12);
  expect([...reasons]).toEqual(["Wrong password", "Too many wrong passwords: try again later"]);
  expect(await looks()).toBe(before);
  // The right one waits with the others from the same address, and then gets in.
  await until("the end of the wait", async () => {
    const { client, socket } = await viewer(port);
    const isIn = await client.handshake(answer).then(
      () => true,
      () => false,
    );
    socket.destroy();
    return isIn;
  });
});

test("one viewer at a time: the second is refused, or takes over", async () => {
  const { guest, port } = await remoteGuest();
  const first = await viewer(port);
  await first.client.handshake(answer);
  const second = await viewer(port);
  await expect(second.client.handshake(answer)).rejects.toThrow("Another viewer is connected");
  await first.client.refresh();
  guest.box.ok("controlvm", guest.name, "poweroff");
  guest.box.ok("modifyvm", guest.name, "--vrdereusecon", "on");
  guest.start();
  const third = await viewer(port);
  await third.client.handshake(answer);
  const fourth = await viewer(port);
  await fourth.client.handshake(answer);
  await fourth.client.refresh();
  await until("the end of the third", () => third.client.isEnded);
});

test("controlvm switches it off and on, and gives it another port and password", async () => {
  const { guest, port } = await remoteGuest();
  const { box, name } = guest;
  box.ok("controlvm", name, "vrde", "off");
  await expect(viewer(port)).rejects.toThrow(/ECONNREFUSED/);
  expect(box.info(name).get("vrde")).toBe("off");
  const other = await freePort();
  box.ok("controlvm", name, "vrdeport", String(other));
  box.ok("controlvm", name, "vrdeproperty", "VNCPassword=neu");
  box.ok("controlvm", name, "vrde", "on");
  const { client } = await viewer(other);
  await client.handshake((challenge) => vncResponse("neu", challenge, desEncrypt));
  await client.refresh();
  box.ok("controlvm", name, "vrdeproperty", "VNCPassword=");
  const refused = box.anneau("controlvm", name, "vrde", "on");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("needs a password");
  box.ok("controlvm", name, "vrde", "off");
  expect(box.anneau("controlvm", name, "vrde", "on").code).toBe(1);
  expect(box.info(name).get("vrde")).toBe("off");
});

test("a port that is taken, and one that is none, is said at start and at every change", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void taken.close());
  const { port: takenPort } = taken.address() as { port: number };
  const guest = new ConsoleGuest();
  const { box, name } = guest;
  box.ok("modifyvm", name, "--vrde", "on", "--vrdeproperty", "VNCPassword=geheim", "--vrdeport", String(takenPort));
  for (const ports of ["99999", "5910-5900", "5900-", "5900,abc", ""])
    expect(box.anneau("modifyvm", name, "--vrdeport", ports).code).not.toBe(0);
  expect(guest.start()).toContain(`cannot listen on 127.0.0.1 port ${takenPort} (EADDRINUSE)`);
  expect(box.anneau("controlvm", name, "vrdeproperty", "VNCPassword=neu").stderr).toContain("EADDRINUSE");
  expect(box.anneau("controlvm", name, "vrdeport", "80-70").code).not.toBe(0);
  expect(box.anneau("controlvm", name, "vrde", "on")).toMatchObject({ code: 1 });
  const free = await freePort();
  box.ok("controlvm", name, "vrdeport", `${takenPort},${free}`);
  expect(box.info(name).get("vrdeport")).toBe(String(free));
});

test("without a password nothing listens, and the start says why", async () => {
  const guest = new ConsoleGuest();
  const port = await freePort();
  guest.box.ok("modifyvm", guest.name, "--vrde", "on", "--vrdeport", String(port));
  expect(guest.start()).toContain("the remote display: it needs a password");
  await expect(viewer(port)).rejects.toThrow(/ECONNREFUSED/);
  expect(guest.box.info(guest.name).get("vrdeport")).toBe("-1");
});

test("twenty viewers one after another leave nothing open", async () => {
  const { guest, port } = await remoteGuest();
  const { pid } = await (await guest.control()).request("status", {});
  const openFiles = () => Number(spawnSync("sh", ["-c", `ls /proc/${pid}/fd | wc -l`], { encoding: "utf8" }).stdout);
  const before = openFiles();
  for (let i = 0; i < 20; i++) {
    const { client, socket } = await viewer(port);
    await until("a place", async () => {
      if (client.name !== "") return true;
      await client.handshake(answer);
      return true;
    });
    client.setEncodings([7, 16][i % 2], -312, -313);
    client.continuous(true);
    await client.refresh();
    socket.destroy();
    await until("the end", () => guest.box.info(guest.name).get("VRDEClients") === "0");
  }
  await until("closed sockets", () => openFiles() <= before);
  const { viewers } = await (await guest.control()).request("statistics", {});
  expect(viewers).toBe(0);
});

test("TigerVNC's viewer logs in, types and shows the picture pixel for pixel", async () => {
  const { guest, port } = await remoteGuest();
  const control = await guest.control();
  const { width, height } = guest.screenshot();
  const display = `:${90 + (process.pid % 400)}`;
  const folder = guest.box.path("x");
  spawnSync("mkdir", [folder]);
  const x = spawn("Xvfb", [display, "-screen", "0", `${width}x${height}x24`, "-fbdir", folder, "-nolisten", "tcp"]);
  onTestFinished(() => void x.kill());
  // The password as vncpasswd keeps it: DES with a key that everybody knows.
  const fixedKey = Uint8Array.of(23, 82, 107, 6, 35, 78, 88, 7);
  const key = fixedKey.map((byte) => Number.parseInt([...byte.toString(2).padStart(8, "0")].reverse().join(""), 2));
  const passwordFile = guest.box.write("passwd", desEncrypt(key, Buffer.from("geheim\0\0")));
  const env = { ...process.env, DISPLAY: display, HOME: guest.box.home };
  await until("the X server", () => spawnSync("xdotool", ["getdisplaygeometry"], { env }).status === 0);
  const tiger = spawn(
    "vncviewer",
    [
      "-passwd",
      passwordFile,
      "-FullScreen=1",
      "-RemoteResize=0",
      "-DotWhenNoCursor=0",
      "-NoJPEG",
      `127.0.0.1::${port}`,
    ],
    { env },
  );
  let said = "";
  tiger.stderr.on("data", (text: Buffer) => (said += text));
  tiger.stdout.on("data", (text: Buffer) => (said += text));
  onTestFinished(() => void tiger.kill());
  await until("the viewer", () => guest.box.info(guest.name).get("VRDEClients") === "1");
  await until(`typed text; the viewer said ${said}`, async () => {
    spawnSync("xdotool", ["mousemove", String(width - 1), String(height - 1)], { env });
    spawnSync("xdotool", ["type", "a"], { env });
    const screen = await control.request("textscreen", {});
    return screen?.lines.some((line) => line.startsWith("a"));
  });
  spawnSync("xdotool", ["key", "Return"], { env });
  spawnSync("xdotool", ["type", "--delay", "80", "Tiger!?"], { env });
  await guest.shows("Tiger!?");
  await control.request("pause", {});
  const shot = guest.screenshot();
  let different = -1;
  await until("the same picture", () => {
    const seen = readXwd(readFileSync(`${folder}/Xvfb_screen0`));
    different = 0;
    // The X pointer's own corner is not the guest's.
    for (let i = 0; i < shot.rgb.length; i++) if (seen.rgb[i] !== shot.rgb[i]) different++;
    return different === 0;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${different} bytes differ; ${said}`);
  });
});
