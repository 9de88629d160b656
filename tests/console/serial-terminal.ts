/** The first serial port of a VM over TCP, with Debian behind it (`debian-rootfs.ts`). */
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { GuestTerminal } from "../guests/guest-terminal.ts";

export class SerialTerminal extends GuestTerminal {
  readonly #socket: Socket;
  constructor(port: number) {
    super();
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (bytes) => this.heard(bytes as Uint8Array));
    this.#socket.on("close", () => this.ended());
    onTestFinished(() => void this.#socket.destroy());
  }
  type(text: string): void {
    this.#socket.write(text);
  }

  async logIn(): Promise<void> {
    await this.says("anneau login: ");
    this.type("root\n");
    await this.says("Password: ");
    this.type("anneau\n");
    await this.says("root@anneau:~# ");
  }
}
