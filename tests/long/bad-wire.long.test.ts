/** 20 MB each way over a wire that loses 5 %, swaps 10 % and delays by 100 ms each way. */
import { test } from "vitest";
import { fileOverBadWire } from "../net/bad-wire.ts";
import { report } from "./figures.ts";

const BYTES = 20_000_000;
const PATIENCE_MS = 3 * 3_600_000;

test(
  "20 MB down and up again over a bad wire",
  async () => report("bad-wire", { bytes: BYTES, ...(await fileOverBadWire(BYTES)) }),
  PATIENCE_MS,
);
