/** VNC viewers for the console's tests: the independent client on a TCP connection, and pictures that X servers dump. */
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { RfbTestClient } from "../../src/display/rfb/testing.ts";
import { vncResponse } from "../../src/display/rfb/vnc-authentication.ts";
import { desEncrypt } from "../../src/vm/remote-display.ts";

/** The password of the tests' remote displays. */
export const PASSWORD = "geheim";
export const answer = (challenge: Uint8Array) => vncResponse(PASSWORD, challenge, desEncrypt);

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Connected, before the handshake. */
export async function viewer(port: number): Promise<{ client: RfbTestClient; socket: Socket }> {
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const client = new RfbTestClient((bytes) => socket.write(bytes));
  socket.on("data", (bytes: Buffer) => client.receive(bytes));
  socket.on("close", () => client.end());
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return { client, socket };
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** An X Window Dump with 32 bits a pixel. */
export function readXwd(dump: Buffer): Picture {
  const word = (index: number) => dump.readUInt32BE(index * 4);
  const [headerBytes, width, height, isMsbFirst, stride, colors] = [0, 4, 5, 7, 12, 19].map(word);
  const start = headerBytes + colors * 12;
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = start + y * stride + x * 4;
      const pixel = isMsbFirst ? dump.readUInt32BE(at) : dump.readUInt32LE(at);
      rgb.set([(pixel >> 16) & 255, (pixel >> 8) & 255, pixel & 255], (y * width + x) * 3);
    }
  }
  return { width, height, rgb };
}
