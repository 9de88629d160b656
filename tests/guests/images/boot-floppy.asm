; A 1.44 MB floppy that boots without an operating system and tells, on the screen and on COM1, what it finds: first through
; INT 13h, then with the controller's own registers as a driver would. Each line is the same on every PC with such a drive.
; At "change the disk" it waits for another disk, whose first sector starts with a text.

        cpu     386
        bits    16
        org     0x7c00

SECTOR  equ     512
DATA    equ     0x2000                  ; segment of what is read
DOR     equ     0x3f2
MSR     equ     0x3f4
FIFO    equ     0x3f5
DIR     equ     0x3f7
PATIENCE equ    91                      ; ticks: five seconds

start:  cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        sti
        mov     [drive], dl
        mov     di, 4
.load:  mov     ax, 0x0200 + PROGRAM_SECTORS
        mov     bx, program
        mov     cx, 0x0002
        xor     dh, dh
        mov     dl, [drive]
        int     0x13
        jnc     program
        xor     ah, ah
        int     0x13
        dec     di
        jnz     .load
        mov     si, unreadable
        call    puts
        jmp     stop

; ---- text --------------------------------------------------------------------------------------------------------------

putc:   pusha
        mov     ah, 0x0e
        mov     bx, 0x0007
        push    ax
        int     0x10
        pop     ax
        mov     ah, al
        mov     cx, 0xffff
        mov     dx, 0x3fd
.busy:  in      al, dx
        test    al, 0x20
        loopz   .busy
        mov     al, ah
        mov     dx, 0x3f8
        out     dx, al
        popa
        ret

puts:   lodsb
        test    al, al
        jz      .end
        call    putc
        jmp     puts
.end:   ret

line:   mov     al, 13
        call    putc
        mov     al, 10
        jmp     putc

; AL in hexadecimal, a blank before it
hex:    push    ax
        mov     al, ' '
        call    putc
        pop     ax
hex0:   push    ax
        shr     al, 4
        call    .digit
        pop     ax
        and     al, 15
.digit: cmp     al, 10
        sbb     al, 0x69
        das
        jmp     putc

stop:   hlt
        jmp     stop

drive:  db      0
unreadable: db  "the program cannot be read", 13, 10, 0

        times   510 - ($ - $$) db 0
        dw      0xaa55

; ---- the program --------------------------------------------------------------------------------------------------------

program:
        mov     si, t_boot
        call    puts
        mov     al, [drive]
        call    hex
        call    line

; What INT 13h says of the drive.
        mov     si, t_type
        call    puts
        mov     ah, 0x08
        mov     dl, [drive]
        push    es
        int     0x13
        pop     es
        push    dx
        mov     al, bl
        call    hex
        mov     al, ch
        call    hex
        mov     al, cl
        call    hex
        pop     dx
        mov     al, dh
        call    hex
        call    line

; The last sector of the disk.
        mov     ax, 0x0201
        mov     bx, 0x6000
        mov     cx, 0x4f12
        mov     dh, 1
        mov     dl, [drive]
        int     0x13
        mov     si, t_unread
        jc      .last
        mov     si, 0x6000
.last:  call    puts
        call    line

; From here on the controller is ours.
        cli
        mov     word [0x0e * 4], irq
        mov     word [0x0e * 4 + 2], 0
        in      al, 0x21
        and     al, 0xbf
        out     0x21, al
        sti

        mov     si, t_reset
        call    puts
        mov     dx, DOR
        mov     al, 0x18
        out     dx, al
        mov     cx, 100
.hold:  in      al, 0x61
        loop    .hold
        mov     byte [irqs], 0
        mov     al, 0x1c
        out     dx, al
        call    wait_irq
        mov     di, 4
.poll:  call    sense
        dec     di
        jnz     .poll
        mov     al, [irqs]
        call    hex
        call    line

        mov     si, t_version
        call    puts
        mov     al, 0x10
        call    send
        call    receive_hex
        call    line

        mov     si, t_unknown
        call    puts
        mov     al, 0x1f
        call    send
        call    receive_hex
        call    line

; SPECIFY, 500 kbit/s.
        mov     al, 0x03
        call    send
        mov     al, 0xdf
        call    send
        mov     al, 0x02
        call    send
        mov     dx, DIR
        xor     al, al
        out     dx, al

        mov     si, t_recalibrate
        call    puts
        mov     byte [irqs], 0
        mov     al, 0x07
        call    send
        xor     al, al
        call    send
        call    wait_irq
        call    sense
        call    line

        mov     si, t_seek
        call    puts
        mov     al, 1
        call    seek
        call    line

; READ ID: which sector passes is chance.
        mov     si, t_id
        call    puts
        mov     byte [irqs], 0
        mov     al, 0x4a
        call    send
        xor     al, al
        call    send
        call    wait_irq
        mov     cx, 5
        call    results
        call    receive
        call    receive_hex
        call    line

; A whole cylinder, both sides.
        mov     si, t_read
        call    puts
        mov     cx, 36 * SECTOR - 1
        call    dma
        mov     byte [irqs], 0
        mov     si, read_cylinder
        mov     cx, 9
        call    command
        call    wait_irq
        call    receive                 ; ST0: which head it names differs between controllers
        mov     cx, 6
        call    results
        push    ds
        mov     ax, DATA
        mov     ds, ax
        xor     si, si
        xor     bx, bx
        mov     cx, 36 * SECTOR / 2
.sum:   lodsw
        add     bx, ax
        loop    .sum
        pop     ds
        mov     al, bh
        call    hex
        mov     al, bl
        call    hex0
        call    line

; Another disk: the change line goes up, a step brings it down.
        mov     si, t_change
        call    puts
        mov     dx, DIR
.wait:  hlt
        in      al, dx
        test    al, 0x80
        jz      .wait
.back:  mov     ax, 18
        call    pause
        mov     al, 0
        call    quiet_seek
        mov     al, 1
        call    quiet_seek
        mov     al, 0
        call    quiet_seek
        mov     dx, DIR
        in      al, dx
        test    al, 0x80
        jnz     .back
        mov     cx, SECTOR - 1
        call    dma
        mov     byte [irqs], 0
        mov     si, read_first
        mov     cx, 9
        call    command
        call    wait_irq
        mov     cx, 3
        call    results
        call    receive
        call    receive
        call    receive
        call    receive
        mov     al, ' '
        call    putc
        push    ds
        mov     ax, DATA
        mov     ds, ax
        xor     si, si
        call    puts
        pop     ds
        call    line
        mov     si, t_done
        call    puts
        jmp     stop

; ---- the controller -----------------------------------------------------------------------------------------------------

irq:    push    ax
        inc     byte [cs:irqs]
        mov     al, 0x20
        out     0x20, al
        pop     ax
        iret

; Until the interrupt, or five seconds.
wait_irq:
        push    ax
        mov     ax, [0x046c]
        add     ax, PATIENCE
.wait:  cmp     byte [irqs], 0
        jne     .end
        hlt
        cmp     ax, [0x046c]
        jne     .wait
        mov     si, t_silent
        call    puts
.end:   pop     ax
        ret

; AX ticks
pause:  add     ax, [0x046c]
.wait:  hlt
        cmp     ax, [0x046c]
        jne     .wait
        ret

; AL to the controller
send:   pusha
        mov     ah, al
        mov     dx, MSR
        mov     cx, 0xffff
.wait:  in      al, dx
        and     al, 0xc0
        cmp     al, 0x80
        loopne  .wait
        mov     al, ah
        mov     dx, FIFO
        out     dx, al
        popa
        ret

; CX bytes from SI
command:
        lodsb
        call    send
        loop    command
        ret

receive:
        push    cx
        push    dx
        mov     dx, MSR
        mov     cx, 0xffff
.wait:  in      al, dx
        and     al, 0xc0
        cmp     al, 0xc0
        loopne  .wait
        mov     dx, FIFO
        in      al, dx
        pop     dx
        pop     cx
        ret

receive_hex:
        call    receive
        jmp     hex

; Prints CX result bytes
results:
        call    receive_hex
        loop    results
        ret

sense:  mov     al, 0x08
        call    send
        call    receive_hex
        call    receive
        jmp     hex0

; To cylinder AL
seek:   call    start_seek
        jmp     sense

quiet_seek:
        call    start_seek
        mov     al, 0x08
        call    send
        call    receive
        jmp     receive

start_seek:
        mov     byte [irqs], 0
        push    ax
        mov     al, 0x0f
        call    send
        xor     al, al
        call    send
        pop     ax
        call    send
        jmp     wait_irq

; Channel 2 writes CX + 1 bytes to DATA:0
dma:    mov     al, 0x06
        out     0x0a, al
        out     0x0c, al
        mov     al, 0x46
        out     0x0b, al
        xor     al, al
        out     0x04, al
        out     0x04, al
        mov     al, DATA >> 12
        out     0x81, al
        mov     al, cl
        out     0x05, al
        mov     al, ch
        out     0x05, al
        mov     al, 0x02
        out     0x0a, al
        ret

irqs:   db      0
read_cylinder: db 0xe6, 0, 1, 0, 1, 2, 18, 0x1b, 0xff
read_first: db  0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff

t_boot: db      "booted from", 0
t_type: db      "type, last cylinder, sectors, last head", 0
t_unread: db    "the last sector cannot be read", 0
t_reset: db     "reset", 0
t_version: db   "version", 0
t_unknown: db   "unknown", 0
t_recalibrate: db "recalibrate", 0
t_seek: db      "seek", 0
t_id:   db      "id", 0
t_read: db      "cylinder 1", 0
t_change: db    "change the disk", 13, 10, "then", 0
t_silent: db    " (no interrupt)", 0
t_done: db      "done", 13, 10, 0

        align   SECTOR, db 0
PROGRAM_SECTORS equ ($ - program) / SECTOR

; ---- the rest of the disk -----------------------------------------------------------------------------------------------

        times   36 * SECTOR - ($ - $$) db 0
%assign i 0
%rep 36
        times   SECTOR / 2 dw 0x0101 * i + 7
%assign i i + 1
%endrep
        times   2879 * SECTOR - ($ - $$) db 0xf6
        db      "this is the last sector", 0
        times   2880 * SECTOR - ($ - $$) db 0
