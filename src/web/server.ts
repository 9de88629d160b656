/**
 * The web console of one VM: an HTTP server on 127.0.0.1 inside the VM's process. Every request is judged first (access.ts);
 * what is not allowed gets an empty answer. The screen travels as RFB over a WebSocket, like any VNC viewer's.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Access } from "./access.ts";
import { type PageFile, pageFiles } from "./files.ts";
import { type ConsoleAction, type ConsoleHost, consoleActions } from "./host.ts";
import { loadToken, storeToken } from "./token.ts";

const ADDRESS = "127.0.0.1";
const MAX_BODY_BYTES = 16_384;
/** Longest message of a viewer; pasted text is the longest thing that one says. */
const MAX_MESSAGE_BYTES = 1 << 20;
const MAX_SOCKETS = 128;
const MAX_VIEWERS = 16;
/** A second of sound; a listener that is further behind loses some. */
const MAX_UNHEARD_BYTES = 192_000;

const pageHeaders = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Cache-Control": "no-store",
} as const;

export class WebConsole {
  readonly #host: ConsoleHost;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  readonly #files: ReadonlyMap<string, PageFile>;
  readonly #access: Access;
  readonly #log: Logger;
  #viewers = 0;
  /** Where a browser finds the page, token included. */
  readonly url: string;

  private constructor(host: ConsoleHost, server: Server, token: string, port: number, log: Logger) {
    this.#host = host;
    this.#server = server;
    this.#log = log;
    this.#files = pageFiles();
    this.#access = new Access(token, port);
    this.#webSockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
    this.url = `http://${ADDRESS}:${port}/${token}/`;
  }

  /** Listens on the port of the last run if it is free, else on any. `tokenPath`: see token.ts. */
  static async listen(host: ConsoleHost, tokenPath: string, log: Logger): Promise<WebConsole> {
    const { token, port: lastPort } = loadToken(tokenPath);
    const server = createServer({
      requestTimeout: 30_000,
      headersTimeout: 5000,
      // Connections that say nothing do not keep others out for longer.
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16_384,
    });
    server.maxConnections = MAX_SOCKETS;
    const port = (await listenOn(server, lastPort)) ?? (lastPort === 0 ? undefined : await listenOn(server, 0));
    if (port === undefined) throw new AnneauError(`the web console cannot listen on ${ADDRESS}`);
    const console = new WebConsole(host, server, token, port, log);
    storeToken(tokenPath, { token, port });
    server.on("request", (request, response) => void console.#answer(request, response));
    server.on("upgrade", (request, socket, head) => console.#upgrade(request, socket, head));
    server.on("error", (error) => log.error(`web console: ${error.message}`));
    server.on("clientError", (_error, socket) => socket.destroy());
    log.info(`web console: on ${ADDRESS} port ${port}`);
    return console;
  }

  async close(): Promise<void> {
    for (const socket of this.#webSockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const verdict = this.#access.judge(request.url ?? "", request.headers);
    if (!verdict.isAllowed) {
      response.writeHead(verdict.status, { Connection: "close" }).end();
      return;
    }
    for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value);
    try {
      await this.#serve(verdict.path, request, response);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof AnneauError)) this.#log.error(`web console: ${message}`);
      if (!response.headersSent) sendJson(response, { error: message }, 400);
      else response.destroy();
    }
  }

  async #serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method } = request;
    const file = this.#files.get(path);
    if (method === "GET" && file !== undefined) {
      response.writeHead(200, { "Content-Type": file.contentType }).end(file.read());
    } else if (method === "GET" && path === "") {
      // Without the slash, relative addresses would miss the token.
      response.writeHead(308, { Location: `${request.url?.replace(/[?#].*/, "")}/` }).end();
    } else if (method === "GET" && path === "/state") {
      sendJson(response, await this.#host.state());
    } else if (method === "GET" && path === "/media") {
      sendJson(response, this.#host.media());
    } else if (method === "GET" && path === "/screenshot.png") {
      response.writeHead(200, { "Content-Type": "image/png" }).end(await this.#host.screenshot());
    } else if (method === "POST" && path === "/action") {
      const { action } = await readJson(request);
      if (!consoleActions.includes(action as ConsoleAction)) throw new AnneauError("there is no such action");
      await this.#host.act(action as ConsoleAction);
      sendJson(response, {});
    } else if (method === "POST" && path === "/medium") {
      const { drive, path: image } = await readJson(request);
      if (typeof drive !== "string" || typeof image !== "string")
        throw new AnneauError("a drive and an image are needed");
      await this.#host.changeMedium(drive, image);
      sendJson(response, {});
    } else {
      response.writeHead(404).end();
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const verdict = this.#access.judge(request.url ?? "", request.headers);
    const isKnown = verdict.isAllowed && ["/rfb", "/pointer", "/sound"].includes(verdict.path);
    socket.on("error", () => {});
    if (!isKnown || this.#webSockets.clients.size >= 3 * MAX_VIEWERS) {
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("error", () => {});
      if (verdict.path === "/rfb") this.#view(webSocket);
      else if (verdict.path === "/pointer") this.#point(webSocket);
      else this.#listen(webSocket);
    });
  }

  #view(webSocket: WebSocket): void {
    if (this.#viewers >= MAX_VIEWERS) {
      webSocket.close(1013, "too many viewers");
      return;
    }
    this.#viewers++;
    const connection = this.#host.connectViewer({
      // The token was the password.
      security: { kind: "none" },
      transport: {
        send: (bytes) =>
          webSocket.send(bytes, () => {
            if (webSocket.bufferedAmount === 0) connection.drained();
          }),
        get unsentBytes() {
          return webSocket.bufferedAmount;
        },
        close: () => {
          webSocket.close(1000);
          setTimeout(() => webSocket.terminate(), 2000).unref();
        },
      },
    });
    webSocket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) connection.receive(data);
      else connection.close("text where bytes belong");
    });
    webSocket.on("close", () => {
      this.#viewers--;
      connection.close();
    });
  }

  #listen(webSocket: WebSocket): void {
    const stop = this.#host.listen((packet) => {
      if (webSocket.bufferedAmount < MAX_UNHEARD_BYTES) webSocket.send(Buffer.from(packet));
    });
    webSocket.on("message", () => webSocket.terminate());
    webSocket.on("close", stop);
  }

  /** Motion of a caught pointer: [dx, dy, dz, buttons]. */
  #point(webSocket: WebSocket): void {
    webSocket.on("message", (data: Buffer) => {
      try {
        const event: unknown = JSON.parse(data.toString("utf8"));
        const isEvent = Array.isArray(event) && event.length === 4 && event.every(Number.isInteger);
        if (!isEvent) throw new RangeError("not an event");
        const [dx, dy, dz, buttons] = (event as number[]).map((value) => Math.max(-4096, Math.min(4096, value)));
        this.#host.movePointer(dx, dy, dz, buttons & 7);
      } catch {
        webSocket.terminate();
      }
    });
    webSocket.on("close", () => this.#host.movePointer(0, 0, 0, 0));
  }
}

/** The port, or undefined if it cannot be had. */
function listenOn(server: Server, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const fail = () => resolve(undefined);
    server.once("error", fail);
    server.listen(port, ADDRESS, () => {
      server.off("error", fail);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : undefined);
    });
  });
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

async function readJson(request: IncomingMessage): Promise<{ readonly [name: string]: unknown }> {
  // No form of another page can send this type without asking first.
  if (request.headers["content-type"] !== "application/json") throw new AnneauError("a request is JSON");
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new AnneauError("a request is too long");
    parts.push(part);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch (error) {
    throw new AnneauError("a request is JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null) throw new AnneauError("a request is an object");
  return value as { readonly [name: string]: unknown };
}
