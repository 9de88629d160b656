/** What x2APIC mode's MSRs allow (Intel SDM volume 3, 10.12.1.2 and table 10-6); everything else faults. */
import * as R from "./registers.ts";

/** Registers that RDMSR gives out, by their offset in the page. */
export function isX2Readable(register: number): boolean {
  if (register >= R.ISR && register <= R.ESR) return true;
  if (register >= R.LVT_TIMER && register <= R.TIMER_CURRENT) return true;
  switch (register) {
    case R.ID:
    case R.VERSION:
    case R.TPR:
    case R.PPR:
    case R.LDR:
    case R.SVR:
    case R.ICR_LOW:
    case R.TIMER_DIVIDE:
      return true;
    default:
      return false;
  }
}

/** Whether WRMSR of this value is taken: reserved bits fault. */
export function isX2Writable(register: number, low: number, high: number): boolean {
  if (register === R.ICR_LOW) return (low & ~R.ICR_WRITABLE) === 0;
  if (high !== 0) return false;
  if (register >= R.LVT_TIMER && register <= R.LVT_ERROR)
    // Delivery status and remote IRR may be written back as they were read.
    return (low & ~(R.LVT_WRITABLE[(register - R.LVT_TIMER) >> 4] | 0x5000)) === 0;
  switch (register) {
    case R.TPR:
    case R.SELF_IPI:
      return low >>> 8 === 0;
    case R.EOI:
    case R.ESR:
      return low === 0;
    case R.SVR:
      return (low & ~R.SVR_WRITABLE) === 0;
    case R.TIMER_INITIAL:
      return true;
    case R.TIMER_DIVIDE:
      return (low & ~0x0b) === 0;
    default:
      return false;
  }
}
