/** UUIDs as VirtualBox takes and prints them: braces optional on input, lower case without them inside the program. */
import { randomUUID } from "node:crypto";

const pattern = /^\{?([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\}?$/;

/** The UUID in lower case without braces, or undefined if `text` is none. */
export function parseUuid(text: string | undefined): string | undefined {
  if (text === undefined || text.startsWith("{") !== text.endsWith("}")) return undefined;
  return pattern.exec(text)?.[1].toLowerCase();
}

export function newUuid(): string {
  return randomUUID();
}

/** As settings files have it. */
export function braced(uuid: string): string {
  return `{${uuid}}`;
}
