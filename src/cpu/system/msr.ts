/**
 * Model-specific registers (Intel SDM volume 4, P6 family and Pentium M), time-stamp counter. Stored in the state block's
 * MSR_FILE, so that saved state is the block. Memory types (MTRR, PAT) are checked and remembered; they change nothing,
 * all memory being coherent here. IA32_APIC_BASE and the registers of x2APIC mode belong to the local APIC; without one,
 * IA32_APIC_BASE exists and its enable bit stays 0. Unknown registers fault and are said once.
 */
import type { CpuLocalApic } from "../../device-api/virtual-cpu.ts";
import { EFER, MSR_FILE, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from "../layout.ts";
import { CR4_TSD, EFER_LME, EFER_NXE } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { hasNoExecute } from "./cpuid.ts";
import { generalProtection } from "./fault.ts";

const IA32_P5_MC_ADDR = 0x00;
const IA32_P5_MC_TYPE = 0x01;
const IA32_TIME_STAMP_COUNTER = 0x10;
const IA32_PLATFORM_ID = 0x17;
const IA32_APIC_BASE = 0x1b;
const MSR_EBL_CR_POWERON = 0x2a;
const IA32_BIOS_UPDT_TRIG = 0x79;
const IA32_BIOS_SIGN_ID = 0x8b;
const IA32_MTRRCAP = 0xfe;
const MSR_BBL_CR_CTL = 0x119;
const IA32_SYSENTER_CS = 0x174;
const IA32_SYSENTER_ESP = 0x175;
const IA32_SYSENTER_EIP = 0x176;
const IA32_MCG_CAP = 0x179;
const IA32_MCG_STATUS = 0x17a;
const IA32_MISC_ENABLE = 0x1a0;
const IA32_DEBUGCTL = 0x1d9;
const MSR_LASTBRANCHFROMIP = 0x1db;
const ROB_CR_LAST_INT_TO = 0x1de;
const IA32_MTRR_PHYSBASE0 = 0x200;
const IA32_MTRR_PHYSMASK7 = 0x20f;
const IA32_MTRR_FIX64K_00000 = 0x250;
const IA32_MTRR_FIX16K_80000 = 0x258;
const IA32_MTRR_FIX16K_A0000 = 0x259;
const IA32_MTRR_FIX4K_C0000 = 0x268;
const IA32_MTRR_FIX4K_F8000 = 0x26f;
const IA32_PAT = 0x277;
const IA32_MTRR_DEF_TYPE = 0x2ff;
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x83f;
const IA32_EFER = 0xc0000080;

/** Slots of MSR_FILE, 8 bytes each. Appending is compatible with old saved states, reordering is not. */
const SLOT_TSC_OFFSET = 0;
const SLOT_APIC_BASE = 1;
const SLOT_EBL_CR_POWERON = 2;
const SLOT_BIOS_SIGN_ID = 3;
const SLOT_BBL_CR_CTL = 4;
const SLOT_MISC_ENABLE = 5;
const SLOT_DEBUGCTL = 6;
const SLOT_PAT = 7;
const SLOT_MTRR_DEF_TYPE = 8;
const SLOT_MTRR_PHYS = 9;
const SLOT_MTRR_FIXED = 25;
const SLOT_MCG_STATUS = 36;
const SLOT_COUNT = 37;

/** Eight variable ranges, fixed ranges, write-combining. */
const MTRRCAP = 0x508;
/** FEE00000h, bootstrap processor, not enabled. */
const APIC_BASE_RESET = 0xfee00100;
/** Fast strings; no branch trace, no precise event sampling. */
const MISC_ENABLE_RESET = 0x1801;
const MISC_ENABLE_FIXED = 0x1800;
/** Bit 34: hides no-execute. */
const MISC_ENABLE_HIGH_XD_DISABLE = 4;
/** Physical addresses have 36 bits. */
const RESERVED_HIGH = ~15;

const slot = (index: number) => (MSR_FILE >> 2) + index * 2;

/** Values after a reset. */
export function resetMsrs(context: SystemContext): void {
  const { i32 } = context.state;
  i32.fill(0, slot(0), slot(SLOT_COUNT));
  i32[slot(SLOT_APIC_BASE)] = APIC_BASE_RESET;
  i32[slot(SLOT_MISC_ENABLE)] = MISC_ENABLE_RESET;
  i32[slot(SLOT_PAT)] = 0x00070406;
  i32[slot(SLOT_PAT) + 1] = 0x00070406;
}

/** IA32_MISC_ENABLE hides no-execute. */
export function isNoExecuteHidden(context: SystemContext): boolean {
  return (context.state.i32[slot(SLOT_MISC_ENABLE) + 1] & MISC_ENABLE_HIGH_XD_DISABLE) !== 0;
}

/** RDMSR: ECX names the register, EDX:EAX get its value. */
export function readMsr(context: SystemContext): void {
  const { state } = context;
  if (state.cpl !== 0) throw generalProtection();
  const msr = state.reg32(1);
  const { i32 } = state;
  const { localApic } = context.bus;
  if (localApic !== undefined && readApicMsr(context, localApic, msr)) return;
  const index = storedSlot(msr);
  if (index >= 0) {
    answer(context, i32[slot(index)], i32[slot(index) + 1]);
    return;
  }
  switch (msr) {
    case IA32_TIME_STAMP_COUNTER:
      readTsc(context);
      return;
    case IA32_P5_MC_ADDR:
    case IA32_P5_MC_TYPE:
    case IA32_PLATFORM_ID:
    case IA32_BIOS_UPDT_TRIG:
    case IA32_MCG_CAP:
      answer(context, 0, 0);
      return;
    case IA32_MTRRCAP:
      answer(context, MTRRCAP, 0);
      return;
    case IA32_SYSENTER_CS:
      answer(context, i32[SYSENTER_CS >> 2], 0);
      return;
    case IA32_SYSENTER_ESP:
      answer(context, i32[SYSENTER_ESP >> 2], 0);
      return;
    case IA32_SYSENTER_EIP:
      answer(context, i32[SYSENTER_EIP >> 2], 0);
      return;
    case IA32_EFER:
      if (hasNoExecute(context.features)) {
        answer(context, i32[EFER >> 2], 0);
        return;
      }
  }
  if (msr >= MSR_LASTBRANCHFROMIP && msr <= ROB_CR_LAST_INT_TO) {
    answer(context, 0, 0);
    return;
  }
  context.say(`RDMSR of ${msr.toString(16)}h, which this processor does not have`);
  throw generalProtection();
}

/** WRMSR: ECX names the register, EDX:EAX is the value. */
export function writeMsr(context: SystemContext): void {
  const { state } = context;
  if (state.cpl !== 0) throw generalProtection();
  const msr = state.reg32(1);
  const low = state.reg32(0) | 0;
  const high = state.reg32(2) | 0;
  const { i32 } = state;
  const { localApic } = context.bus;
  if (localApic !== undefined && writeApicMsr(localApic, msr, low, high)) return;
  const index = storedSlot(msr);
  if (index >= 0) {
    writeStored(context, msr, index, low, high);
    return;
  }
  switch (msr) {
    case IA32_TIME_STAMP_COUNTER:
      writeTsc(context, low >>> 0, high >>> 0);
      return;
    case IA32_P5_MC_ADDR:
    case IA32_P5_MC_TYPE:
    case IA32_BIOS_UPDT_TRIG:
      return;
    case IA32_SYSENTER_CS:
      i32[SYSENTER_CS >> 2] = low;
      return;
    case IA32_SYSENTER_ESP:
      i32[SYSENTER_ESP >> 2] = low;
      return;
    case IA32_SYSENTER_EIP:
      i32[SYSENTER_EIP >> 2] = low;
      return;
    case IA32_EFER:
      if ((low & EFER_LME) !== 0) {
        context.say("64-bit mode is wanted (IA32_EFER.LME), which this processor does not have");
        throw generalProtection();
      }
      if (!hasNoExecute(context.features)) break;
      if ((low & ~EFER_NXE) !== 0 || high !== 0) throw generalProtection();
      if (low !== i32[EFER >> 2]) {
        i32[EFER >> 2] = low;
        context.tlb.flushAll(false);
      }
      return;
    case IA32_PLATFORM_ID:
    case IA32_MTRRCAP:
    case IA32_MCG_CAP:
      throw generalProtection();
  }
  context.say(`WRMSR of ${msr.toString(16)}h, which this processor does not have`);
  throw generalProtection();
}

/** True if `msr` is one of the local APIC's. */
function readApicMsr(context: SystemContext, apic: CpuLocalApic, msr: number): boolean {
  if (msr === IA32_APIC_BASE) {
    answer(context, apic.base, apic.baseHigh);
    return true;
  }
  if (msr < X2APIC_FIRST || msr > X2APIC_LAST) return false;
  const low = apic.readMsr(msr);
  if (low < 0) throw generalProtection();
  answer(context, low, apic.readMsrHigh(msr));
  return true;
}

function writeApicMsr(apic: CpuLocalApic, msr: number, low: number, high: number): boolean {
  if (msr === IA32_APIC_BASE) {
    if (!apic.writeBase(low >>> 0, high >>> 0)) throw generalProtection();
    return true;
  }
  if (msr < X2APIC_FIRST || msr > X2APIC_LAST) return false;
  if (!apic.writeMsr(msr, low, high)) throw generalProtection();
  return true;
}

/** Slot of a register that is simply stored, or -1. */
function storedSlot(msr: number): number {
  if (msr >= IA32_MTRR_PHYSBASE0 && msr <= IA32_MTRR_PHYSMASK7) return SLOT_MTRR_PHYS + msr - IA32_MTRR_PHYSBASE0;
  if (msr >= IA32_MTRR_FIX4K_C0000 && msr <= IA32_MTRR_FIX4K_F8000)
    return SLOT_MTRR_FIXED + 3 + msr - IA32_MTRR_FIX4K_C0000;
  switch (msr) {
    case IA32_APIC_BASE:
      return SLOT_APIC_BASE;
    case MSR_EBL_CR_POWERON:
      return SLOT_EBL_CR_POWERON;
    case IA32_BIOS_SIGN_ID:
      return SLOT_BIOS_SIGN_ID;
    case MSR_BBL_CR_CTL:
      return SLOT_BBL_CR_CTL;
    case IA32_MISC_ENABLE:
      return SLOT_MISC_ENABLE;
    case IA32_DEBUGCTL:
      return SLOT_DEBUGCTL;
    case IA32_PAT:
      return SLOT_PAT;
    case IA32_MTRR_DEF_TYPE:
      return SLOT_MTRR_DEF_TYPE;
    case IA32_MTRR_FIX64K_00000:
      return SLOT_MTRR_FIXED;
    case IA32_MTRR_FIX16K_80000:
      return SLOT_MTRR_FIXED + 1;
    case IA32_MTRR_FIX16K_A0000:
      return SLOT_MTRR_FIXED + 2;
    case IA32_MCG_STATUS:
      return SLOT_MCG_STATUS;
    default:
      return -1;
  }
}

function writeStored(context: SystemContext, msr: number, index: number, low: number, high: number): void {
  const at = slot(index);
  let storedLow = low;
  if (index >= SLOT_MTRR_PHYS && index < SLOT_MTRR_FIXED) {
    const isMask = (msr & 1) !== 0;
    if ((high & RESERVED_HIGH) !== 0) throw generalProtection();
    if (isMask ? (low & 0x7ff) !== 0 : (low & 0xf00) !== 0 || !isMtrrType(low & 0xff)) throw generalProtection();
  } else if (index >= SLOT_MTRR_FIXED && index < SLOT_MCG_STATUS) {
    for (let shift = 0; shift < 32; shift += 8) {
      if (!isMtrrType((low >>> shift) & 0xff) || !isMtrrType((high >>> shift) & 0xff)) throw generalProtection();
    }
  } else {
    switch (msr) {
      case IA32_PAT:
        for (let shift = 0; shift < 32; shift += 8) {
          if (!isPatType((low >>> shift) & 0xff) || !isPatType((high >>> shift) & 0xff)) throw generalProtection();
        }
        break;
      case IA32_MTRR_DEF_TYPE:
        if ((low & ~0xcff) !== 0 || high !== 0 || !isMtrrType(low & 0xff)) throw generalProtection();
        break;
      case IA32_APIC_BASE:
        // No APIC to enable; some systems write what they read, others 0.
        storedLow = (low & 0xfffff000) | 0x100;
        break;
      case IA32_MISC_ENABLE:
        storedLow = low | MISC_ENABLE_FIXED;
        break;
      case IA32_DEBUGCTL:
        if (low !== 0) context.say("IA32_DEBUGCTL: branch recording is not modelled");
        break;
      case IA32_MCG_STATUS:
        if (low !== 0 || high !== 0) throw generalProtection();
        break;
    }
  }
  context.state.i32[at] = storedLow;
  context.state.i32[at + 1] = high;
}

/** Uncacheable, write-combining, write-through, write-protected, write-back. */
function isMtrrType(type: number): boolean {
  return type === 0 || type === 1 || (type >= 4 && type <= 6);
}
function isPatType(type: number): boolean {
  return isMtrrType(type) || type === 7;
}

function answer(context: SystemContext, low: number, high: number): void {
  context.state.setReg32(0, low);
  context.state.setReg32(2, high);
}

/** RDTSC: EDX:EAX. */
export function readTimeStampCounter(context: SystemContext): void {
  const { state } = context;
  if ((state.cr4 & CR4_TSD) !== 0 && state.cpl !== 0) throw generalProtection();
  readTsc(context);
}

/** RDPMC: there are no counters. */
export function readPerformanceCounter(): never {
  throw generalProtection();
}

// The counter is the bus's plus a 64-bit offset, kept as two halves: exact whatever the guest wrote.
function readTsc(context: SystemContext): void {
  const now = context.bus.readTsc();
  const { u32 } = context.state;
  const low = (now % 0x100000000) + u32[slot(SLOT_TSC_OFFSET)];
  const carry = low >= 0x100000000 ? 1 : 0;
  const high = Math.floor(now / 0x100000000) + u32[slot(SLOT_TSC_OFFSET) + 1] + carry;
  answer(context, low, high);
}

function writeTsc(context: SystemContext, low: number, high: number): void {
  const now = context.bus.readTsc();
  const { i32 } = context.state;
  const offset = low - (now % 0x100000000);
  i32[slot(SLOT_TSC_OFFSET)] = offset;
  i32[slot(SLOT_TSC_OFFSET) + 1] = high - Math.floor(now / 0x100000000) - (offset < 0 ? 1 : 0);
}
