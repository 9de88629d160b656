/**
 * Saved state: a tree keyed by device id whose leaves are tagged and versioned. `data` is plain JSON-able values plus
 * Uint8Array. Loading fails with FormatError on an unknown kind or version, on missing and on left-over entries.
 */
export type SavedValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly SavedValue[]
  | { readonly [key: string]: SavedValue };

export interface SavedLeaf {
  /** What the leaf is, e.g. "uart-16550". */
  readonly kind: string;
  readonly version: number;
  readonly data: { readonly [key: string]: SavedValue };
}

export type SavedState = { readonly [deviceId: string]: SavedLeaf };
