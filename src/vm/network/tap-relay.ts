/**
 * Frames that a TAP device has for us. Node can read such a device, but not wait for it; socat waits, reads and sends each frame as a
 * datagram to a socket on 127.0.0.1 that is connected to socat's, so that the kernel takes nobody else's. What goes to the device does
 * not pass here. socat ends when its standard input does, and that ends with this process, however that ends.
 */
import { createSocket, type Socket } from "node:dgram";
import { AnneauError } from "../../base/errors.ts";
import { type SocatProcess, startSocat, TAP_DESCRIPTOR } from "./socat.ts";

const LOOPBACK = "127.0.0.1";
/** socat reads so much at once: a frame of that length may have been cut off. */
const READ_BYTES = 16384;
/** Where the kernel allows it: some thousand frames. */
const RECEIVE_BUFFER_BYTES = 4 << 20;
const START_MS = 5000;

export class TapRelay {
  /** Settles when it has ended, with one line that says why. */
  readonly ended: Promise<string>;
  readonly #socket: Socket;
  readonly #socat: SocatProcess;

  private constructor(socket: Socket, socat: SocatProcess) {
    this.#socket = socket;
    this.#socat = socat;
    this.ended = socat.ended;
  }

  /** `onFrame` gets each frame, valid during the call. The descriptor stays the caller's. Rejects with one line. */
  static async start(descriptor: number, onFrame: (frame: Uint8Array) => void): Promise<TapRelay> {
    const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
    socket.on("error", () => {});
    await new Promise<void>((resolve, reject) => {
      socket.once("error", (error: NodeJS.ErrnoException) => reject(new AnneauError(`no port (${error.code})`)));
      socket.bind(0, LOOPBACK, resolve);
    });
    let peer = 0;
    socket.on("message", (frame, from) => {
      if (from.port === peer && from.address === LOOPBACK && frame.length < READ_BYTES) onFrame(frame);
    });
    let ready: () => void = () => {};
    const isReady = new Promise<"ready">((resolve) => {
      ready = () => resolve("ready");
    });
    const to = `UDP4:${LOOPBACK}:${socket.address().port},bind=${LOOPBACK}`;
    const args = ["-d", "-d", "-t", "0", "-b", String(READ_BYTES), TAP_DESCRIPTOR, `STDIN!!${to}`];
    const socat = startSocat(args, descriptor, "pipe", (text) => {
      const port = localPort(text);
      if (port === undefined || peer !== 0) return;
      peer = port;
      socket.connect(port, LOOPBACK, ready);
    });
    const relay = new TapRelay(socket, socat);
    const timer = setTimeout(() => socat.child.kill("SIGKILL"), START_MS);
    try {
      const how = await Promise.race([isReady, socat.ended]);
      if (how !== "ready") throw new AnneauError(how);
    } catch (error) {
      relay.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    relay.#unref();
    return relay;
  }

  /** The process's number, for tests and logs. */
  get pid(): number | undefined {
    return this.#socat.child.pid;
  }

  /** A machine that has ended does not wait for this. */
  #unref(): void {
    const { child } = this.#socat;
    this.#socket.unref();
    child.unref();
    for (const stream of [child.stdin, child.stderr]) (stream as unknown as { unref?(): void } | null)?.unref?.();
  }

  close(): void {
    this.#socat.child.kill("SIGKILL");
    this.#socat.child.stdin?.destroy();
    try {
      this.#socket.close();
    } catch {
      // It is closed.
    }
  }
}

/** The port that socat says it sends from; undefined: another line. */
export function localPort(text: string): number | undefined {
  const port = Number(/^successfully connected from local address AF=2 127\.0\.0\.1:([0-9]{1,5})$/.exec(text)?.[1]);
  return port > 0 && port < 65536 ? port : undefined;
}
