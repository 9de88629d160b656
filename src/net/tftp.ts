/**
 * The TFTP server at .4 (RFC 1350, options RFC 2347 to 2349: blksize, tsize, timeout), read only, octet mode only. Serves the
 * files below one folder of the host. Each transfer has a port of its own; transfers are few and end when the guest goes silent.
 */
import type { Logger } from "../base/logger.ts";
import { get16, put16 } from "./bytes.ts";
import type { GuestLink } from "./guest-link.ts";
import type { HostFile, HostNetwork } from "./host-network.ts";
import type { Timed, Timers } from "./timers.ts";

const TFTP_PORT = 69;
const READ_REQUEST = 1;
const WRITE_REQUEST = 2;
const DATA = 3;
const ACKNOWLEDGE = 4;
const ERROR = 5;
const OPTIONS_ACKNOWLEDGE = 6;
const ERROR_UNDEFINED = 0;
const ERROR_NOT_FOUND = 1;
const ERROR_ACCESS = 2;
const ERROR_ILLEGAL = 4;

const DEFAULT_BLOCK_BYTES = 512;
const MIN_BLOCK_BYTES = 8;
const HEADER_BYTES = 4;
const UDP_AND_IP_BYTES = 28;
const MAX_TRANSFERS = 64;
const MAX_TRIES = 6;
const DEFAULT_TIMEOUT_MS = 1000;
const MAX_NAME = 512;
const FIRST_PORT = 49_152;

/** A file name as the parts of a path, undefined if it leaves the folder or is no name. Backslashes separate too. */
export function cleanPath(name: string): string[] | undefined {
  if (name.length > MAX_NAME || /[\u0000-\u001f]/.test(name)) return undefined;
  const parts = name.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 || parts.some((part) => part === ".." || part.includes(":"))) return undefined;
  return parts;
}

interface ReadRequest {
  readonly name: string;
  readonly mode: string;
  readonly options: ReadonlyMap<string, string>;
}

function parseReadRequest(data: Uint8Array): ReadRequest | undefined {
  const texts: string[] = [];
  let from = 2;
  for (let at = 2; at < data.length && texts.length < 16; at++) {
    if (data[at] !== 0) continue;
    texts.push(new TextDecoder().decode(data.slice(from, at)));
    from = at + 1;
  }
  const [name, mode, ...rest] = texts;
  if (name === undefined || mode === undefined) return undefined;
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < rest.length; i += 2) options.set(rest[i].toLowerCase(), rest[i + 1]);
  return { name, mode: mode.toLowerCase(), options };
}

function numberOption(text: string | undefined, min: number, max: number): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) >= min ? Math.min(Number(text), max) : undefined;
}

export class TftpServer {
  readonly #link: GuestLink;
  readonly #host: HostNetwork;
  readonly #timers: Timers;
  readonly #log: Logger;
  /** By our port. */
  readonly #transfers = new Map<number, Transfer>();
  #isClosed = false;

  constructor(link: GuestLink, host: HostNetwork, timers: Timers, log: Logger) {
    this.#link = link;
    this.#host = host;
    this.#timers = timers;
    this.#log = log;
  }

  get size(): number {
    return this.#transfers.size;
  }

  /** A datagram to .4. False: nobody is at that port. */
  receive(data: Uint8Array, source: number, sourcePort: number, port: number): boolean {
    if (port !== TFTP_PORT) {
      const transfer = this.#transfers.get(port);
      if (transfer === undefined || !transfer.isWith(source, sourcePort)) return false;
      transfer.receive(data);
      return true;
    }
    if (data.length < 2) return true;
    const operation = get16(data, 0);
    if (operation === READ_REQUEST) this.#request(data, source, sourcePort);
    else if (operation === WRITE_REQUEST) this.#refuse(source, sourcePort, ERROR_ACCESS, "read only");
    else if (operation !== ERROR) this.#refuse(source, sourcePort, ERROR_ILLEGAL, "not a request");
    return true;
  }

  #refuse(guest: number, guestPort: number, code: number, text: string): void {
    this.send(TFTP_PORT, guest, guestPort, errorPacket(code, text));
  }

  #request(data: Uint8Array, guest: number, guestPort: number): void {
    const request = parseReadRequest(data);
    if (request === undefined || request.mode !== "octet") {
      const text = request === undefined ? "not a request" : "only octet mode is served";
      this.#refuse(guest, guestPort, request === undefined ? ERROR_ILLEGAL : ERROR_UNDEFINED, text);
      return;
    }
    const path = cleanPath(request.name);
    if (path === undefined) {
      this.#refuse(guest, guestPort, ERROR_ACCESS, "not a name of a file here");
      return;
    }
    // The same request again: the first one's answer is on its way.
    for (const transfer of this.#transfers.values()) if (transfer.isWith(guest, guestPort)) return;
    const port = this.#freePort();
    if (port === undefined) {
      this.#refuse(guest, guestPort, ERROR_UNDEFINED, "too many transfers");
      return;
    }
    const { mtu } = this.#link;
    const blockBytes = numberOption(
      request.options.get("blksize"),
      MIN_BLOCK_BYTES,
      mtu - UDP_AND_IP_BYTES - HEADER_BYTES,
    );
    const seconds = numberOption(request.options.get("timeout"), 1, 255);
    const transfer = new Transfer(this, this.#timers, {
      name: path.join("/"),
      port,
      guest,
      guestPort,
      blockBytes: blockBytes ?? DEFAULT_BLOCK_BYTES,
      timeoutMs: seconds === undefined ? DEFAULT_TIMEOUT_MS : seconds * 1000,
      accepted: { blksize: blockBytes, timeout: seconds, wantsSize: request.options.has("tsize") },
    });
    this.#transfers.set(port, transfer);
    this.#host.openTftpFile(path).then(
      (file) => transfer.opened(file),
      (error: Error) => {
        this.#log.warn(`TFTP: ${path.join("/")}: ${error.message}`);
        transfer.opened(undefined);
      },
    );
  }

  #freePort(): number | undefined {
    if (this.#transfers.size >= MAX_TRANSFERS || this.#isClosed) return undefined;
    for (;;) {
      const port = FIRST_PORT + ((this.#host.random32() >>> 0) % (65_536 - FIRST_PORT));
      if (!this.#transfers.has(port)) return port;
    }
  }

  /** For transfers: a packet from one of our ports. */
  send(port: number, guest: number, guestPort: number, packet: Uint8Array): void {
    if (!this.#isClosed) this.#link.sendUdp(this.#link.addresses.tftp, port, guest, guestPort, packet);
  }

  /** For transfers: over. */
  ended(port: number, text: string): void {
    this.#transfers.delete(port);
    this.#log.info(`TFTP: ${text}`);
  }

  close(): void {
    this.#isClosed = true;
    for (const transfer of this.#transfers.values()) transfer.close();
    this.#transfers.clear();
  }
}

function errorPacket(code: number, text: string): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + text.length + 1);
  put16(packet, 0, ERROR);
  put16(packet, 2, code);
  packet.set(new TextEncoder().encode(text), HEADER_BYTES);
  return packet;
}

interface TransferOptions {
  readonly name: string;
  readonly port: number;
  readonly guest: number;
  readonly guestPort: number;
  readonly blockBytes: number;
  readonly timeoutMs: number;
  /** What of the request's options was taken over. */
  readonly accepted: { blksize?: number; timeout?: number; wantsSize: boolean };
}

/** One file on its way. Block by block: the next one leaves when the last one was acknowledged. */
class Transfer implements Timed {
  heapIndex = -1;
  dueMs = 0;
  readonly #server: TftpServer;
  readonly #timers: Timers;
  readonly #options: TransferOptions;
  readonly #packet: Uint8Array;
  #file: HostFile | undefined;
  /** The packet that waits for its acknowledgement: its length (0: none), and the block's number counted from the start. */
  #packetBytes = 0;
  #block = 0;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #tries = 0;
  #isReading = false;
  #isClosed = false;

  constructor(server: TftpServer, timers: Timers, options: TransferOptions) {
    this.#server = server;
    this.#timers = timers;
    this.#options = options;
    this.#packet = new Uint8Array(HEADER_BYTES + Math.max(options.blockBytes, DEFAULT_BLOCK_BYTES));
  }

  isWith(guest: number, guestPort: number): boolean {
    return this.#options.guest === guest && this.#options.guestPort === guestPort;
  }

  opened(file: HostFile | undefined): void {
    if (this.#isClosed) {
      file?.close();
      return;
    }
    if (file === undefined) {
      this.#fail(ERROR_NOT_FOUND, "no such file");
      return;
    }
    this.#file = file;
    const { blksize, timeout, wantsSize } = this.#options.accepted;
    const options: string[] = [];
    if (blksize !== undefined) options.push("blksize", String(blksize));
    if (timeout !== undefined) options.push("timeout", String(timeout));
    if (wantsSize) options.push("tsize", String(file.sizeBytes));
    if (options.length === 0) {
      this.#readBlock(1);
      return;
    }
    const text = new TextEncoder().encode(`${options.join("\0")}\0`);
    put16(this.#packet, 0, OPTIONS_ACKNOWLEDGE);
    this.#packet.set(text, 2);
    this.#packetBytes = 2 + text.length;
    this.#sendPacket();
  }

  receive(data: Uint8Array): void {
    if (this.#file === undefined || data.length < HEADER_BYTES) return;
    const operation = get16(data, 0);
    if (operation === ERROR) {
      // Asking for the size only ends like this.
      this.#end("ended by the guest");
      return;
    }
    if (operation !== ACKNOWLEDGE) {
      this.#fail(ERROR_ILLEGAL, "not an acknowledgement");
      return;
    }
    // An acknowledgement that comes twice must not send the next block twice.
    if (this.#isReading || this.#packetBytes === 0 || get16(data, 2) !== (this.#block & 0xffff)) return;
    const isLast = this.#block > 0 && this.#packetBytes < HEADER_BYTES + this.#options.blockBytes;
    if (isLast) this.#end("sent");
    else this.#readBlock(this.#block + 1);
  }

  #readBlock(block: number): void {
    const { blockBytes } = this.#options;
    const target = this.#packet.subarray(HEADER_BYTES, HEADER_BYTES + blockBytes);
    this.#isReading = true;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.#file!.read((block - 1) * blockBytes, target).then(
      (length) => {
        this.#isReading = false;
        if (this.#isClosed) return;
        this.#block = block;
        put16(this.#packet, 0, DATA);
        put16(this.#packet, 2, block & 0xffff);
        this.#packetBytes = HEADER_BYTES + length;
        this.#tries = 0;
        this.#sendPacket();
      },
      () => this.#fail(ERROR_UNDEFINED, "the file cannot be read"),
    );
  }

  #sendPacket(): void {
    const { port, guest, guestPort, timeoutMs } = this.#options;
    this.#tries++;
    this.#server.send(port, guest, guestPort, this.#packet.subarray(0, this.#packetBytes));
    this.#dueAtMs = this.#timers.nowMs() + timeoutMs;
    this.#timers.schedule(this, this.#dueAtMs);
  }

  onTimer(nowMs: number): void {
    if (this.#isClosed || this.#isReading) return;
    if (nowMs < this.#dueAtMs) {
      if (this.#dueAtMs !== Number.POSITIVE_INFINITY) this.#timers.schedule(this, this.#dueAtMs);
    } else if (this.#tries < MAX_TRIES) this.#sendPacket();
    else this.#end("the guest went silent");
  }

  #fail(code: number, text: string): void {
    const { port, guest, guestPort } = this.#options;
    this.#server.send(port, guest, guestPort, errorPacket(code, text));
    this.#end(text);
  }

  #end(text: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#server.ended(this.#options.port, `${this.#options.name}: ${text}`);
  }

  close(): void {
    this.#isClosed = true;
    this.#timers.cancel(this);
    this.#file?.close();
    this.#file = undefined;
  }
}
