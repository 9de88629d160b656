/** Waiting for the network in a directed service. */
import type { Directed, ServiceMemory } from "../directed.ts";
import type { Datagram, NetworkStack } from "./stack.ts";

/** An answer mostly comes within this: until then the wait looks again and again, afterwards from timer tick to timer tick. */
const SPIN_NS = 30_000_000;
const SPIN_READS = 60;
const ARP_TRIES = 4;
const ARP_WAIT_MS = 500;

/** Runs `check` until it gives something other than 0 or time is up (0). `check` may act: it is not run when a state is loaded. */
export function* waitFor(memory: ServiceMemory, timeoutMs: number, check: () => number): Directed<number> {
  const startNs = memory.nowNs();
  for (;;) {
    const result = memory.input(check);
    if (result !== 0) return result;
    const elapsedNs = memory.nowNs() - startNs;
    if (elapsedNs >= timeoutMs * 1e6) return 0;
    if (elapsedNs < SPIN_NS) yield { kind: "delay", reads: SPIN_READS };
    else yield { kind: "halt" };
  }
}

/** Sends a datagram, finding out the next hop's Ethernet address first. False: nobody has that address. */
export function* sendUdp(
  memory: ServiceMemory,
  stack: NetworkStack,
  datagram: () => Datagram,
  gateway = 0,
): Directed<boolean> {
  for (let attempt = 0; attempt < ARP_TRIES; attempt++) {
    const trySend = () => (stack.sendUdp(datagram(), gateway) ? 1 : 0);
    if (memory.input(trySend) === 1) return true;
    // The answer to the request is taken by the poll itself.
    yield* waitFor(memory, ARP_WAIT_MS, () => {
      stack.poll(() => false);
      return stack.knows(datagram().destination, gateway) ? 1 : 0;
    });
  }
  return false;
}
