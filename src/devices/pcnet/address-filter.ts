/** Which frames the PCnet takes (Am79C973 data sheet, "Address Matching"): physical, logical (hash), broadcast, promiscuous. */
import { ADDRESS_BYTES, crcRegister, isBroadcast, isMulticast } from "../../device-parts/ethernet.ts";
import * as R from "./registers.ts";

/** The receive status bits that say why the frame is taken, 0 for promiscuous mode, or -1: it is not for this card. */
export function matchAddress(csr: Uint16Array, frame: Uint8Array): number {
  const mode = csr[R.CSR_MODE];
  if (isBroadcast(frame)) {
    if ((mode & R.MODE_DRCVBC) === 0) return R.RMD_BAM;
  } else if (isMulticast(frame)) {
    const hash = crcRegister(frame, ADDRESS_BYTES) >>> 26;
    if ((csr[R.CSR_LADRF + (hash >>> 4)] >>> (hash & 15)) & 1) return R.RMD_LAFM;
  } else if ((mode & R.MODE_DRCVPA) === 0 && isOwn(csr, frame)) {
    return R.RMD_PAM;
  }
  return (mode & R.MODE_PROM) !== 0 ? 0 : -1;
}

function isOwn(csr: Uint16Array, frame: Uint8Array): boolean {
  for (let i = 0; i < 3; i++) {
    if (csr[R.CSR_PADR + i] !== (frame[2 * i] | (frame[2 * i + 1] << 8))) return false;
  }
  return true;
}
