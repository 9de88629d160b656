/** The address PROM that the first 16 ports show (Am79C970A data sheet, "Address PROM Space"). */
import { APROM_BYTES } from "./registers.ts";

const HARDWARE_ID = 9;
const HARDWARE_ID_PCI = 0x11;
const CHECKSUM = 12;
const SIGNATURE = 14;

/** Address, hardware id, checksum and the letters WW that drivers look for. */
export function addressProm(macAddress: Uint8Array): Uint8Array {
  const prom = new Uint8Array(APROM_BYTES);
  prom.set(macAddress.subarray(0, 6));
  prom[HARDWARE_ID] = HARDWARE_ID_PCI;
  prom.fill(0x57, SIGNATURE);
  let sum = 0;
  for (let i = 0; i < APROM_BYTES; i++) if (i < CHECKSUM || i >= SIGNATURE) sum += prom[i];
  prom[CHECKSUM] = sum;
  prom[CHECKSUM + 1] = sum >>> 8;
  return prom;
}
