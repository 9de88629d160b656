/**
 * Shades, lines and blocks of code page 437 (B0h-DFh), computed for any cell height so that neighbours always join.
 * A line character has up to four arms of weight 1 (single) or 2 (double); where arms meet, each line of an arm runs as
 * far as the lines that cross it ask for.
 */

/** Arms of B3h-DAh in the order up, right, down, left. */
const arms = [
  "1010 1011 1012 2021 0021 0012 2022 2020 0022 2002 2001 1002 0011", // B3-BF
  "1100 1101 0111 1110 0101 1111 1210 2120 2200 0220 2202 0222 2220 0202 2222 1202", // C0-CF
  "2101 0212 0121 2100 1200 0210 0120 2121 1212 1001 0110", // D0-DA
]
  .join(" ")
  .split(" ");

/** The two-dot stem of a single line, and the two stems of a double one. */
const singleColumns = [[3, 4]];
const doubleColumns = [
  [1, 2],
  [5, 6],
];

/**
 * The glyph of `code` (B0h-DFh) as `height` bytes, most significant bit leftmost.
 */
export function boxGlyph(code: number, height: number): Uint8Array {
  const rows = new Uint8Array(height);
  if (code <= 0xb2) {
    const patterns = [
      [0x22, 0x88],
      [0xaa, 0x55],
      [0xdd, 0x77],
    ][code - 0xb0];
    for (let y = 0; y < height; y++) rows[y] = patterns[y & 1];
  } else if (code >= 0xdb) {
    const half = height >> 1;
    if (code === 0xdb) rows.fill(0xff);
    else if (code === 0xdc) rows.fill(0xff, half);
    else if (code === 0xdd) rows.fill(0xf0);
    else if (code === 0xde) rows.fill(0x0f);
    else rows.fill(0xff, 0, half);
  } else {
    drawArms(rows, height, [...arms[code - 0xb3]].map(Number));
  }
  return rows;
}

function drawArms(rows: Uint8Array, height: number, [up, right, down, left]: number[]): void {
  const middle = (height >> 1) - 1;
  const vertical = Math.max(up, down);
  const horizontal = Math.max(left, right);
  const columns = vertical === 2 ? doubleColumns : vertical === 1 ? singleColumns : [];
  const lines = horizontal === 2 ? [[middle - 1], [middle + 1]] : horizontal === 1 ? [[middle]] : [];
  for (const [index, column] of columns.entries()) {
    const [from, to] = extent(height, columns.length, index, lines, [up, down], [left, right]);
    for (let y = 0; y < height; y++) {
      if (from(y) || to(y)) for (const x of column) rows[y] |= 0x80 >> x;
    }
  }
  for (const [index, line] of lines.entries()) {
    const [from, to] = extent(8, lines.length, index, columns, [left, right], [up, down]);
    for (let x = 0; x < 8; x++) {
      if (from(x) || to(x)) for (const y of line) rows[y] |= 0x80 >> x;
    }
  }
}

type Covers = (position: number) => boolean;

/**
 * Which positions along its own axis a line covers: the part from the cell's start and the part to its end. `own` are
 * the weights of the arms at the start and the end, `cross` those of the crossing axis' arms at the low and high side.
 */
function extent(
  length: number,
  count: number,
  index: number,
  crossing: readonly (readonly number[])[],
  own: readonly number[],
  cross: readonly number[],
): [Covers, Covers] {
  const [atStart, atEnd] = own;
  const isThrough = atStart > 0 && atEnd > 0;
  const nothing: Covers = () => false;
  if (crossing.length === 0) return [() => true, nothing];
  const nearFirst = crossing[0][0];
  const farFirst = crossing[0].at(-1)!;
  const nearLast = crossing.at(-1)![0];
  const farLast = crossing.at(-1)!.at(-1)!;
  // A line of a double pair meets the crossing arm on its own side; a single line meets both sides.
  const isMet = count === 2 ? cross[index] > 0 : cross[0] > 0 && cross[1] > 0;
  const isBroken = isThrough && crossing.length === 2 && count === 2 && isMet;
  if (isThrough && !isBroken) return [(p) => p < length, nothing];
  const startEnd = isMet ? farFirst : farLast;
  const endStart = isMet ? nearLast : nearFirst;
  return [atStart > 0 ? (p) => p <= startEnd : nothing, atEnd > 0 ? (p) => p >= endStart : nothing];
}
