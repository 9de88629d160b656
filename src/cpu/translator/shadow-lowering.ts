/**
 * Regions for shadow mode: as RegionLowering makes them, and in front of each store to guest memory a call that tells where it
 * goes, so that the store can be undone and compared.
 */
import type { LibrarySignature } from "../interpreter/imports.ts";
import type { Statement } from "../ir/node.ts";
import * as L from "../layout.ts";
import { op } from "../wasm/opcodes.ts";
import { I32, pushSigned, type WasmType } from "../wasm/writer.ts";
import { RegionLowering } from "./region-lowering.ts";

/** Import of such regions: (host address, length in bytes) → 0, before the bytes there change. */
export const SHADOW_STORE = "shadow-store";
export const shadowStoreSignature: LibrarySignature = { parameters: [I32, I32], result: I32 };

export class ShadowLowering extends RegionLowering {
  protected override storeOp(size: number, type: WasmType, offset: number): void {
    // This offset tells guest memory from the state block.
    if (offset === L.TLB_BIAS) {
      const value = this.takeLocal(type);
      const address = this.takeLocal(I32);
      this.localSet(value);
      this.localSet(address);
      this.localGet(address);
      this.code.push(op.i32Const);
      pushSigned(this.code, L.TLB_BIAS);
      this.code.push(op.i32Add, op.i32Const);
      pushSigned(this.code, size);
      this.#tell();
      this.localGet(address);
      this.localGet(value);
    }
    super.storeOp(size, type, offset);
  }

  protected override statement(s: Statement): void {
    if (s.kind === "memoryCopy" || s.kind === "memoryFill") {
      this.node(s.to);
      this.node(s.length);
      this.#tell();
    }
    super.statement(s);
  }

  /** What a helper does is not done twice: the interpreter's turn. */
  protected override helper(): void {
    this.exit();
  }

  /** The repetition runs instruction by instruction. */
  protected override hasBudget(): void {
    this.code.push(op.i32Const, 0);
  }

  #tell(): void {
    this.callLibrary(SHADOW_STORE);
    this.code.push(op.drop);
  }
}
