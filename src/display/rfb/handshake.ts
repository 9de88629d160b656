/**
 * The beginning of a connection (RFC 6143, section 7.1 to 7.3.1): versions 3.3, 3.7 and 3.8, no authentication or VNC
 * authentication, until the client's wish to share. Nothing of the screen is touched before it has succeeded.
 */
import { type ByteQueue, ByteWriter } from "./bytes.ts";
import { RfbError, SECURITY_NONE, SECURITY_VNC } from "./protocol.ts";
import { CHALLENGE_BYTES, type DesEncrypt, isEqualInConstantTime, vncResponse } from "./vnc-authentication.ts";

/** Who may connect: everybody whom the transport lets through, or whoever knows the password. */
export type RfbSecurity =
  | { readonly kind: "none" }
  | {
      readonly kind: "vnc";
      readonly password: string;
      /** 16 bytes that nobody can foresee. */
      readonly challenge: Uint8Array;
      readonly encrypt: DesEncrypt;
      /** Why somebody who knows the password is not let in now; undefined: welcome. */
      readonly refusal?: () => string | undefined;
    };

const VERSION_BYTES = 12;
const GREETING = "RFB 003.008\n";

/** All that a server says to a client that it will not hear: the version, no security type, and why. */
export function turnAway(reason: string): Uint8Array {
  const out = new ByteWriter();
  out.put(new TextEncoder().encode(GREETING));
  out.u8(0);
  out.text(reason);
  return out.bytes;
}

type Step = "version" | "security" | "response" | "init" | "done";

export class Handshake {
  readonly #security: RfbSecurity;
  readonly #send: (bytes: Uint8Array) => void;
  #step: Step = "version";
  #minor = 8;
  /** The client did not prove that it knows the password. */
  hasFailed = false;
  /** The client wants to share the screen with others; known at the end. */
  isShared = true;

  /** Greets the client. */
  constructor(security: RfbSecurity, send: (bytes: Uint8Array) => void) {
    this.#security = security;
    this.#send = send;
    send(new TextEncoder().encode(GREETING));
  }

  /** Takes what it needs of `input`; true when the handshake is over. Throws RfbError when the connection must end. */
  receive(input: ByteQueue): boolean {
    while (this.#step !== "done" && this.#advance(input)) {}
    return this.#step === "done";
  }

  #advance(input: ByteQueue): boolean {
    switch (this.#step) {
      case "version":
        if (input.length < VERSION_BYTES) return false;
        this.#takeVersion(input.peekText(0, VERSION_BYTES));
        input.take(VERSION_BYTES);
        return true;
      case "security": {
        if (input.length < 1) return false;
        const [type] = input.take(1);
        if (type !== this.#type) throw new RfbError(`security type ${type}, which was not offered`);
        this.#startSecurity();
        return true;
      }
      case "response":
        if (input.length < CHALLENGE_BYTES) return false;
        this.#checkResponse(input.take(CHALLENGE_BYTES));
        return true;
      case "init":
        if (input.length < 1) return false;
        this.isShared = input.take(1)[0] !== 0;
        this.#step = "done";
        return true;
      case "done":
        return false;
    }
  }

  get #type(): number {
    return this.#security.kind === "none" ? SECURITY_NONE : SECURITY_VNC;
  }

  #takeVersion(text: string): void {
    const match = /^RFB 003\.([0-9]{3})\n$/.exec(text);
    if (match === null) throw new RfbError("this is not an RFB client of version 3");
    const minor = Number(match[1]);
    this.#minor = minor >= 8 ? 8 : minor === 7 ? 7 : 3;
    const out = new ByteWriter();
    if (this.#minor === 3) {
      out.u32(this.#type);
      this.#send(out.bytes);
      this.#startSecurity();
      return;
    }
    out.u8(1);
    out.u8(this.#type);
    this.#send(out.bytes);
    this.#step = "security";
  }

  #startSecurity(): void {
    if (this.#security.kind === "vnc") {
      this.#send(this.#security.challenge);
      this.#step = "response";
      return;
    }
    if (this.#minor === 8) this.#sendResult(0);
    this.#step = "init";
  }

  #checkResponse(response: Uint8Array): void {
    if (this.#security.kind !== "vnc") return;
    const { password, challenge, encrypt, refusal } = this.#security;
    if (!isEqualInConstantTime(response, vncResponse(password, challenge, encrypt))) {
      this.hasFailed = true;
      this.#sendResult(1, "Wrong password");
      throw new RfbError("wrong password");
    }
    const reason = refusal?.();
    if (reason !== undefined) {
      this.#sendResult(1, reason);
      throw new RfbError(reason);
    }
    this.#sendResult(0);
    this.#step = "init";
  }

  #sendResult(result: number, reason = ""): void {
    const out = new ByteWriter();
    out.u32(result);
    if (result !== 0 && this.#minor === 8) out.text(reason);
    this.#send(out.bytes);
  }
}
