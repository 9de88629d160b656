/** Where the logs of the bare-metal images differ from QEMU's and Bochs', and what decides. */
import type { Difference } from "./compare.ts";

export const differences: readonly Difference[] = [
  {
    image: "segment-loads",
    peer: "QEMU",
    ours: /^null es (read|write) .*: 0D\/0000 \+02/,
    peers: /^: ok/,
    lines: "32 14371c3c",
    manual: "volume 3, 3.4.2 and 5.4.1: using a null selector to access memory is #GP(0)",
    right: "Anneau",
    because: "TCG checks neither limits nor types of data segments",
  },
];
