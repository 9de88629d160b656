import { describe, expect, test } from "vitest";
import { FormatError } from "../base/errors.ts";
import type { SavedLeaf, SavedValue } from "./saved-state.ts";
import { StateReader } from "./state-reader.ts";

const leaf = (data: { readonly [key: string]: SavedValue }): SavedLeaf => ({ kind: "part", version: 3, data });
const open = (data: { readonly [key: string]: SavedValue }) => StateReader.open(leaf(data), "part", 3);

test("gives back what was saved, as copies", () => {
  const bytes = Uint8Array.of(1, 2);
  const state = open({ a: 5, b: true, c: bytes, d: [1, 2], e: { f: "x" }, g: [[true], []], h: "hi", i: 0.5 });
  expect(state.integer("a", 0, 5)).toBe(5);
  expect(state.boolean("b")).toBe(true);
  const copy = state.bytes("c", 2);
  expect(copy).toEqual(bytes);
  expect(copy).not.toBe(bytes);
  expect(state.integers("d", 1, 2, 0, 9)).toEqual([1, 2]);
  const child = state.child("e");
  expect(child.string("f")).toBe("x");
  child.end();
  expect(state.booleanLists("g", [1, 0])).toEqual([[true], []]);
  state.literal("h", "hi");
  expect(state.number("i")).toBe(0.5);
  state.end();
});

describe("refuses, naming the entry", () => {
  test("foreign kinds and versions", () => {
    expect(() => StateReader.open(leaf({}), "other", 3)).toThrow(/expected other, found part/);
    expect(() => StateReader.open(leaf({}), "part", 4)).toThrow(/version 3/);
    expect(() => StateReader.open({ kind: "part", version: 3 } as SavedLeaf, "part", 3)).toThrow(FormatError);
  });

  test("missing, repeated and left-over entries", () => {
    const state = open({ a: 1, b: 2 });
    expect(() => state.byte("c")).toThrow(/part has no entry "c"/);
    state.byte("a");
    expect(() => state.byte("a")).toThrow(FormatError);
    expect(() => state.end()).toThrow(/unknown entries: b/);
  });

  test.each<[string, SavedValue, (state: StateReader) => unknown]>([
    ["a fraction", 1.5, (s) => s.integer("x", 0, 9)],
    ["an integer out of range", 10, (s) => s.integer("x", 0, 9)],
    ["no number", "1", (s) => s.number("x")],
    ["infinity", Number.POSITIVE_INFINITY, (s) => s.number("x")],
    ["no boolean", 1, (s) => s.boolean("x")],
    ["too few bytes", new Uint8Array(1), (s) => s.bytes("x", 2)],
    ["a list that is too long", [1, 2, 3], (s) => s.integers("x", 0, 2, 0, 9)],
    ["a list with a bad entry", [1, 99], (s) => s.integers("x", 0, 2, 0, 9)],
    ["a list where a record belongs", [], (s) => s.child("x")],
    ["a wrong number of records", [{}], (s) => s.children("x", 2)],
    ["a wrong number of levels", [true], (s) => s.booleans("x", 2)],
    ["another literal", "b", (s) => s.literal("x", "a")],
  ])("%s", (_name, value, read) => {
    expect(() => read(open({ x: value }))).toThrow(/part\.x is not/);
  });
});
