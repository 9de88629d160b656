/**
 * A small XML reader and writer for settings files (.vbox, VirtualBox.xml). What it is for: a document that is read,
 * changed in one place and written again differs in that place only, down to comments, attribute order, quoting and
 * white space, which is why every node keeps the text it was read from. Files are hostile input: size, depth and node
 * count are bounded, nothing recurses while reading, a document type declaration is refused and only the five named
 * entities and character references are known. Not here: name spaces (a prefix is part of the name), validation.
 */
import { FormatError } from "../base/errors.ts";

export const xmlLimits = { bytes: 32 * 1024 * 1024, depth: 1200, nodes: 2_000_000 } as const;

interface XmlAttribute {
  readonly name: string;
  value: string;
  /** White space before it. */
  readonly space: string;
  /** Name, `=` and quoted value as read; undefined once changed or when made by us. */
  source: string | undefined;
}

/** Text, comment, CDATA section or processing instruction: kept word for word. */
export interface XmlText {
  readonly kind: "text" | "comment" | "cdata" | "instruction";
  raw: string;
}

export type XmlNode = XmlElement | XmlText;

/** One element. All changes go through methods, so that what is not changed is written as it was read. */
export class XmlElement {
  readonly kind = "element";
  readonly name: string;
  readonly attributes: XmlAttribute[] = [];
  readonly children: XmlNode[] = [];
  parent: XmlElement | undefined;
  /** White space before `>` or `/>` in the start tag, and before `>` in the end tag. */
  tagEnd = "";
  closeTagEnd = "";
  /** `<a></a>` stays `<a></a>`. */
  wasOpen = false;

  constructor(name: string) {
    this.name = name;
  }

  get(name: string): string | undefined {
    for (const attribute of this.attributes) if (attribute.name === name) return attribute.value;
    return undefined;
  }

  /** Sets or, with undefined, removes an attribute. Setting the value it has changes nothing. */
  set(name: string, value: string | undefined): this {
    const index = this.attributes.findIndex((attribute) => attribute.name === name);
    if (value === undefined) {
      if (index >= 0) this.attributes.splice(index, 1);
    } else if (index < 0) this.attributes.push({ name, value, space: " ", source: undefined });
    else if (this.attributes[index].value !== value) {
      this.attributes[index].value = value;
      this.attributes[index].source = undefined;
    }
    return this;
  }

  elements(name?: string): XmlElement[] {
    const found: XmlElement[] = [];
    for (const child of this.children) {
      if (child.kind === "element" && (name === undefined || child.name === name)) found.push(child);
    }
    return found;
  }

  element(name: string): XmlElement | undefined {
    for (const child of this.children) if (child.kind === "element" && child.name === name) return child;
    return undefined;
  }

  /** Walks a path such as `BIOS/Logo`; undefined when any step is missing. */
  find(path: string): XmlElement | undefined {
    let at: XmlElement | undefined = this;
    for (const step of path.split("/")) {
      at = at.element(step);
      if (at === undefined) return undefined;
    }
    return at;
  }

  /** Adds a child element behind the last one, or before `before`, indented like its neighbours. */
  add(child: XmlElement | string, before?: XmlElement): XmlElement {
    const element = typeof child === "string" ? new XmlElement(child) : child;
    element.parent = this;
    const inner = `\n${"  ".repeat(this.depth() + 1)}`;
    const hasElements = this.elements().length > 0;
    if (before !== undefined) {
      this.children.splice(this.children.indexOf(before), 0, element, { kind: "text", raw: inner });
    } else if (hasElements) {
      const last = this.children.findLastIndex((node) => node.kind === "element");
      this.children.splice(last + 1, 0, { kind: "text", raw: inner }, element);
    } else {
      const blank = this.children.every((node) => node.kind === "text" && node.raw.trim() === "");
      if (blank) this.children.length = 0;
      this.children.push({ kind: "text", raw: inner }, element);
      this.children.push({ kind: "text", raw: inner.slice(0, -2) });
    }
    return element;
  }

  /** Takes a child element out, together with the white space before it. */
  remove(child: XmlElement): void {
    const index = this.children.indexOf(child);
    if (index < 0) return;
    child.parent = undefined;
    this.children.splice(index, 1);
    const previous = this.children[index - 1];
    if (previous?.kind === "text" && previous.raw.trim() === "") this.children.splice(index - 1, 1);
    if (this.children.every((node) => node.kind === "text" && node.raw.trim() === "")) {
      this.children.length = 0;
      this.wasOpen = false;
    }
  }

  /** The element's character data, entities resolved. */
  get text(): string {
    let text = "";
    for (const child of this.children) {
      if (child.kind === "text") text += decode(child.raw, 0);
      else if (child.kind === "cdata") text += child.raw.slice(9, -3);
    }
    return text;
  }

  setText(text: string): void {
    this.children.length = 0;
    if (text !== "") this.children.push({ kind: "text", raw: text.replace(/[&<>\r]/g, escapeCharacter) });
  }

  private depth(): number {
    let depth = 0;
    for (let at = this.parent; at !== undefined; at = at.parent) depth++;
    return depth;
  }
}

export interface XmlDocument {
  /** What stands before and after the root element: declaration, comments, white space. */
  readonly before: XmlText[];
  readonly root: XmlElement;
  readonly after: XmlText[];
}

const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function escapeCharacter(character: string): string {
  switch (character) {
    case "&":
      return "&amp;";
    case "<":
      return "&lt;";
    case ">":
      return "&gt;";
    case '"':
      return "&quot;";
    default:
      return `&#${character.charCodeAt(0)};`;
  }
}

function decode(raw: string, offset: number): string {
  if (!raw.includes("&")) return raw;
  return raw.replace(/&([^;&]{0,12});?/g, (whole, name: string) => {
    const known = Object.hasOwn(entities, name) ? entities[name] : undefined;
    if (known !== undefined && whole.endsWith(";")) return known;
    const reference = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    const code = reference ? Number.parseInt(reference[1] ?? reference[2], reference[1] ? 16 : 10) : Number.NaN;
    if (whole.endsWith(";") && code > 0 && code <= 0x10ffff) return String.fromCodePoint(code);
    throw new XmlError(`unknown entity '${whole.slice(0, 14)}'`, offset);
  });
}

class XmlError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const nameAt = /[A-Za-z_:\u0080-\uffff][-A-Za-z0-9._:\u0080-\uffff]*/y;
const spaceAt = /[ \t\r\n]*/y;

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** Reads a document. Throws FormatError with line and column; `what` names the file in the message. */
export function parseXml(text: string, what: string): XmlDocument {
  try {
    return read(text);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const before = text.slice(0, error.offset);
    const line = before.split("\n").length;
    const column = error.offset - (before.lastIndexOf("\n") + 1) + 1;
    throw new FormatError(`${what}: line ${line}, column ${column}: ${error.message}`);
  }
}

function read(text: string): XmlDocument {
  if (text.length > xmlLimits.bytes) throw new XmlError(`more than ${xmlLimits.bytes} characters`, 0);
  const document = { before: [] as XmlText[], after: [] as XmlText[], root: undefined as XmlElement | undefined };
  let open: XmlElement | undefined;
  let depth = 0;
  let nodes = 0;
  let at = 0;
  const keep = (kind: XmlText["kind"], end: number) => {
    const raw = text.slice(at, end);
    if (open === undefined && kind === "text" && raw.replace("\ufeff", "").trim() !== "") {
      throw new XmlError("text outside of the root element", at);
    }
    if (kind === "text" && open !== undefined) decode(raw, at);
    (open?.children ?? (document.root ? document.after : document.before)).push({ kind, raw });
    at = end;
  };
  const keepUntil = (kind: XmlText["kind"], terminator: string) => {
    const end = text.indexOf(terminator, at);
    if (end < 0) throw new XmlError(`${kind} without end`, at);
    keep(kind, end + terminator.length);
  };
  while (at < text.length) {
    if (++nodes > xmlLimits.nodes) throw new XmlError("too many nodes", at);
    const tag = text.indexOf("<", at);
    if (tag !== at) {
      keep("text", tag < 0 ? text.length : tag);
      continue;
    }
    if (text.startsWith("<!--", at)) keepUntil("comment", "-->");
    else if (text.startsWith("<![CDATA[", at) && open) keepUntil("cdata", "]]>");
    else if (text.startsWith("<?", at)) keepUntil("instruction", "?>");
    else if (text.startsWith("<!", at)) throw new XmlError("document type declarations are not accepted", at);
    else if (text.startsWith("</", at)) {
      const name = match(nameAt, text, at + 2);
      if (open === undefined || open.name !== name) {
        throw new XmlError(`unexpected </${name}>${open ? `, <${open.name}> is open` : ""}`, at);
      }
      open.closeTagEnd = match(spaceAt, text, at + 2 + name.length);
      at += 2 + name.length + open.closeTagEnd.length;
      if (text[at] !== ">") throw new XmlError(`expected '>' to close </${name}`, at);
      at++;
      open = open.parent;
      depth--;
    } else {
      const name = match(nameAt, text, at + 1);
      if (name === "") throw new XmlError("expected an element name", at);
      if (open === undefined && document.root) throw new XmlError("a second root element", at);
      const element = new XmlElement(name);
      element.parent = open;
      if (open) open.children.push(element);
      else document.root = element;
      at = readAttributes(text, at + 1 + name.length, element);
      if (text.startsWith("/>", at)) at += 2;
      else if (text[at] === ">") {
        at++;
        element.wasOpen = true;
        open = element;
        if (++depth > xmlLimits.depth) throw new XmlError("elements are nested too deeply", at);
      } else throw new XmlError(`expected '>' to end <${name}`, at);
    }
  }
  if (open) throw new XmlError(`<${open.name}> is not closed`, text.length);
  if (document.root === undefined) throw new XmlError("no root element", text.length);
  return { before: document.before, after: document.after, root: document.root };
}

function readAttributes(text: string, start: number, element: XmlElement): number {
  const seen = new Set<string>();
  for (let at = start; ; ) {
    const space = match(spaceAt, text, at);
    const name = match(nameAt, text, at + space.length);
    if (name === "" || space === "") {
      element.tagEnd = space;
      return at + space.length;
    }
    let cursor = at + space.length + name.length;
    cursor += match(spaceAt, text, cursor).length;
    if (text[cursor] !== "=") throw new XmlError(`attribute ${name} has no value`, cursor);
    cursor++;
    cursor += match(spaceAt, text, cursor).length;
    const quote = text[cursor];
    if (quote !== '"' && quote !== "'") throw new XmlError(`the value of ${name} is not quoted`, cursor);
    const end = text.indexOf(quote, cursor + 1);
    if (end < 0) throw new XmlError(`the value of ${name} has no end`, cursor);
    const raw = text.slice(cursor + 1, end);
    if (raw.includes("<")) throw new XmlError(`'<' in the value of ${name}`, cursor);
    if (seen.has(name)) throw new XmlError(`attribute ${name} stands twice`, at);
    seen.add(name);
    element.attributes.push({
      name,
      value: decode(raw, cursor),
      space,
      source: text.slice(at + space.length, end + 1),
    });
    at = end + 1;
  }
}

/** The document as text: unchanged nodes as they were read, new ones as VirtualBox writes them. */
export function serializeXml(document: XmlDocument): string {
  const parts: string[] = document.before.map((node) => node.raw);
  write(document.root, parts);
  for (const node of document.after) parts.push(node.raw);
  return parts.join("");
}

function write(element: XmlElement, parts: string[]): void {
  parts.push("<", element.name);
  for (const { name, value, space, source } of element.attributes) {
    parts.push(space, source ?? `${name}="${value.replace(/[&<>"\r\n\t]/g, escapeCharacter)}"`);
  }
  parts.push(element.tagEnd);
  if (element.children.length === 0 && !element.wasOpen) {
    parts.push("/>");
    return;
  }
  parts.push(">");
  for (const child of element.children) {
    if (child.kind === "element") write(child, parts);
    else parts.push(child.raw);
  }
  parts.push("</", element.name, element.closeTagEnd, ">");
}
