# From the loader to Rust: 32-bit protected mode without paging to 64-bit mode on our own stack.
#
# PVH (Xen's direct boot, also QEMU's -kernel) and multiboot2 (GRUB) both enter here with flat
# segments, interrupts off, paging off and EBX = physical address of what they have to say; nothing
# else may be relied on, but EAX, where multiboot2 has its magic number and PVH anything.
#
# There must be no multiboot header of the first version: QEMU's -kernel would take that way instead
# of PVH's, and it does not take 64-bit images.
#
# The page tables of this first moment map 4 GiB one to one, readable, writable and executable,
# in pages of 2 MiB. The real ones, with access rights, are made in Rust.

    .section .note.pvh, "a", @note
    .balign 4
    .long 4                         # length of the name
    .long 8                         # length of the value
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    # Multiboot2 (Multiboot2 Specification 2.0, 3.1): within the file's first 32 KiB. It asks for
    # nothing, so that under UEFI too the loader leaves the boot services and comes in 32-bit mode.
    .section .text.multiboot2, "a"
    .balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0                         # 32-bit protected mode
    .long multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + multiboot2_end - multiboot2_header)
    .word 0, 0                      # the end of the list of tags
    .long 8
multiboot2_end:

    .section .text.entry, "ax"
    .code32
    .global pvh_start
pvh_start:
    cld
    mov esp, offset {stack} + {stack_bytes}
    mov esi, ebx                    # the start info; CPUID below needs EBX,
    mov ebp, eax                    # and EAX

    # Without 64-bit mode or no-execute pages there is nothing to go on with, and no console yet
    # to say so on: stop here.
    mov eax, 0x80000001
    cpuid
    and edx, 0x20100000             # long mode (bit 29), no-execute (bit 20)
    cmp edx, 0x20100000
    jne 9f

    # PML4[0] -> PDPT; PDPT[0..4] -> four page directories; each of their entries a 2 MiB page.
    mov eax, offset early_pdpt
    or eax, 3                       # present, writable
    mov [early_pml4], eax
    mov eax, offset early_pds
    or eax, 3
    mov edi, offset early_pdpt
    mov ecx, 4
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    loop 2b
    mov eax, 0x83                   # present, writable, large
    mov edi, offset early_pds
    mov ecx, 2048
3:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop 3b

    mov eax, cr4
    or eax, 0x620                   # PAE; OSFXSR and OSXMMEXCPT: SSE is on
    mov cr4, eax
    mov eax, offset early_pml4
    mov cr3, eax
    mov ecx, 0xc0000080             # EFER
    rdmsr
    or eax, 0x900                   # long mode, no-execute pages
    wrmsr
    mov eax, cr0
    and eax, 0x9ffffffb             # caches on; no x87 emulation
    or eax, 0x80010022              # paging, write protection in ring 0, native x87 errors, MP
    mov cr0, eax

    lgdt [early_gdt_pointer]
    push 8
    mov eax, offset pvh_start_64
    push eax
    retf                            # a far jump, in words that the assembler knows

9:  hlt
    jmp 9b

    .code64
pvh_start_64:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov esp, esp                    # the upper halves of registers are undefined until written
    mov edi, esi                    # the start info: first argument, zero-extended
    mov esi, ebp                    # the magic number: second argument
    xor ebp, ebp                    # a stack trace ends here
    call {main}                     # never returns
    ud2

    .section .rodata.entry, "a"
    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code
early_gdt_pointer:
    .word early_gdt_pointer - early_gdt - 1
    .long early_gdt

    .section .bss.entry, "aw", @nobits
    .balign 4096
early_pml4:
    .skip 4096
early_pdpt:
    .skip 4096
early_pds:
    .skip 4 * 4096
