; Limits and types of segments in use: data up and down, byte and page granular, 16 and 32 bits, every access size
; around every edge; stacks; code that runs or jumps over its limit; string instructions that stop in the middle.
%include "harness.inc"

%define SEG_AT FREE              ; where the segments under test lie

main:
    mov byte [IDT + 3 * 8 + 5], 0xee
    call data_segments
    call wide_accesses
    call read_modify_write
    call stacks
    call code_limits
    call strings
    ret

; ---- every kind of data segment × offset × access --------------------------------------------------------------------

; KIND name, limit, access, flags: offsets around the interesting edges follow from its bytes.
%macro KIND 4
    dd %%name, (SEG_AT & 0xffff) << 16 | (%2 & 0xffff)
    dd (SEG_AT >> 16 & 0xff) | (%3) << 8 | (%2 & 0xf0000) | (%4) << 20 | (SEG_AT & 0xff000000)
    jmp short %%skip
%%name: db %1, 0
    times 14 - ($ - %%name) db 0
%%skip:
%endmacro
KIND_BYTES equ 28
align 4
kinds:
    KIND "up 32", 0xfff, 0xf3, 4
    KIND "up 16", 0xfff, 0xf3, 0
    KIND "up page", 1, 0xf3, 0xc
    KIND "up 0", 0, 0xf3, 4
    KIND "up 2", 2, 0xf3, 4
    KIND "up 64K", 0xffff, 0xf3, 0
    KIND "up 1M", 0xfffff, 0xf3, 4
    KIND "up 4G", 0xfffff, 0xf3, 0xc
    KIND "ro", 0xfff, 0xf1, 4
    KIND "code", 0xfff, 0xfb, 4
    KIND "conform", 0xfff, 0xff, 4
    KIND "down 32", 0xfff, 0xf7, 4
    KIND "down 16", 0xfff, 0xf7, 0
    KIND "down page", 1, 0xf7, 0xc
    KIND "down 0", 0, 0xf7, 4
    KIND "down 16 0", 0, 0xf7, 0
    KIND "down 64K", 0xffff, 0xf7, 0
    KIND "down 4G", 0xfffff, 0xf7, 0xc
    KIND "down ro", 0xfff, 0xf5, 4
kinds_end:
offsets:
    dd 0, 1, 2, 3, 0xffb, 0xffc, 0xffd, 0xffe, 0xfff, 0x1000, 0x1001, 0x1ffc, 0x1ffd, 0x1fff, 0x2000
    dd 0xfffc, 0xfffd, 0xfffe, 0xffff, 0x10000, 0xffffc, 0xffffd, 0xfffff, 0x100000
    dd 0xfffffff0, 0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff
offsets_end:
kind: dd 0
offset: dd 0

%macro ACCESS 2
    call name_access
    SAYS %1, ":"
    BODY
    %2
    ENDCASE
%endmacro

data_segments:
    mov dword [kind], kinds
.kind:
    mov esi, [kind]
    mov eax, [esi + 4]
    mov [GDT + T0], eax
    mov eax, [esi + 8]
    mov [GDT + T0 + 4], eax
    mov dword [offset], offsets
.offset:
    ACCESS "r1", {mov al, [es:ebx]}
    ACCESS "r2", {mov ax, [es:ebx]}
    ACCESS "r4", {mov eax, [es:ebx]}
    ACCESS "w1", {mov [es:ebx], al}
    ACCESS "w2", {mov [es:ebx], ax}
    ACCESS "w4", {mov [es:ebx], eax}
    add dword [offset], 4
    cmp dword [offset], offsets_end
    jb .offset
    add dword [kind], KIND_BYTES
    cmp dword [kind], kinds_end
    jb .kind
    ret

; Prepares a level 3 access through ES to [offset] and names it.
name_access:
    mov eax, 3
    call prepare
    mov dword [i_es], T0 | 3
    mov esi, [kind]
    mov esi, [esi]
.next:
    mov al, [esi]
    inc esi
    test al, al
    jz .named
    call say_char
    jmp .next
.named:
    SAYS " "
    mov esi, [offset]
    mov eax, [esi]
    mov [i_ebx], eax
    HEX 8, eax
    SAYS " "
    ret

; ---- accesses of other shapes, at the limit and one beyond -----------------------------------------------------------

; Ones: whatever dword a machine without limits takes for a return address, it meets INT3 there.
clear_data:
    pushad
    mov byte [0x01010101], 0xcc
    mov edi, SEG_AT
    mov ecx, 0x11000 / 4
    mov eax, 0x01010101
    rep stosd
    mov dword [SEG_AT + 0x800], 0x900
    mov dword [SEG_AT + 0x7f0], 0x900
    popad
    ret

%macro SHAPE 3                   ; name, bytes, instruction (ES:EBX)
    call clear_data
    CASE 3, %1, " inside"
    mov dword [i_es], T0 | 3
    mov dword [i_ebx], 0x1000 - (%2)
    mov dword [i_ecx], 1
    mov dword [i_esp], STACK3 - 0x100
    BODY
    %3
    ENDCASE
    CASE 3, %1, " outside"
    mov dword [i_es], T0 | 3
    mov dword [i_ebx], 0x1001 - (%2)
    mov dword [i_ecx], 1
    mov dword [i_esp], STACK3 - 0x100
    BODY
    %3
    ENDCASE
%endmacro

wide_accesses:
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf3, 4
    mov dword [SEG_AT + 0xff0], 0
    mov dword [show], SHOW_SP
    SHAPE "push m", 4, {push dword [es:ebx]}
    SHAPE "pop m", 4, {pop dword [es:ebx]}
    SHAPE "call m", 4, {db 0x26, 0xff, 0x23}
    SHAPE "jmp m16:32", 6, {db 0x26, 0xff, 0x2b}
    SHAPE "lds", 6, {lds eax, [es:ebx]}
    SHAPE "lds 16", 4, {o16 lds ax, [es:ebx]}
    SHAPE "sgdt is level 3 too", 6, {sgdt [es:ebx]}
    SHAPE "sidt", 6, {sidt [es:ebx]}
    SHAPE "sldt m", 2, {sldt [es:ebx]}
    SHAPE "str m", 2, {str [es:ebx]}
    SHAPE "smsw m", 2, {smsw [es:ebx]}
    SHAPE "mov m, sreg", 2, {mov [es:ebx], ds}
    SHAPE "bound", 8, {bound eax, [es:ebx]}
    SHAPE "bound 16", 4, {bound ax, [es:ebx]}
    SHAPE "cmpxchg8b", 8, {cmpxchg8b [es:ebx]}
    SHAPE "movzx 8", 1, {movzx eax, byte [es:ebx]}
    SHAPE "movzx 16", 2, {movzx eax, word [es:ebx]}
    SHAPE "bt m", 4, {bt dword [es:ebx], 3}
    SHAPE "mul m", 4, {mul dword [es:ebx]}
    SHAPE "shld m", 4, {shld [es:ebx], eax, 4}
    SHAPE "setcc", 1, {setz [es:ebx]}
    SHAPE "verr m", 2, {verr [es:ebx]}
    SHAPE "lar m", 2, {lar eax, [es:ebx]}
    SHAPE "arpl m", 2, {arpl [es:ebx], ax}
    SHAPE "clflush", 1, {clflush [es:ebx]}
    SHAPE "prefetch never faults", 1, {prefetcht0 [es:ebx]}
    SHAPE "nop m never faults", 1, {db 0x26, 0x0f, 0x1f, 0x03}
    CASE 3, "xlat outside"
    mov dword [i_ds], T0 | 3
    mov dword [i_ebx], 0xfff
    mov dword [i_eax], 1
    BODY
    xlatb
    ENDCASE
    CASE 3, "mov moffs outside"
    mov dword [i_ds], T0 | 3
    BODY
    mov eax, [0xffd]
    ENDCASE
    CASE 3, "bt register reaches outside"
    mov dword [i_es], T0 | 3
    mov dword [i_ebx], 0
    mov dword [i_eax], 0x8000
    BODY
    bt [es:ebx], eax
    ENDCASE
    CASE 3, "bt register reaches below"
    mov dword [i_es], T0 | 3
    mov dword [i_ebx], 0
    mov dword [i_eax], -1
    BODY
    bt [es:ebx], eax
    ENDCASE
    CASE 3, "ebp defaults to ss"
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], 0x800
    mov dword [i_ebp], 0xffd
    BODY
    mov eax, [ebp]
    ENDCASE
    CASE 3, "ebp with ds prefix"
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], 0x800
    mov dword [i_ebp], 0xffd
    BODY
    mov eax, [ds:ebp]
    ENDCASE
    CASE 3, "ebp as index is ds"
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], 0x800
    mov dword [i_ebp], 0xffd
    BODY
    mov eax, [nosplit ebp * 2]
    ENDCASE
    CASE 3, "write through cs"
    BODY
    mov [cs:SEG_AT], eax
    ENDCASE
    CASE 3, "read through cs"
    BODY
    mov eax, [cs:SEG_AT]
    ENDCASE
    ret

; Read-modify-write instructions on something that may only be read change nothing.
read_modify_write:
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf1, 4
    mov dword [show], SHOW_EAX | SHOW_FLAGS
%macro MODIFY 2
    CASE 3, %1
    mov dword [i_es], T0 | 3
    mov dword [i_ebx], 0
    mov dword [i_eax], 0x12345678
    mov dword [SEG_AT], 0xdeadbeef
    BODY
    %2
    ENDCASE
    SAYS "  ", %1, ": memory "
    HEX 8, [SEG_AT]
    SAYS 10
%endmacro
    MODIFY "add m", {add [es:ebx], eax}
    MODIFY "cmp m reads", {cmp [es:ebx], eax}
    MODIFY "test m reads", {test [es:ebx], eax}
    MODIFY "inc m", {inc dword [es:ebx]}
    MODIFY "xchg m", {xchg [es:ebx], eax}
    MODIFY "xadd m", {xadd [es:ebx], eax}
    MODIFY "cmpxchg m, unequal", {cmpxchg [es:ebx], ecx}
    MODIFY "btc m", {btc dword [es:ebx], 3}
    MODIFY "bt m reads", {bt dword [es:ebx], 3}
    MODIFY "rol m by 0", {rol dword [es:ebx], 0}
    MODIFY "shl m cl = 0", {shl dword [es:ebx], cl}
    MODIFY "shld m by 0", {shld [es:ebx], eax, 32}
    MODIFY "not m", {not dword [es:ebx]}
    MODIFY "neg m", {neg dword [es:ebx]}
    MODIFY "setz m", {setz [es:ebx]}
    MODIFY "pop m", {pop dword [es:ebx]}
    MODIFY "cmpxchg8b m", {cmpxchg8b [es:ebx]}
    MODIFY "arpl m unchanged", {arpl [es:ebx], cx}
    ret

; ---- stacks ----------------------------------------------------------------------------------------------------------

%macro ON_STACK 3                ; name, esp, code
    call clear_data
    CASE 3, %1
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], %2
    BODY
    %3
    ENDCASE
%endmacro

%macro STACK_CASES 1
    ON_STACK {%1, " push at 4"}, 4, {push eax}
    ON_STACK {%1, " push at 3"}, 3, {push eax}
    ON_STACK {%1, " push at 0"}, 0, {push eax}
    ON_STACK {%1, " push16 at 1"}, 1, {o16 push ax}
    ON_STACK {%1, " push16 at 0"}, 0, {o16 push ax}
    ON_STACK {%1, " push at 1000"}, 0x1000, {push eax}
    ON_STACK {%1, " push at 1001"}, 0x1001, {push eax}
    ON_STACK {%1, " push at 1004"}, 0x1004, {push eax}
    ON_STACK {%1, " push at 1008"}, 0x1008, {push eax}
    ON_STACK {%1, " push at 10000"}, 0x10000, {push eax}
    ON_STACK {%1, " push at 10004"}, 0x10004, {push eax}
    ON_STACK {%1, " push at 12340008"}, 0x12340008, {push eax}
    ON_STACK {%1, " pop at ffc"}, 0xffc, {pop eax}
    ON_STACK {%1, " pop at ffd"}, 0xffd, {pop eax}
    ON_STACK {%1, " pop at fffc"}, 0xfffc, {pop eax}
    ON_STACK {%1, " pop at fffd"}, 0xfffd, {pop eax}
    ON_STACK {%1, " pop at fffe"}, 0xfffe, {pop eax}
    ON_STACK {%1, " pop16 at fffe"}, 0xfffe, {pop ax}
    ON_STACK {%1, " pop16 at ffff"}, 0xffff, {pop ax}
    ON_STACK {%1, " pop esp"}, 0x800, {pop esp}
    ON_STACK {%1, " pusha at 20"}, 0x20, {pushad}
    ON_STACK {%1, " pusha at 1f"}, 0x1f, {pushad}
    ON_STACK {%1, " pusha at 10"}, 0x10, {pushad}
    ON_STACK {%1, " pusha at 1010"}, 0x1010, {pushad}
    ON_STACK {%1, " pusha16 at 10"}, 0x10, {o16 pusha}
    ON_STACK {%1, " popa at fe0"}, 0xfe0, {popad}
    ON_STACK {%1, " popa at ff0"}, 0xff0, {popad}
    ON_STACK {%1, " popa at fff0"}, 0xfff0, {popad}
    ON_STACK {%1, " call at 2"}, 2, {call $ + 5}
    ON_STACK {%1, " call at 1004"}, 0x1004, {call $ + 5}
    ON_STACK {%1, " call far at 4"}, 4, {call CODE3:$ + 7}
    ON_STACK {%1, " call far at 1004"}, 0x1004, {call CODE3:$ + 7}
    ON_STACK {%1, " pushf at 2"}, 2, {pushfd}
    ON_STACK {%1, " enter at 2"}, 2, {enter 0, 0}
    ON_STACK {%1, " enter 8 at 8"}, 8, {enter 8, 0}
    ON_STACK {%1, " enter 10 at 8"}, 8, {enter 0x10, 0}
    ON_STACK {%1, " ret at ffe"}, 0xffe, {ret}
    ON_STACK {%1, " retf at ffa"}, 0xffa, {retf}
    ON_STACK {%1, " iret at ff6"}, 0xff6, {iretd}
    CASE 3, %1, " leave"
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], 0x800
    mov dword [i_ebp], 0x7f0
    BODY
    leave
    ENDCASE
    CASE 3, %1, " leave outside"
    mov dword [i_ss], T0 | 3
    mov dword [i_esp], 0x800
    mov dword [i_ebp], 0x10ffd
    BODY
    leave
    ENDCASE
%endmacro

stacks:
    mov dword [show], SHOW_SP
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf3, 4
    STACK_CASES "up 32"
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf3, 0
    STACK_CASES "up 16"
    DESCRIPTOR T0, SEG_AT, 0xffff, 0xf3, 0
    STACK_CASES "up 16 64K"
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf7, 4
    STACK_CASES "down 32"
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf7, 0
    STACK_CASES "down 16"
    ret

; ---- code ------------------------------------------------------------------------------------------------------------

; Code segments at level 3, base CODE_BASE, limit FFFh. `at` is where the snippet is copied to; it ends with UD2 where that
; still fits.
%macro CODE_AT 3                 ; name, offset, instructions
    SAYS "code ", %1, ":"
    mov eax, 3
    call prepare
    mov dword [i_cs], T0 | 3
    mov dword [i_eip], %2
    mov dword [i_end], (%2) + %%end - %%from
    mov esi, %%from
    call clear_page
    mov edi, CODE_BASE + (%2)
    mov ecx, %%end - %%from + 2
    rep movsb
    call run_case
    call print_result
    jmp %%after
%%from:
    %3
%%end:
    ud2
%%after:
%endmacro

; Snippets of several instructions.
%macro JUMP_EAX 0
    mov eax, 0x1000
    jmp eax
%endmacro
%macro CALL_EAX 0
    mov eax, 0x1000
    call eax
%endmacro
%macro PUSHED_RET 0
    push dword 0x1000
    ret
%endmacro
%macro PUSHED_RET4 0
    push dword 0x1000
    ret 4
%endmacro
%macro JUMP_FAR 0
    db 0xea
    dd 0x1000
    dw T0 | 3
%endmacro
%macro CALL_FAR 0
    db 0x9a
    dd 0x1000
    dw T0 | 3
%endmacro
%macro PUSHED_RETF 0
    push dword T0 | 3
    push dword 0x1000
    retf
%endmacro
%macro PUSHED_IRET 0
    push dword 2
    push dword T0 | 3
    push dword 0x1000
    iretd
%endmacro
%macro NO_MOVSB 0
    xor ecx, ecx
    rep movsb
%endmacro

; INT3 everywhere: a jump that is let through ends at once.
clear_page:
    pushad
    mov edi, SEG_AT - 0x100
    mov ecx, 0x44000 / 4
    mov eax, 0xcccccccc
    rep stosd
    popad
    ret

%macro CODE_CASES 1
    CODE_AT {%1, " ud2 ends at the limit"}, 0xffe, {}
    CODE_AT {%1, " ud2 half outside"}, 0xfff, {}
    CODE_AT {%1, " nop, then outside"}, 0xfff, {nop}
    CODE_AT {%1, " mov ends at the limit"}, 0xffb, {mov eax, 0x11223344}
    CODE_AT {%1, " mov one byte outside"}, 0xffc, {mov eax, 0x11223344}
    CODE_AT {%1, " prefixes outside"}, 0xffe, {db 0x26, 0x26, 0x26, 0x90}
    CODE_AT {%1, " modrm outside"}, 0xfff, {db 0x89, 0xc0}
    CODE_AT {%1, " jmp to the limit"}, 0, {jmp near $ + 0xfff}
    CODE_AT {%1, " jmp beyond"}, 0, {jmp near $ + 0x1000}
    CODE_AT {%1, " jmp short beyond"}, 0xff0, {jmp short $ + 0x20}
    CODE_AT {%1, " jcc beyond, taken"}, 0, {jz near $ + 0x1000}
    CODE_AT {%1, " jcc beyond, not taken"}, 0, {jnz near $ + 0x1000}
    CODE_AT {%1, " loop beyond"}, 0xff0, {loop $ + 0x20}
    CODE_AT {%1, " jecxz beyond"}, 0xff0, {jecxz $ + 0x20}
    CODE_AT {%1, " call beyond"}, 0, {call $ + 0x1000}
    CODE_AT {%1, " jmp eax beyond"}, 0, JUMP_EAX
    CODE_AT {%1, " call eax beyond"}, 0, CALL_EAX
    CODE_AT {%1, " ret beyond"}, 0, PUSHED_RET
    CODE_AT {%1, " ret 4 beyond"}, 0, PUSHED_RET4
    CODE_AT {%1, " jmp far beyond"}, 0, JUMP_FAR
    CODE_AT {%1, " call far beyond"}, 0, CALL_FAR
    CODE_AT {%1, " retf beyond"}, 0, PUSHED_RETF
    CODE_AT {%1, " iret beyond"}, 0, PUSHED_IRET
    CODE_AT {%1, " jmp backwards below 0"}, 0, {jmp short $ - 4}
    CODE_AT {%1, " o16 jmp backwards below 0"}, 0, {db 0x66, 0xeb, 0xf0}
%endmacro

; The same bytes of one page seen through a wide segment, one that ends among them, and the wide one again.
%macro THROUGH 2                 ; name, limit
    DESCRIPTOR T0, SEG_AT, %2, 0xfb, 4
    CODE_AT %1, 0x7f8, {times 6 nop}
    CODE_AT %1, 0x7fa, {mov eax, 0x11223344}
%endmacro

code_limits:
    mov dword [show], SHOW_SP | SHOW_ECX
%define CODE_BASE SEG_AT
    DESCRIPTOR T0, CODE_BASE, 0xfff, 0xfb, 4
    CODE_CASES "32"
    ; A segment that ends in the middle of a page.
%define CODE_BASE SEG_AT + 0x5a5
    DESCRIPTOR T0, CODE_BASE, 0xfff, 0xfb, 4
    CODE_CASES "32 odd"
%define CODE_BASE SEG_AT
    THROUGH "wide", 0xffff
    THROUGH "ends at 7ff", 0x7ff
    THROUGH "wide again", 0xffff
    THROUGH "ends at 7fe", 0x7fe
    THROUGH "ends at 7fc", 0x7fc
    THROUGH "ends at 7fb", 0x7fb
    THROUGH "ends at 7f8", 0x7f8
    THROUGH "ends at 7f7", 0x7f7
    THROUGH "wide at last", 0xffff
    ; 16-bit: what wraps at 64 KiB.
    mov dword [show], SHOW_SP
    DESCRIPTOR T0, SEG_AT, 0xffff, 0xfb, 0
    CODE_AT "16 nop at ffff, then outside", 0xffff, {nop}
    CODE_AT "16 jmp short over the end", 0xfff0, {jmp short $ + 0x20}
    CODE_AT "16 o32 jmp short over the end", 0xfff0, {db 0x66, 0xeb, 0x1e}
    CODE_AT "16 mov ax over the end", 0xfffe, {db 0xb8, 0x34, 0x12}
    ; In a segment of less than 64 KiB.
    DESCRIPTOR T0, SEG_AT, 0x7fff, 0xfb, 0
    CODE_AT "16 32K jmp short over the end", 0x7ff0, {jmp short $ + 0x20}
    ; In one of 1 MiB.
    DESCRIPTOR T0, SEG_AT, 0xfffff, 0xfb, 0
    CODE_AT "16 1M nop at ffff goes on", 0xffff, {nop}
    CODE_AT "16 1M jmp short wraps", 0xfff0, {jmp short $ + 0x20}
    ret

; ---- string instructions that meet the limit in the middle -----------------------------------------------------------

%macro STRING 5                  ; name, esi, edi, flags, instruction
    CASE 3, %1
    mov dword [i_es], T0 | 3
    mov dword [i_ds], T0 | 3
    mov dword [i_ecx], 8
    mov dword [i_esi], %2
    mov dword [i_edi], %3
    mov dword [i_efl], 2 | (%4)
    BODY
    %5
    ENDCASE
    SAYS "  ", %1, ": esi="
    HEX 8, [r_esi]
    SAYS " edi="
    HEX 8, [r_edi]
    SAYS 10
%endmacro

strings:
    mov dword [show], SHOW_ECX
    DESCRIPTOR T0, SEG_AT, 0xfff, 0xf3, 4
    mov edi, SEG_AT
    mov ecx, 0x400
    xor eax, eax
    rep stosd
    STRING "movsb, destination", 0, 0xffc, 0, {rep movsb}
    STRING "movsd, destination", 0, 0xff6, 0, {rep movsd}
    STRING "movsd, source", 0xff6, 0, 0, {rep movsd}
    STRING "movsd down, source", 8, 0x100, 0x400, {rep movsd}
    STRING "stosw", 0, 0xffb, 0, {rep stosw}
    STRING "stosd down", 0, 8, 0x400, {rep stosd}
    STRING "lodsb", 0xffc, 0, 0, {rep lodsb}
    STRING "scasb", 0, 0xffc, 0, {repe scasb}
    STRING "cmpsd", 0xff0, 0, 0, {repe cmpsd}
    STRING "movsb, all inside", 0, 0xff8, 0, {rep movsb}
    STRING "movsb, nothing to do outside", 0, 0x1000, 0, NO_MOVSB
    STRING "a16 movsb wraps at 64K", 0x1fffe, 0x10000, 0, {a16 rep movsb}
    STRING "outsb at level 3", 0, 0, 0, {outsb}
    STRING "insb at level 3", 0, 0x1000, 0, {insb}
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
