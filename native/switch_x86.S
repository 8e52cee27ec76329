# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors

# Read switch_x86_64.S first; only differences are explained here.
#
# Facts of the ABI that this file relies on (System V psABI for the Intel386, version 1.1)
# -----------------------------------------------------------------------------------------
#  * Section 2.2.1: ebx, esi, edi, ebp and esp belong to the caller. That leaves three registers
#    that a function may destroy: eax, ecx and edx.
#  * Section 2.2.2: at the entry of a function esp + 4 is a multiple of 16, and the arguments lie
#    from there on, each in whole words. There is no red zone: below esp everything is the signal
#    handlers'.
#  * Section 2.2.3: a result of 32 bits is in eax, one of 64 bits in eax and edx, a floating-point
#    one in st(0), which is empty at every other call and return.
#  * The control words of both floating-point units are the caller's. There is no JavaScript on this
#    architecture, and nobody has asked for speed: both are compared EXACTLY, on both ways. So there
#    are no sums, nor the bits NATIVE and FIRST.
#  * A native program gives no limits of stacks, so nothing here looks for jumps out of them, and
#    there is no use for `judged`.
#  * Nothing can be addressed relative to eip. It is read by a `call` to the next instruction, which
#    processors keep out of their return prediction.
#
# Columns 4 and 5 are esp and ebp in .eh_frame, 8 is `eip`, the return address, at CFA - 4.
#
# A suspended side, and a context
# -------------------------------
#
#                                                        | judged, never used     |  R + 56
#                                                        | limit                  |  R + 52
#                                                        | control, 8 bytes       |  R + 44
#                                                        | exchanges              |  R + 40
#                                                        | report                 |  R + 36
#                                                        | catches                |  R + 32
#                                                        | previous               |  R + 28
#                                                        | uncaught               |  R + 24
#                                                        | caught                 |  R + 20
#                                                        | exceptions             |  R + 16
#      | resume address         |  record + 4            | mailbox                |  R + 12
#      | frame pointer          |  record + 0   <- link  | body                   |  R + 8
#                                                        | address in fringe_root |  R + 4
#                                                        | link                   |  R + 0  <- R
#                                                        | padding                |  R - 4
#                                                        | first input, 8 bytes   |  R - 12
#                                                        | R                      |  R - 16
#                                                        | return address         |  R - 20
#
# Over a switch edi = R, a word for the body is in esi, a word for the resumer in eax, and so is the
# signal.

#define LINK            0
#define RETURN          4
#define BODY            8
#define MAILBOX         12
#define EXCEPTIONS      16
#define CAUGHT          20
#define UNCAUGHT        24
#define PREVIOUS        28
#define CATCHES         32
#define REPORT          36
#define EXCHANGES       40
#define CONTROL         44
#define CONTROL_X87     48
#define LIMIT           52
#define JUDGED          56
#define CONTEXT_SIZE    64

#define RECORD_SIZE     8
#define SUSPENDED       RECORD_SIZE

# The mailbox has the same layout on every architecture, with words of 64 bits.
#define STATUS              0
#define CALLBACK            4
#define INPUT               8
#define OUTPUT              16
#define OUTPUT_FLOAT        24
#define FUNCTION            32
#define RESULT_FLOAT        40
#define CALLBACK_FLOAT      44
#define STACK_COUNT         48
#define CALLBACK_STACK      56
#define TAIL                64
#define ERRNO               72
#define WANTS_ERRNO         76
#define STACK               440

#define RETURNED        1
#define UNWOUND         2

# The arguments of a function after SAVE.
#define FIRST           8(%ebp)
#define SECOND          12(%ebp)
#define THIRD           16(%ebp)
#define FOURTH          20(%ebp)
#define FIFTH           24(%ebp)

.macro SWITCH
        lea     -SUSPENDED(%esp), %esp
        call    2f
2:      pop     %ecx
        lea     1f-2b(%ecx), %ecx
        mov     %ebp, (%esp)
        mov     %ecx, 4(%esp)
        mov     %esp, %ebx
        mov     LINK(%edi), %edx
        mov     4(%edx), %ecx
        # 0x73 0x00 DW_OP_breg3 (ebx) + 0; 0x06 DW_OP_deref; 0x23 0x08 DW_OP_plus_uconst 8
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x73, 0x00, 0x06, 0x23, 0x08
        mov     (%edx), %ebp
        mov     %ebx, LINK(%edi)
        .cfi_def_cfa %edx, SUSPENDED
        .cfi_same_value %ebp
        .cfi_same_value %ebx
        .cfi_same_value %esi
        .cfi_same_value %edi
        .cfi_register %eip, %ecx
        lea     SUSPENDED(%edx), %esp
        jmp     *%ecx
        .cfi_restore_state
        int3
1:
.endm

# SAVE and RESTORE:
#
#      | arguments              |  ebp + 8
#      | return address         |  <- CFA - 4
#      | caller's ebp           |  <- ebp = CFA - 8
#      | ebx esi edi            |  <- esp = CFA - 20
#
.macro SAVE
        push    %ebp
        .cfi_def_cfa_offset 8
        .cfi_offset %ebp, -8
        mov     %esp, %ebp
        .cfi_def_cfa_register %ebp
        push    %ebx
        .cfi_offset %ebx, -12
        push    %esi
        .cfi_offset %esi, -16
        push    %edi
        .cfi_offset %edi, -20
.endm

.macro RESTORE
        pop     %edi
        .cfi_same_value %edi
        pop     %esi
        .cfi_same_value %esi
        pop     %ebx
        .cfi_same_value %ebx
        pop     %ebp
        .cfi_same_value %ebp
        .cfi_def_cfa %esp, 4
.endm

# CURRENT_ADDRESS and CURRENT: `gs` is the thread pointer. The register passes through the address
# of the global offset table, which holds the offset ("initial exec": i386 psABI supplement for TLS,
# section 4.4.3).
#ifdef FRINGE_NO_THREADS
#define CURRENT(register) (register)
#define FOUND(register) 4(register)
.macro CURRENT_ADDRESS register
        ADDRESS fringe_current, \register
.endm
#else
#define CURRENT(register) %gs:(register)
#define FOUND(register) %gs:4(register)
.macro CURRENT_ADDRESS register
        call    .Lhere\@
.Lhere\@:
        pop     %\register
        add     $_GLOBAL_OFFSET_TABLE_ + (. - .Lhere\@), %\register
        mov     fringe_current@gotntpoff(%\register), %\register
.endm
#endif

#ifdef FRINGE_NO_THREADS
.macro ENTER_CURRENT
.endm
.macro LEAVE_CURRENT
.endm
#else
.macro ENTER_CURRENT
        CURRENT_ADDRESS ecx
        mov     CURRENT(%ecx), %ebx
        mov     %ebx, PREVIOUS(%edi)
        mov     %edi, CURRENT(%ecx)
.endm

.macro LEAVE_CURRENT
        CURRENT_ADDRESS ecx
        mov     PREVIOUS(%edi), %ebx
        mov     %ebx, CURRENT(%ecx)
.endm
#endif

#define EXCEPTIONS_TOO  1
#define CONTROL_TOO     2
#define FINISHED        1

# There is no red zone to put the words into. A `push` is as good, since CFA is relative to ebp.
.macro EXACTLY label
        sub     $8, %esp
        stmxcsr (%esp)
        fnstcw  4(%esp)
        pop     %ecx
        pop     %edx
        xor     CONTROL(%edi), %ecx
        test    $~0x3f, %ecx
        jne     \label
        cmp     %dx, CONTROL_X87(%edi)
        jne     \label
.endm

.macro UNLESS_EXCHANGING
        cmpl    $0, EXCHANGES(%edi)
        jne     4f
.endm

.macro EXCHANGE
3:      orl     $CONTROL_TOO, EXCHANGES(%edi)
4:      EXCHANGE_BEFORE
        SWITCH
        EXCHANGE_AFTER fringe_exchange
        testl   $CONTROL_TOO, EXCHANGES(%edi)
        jz      5b
        jmp     6b
7:      orl     $CONTROL_TOO, EXCHANGES(%edi)
        EXCHANGE_AFTER fringe_exchange_control
        jmp     6b
        NOTHING_TO_ENTER
.endm

# In the frame of SAVE esp is 12 more than a multiple of 16, so calls are made three words below.
# edi and esi are kept by any function.
.macro EXCHANGE_BEFORE
        cmpl    $FINISHED, EXCEPTIONS(%edi)
        je      8f
        push    %eax
        sub     $4, %esp
        push    %edi
        call    fringe_exchange
        add     $8, %esp
        pop     %eax
.endm

.macro NOTHING_TO_ENTER
8:      xor     %eax, %eax
        jmp     6b
.endm

.macro EXCHANGE_AFTER function
        push    %eax
        sub     $4, %esp
        push    %edi
        call    \function
        add     $8, %esp
        pop     %eax
.endm

.macro RETURN_BY_JUMP
        pop     %ecx
        .cfi_def_cfa_offset 0
        .cfi_register %eip, %ecx
        jmp     *%ecx
.endm

# ADDRESS: of something in this file. It pushes a word for a moment, so where it stands the CFA must
# not be relative to esp; hence every function that needs it has a frame.
.macro ADDRESS symbol, register
        call    .Lhere\@
.Lhere\@:
        pop     %\register
        lea     \symbol - .Lhere\@(%\register), %\register
.endm

# FUNCTION_ADDRESS: of a function that may be elsewhere, or nowhere: then it is 0.
.macro FUNCTION_ADDRESS symbol, register
        call    .Lhere\@
.Lhere\@:
        pop     %\register
        add     $_GLOBAL_OFFSET_TABLE_ + (. - .Lhere\@), %\register
        mov     \symbol@got(%\register), %\register
.endm

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

# LAY writes what makes the first frame of R, edi: the record that the first switch finds. The body
# will have the control words of now. ebx = the __cxa_get_globals of its C++ runtime, or 0. Destroys
# ecx and edx.
.macro LAY
        mov     %ebx, EXCEPTIONS(%edi)
        xor     %edx, %edx
        test    %ebx, %ebx
        setnz   %dl                     # EXCEPTIONS_TOO
        mov     %edx, EXCHANGES(%edi)
        stmxcsr CONTROL(%edi)
        fnstcw  CONTROL_X87(%edi)
        xor     %ecx, %ecx
        mov     %ecx, JUDGED(%edi)
        mov     %ecx, CAUGHT(%edi)
        mov     %ecx, UNCAUGHT(%edi)
        mov     %ecx, REPORT(%edi)
        lea     -SUSPENDED(%edi), %edx
        mov     %edx, LINK(%edi)
        mov     %edi, (%edx)
        ADDRESS fringe_trampoline_begin, ecx
        mov     %ecx, 4(%edx)
.endm

        .text

# void *fringe_init(uintptr_t base, void (*body)(void *yielder, ...), void *mailbox)
        .weak   __cxa_get_globals
BEGIN fringe_init
        SAVE
        FUNCTION_ADDRESS __cxa_get_globals, ebx
        xor     %edx, %edx
        xor     %esi, %esi
        test    %ebx, %ebx
        jnz     .Linit
        CURRENT_ADDRESS ecx
        mov     CURRENT(%ecx), %ecx
        test    %ecx, %ecx
        jz      .Linit
        mov     EXCEPTIONS(%ecx), %ebx
        jmp     .Linit
END fringe_init

# void *fringe_init_caught(uintptr_t base, void *body, void *box, void *globals, uintptr_t limit)
BEGIN fringe_init_caught
        SAVE
        mov     FOURTH, %ebx
        mov     $1, %edx
        mov     FIFTH, %esi
.Linit:
        mov     FIRST, %edi
        lea     -CONTEXT_SIZE(%edi), %edi
        mov     SECOND, %ecx
        mov     %ecx, BODY(%edi)
        mov     THIRD, %ecx
        mov     %ecx, MAILBOX(%edi)
        mov     %edx, CATCHES(%edi)
        mov     %esi, LIMIT(%edi)
        ADDRESS fringe_root_return, ecx
        mov     %ecx, RETURN(%edi)
        LAY
        mov     %edi, %eax
        RESTORE
        ret
END fringe_init_caught

# void fringe_exchange(void *yielder)
        .hidden fringe_exchange
BEGIN fringe_exchange
        SAVE
        mov     FIRST, %edi
        testl   $EXCEPTIONS_TOO, EXCHANGES(%edi)
        jz      1f
        sub     $12, %esp
        call    *EXCEPTIONS(%edi)
        add     $12, %esp
        mov     (%eax), %ecx
        mov     CAUGHT(%edi), %edx
        mov     %edx, (%eax)
        mov     %ecx, CAUGHT(%edi)
        mov     4(%eax), %ecx
        mov     UNCAUGHT(%edi), %edx
        mov     %edx, 4(%eax)
        mov     %ecx, UNCAUGHT(%edi)
1:      testl   $CONTROL_TOO, EXCHANGES(%edi)
        .cfi_remember_state
        RESTORE
        jnz     fringe_exchange_control # with the same argument
        ret
        .cfi_restore_state
END fringe_exchange

# void fringe_exchange_control(void *yielder)
        .hidden fringe_exchange_control
BEGIN fringe_exchange_control
        SAVE
        mov     FIRST, %edi
        push    %eax
        stmxcsr (%esp)
        mov     (%esp), %edx
        mov     CONTROL(%edi), %ecx
        mov     %edx, CONTROL(%edi)
        and     $0x3f, %edx
        and     $~0x3f, %ecx
        or      %edx, %ecx
        mov     %ecx, (%esp)
        ldmxcsr (%esp)
        movzwl  CONTROL_X87(%edi), %ecx
        fnstcw  CONTROL_X87(%edi)
        fnstsw  %ax
        mov     %ecx, %edx
        not     %edx
        and     %eax, %edx
        test    $0x3f, %dl
        jz      1f
        fnclex
1:      mov     %ecx, (%esp)
        fldcw   (%esp)
        pop     %ecx
        RESTORE
        ret
END fringe_exchange_control

# void fringe_leave_current(void *yielder)
        .hidden fringe_leave_current
BEGIN fringe_leave_current
        SAVE
        mov     FIRST, %edi
        CURRENT_ADDRESS ecx
        cmp     %edi, CURRENT(%ecx)
        jne     1f
        mov     PREVIOUS(%edi), %edx
        mov     %edx, CURRENT(%ecx)
1:      RESTORE
        ret
END fringe_leave_current

# intptr_t fringe_resume(void *yielder, intptr_t word)
BEGIN fringe_resume
        SAVE
        mov     FIRST, %edi
        mov     SECOND, %esi
        xor     %eax, %eax
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH
5:      EXACTLY 7f
6:      .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_resume

# intptr_t fringe_resume_call(void *yielder, intptr_t word)
BEGIN fringe_resume_call
        SAVE
        mov     FIRST, %edi
        ENTER_CURRENT
        mov     SECOND, %esi
        xor     %eax, %eax
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP
        .cfi_restore_state
        EXCHANGE
END fringe_resume_call

# intptr_t fringe_call(void *yielder, void *globals)
#   The mailbox begins as suspended here, where the frame is there, and not a moment earlier. A body
#   that comes back without having suspended has closed every `call`: then this leaves by `ret`.
BEGIN fringe_call
        SAVE
        mov     FIRST, %edi
        mov     SECOND, %ebx
        LAY
        xor     %eax, %eax
        mov     MAILBOX(%edi), %ecx
        mov     %eax, STATUS(%ecx)
        ENTER_CURRENT
        UNLESS_EXCHANGING
        SWITCH
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        mov     MAILBOX(%edi), %ecx
        cmpl    $RETURNED, STATUS(%ecx)
        .cfi_remember_state
        RESTORE
        jne     1f
        ret
1:      RETURN_BY_JUMP
        .cfi_restore_state
        EXCHANGE
END fringe_call

# intptr_t fringe_signal(void *yielder, void (*signal)(void *yielder, intptr_t word), intptr_t word)
BEGIN fringe_signal
        SAVE
        mov     FIRST, %edi
        ENTER_CURRENT
        mov     SECOND, %eax
        mov     THIRD, %esi
        EXACTLY 3f
        UNLESS_EXCHANGING
        SWITCH
5:      EXACTLY 7f
6:      LEAVE_CURRENT
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_signal

# uintptr_t fringe_suspend(void *yielder, uintptr_t word)
BEGIN fringe_suspend
        SAVE
        mov     FIRST, %edi
        mov     SECOND, %eax
        SWITCH
        test    %eax, %eax
        jnz     fringe_signalled
        mov     %esi, %eax
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP

fringe_signalled:
        .cfi_restore_state
        and     $-16, %esp
        sub     $8, %esp
        push    %esi
        push    %edi
        call    *%eax
        ud2
END fringe_suspend

#   fringe_thunk_table                              fringe_thunk_data
#   | cc                int3                | thunk + 15   |                         |
#   | ff 61 04          jmp  *4(%ecx)       | thunk + 12   | 0, 8 bytes, never read  | data + 8
#   | 8d 89 DISTANCE    lea  ...(%ecx), ecx | thunk + 6    |                         |
#   | 59                pop  %ecx           | thunk + 5    | fringe_thunk_common     | data + 4
#   | e8 00 00 00 00    call thunk + 5      | thunk + 0    | number                  | data + 0
#
#   No instruction addresses memory by its own place, so a thunk asks where it is, and brings the
#   place of its data, in ecx. The common part loads the number. Unwinders are not told of the word
#   that is on the stack between two of these instructions: thunks of this table have no table of
#   theirs either.
#define THUNK_TABLE     4096
#define THUNK_SIZE      16

        .section .text.fringe.thunk, "ax", @progbits
        .balign THUNK_TABLE
        .globl  fringe_thunk_table
        .protected fringe_thunk_table
        .type   fringe_thunk_table, @function
fringe_thunk_table:
        .set    thunk, 0
        .rept   THUNK_TABLE / THUNK_SIZE
        call    1f
1:      pop     %ecx
        lea     fringe_thunk_data+thunk - 1b(%ecx), %ecx
        jmp     *4(%ecx)
        .balign THUNK_SIZE, 0xcc
        .set    thunk, thunk + THUNK_SIZE
        .endr
        .size   fringe_thunk_table, THUNK_TABLE
        .section .bss.fringe, "aw", @nobits
        .balign 16
        .globl  fringe_thunk_data
        .hidden fringe_thunk_data
        .type   fringe_thunk_data, @object
fringe_thunk_data:
        .zero   THUNK_TABLE
        .size   fringe_thunk_data, THUNK_TABLE
        .text

# void *fringe_thunk_write(void *data, uint32_t number)
BEGIN fringe_thunk_write
        SAVE
        mov     FIRST, %eax
        mov     SECOND, %ecx
        mov     %ecx, (%eax)
        ADDRESS fringe_thunk_common, ecx
        mov     %ecx, 4(%eax)
        add     $THUNK_SIZE, %eax
        RESTORE
        ret
END fringe_thunk_write

# void fringe_errno_found(), called in the frame of SAVE, where esp is 12 more than a multiple of 16
#   exit: ecx = the address of this thread's errno, which FOUND has from now on. eax, edx and edi
#         are kept
BEGIN fringe_errno_found
        push    %eax
        .cfi_adjust_cfa_offset 4
        push    %edx
        .cfi_adjust_cfa_offset 4
        call    fringe_errno
        CURRENT_ADDRESS ecx
        mov     %eax, FOUND(%ecx)
        mov     %eax, %ecx
        pop     %edx
        .cfi_adjust_cfa_offset -4
        pop     %eax
        .cfi_adjust_cfa_offset -4
        ret
END fringe_errno_found
        # Weak, as what thunks call below.
        .weak   fringe_errno
        .hidden fringe_errno

#   entry: ecx = the data of the thunk; the callback's arguments behind the return address
#   exit:  the mailbox's input: in eax and edx, or in st(0) where the resumer has written to
#          CALLBACK_FLOAT that it is a floating-point value, of 4 or 8 bytes. Nothing may be left in
#          st(0) for a caller that expects nothing there.
BEGIN fringe_thunk_common
        SAVE
        mov     (%ecx), %eax
        CURRENT_ADDRESS ecx
        mov     CURRENT(%ecx), %edi
        ADDRESS fringe_call_body, ecx
.Lcurrent:
        test    %edi, %edi
        jz      fringe_thunk_stray
        cmpl    $0, CATCHES(%edi)
        jne     .Lcalled
        cmp     %ecx, BODY(%edi)
        je      .Lcalled
        mov     PREVIOUS(%edi), %edi
        jmp     .Lcurrent
.Lcalled:
        mov     MAILBOX(%edi), %edx
        mov     %eax, CALLBACK(%edx)
        lea     8(%ebp), %ecx
        mov     %ecx, CALLBACK_STACK(%edx)
        movl    $0, CALLBACK_STACK+4(%edx)
        CURRENT_ADDRESS ecx
        mov     FOUND(%ecx), %ecx
        test    %ecx, %ecx
        jz      5f
4:      mov     (%ecx), %ecx
        push    %ecx
        SWITCH
        test    %eax, %eax
        jnz     fringe_signalled
        pop     %edx
        CURRENT_ADDRESS ecx
        mov     FOUND(%ecx), %ecx
        test    %ecx, %ecx
        jz      6f
7:      mov     %edx, (%ecx)
        mov     MAILBOX(%edi), %ecx
        cmpl    $0, TAIL(%ecx)
        jne     .Ltail
        mov     INPUT(%ecx), %eax
        mov     INPUT+4(%ecx), %edx
        cmpl    $0, CALLBACK_FLOAT(%ecx)
        je      2f
        cmpl    $4, CALLBACK_FLOAT(%ecx)
        je      1f
        fldl    INPUT(%ecx)
        jmp     2f
1:      flds    INPUT(%ecx)
2:      .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP

        .cfi_restore_state
5:      call    fringe_errno_found
        jmp     4b
6:      call    fringe_errno_found
        jmp     7b

        # A tail call. Its arguments are written over those of the callback, and are no more: that
        # is the room which the caller has made.
.Ltail: mov     %ecx, %edx
        mov     STACK_COUNT(%edx), %ecx
        lea     STACK(%edx), %esi
        lea     8(%ebp), %edi
        rep movsl
        mov     TAIL(%edx), %ecx
        movl    $0, TAIL(%edx)
        .cfi_remember_state
        RESTORE
        jmp     *%ecx

        .cfi_restore_state
        .weak   fringe_stray_callback
        .hidden fringe_stray_callback
        # There is no Deno for this architecture, so no handler that another thread could wait for:
        # the function is given no mailbox, and ends the process.
fringe_thunk_stray:
        and     $-16, %esp
        sub     $12, %esp
        push    $0
        call    fringe_stray_callback
        ud2
END fringe_thunk_common

# The body of a call. Every argument is on the stack, in words of 32 bits; STACK_COUNT counts those.
# A floating-point result is taken from st(0) only where RESULT_FLOAT says that it is one, of 4 or 8
# bytes: at the return of any other function st(0) is empty.
BEGIN fringe_call_body
        push    %ebp
        .cfi_def_cfa_offset 8
        .cfi_offset %ebp, -8
        mov     %esp, %ebp
        .cfi_def_cfa_register %ebp
        push    %ebx
        .cfi_offset %ebx, -12
        push    %esi
        .cfi_offset %esi, -16
        push    %edi
        .cfi_offset %edi, -20
        mov     FIRST, %eax
        mov     MAILBOX(%eax), %ebx
        mov     STACK_COUNT(%ebx), %ecx
        lea     (,%ecx,4), %eax
        sub     %eax, %esp
        and     $-16, %esp
        lea     STACK(%ebx), %esi
        mov     %esp, %edi
        rep movsl
        cmpl    $0, WANTS_ERRNO(%ebx)
        je      3f
        call    fringe_errno
        movl    $0, (%eax)
3:      call    *FUNCTION(%ebx)
        mov     %eax, OUTPUT(%ebx)
        mov     %edx, OUTPUT+4(%ebx)
        cmpl    $0, RESULT_FLOAT(%ebx)
        je      2f
        cmpl    $4, RESULT_FLOAT(%ebx)
        je      1f
        fstpl   OUTPUT_FLOAT(%ebx)
        jmp     2f
1:      fstps   OUTPUT_FLOAT(%ebx)
2:      cmpl    $0, WANTS_ERRNO(%ebx)
        je      4f
        call    fringe_errno
        mov     (%eax), %eax
        mov     %eax, ERRNO(%ebx)
4:      lea     -12(%ebp), %esp
        pop     %edi
        .cfi_same_value %edi
        pop     %esi
        .cfi_same_value %esi
        pop     %ebx
        .cfi_same_value %ebx
        pop     %ebp
        .cfi_same_value %ebp
        .cfi_def_cfa %esp, 4
        ret
END fringe_call_body

#   CFA = R + 8; caller's ebp at CFA - 8 = R + LINK; return address at CFA - 4 = R + RETURN
BEGIN fringe_trampoline
        .cfi_personality 0x9b, .Lpersonality
        .cfi_def_cfa %ebp, 8
        .cfi_offset %ebp, -8
        nop
        .globl  fringe_trampoline_begin
        .hidden fringe_trampoline_begin
fringe_trampoline_begin:
        test    %eax, %eax
        jnz     .Lnever_begun
        # Both halves of the first input, so that it is whole whatever scalar type the body takes.
        mov     MAILBOX(%ebp), %eax
        sub     $4, %esp
        push    INPUT+4(%eax)
        push    INPUT(%eax)
        push    %ebp
        mov     BODY(%ebp), %eax
.Lcall: call    *%eax
        .globl  fringe_trampoline_return
        .hidden fringe_trampoline_return
fringe_trampoline_return:
        mov     $RETURNED, %ecx
        jmp     .Lfinished
.Lnever_begun:
        mov     $UNWOUND, %ecx
.Lfinished:
        mov     MAILBOX(%ebp), %edx
        mov     %ecx, STATUS(%edx)
.Lparked:
        mov     %ebp, %edi
        xor     %eax, %eax
        SWITCH
        jmp     .Lparked

        .globl  fringe_trampoline_caught
        .hidden fringe_trampoline_caught
        .weak   fringe_caught
        .hidden fringe_caught
fringe_trampoline_caught:
        sub     $8, %esp
        push    %eax
        push    %ebp
        FUNCTION_ADDRESS fringe_caught, eax
        jmp     .Lcall
END fringe_trampoline

# void fringe_finish(void *yielder, int32_t status), which does not return
BEGIN fringe_finish
        .cfi_undefined %eip
        mov     8(%esp), %ecx
        mov     4(%esp), %ebp
        mov     %ebp, %esp
        jmp     .Lfinished
END fringe_finish

# void fringe_aside(void *yielder, uintptr_t word), which does not return
#   CFA = ebx + 8, with the arguments above the return address
#
#      | word                   |  ebx + 12
#      | R                      |  ebx + 8
#      | return address         |  ebx + 4
#      | ebx                    |  <- ebx
#
BEGIN fringe_aside
        push    %ebx
        .cfi_def_cfa_offset 8
        .cfi_offset %ebx, -8
        mov     %esp, %ebx
        .cfi_def_cfa_register %ebx
        mov     8(%ebx), %eax
        mov     LINK(%eax), %esp
        # Valgrind looks at esp where memory is accessed. So it sees here that the stack is another
        # one; else it would take what is pushed next for a write below that stack.
        mov     12(%ebx), %ecx
        and     $-16, %esp
        sub     $8, %esp
        push    %ecx
        push    %eax
        call    *(%ecx)
        ud2
END fringe_aside

# int fringe_trace(void *link, int (*backtrace)(), int (*visit)(), void *argument)
#   CFA = ebx + SUSPENDED, the body's esp; its ebp at CFA - SUSPENDED, its address above that
BEGIN fringe_trace
        .cfi_signal_frame
        SAVE
        sub     $4, %esp
        mov     FIRST, %ebx
        push    FOURTH
        push    THIRD
        mov     SECOND, %eax
        .cfi_remember_state
        .cfi_def_cfa %ebx, SUSPENDED
        .cfi_same_value %ebx
        .cfi_same_value %esi
        .cfi_same_value %edi
        .cfi_offset %ebp, -SUSPENDED
        .cfi_offset %eip, -SUSPENDED + 4
        call    *%eax
        .cfi_restore_state
        add     $12, %esp
        RESTORE
        ret
END fringe_trace

#   CFA = ebp + SUSPENDED, the resumer's esp; its ebp at CFA - SUSPENDED, its address above that
BEGIN fringe_root
        .cfi_signal_frame
        .cfi_def_cfa %ebp, SUSPENDED
        .cfi_offset %ebp, -SUSPENDED
        .cfi_offset %eip, -SUSPENDED + 4
        nop
        .globl  fringe_root_return
        .hidden fringe_root_return
fringe_root_return:
        ud2
END fringe_root

        .weak   fringe_personality
        .hidden fringe_personality
        .section .data.rel.ro.fringe, "aw", @progbits
        .balign 4
.Lpersonality:
        .long   fringe_personality

#ifdef FRINGE_NO_THREADS
        .section .rodata.fringe, "a", @progbits
#else
        .section .tbss.fringe, "awT", @nobits
#endif
        .balign 4
        .globl  fringe_current
        .hidden fringe_current
        .type   fringe_current, @object
fringe_current:
        .zero   8
        .size   fringe_current, 8

        .section .note.GNU-stack, "", @progbits
