/**
 * The PCI interrupt routing of the board, once as the `$PIR` table (PCI IRQ Routing Table Specification 1.0, Microsoft) and
 * once as the answer of INT 1Ah B10Eh, which has the same entries. Device slots of bus 0, rotated by slot.
 */

/** IRQs that PCI may use: 5, 9, 10, 11. */
export const PCI_IRQ_MASK = (1 << 5) | (1 << 9) | (1 << 10) | (1 << 11);
/** IRQs that nothing but PCI uses. */
export const EXCLUSIVE_PCI_IRQS = (1 << 9) | (1 << 10) | (1 << 11);
const FIRST_LINK = 0x60;
/** The last slot that VirtualBox's board uses; tables describe 1 to this. */
export const LAST_PCI_SLOT = 25;
const ENTRY_BYTES = 16;
const HEADER_BYTES = 32;

/** Entries: bus, device, four times link value and IRQ bitmap, slot number 0 (on board), reserved. */
export function buildRoutingOptions(): Uint8Array {
  const bytes = new Uint8Array(LAST_PCI_SLOT * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  for (let slot = 1; slot <= LAST_PCI_SLOT; slot++) {
    const at = (slot - 1) * ENTRY_BYTES;
    bytes[at + 1] = slot << 3;
    for (let pin = 0; pin < 4; pin++) {
      bytes[at + 2 + pin * 3] = FIRST_LINK + ((slot - 1 + pin) & 3);
      view.setUint16(at + 3 + pin * 3, PCI_IRQ_MASK, true);
    }
  }
  return bytes;
}

/** The table for ROM; its place must be a multiple of 16. */
export function buildPirTable(): Uint8Array {
  const entries = buildRoutingOptions();
  const table = new Uint8Array(HEADER_BYTES + entries.length);
  const view = new DataView(table.buffer);
  view.setUint32(0, 0x52495024, true);
  view.setUint16(4, 0x0100, true);
  view.setUint16(6, table.length, true);
  table[8] = 0;
  table[9] = 1 << 3;
  view.setUint16(10, EXCLUSIVE_PCI_IRQS, true);
  view.setUint32(12, 0x70008086, true);
  table.set(entries, HEADER_BYTES);
  table[31] = -table.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return table;
}
