; Paging: P, RW, US and WP against reads, writes and fetches at levels 0 and 3, with 4 KiB, 4 MiB, PAE and 2 MiB pages,
; no-execute; accessed and dirty bits, reserved bits; accesses across pages; INVLPG, global pages, PDPTEs; faults of
; implicit accesses and while events are delivered.
%include "harness.inc"

V         equ 0x40
; Tables.
PD        equ 0x200000
PT0       equ 0x201000           ; identity, 0 to 4 MiB
PTT       equ 0x202000           ; of the page under test
PDPT      equ 0x210000
PAE_PD    equ 0x211000
PAE_PT0   equ 0x212000           ; identity, two tables
PAE_PTT   equ 0x214000
; The page under test, and the one behind it.
LINEAR    equ 0x800000
FRAME     equ 0x300000
FRAME2    equ 0x301000
BIG_FRAME equ 0xc00000           ; 4 MiB and 2 MiB aligned

CR0_PG    equ 0x80000000
CR0_WP    equ 0x10000
CR4_PSE   equ 0x10
CR4_PAE   equ 0x20
CR4_PGE   equ 0x80

pde_address: dd 0
pte_address: dd 0
pde:  dd 0, 0                    ; what `set_entries` stores
pte:  dd 0, 0
cpl:  dd 0
wp:   dd 0
access: dd 0

main:
    fninit
    call make_tables
    mov word [FRAME], 0x0b0f
    mov word [BIG_FRAME], 0x0b0f
    ; 32-bit paging.
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    mov dword [pde_address], PD + (LINEAR >> 22) * 4
    mov dword [pte_address], PTT
    call matrix32
    call big_pages32
    call reserved32
    call crossing
    call implicit
    call translation
    call other_levels
    ; PAE.
    mov dword [more], 0
    call leave_paging
    call pae_tables
    call matrix_pae
    call nx_pae
    call reserved_pae
    call pdptes
    jmp leave_paging

leave_paging:
    mov eax, cr0
    and eax, ~(CR0_PG | CR0_WP)
    mov cr0, eax
    xor eax, eax
    mov cr3, eax
    mov cr4, eax
    ret

make_tables:
    mov edi, PD
    mov ecx, 0x20000 / 4
    xor eax, eax
    rep stosd
    mov edi, PT0
    mov eax, 7
.next:
    stosd
    add eax, 0x1000
    cmp edi, PT0 + 0x1000
    jb .next
    mov dword [PD], PT0 | 7
    mov dword [0x204000], BIG_FRAME | 7 ; the first page of the big frame, identity
    mov dword [PD + (BIG_FRAME >> 22) * 4], 0x204000 | 7
    ret

; ---- P, RW, US of both levels × level × WP × access ------------------------------------------------------------------

; Extra fields: low bytes of both entries afterwards.
show_entries:
    SAYS " pde="
    mov esi, [pde_address]
    HEX 2, [esi]
    SAYS " pte="
    mov esi, [pte_address]
    HEX 2, [esi]
    ret

flush:
    push eax
    mov eax, cr3
    mov cr3, eax
    pop eax
    ret

; Stores pde and pte (64 bits each in PAE mode: `is_pae`).
is_pae: dd 0
set_entries:
    pushad
    mov edi, [pde_address]
    mov eax, [pde]
    mov [edi], eax
    cmp dword [is_pae], 0
    je .pte
    mov eax, [pde + 4]
    mov [edi + 4], eax
.pte:
    mov edi, [pte_address]
    mov eax, [pte]
    mov [edi], eax
    cmp dword [is_pae], 0
    je .done
    mov eax, [pte + 4]
    mov [edi + 4], eax
.done:
    call flush
    popad
    ret

set_wp:
    push eax
    mov eax, cr0
    and eax, ~CR0_WP
    cmp dword [wp], 0
    je .store
    or eax, CR0_WP
.store:
    mov cr0, eax
    pop eax
    ret

; One access to LINEAR, named by the entries' low bytes.
one_access:
    call set_entries
    call set_wp
    SAYS "pde "
    HEX 2, [pde]
    SAYS " pte "
    HEX 2, [pte]
    SAYS " wp"
    HEX 1, [wp]
    SAYS " cpl"
    HEX 1, [cpl]
    cmp dword [access], 1
    jb .read
    je .write
    SAYS " x:"
    jmp .named
.read:
    SAYS " r:"
    jmp .named
.write:
    SAYS " w:"
.named:
    mov eax, [cpl]
    call prepare
    mov dword [i_ebx], LINEAR
    mov eax, [access]
    mov eax, [.bodies + eax * 4]
    mov [i_eip], eax
    mov dword [i_end], LINEAR
    cmp dword [access], 2
    je .run
    add eax, 2
    mov [i_end], eax
.run:
    call run_case
    jmp print_result
.bodies: dd .do_read, .do_write, .do_fetch
.do_read:
    mov al, [ebx]
    ud2
.do_write:
    mov [ebx + 8], al            ; not over the UD2
    ud2
.do_fetch:
    jmp ebx

; All values of pte's low three bits × levels × WP × access, for the pde as it is.
all_accesses:
    mov dword [cpl], 0
.cpl:
    mov dword [wp], 0
.wp:
    mov dword [access], 0
.access:
    call one_access
    inc dword [access]
    cmp dword [access], 3
    jb .access
    inc dword [wp]
    cmp dword [wp], 2
    jb .wp
    add dword [cpl], 3
    cmp dword [cpl], 4
    jb .cpl
    ret

matrix32:
    mov dword [more], show_entries
    mov dword [pde], PTT
.pde:
    mov dword [pte], FRAME
.pte:
    call all_accesses
    inc dword [pte]
    test byte [pte], 8
    jz .pte
    inc dword [pde]
    test byte [pde], 8
    jz .pde
    ; Accessed and dirty already set: nothing changes.
    mov dword [pde], PTT | 0x27
    mov dword [pte], FRAME | 0x67
    call all_accesses
    ; Bits that software may use do not matter.
    mov dword [pde], PTT | 0xe07
    mov dword [pte], FRAME | 0xe07
    call all_accesses
    ret

big_pages32:
    ; PS without PSE is an ordinary entry.
    mov dword [pde], PTT | 0x87
    mov dword [pte], FRAME | 7
    call all_accesses
    mov eax, CR4_PSE
    mov cr4, eax
    mov dword [pte], 0
    mov dword [pde], BIG_FRAME | 0x80
.pde:
    call all_accesses
    inc dword [pde]
    test byte [pde], 8
    jz .pde
    ; PAT bit, global and software bits.
    mov dword [pde], BIG_FRAME | 0x1f87
    call all_accesses
    ret

; Bit n of the big PDE.
reserved32:
    mov ecx, 12
.next:
    mov eax, BIG_FRAME | 0x87
    bts eax, ecx
    mov [pde], eax
    push ecx
    mov dword [cpl], 3
    mov dword [wp], 0
    mov dword [access], 1
    cmp ecx, 13                  ; bits 13 to 16 are address bits above 4 GiB
    jb .run
    cmp ecx, 17
    jb .skip
.run:
    SAYS "bit "
    HEX 2, ecx
    SAYS " "
    call one_access
.skip:
    pop ecx
    inc ecx
    cmp ecx, 22
    jb .next
    ; Not present: reserved bits do not matter.
    mov dword [pde], BIG_FRAME | 0x200086
    call one_access
    xor eax, eax
    mov cr4, eax
    ret

; ---- accesses across two pages ---------------------------------------------------------------------------------------

second: dd 0                     ; low bits of the second page's entry

%macro ACROSS 2+
    call cross_entries
    SAYS "across ", %1, " "
    HEX 2, [pte]
    SAYS " "
    HEX 2, [second]
    SAYS ":"
    mov eax, 3
    call prepare
    mov dword [i_ebx], LINEAR + 0xffe
    mov dword [i_eax], 0x12345678
    mov dword [i_ecx], 4
    mov dword [i_esi], LINEAR + 0xffa
    mov dword [i_edi], LINEAR + 0xffa
    mov dword [i_edx], 0
    BODY
    %2
    ENDCASE
%endmacro

cross_entries:
    mov dword [pde], PTT | 7
    mov eax, [pte]
    and eax, 7
    or eax, FRAME
    mov [pte], eax
    mov eax, [second]
    or eax, FRAME2
    mov [PTT + 4], eax
    mov dword [FRAME + 0xff0], 0xf0f0f0f0
    mov dword [FRAME + 0xff4], 0xf4f4f4f4
    mov dword [FRAME + 0xff8], 0xf8f8f8f8
    mov dword [FRAME + 0xffc], 0xfcfcfcfc
    mov dword [FRAME2], 0xa0a0a0a0
    mov dword [FRAME2 + 4], 0xa4a4a4a4
    mov dword [FRAME2 + 8], 0xa8a8a8a8
    jmp set_entries

show_crossing:
    call show_entries
    SAYS " "
    HEX 2, [PTT + 4]
    SAYS " "
    HEX 8, [FRAME + 0xff8]
    SAYS " "
    HEX 8, [FRAME + 0xffc]
    SAYS " "
    HEX 8, [FRAME2]
    SAYS " "
    HEX 8, [FRAME2 + 4]
    ret

%macro PUSH_ACROSS 1+
    mov esp, LINEAR + 0x1002
    %1
%endmacro
%macro POP_ACROSS 1+
    mov esp, LINEAR + 0xffe
    %1
%endmacro
%macro ENTER_ACROSS 0
    mov esp, LINEAR + 0x1008
    mov ebp, LINEAR + 0x1004
    enter 8, 3
%endmacro
%macro LEAVE_ACROSS 0
    mov ebp, LINEAR + 0xffe
    leave
%endmacro

crossing:
    mov dword [more], show_crossing
    mov dword [show], SHOW_EAX | SHOW_ECX | SHOW_SP
    mov dword [wp], 0
    call set_wp
    mov dword [pte], 7
    mov dword [second], 0
.next:
    call .all
    add dword [second], 1        ; 0, 1 (supervisor), 3, 5 (read-only), 7
    cmp dword [second], 8
    jb .next
    mov dword [second], 7
    mov dword [pte], 6           ; first page absent
    call .all
    mov dword [pte], 5           ; first page read-only
    call .all
    mov dword [pte], 6
    mov dword [second], 6
    call .all
    mov dword [show], 0
    ret
.all:
    ACROSS "mov r32", mov eax, [ebx]
    ACROSS "mov m32", mov [ebx], eax
    ACROSS "mov m16 at 1", mov [ebx + 1], ax
    ACROSS "add m32", add [ebx], eax
    ACROSS "cmpxchg", cmpxchg [ebx], ecx
    ACROSS "xchg", xchg [ebx], eax
    ACROSS "cmpxchg8b", cmpxchg8b [ebx]
    ACROSS "movs", rep movsw
    ACROSS "stosb", rep stosb
    ACROSS "stosd", rep stosd
    ACROSS "lodsd", rep lodsd
    ACROSS "scasd", repne scasd
    ACROSS "push", PUSH_ACROSS push eax
    ACROSS "pushad", PUSH_ACROSS pushad
    ACROSS "push m", PUSH_ACROSS push dword [ebx]
    ACROSS "pop", POP_ACROSS pop eax
    ACROSS "popad", POP_ACROSS popad
    ACROSS "pop m", pop dword [ebx]
    ACROSS "call", PUSH_ACROSS call $ + 5
    ACROSS "call far", PUSH_ACROSS call CODE3:$ + 7
    ACROSS "retf", POP_ACROSS retf
    ACROSS "iret", POP_ACROSS iretd
    ACROSS "enter", ENTER_ACROSS
    ACROSS "leave", LEAVE_ACROSS
    ACROSS "les", les eax, [ebx]
    ACROSS "bound", bound eax, [ebx]
    ACROSS "sgdt", sgdt [ebx]
    ACROSS "fnstenv", fnstenv [ebx - 10]
    ACROSS "fld", fld qword [ebx]
    ACROSS "btc", btc dword [ebx], 1
    ACROSS "bt beyond", bt dword [ebx - 0x1000], eax
    ACROSS "shld", shld [ebx], eax, 4
    ACROSS "setcc", setz [ebx + 2]
    ACROSS "code", jmp ebx
    ret

; ---- implicit accesses -----------------------------------------------------------------------------------------------

; Descriptor tables, TSS and inner stacks in the page under test: supervisor accesses whatever the level.
landed:
    ud2

%macro IN_PAGE 2                 ; name, entry of the page: low bits
    mov dword [pte], FRAME | (%2)
    call set_entries
    SAYS %1, " "
    HEX 2, [pte]
    SAYS ":"
    mov eax, 3
    call prepare
%endmacro

%macro IMPLICIT 1                ; low bits of the page
    ; The GDT.
    mov esi, GDT
    mov edi, FRAME
    mov ecx, 0x200
    rep movsd
    mov byte [FRAME + T0 + 5], 0xf2
    %if %1
    ; (The handler's own descriptors are read through the page, so it must be there.)
    IN_PAGE "gdt, load", %1
    mov dword [gdtr + 2], LINEAR
    lgdt [gdtr]
    mov dword [i_eax], T0 | 3
    BODY
    mov ds, ax
    ENDCASE
    mov dword [gdtr + 2], GDT
    lgdt [gdtr]
    SAYS "  accessed: "
    HEX 2, [FRAME + T0 + 5]
    SAYS 10
    %endif
    ; The LDT.
    mov dword [FRAME + 8], 0xffff
    mov dword [FRAME + 12], 0x00cff200
    mov dword [GDT + SEL_LDT], (LINEAR & 0xffff) << 16 | 0xff
    mov dword [GDT + SEL_LDT + 4], (LINEAR >> 16 & 0xff) | 0x8200 | (LINEAR & 0xff000000)
    mov ax, SEL_LDT
    lldt ax
    IN_PAGE "ldt, load", %1
    mov dword [i_eax], 15
    BODY
    mov ds, ax
    ENDCASE
    SAYS "  accessed: "
    HEX 2, [FRAME + 13]
    SAYS 10
    IN_PAGE "ldt, lar", %1
    mov dword [i_eax], 15
    BODY
    lar eax, eax
    ENDCASE
    IN_PAGE "ldt, verw", %1
    mov dword [i_eax], 15
    BODY
    verw ax
    ENDCASE
    mov dword [GDT + SEL_LDT], (LDT & 0xffff) << 16 | 0xff
    mov dword [GDT + SEL_LDT + 4], (LDT >> 16 & 0xff) | 0x8200 | (LDT & 0xff000000)
    mov ax, SEL_LDT
    lldt ax
    ; A stack of level 1.
    GATE IDT + V * 8, CODE1, landed, 0xee, 0
    mov dword [TSS + 12], LINEAR + 0x800
    IN_PAGE "stack of level 1, int", %1
    BODY_TO landed
    int V
    ENDCASE
    GATE GDT + T0, CODE1, landed, 0xec, 0
    IN_PAGE "stack of level 1, call gate", %1
    BODY_TO landed
    call T0 | 3:0
    ENDCASE
    mov dword [TSS + 12], LINEAR + 8
    IN_PAGE "stack of level 1, int, into the page before", %1
    BODY_TO landed
    int V
    ENDCASE
    mov dword [TSS + 12], STACK1
    ; A task's TSS.
    mov dword [FRAME + 0x1c], PD
    mov dword [FRAME + 0x20], landed
    mov dword [FRAME + 0x24], 2
    mov dword [FRAME + 0x38], STACK3
    mov dword [FRAME + 0x48], DATA3
    mov dword [FRAME + 0x4c], CODE3
    mov dword [FRAME + 0x50], DATA3
    mov dword [FRAME + 0x54], DATA3
    mov dword [FRAME + 0x58], 0
    mov dword [FRAME + 0x5c], 0
    mov dword [FRAME + 0x60], 0
    mov dword [FRAME + 4], STACK0
    mov dword [FRAME + 8], DATA0
    DESCRIPTOR T0 + 8, LINEAR, 0x67, 0xe9, 0
    IN_PAGE "new tss, jmp", %1
    BODY_TO landed
    jmp T0 + 8:0
    ENDCASE
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    clts
    mov ax, SEL_LDT
    lldt ax
    ; The I/O bitmap.
    DESCRIPTOR T0 + 16, LINEAR - 0x100, 0x367, 0x89, 0
    call .map_before
    mov dword [FRAME2 + 0xf04], STACK0
    mov dword [FRAME2 + 0xf08], DATA0
    mov word [FRAME2 + 0xf66], 0x100
    mov dword [FRAME + 0x10], 0
    mov ax, T0 + 16
    ltr ax
    IN_PAGE "i/o bitmap", %1
    mov dword [i_edx], 0x84
    BODY
    in al, dx
    ENDCASE
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
%endmacro

implicit:
    mov dword [more], 0
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_DS
    mov dword [pde], PTT | 7
    mov dword [wp], 1
    call set_wp
    mov dword [pte], FRAME | 7
    call set_entries
    call .tables
    mov dword [wp], 0
    call set_wp
    ; The IDT: vectors up to 13 in one page, 14 and more in the page under test.
    mov esi, IDT
    mov edi, FRAME2 + 0x1000 - 14 * 8
    mov ecx, 14 * 2
    rep movsd
    mov edi, FRAME
    mov ecx, 0x200 - 14 * 2
    rep movsd
    call .map_before
    mov dword [idtr + 2], LINEAR - 14 * 8
    mov dword [pte], FRAME | 7
    call set_entries
    lidt [idtr]
    mov byte [FRAME + (V - 14) * 8 + 5], 0xee
    IN_PAGE "idt, int", 7
    BODY
    int V
    ENDCASE
    IN_PAGE "idt absent, int: #PF, then #DF", 6
    BODY
    int V
    ENDCASE
    IN_PAGE "idt absent, #PF: #DF", 6
    BODY
    mov eax, [LINEAR + 0x2000]
    ENDCASE
    IN_PAGE "idt absent, #DE has its gate", 6
    BODY
    xor ecx, ecx
    div ecx
    ENDCASE
    mov dword [idtr + 2], IDT
    lidt [idtr]
    ret
; FRAME2 at the page before the one under test.
.map_before:
    mov dword [PTT + 0xffc], 0
    mov dword [PD + (LINEAR >> 22) * 4 - 4], 0x203000 | 7
    mov dword [0x203000 + 0xffc], FRAME2 | 7
    jmp flush
.tables:
    IMPLICIT 7
    IMPLICIT 3
    IMPLICIT 1
    IMPLICIT 5
    IMPLICIT 0
    ret

; ---- when translations change ----------------------------------------------------------------------------------------

%macro READS 1
    CASE 0, %1
    mov dword [i_ebx], LINEAR
    BODY
    mov eax, [ebx]
    ENDCASE
%endmacro

translation:
    mov dword [show], SHOW_EAX
    mov dword [more], 0
    mov dword [FRAME], 0x11111111
    mov dword [FRAME2], 0x22222222
    mov dword [pde], PTT | 7
    mov dword [pte], FRAME | 7
    call set_entries
    READS "first frame"
    mov dword [PTT], FRAME2 | 7
    invlpg [LINEAR + 0x123]
    READS "second frame after invlpg"
    mov dword [PTT], 0
    call flush
    READS "absent after mov cr3"
    mov dword [PTT], FRAME | 7
    READS "present again without a flush"
    mov dword [PD + (LINEAR >> 22) * 4], 0
    call flush
    READS "pde absent"
    mov dword [PD + (LINEAR >> 22) * 4], PTT | 7
    READS "pde present again without a flush"
    ; Read-only to writable without a flush after the fault that it raised.
    mov dword [PTT], FRAME | 5
    call flush
    CASE 3, "write to a read-only page"
    mov dword [i_ebx], LINEAR
    BODY
    mov [ebx], eax
    ENDCASE
    mov dword [PTT], FRAME | 7
    CASE 3, "write after it became writable"
    mov dword [i_ebx], LINEAR
    mov dword [i_eax], 0x33333333
    BODY
    mov [ebx], eax
    mov eax, [ebx]
    ENDCASE
    ; Global pages survive MOV CR3, not INVLPG, not a change of PGE.
    mov dword [FRAME], 0x11111111
    mov eax, CR4_PGE
    mov cr4, eax
    mov dword [PTT], FRAME | 0x107
    invlpg [LINEAR]
    READS "global page"
    mov dword [PTT], FRAME2 | 0x107
    call flush
    READS "global page after mov cr3"
    invlpg [LINEAR]
    READS "global page after invlpg"
    mov dword [PTT], FRAME | 0x107
    xor eax, eax
    mov cr4, eax
    READS "global page after pge off"
    mov dword [PTT], FRAME2 | 0x107
    call flush
    READS "global bit without pge after mov cr3"
    ; PSE switched on: the entry becomes a big page.
    mov dword [BIG_FRAME], FRAME | 7
    mov dword [PD + (LINEAR >> 22) * 4], BIG_FRAME | 0x87
    call flush
    READS "ps without pse"
    mov eax, CR4_PSE
    mov cr4, eax
    READS "ps with pse"
    xor eax, eax
    mov cr4, eax
    ; Paging off and on.
    mov dword [PD + (LINEAR >> 22) * 4], PTT | 7
    mov dword [PTT], FRAME | 7
    mov dword [LINEAR], 0x55555555 ; (through the page)
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    mov dword [LINEAR], 0x66666666 ; (physical)
    READS "paging off"
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    READS "paging on"
    ; CR3 keeps PCD and PWT, and nothing else below bit 12.
    CASE 0, "bits of cr3"
    BODY
    mov ecx, cr3
    mov eax, PD | 0xfff
    mov cr3, eax
    mov eax, cr3
    mov cr3, ecx
    ENDCASE
    mov dword [show], 0
    ret

; Levels 1 and 2 are supervisor.
other_levels:
    mov dword [more], show_entries
    mov dword [pde], PTT | 3
    mov dword [pte], FRAME | 3
    mov dword [wp], 1
    mov word [FRAME], 0x0b0f
    mov dword [cpl], 1
.cpl:
    mov dword [access], 0
.access:
    call one_access
    inc dword [access]
    cmp dword [access], 3
    jb .access
    inc dword [cpl]
    cmp dword [cpl], 3
    jb .cpl
    ret

; ---- PAE -------------------------------------------------------------------------------------------------------------

pae_tables:
    mov edi, PDPT
    mov ecx, 0x8000 / 4
    xor eax, eax
    rep stosd
    mov edi, PAE_PT0
    mov eax, 7
.next:
    stosd
    mov dword [edi], 0
    add edi, 4
    add eax, 0x1000
    cmp edi, PAE_PT0 + 0x2000
    jb .next
    mov dword [PAE_PD], PAE_PT0 | 7
    mov dword [PAE_PD + 8], (PAE_PT0 + 0x1000) | 7
    mov dword [PDPT], PAE_PD | 1
    mov dword [is_pae], 1
    mov dword [pde_address], PAE_PD + (LINEAR >> 21) * 8
    mov dword [pte_address], PAE_PTT
    mov word [FRAME], 0x0b0f
    mov word [BIG_FRAME], 0x0b0f
    mov eax, CR4_PAE
    mov cr4, eax
    mov eax, PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    ret

show_pae:
    SAYS " pae"
    jmp show_entries

matrix_pae:
    mov dword [more], show_pae
    mov dword [pde + 4], 0
    mov dword [pte + 4], 0
    mov dword [pde], PAE_PTT
.pde:
    mov dword [pte], FRAME
.pte:
    call all_accesses
    inc dword [pte]
    test byte [pte], 8
    jz .pte
    inc dword [pde]
    test byte [pde], 8
    jz .pde
    ; 2 MiB pages, PSE not needed.
    mov dword [pte], 0
    mov dword [pde], BIG_FRAME | 0x80
.big:
    call all_accesses
    inc dword [pde]
    test byte [pde], 8
    jz .big
    ret

; NX in either entry, EFER.NXE clear and set.
nx_pae:
    mov dword [pde], PAE_PTT | 7
    mov dword [pte], FRAME | 7
    call .combinations
    mov dword [pde], BIG_FRAME | 0x87
    mov dword [pde + 4], 0x80000000
    mov dword [pte + 4], 0
    SAYS "nx big, nxe 0 "
    call .fetch
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x800
    wrmsr
    SAYS "nx big, nxe 1 "
    call .fetch
    mov dword [pde], PAE_PTT | 7
    call .combinations
    ; The fetch bit of the error code.
    mov dword [pde + 4], 0
    mov dword [pte + 4], 0
    mov dword [pte], FRAME | 6
    SAYS "nxe, absent "
    call .fetch
    mov dword [pte], FRAME | 3
    SAYS "nxe, supervisor "
    call .fetch
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x800
    wrmsr
    SAYS "no nxe, absent "
    mov dword [pte], FRAME | 6
    call .fetch
    ret
.fetch:
    mov dword [cpl], 3
    mov dword [access], 2
    call one_access
    mov dword [access], 0
    SAYS "  the same, read "
    call one_access
    ret
.combinations:
    xor ecx, ecx
.next:
    mov eax, ecx
    shl eax, 31
    mov [pde + 4], eax
    mov eax, ecx
    shr eax, 1
    shl eax, 31
    mov [pte + 4], eax
    push ecx
    SAYS "nx "
    HEX 1, ecx
    SAYS " "
    call all_accesses
    pop ecx
    inc ecx
    cmp ecx, 4
    jb .next
    ret

; Reserved bits above the physical address, and of big pages below.
reserved_pae:
    mov dword [cpl], 3
    mov dword [wp], 0
    mov dword [access], 1
    mov ecx, 8                   ; bit 40 and up: beyond any of the processors
.high:
    xor eax, eax
    bts eax, ecx
    push ecx
    mov dword [pde], PAE_PTT | 7
    mov dword [pte], FRAME | 7
    mov [pte + 4], eax
    mov dword [pde + 4], 0
    SAYS "pte bit "
    add ecx, 32
    HEX 2, ecx
    SAYS " "
    call one_access
    mov [pde + 4], eax
    mov dword [pte + 4], 0
    SAYS "pde bit "
    HEX 2, ecx
    SAYS " "
    call one_access
    pop ecx
    inc ecx
    cmp ecx, 32
    jb .high
    mov dword [pte + 4], 0
    mov dword [pde + 4], 0
    mov dword [pte], 0
    mov ecx, 13
.low:
    mov eax, BIG_FRAME | 0x87
    bts eax, ecx
    mov [pde], eax
    push ecx
    SAYS "big pde bit "
    HEX 2, ecx
    SAYS " "
    call one_access
    pop ecx
    inc ecx
    cmp ecx, 21
    jb .low
    ; Absent: reserved bits do not matter.
    mov dword [pde], PAE_PTT | 6
    mov dword [pde + 4], 0x100
    SAYS "reserved but absent "
    call one_access
    mov dword [pde + 4], 0
    ret

; PDPTEs: loaded by MOV CR3, #GP for reserved bits.
pdptes:
    mov dword [more], 0
    mov dword [show], 0
    mov dword [pde], PAE_PTT | 7
    mov dword [pte], FRAME | 7
    mov dword [pte + 4], 0
    call set_entries
%macro LOADS 3                   ; name, low, high
    mov dword [PDPT + 8], %2
    mov dword [PDPT + 12], %3
    CASE 0, "pdpte ", %1
    BODY
    mov eax, cr3
    mov cr3, eax
    ENDCASE
%endmacro
    LOADS "absent with reserved bits", 0xffe, -1
    LOADS "bit 1", PAE_PD | 3, 0
    LOADS "bit 2", PAE_PD | 5, 0
    LOADS "bits 3 and 4", PAE_PD | 0x19, 0
    LOADS "bit 5", PAE_PD | 0x21, 0
    LOADS "bit 6", PAE_PD | 0x41, 0
    LOADS "bit 7", PAE_PD | 0x81, 0
    LOADS "bit 8", PAE_PD | 0x101, 0
    LOADS "bits 9 to 11", PAE_PD | 0xe01, 0
    LOADS "bit 40", PAE_PD | 1, 0x100
    LOADS "bit 63", PAE_PD | 1, 0x80000000
    mov dword [PDPT + 8], 0
    mov dword [PDPT + 12], 0
    call flush
    CASE 0, "absent pdpte"
    BODY
    mov eax, [0x40000000]
    ENDCASE
    mov dword [PDPT + 8], PAE_PD | 1
    mov eax, cr3
    mov cr3, eax
    CASE 0, "second pdpte to the same directory"
    BODY
    mov eax, [0x40000000 + GDT]
    ENDCASE
    mov dword [PDPT + 8], 0
    invlpg [0x40000000 + GDT]
    CASE 0, "pdpte cleared in memory only"
    BODY
    mov eax, [0x40000000 + GDT]
    ENDCASE
    call flush
    CASE 0, "after mov cr3"
    BODY
    mov eax, [0x40000000 + GDT]
    ENDCASE
    ; Reserved bits seen when PG, PAE, PGE or PSE change.
    mov dword [PDPT + 8], PAE_PD | 3
    CASE 0, "reserved bits, mov cr4 pge"
    BODY
    mov eax, CR4_PAE | CR4_PGE
    mov cr4, eax
    ENDCASE
    mov eax, CR4_PAE
    mov dword [PDPT + 8], 0
    mov cr4, eax
    CASE 0, "cr3 with low bits"
    mov dword [show], SHOW_EAX
    BODY
    mov ecx, cr3
    mov eax, PDPT | 0x1f
    mov cr3, eax
    mov eax, cr3
    mov cr3, ecx
    ENDCASE
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
