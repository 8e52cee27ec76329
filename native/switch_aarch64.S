# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors

# Read switch_x86_64.S first; only differences are explained here.
#
# Facts of the ABI that this file relies on (AAPCS64: Procedure Call Standard for the Arm 64-bit
# Architecture, 2024Q3)
# ----------------------------------------------------------------------------------------------
#  * Section 6.1.1: x19 to x28, the frame pointer x29 and sp belong to the caller. x30 is the link
#    register: `bl` and `blr` leave the return address there, and nothing on the stack. x16 and x17
#    may be changed between a call and the function that it calls.
#  * Section 6.1.1: x18 is the platform's. Nothing here reads or writes x18.
#  * Section 6.1.2: of v8 to v15 the lower 64 bits, which are d8 to d15, belong to the caller.
#  * Section 6.1.2: how numbers are rounded and flushed to zero and what is trapped, all of it in
#    FPCR, belongs to the caller. The flags of FPSR belong to nobody, and so to the thread.
#  * Section 6.4.5.1: sp is a multiple of 16 whenever memory is accessed by it. The processor
#    checks that.
#  * Section 6.4.5.1: no function may use what lies below sp. Some platforms allow 128 bytes
#    (Apple's), and the compiler inlines one and the same SWITCH for all of them, so a record lies
#    below that many bytes here, too. To leave them out costs no instruction.
#  * Section 6.4.6: a frame record is {x29 of the caller, return address}, and x29 points at it. So
#    the record of a suspended side and the first two words of a context are what they have to be.
#  * Section 6.8.2: integers and pointers are passed in x0 to x7, floating-point values in d0 to d7,
#    what is left on the stack from sp on; results in x0 and d0. x8 may hold the address of a
#    result.
#
# Reading FPCR stores nothing, so it is cheap, unlike MXCSR: control words are compared EXACTLY, on
# both ways. So there are no sums, nor the bits NATIVE and FIRST.
#
# Branches and return addresses that are checked
# ----------------------------------------------
# Two features of the processor keep a program that has been led astray from going on:
#
#  * BTI (branch target identification): `br` and `blr` may only go to a landing pad. Where a
#    register is called the pad is `bti c`; where a switch arrives, `bti j`. To a processor that
#    knows no such thing they do nothing, nor do they elsewhere, so they are always here, by their
#    numbers, which all assemblers know. `ret` goes anywhere. Hence nothing here returns by a `br`,
#    not even where the prediction of `ret` is wrong: behind a call there is no pad.
#
#  * PAC (pointer authentication): a function signs its return address before it stores that, and
#    checks the signature before it returns. The signature also depends on sp, which a switch
#    brings back. Done where the compiler does it, by the key that the compiler uses. A table then
#    says `.cfi_negate_ra_state`: from here on x30 and its place on the stack are signed. The
#    resume address of a record never is.
#
# The note at the end of this file says so to the linker, which keeps it if all files agree.
#
# Columns 29, 30 and 31 are x29, x30 and sp, 72 to 79 are d8 to d15. The return address is column
# 30: of a frame that does not run that is one and the same as its x30, which no unwinder misses.
#
# A suspended side, and a context
# -------------------------------
#
#                                                        | judged                 |  R + 104
#                                                        | limit                  |  R + 96
#      higher addresses                                  | control                |  R + 88
#      |                        |  <- sp of the          | exchanges              |  R + 80
#      |                        |     suspended          | report                 |  R + 72
#      |                        |     function:          | catches                |  R + 64
#      |                        |     record + SUSPENDED | previous               |  R + 56
#      | 128 bytes              |                        | uncaught               |  R + 48
#      |                        |                        | caught                 |  R + 40
#      | resume address         |  record + 8            | exceptions             |  R + 32
#      | frame pointer          |  record + 0   <- link  | mailbox                |  R + 24
#      lower addresses                                   | body                   |  R + 16
#                                                        | address in fringe_root |  R + 8
#                                                        | link                   |  R + 0  <- R
#                                                        | frames of the body     |
#
# In fringe_trampoline x29 is R, and so is sp: the return address of the body is in x30.
#
# Over a switch x0 = R, a word for the body is in x1, a word for the resumer in x2, and so is the
# signal.

#define LINK            0
#define RETURN          8
#define BODY            16
#define MAILBOX         24
#define EXCEPTIONS      32
#define CAUGHT          40
#define UNCAUGHT        48
#define PREVIOUS        56
#define CATCHES         64
#define REPORT          72
#define EXCHANGES       80
#define CONTROL         88
#define LIMIT           96
#define JUDGED          104
#define CONTEXT_SIZE    112

#define RED_ZONE        128
#define RECORD_SIZE     16
#define SUSPENDED       (RED_ZONE + RECORD_SIZE)

#define STATUS              0
#define CALLBACK            4
#define INPUT               8
#define OUTPUT              16
#define OUTPUT_FLOAT        24
#define FUNCTION            32
#define STACK_COUNT         48
#define CALLBACK_STACK      56
#define TAIL                64
#define ERRNO               72
#define WANTS_ERRNO         76
#define INTEGERS            80
#define FLOATS              144
#define CALLBACK_INTEGERS   208
#define CALLBACK_FLOATS     272
#define OUTPUT_SECOND       336
#define OUTPUT_MORE_FLOATS  344
#define ANSWER_INTEGERS     368
#define ANSWER_FLOATS       384
#define RESULT_ADDRESS      416
#define CALLBACK_RESULT_ADDRESS 424
#define STACK               440

# Behind fringe_current: the address of the errno of this thread, or 0.
#define FOUND               8

#define RETURNED        1
#define UNWOUND         2
#define TAIL_ANSWER     1

# CALLED and JUMPED_TO: the landing pads. SIGN is CALLED as well, since the instructions that sign
# are landing pads, too. SIGNED says that from here on a return address is signed, or, said once
# more, that it is not.
#define BTI_C           hint 34
#define BTI_J           hint 36
#define PACIASP         hint 25
#define PACIBSP         hint 27
#define AUTIASP         hint 29
#define AUTIBSP         hint 31

#ifndef __ARM_FEATURE_PAC_DEFAULT
#define __ARM_FEATURE_PAC_DEFAULT 0
#endif

.macro CALLED
        BTI_C
.endm

.macro JUMPED_TO
        BTI_J
.endm

#if __ARM_FEATURE_PAC_DEFAULT & 3
.macro SIGNED
        .cfi_negate_ra_state
.endm
#if __ARM_FEATURE_PAC_DEFAULT & 2
.macro SIGN
        .cfi_b_key_frame
        PACIBSP
        SIGNED
.endm
.macro AUTHENTICATE
        AUTIBSP
        SIGNED
.endm
#else
.macro SIGN
        PACIASP
        SIGNED
.endm
.macro AUTHENTICATE
        AUTIASP
        SIGNED
.endm
#endif
#else
.macro SIGNED
.endm
.macro SIGN
        CALLED
.endm
.macro AUTHENTICATE
.endm
#endif

# SWITCH stands in frames whose CFA is x29 + 16: that of SAVE, and fringe_trampoline's.
.macro SWITCH signed=0
        sub     sp, sp, SUSPENDED
        adr     x9, 1f
        stp     x29, x9, [sp]
        mov     x10, sp
        ldr     x11, [x0, LINK]
        # x29 is the other side's from the next instruction on; this side's is at x10:
        #   0x0f DW_CFA_def_cfa_expression, 5 bytes
        #   0x7a 0x00 DW_OP_breg10 + 0; 0x06 DW_OP_deref; 0x23 0x10 DW_OP_plus_uconst 16
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x7a, 0x00, 0x06, 0x23, 0x10
        ldp     x29, x16, [x11]
        str     x10, [x0, LINK]
        .cfi_def_cfa x11, SUSPENDED
        .irp    register, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29
        .cfi_same_value \register
        .endr
        .irp    register, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_same_value \register
        .endr
        .cfi_register x30, x16
        .if     \signed
        SIGNED
        .endif
        add     sp, x11, SUSPENDED
        br      x16
        .cfi_restore_state
        brk     0
1:      hint    36
.endm

# SAVE and RESTORE:
#
#      | return address         |  x30
#      | caller's x29           |  <- x29 = CFA - 16
#      | d8 to d15              |  CFA - 80
#      | x19 to x28             |  <- sp = CFA - 160
#
.macro SAVE_TWO first, second, offset
        stp     \first, \second, [sp, \offset]
        .cfi_offset \first, \offset - 160
        .cfi_offset \second, \offset - 152
.endm

.macro SAVE
        SIGN
        stp     x29, x30, [sp, -16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        mov     x29, sp
        .cfi_def_cfa_register x29
        sub     sp, sp, 144
        SAVE_TWO x19, x20, 0
        SAVE_TWO x21, x22, 16
        SAVE_TWO x23, x24, 32
        SAVE_TWO x25, x26, 48
        SAVE_TWO x27, x28, 64
        SAVE_TWO d8, d9, 80
        SAVE_TWO d10, d11, 96
        SAVE_TWO d12, d13, 112
        SAVE_TWO d14, d15, 128
.endm

# A register that has been loaded is the caller's, whatever the table says; from where sp moves on,
# what lies below it is nobody's, and the table must not name it any more.
.macro RESTORE
        ldp     x19, x20, [sp]
        ldp     x21, x22, [sp, 16]
        ldp     x23, x24, [sp, 32]
        ldp     x25, x26, [sp, 48]
        ldp     x27, x28, [sp, 64]
        ldp     d8, d9, [sp, 80]
        ldp     d10, d11, [sp, 96]
        ldp     d12, d13, [sp, 112]
        ldp     d14, d15, [sp, 128]
        .irp    register, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28
        .cfi_same_value \register
        .endr
        .irp    register, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_same_value \register
        .endr
        add     sp, sp, 144
        .cfi_def_cfa sp, 16
        ldp     x29, x30, [sp], 16
        .cfi_same_value x29
        .cfi_same_value x30
        .cfi_def_cfa_offset 0
        AUTHENTICATE
.endm

# What depends on the format of objects:
#
#   CURRENT           the address of fringe_current; the word behind it (FOUND) is the address of
#                     this thread's errno, or 0. In ELF the loader has written down how far that is
#                     from tpidr_el0 ("initial exec": ELF for the Arm 64-bit Architecture,
#                     section 5.7.14.4). In Mach-O a function says it, which destroys x0, x16, x17
#                     and x30 alone. `frame` is what the CFA is computed from
#   CXA_GET_GLOBALS   x3 = the function that the program has by this name, or 0
#   FIND              the address of a function that may be missing
#   ADDRESS           the address of what lies in another section
#   ZEROS             data that begin as zeros, of so many bytes
#ifdef __MACH__
#include "macho.h"
.macro CURRENT at, other, frame=x29
        stp     x0, x17, [sp, -32]!
        .ifc    \frame, sp
        .cfi_def_cfa_offset 32
        .endif
        str     x30, [sp, 16]
        .ifc    \frame, sp
        .cfi_offset x30, -16
        .endif
        adrp    x0, fringe_current@TLVPPAGE
        ldr     x0, [x0, fringe_current@TLVPPAGEOFF]
        ldr     x16, [x0]
        blr     x16
        mov     \at, x0
        ldr     x30, [sp, 16]
        .ifc    \frame, sp
        .cfi_same_value x30
        .endif
        ldp     x0, x17, [sp], 32
        .ifc    \frame, sp
        .cfi_def_cfa_offset 0
        .endif
.endm
.macro CXA_GET_GLOBALS
        stp     x0, x1, [sp, -32]!
        .cfi_def_cfa_offset 32
        stp     x2, x30, [sp, 16]
        .cfi_offset x30, -8
        bl      fringe_cxa_get_globals
        mov     x3, x0
        ldp     x2, x30, [sp, 16]
        .cfi_same_value x30
        ldp     x0, x1, [sp], 32
        .cfi_def_cfa_offset 0
.endm
.macro FIND at, name
        adrp    \at, \name@GOTPAGE
        ldr     \at, [\at, \name@GOTPAGEOFF]
.endm
.macro ADDRESS at, name, offset=0
        adrp    \at, \name@PAGE+\offset
        add     \at, \at, \name@PAGEOFF+\offset
.endm
#else
.macro BEGIN name
        .balign 16
        .globl  \name
        .protected \name
        .type   \name, @function
\name:
        .cfi_startproc
.endm

.macro END name
        .cfi_endproc
        .size   \name, . - \name
.endm

.macro LABEL name, table
        .globl  \name
        .hidden \name
\name:
.endm

#define L(name) .L##name
#define PERSONALITY L(personality)

#ifdef FRINGE_NO_THREADS
.macro CURRENT at, other, frame=x29
        ADDRESS \at, fringe_current
.endm
#else
.macro CURRENT at, other, frame=x29
        adrp    \at, :gottprel:fringe_current
        ldr     \at, [\at, :gottprel_lo12:fringe_current]
        mrs     \other, tpidr_el0
        add     \at, \other, \at
.endm
#endif
.macro FIND at, name
        adrp    \at, :got:\name
        ldr     \at, [\at, :got_lo12:\name]
.endm
.macro ADDRESS at, name, offset=0
        adrp    \at, \name+\offset
        add     \at, \at, :lo12:\name+\offset
.endm
.macro ZEROS name, bytes
        .section .bss.fringe, "aw", @nobits
        .balign 16
        .globl  \name
        .hidden \name
        .type   \name, @object
\name:
        .zero   \bytes
        .size   \name, \bytes
        .text
.endm

        .weak   __cxa_get_globals
.macro CXA_GET_GLOBALS
        FIND    x3, __cxa_get_globals
.endm
#endif

#ifdef FRINGE_NO_THREADS
.macro ENTER_CURRENT
.endm
.macro LEAVE_CURRENT
.endm
#else
.macro ENTER_CURRENT
        CURRENT x9, x10
        ldr     x10, [x9]
        str     x10, [x0, PREVIOUS]
        str     x0, [x9]
.endm

.macro LEAVE_CURRENT
        CURRENT x9, x10
        ldr     x10, [x0, PREVIOUS]
        str     x10, [x9]
.endm
#endif

#define EXCEPTIONS_BIT  0
#define CONTROL_BIT     1
#define CONTROL_TOO     2
#define FINISHED        1

# Destroys x9 and x10.
.macro EXACTLY label
        mrs     x9, fpcr
        ldr     x10, [x0, CONTROL]
        cmp     x9, x10
        b.ne    \label
.endm

.macro UNLESS_EXCHANGING
        ldr     x9, [x0, EXCHANGES]
        cbnz    x9, 4f
.endm

# The function comes to 3 and 4 before the switch, and to 7 after it; it goes on at 5, where words
# are compared, or at 6, where it returns. What a call must not destroy waits in registers that
# SAVE has saved.
.macro EXCHANGE
3:      EXCHANGE_CONTROL_TOO
4:      EXCHANGE_BEFORE
        SWITCH  signed=1
        EXCHANGE_AFTER fringe_exchange
        ldr     x9, [x0, EXCHANGES]
        tbz     x9, CONTROL_BIT, 5b
        b       6b
7:      EXCHANGE_CONTROL_TOO
        EXCHANGE_AFTER fringe_exchange_control
        b       6b
        NOTHING_TO_ENTER
.endm

.macro EXCHANGE_CONTROL_TOO
        ldr     x9, [x0, EXCHANGES]
        orr     x9, x9, CONTROL_TOO
        str     x9, [x0, EXCHANGES]
.endm

.macro EXCHANGE_BEFORE
        ldr     x9, [x0, EXCEPTIONS]
        cmp     x9, FINISHED
        b.eq    8f
        mov     x19, x0
        mov     x20, x1
        mov     x21, x2
        bl      fringe_exchange
        mov     x0, x19
        mov     x1, x20
        mov     x2, x21
.endm

.macro NOTHING_TO_ENTER
8:      mov     x2, 0
        b       6b
.endm

.macro EXCHANGE_AFTER function
        mov     x19, x0
        mov     x20, x2
        bl      \function
        mov     x0, x19
        mov     x2, x20
.endm

# LAY writes what makes the first frame of R, x0: the record that the first switch finds. The body
# will have the control words of now. `globals` is a register with the __cxa_get_globals of its C++
# runtime, or 0. Destroys x9 and x10.
.macro LAY globals
        cmp     \globals, 0
        cset    x9, ne                          // EXCEPTIONS_BIT
        mrs     x10, fpcr
        stp     x9, x10, [x0, EXCHANGES]        // and CONTROL
        stp     \globals, xzr, [x0, EXCEPTIONS] // and CAUGHT
        stp     xzr, xzr, [x0, UNCAUGHT]        // and PREVIOUS
        str     xzr, [x0, REPORT]
        str     xzr, [x0, JUDGED]
        sub     x9, x0, SUSPENDED
        str     x9, [x0, LINK]
        adr     x10, fringe_trampoline_begin
        stp     x0, x10, [x9]
.endm

        .text

# void *fringe_init(uintptr_t base, void (*body)(void *yielder, ...), void *mailbox)
#   entry: x0 = base; x1 = body; x2 = mailbox
BEGIN fringe_init
        CALLED
        CXA_GET_GLOBALS
        mov     x4, 0
        mov     x5, 0
        cbnz    x3, L(init)
        CURRENT x9, x10, frame=sp
        ldr     x9, [x9]
        cbz     x9, L(init)
        ldr     x3, [x9, EXCEPTIONS]
        b       L(init)
END fringe_init

# void *fringe_init_caught(uintptr_t base, void *body, void *box, void *globals, uintptr_t limit)
#   entry: as fringe_init; x3 = globals; x4 = limit
BEGIN fringe_init_caught
        CALLED
        mov     x5, 1
L(init):
        sub     x0, x0, CONTEXT_SIZE
        stp     x1, x2, [x0, BODY]              // and MAILBOX
        str     x5, [x0, CATCHES]
        str     x4, [x0, LIMIT]
        adr     x10, fringe_root_return
        str     x10, [x0, RETURN]
        LAY     x3
        ret
END fringe_init_caught

# void fringe_exchange(void *yielder)
#
#      | x19                    |  CFA - 16
#      | return address         |  CFA - 24
#      | caller's x29           |  <- x29 = sp = CFA - 32
#
BEGIN fringe_exchange
        SIGN
        stp     x29, x30, [sp, -32]!
        .cfi_def_cfa_offset 32
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        mov     x29, sp
        str     x19, [sp, 16]
        .cfi_offset x19, -16
        mov     x19, x0
        ldr     x9, [x19, EXCHANGES]
        tbz     x9, EXCEPTIONS_BIT, 1f
        ldr     x9, [x19, EXCEPTIONS]
        blr     x9
        ldr     x9, [x0]
        ldr     x10, [x19, CAUGHT]
        str     x10, [x0]
        str     x9, [x19, CAUGHT]
        ldr     w9, [x0, 8]
        ldr     w10, [x19, UNCAUGHT]
        str     w10, [x0, 8]
        str     w9, [x19, UNCAUGHT]
        ldr     x9, [x19, EXCHANGES]
1:      tbz     x9, CONTROL_BIT, 2f
        mov     x0, x19
        bl      fringe_exchange_control
2:      ldr     x19, [sp, 16]
        .cfi_same_value x19
        ldp     x29, x30, [sp], 32
        .cfi_same_value x29
        .cfi_same_value x30
        .cfi_def_cfa_offset 0
        AUTHENTICATE
        ret
END fringe_exchange

# void fringe_exchange_control(void *yielder)
#   No trap springs when FPCR is written: the flags that are set already cause none.
BEGIN fringe_exchange_control
        CALLED
        ldr     x9, [x0, CONTROL]
        mrs     x10, fpcr
        str     x10, [x0, CONTROL]
        msr     fpcr, x9
        ret
END fringe_exchange_control

# void fringe_leave_current(void *yielder)
BEGIN fringe_leave_current
        CALLED
        CURRENT x9, x10, frame=sp
        ldr     x10, [x9]
        cmp     x10, x0
        b.ne    1f
        ldr     x10, [x0, PREVIOUS]
        str     x10, [x9]
1:      ret
END fringe_leave_current

# intptr_t fringe_resume(void *yielder, intptr_t word)
#   entry: x0 = R; x1 = word
BEGIN fringe_resume
        SAVE
        mov     x2, 0
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH  signed=1
5:      EXACTLY 7f
6:      mov     x0, x2
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_resume

# intptr_t fringe_resume_call(void *yielder, intptr_t word)
#   It leaves by `ret`, as everything here, so it is of use for fringe_current alone.
BEGIN fringe_resume_call
        SAVE
        ENTER_CURRENT
        mov     x2, 0
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH  signed=1
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        mov     x0, x2
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_resume_call

# intptr_t fringe_call(void *yielder, void *globals)
#   entry: x0 = R, whose body has ended, or has not begun; x1 = globals
#   The mailbox begins as suspended here, where the frame is there, and not a moment earlier.
BEGIN fringe_call
        SAVE
        LAY     x1
        ldr     x9, [x0, MAILBOX]
        str     wzr, [x9, STATUS]
        ENTER_CURRENT
        mov     x2, 0
        UNLESS_EXCHANGING
        SWITCH  signed=1
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        mov     x0, x2
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_call

# intptr_t fringe_signal(void *yielder, void (*signal)(void *yielder, intptr_t word), intptr_t word)
#   entry: x0 = R; x1 = signal; x2 = word
BEGIN fringe_signal
        SAVE
        ENTER_CURRENT
        mov     x9, x1
        mov     x1, x2
        mov     x2, x9
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH  signed=1
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        mov     x0, x2
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_signal

# uintptr_t fringe_suspend(void *yielder, uintptr_t word)
#   entry: x0 = R; x1 = word
BEGIN fringe_suspend
        SAVE
        mov     x2, x1
        SWITCH  signed=1
        cbnz    x2, fringe_signalled
        mov     x0, x1
        .cfi_remember_state
        RESTORE
        ret

fringe_signalled:
        .cfi_restore_state
        blr     x2                              // with x0 = R, x1 = the word
        brk     0
END fringe_suspend

# The thunks, 32 bytes each. x17 brings the number, since it may be destroyed on the way to any
# function (AAPCS64, section 6.1.1); x8 and the arguments are C's. The pages that `adrp` counts are
# of 4 KiB, whatever those of the system are, so a thunk is as good wherever a page may be mapped.
#
#   fringe_thunk_table                                   fringe_thunk_data
#   | 0, 12 bytes       never executed          | + 20   |                            |
#   | 00 02 1f d6       br   x16                | + 16   | 0, 16 bytes, never read    | + 16
#   | 11 42 40 a9       ldp  x17, x16, [x16]    | + 12   |                            |
#   | 10 .. .. 91       add  x16, x16, DATA     | + 8    | fringe_thunk_common        | + 8
#   | .0 .. .. .0       adrp x16, page of DATA  | + 4    |                            |
#   | 5f 24 03 d5       bti  c                  | + 0    | number, and 4 bytes of 0   | + 0
#   lower addresses
#
# Where the data are near enough, a linker makes `nop` and `adr` of two of these instructions.
#define THUNK_TABLE     4096
#define THUNK_SIZE      32

        .section .text.fringe.thunk, "ax", @progbits
        .balign THUNK_TABLE
BEGIN fringe_thunk_table
        .set    thunk, 0
        .rept   THUNK_TABLE / THUNK_SIZE
        CALLED
        ADDRESS x16, fringe_thunk_data, thunk
        ldp     x17, x16, [x16]
        br      x16
        .zero   12
        .set    thunk, thunk + THUNK_SIZE
        .endr
END fringe_thunk_table
        .text
        ZEROS   fringe_thunk_data, THUNK_TABLE

# void *fringe_thunk_write(void *data, uint32_t number)
#   entry: x0 = data; w1 = number
BEGIN fringe_thunk_write
        CALLED
        str     w1, [x0]
        adr     x9, fringe_thunk_common
        str     x9, [x0, 8]
        add     x0, x0, THUNK_SIZE
        ret
END fringe_thunk_write

# void fringe_errno_found(), called in the frame of SAVE
#   exit: x10 = the address of this thread's errno, which FOUND has from now on. x0, x2 and x17 are
#         kept
#   A thread asks its C library once; the variable does not move.
BEGIN fringe_errno_found
        SIGN
        stp     x29, x30, [sp, -48]!
        .cfi_def_cfa_offset 48
        .cfi_offset x29, -48
        .cfi_offset x30, -40
        mov     x29, sp
        .cfi_def_cfa_register x29
        stp     x0, x2, [sp, 16]
        str     x17, [sp, 32]
        bl      fringe_errno
        mov     x2, x0
        CURRENT x9, x10
        str     x2, [x9, FOUND]
        mov     x10, x2
        ldr     x17, [sp, 32]
        ldp     x0, x2, [sp, 16]
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], 48
        .cfi_same_value x29
        .cfi_same_value x30
        .cfi_def_cfa_offset 0
        AUTHENTICATE
        ret
END fringe_errno_found
        # Weak, as what thunks call below.
        .weak   fringe_errno
        .hidden fringe_errno

# ARGUMENTS loads those of the mailbox in `mailbox` that are in registers (AAPCS64, section 6.8.2).
.macro ARGUMENTS mailbox
        ldp     x0, x1, [\mailbox, INTEGERS+0]
        ldp     x2, x3, [\mailbox, INTEGERS+16]
        ldp     x4, x5, [\mailbox, INTEGERS+32]
        ldp     x6, x7, [\mailbox, INTEGERS+48]
        ldp     d0, d1, [\mailbox, FLOATS+0]
        ldp     d2, d3, [\mailbox, FLOATS+16]
        ldp     d4, d5, [\mailbox, FLOATS+32]
        ldp     d6, d7, [\mailbox, FLOATS+48]
        ldr     x8, [\mailbox, RESULT_ADDRESS]
.endm

# NOTE_ARGUMENTS writes what a thunk has been called with into a mailbox; w17 = number. Destroys
# x10.
.macro NOTE_ARGUMENTS mailbox
        str     w17, [\mailbox, CALLBACK]
        stp     x0, x1, [\mailbox, CALLBACK_INTEGERS+0]
        stp     x2, x3, [\mailbox, CALLBACK_INTEGERS+16]
        stp     x4, x5, [\mailbox, CALLBACK_INTEGERS+32]
        stp     x6, x7, [\mailbox, CALLBACK_INTEGERS+48]
        stp     d0, d1, [\mailbox, CALLBACK_FLOATS+0]
        stp     d2, d3, [\mailbox, CALLBACK_FLOATS+16]
        stp     d4, d5, [\mailbox, CALLBACK_FLOATS+32]
        stp     d6, d7, [\mailbox, CALLBACK_FLOATS+48]
        str     x8, [\mailbox, CALLBACK_RESULT_ADDRESS]
        # Above the record that SAVE has put on the stack.
        add     x10, x29, 16
        str     x10, [\mailbox, CALLBACK_STACK]
.endm

# ANSWER loads a struct that a callback is answered with from the mailbox in `mailbox`.
.macro ANSWER mailbox
        ldp     x0, x1, [\mailbox, ANSWER_INTEGERS]
        ldp     d0, d1, [\mailbox, ANSWER_FLOATS+0]
        ldp     d2, d3, [\mailbox, ANSWER_FLOATS+16]
.endm

# What every thunk goes on with.
#   entry: w17 = number
#   exit:  x0 and d0 = the mailbox's input; or a struct, in x0 and x1, or in d0 to d3 (AAPCS64,
#          section 6.9)
BEGIN fringe_thunk_common
        SAVE
        CURRENT x9, x10
        ldr     x12, [x9]
L(current):
        cbz     x12, fringe_thunk_stray
        ldr     x9, [x12, CATCHES]
        cbz     x9, L(inner)
L(called):
        ldr     x9, [x12, MAILBOX]
        NOTE_ARGUMENTS x9
        mov     x0, x12
        mov     w2, w17
        # Is this R's stack? Where sp lies below the limit the difference is large as well.
        ldr     x9, [x0, LIMIT]
        mov     x10, sp
        sub     x10, x10, x9
        sub     x11, x0, x9
        cmp     x10, x11
        b.hs    4f
        # errno waits on this stack: it is the thread's own, and may be another's when C goes on.
3:      CURRENT x9, x10
        ldr     x10, [x9, FOUND]
        cbz     x10, 5f
2:      ldr     w10, [x10]
        str     x10, [sp, -16]!
        SWITCH  signed=1
        cbnz    x2, fringe_signalled
        ldr     x2, [sp], 16
        CURRENT x9, x10
        ldr     x10, [x9, FOUND]
        cbz     x10, 6f
7:      str     w2, [x10]
8:      ldr     x9, [x0, MAILBOX]
        ldr     x16, [x9, TAIL]
        cbnz    x16, L(tail)
        ldr     x0, [x9, INPUT]
        fmov    d0, x0
        .cfi_remember_state
        RESTORE
        ret

        .cfi_restore_state
L(inner):
        adr     x9, fringe_call_body
        ldr     x10, [x12, BODY]
        cmp     x9, x10
        b.eq    L(called)
        ldr     x12, [x12, PREVIOUS]
        b       L(current)

5:      bl      fringe_errno_found
        b       2b
6:      bl      fringe_errno_found
        b       7b

        # A struct is the answer. Or it is a tail call: the frame goes, and the function finds the
        # stack as the thunk has found it.
        # By x16: where a function begins, BTI takes a `br` by no other register but that and x17.
L(tail): str     xzr, [x9, TAIL]
        cmp     x16, TAIL_ANSWER
        b.eq    9f
        mov     x17, x9
        .cfi_remember_state
        RESTORE
        ARGUMENTS x17
        br      x16
        .cfi_restore_state

9:      ANSWER  x9
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state

4:      cbz     x9, 3b
        mov     x9, sp
        lsr     x9, x9, 12
        ldr     x10, [x0, JUDGED]
        cmp     x9, x10
        b.eq    3b
        str     x9, [x0, JUDGED]
        mov     x19, x0
        mov     w20, w2
        bl      fringe_judge_stack
        mov     w9, w0
        mov     x0, x19
        tbnz    w9, 0, 8b
        mov     w2, w20
        b       3b
        .weak   fringe_judge_stack
        .hidden fringe_judge_stack
        .weak   fringe_stray_callback
        .hidden fringe_stray_callback
        # The thread waits itself, with a mailbox on its own stack, below the frame of SAVE.
fringe_thunk_stray:
        mov     x19, sp
        sub     sp, sp, STACK           // a multiple of 16
        mov     x9, sp
        NOTE_ARGUMENTS x9
        str     xzr, [sp, TAIL]
        mov     x0, x9
        bl      fringe_stray_callback
        ldr     x0, [sp, INPUT]
        fmov    d0, x0
        ldr     x9, [sp, TAIL]
        cmp     x9, TAIL_ANSWER
        b.ne    1f
        ANSWER  sp
1:      mov     sp, x19
        RESTORE
        ret
END fringe_thunk_common

# The body of a call.
#
#      | padding                |
#      | x19                    |  CFA - 16
#      | return address         |  CFA - 24
#      | caller's x29           |  <- x29 = CFA - 32
#      | (padding)              |  where STACK_COUNT is odd
#      | words of the mailbox   |  <- sp at the call
#
BEGIN fringe_call_body
        SIGN
        stp     x29, x30, [sp, -32]!
        .cfi_def_cfa_offset 32
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        mov     x29, sp
        .cfi_def_cfa_register x29
        str     x19, [sp, 16]
        .cfi_offset x19, -16
        ldr     x19, [x0, MAILBOX]
        ldr     x9, [x19, STACK_COUNT]
        cbz     x9, 2f
        add     x10, x9, 1
        and     x10, x10, -2
        sub     sp, sp, x10, lsl 3
        add     x10, x19, STACK
        mov     x11, sp
1:      ldr     x12, [x10], 8
        str     x12, [x11], 8
        subs    x9, x9, 1
        b.ne    1b
2:      ldr     w9, [x19, WANTS_ERRNO]
        cbz     w9, 3f
        bl      fringe_errno
        str     wzr, [x0]
3:      ARGUMENTS x19
        ldr     x9, [x19, FUNCTION]
        blr     x9
        str     x0, [x19, OUTPUT]
        str     d0, [x19, OUTPUT_FLOAT]
        str     x1, [x19, OUTPUT_SECOND]
        stp     d1, d2, [x19, OUTPUT_MORE_FLOATS+0]
        str     d3, [x19, OUTPUT_MORE_FLOATS+16]
        ldr     w9, [x19, WANTS_ERRNO]
        cbz     w9, 4f
        bl      fringe_errno
        ldr     w9, [x0]
        str     w9, [x19, ERRNO]
4:
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldr     x19, [sp, 16]
        .cfi_same_value x19
        ldp     x29, x30, [sp], 32
        .cfi_same_value x29
        .cfi_same_value x30
        .cfi_def_cfa_offset 0
        AUTHENTICATE
        ret
END fringe_call_body

# The frame below every body.
#
#   CFA = R + 16; caller's x29 at CFA - 16 = R + LINK; return address at CFA - 8 = R + RETURN
#
# An unwinder goes on at a landing pad by a `br`, as a switch does.
.macro TRAMPOLINE_TABLE
        .cfi_personality 0x9b, PERSONALITY
        .cfi_def_cfa x29, 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
.endm

BEGIN fringe_trampoline
        TRAMPOLINE_TABLE
        nop
        LABEL   fringe_trampoline_begin, TRAMPOLINE_TABLE
        JUMPED_TO
        # Arrived from the first resume: sp = x29 = x0 = R, x2 = 0 or a signal.
        cbnz    x2, L(never_begun)
        ldr     x9, [x29, MAILBOX]
        ldr     x1, [x9, INPUT]
        ldr     d0, [x9, INPUT]
        ldr     x9, [x29, BODY]
L(call): blr     x9
        LABEL   fringe_trampoline_return, TRAMPOLINE_TABLE
        ldr     x9, [x29, LIMIT]
        cbz     x9, 2f
        ldr     x10, [x29, LINK]
        sub     x10, x10, x9
        sub     x11, x29, x9
        cmp     x10, x11
        b.lo    L(jumped)
2:      mov     w1, RETURNED
        b       L(finished)
L(jumped):
        bl      fringe_jumped
        brk     0
        .weak   fringe_jumped
        .hidden fringe_jumped
L(never_begun):
        mov     w1, UNWOUND
L(finished):
        ldr     x9, [x29, MAILBOX]
        str     w1, [x9, STATUS]
L(parked):
        mov     x0, x29
        mov     x2, 0
        SWITCH
        b       L(parked)

        LABEL   fringe_trampoline_caught, TRAMPOLINE_TABLE
        .weak   fringe_caught
        .hidden fringe_caught
        JUMPED_TO
        # x0 = the exception.
        mov     x1, x0
        mov     x0, x29
        FIND    x9, fringe_caught
        b       L(call)
END fringe_trampoline

# void fringe_finish(void *yielder, int32_t status), which does not return
#   entry: x0 = R; w1 = status
BEGIN fringe_finish
        .cfi_undefined x30
        CALLED
        mov     x29, x0
        mov     sp, x0
        b       L(finished)
END fringe_finish

# void fringe_aside(void *yielder, uintptr_t word), which does not return
#   entry: x0 = R; x1 = word
#
#      resumer's stack:                      stack of the suspended function:
#      | frames of the resumer  |            | suspended function     |  <- CFA = x29 + 16
#      | 128 bytes              |            | return address         |  x29 + 8
#      | record                 |  <- link   | x29                    |  <- x29
#      | frame of f             |
#
#   The return address is not signed, as nothing returns to it but an unwinder.
BEGIN fringe_aside
        CALLED
        stp     x29, x30, [sp, -16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        mov     x29, sp
        .cfi_def_cfa_register x29
        ldr     x9, [x0, LINK]
        mov     sp, x9
        ldr     x9, [x1]
        blr     x9
        brk     0
END fringe_aside

# int fringe_trace(void *link, int (*backtrace)(), int (*visit)(), void *argument)
#   entry: x0 = link; x1 = _Unwind_Backtrace; x2, x3 = its arguments
#   exit:  w0 = its result
#
#   CFA = x19 + SUSPENDED, the body's sp; its x29 at CFA - SUSPENDED, its address above that
BEGIN fringe_trace
        .cfi_signal_frame
        SIGN
        stp     x19, x30, [sp, -16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x19, -16
        .cfi_offset x30, -8
        mov     x19, x0
        mov     x9, x1
        mov     x0, x2
        mov     x1, x3
        .cfi_remember_state
        .cfi_def_cfa x19, SUSPENDED
        .cfi_same_value x19
        .cfi_offset x29, -SUSPENDED
        .cfi_offset x30, -SUSPENDED + 8
        SIGNED
        blr     x9
        .cfi_restore_state
        ldp     x19, x30, [sp], 16
        .cfi_same_value x19
        .cfi_same_value x30
        .cfi_def_cfa_offset 0
        AUTHENTICATE
        ret
END fringe_trace

# The frame between two stacks. In it x29 is a record:
#
#   CFA = x29 + SUSPENDED, the resumer's sp; its x29 at CFA - SUSPENDED, its address above that
.macro ROOT_TABLE
        .cfi_signal_frame
        .cfi_def_cfa x29, SUSPENDED
        .cfi_offset x29, -SUSPENDED
        .cfi_offset x30, -SUSPENDED + 8
.endm

BEGIN fringe_root
        ROOT_TABLE
        nop
        LABEL   fringe_root_return, ROOT_TABLE
        brk     0
END fringe_root

        .weak   fringe_personality
        .hidden fringe_personality
#ifdef __MACH__
        THREAD_LOCAL fringe_current
#else
        .section .data.rel.ro.fringe, "aw", @progbits
        .balign 8
L(personality):
        .quad   fringe_personality

#ifdef FRINGE_NO_THREADS
        .section .rodata.fringe, "a", @progbits
#else
        .section .tbss.fringe, "awT", @nobits
#endif
        .balign 8
        .globl  fringe_current
        .hidden fringe_current
        .type   fringe_current, @object
fringe_current:
        .zero   16
        .size   fringe_current, 16

# What holds of this file: ELF for the Arm 64-bit Architecture, section 6.2
# (GNU_PROPERTY_AARCH64_FEATURE_1_AND). Bit 0 is BTI; bit 1 PAC.
        .section .note.gnu.property, "a", @note
        .balign 8
        .long   4, 16, 5                        // the size of the name, of the rest; the type
        .asciz  "GNU"
        .long   0xc0000000, 4
#if __ARM_FEATURE_PAC_DEFAULT & 3
        .long   3, 0
#else
        .long   1, 0
#endif
#endif

        .section .note.GNU-stack, "", @progbits
