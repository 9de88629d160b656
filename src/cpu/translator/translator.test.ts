/**
 * Regions against the interpreter: the same programs, each region entered at its first jump, must end in the same state. Programs are
 * 32-bit flat code; random ones come from a fixed seed.
 */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { CODE, engine, FORCED, loop, run } from "./testing.ts";

describe("regions and interpreter agree", () => {
  test("on random straight code in loops", async () => {
    const interpreted = await engine({});
    const translated = await engine(FORCED);
    const random = seededRandom(20260101);
    const pick = (n: number) => random(n);
    /** A register other than ESP, ESI, EDI, EBP (which hold addresses). */
    const free = () => [0, 1, 2, 3][pick(4)];
    const instruction = (): number[] => {
      const modrm = 0xc0 | (free() << 3) | free();
      const memory = [0x46, 0x47][pick(2)] | (free() << 3);
      const displacement = pick(120);
      switch (pick(16)) {
        case 0:
          return [pick(8) * 8 + 1, modrm];
        case 1:
          return [pick(8) * 8 + 3, memory, displacement];
        case 2:
          return [pick(8) * 8 + 1, memory, displacement];
        case 3:
          return [pick(8) * 8, 0xc0 | (pick(4) << 3) | pick(8 - 4)];
        case 4:
          return [0x66, pick(8) * 8 + 3, modrm];
        case 5:
          return [0x83, 0xc0 | (pick(8) << 3) | free(), pick(256)];
        case 6:
          return [0x40 + free()];
        case 7:
          return [0x48 + free()];
        case 8:
          return [0xc1, 0xc0 | (pick(8) << 3) | free(), pick(32)];
        case 9:
          return [0xd3, 0xc0 | (pick(8) << 3) | free()];
        case 10:
          return [0x0f, 0x90 + pick(16), 0xc0 | pick(4)];
        case 11:
          return [0x0f, 0x40 + pick(16), modrm];
        case 12:
          return [0x0f, [0xaf, 0xb6, 0xb7, 0xbe, 0xbf, 0xa3, 0xab, 0xbc, 0xbd][pick(9)], modrm];
        case 13:
          return [0x70 + pick(16), 2, 0x40 + free(), 0x48 + free()];
        case 14:
          return [0x50 + free(), 0x58 + free()];
        default:
          return [
            [0x0f, 0xa5, modrm],
            [0xf7, 0xd0 | free()],
            [0xf7, 0xe0 | free()],
            [0xf5],
            [0x8d, 0x44 | (free() << 3), 0x0e, displacement],
          ][pick(5)];
      }
    };
    for (let round = 0; round < 400; round++) {
      const body: number[] = [];
      while (body.length < 60) body.push(...instruction());
      const program = loop(body, 3);
      const expected = run(interpreted, program, round);
      const found = run(translated, program, round);
      const where = `round ${round}: ${body.map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;
      expect(found.registers, where).toEqual(expected.registers);
      expect(found.data, where).toEqual(expected.data);
      expect(found.instructions, where).toBe(expected.instructions);
    }
    expect(translated.cpu.regionStatistics?.compiled).toBeGreaterThan(300);
  });

  test("on a store that changes the running loop", async () => {
    // l: mov eax, 0; inc dword [CODE + offset of the immediate]; cmp eax, 5; jb l
    const at = CODE + 14 + 40;
    const code = [0xb8, 0, 0, 0, 0, 0xff, 0x05, (at + 1) & 0xff, ((at + 1) >> 8) & 0xff, (at + 1) >> 16, 0];
    const program = [...code, 0x83, 0xf8, 0x05, 0x72, -(code.length + 5) & 0xff];
    const interpreted = run(await engine({}), program);
    const translated = run(await engine(FORCED), program);
    expect(translated.registers).toEqual(interpreted.registers);
    expect(translated.registers[0]).toBe(5);
  });

  test("on a fault in the middle of a region: state is that of the instruction's start", async () => {
    // mov ebx, 10; l: dec ebx; mov eax, 100; xor edx, edx; div ebx; jmp l — the division by zero is a triple fault here
    const body = [0x4b, 0xb8, 100, 0, 0, 0, 0x31, 0xd2, 0xf7, 0xf3];
    const program = [0xbb, 10, 0, 0, 0, ...body, 0xeb, -(body.length + 2) & 0xff];
    const interpreted = run(await engine({}), program);
    const translated = run(await engine(FORCED), program);
    expect(translated.registers).toEqual(interpreted.registers);
    expect(translated.instructions).toBe(interpreted.instructions);
  });

  test("on jumps through a register, as interpreters of byte code make them", async () => {
    // Behind the set-up's instructions.
    const at = CODE + 14 + 40;
    // mov ecx, 600; l: lodsb; and eax, 3; lea edx, [eax * 8 + handlers]; jmp edx
    const start = [0xb9, 0x58, 2, 0, 0, 0xac, 0x83, 0xe0, 0x03, 0x8d, 0x14, 0xc5];
    const handlers = at + start.length + 6;
    const head = [...start, handlers & 0xff, (handlers >> 8) & 0xff, handlers >> 16, 0, 0xff, 0xe2];
    // add ebx, ecx — rol ebx, 3 — xor ebx, esi — dec esi; inc esi; not ebx; each with a jump to the end of the loop
    const works = [
      [0x01, 0xcb],
      [0xc1, 0xc3, 0x03],
      [0x31, 0xf3],
      [0x4e, 0x46, 0xf7, 0xd3],
    ];
    const table = works.flatMap((work, n) => {
      const padded = [...work, ...new Array(6 - work.length).fill(0x90)];
      return [...padded, 0xeb, (works.length - 1 - n) * 8];
    });
    // dec ecx; jnz l
    const body = [...head, ...table, 0x49];
    const program = [...body, 0x75, -(body.length + 2 - 5) & 0xff];
    for (let seed = 1; seed < 20; seed++) {
      const interpreted = run(await engine({}), program, seed);
      const translated = await engine(FORCED);
      const found = run(translated, program, seed);
      expect(found.registers).toEqual(interpreted.registers);
      expect(found.instructions).toBe(interpreted.instructions);
    }
  });
});
