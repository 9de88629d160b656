import { expect, test } from "vitest";
import { FormatError } from "../base/errors.ts";
import { parseXml, serializeXml, XmlElement } from "./xml.ts";

const sample = `\ufeff<?xml version='1.0'  encoding="UTF-8"?>\r
<!-- top -->
<a  one = "1"\ttwo='&lt;&#x41;&#66;&quot;' >
  text &amp; more<![CDATA[ <raw> & ]]>
  <b/><b />
  <c></c >
  <?pi keep?>
</a>
<!-- end -->
`;

test("what is read is written as it was, character for character", () => {
  expect(serializeXml(parseXml(sample, "sample"))).toBe(sample);
});

test("values and text come with entities resolved", () => {
  const { root } = parseXml(sample, "sample");
  expect([root.get("one"), root.get("two"), root.get("three")]).toEqual(["1", '<AB"', undefined]);
  expect(root.text).toContain("text & more <raw> & ");
});

test("a changed attribute changes nothing around it", () => {
  const document = parseXml(sample, "sample");
  document.root.set("one", 'x"<&>\n');
  document.root.set("two", '<AB"');
  expect(serializeXml(document)).toBe(sample.replace('one = "1"', 'one="x&quot;&lt;&amp;&gt;&#10;"'));
  expect(parseXml(serializeXml(document), "again").root.get("one")).toBe('x"<&>\n');
});

test("elements come and go with their indentation", () => {
  const document = parseXml("<r>\n  <a/>\n</r>", "r");
  const { root } = document;
  const child = root.add("b").set("k", "v");
  child.add("c");
  expect(serializeXml(document)).toBe('<r>\n  <a/>\n  <b k="v">\n    <c/>\n  </b>\n</r>');
  root.add("first", root.element("a"));
  expect(serializeXml(document)).toBe('<r>\n  <first/>\n  <a/>\n  <b k="v">\n    <c/>\n  </b>\n</r>');
  for (const element of root.elements()) root.remove(element);
  expect(serializeXml(document)).toBe("<r/>");
  root.add(new XmlElement("again"));
  expect(serializeXml(document)).toBe("<r>\n  <again/>\n</r>");
});

test("hostile documents are refused with a line and a column", () => {
  const cases: [text: string, message: string][] = [
    ["", "no root element"],
    ["<a>", "<a> is not closed"],
    ["<a></b>", "unexpected </b>"],
    ["<a/><b/>", "a second root element"],
    ["<a b/>", "attribute b has no value"],
    ["<a b=c/>", "is not quoted"],
    ['<a b="1" b="2"/>', "stands twice"],
    ['<a b="<"/>', "'<' in the value"],
    ['<a b="1"c="2"/>', "expected '>'"],
    ["<a>&bomb;</a>", "unknown entity"],
    ["<a>&#0;</a>", "unknown entity"],
    ["<a>&#x110000;</a>", "unknown entity"],
    ["<a>& b</a>", "unknown entity"],
    ["<!DOCTYPE a><a/>", "document type declarations"],
    ["<a><!-- no end</a>", "comment without end"],
    ["<1/>", "expected an element name"],
    ["<x>".repeat(2000), "nested too deeply"],
  ];
  for (const [text, message] of cases) {
    expect(() => parseXml(text, "f"), text.slice(0, 40)).toThrow(FormatError);
    expect(() => parseXml(text, "f")).toThrow(/^f: line [0-9]+, column [0-9]+: /);
    expect(() => parseXml(text, "f")).toThrow(message);
  }
});

test("fuzz: mutated documents are read exactly or refused, quickly and without another error", () => {
  let state = 20240301;
  const random = (bound: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % bound;
  };
  const pieces = [
    "<",
    ">",
    "/",
    '"',
    "'",
    "&",
    ";",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "=",
    " ",
    "a",
    "\0",
  ];
  let accepted = 0;
  for (let round = 0; round < 4000; round++) {
    let text = sample;
    for (let change = random(6); change >= 0; change--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + (random(3) ? pieces[random(pieces.length)] : "") + text.slice(at + random(4));
    }
    try {
      const document = parseXml(text, "fuzz");
      expect(serializeXml(document)).toBe(text);
      void document.root.text;
      accepted++;
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
  expect(accepted).toBeGreaterThan(100);
});
