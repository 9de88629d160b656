; An IDE disk (primary master) and a CD drive (secondary master) by their registers: signatures, shared registers, interrupts
; for each kind of transfer, bus mastering, errors, packet commands with all sorts of lengths. Disk sectors hold their number,
; CD sectors too. A line ends in status, error and whatever else was asked for.
%include "harness.inc"
%include "lines.inc"

MASTER equ 0x60
SLAVE  equ 0x70
DATA_AT equ FREE                 ; sectors
PRD     equ FREE + 0x100000
%include "ide.inc"

main:
    call set_up
    call signatures
    call shared
    call refusals
    call reads
    call writes
    call errors
    call bus_master
    call packets
    ret

; EAX: LBA, CL: count, AH destroyed; device 0.
address:
    push eax
    mov ebx, eax
    PUT 2, cl
    PUT 3, bl
    shr ebx, 8
    PUT 4, bl
    shr ebx, 8
    PUT 5, bl
    shr ebx, 8
    or bl, 0xe0
    PUT 6, bl
    pop eax
    ret

; Command AL without data.
command:
    mov dword [irqs], 0
    mov ah, al
    PUT 7, ah
    call ready
    ret
%macro COMMAND 1
    mov al, %1
    call command
%endmacro

; Blocks of BX sectors from the drive to DATA_AT until it has no more; interrupts are counted.
take:
    mov edi, DATA_AT
.block:
    call ready
    GET 7
    test al, 8
    jz .done
    movzx ecx, bx
    shl ecx, 8
    mov edx, [base]
    rep insw
    jmp .block
.done:
    call open
    ret
; The same to the drive.
give:
    mov esi, DATA_AT
.block:
    call ready
    GET 7
    test al, 8
    jz .done
    movzx ecx, bx
    shl ecx, 8
    mov edx, [base]
    rep outsw
    jmp .block
.done:
    call open
    ret

; ECX sectors at DATA_AT hold numbers from EAX on: 1 if so.
numbered:
    push esi
    mov esi, DATA_AT
.next:
    cmp [esi], eax
    jne .no
    inc eax
    add esi, 512
    loop .next
    mov al, 1
    jmp .done
.no:
    mov al, 0
.done:
    TELL
    pop esi
    ret

signatures:
    SAYS "disk after reset:"
    ON_DISK
    call reset
    call tell_status
    call tell_signature
    LINE
    SAYS "disk's absent companion, status:"
    PUT 6, 0xf0
    call open
    TELL_REGISTER 7
    PUT 6, 0xe0
    LINE
    SAYS "disc drive after reset:"
    ON_DISC
    call reset
    call tell_status
    call tell_signature
    LINE
    SAYS "IDENTIFY DEVICE to the disc drive:"
    COMMAND 0xec
    call tell_status
    call tell_signature
    call tell_irqs
    LINE
    SAYS "READ SECTORS to it:"
    COMMAND 0x20
    call tell_status
    call tell_signature
    call tell_irqs
    LINE
    SAYS "DEVICE RESET to it:"
    COMMAND 0x08
    call tell_signature
    LINE
    ON_DISK
    SAYS "diagnostics:"
    COMMAND 0x90
    call tell_status
    call tell_signature
    call tell_irqs
    LINE
    ret

shared:
    ON_DISK
    SAYS "registers written to one device, read at the other:"
    PUT 6, 0xe0
    PUT 2, 0x12
    PUT 3, 0x34
    PUT 4, 0x56
    PUT 5, 0x78
    PUT 6, 0xf0
    PUT 6, 0xe0
    call tell_signature
    LINE
    SAYS "written while the absent one is selected, used by the disk:"
    PUT 6, 0xf0
    PUT 2, 1
    PUT 3, 77
    PUT 4, 0
    PUT 5, 0
    PUT 6, 0xe0
    mov dword [irqs], 0
    PUT 7, 0x20
    mov bx, 1
    call take
    call tell_status
    mov eax, 77
    mov ecx, 1
    call numbered
    LINE
    SAYS "patterns in the cylinder registers:"
    PUT 4, 0xaa
    PUT 5, 0x55
    TELL_REGISTER 4
    TELL_REGISTER 5
    LINE
    ret

refusals:
    ON_DISK
    PUT 6, 0xe0
%macro REFUSED 2
    SAYS %1
    COMMAND %2
    call tell_status
    call tell_irqs
    LINE
%endmacro
    REFUSED "IDENTIFY PACKET DEVICE to the disk:", 0xa1
    REFUSED "PACKET to the disk:", 0xa0
    REFUSED "an unknown command:", 0xff
    REFUSED "RECALIBRATE:", 0x10
    REFUSED "FLUSH CACHE:", 0xe7
    REFUSED "IDLE IMMEDIATE:", 0xe1
    SAYS "CHECK POWER MODE, count:"
    COMMAND 0xe5
    call tell_status
    TELL_REGISTER 2
    LINE
    SAYS "SET MULTIPLE to 3 and to 8:"
    PUT 2, 3
    COMMAND 0xc6
    call tell_status
    PUT 2, 8
    COMMAND 0xc6
    call tell_status
    LINE
    SAYS "SET FEATURES, PIO 4, multiword DMA 2, an unknown one:"
    PUT 1, 3
    PUT 2, 0x0c
    COMMAND 0xef
    call tell_status
    PUT 1, 3
    PUT 2, 0x22
    COMMAND 0xef
    call tell_status
    PUT 1, 0xff
    PUT 2, 0
    COMMAND 0xef
    call tell_status
    LINE
    SAYS "INITIALIZE DEVICE PARAMETERS, 16 heads, 63 sectors:"
    PUT 2, 63
    PUT 6, 0xaf
    COMMAND 0x91
    call tell_status
    PUT 6, 0xe0
    LINE
    ret

reads:
    ON_DISK
    SAYS "IDENTIFY, words 1, 3, 6, 60, 61, 49's LBA and DMA:"
    PUT 6, 0xe0
    mov dword [irqs], 0
    PUT 7, 0xec
    mov bx, 1
    call take
    movzx eax, word [DATA_AT + 2]
    HEX 4, eax
    SAYS " "
    movzx eax, word [DATA_AT + 6]
    HEX 4, eax
    SAYS " "
    movzx eax, word [DATA_AT + 12]
    HEX 4, eax
    SAYS " "
    movzx eax, word [DATA_AT + 120]
    HEX 4, eax
    SAYS " "
    movzx eax, word [DATA_AT + 122]
    HEX 4, eax
    SAYS " "
    movzx eax, word [DATA_AT + 98]
    and eax, 0x300
    HEX 4, eax
    call tell_irqs
    LINE
%macro READS 5                   ; text, LBA, count, command, block
    SAYS %1
    mov eax, %2
    mov cl, %3
    call address
    mov dword [irqs], 0
    PUT 7, %4
    mov bx, %5
    call take
    call tell_status
    mov eax, %2
    mov ecx, %3
    call numbered
    call tell_irqs
    LINE
%endmacro
    READS "READ SECTORS, 1:", 100, 1, 0x20, 1
    READS "READ SECTORS, 16:", 200, 16, 0x20, 1
    READS "READ SECTORS without retry, 2:", 300, 2, 0x21, 1
    READS "READ MULTIPLE, 16 in blocks of 8:", 400, 16, 0xc4, 8
    PUT 2, 0
    PUT 3, 0
    PUT 4, 0
    PUT 5, 0
    READS "READ SECTORS EXT, 3:", 500, 3, 0x24, 1
    SAYS "READ VERIFY, 4:"
    mov eax, 600
    mov cl, 4
    call address
    COMMAND 0x40
    call tell_status
    call tell_irqs
    LINE
    SAYS "cylinder 1, head 2, sector 3:"
    PUT 2, 1
    PUT 3, 3
    PUT 4, 1
    PUT 5, 0
    PUT 6, 0xa2
    mov dword [irqs], 0
    PUT 7, 0x20
    mov bx, 1
    call take
    call tell_status
    mov eax, (1 * 16 + 2) * 63 + 2
    mov ecx, 1
    call numbered
    LINE
    SAYS "nIEN holds the interrupt back:"
    mov edx, [control]
    mov al, 2
    out dx, al
    mov eax, 100
    mov cl, 1
    call address
    mov dword [irqs], 0
    PUT 7, 0x20
    mov bx, 1
    call take
    call tell_irqs
    mov edx, [control]
    mov al, 0
    out dx, al
    LINE
    ret

; Sectors from EAX on, ECX of them, at DATA_AT.
make:
    push edi
    mov edi, DATA_AT
.next:
    mov [edi], eax
    inc eax
    add edi, 512
    loop .next
    pop edi
    ret

writes:
    ON_DISK
%macro WRITES 5                  ; text, LBA, count, command, block
    mov eax, %2
    mov ecx, %3
    call make
    SAYS %1
    mov eax, %2
    mov cl, %3
    call address
    mov dword [irqs], 0
    PUT 7, %4
    mov bx, %5
    call give
    call tell_status
    call tell_irqs
    mov eax, %2
    mov cl, %3
    call address
    PUT 7, 0x20
    mov bx, 1
    call take
    mov eax, %2
    mov ecx, %3
    call numbered
    LINE
%endmacro
    WRITES "WRITE SECTORS, 1:", 1000, 1, 0x30, 1
    WRITES "WRITE SECTORS, 16:", 1100, 16, 0x30, 1
    WRITES "WRITE MULTIPLE, 16 in blocks of 8:", 1200, 16, 0xc5, 8
    ret

errors:
    ON_DISK
%macro BEYOND 3
    SAYS %1
    mov eax, 20 * 16 * 63 - 1
    mov cl, %3
    call address
    mov dword [irqs], 0
    PUT 7, %2
    mov bx, 1
    call take
    GET 7
    and al, 1
    TELL
    LINE
%endmacro
    BEYOND "the last sector, error bit:", 0x20, 1
    BEYOND "one behind it, error bit:", 0x20, 2
    SAYS "the sector behind the last, error:"
    mov eax, 20 * 16 * 63
    mov cl, 1
    call address
    COMMAND 0x20
    call tell_status
    LINE
    SAYS "a good command clears the error:"
    COMMAND 0xe7
    GET 7
    and al, 1
    TELL
    LINE
    ret

; EAX = configuration register at address EAX.
config:
    mov dx, 0xcf8
    out dx, eax
    mov dx, 0xcfc
    in eax, dx
    ret

bus_master:
    ; The IDE function: class 0101h.
    xor ebx, ebx
.find:
    mov eax, ebx
    shl eax, 8
    or eax, 0x80000008
    call config
    shr eax, 16
    cmp eax, 0x0101
    je .found
    inc ebx
    cmp ebx, 0x100
    jb .find
    SAYS "no bus master", 10
    ret
.found:
    mov eax, ebx
    shl eax, 8
    or eax, 0x80000020
    call config
    and eax, 0xfff0
    mov ebp, eax
    mov eax, ebx
    shl eax, 8
    or eax, 0x80000004
    call config
    or al, 7
    out dx, eax
    ON_DISK
%macro DMA 4-*                   ; text, LBA, count, bytes of each region
    SAYS %1
    mov edi, DATA_AT
    mov ecx, 0x4000
    xor eax, eax
    rep stosd
  %define first %2
  %define many %3
  %assign at 0
  %assign entry 0
  %assign more %0 - 3
  %rotate 3
  %rep more
    mov dword [PRD + entry * 8], DATA_AT + at
    %if entry + 1 == more
    mov dword [PRD + entry * 8 + 4], 0x80000000 | (%1 & 0xffff)
    %else
    mov dword [PRD + entry * 8 + 4], %1 & 0xffff
    %endif
    %assign at at + %1
    %assign entry entry + 1
    %rotate 1
  %endrep
    mov eax, first
    mov cl, many
    call address
    call start_dma
    mov eax, first
    mov ecx, many
    call numbered
    call tell_irqs
    LINE
%endmacro
    DMA "READ DMA, 1 sector, one region:", 1300, 1, 512
    DMA "READ DMA, 4 sectors, regions of 2, 510, 1000, 536:", 1310, 4, 2, 510, 1000, 536
    DMA "READ DMA, 128 sectors, a region of 64 KiB:", 1400, 128, 65536
    DMA "READ DMA, 2 sectors, a region too long:", 1600, 2, 2048
    DMA "READ DMA, 4 sectors, regions too short:", 1610, 4, 1024
    ret
start_dma:
    mov dword [irqs], 0
    lea edx, [ebp + 4]
    mov eax, PRD
    out dx, eax
    lea edx, [ebp + 2]
    mov al, 6
    out dx, al
    mov edx, ebp
    mov al, 8
    out dx, al
    PUT 7, 0xc8
    mov edx, ebp
    mov al, 9
    out dx, al
    mov ecx, 100000
.wait:
    call open
    lea edx, [ebp + 2]
    in al, dx
    test al, 4
    jnz .done
    loop .wait
.done:
    ; Active, error, interrupt.
    and al, 7
    TELL
    mov edx, ebp
    mov al, 0
    out dx, al
    call tell_status
    lea edx, [ebp + 2]
    mov al, 6
    out dx, al
    in al, dx
    and al, 7
    TELL
    ret

packets:
    ON_DISC
    ; Whatever a start leaves behind.
    call sense_quietly
    call sense_quietly
    CDB 0
    call silent_packet
    call sense_quietly
    SAYS "TEST UNIT READY:"
    CDB 0
    call send_packet
    call tell_irqs
    LINE
    SAYS "REQUEST SENSE, nothing:"
    call sense
    LINE
    SAYS "INQUIRY, 36 bytes, type and removable:"
    CDB 0x12, 0, 0, 0, 36
    call send_packet
    mov al, [DATA_AT]
    TELL
    mov al, [DATA_AT + 1]
    TELL
    call tell_irqs
    LINE
    SAYS "INQUIRY, 6 bytes:"
    CDB 0x12, 0, 0, 0, 6
    call send_packet
    call tell_irqs
    LINE
    SAYS "INQUIRY, no bytes:"
    CDB 0x12
    call send_packet
    call tell_irqs
    LINE
    SAYS "READ CAPACITY:"
    CDB 0x25
    call send_packet
    mov eax, [DATA_AT]
    bswap eax
    SAYS " "
    HEX 8, eax
    mov eax, [DATA_AT + 4]
    bswap eax
    SAYS " "
    HEX 8, eax
    LINE
    SAYS "READ (10), a sector:"
    CDB 0x28, 0, 0, 0, 0, 20, 0, 0, 1
    call send_packet
    mov eax, [DATA_AT]
    SAYS " number"
    TELL
    call tell_irqs
    LINE
    SAYS "READ (10), two sectors, at most 2048 bytes each time:"
    mov dword [limit], 2048
    CDB 0x28, 0, 0, 0, 0, 30, 0, 0, 2
    call send_packet
    mov al, [DATA_AT + 2048]
    SAYS " number"
    TELL
    call tell_irqs
    LINE
    SAYS "READ (10), a sector, at most 1024 bytes each time:"
    mov dword [limit], 1024
    CDB 0x28, 0, 0, 0, 0, 31, 0, 0, 1
    call send_packet
    call tell_irqs
    LINE
    mov dword [limit], 0xfffe
    SAYS "READ (10), no sectors:"
    CDB 0x28, 0, 0, 0, 0, 31
    call send_packet
    LINE
    SAYS "READ (10) beyond the end:"
    CDB 0x28, 0, 0, 0, 0x10, 0, 0, 0, 1
    call send_packet
    call sense
    LINE
    SAYS "an unknown command:"
    CDB 0xfb
    call send_packet
    call sense
    LINE
    SAYS "a good command clears the sense:"
    CDB 0xfb
    call silent_packet
    CDB 0
    call silent_packet
    call sense
    LINE
    SAYS "READ TOC, 4 bytes and all:"
    CDB 0x43, 0, 0, 0, 0, 0, 0, 0, 4
    call send_packet
    CDB 0x43, 0, 0, 0, 0, 0, 0, 1, 0
    call send_packet
    mov al, [DATA_AT + 2]
    TELL
    mov al, [DATA_AT + 3]
    TELL
    LINE
    SAYS "GET CONFIGURATION, 8 bytes:"
    CDB 0x46, 2, 0, 0, 0, 0, 0, 0, 8
    call send_packet
    LINE
    SAYS "MODE SENSE (10), page 2Ah, 8 bytes:"
    CDB 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 8
    call send_packet
    LINE
    SAYS "a page that there is not:"
    CDB 0x5a, 0, 0x3e, 0, 0, 0, 0, 0, 8
    call send_packet
    call sense
    LINE
    SAYS "SEEK, PREVENT, ALLOW:"
    CDB 0x2b, 0, 0, 0, 0, 10
    call send_packet
    CDB 0x1e, 0, 0, 0, 1
    call send_packet
    CDB 0x1e
    call send_packet
    LINE
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
