; A static Linux program (i386) that needs nothing but the kernel: plays known noise through /dev/dsp, once for each rate of
; a table, 16 bits stereo.

        bits 32
FRAMES       equ 20000
        org 0x08048000

elf:    db 0x7f, "ELF", 1, 1, 1, 0
        times 8 db 0
        dw 2, 3
        dd 1, start, header - elf, 0, 0
        dw 52, 32, 1, 0, 0, 0
header:
        dd 1, 0, elf, elf, file_end - elf, file_end - elf + FRAMES * 4, 7, 4096

SYS_EXIT  equ 1
SYS_WRITE equ 4
SYS_OPEN  equ 5
SYS_CLOSE equ 6
SYS_IOCTL equ 54

DSP_SETFMT   equ 0xc0045005
DSP_CHANNELS equ 0xc0045006
DSP_SPEED    equ 0xc0045002
DSP_SYNC     equ 0x00005001
MIXER_VOLUME equ 0xc0044d00
MIXER_PCM    equ 0xc0044d04

%macro control 2                ; request, value: ioctl on the file in EBP
        mov eax, %2
        mov [argument], eax
        mov eax, SYS_IOCTL
        mov ebx, ebp
        mov ecx, %1
        mov edx, argument
        int 0x80
        test eax, eax
        js fail
%endmacro

start:  mov esi, rates
        ; 0 dB of the AC'97 codec: step 23 of 31.
        mov edi, 75 * 0x101
        cmp dword [esp], 1
        jbe .set
        ; A Sound Blaster 16 (any argument): full volume is 0 dB.
        mov esi, rates_sb16
        mov edi, 100 * 0x101
.set:   mov ebx, mixer
        call open
        mov ebp, eax
        control MIXER_VOLUME, 100 * 0x101
        control MIXER_PCM, edi
        mov ebx, ebp
        call close
.rate:  mov eax, [esi]
        mov [rate], eax
        test eax, eax
        jz done
        mov ebx, dsp
        call open
        mov ebp, eax
        control DSP_SETFMT, 0x10
        control DSP_CHANNELS, 2
        control DSP_SPEED, [rate]
        call noise
        mov edi, samples
.write: mov eax, SYS_WRITE
        mov ebx, ebp
        mov ecx, edi
        mov edx, samples + FRAMES * 4
        sub edx, edi
        jz .sync
        int 0x80
        test eax, eax
        jle fail
        add edi, eax
        jmp .write
.sync:  control DSP_SYNC, 0
        mov ebx, ebp
        call close
        mov ecx, played
        mov edx, played_end - played
        call say
        add esi, 4
        jmp .rate

; A linear congruential generator, one number for both sides.
noise:  mov edi, samples
        mov ecx, FRAMES
        mov eax, [esi]
.next:  imul eax, eax, 1664525
        add eax, 1013904223
        stosd
        dec ecx
        jnz .next
        ret

open:   mov eax, SYS_OPEN
        mov ecx, 1
        xor edx, edx
        int 0x80
        test eax, eax
        js fail
        ret
close:  mov eax, SYS_CLOSE
        int 0x80
        ret
say:    mov eax, SYS_WRITE
        mov ebx, 1
        int 0x80
        ret

done:   mov ecx, finished
        mov edx, finished_end - finished
        call say
        xor ebx, ebx
        mov eax, SYS_EXIT
        int 0x80
fail:   mov ecx, failed
        mov edx, failed_end - failed
        call say
        mov ebx, 1
        mov eax, SYS_EXIT
        int 0x80

mixer:  db "/dev/mixer", 0
dsp:    db "/dev/dsp", 0
played: db "PLAYED", 10
played_end:
finished: db "SOUND-DONE", 10
finished_end:
failed: db "SOUND-FAILED", 10
failed_end:
        align 4
rates:  dd 48000, 44100, 11025, 0
rates_sb16:
        dd 44100, 22050, 8000, 0
rate:   dd 0
argument: dd 0
; The kernel gives the memory behind the file.
file_end:
samples equ file_end
