/**
 * What NAT needs of the host, injected: implemented with Node's sockets in `src/vm/host-network.ts` and by a simulation in
 * tests. Everything happens on one thread; no call blocks. Addresses are strings here, as the host's own interfaces
 * have them.
 */

/** A dialled or accepted connection. Calls after `destroy` and after the end of both directions are ignored. */
export interface HostTcpStream {
  /** Sends; `bytes` belong to the stream until `done`. Writes are done in order; none is done after `closed`. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Half-close: the peer sees the end of the data after all that was written. */
  end(): void;
  /** Ends at once; the peer sees a reset. No event follows. */
  destroy(): void;
  /** After `data` returned false: more may come. */
  resumeReading(): void;
}

export type DialFailure = "refused" | "unreachable" | "timeout" | "other";

/** What a stream tells. */
export interface HostTcpEvents {
  /** Dialled streams only: the connection is there. */
  connected(): void;
  /** Dialled streams only, instead of `connected`. */
  failed(reason: DialFailure): void;
  /** Bytes, valid during the call, at most 64 KiB. False: no more until `resumeReading`. */
  data(bytes: Uint8Array): boolean;
  /** The peer sends no more. */
  ended(): void;
  /** All over. `isClean` false: by a reset or another error. */
  closed(isClean: boolean): void;
}

/** A connection that waits in a listener: `open` or `refuse` it. */
export interface HostAccepted {
  readonly address: string;
  readonly port: number;
  open(events: HostTcpEvents): HostTcpStream;
  refuse(): void;
}

export interface HostListener {
  close(): void;
}

export interface HostUdpSocket {
  /** `bytes` belong to the socket from here on. */
  send(bytes: Uint8Array, address: string, port: number): void;
  close(): void;
}

export type DatagramListener = (bytes: Uint8Array, address: string, port: number) => void;

/** A file of the TFTP folder, opened for reading. */
export interface HostFile {
  readonly sizeBytes: number;
  /** Reads at `offset`; settles with the number of bytes read, less than asked for only at the end. */
  read(offset: number, target: Uint8Array): Promise<number>;
  close(): void;
}

export interface HostTimer {
  cancel(): void;
}

export interface HostNetwork {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  startTimer(delayMs: number, callback: () => void): HostTimer;
  /** Runs `callback` when the caller's turn is over, before waiting for anything. */
  defer(callback: () => void): void;
  /** 32 unpredictable bits. */
  random32(): number;
  dialTcp(address: string, port: number, events: HostTcpEvents): HostTcpStream;
  /** `address` empty: all IPv4 interfaces; `::`: all IPv6 interfaces. Rejects with one line if the port cannot be had. */
  listenTcp(address: string, port: number, accept: (pending: HostAccepted) => void): Promise<HostListener>;
  /** A socket on a free port for what guests send. `family` is that of the peers. */
  openUdp(family: 4 | 6, receive: DatagramListener): HostUdpSocket;
  /** A socket on a port of the user's choice, `address` likewise. */
  bindUdp(address: string, port: number, receive: DatagramListener): Promise<HostUdpSocket>;
  /** The host's name servers as they are now, addresses with an optional `:port` (`[v6]:port`). */
  nameServers(): readonly string[];
  /** The domain that the host searches, if it has one. */
  searchDomain(): string | undefined;
  /** The host's own idea of a name (hosts file and all): its addresses, none if it has none; rejects if it cannot tell now. */
  lookup(name: string, family: 4 | 6): Promise<readonly string[]>;
  reverseLookup(address: string): Promise<readonly string[]>;
  /** Opens a file below the TFTP folder; undefined if there is none or it lies outside. Names are clean: no `..`, no separators. */
  openTftpFile(path: readonly string[]): Promise<HostFile | undefined>;
}
