/** Edge values of x87 operands: double-extended, single, double, integer and BCD in memory. */

export interface Extended {
  readonly m: bigint;
  readonly se: number;
}

const TOP = 1n << 63n;
const mantissas = [
  TOP,
  TOP + 1n,
  TOP | (1n << 62n),
  0xffff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_fffen,
  0xc000_0000_0000_0001n,
  // Halfway cases of 53 and 24 bits.
  TOP | 0x400n,
  TOP | 0xc00n,
  TOP | 0x401n,
  TOP | 0x3ffn,
  TOP | (1n << 39n),
  TOP | (3n << 39n),
  TOP | (1n << 39n) | 1n,
  0xffff_ffff_ffff_fc00n,
  0xffff_ff80_0000_0000n,
  0xaaaa_aaaa_aaaa_aaabn,
];

function random64(random: () => number): bigint {
  return (BigInt(random() >>> 0) << 32n) | BigInt(random() >>> 0);
}

export function extendedValue(random: () => number): Extended {
  const sign = random() & 1 ? 0x8000 : 0;
  const mantissa = () => (random() % 2 === 0 ? mantissas[random() % mantissas.length] : random64(random) | TOP);
  switch (random() % 24) {
    case 0:
      return { m: 0n, se: sign };
    case 1:
      return { m: TOP, se: sign | 0x7fff };
    case 2:
      // Quiet and signaling NaNs, some with the same payload.
      return { m: random() % 3 === 0 ? TOP | (1n << 62n) | 5n : mantissa() | (1n << 62n), se: sign | 0x7fff };
    case 3:
      return { m: (random() % 3 === 0 ? TOP | 5n : mantissa() | 1n) & ~(1n << 62n), se: sign | 0x7fff };
    case 4:
      // Denormals.
      return { m: random() % 2 === 0 ? 1n << BigInt(random() % 63) : random64(random) & ~TOP, se: sign };
    case 5:
      return { m: mantissa(), se: sign };
    case 6:
      // Unnormals, pseudo-infinity, pseudo-NaNs.
      return {
        m: random() % 2 === 0 ? 0n : mantissa() & ~TOP,
        se: sign | (random() % 2 === 0 ? 0x7fff : 1 + (random() % 0x7ffe)),
      };
    case 7:
      return { m: mantissa(), se: sign | (1 + (random() % 70)) };
    case 8:
      return { m: mantissa(), se: sign | (0x7ffe - (random() % 70)) };
    // The limits of single and double.
    case 9:
      return { m: mantissa(), se: sign | (0x3fff - 150 + (random() % 30)) };
    case 10:
      return { m: mantissa(), se: sign | (0x3fff + 126 + (random() % 4)) };
    case 11:
      return { m: mantissa(), se: sign | (0x3fff - 1076 + (random() % 60)) };
    case 12:
      return { m: mantissa(), se: sign | (0x3fff + 1022 + (random() % 4)) };
    // Integers and halves; the limits of 16, 32 and 64 bits.
    case 13:
      return { m: (BigInt(random() & 0xffff) << 48n) | TOP, se: sign | (0x3ffc + (random() % 20)) };
    case 14:
      return { m: mantissa(), se: sign | (0x400c + (random() % 4)) };
    case 15:
      return { m: mantissa(), se: sign | (0x401c + (random() % 4)) };
    case 16:
      return { m: mantissa(), se: sign | (0x403b + (random() % 5)) };
    case 17:
      return { m: mantissa(), se: sign | (random() % 0x7fff) };
    default:
      return { m: mantissa(), se: sign | (0x3fff - 70 + (random() % 140)) };
  }
}

export function extendedBytes(value: Extended): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, value.m, true);
  view.setUint16(8, value.se, true);
  return bytes;
}

export type MemoryKind = "extended" | "single" | "double" | "integer" | "decimal";

/** Sixteen bytes that begin with an operand of that kind. */
export function memoryOperand(kind: MemoryKind, random: () => number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const fill = random() % 3;
  const fraction = fill === 0 ? 0n : fill === 1 ? random64(random) : (1n << 64n) - 1n - BigInt(random() & 3);
  switch (kind) {
    case "extended":
      bytes.set(extendedBytes(extendedValue(random)));
      break;
    case "single": {
      const exponents = [0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff, random() & 0xff, random() & 0xff];
      const exponent = exponents[random() % exponents.length];
      const extra = random() % 3 === 0 ? 0x400000 : 0;
      view.setUint32(0, ((random() & 1) << 31) | (exponent << 23) | Number(fraction & 0x7fffffn) | extra, true);
      break;
    }
    case "double": {
      const exponents = [0, 0, 1, 0x3ff, 0x400, 0x7fe, 0x7ff, 0x7ff, random() & 0x7ff, random() & 0x7ff];
      const exponent = BigInt(exponents[random() % exponents.length]);
      const extra = random() % 3 === 0 ? 1n << 51n : 0n;
      view.setBigUint64(
        0,
        (BigInt(random() & 1) << 63n) | (exponent << 52n) | (fraction & 0xf_ffff_ffff_ffffn) | extra,
        true,
      );
      break;
    }
    case "decimal": {
      for (let n = 0; n < 9; n++) bytes[n] = (random() % 10) | ((random() % 10) << 4);
      // Now and then digits that are none.
      if (random() % 8 === 0) bytes[random() % 9] = random();
      bytes[9] = random() % 2 === 0 ? 0x80 : 0;
      if (random() % 4 === 0) bytes[9] = random();
      break;
    }
    case "integer": {
      const edges = [
        0n,
        1n,
        -1n,
        1n << 15n,
        (1n << 15n) - 1n,
        1n << 31n,
        (1n << 31n) - 1n,
        1n << 63n,
        (1n << 63n) - 1n,
      ];
      const value = random() % 2 === 0 ? edges[random() % edges.length] : random64(random) >> BigInt(random() % 64);
      view.setBigUint64(0, BigInt.asUintN(64, value), true);
      view.setUint16(8, random() & 0xffff, true);
      break;
    }
  }
  return bytes;
}
