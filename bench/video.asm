; Writes video memory in one of several ways (the byte `test_number`, patched into the image); says S on COM1 before, E after.

        bits 16
        org 0x7c00

        jmp 0:start
        times 0x10 - ($ - $$) nop
test_number:
        db 0

start:  xor ax, ax
        mov ss, ax
        mov sp, 0x7c00
        mov ds, ax
        cld
        movzx bx, byte [test_number]
        add bx, bx
        call [bx + setups]
        mov al, 'S'
        call send
        movzx bx, byte [test_number]
        add bx, bx
        call [bx + tests]
        mov al, 'E'
        call send
        cli
        hlt

send:   push ax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, 0x3f8
        out dx, al
        ret

setups: dw text, text, mode13, mode13, planar, modex, banked, planar
tests:  dw scroll, letters, stores13, loop13, fill12, fillx, bank_fill, latch_copy

text:   mov ax, 3
        jmp mode
mode13: mov ax, 0x13
        jmp mode
planar: mov ax, 0x12
        jmp mode
modex:  mov ax, 0x13
        int 0x10
        mov dx, 0x3c4
        mov ax, 0x0604
        out dx, ax
        ret
banked: mov ax, 0x4f02
        mov bx, 0x101
mode:   int 0x10
        ret

; 10,000 lines scroll through an 80×25 text screen.
scroll: mov ax, 0xb800
        mov ds, ax
        mov es, ax
        mov bp, 10000
.line:  mov si, 160
        xor di, di
        mov cx, 24 * 80
        rep movsw
        mov ax, bp
        mov ah, 7
        mov cx, 80
        rep stosw
        dec bp
        jnz .line
        xor ax, ax
        mov ds, ax
        ret

; 1,000 screens of letters, one word store each.
letters:
        mov ax, 0xb800
        mov es, ax
        mov bp, 1000
.screen:
        xor di, di
        mov ax, bp
.next:  mov [es:di], ax
        inc ax
        add di, 2
        cmp di, 4000
        jb .next
        dec bp
        jnz .screen
        ret

; 1,000 screens of mode 13h by REP STOSD.
stores13:
        mov ax, 0xa000
        mov es, ax
        mov bp, 1000
.screen:
        xor di, di
        mov cx, 16000
        mov ax, bp
        rep stosd
        dec bp
        jnz .screen
        ret

; 100 screens of mode 13h byte by byte.
loop13: mov ax, 0xa000
        mov es, ax
        mov bp, 100
.screen:
        xor di, di
        mov ax, bp
.next:  mov [es:di], al
        inc ax
        inc di
        cmp di, 64000
        jb .next
        dec bp
        jnz .screen
        ret

; 200 screens of mode 12h, all maps at once, by REP STOSB.
fill12: mov ax, 0xa000
        mov es, ax
        mov bp, 200
.screen:
        xor di, di
        mov cx, 38400
        mov ax, bp
        rep stosb
        dec bp
        jnz .screen
        ret

; 200 screens of mode X, one map after the other.
fillx:  mov ax, 0xa000
        mov es, ax
        mov bp, 200
.screen:
        mov bl, 1
.map:   mov dx, 0x3c4
        mov al, 2
        mov ah, bl
        out dx, ax
        xor di, di
        mov cx, 16000
        mov ax, bp
        rep stosb
        add bl, bl
        cmp bl, 16
        jb .map
        dec bp
        jnz .screen
        ret

; 100 screens of 640×480×8 through the window.
bank_fill:
        mov ax, 0xa000
        mov es, ax
        mov bp, 100
.screen:
        xor dx, dx
.bank:  push dx
        xor bx, bx
        mov ax, 0x4f05
        int 0x10
        xor di, di
        mov cx, 16384
        mov ax, bp
        rep stosd
        pop dx
        inc dx
        cmp dx, 5
        jb .bank
        dec bp
        jnz .screen
        ret

; 200 scrolls of mode 12h through the latches.
latch_copy:
        mov dx, 0x3ce
        mov ax, 0x0105
        out dx, ax
        mov ax, 0xa000
        mov es, ax
        mov ds, ax
        mov bp, 200
.screen:
        mov si, 80
        xor di, di
        mov cx, 80 * 479
        rep movsb
        dec bp
        jnz .screen
        xor ax, ax
        mov ds, ax
        ret

        times 510 - ($ - $$) db 0
        dw 0xaa55
