/**
 * Where everything of one virtual machine lives in its single shared WebAssembly.Memory (initial == maximum). Interpreter,
 * translated code, TypeScript helpers and back ends all use these byte offsets.
 *
 *   0            4 KiB never used (so that an offset of 0 can mean "none", and see TLB_BIAS)
 *   STATE        CPU state block (4 KiB), then scratch
 *   tables       TLBs, physical map, decoded-page directory: sparse, only touched pages cost host memory
 *   decode       decode maps and predecoded records
 *   RAM          guest RAM, page aligned, then device memory (VRAM, ROMs)
 *
 * Built for 64 bits: general registers, RIP, segment bases and control registers are 64-bit slots; only the direct-mapped
 * TLB shape belongs to 32-bit modes.
 */

/** CPU state block. All offsets below are absolute byte offsets in the memory. */
export const STATE = 0x1000;

/** 16 general registers, 8-byte slots (EAX ECX EDX EBX ESP EBP ESI EDI R8…R15), low 32 bits used outside long mode. */
export const GPR = STATE;
/** A slot that always holds zero: the "register" of an absent base or index. */
export const GPR_ZERO = STATE + 0x80;
/** Instruction pointer (offset within CS), 64-bit slot. Exact whenever TypeScript runs. */
export const EIP = STATE + 0x90;
/**
 * Arithmetic flags, lazily: FLAGS_RESULT is an i64 R, FLAGS_CARRY an i32 C with
 *   ZF = (low 32 bits of R == 0)        SF = bit 63 of R
 *   PF = even parity of (byte 0 of R xor byte 4 of R)
 *   CF = bit 31 of C      OF = bit 31 xor bit 30 of C      AF = bit 3 of C
 * A result r of width 8/16/32 is stored as its sign extension to 64 bits (bytes 0 and 4: the copies of the sign have even
 * parity); C is the carry-out vector of the operation shifted so that the top bit is bit 31, its bit 3 kept in place.
 */
export const FLAGS_RESULT = STATE + 0x98;
export const FLAGS_CARRY = STATE + 0xa0;
/** EFLAGS without the six arithmetic flags (bit 1 always set): TF IF DF IOPL NT RF VM AC VIF VIP ID. */
export const EFLAGS_SYSTEM = STATE + 0xa4;

/** Segment registers: index 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS, 6 LDTR, 7 TR. */
export const SEG_ES = 0;
export const SEG_CS = 1;
export const SEG_SS = 2;
export const SEG_DS = 3;
export const SEG_FS = 4;
export const SEG_GS = 5;
export const SEG_LDTR = 6;
export const SEG_TR = 7;
/** Bases, 8-byte slots. */
export const SEG_BASE = STATE + 0xc0;
/** Selectors, 4-byte slots. */
export const SEG_SELECTOR = STATE + 0x100;
/** Byte-granular limits (u32), 4-byte slots. */
export const SEG_LIMIT = STATE + 0x120;
/**
 * Attributes, 4-byte slots: descriptor bits 8–23 of the high dword shifted right by 8 (type, S, DPL, P in bits 0–7;
 * AVL, L, D/B, G in bits 12–15), plus bit 16 = usable (clear for a null selector).
 */
export const SEG_ATTRIBUTES = STATE + 0x140;
export const ATTRIBUTE_USABLE = 0x10000;
/**
 * Fast limits, 4-byte slots: an access at offset `ea` of up to 16 bytes passes the segment check if `ea <u fast`. 0 sends
 * every access to the exact check (null, execute-only, expand-down, tiny); FFFFFFFFh is flat. Derived by
 * `deriveSegment` from limit and attributes; never stored in saved state.
 */
export const SEG_FAST_READ = STATE + 0x160;
export const SEG_FAST_WRITE = STATE + 0x180;

export const GDTR_BASE = STATE + 0x1a0;
export const GDTR_LIMIT = STATE + 0x1a8;
export const IDTR_BASE = STATE + 0x1b0;
export const IDTR_LIMIT = STATE + 0x1b8;
/** Control registers, 8-byte slots. */
export const CR0 = STATE + 0x1c0;
export const CR2 = STATE + 0x1c8;
export const CR3 = STATE + 0x1d0;
export const CR4 = STATE + 0x1d8;
export const CR8 = STATE + 0x1e0;
/** Debug registers DR0–DR7, 8-byte slots. */
export const DR = STATE + 0x200;
/** EFER (u32, 8-byte slot). */
export const EFER = STATE + 0x240;
/** Current privilege level (3 in V86 mode). */
export const CPL = STATE + 0x248;
/** The mode word (below): derived from CR0, EFLAGS.VM, CS and SS attributes. */
export const MODE = STATE + 0x24c;
export const MODE_CODE32 = 1;
export const MODE_STACK32 = 2;
export const MODE_PROTECTED = 4;
export const MODE_V86 = 8;
export const MODE_USER = 16;
export const MODE_PAGING = 32;
/** DS, ES and SS have base 0 and limit FFFFFFFFh, CS base 0: region code needs no segment arithmetic. */
export const MODE_FLAT = 64;
/** CR0.EM or TS set (x87/SSE instructions must raise #NM or #UD first), and CR4.OSFXSR clear. */
export const MODE_NO_FPU = 128;
export const MODE_NO_SSE = 256;

/** Nonzero while INTR is high (set by the interrupt controller's output). */
export const INTERRUPT_LINE = STATE + 0x250;
/** Nonzero: leave the run loop at the next boundary (stop request, NMI, timer). */
export const ATTENTION = STATE + 0x254;
/** Pending fault of a slow memory access: vector + 1 (0 = none), error code, and for #PF the linear address (CR2 is set at delivery). */
export const FAULT = STATE + 0x258;
export const FAULT_ERROR = STATE + 0x25c;
export const FAULT_LINEAR = STATE + 0x260;
/** Mask applied to physical addresses (A20): FFFFFFFFh or FFEFFFFFh. */
export const A20_MASK = STATE + 0x264;
/** Instructions executed since power-on (u64, as two u32: low, high). */
export const INSTRUCTIONS = STATE + 0x268;
/** Interrupts are held off for one instruction: SHADOW_STI, or SHADOW_SS (after MOV SS, POP SS), which holds off debug traps too. */
export const INTERRUPT_SHADOW = STATE + 0x270;
export const SHADOW_STI = 1;
export const SHADOW_SS = 2;
/** HLT is waiting. */
export const HALTED = STATE + 0x274;
/** SYSENTER MSRs, u32 each. */
export const SYSENTER_CS = STATE + 0x278;
export const SYSENTER_ESP = STATE + 0x27c;
export const SYSENTER_EIP = STATE + 0x280;
/** NMIs are blocked from the delivery of one until the next IRET. */
export const NMI_BLOCKED = STATE + 0x284;
/** The four PAE page-directory pointers, u64 each, as loaded by the last MOV to CR3 (or CR0, CR4). */
export const PDPTE = STATE + 0x2a0;

/** x87: 8 physical registers of 16 bytes: u64 mantissa, u16 sign and exponent. MMX registers are the mantissas. */
export const X87 = STATE + 0x300;
/** u32 slots. FPU_TAGS: bit i = physical register i is in use (not empty). FPU_STATUS without TOP; FPU_TOP 0–7. */
export const FPU_CONTROL = STATE + 0x380;
export const FPU_STATUS = STATE + 0x384;
export const FPU_TOP = STATE + 0x388;
export const FPU_TAGS = STATE + 0x38c;
export const FPU_OPCODE = STATE + 0x390;
export const FPU_IP = STATE + 0x394;
export const FPU_CS = STATE + 0x398;
export const FPU_DP = STATE + 0x39c;
export const FPU_DS = STATE + 0x3a0;
export const MXCSR = STATE + 0x3a4;
/** XMM0–XMM15, 16 bytes each. */
export const XMM = STATE + 0x400;
/** Model-specific registers without a slot above: u64 slots laid out by system/msr.ts, up to SCRATCH. */
export const MSR_FILE = STATE + 0x500;
/**
 * End of the architectural state; scratch follows: results of helpers up to +0x40, what the core and its regions exchange with
 * TypeScript up to +0x80, rounding and libraries from there on, records of single steps from +0x100, x87 from +0x280.
 */
export const SCRATCH = STATE + 0x800;
export const STATE_END = STATE + 0x2000;

/** By table slot of a region (u32): how often it left in front of an instruction since `Regions` looked last. */
export const REGION_EXITS = 0x0020_0000;
/** By table slot (u32): how often it went straight on in another region since then. */
export const REGION_LINKS = 0x0024_0000;
/** By handler number (u32): how often a region left in front of such an instruction. */
export const HANDLER_EXITS = 0x0022_0000;

/** 4 MiB that always stay zero: the TLB of an interpreter that walks page tables at each access (shadow mode). */
export const NO_TLB = 0x0040_0000;
/** Its decoded instructions, up to the TLBs. */
export const SHADOW_RECORDS = 0x0080_0000;
export const SHADOW_RECORDS_BYTES = 0x0080_0000;

/**
 * TLBs for 32-bit modes: direct tables of 2^20 u32 indexed by linear page number, one per access kind. Entry 0 = go the
 * slow way; else host address = linear + entry + TLB_BIAS, where the bias is the static offset of the load or store
 * (so that a valid entry, whose low 12 bits are 001h, is never 0). Entries for writes exist only for pages that
 * are writable, dirty, plain RAM and hold no decoded code.
 */
export const TLB_BIAS = 4095;
const TLB_BYTES = 4 << 20;
export const TLB_READ_SUPERVISOR = 0x0100_0000;
export const TLB_WRITE_SUPERVISOR = TLB_READ_SUPERVISOR + TLB_BYTES;
export const TLB_READ_USER = TLB_WRITE_SUPERVISOR + TLB_BYTES;
export const TLB_WRITE_USER = TLB_READ_USER + TLB_BYTES;
/** Instruction fetch: entry = byte offset of the page's decode map for the current code size; 0 = slow. */
export const TLB_CODE_SUPERVISOR = TLB_WRITE_USER + TLB_BYTES;
export const TLB_CODE_USER = TLB_CODE_SUPERVISOR + TLB_BYTES;

/**
 * Physical map: 2^20 u32, one per guest-physical page below 4 GiB. 0 = memory-mapped I/O or nothing; else host page
 * offset | flags.
 */
export const PHYSICAL_MAP = TLB_CODE_USER + TLB_BYTES;
/** Readable directly (always set when the entry is not 0). */
export const PHYSICAL_PRESENT = 1;
/** Writable directly (clear for ROM: writes vanish, or go to the claimed window if there is one). */
export const PHYSICAL_WRITABLE = 2;
/** Decoded or translated code was taken from this page: writes take the slow path. */
export const PHYSICAL_CODE = 4;

/**
 * Decode maps, bump allocated: 4096 u32, one per byte offset of the page: host address of the record of the instruction that
 * starts there, 0 if not decoded. Which map serves a frame in which mode is known to the engine (interpreter/code-cache.ts).
 */
export const DECODE_MAP_BYTES = 40960;
/**
 * Parts of a decode map: records by page offset (u32; odd: a region, table index in the upper 31 bits), the records behind
 * regions (u32), and counters (u16) of how often an instruction may still be jumped to before it becomes a region's head.
 */
export const MAP_ORIGINALS = 16384;
export const MAP_COUNTERS = 32768;
export const DECODE_MAPS = PHYSICAL_MAP + TLB_BYTES;
export const DECODE_MAPS_BYTES = 100 << 20;
/** Predecoded records, 16 bytes each, bump allocated. */
export const RECORDS = DECODE_MAPS + DECODE_MAPS_BYTES;
export const RECORDS_BYTES = 48 << 20;

/** Guest RAM starts here (page aligned); device memory (VRAM, ROMs) follows it. */
export const RAM = RECORDS + RECORDS_BYTES;

/** Total memory in 64 KiB WebAssembly pages for that much RAM and device memory. */
export function memoryPages(ramBytes: number, deviceMemoryBytes: number): number {
  return Math.ceil((RAM + ramBytes + deviceMemoryBytes) / 65536);
}
