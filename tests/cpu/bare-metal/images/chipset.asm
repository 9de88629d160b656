; The board's old chips as drivers and tests meet them: 8254, 8259s, MC146818, 8042 with keyboard and mouse, A20, port 61h,
; 8237, PM timer. A line is what was asked, then what came back; times are compared among the board's own clocks.
%include "harness.inc"
%include "lines.inc"

main:
    call timer_status
    call timer_counts
    call timer_two
    call pic_registers
    call pic_requests
    call pic_slave
    call clock_registers
    call clock_interrupts
    call controller
    call keyboard
    call mouse
    call gate_a20
    call dma
    call power_timer
    ret

; CX ticks of counter 2 in mode 0, at most 65535: waits by polling OUT at 61h.
wait_ticks:
    push eax
    in al, 0x61
    and al, 0xfc
    or al, 1
    out 0x61, al
    OUTB 0x43, 0xb0
    mov al, cl
    out 0x42, al
    mov al, ch
    out 0x42, al
.wait:
    in al, 0x61
    test al, 0x20
    jz .wait
    pop eax
    ret

; AX = counter 0 as it is now.
latch_zero:
    push ebx
    OUTB 0x43, 0
    in al, 0x40
    mov bl, al
    in al, 0x40
    mov bh, al
    movzx eax, bx
    pop ebx
    ret

; ---- 8254 ------------------------------------------------------------------------------------------------------------

; Status of counter AL (0–2) by the read-back command; the count's "not loaded yet" bit is a matter of nanoseconds.
status_of:
    push ecx
    mov cl, al
    mov ah, 2
    shl ah, cl
    mov al, 0xe0
    or al, ah
    out 0x43, al
    movzx edx, cl
    add edx, 0x40
    in al, dx
    and al, 0xbf
    pop ecx
    ret

timer_status:
    ; What OUT is before there is a count, QEMU derives from the last one: left out.
    SAYS "status of counter 0, each mode, before a count:"
    mov ebx, 0
.mode:
    mov al, bl
    shl al, 1
    or al, 0x30
    out 0x43, al
    mov al, 0
    call status_of
    and al, 0x3f
    TELL
    inc ebx
    cmp ebx, 6
    jb .mode
    LINE
    SAYS "lsb only, msb only, both, bcd:"
    OUTB 0x43, 0x10
    mov al, 0
    call status_of
    and al, 0x3f
    TELL
    OUTB 0x43, 0x20
    mov al, 0
    call status_of
    and al, 0x3f
    TELL
    OUTB 0x43, 0x30
    mov al, 0
    call status_of
    and al, 0x3f
    TELL
    OUTB 0x43, 0x31
    mov al, 0
    call status_of
    and al, 0x3f
    TELL
    LINE
    SAYS "mode 0, OUT while and after counting:"
    OUTB 0x43, 0x30
    OUTB 0x40, 0xff
    OUTB 0x40, 0xff
    mov al, 0
    call status_of
    TELL
    OUTB 0x43, 0x30
    OUTB 0x40, 10
    OUTB 0x40, 0
    mov cx, 2000
    call wait_ticks
    mov al, 0
    call status_of
    TELL
    LINE
    ret

timer_counts:
    ; 1000 latched counts of a one-shot never rise.
    OUTB 0x43, 0x30
    OUTB 0x40, 0xff
    OUTB 0x40, 0xff
    mov ecx, 10
    call .settle
    mov edi, 0x10000
    xor ebx, ebx
    mov ecx, 1000
.next:
    call latch_zero
    cmp eax, edi
    jbe .fell
    ; Around from 0 once.
    cmp edi, 0x1000
    jb .fell
    inc ebx
.fell:
    mov edi, eax
    loop .next
    SAYS "counts that rose:"
    mov al, bl
    TELL
    LINE
    ; The first latch holds until it is read.
    OUTB 0x43, 0x34
    OUTB 0x40, 0
    OUTB 0x40, 0
    mov ecx, 10
    call .settle
    OUTB 0x43, 0
    mov cx, 1000
    call wait_ticks
    OUTB 0x43, 0
    in al, 0x40
    mov bl, al
    in al, 0x40
    mov bh, al
    call latch_zero
    sub bx, ax
    SAYS "latched twice, ticks to the count now, at least 1000:"
    cmp bx, 1000
    setae al
    TELL
    LINE
    ; BCD: every digit of 100 latched counts.
    OUTB 0x43, 0x35
    OUTB 0x40, 0
    OUTB 0x40, 0x10
    mov ecx, 10
    call .settle
    xor ebx, ebx
    mov ecx, 100
.bcd:
    call latch_zero
    mov edx, eax
    cmp ax, 0x1000
    ja .bad
    mov edi, 4
.digit:
    mov esi, edx
    and esi, 15
    cmp esi, 9
    ja .bad
    shr edx, 4
    dec edi
    jnz .digit
    loop .bcd
    jmp .good
.bad:
    inc ebx
.good:
    SAYS "bcd counts with other digits:"
    mov al, bl
    TELL
    LINE
    ; Counter latch and status latch together: status first, then the count.
    OUTB 0x43, 0x34
    OUTB 0x40, 0x34
    OUTB 0x40, 0x12
    mov ecx, 10
    call .settle
    OUTB 0x43, 0xc2
    in al, 0x40
    and al, 0x3f
    SAYS "read-back, status then count below 1235h:"
    TELL
    in al, 0x40
    mov bl, al
    in al, 0x40
    mov bh, al
    cmp bx, 0x1235
    setb al
    TELL
    LINE
    ret
.settle:
    in al, 0x61
    loop .settle
    ret

timer_two:
    ; Gate, OUT and the speaker's bits of port 61h.
    SAYS "61h, bits 0 to 3 written and read:"
    mov ebx, 0
.bits:
    in al, 0x61
    and al, 0xf0
    or al, bl
    out 0x61, al
    in al, 0x61
    and al, 0x0f
    TELL
    inc ebx
    cmp ebx, 4
    jb .bits
    LINE
    SAYS "counter 2 with the gate low stands, high runs:"
    in al, 0x61
    and al, 0xfc
    out 0x61, al
    OUTB 0x43, 0xb4
    OUTB 0x42, 0xff
    OUTB 0x42, 0xff
    in al, 0x61
    or al, 1
    out 0x61, al
    mov ecx, 50
.run:
    in al, 0x61
    loop .run
    and al, 0xfc
    out 0x61, al
    call .latch
    mov ebx, eax
    mov ecx, 50
.stand:
    in al, 0x61
    loop .stand
    call .latch
    cmp eax, ebx
    sete al
    TELL
    in al, 0x61
    or al, 1
    out 0x61, al
    mov ecx, 50
.again:
    in al, 0x61
    loop .again
    call .latch
    cmp eax, ebx
    setne al
    TELL
    LINE
    SAYS "mode 3, OUT seen low and high:"
    OUTB 0x43, 0xb6
    OUTB 0x42, 0
    OUTB 0x42, 0x10
    xor ebx, ebx
    mov ecx, 20000
.square:
    in al, 0x61
    test al, 0x20
    jz .low
    or bl, 1
    jmp .seen
.low:
    or bl, 2
.seen:
    loop .square
    mov al, bl
    TELL
    LINE
    SAYS "refresh bit of 61h seen low and high:"
    xor ebx, ebx
    mov ecx, 20000
.refresh:
    in al, 0x61
    test al, 0x10
    jz .refresh_low
    or bl, 1
    jmp .refresh_seen
.refresh_low:
    or bl, 2
.refresh_seen:
    loop .refresh
    mov al, bl
    TELL
    LINE
    in al, 0x61
    and al, 0xfc
    out 0x61, al
    ret
.latch:
    push ebx
    OUTB 0x43, 0x80
    in al, 0x42
    mov bl, al
    in al, 0x42
    mov bh, al
    movzx eax, bx
    pop ebx
    ret

; ---- 8259s -----------------------------------------------------------------------------------------------------------

MASTER equ 0x60
SLAVE  equ 0x70

set_pics:
    OUTB 0x20, 0x11
    OUTB 0x21, MASTER
    OUTB 0x21, 4
    OUTB 0x21, 1
    OUTB 0xa0, 0x11
    OUTB 0xa1, SLAVE
    OUTB 0xa1, 2
    OUTB 0xa1, 1
    ret

came_count: dd 0
came: times 16 db 0
in_service: times 16 db 0
eoi: dd 1

%assign irq 0
%rep 16
took_ %+ irq:
    push strict dword irq
    jmp strict near took
  %assign irq irq + 1
%endrep

took:
    pushad
    mov ecx, [came_count]
    cmp ecx, 16
    jae .full
    mov eax, [esp + 32]
    mov [came + ecx], al
    OUTB 0x20, 0x0b
    in al, 0x20
    mov [in_service + ecx], al
    inc dword [came_count]
.full:
    cmp dword [eoi], 0
    je .done
    mov al, 0x20
    cmp dword [esp + 32], 8
    jb .master
    out 0xa0, al
.master:
    out 0x20, al
.done:
    popad
    add esp, 4
    iretd

set_gates:
    mov edi, IDT + MASTER * 8
    mov eax, took_0
    mov ecx, 8
    call .some
    mov edi, IDT + SLAVE * 8
    mov ecx, 8
.some:
    mov [edi], ax
    mov word [edi + 2], CODE0
    mov edx, eax
    mov dx, 0x8e00
    mov [edi + 4], edx
    add eax, took_1 - took_0
    add edi, 8
    loop .some
    ret

; Interrupts in for a while; tells who came, with the master's ISR in the handler.
open:
    mov dword [came_count], 0
    push ecx
    sti
    mov ecx, 200
.wait:
    in al, 0x61
    loop .wait
    cli
    pop ecx
tell_came:
    push ecx
    xor ecx, ecx
.next:
    cmp ecx, [came_count]
    jae .done
    mov al, [came + ecx]
    TELL
    mov al, '/'
    call say_char
    movzx eax, byte [in_service + ecx]
    HEX 2, eax
    inc ecx
    jmp .next
.done:
    cmp ecx, 0
    jne .some
    SAYS " none"
.some:
    pop ecx
    ret

; IRQ 0 requested: a one-shot that has run out.
request:
    OUTB 0x43, 0x30
    OUTB 0x40, 20
    OUTB 0x40, 0
.wait:
    OUTB 0x20, 0x0a
    in al, 0x20
    test al, 1
    jz .wait
    ret
; And taken back: a new mode makes OUT low.
withdraw:
    OUTB 0x43, 0x30
    ret

pic_registers:
    call set_gates
    call withdraw
    SAYS "masks after initialisation:"
    OUTB 0x21, 0xff
    OUTB 0xa1, 0xff
    call set_pics
    READ 0x21
    READ 0xa1
    LINE
    SAYS "masks hold:"
    OUTB 0x21, 0xa5
    OUTB 0xa1, 0x5a
    READ 0x21
    READ 0xa1
    LINE
    OUTB 0x21, 0xff
    OUTB 0xa1, 0xff
    SAYS "edge/level registers, all ones written:"
    INB 0x4d0
    mov bl, al
    INB 0x4d1
    mov bh, al
    OUTB 0x4d0, 0xff
    OUTB 0x4d1, 0xff
    READ 0x4d0
    READ 0x4d1
    mov al, bl
    mov dx, 0x4d0
    out dx, al
    mov al, bh
    inc edx
    out dx, al
    LINE
    ret

pic_requests:
    SAYS "IRR without and with a request, withdrawn:"
    OUTB 0x20, 0x0a
    in al, 0x20
    and al, 1
    TELL
    call request
    in al, 0x20
    and al, 1
    TELL
    call withdraw
    in al, 0x20
    and al, 1
    TELL
    LINE
    SAYS "masked, then unmasked:"
    call request
    call open
    OUTB 0x21, 0xfe
    call open
    LINE
    SAYS "OUT stays high, no second edge:"
    call open
    LINE
    SAYS "without EOI nothing follows:"
    mov dword [eoi], 0
    call withdraw
    call request
    call open
    call withdraw
    call request
    call open
    mov dword [eoi], 1
    OUTB 0x20, 0x20
    call open
    LINE
    SAYS "specific EOI of another leaves it in service:"
    mov dword [eoi], 0
    call withdraw
    call request
    call open
    OUTB 0x20, 0x61
    OUTB 0x20, 0x0b
    READ 0x20
    OUTB 0x20, 0x60
    READ 0x20
    mov dword [eoi], 1
    LINE
    SAYS "poll without and with a request:"
    call withdraw
    OUTB 0x20, 0x0c
    in al, 0x20
    and al, 0x80
    TELL
    call request
    OUTB 0x20, 0x0c
    READ 0x20
    OUTB 0x20, 0x0b
    READ 0x20
    OUTB 0x20, 0x20
    READ 0x20
    LINE
    SAYS "automatic EOI:"
    mov dword [eoi], 0
    call withdraw
    OUTB 0x20, 0x11
    OUTB 0x21, MASTER
    OUTB 0x21, 4
    OUTB 0x21, 3
    OUTB 0x21, 0xfe
    call request
    call open
    OUTB 0x20, 0x0b
    READ 0x20
    mov dword [eoi], 1
    call withdraw
    call set_pics
    OUTB 0x21, 0xff
    OUTB 0xa1, 0xff
    LINE
    ret

pic_slave:
    ; The clock's periodic interrupt is IRQ 8, through the slave.
    SAYS "IRQ 8 with the master's ISR:"
    mov ah, 0x0b
    mov al, 0x42
    call set_cmos
    mov ah, 0x0c
    call get_cmos
    OUTB 0x21, 0xfb
    OUTB 0xa1, 0xfe
    ; It comes once: nobody reads register C.
    mov cx, 40000
    call wait_ticks
    call open
    LINE
    SAYS "IRQ 8 again only after register C:"
    mov cx, 40000
    call wait_ticks
    call open
    mov ah, 0x0c
    call get_cmos
    mov cx, 40000
    call wait_ticks
    call open
    LINE
    mov ah, 0x0b
    mov al, 2
    call set_cmos
    OUTB 0x21, 0xff
    OUTB 0xa1, 0xff
    ret

; ---- MC146818 --------------------------------------------------------------------------------------------------------

; AH: index; AL: value.
set_cmos:
    xchg al, ah
    out 0x70, al
    xchg al, ah
    out 0x71, al
    ret
get_cmos:
    mov al, ah
    out 0x70, al
    in al, 0x71
    ret

clock_registers:
    SAYS "register D:"
    mov ah, 0x0d
    call get_cmos
    TELL
    LINE
    SAYS "register A's rate and divider hold:"
    mov ah, 0x0a
    mov al, 0x26
    call set_cmos
    call get_cmos
    and al, 0x7f
    TELL
    mov al, 0x2f
    call set_cmos
    call get_cmos
    and al, 0x7f
    TELL
    mov al, 0x26
    call set_cmos
    LINE
    SAYS "bytes 38h to 3Fh hold:"
    mov ebx, 0x38
.bytes:
    mov ah, bl
    call get_cmos
    mov cl, al
    mov al, 0xa5
    call set_cmos
    call get_cmos
    TELL
    mov al, cl
    call set_cmos
    inc ebx
    cmp ebx, 0x40
    jb .bytes
    LINE
    SAYS "with bit 7 of the index, the same byte:"
    mov ah, 0xb8
    mov al, 0x5a
    call set_cmos
    mov ah, 0x38
    call get_cmos
    TELL
    mov al, 0
    call set_cmos
    LINE
    ; Stopped clock: set it, read it in both codes and both kinds of hours.
    mov ah, 0x0b
    mov al, 0x82
    call set_cmos
    mov ah, 0
    mov al, 0x58
    call set_cmos
    mov ah, 2
    mov al, 0x20
    call set_cmos
    mov ah, 4
    mov al, 0x10
    call set_cmos
    SAYS "set while stopped, BCD and 24 hours:"
    call tell_time
    LINE
    mov ah, 0x0b
    mov al, 0x02
    call set_cmos
    SAYS "two seconds and more later:"
    mov ebx, 80
.pass:
    mov cx, 40000
    call wait_ticks
    dec ebx
    jnz .pass
.updating:
    mov ah, 0x0a
    call get_cmos
    test al, 0x80
    jnz .updating
    ; Not the hour: Bochs loses one now and then (summer time).
    mov ah, 2
    call get_cmos
    TELL
    mov ah, 0
    call get_cmos
    cmp al, 3
    setb al
    TELL
    LINE
    ret
tell_time:
    mov ah, 4
    call get_cmos
    TELL
    mov ah, 2
    call get_cmos
    TELL
    mov ah, 0
    call get_cmos
    TELL
    ret

clock_interrupts:
    ; Periodic interrupts in 65536 * 8 ticks of counter 2 (0.44 s): how far from what the rate says, in per cent or one tick.
    SAYS "periodic rates 6 to 15, flags within 2:"
    mov ebx, 6
.rate:
    mov ah, 0x0a
    mov al, bl
    or al, 0x20
    call set_cmos
    mov ah, 0x0b
    mov al, 0x42
    call set_cmos
    mov ah, 0x0c
    call get_cmos
    ; Count flags during 8 times 65535 ticks, polled.
    xor esi, esi
    mov edi, 8
.turn:
    in al, 0x61
    and al, 0xfc
    or al, 1
    out 0x61, al
    OUTB 0x43, 0xb0
    OUTB 0x42, 0xff
    OUTB 0x42, 0xff
.poll:
    mov ah, 0x0c
    call get_cmos
    test al, 0x40
    jz .no
    inc esi
.no:
    in al, 0x61
    test al, 0x20
    jz .poll
    dec edi
    jnz .turn
    ; Expected: 8 * 65535 = 524280 / 1193182 s * 32768 >> (rate - 1) = 14398 >> (rate - 1).
    mov eax, 14398
    lea ecx, [ebx - 1]
    shr eax, cl
    sub eax, esi
    jns .positive
    neg eax
.positive:
    mov ecx, esi
    shr ecx, 6
    add ecx, 2
    cmp eax, ecx
    setbe al
    TELL
    inc ebx
    cmp ebx, 16
    jb .rate
    LINE
    mov ah, 0x0a
    mov al, 0x26
    call set_cmos
    SAYS "update ended flags in a second and a half:"
    mov ah, 0x0b
    mov al, 0x12
    call set_cmos
    mov ah, 0x0c
    call get_cmos
    mov edx, 45
    xor esi, esi
.update:
    push edx
    mov cx, 40000
    call wait_ticks
    mov ah, 0x0c
    call get_cmos
    test al, 0x10
    jz .not_yet
    inc esi
.not_yet:
    pop edx
    dec edx
    jnz .update
    lea eax, [esi - 1]
    cmp eax, 1
    setbe al
    TELL
    LINE
    SAYS "alarm every second (don't care), flags with IRQF:"
    mov ah, 1
    mov al, 0xff
    call set_cmos
    mov ah, 3
    call set_cmos
    mov ah, 5
    call set_cmos
    mov ah, 0x0b
    mov al, 0x22
    call set_cmos
    mov ah, 0x0c
    call get_cmos
    mov ebx, 40
    xor esi, esi
.alarm:
    mov cx, 40000
    call wait_ticks
    mov ah, 0x0c
    call get_cmos
    and al, 0xa0
    cmp al, 0xa0
    jne .silent
    inc esi
.silent:
    dec ebx
    jnz .alarm
    lea eax, [esi - 1]
    cmp eax, 1
    setbe al
    TELL
    LINE
    mov ah, 0x0b
    mov al, 2
    call set_cmos
    mov ah, 0x0c
    call get_cmos
    ret

; ---- 8042, keyboard, mouse -------------------------------------------------------------------------------------------

; A byte to the controller's command port, when it takes one.
command:
    push eax
.wait:
    in al, 0x64
    test al, 2
    jnz .wait
    pop eax
    out 0x64, al
    ret
data_byte:
    push eax
.wait:
    in al, 0x64
    test al, 2
    jnz .wait
    pop eax
    out 0x60, al
    ret
; What is in the output buffer, with "m" behind if it is the mouse's; "--" after a while.
answer:
    push ecx
    mov ecx, 60000
.wait:
    in al, 0x64
    test al, 1
    jnz .there
    loop .wait
    SAYS " --"
    pop ecx
    ret
.there:
    mov ah, al
    in al, 0x60
    mov cl, ah
    TELL
    test cl, 0x20
    jz .done
    mov al, 'm'
    call say_char
.done:
    pop ecx
    ret
drain:
    push ecx
    mov ecx, 2000
.next:
    in al, 0x64
    test al, 1
    jz .empty
    in al, 0x60
.empty:
    loop .next
    pop ecx
    ret

%macro COMMAND 1
    mov al, %1
    call command
%endmacro
%macro DATA 1
    mov al, %1
    call data_byte
%endmacro
%macro KEYS 1-*                  ; each byte, its answer
  %rep %0
    DATA %1
    call answer
  %rotate 1
  %endrep
%endmacro
%macro MICE 1-*
  %rep %0
    COMMAND 0xd4
    DATA %1
    call answer
  %rotate 1
  %endrep
%endmacro

controller:
    COMMAND 0xad
    COMMAND 0xa7
    call drain
    SAYS "self-test, keyboard's and mouse's line:"
    COMMAND 0xaa
    call answer
    COMMAND 0xab
    call answer
    COMMAND 0xa9
    call answer
    LINE
    SAYS "command byte holds:"
    COMMAND 0x60
    DATA 0x74
    COMMAND 0x20
    call answer
    COMMAND 0x60
    DATA 0x30
    COMMAND 0x20
    call answer
    LINE
    SAYS "AE, AD, A8, A7 change it:"
    COMMAND 0xae
    COMMAND 0x20
    call answer
    COMMAND 0xad
    COMMAND 0x20
    call answer
    COMMAND 0xa8
    COMMAND 0x20
    call answer
    COMMAND 0xa7
    COMMAND 0x20
    call answer
    LINE
    SAYS "D2 and D3 put bytes into the buffer:"
    COMMAND 0x60
    DATA 0x00
    call drain
    COMMAND 0xd2
    DATA 0x5a
    call answer
    COMMAND 0xd3
    DATA 0xa5
    call answer
    LINE
    ret

keyboard:
    call drain
    SAYS "keyboard, untranslated: reset"
    KEYS 0xff
    call answer
    LINE
    SAYS "identify:"
    KEYS 0xf2
    call answer
    call answer
    LINE
    SAYS "echo, lights, rate, set 2, what set, unknown, disable, defaults, enable:"
    KEYS 0xee, 0xed, 0x07, 0xf3, 0x2b, 0xf0, 0x02, 0xf0, 0x00
    call answer
    KEYS 0xf5, 0xf6, 0xf4
    LINE
    SAYS "identify, translated:"
    COMMAND 0x60
    DATA 0x40
    KEYS 0xf2
    call answer
    call answer
    LINE
    call drain
    ret

mouse:
    COMMAND 0x60
    DATA 0x50
    call drain
    SAYS "mouse reset:"
    COMMAND 0xa8
    MICE 0xff
    call answer
    call answer
    LINE
    SAYS "identify, status, scaling 2:1, resolution 1, status:"
    MICE 0xf2
    call answer
    MICE 0xe9
    call answer
    call answer
    call answer
    MICE 0xe7, 0xe8, 0x01, 0xe9
    call answer
    call answer
    call answer
    LINE
    SAYS "wheel: "
    MICE 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2
    call answer
    LINE
    SAYS "five buttons: "
    MICE 0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2
    call answer
    LINE
    SAYS "remote mode, read data:"
    MICE 0xf6, 0xf0, 0xeb
    call answer
    call answer
    call answer
    call answer
    LINE
    SAYS "wrap mode:"
    MICE 0xee, 0x12, 0xec, 0xea
    LINE
    call drain
    COMMAND 0xa7
    ret

; ---- A20 -------------------------------------------------------------------------------------------------------------

PLACE equ 0x500

; 1 if 1 MiB up is another place.
is_open:
    mov dword [PLACE], 0x11111111
    mov dword [PLACE + 0x100000], 0x22222222
    cmp dword [PLACE], 0x11111111
    sete al
    TELL
    ret

gate_a20:
    mov [outer_stack], esp       ; the other one would move with A20
    mov esp, 0x90000
    SAYS "port 92h, off and on:"
    in al, 0x92
    and al, 0xfc
    out 0x92, al
    call is_open
    in al, 0x92
    and al, 2
    TELL
    in al, 0x92
    and al, 0xfe
    or al, 2
    out 0x92, al
    call is_open
    LINE
    SAYS "8042, off and on:"
    COMMAND 0xd1
    DATA 0xdd
    call settle_8042
    in al, 0x92
    and al, 0xfc
    out 0x92, al
    call is_open
    COMMAND 0xd1
    DATA 0xdf
    call settle_8042
    call is_open
    in al, 0x92
    and al, 0xfe
    or al, 2
    out 0x92, al
    call is_open
    LINE
    mov esp, [outer_stack]
    ret
outer_stack: dd 0
settle_8042:
    in al, 0x64
    test al, 2
    jnz settle_8042
    ret

; ---- 8237 ------------------------------------------------------------------------------------------------------------

dma:
    SAYS "addresses and counts, low and high byte:"
    OUTB 0x0a, 7
    OUTB 0x0c, 0
    OUTB 0x06, 0x34
    OUTB 0x06, 0x12
    OUTB 0x0c, 0
    OUTB 0x07, 0x78
    OUTB 0x07, 0x56
    OUTB 0x0c, 0
    READ 0x06
    READ 0x06
    READ 0x07
    READ 0x07
    OUTB 0xda, 0
    OUTB 0xcc, 0xcd
    OUTB 0xcc, 0xab
    OUTB 0xda, 0
    READ 0xcc
    READ 0xcc
    LINE
    SAYS "pages:"
    OUTB 0x82, 0x5a
    OUTB 0x8a, 0xa5
    READ 0x82
    READ 0x8a
    LINE
    SAYS "a software request, status with and after reading:"
    OUTB 0x09, 7
    in al, 0x08
    and al, 0x80
    TELL
    OUTB 0x0d, 0
    in al, 0x08
    TELL
    LINE
    ret

; ---- PM timer --------------------------------------------------------------------------------------------------------

; EAX = configuration register at address EAX.
config:
    mov dx, 0xcf8
    out dx, eax
    mov dx, 0xcfc
    in eax, dx
    ret

power_timer:
    xor ebx, ebx
.find:
    mov eax, ebx
    shl eax, 8
    or eax, 0x80000000
    call config
    cmp eax, 0x71138086
    je .found
    inc ebx
    cmp ebx, 0x100
    jb .find
    SAYS "no PM timer", 10
    ret
.found:
    mov eax, ebx
    shl eax, 8
    or eax, 0x80000040
    call config
    and eax, 0xffc0
    add eax, 8
    mov ebp, eax
    ; 100000 reads: strictly rising within two, never back (24 bits).
    mov edx, ebp
    in eax, dx
    mov esi, eax
    xor ebx, ebx
    xor edi, edi
    mov ecx, 100000
.read:
    in eax, dx
    push eax
    sub eax, esi
    and eax, 0xffffff
    pop esi
    test eax, 0x800000
    jz .forward
    inc ebx
.forward:
    test eax, eax
    jnz .moved
    inc edi
    jmp .counted
.moved:
    xor edi, edi
.counted:
    loop .read
    SAYS "PM timer went back:"
    mov al, bl
    TELL
    LINE
    ; Three of its ticks are one of the 8254's, within half a per cent.
    mov edx, ebp
    in eax, dx
    mov esi, eax
    mov ecx, 10
.tenth:
    push ecx
    mov cx, 60000
    call wait_ticks
    pop ecx
    loop .tenth
    mov edx, ebp
    in eax, dx
    sub eax, esi
    and eax, 0xffffff
    SAYS "PM ticks in 600000 of the 8254's, 1800000 within a per cent:"
    sub eax, 1800000
    jns .positive
    neg eax
.positive:
    cmp eax, 18000
    setbe al
    TELL
    LINE
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
