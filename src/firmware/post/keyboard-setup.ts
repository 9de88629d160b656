/** POST's start of the 8042 and the keyboard, by guest instructions because both take time to answer. */
import type { Directed, ServiceMemory } from "../directed.ts";
import { command8042, drain8042, readData8042, readReply8042, writeData8042 } from "../services/controller-8042.ts";

const SELF_TEST = 0xaa;
const SELF_TEST_OK = 0x55;
const KEYBOARD_TEST = 0xab;
const WRITE_COMMAND_BYTE = 0x60;
const ENABLE_KEYBOARD = 0xae;
const KEYBOARD_RESET = 0xff;
const KEYBOARD_ENABLE = 0xf4;
const ACK = 0xfa;
/** Both interrupts and the keyboard's clock off while it is tested; system flag set. */
const QUIET = 0x34;
/** Scan codes translated to set 1, IRQ1 on; the mouse's clock runs, its interrupt is off until a driver wants it. */
const RUNNING = 0x45;

/** Gives false if the controller or the keyboard does not answer; the machine starts anyway. */
export function* startKeyboard(memory: ServiceMemory): Directed<boolean> {
  yield* drain8042();
  yield* command8042(SELF_TEST);
  if ((yield* readData8042()) !== SELF_TEST_OK) return false;
  yield* command8042(WRITE_COMMAND_BYTE);
  yield* writeData8042(QUIET);
  yield* command8042(KEYBOARD_TEST);
  const isLineGood = (yield* readData8042()) === 0x00;
  yield* command8042(ENABLE_KEYBOARD);
  yield* writeData8042(KEYBOARD_RESET);
  const isReset = (yield* readReply8042(memory, false)) === ACK && (yield* readReply8042(memory, false)) === 0xaa;
  yield* writeData8042(KEYBOARD_ENABLE);
  const isEnabled = (yield* readReply8042(memory, false)) === ACK;
  yield* command8042(WRITE_COMMAND_BYTE);
  yield* writeData8042(RUNNING);
  return isLineGood && isReset && isEnabled;
}
