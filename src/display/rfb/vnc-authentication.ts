/**
 * VNC authentication (RFC 6143, section 7.2.2): the client proves that it knows the password by encrypting a challenge
 * with it. The cipher is DES with eight characters of password, so this keeps guests out, not listeners: see docs/console.md.
 */

export const CHALLENGE_BYTES = 16;

/** DES in ECB mode, without padding; from the host's crypto library. */
export type DesEncrypt = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** What a client that knows `password` answers to `challenge`. */
export function vncResponse(password: string, challenge: Uint8Array, encrypt: DesEncrypt): Uint8Array {
  const key = new Uint8Array(8);
  const bytes = new TextEncoder().encode(password);
  // The protocol's peculiarity: the bits of each byte in reverse.
  for (let i = 0; i < Math.min(8, bytes.length); i++) key[i] = reversed(bytes[i]);
  return encrypt(key, challenge);
}

function reversed(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) result |= 0x80 >> bit;
  return result;
}

/** Whether both are the same, in a time that does not depend on where they differ. */
export function isEqualInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
