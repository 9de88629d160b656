/** How a start goes on: the boot order, or the boot menu behind F12: a numbered list of what could be started, keys 1–9, Esc for the usual order. */
import type { Directed, ServiceMemory } from "../directed.ts";
import type { ServiceContext } from "../service-context.ts";
import { type BootChoice, bootOrderChoices, bootstrap } from "./bootstrap.ts";
import { pollKey, print, waitKey } from "./guest-calls.ts";

const F12 = 0x8600;
const ESCAPE = 0x1b;
/** How long F12 is looked for. */
const WAIT_NS = 700_000_000;

/** Tries the boot order again and again; F12 opens the menu, unless it is disabled: at first (in POST) and after each failure. */
export function* startSystem(context: ServiceContext, memory: ServiceMemory, isPost: boolean): Directed<never> {
  const { bootMenu = "messageandmenu" } = context.spec;
  const hasMenu = bootMenu !== "disabled";
  const isWanted = isPost && hasMenu && (yield* isMenuWanted(memory, bootMenu === "messageandmenu"));
  let choices = isWanted ? yield* chooseFromMenu(context, memory) : bootOrderChoices(context);
  for (;;) {
    const key = yield* bootstrap(context, memory, choices);
    choices = hasMenu && key === F12 ? yield* chooseFromMenu(context, memory) : bootOrderChoices(context);
  }
}

/** Looks for F12 for a moment. */
function* isMenuWanted(memory: ServiceMemory, hasHint: boolean): Directed<boolean> {
  if (hasHint) yield* print(memory, "F12: boot menu\n\n");
  const endNs = memory.nowNs() + WAIT_NS;
  while (memory.nowNs() < endNs) {
    if ((yield* pollKey(memory)) === F12) return true;
    yield { kind: "halt" };
  }
  return false;
}

function* chooseFromMenu(context: ServiceContext, memory: ServiceMemory): Directed<readonly BootChoice[]> {
  const entries: { readonly text: string; readonly choice: BootChoice }[] = [];
  if (context.spec.floppy?.drives.includes(0)) entries.push({ text: "Floppy", choice: { kind: "floppy" } });
  context.bootMedia.media.forEach((medium, mediaIndex) => {
    if (medium.kind === "disk" || medium.kind === "dvd")
      entries.push({
        text: `${medium.kind === "disk" ? "Disk" : "DVD"}: ${medium.name}`,
        choice: { kind: medium.kind, mediaIndex },
      });
  });
  context.bootNics.forEach(({ name }, mediaIndex) => {
    entries.push({ text: `Network: ${name}`, choice: { kind: "network", mediaIndex } });
  });
  const shown = entries.slice(0, 9);
  const lines = shown.map(({ text }, i) => `  ${i + 1}  ${text}\n`).join("");
  yield* print(memory, `Start from:\n\n${lines}\nEsc  the usual order\n\n`);
  for (;;) {
    const key = (yield* waitKey(memory)) & 0xff;
    if (key === ESCAPE) return bootOrderChoices(context);
    const chosen = shown[key - 0x31];
    if (chosen) return [chosen.choice];
  }
}
