/**
 * A machine with a screen and a keyboard for the console's tests: a boot sector that shows what is typed, changes to a
 * graphics mode on F2 and back on F3, and draws something on each.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { onTestFinished } from "vitest";
import { type ControlClient, connectToMachine } from "../../src/control/client.ts";
import { socketPathOf } from "../../src/control/socket-path.ts";
import { Sandbox } from "../cli/sandbox.ts";

const source = `
        bits 16
        org 0x7c00
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov si, hello
        cld
.say:   lodsb
        test al, al
        jz next
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp .say
next:   xor ah, ah
        int 0x16
        cmp ah, 0x3c            ; F2
        je graphics
        cmp ah, 0x3d            ; F3
        je text
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        cmp al, 13
        jne next
        mov al, 10
        int 0x10
        jmp next
text:   mov ax, 3
        int 0x10
        jmp next
graphics:
        mov ax, 0x13
        int 0x10
        mov ax, 0xa000
        mov es, ax
        xor di, di
.paint: mov ax, di
        shr ax, 5
        add al, ah
        stosb
        cmp di, 64000
        jne .paint
        jmp next
hello:  db "ready", 13, 10, 0
times 510-($-$$) db 0
        dw 0xaa55
`;

export class ConsoleGuest {
  readonly box = new Sandbox();
  readonly name = "screen";
  #client: ControlClient | undefined;

  /** Made, not started. */
  constructor() {
    const { box } = this;
    const assembly = box.write("boot.asm", source);
    const image = box.path("boot.img");
    execFileSync("nasm", ["-f", "bin", "-o", image, assembly]);
    const sector = execFileSync("cat", [image]);
    writeFileSync(image, Buffer.concat([sector, Buffer.alloc(1_474_560 - 512)]));
    box.ok("createvm", "--name", this.name, "--register");
    box.ok("modifyvm", this.name, "--memory", "32");
    box.ok("storagectl", this.name, "--name", "F", "--add", "floppy");
    box.ok("storageattach", this.name, "--storagectl", "F", "--device", "0", "--type", "fdd", "--medium", image);
    // The client of this process looks where the sandbox's VM process listens.
    process.env.XDG_RUNTIME_DIR = box.env.XDG_RUNTIME_DIR;
    process.env.VBOX_USER_HOME = box.env.VBOX_USER_HOME;
    onTestFinished(() => {
      this.#client?.close();
      box.anneau("controlvm", this.name, "poweroff");
    });
  }

  start(type = "headless"): string {
    const { stdout, stderr, code } = this.box.anneau("startvm", this.name, "--type", type);
    if (code !== 0) throw new Error(stderr);
    return stdout + stderr;
  }

  async control(): Promise<ControlClient> {
    this.#client ??= await connectToMachine(socketPathOf(this.box.info(this.name).get("UUID") ?? ""));
    return this.#client;
  }

  /** Waits until the text screen has `text`. */
  async shows(text: string): Promise<void> {
    const client = await this.control();
    await until(`'${text}' on the screen`, async () => {
      const screen = await client.request("textscreen", {});
      return screen?.lines.some((line) => line.includes(text));
    });
  }

  /** screenshotpng as red, green, blue. */
  screenshot(): { width: number; height: number; rgb: Uint8Array } {
    const path = this.box.path("shot.png");
    this.box.ok("controlvm", this.name, "screenshotpng", path);
    return readPng(execFileSync("cat", [path], { maxBuffer: 64 << 20 }));
  }
}

export async function until(what: string, ask: () => Promise<unknown> | unknown): Promise<void> {
  for (const end = Date.now() + 400_000; !(await ask()); ) {
    if (Date.now() > end) throw new Error(`${what} did not come`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** 8-bit RGB or RGBA, not interlaced, all filters. */
export function readPng(bytes: Buffer): { width: number; height: number; rgb: Uint8Array } {
  const parts: Buffer[] = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at))
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT")
      parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  const [width, height, size] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20), bytes[25] === 6 ? 4 : 3];
  if (bytes[24] !== 8 || (bytes[25] !== 2 && bytes[25] !== 6)) throw new Error("this PNG is of another kind");
  const data = inflateSync(Buffer.concat(parts));
  const stride = width * size;
  const rows = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x >= size ? rows[y * stride + x - size] : 0;
      const up = y > 0 ? rows[(y - 1) * stride + x] : 0;
      const corner = x >= size && y > 0 ? rows[(y - 1) * stride + x - size] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      rows[y * stride + x] = data[y * (stride + 1) + 1 + x] + guess;
    }
  }
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set(rows.subarray(i * size, i * size + 3), i * 3);
  return { width, height, rgb };
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
