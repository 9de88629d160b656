; A CD drive (secondary master) and a floppy drive while their media come and go. A line that starts with ">" asks for
; something to be done to the machine; a byte on COM1 says that it was. Sense is key, code, qualifier.
%include "harness.inc"
%include "lines.inc"

MASTER equ 0x60
SLAVE  equ 0x70
DATA_AT equ FREE
%include "ide.inc"

DOR  equ 0x3f2
MSR  equ 0x3f4
FIFO equ 0x3f5
DIR  equ 0x3f7

main:
    call set_up
    call disc
    call floppy
    ret

; Until somebody has done it.
asked:
    push eax
    push edx
.wait:
    mov dx, COM1 + 5
    in al, dx
    test al, 1
    jz .wait
    mov dx, COM1
    in al, dx
    pop edx
    pop eax
    ret
%macro ASK 1
    SAYS "> ", %1, 10
    call asked
%endmacro

; ---- CD ----------------------------------------------------------------------------------------------------------------

; The packet in CDB: good, or the sense and the carry flag.
outcome:
    call silent_packet
    GET 7
    test al, 1
    jz .good
    call sense
    stc
    ret
.good:
    SAYS " good"
    clc
    ret
; GET EVENT STATUS NOTIFICATION, polled: media event, state of tray (bit 0) and disc (bit 1).
event:
    CDB 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8
    call silent_packet
    SAYS " event"
    mov al, [DATA_AT + 4]
    and al, 15
    TELL
    mov al, [DATA_AT + 5]
    TELL
    ret
%macro READY 1                   ; TEST UNIT READY so often
    mov ebp, %1
%%again:
    SAYS "  ready:"
    CDB 0
    call outcome
    LINE
    dec ebp
    jnz %%again
%endmacro
%macro READ10 1                  ; sector 20 so often; what is in it if it can be read
    mov ebp, %1
%%again:
    SAYS "  read:"
    CDB 0x28, 0, 0, 0, 0, 20, 0, 0, 1
    call outcome
    jc %%not
    mov al, [DATA_AT + 4]
    TELL
%%not:
    LINE
    dec ebp
    jnz %%again
%endmacro
%macro EVENT 0
    SAYS "  "
    call event
    LINE
%endmacro
%macro TRAY 1                    ; START STOP UNIT
    SAYS "  start/stop", %1 + '0', ":"
    CDB 0x1b, 0, 0, 0, %1
    call outcome
    LINE
%endmacro

disc:
    ON_DISC
    call sense_quietly
    mov ebp, 6
.quiet:
    CDB 0
    call silent_packet
    call sense_quietly
    dec ebp
    jnz .quiet
    call event_quietly
    call event_quietly
    SAYS "a disc since power-on", 10
    READY 1
    READ10 1
    EVENT
    ASK "another disc, tested"
    READY 5
    READ10 1
    EVENT
    EVENT
    ASK "no disc, tested"
    READY 2
    READ10 1
    SAYS "  capacity:"
    CDB 0x25
    call outcome
    SAYS ", contents:"
    CDB 0x43, 0, 0, 0, 0, 0, 0, 0, 4
    call outcome
    SAYS ", identity:"
    CDB 0x12, 0, 0, 0, 36
    call outcome
    LINE
    EVENT
    EVENT
    ASK "a disc, read"
    READ10 7
    EVENT
    EVENT
    ASK "another disc, asked for events"
    mov ebp, 8
.events:
    EVENT
    dec ebp
    jnz .events
    READY 4
    READ10 1
    SAYS "locked", 10
    CDB 0x1e, 0, 0, 0, 1
    call silent_packet
    TRAY 2
    READY 1
    SAYS "unlocked", 10
    CDB 0x1e
    call silent_packet
    TRAY 2
    READY 2
    EVENT
    EVENT
    TRAY 3
    READY 3
    ASK "a disc again"
    READY 5
    READ10 1
    ret
event_quietly:
    CDB 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8
    jmp silent_packet

; ---- floppy ------------------------------------------------------------------------------------------------------------

; AL to the FIFO, when it takes one.
put_fifo:
    push ecx
    push edx
    mov ah, al
    mov ecx, 1000000
.wait:
    mov dx, MSR
    in al, dx
    and al, 0xc0
    cmp al, 0x80
    je .now
    loop .wait
    SAYS " FIFO never takes"
.now:
    mov al, ah
    mov dx, FIFO
    out dx, al
    pop edx
    pop ecx
    ret
get_fifo:
    push ecx
    push edx
    mov ecx, 1000000
.wait:
    mov dx, MSR
    in al, dx
    and al, 0xc0
    cmp al, 0xc0
    je .now
    loop .wait
    SAYS " FIFO never gives"
.now:
    mov dx, FIFO
    in al, dx
    pop edx
    pop ecx
    ret
%macro FIFOS 1-9
  %rep %0
    mov al, %1
    call put_fifo
    %rotate 1
  %endrep
%endmacro
%macro RESULTS 1
    mov ebp, %1
%%again:
    call get_fifo
    TELL
    dec ebp
    jnz %%again
%endmacro
; Until IRQ 6 is requested.
interrupt:
    push eax
    push ecx
    mov ecx, 4000000
.wait:
    mov al, 0x0a
    out 0x20, al
    in al, 0x20
    test al, 0x40
    jnz .came
    loop .wait
    SAYS " no interrupt"
.came:
    pop ecx
    pop eax
    ret
sense_interrupt:
    call interrupt
    FIFOS 8
    SAYS " st0, cylinder"
    RESULTS 2
    ret
%macro SEEK 1
    SAYS "  seek:"
    FIFOS 0x0f, 0, %1
    call sense_interrupt
    call tell_change
%endmacro
%macro RECALIBRATE 0
    SAYS "  recalibrate:"
    FIFOS 7, 0
    call sense_interrupt
    call tell_change
%endmacro
; The change line, then write protection and track 0 of the drive's status.
tell_change:
    push edx
    mov dx, DIR
    in al, dx
    pop edx
    SAYS ", changed"
    and al, 0x80
    TELL
    FIFOS 4, 0
    SAYS ", drive"
    call get_fifo
    and al, 0x50
    TELL
    LINE
    ret
%macro LOOK 0
    SAYS "  look"
    call tell_change
%endmacro

floppy:
    OUTB DOR, 0
    mov ecx, 1000
.reset:
    in al, 0x61
    loop .reset
    OUTB DOR, 0x1c
    call interrupt
    mov dword [count], 4
.polls:
    FIFOS 8
    call get_fifo
    call get_fifo
    dec dword [count]
    jnz .polls
    OUTB DIR, 0                  ; 500 kbit/s
    FIFOS 3, 0xdf, 2
    SAYS "a disk since power-on", 10
    RECALIBRATE
    SEEK 1
    LOOK
    ASK "another disk"
    LOOK
    LOOK
    SEEK 1
    SEEK 2
    LOOK
    ASK "no disk"
    LOOK
    SEEK 2
    SEEK 3
    RECALIBRATE
    RECALIBRATE
    ASK "a protected disk"
    LOOK
    RECALIBRATE
    SEEK 4
    LOOK
    ASK "a disk that can be written"
    LOOK
    RECALIBRATE
    ret
count: dd 0

IMAGE_SECTORS equ ($ - $$ + 511) / 512
