/** DNS messages (RFC 1035): the question of a query, and answers with addresses and names. */
import { get16, put16, put32 } from "../bytes.ts";

export const DNS_HEADER_BYTES = 12;
export const TYPE_A = 1;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
const CLASS_IN = 1;
const RESPONSE = 0x8000;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;
const TRUNCATED = 0x0200;
const OPCODE = 0x7800;
export const NO_ERROR = 0;
export const SERVER_FAILURE = 2;
export const NO_SUCH_NAME = 3;
/** Longest name in text. */
const MAX_NAME = 253;
const MAX_LABEL = 63;
/** Longest answer by UDP; the client asks again by TCP for more. */
export const MAX_UDP_BYTES = 512;

export interface Question {
  /** Without the final dot, in the case as asked. */
  readonly name: string;
  readonly type: number;
  /** Where the question ends. */
  readonly end: number;
}

/** The question of a standard query with exactly one, undefined otherwise. */
export function parseQuery(bytes: Uint8Array): Question | undefined {
  if (bytes.length < DNS_HEADER_BYTES) return undefined;
  const flags = get16(bytes, 2);
  if ((flags & (RESPONSE | OPCODE)) !== 0 || get16(bytes, 4) !== 1) return undefined;
  return parseQuestion(bytes);
}

function parseQuestion(bytes: Uint8Array): Question | undefined {
  const labels: string[] = [];
  let at = DNS_HEADER_BYTES;
  let length = 0;
  for (;;) {
    const size = bytes[at];
    if (size === undefined || size > MAX_LABEL || at + 1 + size > bytes.length) return undefined;
    at++;
    if (size === 0) break;
    let label = "";
    for (let i = 0; i < size; i++) label += String.fromCharCode(bytes[at + i]);
    labels.push(label);
    length += size + 1;
    if (length > MAX_NAME + 1) return undefined;
    at += size;
  }
  if (at + 4 > bytes.length || get16(bytes, at + 2) !== CLASS_IN) return undefined;
  return { name: labels.join("."), type: get16(bytes, at), end: at + 4 };
}

/** Whether `reply` answers `query`: same number and same question, letter for letter. */
export function isAnswerTo(reply: Uint8Array, query: Uint8Array, id: number): boolean {
  if (reply.length < DNS_HEADER_BYTES || get16(reply, 0) !== id || (get16(reply, 2) & RESPONSE) === 0) return false;
  // Some errors come without the question.
  if (get16(reply, 4) === 0) return (reply[3] & 15) !== NO_ERROR;
  const question = parseQuery(query);
  const answered = parseQuestion(reply);
  if (question === undefined) return get16(reply, 4) === get16(query, 4);
  return answered?.name === question.name && answered.type === question.type;
}

/** A record's data, for the question's name. */
export interface Answer {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The answer to `query` with `code` and these records. */
export function buildAnswer(
  query: Uint8Array,
  question: Question,
  code: number,
  answers: readonly Answer[],
  limitBytes: number,
): Uint8Array {
  const ttlSeconds = 60;
  let length = question.end;
  let fitting = 0;
  for (const { data } of answers) {
    if (length + 12 + data.length > limitBytes) break;
    length += 12 + data.length;
    fitting++;
  }
  const bytes = new Uint8Array(length);
  bytes.set(query.subarray(0, question.end));
  const isTruncated = fitting < answers.length;
  const desired = get16(query, 2) & RECURSION_DESIRED;
  put16(bytes, 2, RESPONSE | RECURSION_AVAILABLE | desired | (isTruncated ? TRUNCATED : 0) | code);
  put16(bytes, 4, 1);
  put16(bytes, 6, fitting);
  put32(bytes, 8, 0);
  let at = question.end;
  for (const { type, data } of answers.slice(0, fitting)) {
    // The question's name, by reference.
    put16(bytes, at, 0xc000 | DNS_HEADER_BYTES);
    put16(bytes, at + 2, type);
    put16(bytes, at + 4, CLASS_IN);
    put32(bytes, at + 6, ttlSeconds);
    put16(bytes, at + 10, data.length);
    bytes.set(data, at + 12);
    at += 12 + data.length;
  }
  return bytes;
}

/** A failure for a query whose question cannot even be read, or whose answer could not be had. */
export function buildFailure(query: Uint8Array, code: number): Uint8Array | undefined {
  const question = parseQuery(query);
  if (question !== undefined) return buildAnswer(query, question, code, [], MAX_UDP_BYTES);
  if (query.length < DNS_HEADER_BYTES || (get16(query, 2) & RESPONSE) !== 0) return undefined;
  const bytes = new Uint8Array(DNS_HEADER_BYTES);
  put16(bytes, 0, get16(query, 0));
  put16(bytes, 2, RESPONSE | RECURSION_AVAILABLE | (get16(query, 2) & (OPCODE | RECURSION_DESIRED)) | code);
  return bytes;
}

/** A name as labels; undefined if it is none. */
export function encodeName(name: string): Uint8Array | undefined {
  const labels = name.replace(/\.$/, "").split(".");
  if (name.length > MAX_NAME || labels.some((label) => label.length === 0 || label.length > MAX_LABEL))
    return undefined;
  const bytes: number[] = [];
  for (const label of labels) {
    bytes.push(label.length);
    for (let i = 0; i < label.length; i++) bytes.push(label.charCodeAt(i) & 255);
  }
  bytes.push(0);
  return Uint8Array.from(bytes);
}

/** The address whose name `d.c.b.a.in-addr.arpa` (or the IPv6 form) asks for. */
export function addressOfReverseName(name: string): string | undefined {
  const lower = name.toLowerCase();
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(lower);
  if (v4 !== null)
    return v4.slice(1).every((part) => Number(part) <= 255) ? v4.slice(1).reverse().join(".") : undefined;
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(lower);
  if (v6 === null) return undefined;
  const digits = v6[1].split(".").filter(Boolean).reverse().join("");
  return digits.match(/.{4}/g)!.join(":");
}
