/** A short sorted list of sequence ranges that neither touch nor overlap: what is there beyond a gap. */
import { isAfter, isBefore } from "./segment.ts";

export const MAX_RANGES = 64;

export class SequenceRanges {
  count = 0;
  readonly starts = new Int32Array(MAX_RANGES);
  readonly ends = new Int32Array(MAX_RANGES);

  clear(): void {
    this.count = 0;
  }

  /** Adds [start, end), joining what it touches. False: the list is full, nothing was added. */
  add(start: number, end: number): boolean {
    const { starts, ends } = this;
    let first = 0;
    while (first < this.count && isBefore(ends[first], start)) first++;
    let after = first;
    let newStart = start;
    let newEnd = end;
    while (after < this.count && !isAfter(starts[after], end)) {
      if (isBefore(starts[after], newStart)) newStart = starts[after];
      if (isAfter(ends[after], newEnd)) newEnd = ends[after];
      after++;
    }
    if (after === first) {
      if (this.count === MAX_RANGES) return false;
      starts.copyWithin(first + 1, first, this.count);
      ends.copyWithin(first + 1, first, this.count);
      this.count++;
    } else if (after > first + 1) {
      starts.copyWithin(first + 1, after, this.count);
      ends.copyWithin(first + 1, after, this.count);
      this.count -= after - first - 1;
    }
    starts[first] = newStart;
    ends[first] = newEnd;
    return true;
  }

  /** Forgets everything before `seq`. */
  trim(seq: number): void {
    let gone = 0;
    while (gone < this.count && !isAfter(this.ends[gone], seq)) gone++;
    if (gone > 0) {
      this.starts.copyWithin(0, gone, this.count);
      this.ends.copyWithin(0, gone, this.count);
      this.count -= gone;
    }
    if (this.count > 0 && isBefore(this.starts[0], seq)) this.starts[0] = seq;
  }

  /** If `seq` lies in a range: its end, else `seq`. */
  endOf(seq: number): number {
    for (let i = 0; i < this.count; i++) {
      if (isAfter(this.starts[i], seq)) return seq;
      if (isAfter(this.ends[i], seq)) return this.ends[i];
    }
    return seq;
  }

  /** Start of the first range after `seq`, or `fallback`. */
  nextStart(seq: number, fallback: number): number {
    for (let i = 0; i < this.count; i++) if (isAfter(this.starts[i], seq)) return this.starts[i];
    return fallback;
  }
}
