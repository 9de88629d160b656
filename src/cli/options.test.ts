import { expect, test } from "vitest";
import { UsageError } from "./errors.ts";
import { modifyOptions } from "./modifyvm/table.ts";
import { option, parseArguments } from "./options.ts";

const specs = [
  option("name", "text"),
  option("long l", "switch"),
  option("accelerate-3d accelerate3d", "onoff"),
  option("nic", "text", { slots: 8 }),
  option("nic-type nictype", "text", { slots: 8 }),
  option("uart", "text", { slots: 4, more: (first) => (first === "off" ? 0 : 1) }),
  option("memory", "integer"),
];
const parse = (line: string) => {
  const { options, positionals } = parseArguments(line.split(" "), specs);
  return { options: options.map(({ name, slot, values }) => [name, slot, ...values]), positionals };
};

test("the spellings of one option", () => {
  for (const line of ["--name x", "--name=x", "--name:x", "-name x", "-name=x"]) {
    expect(parse(line).options, line).toEqual([["name", 0, "x"]]);
  }
  for (const line of ["--nic1 nat", "--nic1=nat", "--nic-1 nat", "--nic 1 nat", "-nic1 nat"]) {
    expect(parse(line).options, line).toEqual([["nic", 1, "nat"]]);
  }
  expect(parse("--nictype2 virtio --nic-type3 x").options).toEqual([
    ["nic-type", 2, "virtio"],
    ["nic-type", 3, "x"],
  ]);
  expect(parse("--accelerate3d on").options).toEqual([["accelerate-3d", 0, "on"]]);
  expect(parse("-l vms").options).toEqual([["long", 0]]);
});

test("values may look like options, and some options have several", () => {
  expect(parse("--name --memory").options).toEqual([["name", 0, "--memory"]]);
  expect(parse("a --uart1 0x3f8 4 --uart2 off b")).toEqual({
    options: [
      ["uart", 1, "0x3f8", "4"],
      ["uart", 2, "off"],
    ],
    positionals: ["a", "b"],
  });
  expect(parse("x -- --name y").positionals).toEqual(["x", "--name", "y"]);
});

test("what is no option is said in the texts that clients know", () => {
  const cases: [line: string, message: string][] = [
    ["--nope", "Unknown option: --nope"],
    ["--l", "Unknown option: --l"],
    ["-x", "Unknown option: -x"],
    ["--Name x", "Unknown option: --Name"],
    ["--name", "Missing value for option '--name'"],
    ["--uart1 0x3f8", "Missing value for option '--uart1'"],
    ["--nic9 nat", "Invalid slot number in option '--nic9' (must be in range [1, 8])"],
    ["--nic0 nat", "Invalid slot number in option '--nic0' (must be in range [1, 8])"],
    ["--nic nat", "Invalid slot number in option '--nic' (must be in range [1, 8])"],
    ["--memory 1.5", "Invalid argument format for option '--memory': '1.5'"],
    ["--accelerate3d maybe", "Invalid argument format for option '--accelerate3d': 'maybe'"],
    ["--long=yes", "Option '--long' takes no value"],
  ];
  for (const [line, message] of cases) {
    expect(() => parse(line), line).toThrow(UsageError);
    expect(() => parse(line), line).toThrow(message);
  }
});

test("modifyvm's spellings are unique, and every option has its example", () => {
  const seen = new Map<string, string>();
  for (const { names, slots, kind, example, more } of modifyOptions) {
    for (const name of names) {
      expect(seen.get(name), `--${name} of --${names[0]}`).toBeUndefined();
      seen.set(name, names[0]);
    }
    const args = [`--${names[0]}${slots ? "1" : ""}`, ...example];
    const parsed = parseArguments(args, modifyOptions);
    expect(parsed.positionals, names[0]).toEqual([]);
    expect(parsed.options, names[0]).toHaveLength(1);
    expect(kind === "switch" ? 0 : 1 + (more?.(example[0]) ?? 0), names[0]).toBe(example.length);
  }
});

test("fuzz: any argument vector is parsed or refused with a usage error", () => {
  let state = 77;
  const random = (bound: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % bound;
  };
  const words = modifyOptions.flatMap(({ names }) => names);
  const pieces = [
    "-",
    "--",
    "=",
    ":",
    "1",
    "99",
    "on",
    "off",
    "",
    " ",
    "\0",
    "é",
    "x".repeat(300),
    "0x3f8",
    "delete",
    "{}",
  ];
  for (let round = 0; round < 5000; round++) {
    const args = Array.from({ length: random(7) }, () => {
      const parts = Array.from({ length: 1 + random(4) }, () =>
        random(2) ? pieces[random(pieces.length)] : words[random(words.length)],
      );
      return random(2) ? `--${parts.join("")}` : parts.join("");
    });
    try {
      parseArguments(args, modifyOptions);
    } catch (error) {
      expect(error, JSON.stringify(args)).toBeInstanceOf(UsageError);
    }
  }
});
