/** Where the logs of the bare-metal images differ from QEMU's and Bochs', and what decides. */
import type { Difference } from "./compare.ts";

const noLimits = "TCG checks neither limits nor types of data segments";

export const differences: readonly Difference[] = [
  {
    image: "segment-loads",
    peer: "QEMU",
    ours: /^null es (read|write) .*: 0D\/0000 \+02/,
    peers: /^: ok/,
    lines: "32 14371c3c",
    manual: "volume 3, 3.4.2 and 5.4.1: using a null selector to access memory is #GP(0)",
    right: "Anneau",
    because: noLimits,
  },
  {
    image: "segment-limits",
    peer: "QEMU",
    ours: /./,
    lines: "2349 7b458cda",
    manual: "volume 3, 5.3 and 5.5: beyond the limit or against the type is #GP(0), on the stack #SS(0)",
    right: "Anneau",
    because: `${noLimits}, nor limits of stacks and of code (Bochs says the same as we do in all of these)`,
  },
  {
    image: "segment-limits",
    peer: "Bochs",
    ours: /^up 4G FFFFFFF[DEF] [rw][24]: ok/,
    peers: /^: 0D\/0000/,
    lines: "8 9a23671d",
    manual: "volume 3, 5.3: with an effective limit of FFFFFFFFh such accesses may or may not fault",
    right: "both",
    because: "an access wraps around the end of a 4 GiB segment",
  },
  {
    image: "segment-limits",
    peer: "Bochs",
    ours: /^up 16 64K call far at 4: ok/,
    peers: /^: 0C\/0000/,
    lines: "1 ce6d6d3a",
    manual: "volume 2, CALL: each push is checked by itself; volume 1, 6.2.3: SP wraps at 64 KiB",
    right: "Anneau",
    because: "CS at offset 0 and EIP at FFFCh, two pushes of a 16-bit stack; Bochs checks the eight bytes as one",
  },
];
