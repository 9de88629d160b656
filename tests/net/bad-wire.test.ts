/** Linux's own TCP against NAT's over a bad wire, with a small file; `npm run test:long` moves 20 MB. */
import { test } from "vitest";
import { fileOverBadWire } from "./bad-wire.ts";

test("a file down and up again over a bad wire", async () => {
  await fileOverBadWire(1_000_000);
});
