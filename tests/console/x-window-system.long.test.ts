/**
 * X in a Debian guest, on each way to our graphics adapter: the VESA driver over the video BIOS, the kernel's bochs driver over
 * DISPI's registers, the kernel's vboxvideo driver over the host interface. What the X server says it shows (`xwd`) is what
 * screenshotpng writes and what viewers have who stay connected through every change of mode. Pictures: build/pictures/x-*.png.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { debianDiskName, debianRootfs } from "../../scripts/media/debian-rootfs.ts";
import type { RfbTestClient } from "../../src/display/rfb/testing.ts";
import { Sandbox } from "../cli/sandbox.ts";
import { pictures } from "./browser.ts";
import { readPng, until } from "./console-guest.ts";
import { answer, freePort, PASSWORD, readXwd, viewer } from "./rfb-viewer.ts";
import { SerialTerminal } from "./serial-terminal.ts";

const xServer = ["xserver-xorg-core", "xserver-xorg-input-libinput", "xserver-xorg-video-vesa"];
const xPrograms = ["x11-xserver-utils", "x11-apps", "x11-utils"];

class XGuest {
  readonly box: Sandbox;
  readonly viewers: RfbTestClient[] = [];
  readonly #terminal: SerialTerminal;

  private constructor(box: Sandbox, terminal: SerialTerminal) {
    this.box = box;
    this.#terminal = terminal;
  }

  /** Logged in, with two viewers of different encodings. */
  static async start(controller: string): Promise<XGuest> {
    const media = await debianRootfs({ include: [...xServer, ...xPrograms] });
    const box = new Sandbox();
    const [serial, vnc] = [await freePort(), await freePort()];
    copyFileSync(join(media, `${debianDiskName}.vdi`), box.path("debian.vdi"));
    box.ok("createvm", "--name", "x", "--register");
    box.ok("modifyvm", "x", "--memory", "512", "--vram", "32", "--graphicscontroller", controller);
    box.ok("modifyvm", "x", "--usb-ohci", "on", "--mouse", "usbtablet");
    box.ok("modifyvm", "x", "--uart1", "0x3f8", "4", "--uart-mode1", "tcpserver", String(serial));
    box.ok("modifyvm", "x", "--vrde", "on", "--vrdeport", String(vnc), "--vrdemulticon", "on");
    box.ok("modifyvm", "x", "--vrdeproperty", `VNCPassword=${PASSWORD}`);
    box.ok("storagectl", "x", "--name", "IDE", "--add", "ide");
    const place = ["--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd"];
    box.ok("storageattach", "x", ...place, "--medium", box.path("debian.vdi"));
    onTestFinished(() => void box.anneau("controlvm", "x", "poweroff"));
    box.ok("startvm", "x", "--type", "headless");
    const guest = new XGuest(box, new SerialTerminal(serial));
    for (const encoding of [16, 7]) {
      const { client } = await viewer(vnc);
      await client.handshake(answer);
      client.setEncodings(encoding, 1, -223, -239, -258);
      guest.viewers.push(client);
    }
    await guest.#terminal.logIn();
    // No colours and brackets in what it prints.
    await guest.shell("export TERM=dumb DISPLAY=:0");
    return guest;
  }

  shell(line: string): Promise<string> {
    return this.#terminal.shell(line);
  }

  /** A running X server on `driver` with two programs on a blue ground. */
  async startX(driver: string, options = "-nocursor"): Promise<void> {
    await this.shell(
      `X :0 -retro -noreset -nolisten tcp ${options} > /root/x.log 2>&1 & for i in $(seq 60); do xset q > /dev/null 2>&1 && break; sleep 0.5; done; xset q > /dev/null`,
    );
    expect(await this.shell("grep -c 'Depth 24' /var/log/Xorg.0.log; cat /var/log/Xorg.0.log")).toContain(
      `${driver}(0)`,
    );
    await this.shell(
      "xset s off -dpms; xsetroot -solid '#3070b0'; (xlogo -geometry 200x200+40+300 & xcalc -geometry +300+250 &) > /dev/null 2>&1; sleep 3",
    );
  }

  async stopX(): Promise<void> {
    await this.shell("pkill Xorg; while pgrep Xorg > /dev/null; do sleep 0.2; done; sleep 1");
  }

  /** What X has on its screen, what screenshotpng writes and what every viewer shows are equal; the size. */
  async compare(name: string): Promise<string> {
    const dump = (await this.shell("xwd -root -silent | gzip -9 | base64")).replaceAll(/\s/g, "");
    const x = readXwd(gunzipSync(Buffer.from(dump, "base64")));
    this.box.ok("controlvm", "x", "pause");
    mkdirSync(pictures, { recursive: true });
    const path = join(pictures, `x-${name}.png`);
    this.box.ok("controlvm", "x", "screenshotpng", path);
    const shot = readPng(execFileSync("cat", [path], { maxBuffer: 64 << 20 }));
    const { width, height, rgb } = shot;
    // The VESA driver's screen is as wide as its widest mode and as high as its highest: the monitor shows a part.
    expect(x.width).toBeGreaterThanOrEqual(width);
    const shown = Buffer.alloc(rgb.length);
    for (let y = 0; y < height; y++)
      shown.set(x.rgb.subarray(y * x.width * 3, (y * x.width + width) * 3), y * width * 3);
    expect(Buffer.compare(shown, rgb)).toBe(0);
    // Not one colour: the ground, the logo's and the calculator's.
    const colors = new Set<string>();
    for (let i = 0; i < width * height; i += 7) colors.add(rgb.subarray(i * 3, i * 3 + 3).join());
    expect(colors.size).toBeGreaterThan(2);
    for (const client of this.viewers)
      await until(`the picture of ${name} in a viewer`, async () => {
        await client.refresh();
        return client.width === width && Buffer.compare(client.rgb, rgb) === 0;
      });
    this.box.ok("controlvm", "x", "resume");
    return `${width}x${height}`;
  }

  /** The root window's pointer becomes a cross, and every viewer draws it. */
  async crossPointer(): Promise<void> {
    await this.shell("xsetroot -cursor_name crosshair; sleep 1");
    // Off the calculator, which has a pointer of its own.
    this.viewers[0].pointer(900, 60, 0);
    // A cross: solid from its point on in all directions, and nothing else near it.
    const isCross = ({ cursor }: RfbTestClient) =>
      cursor !== undefined &&
      [2, 3, 4, 5].every((i) => {
        const isSolid = (dx: number, dy: number) =>
          cursor.isSolid[(cursor.hotY + dy) * cursor.width + cursor.hotX + dx];
        return isSolid(i, 0) && isSolid(-i, 0) && isSolid(0, i) && isSolid(0, -i) && !isSolid(i, i) && !isSolid(-i, i);
      });
    for (const client of this.viewers)
      await until("the pointer", async () => {
        await client.refresh();
        return isCross(client);
      });
  }
}

test("on the VESA driver, then on the kernel's bochs driver: pictures, modes, keys, clicks", async () => {
  const guest = await XGuest.start("vboxvga");
  await guest.startX("VESA");
  const size = await guest.compare("vesa");
  await guest.shell("xrandr -s 800x600; sleep 1; xrefresh");
  expect(await guest.compare("vesa-800x600")).toBe("800x600");
  expect(size).not.toBe("800x600");
  await guest.stopX();

  await guest.shell("modprobe bochs; echo 80ee beef > /sys/bus/pci/drivers/bochs-drm/new_id; sleep 2");
  expect(await guest.shell("cat /proc/fb")).toContain("bochs-drm");
  // The kernel's text console has moved to the frame buffer, and the viewers with it.
  const [first] = guest.viewers;
  await until("the console's frame buffer", async () => {
    await first.refresh();
    return first.width === 1024 && first.height === 768;
  });
  await guest.startX("modeset");
  expect(await guest.compare("bochs")).toBe("1024x768");
  // The driver lets the card clear video memory at every change of mode, what X has drawn included.
  await guest.shell("xrandr -s 1280x1024; sleep 1; xrefresh; sleep 1");
  expect(await guest.compare("bochs-1280x1024")).toBe("1280x1024");

  // A click and a key where a window is that says what it gets.
  await guest.shell("(xev -geometry 300x200+600+40 -event mouse -event keyboard > /root/xev.log 2>&1 &); sleep 2");
  first.pointer(700, 100, 0);
  await guest.shell("sleep 1");
  first.pointer(700, 100, 1);
  first.pointer(700, 100, 0);
  for (const isDown of [true, false]) first.scancode(0x1e, isDown, 0x61);
  await guest.shell(
    "for i in $(seq 40); do grep -q KeyRelease /root/xev.log && break; sleep 0.5; done; grep -q KeyRelease /root/xev.log",
  );
  const events = await guest.shell("grep -A3 -E 'ButtonPress|KeyPress' /root/xev.log");
  expect(events).toMatch(/ButtonPress.*root:\((699|700|701),(99|100|101)\).*button 1/s);
  expect(events).toMatch(/KeyPress.*keysym 0x61, a/s);
});

test("on the kernel's vboxvideo driver: modes that a person hints at, and the pointer is the viewer's", async () => {
  const guest = await XGuest.start("vboxsvga");
  expect(await guest.shell("cat /proc/fb")).toContain("vboxvideo");
  await guest.startX("modeset", "");
  expect(await guest.compare("vboxvideo")).toBe("1024x768");
  await guest.crossPointer();
  const [first] = guest.viewers;
  guest.box.ok("controlvm", "x", "setvideomodehint", "1000", "704", "32");
  await guest.shell(
    "for i in $(seq 40); do xrandr | grep -q '1000x704.*+' && break; sleep 0.5; done; xrandr --output VGA-1 --auto; sleep 1",
  );
  expect(await guest.compare("vboxvideo-1000x704")).toBe("1000x704");
  await guest.shell("xrandr -s 1600x1200; sleep 1; xrefresh; sleep 1");
  expect(await guest.compare("vboxvideo-1600x1200")).toBe("1600x1200");
  // X leaves: the kernel's console has the screen again.
  await guest.stopX();
  await until("the text console", async () => {
    await first.refresh();
    return [first.width, first.height].join("x") !== "1600x1200";
  });
});

test("on the kernel's vmwgfx driver, which takes VMSVGA: modes, and the pointer is the viewer's", async () => {
  const guest = await XGuest.start("vmsvga");
  expect(await guest.shell("cat /proc/fb")).toContain("vmwgfx");
  await guest.startX("modeset", "");
  expect(await guest.compare("vmwgfx")).toBe("1280x800");
  await guest.crossPointer();
  await guest.shell("xrandr -s 1600x1200; sleep 1; xrefresh; sleep 1");
  expect(await guest.compare("vmwgfx-1600x1200")).toBe("1600x1200");
  // It would like to write into the log of VMware's own host.
  expect(await guest.shell("dmesg | grep -v 'host log' | grep -ciE 'vmwgfx.*(fail|timeout|hang)' || true")).toBe("0\n");
});
