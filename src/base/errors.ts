/**
 * Typed errors. Every error that reaches a person is one line that names the failing item and what to do; `cause` keeps
 * the chain for logs. VirtualBox's result codes belong to the command line's contract and are attached in config/ and cli/.
 */

/** An error whose message is written for the person who typed the command. */
export class AnneauError extends Error {
  override name = "AnneauError";
}

/** Something the program itself did wrong (an invariant of ours broke): never the guest's or the user's fault. */
export class InternalError extends AnneauError {
  override name = "InternalError";
}

/** A saved state, settings file or image that does not say what its format demands. */
export class FormatError extends AnneauError {
  override name = "FormatError";
}
