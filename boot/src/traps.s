# Where the processor goes when something happens.
#
# Exceptions (vectors 0..31) save every register, then call Rust and never come back: there is no
# exception here that anything recovers from. The order of the pushes is that of `Registers`.

    .macro trap vector
    .balign 16
trap_\vector:
    push 0                          # in place of an error code
    push \vector
    jmp trap_common
    .endm

    .macro trap_with_code vector
    .balign 16
trap_\vector:
    push \vector
    jmp trap_common
    .endm

    .section .text.traps, "ax"
    .irp vector, 0,1,2,3,4,5,6,7,9,15,16,18,19,20,22,23,24,25,26,27,28,31
    trap \vector
    .endr
    .irp vector, 8,10,11,12,13,14,17,21,29,30
    trap_with_code \vector
    .endr

trap_common:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    and rsp, -16
    call {trap}
    ud2

# Any interrupt of the two 8259s (vectors 32..47) means "wake up" and nothing else. All lines are
# masked, so that a level line whose device still asks does not come again, and the interrupt is
# acknowledged at both chips (no harm at one that did not send it). RAX is all that is used.
    .balign 16
interrupt_stub:
    push rax
    mov al, 0xff
    out 0xa1, al
    out 0x21, al
    mov al, 0x20                    # non-specific end of interrupt
    out 0xa0, al
    out 0x20, al
    pop rax
    iretq

    .section .rodata.traps, "a"
    .balign 8
trap_stubs:
    .irp vector, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .quad trap_\vector
    .endr
