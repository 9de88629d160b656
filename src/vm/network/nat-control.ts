/** `controlvm natpfN` on the VM process's side: checks what came over the socket and changes the NAT network that runs. */
import { AnneauError } from "../../base/errors.ts";
import { parseForwarding } from "../../config/network-settings.ts";
import { ControlError } from "../../control/client.ts";
import type { NatNetwork } from "../../net/nat-network.ts";

/** A rule as it came; `network` is undefined for an adapter that is not on NAT: then there is nothing to change but the settings. */
export async function addForwarding(network: NatNetwork | undefined, rule: unknown): Promise<void> {
  const { name, protocol, hostIp, hostPort, guestIp, guestPort } = (rule ?? {}) as Record<string, unknown>;
  const fields = [name, protocol, hostIp, hostPort, guestIp, guestPort];
  const isPlain = fields.every((field) => typeof field === "number" || (typeof field === "string" && !/,/.test(field)));
  const parsed = isPlain ? parseForwarding(fields.join(",")) : undefined;
  if (parsed === undefined || parsed.name === "")
    throw new ControlError("a rule has name, protocol, hostIp, hostPort, guestIp and guestPort", "E_INVALIDARG");
  try {
    await network?.addForwarding(parsed);
  } catch (error) {
    if (!(error instanceof AnneauError)) throw error;
    // Only a port that cannot be had has a cause outside.
    throw new ControlError(error.message, error.cause === undefined ? "E_INVALIDARG" : "VBOX_E_IPRT_ERROR", {
      cause: error,
    });
  }
}

export function removeForwarding(network: NatNetwork | undefined, name: unknown): void {
  if (typeof name !== "string") throw new ControlError("a rule is removed by its name", "E_INVALIDARG");
  // A rule whose port could not be had at the start is in the settings only.
  network?.removeForwarding(name);
}
