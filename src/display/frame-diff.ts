/**
 * What has changed from one picture to the next, by tiles; and whether most of it is the old picture moved up or down, as
 * terminals and lists do it when they scroll.
 */
import type { Frame, Move } from "./frame.ts";
import { TILE, TileSet } from "./tile-set.ts";

/** Marks in `tiles` every tile in which the two pictures of the same size differ. */
export function markDifferences(before: Frame, after: Frame, tiles: TileSet): void {
  const { widthPixels: width, heightPixels: height } = after;
  const a = before.pixels;
  const b = after.pixels;
  for (let y = 0; y < height; y++) {
    const row = y >> 4;
    const start = y * width;
    for (let x = 0; x < width; x++) {
      if (a[start + x] === b[start + x]) continue;
      tiles.add(x >> 4, row);
      // The rest of the tile says nothing new.
      x |= TILE - 1;
    }
  }
}

/** A move must save at least this much, and be this high. */
const MIN_MOVE_ROWS = 24;
const MIN_MOVE_PIXELS = 16_384;

/**
 * The largest block of rows inside the changed part that the old picture shows at another height, or undefined. Only
 * rows that occur once in the old picture say by how much: blank ones could come from anywhere.
 */
export function findMove(before: Frame, after: Frame, changed: TileSet): Move | undefined {
  const area = changed.bounds();
  if (area === undefined || area.height < MIN_MOVE_ROWS || area.width * area.height < MIN_MOVE_PIXELS) return undefined;
  const old = rowHashes(before, area.x, area.y, area.width, area.height);
  const now = rowHashes(after, area.x, area.y, area.width, area.height);
  const places = new Map<number, number>();
  for (let y = 0; y < area.height; y++) places.set(old[y], places.has(old[y]) ? -1 : y);
  const votes = new Map<number, number>();
  for (let y = 0; y < area.height; y++) {
    const from = places.get(now[y]) ?? -1;
    if (from >= 0 && from !== y) votes.set(from - y, (votes.get(from - y) ?? 0) + 1);
  }
  let distance = 0;
  let best = 0;
  for (const [by, count] of votes) if (count > best) [distance, best] = [by, count];
  if (distance === 0) return undefined;
  let [top, rows] = [0, 0];
  for (let y = 0, run = 0; y < area.height; y++) {
    const from = y + distance;
    const isMoved = from >= 0 && from < area.height && isSameRow(before, area.y + from, after, area.y + y, area);
    run = isMoved ? run + 1 : 0;
    if (run > rows) [top, rows] = [y - run + 1, run];
  }
  if (rows < MIN_MOVE_ROWS || rows * area.width < MIN_MOVE_PIXELS) return undefined;
  const y = area.y + top;
  return { x: area.x, y, width: area.width, height: rows, fromY: y + distance };
}

/** `changed` without the tiles that lie wholly inside `move`'s target. */
export function withoutMove(changed: TileSet, move: Move): TileSet {
  const rest = new TileSet(changed.widthPixels, changed.heightPixels);
  rest.addSet(changed);
  const { widthPixels: width, heightPixels: height } = changed;
  for (let row = 0; row < rest.rows; row++) {
    const isInside = row * TILE >= move.y && Math.min((row + 1) * TILE, height) <= move.y + move.height;
    for (let column = 0; isInside && column < rest.columns; column++) {
      const isWithin = column * TILE >= move.x && Math.min((column + 1) * TILE, width) <= move.x + move.width;
      if (isWithin) rest.remove(column, row);
    }
  }
  return rest;
}

function rowHashes(frame: Frame, x: number, y: number, width: number, height: number): Int32Array {
  const hashes = new Int32Array(height);
  for (let row = 0; row < height; row++) {
    const start = (y + row) * frame.widthPixels + x;
    let hash = 0;
    for (let i = 0; i < width; i++) hash = (Math.imul(hash, 0x0100_0193) ^ frame.pixels[start + i]) | 0;
    hashes[row] = hash;
  }
  return hashes;
}

function isSameRow(a: Frame, aY: number, b: Frame, bY: number, area: { x: number; width: number }): boolean {
  const aStart = aY * a.widthPixels + area.x;
  const bStart = bY * b.widthPixels + area.x;
  for (let i = 0; i < area.width; i++) if (a.pixels[aStart + i] !== b.pixels[bStart + i]) return false;
  return true;
}
