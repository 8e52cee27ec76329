# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors

# This file provides, for x86_64, every instruction that moves between two stacks:
#
#   fringe_init             writes the first frame of a fringe stack
#   fringe_init_caught      the same for a resumer that exceptions cannot go on in: JavaScript
#   fringe_resume           enters a body from a function call; leaves by `ret`
#   fringe_resume_call      enters a body that will suspend by a call, as thunks do; leaves by `jmp`
#   fringe_call             the same from the beginning of the body, which may have run before
#   fringe_signal           enters a body, telling it that it is being ended
#   fringe_suspend          leaves a body by an ordinary function call (other languages use it)
#   fringe_exchange         exchanges what belongs to each side besides its stack; EXCHANGES tells
#   fringe_exchange_control the same for the control words alone
#   fringe_thunk_table      the thunks: C function pointers that suspend
#   fringe_thunk_write      writes the data of a thunk
#   fringe_thunk_common     what every thunk goes on with: suspends the call that it is called in
#   fringe_call_body        the body that calls any C function with the mailbox's arguments
#   fringe_trampoline       the outermost frame, calls the body; hands over when that returns
#   fringe_finish           ends a context whose frames have been unwound
#   fringe_aside            lets a suspended body be unwound from the stack of whoever ends it
#   fringe_trace            walks the frames of a suspended body
#   fringe_root             never executed: it is where unwinders cross to the resumer
#   fringe_errno_found      where this thread's errno is, the first time that it is asked for
#   fringe_current          of each thread: the context that a thunk suspends
#   fringe_leave_current    makes the context before that one the current one again
#
# It owns the layout of the frames. `arch/x86_64.zig` and `include/fringe_x86_64.h` repeat one
# sequence of it, SWITCH, so that the compiler can inline a suspension; a tidy test compares the
# three.
#
# Facts of the ABI that this file relies on (System V psABI for AMD64, version 1.0)
# ---------------------------------------------------------------------------------
#  * Section 3.2.1: rbx, rbp, rsp and r12-r15 belong to the caller and must come back unchanged;
#    every other general register, every vector register and the x87 stack may be destroyed by a
#    call.
#  * Section 3.2.2: at the entry of a function rsp + 8 is a multiple of 16; the 128 bytes below
#    rsp, the red zone, belong to the running function, and no signal handler touches them.
#  * Section 3.2.1: the direction flag is clear at every call and return. Each switch stands where
#    the compiler sees either a call or an asm statement, so it is clear on both sides of it.
#  * Section 3.2.1: the control bits of MXCSR and the x87 control word belong to the caller too.
#    Saving both on each side costs more than a whole switch on some processors, so SWITCH leaves
#    them alone. The functions that resume notice that one side has changed them, and exchange them
#    from then on: CONTROL WORDS below.
#
# Call frame information, as far as this file needs it (DWARF 5, section 6.4)
# -----------------------------------------------------------------------------
#  An unwinder knows the registers of one frame and wants those of its caller. The table says, for
#  each instruction, how to compute the CFA (canonical frame address: the value that rsp has in the
#  caller after the call), and where, relative to it, each register of the caller was saved:
#    .cfi_def_cfa REG, N       the CFA is REG + N
#    .cfi_offset REG, N        the caller's REG was saved at CFA + N
#    .cfi_register REG, REG2   the caller's REG is now in REG2
#    .cfi_same_value REG       the caller's REG has not been touched
#    .cfi_signal_frame         the caller was not suspended by a `call`: its address is exact
#    .cfi_personality E, F     an exception that comes by asks F what to do; E says how F's address
#                              is written down
#  Column 16, `rip` here, is the return address. Unless told otherwise it lies at CFA - 8.
#
# A suspended side
# ----------------
#  The link word of a context always holds the stack pointer of the side that is *not* running. It
#  points at a record, which lies below the red zone of whatever function was interrupted:
#
#      higher addresses
#      |                        |  <- rsp of the suspended function: record + SUSPENDED
#      | red zone, 128 bytes    |     (it may hold live values: inlined suspensions are no calls)
#      | resume address         |  record + 8
#      | frame pointer          |  record + 0   <- link
#      lower addresses
#
#  {frame pointer, resume address} is what `push %rbp` after a `call` leaves: a frame record. So a
#  sampler that only follows frame pointers can step on a link as it steps on any saved rbp.
#
# A context, at the top of a fringe stack. Its address, R below, is the handle and the yielder
# ------------------------------------------------------------------------------------------
#
#      | sums                   |  R + 112   SUMS of the control words, 16 bytes
#      | judged                 |  R + 104   the page of another stack that a thunk may run on
#      | limit                  |  R + 96    the lowest usable byte of the stack, 0 if not known
#      | control                |  R + 88    control words, of the side that is not running
#      | exchanges              |  R + 80    what has to be exchanged with each switch
#      | report                 |  R + 72    what exception.zig writes down about an exception
#      | catches                |  R + 64    whether exceptions that leave the body end here
#      | previous               |  R + 56    fringe_current, before it became R
#      | uncaught               |  R + 48    C++'s exception state, of the side that is not running
#      | caught                 |  R + 40
#      | exceptions             |  R + 32    the function that knows the state of the other side
#      | mailbox                |  R + 24    what both sides share; layout in layout.zig
#      | body                   |  R + 16
#      | address in fringe_root |  R + 8
#      | link                   |  R + 0     <- R; rbp in fringe_trampoline
#      | return address         |  R - 8     in fringe_trampoline
#      | frames of the body     |
#      :                        :
#
#  1. Just initialised: link = R - SUSPENDED, and the record there is {R, fringe_trampoline_begin}.
#     So the first resume needs no case of its own: it arrives in the trampoline with rsp = rbp = R.
#
#  2. The body runs: link points at the resumer's record. {link, address in fringe_root} is itself a
#     frame record, the one that fringe_trampoline would have pushed had fringe_root called it:
#
#      body's frame -> R: {link, fringe_root} -> {resumer's rbp, resume address} -> resumer's caller
#
#     That is the whole of call stack splicing. Since link is rewritten by each resume, the chain
#     always leads to whoever resumed last, and neither a frame-pointer walker nor DWARF needs
#     anything kept for it.
#
#  3. The body is suspended: link points at the body's record, and the resumer knows R.

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
#define CONTROL_X87     92
#define LIMIT           96
#define JUDGED          104
#ifdef FRINGE_SANITIZE_ADDRESS
#define FIBER           112
#define SUMS            144
#define CONTEXT_SIZE    160
#else
#define SUMS            112
#define CONTEXT_SIZE    128
#endif

#define RED_ZONE        128
#define RECORD_SIZE     16
#define SUSPENDED       (RED_ZONE + RECORD_SIZE)

# The mailbox, and the statuses that are written here. layout.zig owns the numbers; a tidy test
# compares.
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
#define STACK_MASK          432
#define STACK               440

#define RETURNED        1
#define UNWOUND         2
#define TAIL_ANSWER     1

# SWITCH: leave this side, arrive at the other one.
#
#   before: rdi = R; every register that matters is saved; one word is passed on:
#           to a resumer in rax, to a body in rsi, with rax = 0 or the function that is to end it
#   after:  rdi = R; rbp and rsp as before; rax and rsi as the other side set them;
#           everything else is destroyed
#
#  - The stack pointer moves below the record before the record is written: a signal may arrive
#    between any two instructions, and its frame begins RED_ZONE below rsp.
#  - Leaving by `jmp`, never by `ret`: the processor predicts that a `ret` returns behind the last
#    `call` it saw, and the last `call` was made on the other stack. Each such `ret` would cost a
#    misprediction.
#  - The `int3` is never executed. LLVM's unwinder looks every address up one byte below it, and
#    what it finds there must be the rules of this frame, not those of the jump.
#  - Nor is the other side's record read once rsp is above it, where the frame of a signal would
#    lie: rsp comes last, and link no longer points there by then.
#  - Until link is written an unwinder goes by the frames of this side, then by those of the other,
#    so at no instruction do the tables lead from a stack back into the same stack. Frame pointers
#    do, for the instruction that writes link on the way into a body: a sampler that hits it stops
#    at the limit of its depth.
.macro SWITCH
        lea     -SUSPENDED(%rsp), %rsp
        lea     1f(%rip), %rcx
        mov     %rbp, (%rsp)
        mov     %rcx, 8(%rsp)
        mov     %rsp, %r8
        mov     LINK(%rdi), %rdx
        mov     8(%rdx), %rcx
        # rbp is the other side's from the next instruction on; this side's is at r8:
        #   0x0f DW_CFA_def_cfa_expression, 5 bytes
        #   0x78 0x00 DW_OP_breg8 + 0; 0x06 DW_OP_deref; 0x23 0x10 DW_OP_plus_uconst 16
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x78, 0x00, 0x06, 0x23, 0x10
        mov     (%rdx), %rbp
        mov     %r8, LINK(%rdi)
        # This side is suspended. The caller of what is left of this frame is where the jump goes.
        .cfi_def_cfa %rdx, SUSPENDED
        .cfi_same_value %rbp
        .cfi_same_value %rbx
        .cfi_same_value %r12
        .cfi_same_value %r13
        .cfi_same_value %r14
        .cfi_same_value %r15
        .cfi_register %rip, %rcx
        lea     SUSPENDED(%rdx), %rsp
        jmp     *%rcx
        .cfi_restore_state
        int3
1:
.endm

# ARRIVE and SWITCH_FOR_GOOD: what the first arrival in a body, and the last switch of one, are in
# addition to those in between. Nothing, but where AddressSanitizer is told of each (sanitizer.zig).
# The frame has a frame pointer then; rbx is destroyed, and what a switch passes is kept.
#ifdef FRINGE_SANITIZE_ADDRESS
.macro TELL function
        push    %rdi
        push    %rsi
        push    %rax
        mov     %rsp, %rbx
        and     $-16, %rsp
        call    \function
        mov     %rbx, %rsp
        pop     %rax
        pop     %rsi
        pop     %rdi
.endm
.macro TOLD_SWITCH leave
        TELL    \leave
        SWITCH
        ARRIVE
.endm
.macro ARRIVE
        TELL    fringe_sanitizer_arrive
.endm
#define SWITCH          TOLD_SWITCH fringe_sanitizer_leave
#define SWITCH_FOR_GOOD TOLD_SWITCH fringe_sanitizer_finish
#else
.macro ARRIVE
.endm
#define SWITCH_FOR_GOOD SWITCH
#endif

# SAVE and RESTORE: what a caller may rely on (psABI 3.2.1), in a frame with a frame pointer:
#
#      | return address         |  <- CFA - 8
#      | caller's rbp           |  <- rbp = CFA - 16
#      | rbx r12 r13 r14 r15    |  <- rsp = CFA - 56
#
.macro SAVE
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_offset %rbx, -24
        push    %r12
        .cfi_offset %r12, -32
        push    %r13
        .cfi_offset %r13, -40
        push    %r14
        .cfi_offset %r14, -48
        push    %r15
        .cfi_offset %r15, -56
.endm

.macro RESTORE
        pop     %r15
        .cfi_same_value %r15
        pop     %r14
        .cfi_same_value %r14
        pop     %r13
        .cfi_same_value %r13
        pop     %r12
        .cfi_same_value %r12
        pop     %rbx
        .cfi_same_value %rbx
        pop     %rbp
        .cfi_same_value %rbp
        .cfi_def_cfa %rsp, 8
.endm

# What depends on the format of objects. This file is written for ELF; macho.h gives the words of
# ELF their meaning in Mach-O, the format of Apple's systems.
#
#   BEGIN, END        a function
#   LABEL             a place in a function that other files know, and the macro with the table of
#                     the frame there, which is the same in the whole function
#   L(name)           a place that this file alone knows
#   PERSONALITY       what .cfi_personality finds the routine by
#   CURRENT_ADDRESS   puts into a register where fringe_current is: CURRENT(register) is the
#                     variable of this thread then, and FOUND(register) the address of its errno,
#                     or 0. Destroys the flags, and no other register
#   CXA_GET_GLOBALS   rcx = the function that the program has by this name, or 0
#   ZEROS             data that begin as zeros, of so many bytes
#
# In ELF `fs` is the thread pointer, and the global offset table has how far from it the variable of
# a thread lies ("initial exec": psABI, section 3.7). A program without a system (FRINGE_NO_THREADS)
# need not have a thread pointer. It has no thunks either, since a system maps those, so no context
# is ever the current one: fringe_current is a word that stays 0, for all processors.
#
# In Mach-O a function says where the variable of a thread is. It destroys rax alone: where the
# thread has used the variable before, it is a few instructions; else it allocates, and keeps all
# other registers, those of arguments included. It is called where rsp is 8 more than a multiple of
# 16: at the entry of a function, or in the frame of SAVE. `frame` is what the CFA is computed from.
#ifdef __MACH__
#include "macho.h"
#define CURRENT(register) (register)
#define FOUND(register) 8(register)
.macro CURRENT_ADDRESS register, frame=%rbp
        .irp    saved, %rdi, %rax, %rax
        push    \saved
        .ifc    \frame, %rsp
        .cfi_adjust_cfa_offset 8
        .endif
        .endr
        mov     fringe_current@TLVP(%rip), %rdi
        call    *(%rdi)
        .ifnc   \register, %rax
        mov     %rax, \register
        mov     8(%rsp), %rax
        .endif
        mov     16(%rsp), %rdi
        add     $24, %rsp
        .ifc    \frame, %rsp
        .cfi_adjust_cfa_offset -24
        .endif
.endm
.macro CXA_GET_GLOBALS
        .irp    saved, %rdi, %rsi, %rdx
        push    \saved
        .cfi_adjust_cfa_offset 8
        .endr
        call    fringe_cxa_get_globals
        mov     %rax, %rcx
        .irp    saved, %rdx, %rsi, %rdi
        pop     \saved
        .cfi_adjust_cfa_offset -8
        .endr
.endm
#else
.macro BEGIN name
        .balign 16
        .globl  \name
        .protected \name               # nobody's definition but this one
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

#define PERSONALITY L(personality)
#define L(name) .L##name

#ifdef FRINGE_NO_THREADS
#define CURRENT(register) (register)
#define FOUND(register) 8(register)
.macro CURRENT_ADDRESS register, frame=%rbp
        lea     fringe_current(%rip), \register
.endm
#else
#define CURRENT(register) %fs:(register)
#define FOUND(register) %fs:8(register)
.macro CURRENT_ADDRESS register, frame=%rbp
        mov     fringe_current@gottpoff(%rip), \register
.endm
#endif

        .weak   __cxa_get_globals
.macro CXA_GET_GLOBALS
        mov     __cxa_get_globals@gotpcrel(%rip), %rcx
.endm
#endif

# ENTER_CURRENT and LEAVE_CURRENT: in between, R is the thread's current context. C passes a thunk
# nothing of ours, so that is how a thunk finds the context which it is to suspend. Calls may nest,
# so the context that was current before waits in PREVIOUS. Both destroy rcx and rbx.
#ifdef FRINGE_NO_THREADS
.macro ENTER_CURRENT
.endm
.macro LEAVE_CURRENT
.endm
#else
.macro ENTER_CURRENT
        CURRENT_ADDRESS %rcx
        mov     CURRENT(%rcx), %rbx
        mov     %rbx, PREVIOUS(%rdi)
        mov     %rdi, CURRENT(%rcx)
.endm

.macro LEAVE_CURRENT
        CURRENT_ADDRESS %rcx
        mov     PREVIOUS(%rdi), %rbx
        mov     %rbx, CURRENT(%rcx)
.endm
#endif

# EXCHANGES says, in bits, what a switch has to exchange besides the stack. It is 0 where there is
# nothing, so one comparison is all that most switches pay.
#
#   EXCEPTIONS_TOO   C++ keeps, for each thread, the exceptions that are being handled, and how many
#                    are in flight (Itanium C++ ABI: Exception Handling, section 2.2.2:
#                    __cxa_eh_globals, a pointer and an int). They belong to the frames of one side.
#                    The bit is set where there is a C++ runtime that could have any. EXCEPTIONS is
#
#                      0                   no runtime that anyone knows of
#                      FINISHED            the body cannot be entered again: it is abandoned, or
#                                          an exception has left it for the resumer. The bit is set
#                                          then, too
#                      __cxa_get_globals   the function of the runtime that says where they are
#
#   CONTROL_TOO      one side has control words of its own, see below
#
#   NATIVE           the resumer is native code, which may have any control words. JavaScript always
#                    has the same ones, and fringe_init_caught is for JavaScript
#
#   FIRST            fringe_resume has not entered the body yet
#
# Each is in parentheses: to the assembler of Mach-O, $1 in a macro is its first argument.
#define EXCEPTIONS_TOO  (1)
#define CONTROL_TOO     (2)
#define NATIVE          (4)
#define FIRST           (8)
#define FIRST_BIT       (3)
#define FINISHED        (1)

# CONTROL WORDS: C that sets a rounding mode, flushes to zero or unmasks exceptions finds that again
# when it goes on, and its resumer never sees it: in JavaScript 1 + 1e-30 would no longer be 1, and
# 1/0 would end the process.
#
#  - While CONTROL_TOO is not set both sides have the same words, and CONTROL is a copy of them: the
#    words of whoever called fringe_init. Nothing is loaded or stored.
#  - A switch compares the words with CONTROL. If they differ, one side has changed its words, and
#    the other side still has those in CONTROL. So the bit is set, and the words are exchanged with
#    CONTROL, in this switch and in each later one.
#
# Comparing must be cheap, and MXCSR is slow to read: on AMD's processors, what `stmxcsr` has stored
# cannot be loaded before 7 ns, three switches' time (Zen 3 and 5).
#
#   EXACTLY   compares every control bit. The functions that thunks come back to do so, each time:
#             around a thunk there are other things to wait for, and nothing is seen of the 7 ns.
#             JavaScript never changes its words, so it is enough to compare on the way back.
#   QUICKLY   compares the x87 control word, and what sums come to that depend on MXCSR; less than
#             half a nanosecond is seen. It knows every rounding mode and both flushing modes, and
#             the traps that C sets for both units at once, as libc's feenableexcept does. It takes
#             no notice where C sets traps in MXCSR alone, by hand. So fringe_resume, in which a
#             body that suspends inline comes back, compares EXACTLY the FIRST time, and QUICKLY
#             from then on: it notices all that a body sets where it begins.
#
# Native resumers may change their words, so both ways are compared, and always QUICKLY but for the
# first time. Where traps in MXCSR alone go unnoticed both sides share them.
#
# Either goes to `label` if the words differ, and destroys rcx; QUICKLY also xmm0.
#
# The flags of MXCSR (bits 0 to 5) belong to the thread: the resumer sees which exceptions the body
# has raised, as a caller sees those of a function. QUICKLY itself raises inexact and denormal, and
# underflow where results are flushed. Where C has set traps for one of these three in MXCSR alone,
# and not at the beginning, its next suspension ends the process by SIGFPE.
#
# Both store below the stack pointer. A kernel that takes interrupts on this stack may have SS and
# RSP written there before the words are read. Then they seem to differ, and are exchanged
# needlessly: the last bits of RSP are zero, those of an x87 word that masks its traps are not.
.macro EXACTLY label
        stmxcsr -8(%rsp)
        fnstcw  -16(%rsp)
        mov     -8(%rsp), %ecx
        xor     CONTROL(%rdi), %ecx
        test    $~0x3f, %ecx
        jne     \label
        movzwl  -16(%rsp), %ecx
        cmp     %cx, CONTROL_X87(%rdi)
        jne     \label
.endm

# The x87 unit comes first: libc's traps are known by it before any sum could spring one. Its word
# is compared with the one that a process begins with (psABI 3.4.1), half a nanosecond cheaper than
# with CONTROL_X87: nearly every thread has it, and for one that has another, words are exchanged
# each time.
#define X87_AT_FIRST    (0x37f)
#define MASKS           (0x1f80)        /* of MXCSR: no exception is a trap */
.macro QUICKLY label
        fnstcw  -16(%rsp)
        movzwl  -16(%rsp), %ecx
        cmp     $X87_AT_FIRST, %ecx
        jne     \label
        SUMS_NOW
        pcmpeqd SUMS(%rdi), %xmm0
        pmovmskb %xmm0, %ecx
        cmp     $0xffff, %ecx
        jne     \label
.endm

# SUMS are four sums of single-precision numbers. Each mode gives others; u is the distance from 1
# to the next number, m the smallest normal number, and d the smallest number of all:
#
#                       to nearest    down     up       to zero    flushes results    operands
#     1 + 3/4 u         1 + u         1        1 + u    1
#    -1 - 3/4 u         -1 - u        -1 - u   -1       -1
#     3/2 m - m         1/2 m                                      0
#     m + d             m + d                                                         m
.macro SUMS_NOW
        movaps  L(augends)(%rip), %xmm0
        addps   L(addends)(%rip), %xmm0
.endm

# UNLESS_EXCHANGING: goes to EXCHANGE if a bit of EXCHANGES is set that is not to be `ignored`.
.macro UNLESS_EXCHANGING ignored=0
        testl   $~(\ignored), EXCHANGES(%rdi)
        jne     4f
.endm

# EXCHANGE is what a function that resumes does for a native resumer, and wherever something has to
# be exchanged. It stands behind the function's end, and has switches of its own. The function comes
#
#   to 4   before the switch, by UNLESS_EXCHANGING: rdi = R; rax = 0 or a signal; rsi = a word
#   to 7   after the switch, if the words are not those of CONTROL: rdi = R; rax = a word
#
# and goes on at 6, where it returns. The frame is that of SAVE, with rsp at its end.
.macro EXCHANGE
4:      mov     EXCHANGES(%rdi), %ecx
        and     $NATIVE | CONTROL_TOO, %ecx
        cmp     $NATIVE, %ecx
        jne     2f
        QUICKLY 3f
        cmpl    $NATIVE, EXCHANGES(%rdi)
        jne     2f
        # A native resumer, and nothing to exchange.
        SWITCH
9:      QUICKLY 7f
        jmp     6b
        # The resumer has changed its words, and the body is still to have those of CONTROL.
3:      orl     $CONTROL_TOO, EXCHANGES(%rdi)
        # There is something to exchange, or it is the first time.
2:      EXCHANGE_BEFORE
        SWITCH
        EXCHANGE_AFTER fringe_exchange
        # Words that have just been exchanged need not be compared.
        testl   $CONTROL_TOO, EXCHANGES(%rdi)
        jnz     6b
        btrl    $FIRST_BIT, EXCHANGES(%rdi)
        jc      1f
        testl   $NATIVE, EXCHANGES(%rdi)
        jnz     9b
1:      EXACTLY 7f
        jmp     6b
        # The body has changed its words, and the resumer is still to have those of CONTROL.
7:      orl     $CONTROL_TOO, EXCHANGES(%rdi)
        EXCHANGE_AFTER fringe_exchange_control
        jmp     6b
        NOTHING_TO_ENTER
.endm

# EXCHANGE_BEFORE keeps rdi, rsi and rax. If the body cannot be entered it goes to NOTHING_TO_ENTER,
# and from there to 6, with no word. EXCHANGE_AFTER keeps rax and rdi. In the frame of SAVE rsp is 8
# more than a multiple of 16, so both call three words below (psABI 3.2.2).
.macro EXCHANGE_BEFORE
        cmpq    $FINISHED, EXCEPTIONS(%rdi)
        je      8f
        push    %rdi
        push    %rsi
        push    %rax
        call    fringe_exchange
        pop     %rax
        pop     %rsi
        pop     %rdi
.endm

.macro NOTHING_TO_ENTER
8:      xor     %eax, %eax
        jmp     6b
.endm

.macro EXCHANGE_AFTER function
        push    %rax
        push    %rdi
        sub     $8, %rsp
        call    \function
        add     $8, %rsp
        pop     %rdi
        pop     %rax
.endm

# RETURN_BY_JUMP: what `ret` does, without asking the return predictor, which is wrong after a
# switch.
.macro RETURN_BY_JUMP
        pop     %rcx
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
        jmp     *%rcx
.endm

# RETURN_BY_JUMPS: the same; and if the caller is about to do what Deno's trampolines around native
# functions do, it does that in their place:
#
#     48 89 ec        mov     %rbp, %rsp          caller:  | return address | -> V8's machine code
#     5d              pop     %rbp                rbp ->   | its caller's rbp |
#     c3              ret
#
# That `ret` would be mispredicted, as the one here would be. Whoever the caller is, its own next
# instructions are what is done. Five bytes are read, and none if they do not all lie in one page.
.macro RETURN_BY_JUMPS page=4096
        pop     %rcx
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
        lea     4(%rcx), %edx
        xor     %ecx, %edx
        test    $-\page, %edx
        jnz     1f
        cmpl    $0x5dec8948, (%rcx)
        jne     1f
        cmpb    $0xc3, 4(%rcx)
        jne     1f
        mov     %rbp, %rsp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        .cfi_offset %rip, -8
        pop     %rbp
        .cfi_def_cfa_offset 8
        .cfi_same_value %rbp
        pop     %rcx
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
1:      jmp     *%rcx
.endm

# LAY writes what makes the first frame of R=rdi, which fringe_trampoline begins with: the record
# that the first switch finds. `globals` is a register with the __cxa_get_globals of the body's C++
# runtime, or 0. Of EXCHANGES it keeps NATIVE. Destroys rcx and rdx.
.macro LAY globals
        mov     \globals, EXCEPTIONS(%rdi)
        mov     EXCHANGES(%rdi), %edx
        and     $NATIVE, %edx
        or      $FIRST, %edx
        test    \globals, \globals
        jz      1f
        or      $EXCEPTIONS_TOO, %edx
1:      mov     %rdx, EXCHANGES(%rdi)
        xor     %ecx, %ecx
        mov     %rcx, JUDGED(%rdi)
        mov     %rcx, CAUGHT(%rdi)
        mov     %rcx, UNCAUGHT(%rdi)
        mov     %rcx, REPORT(%rdi)
        lea     -SUSPENDED(%rdi), %rcx
        mov     %rcx, LINK(%rdi)
        mov     %rdi, (%rcx)
        lea     fringe_trampoline_begin(%rip), %rdx
        mov     %rdx, 8(%rcx)
.endm

        .text

# void *fringe_init(uintptr_t base, void (*body)(void *yielder, ...), void *mailbox)
#   entry: rdi = base, a multiple of 16; rsi = body; rdx = mailbox
#   exit:  rax = R, a multiple of 16
#   Writes the context and its first record, CONTEXT_SIZE + SUSPENDED bytes below base. Exceptions
#   that leave the body go on in the resumer. The body will begin with the control words of now.
#   This library finds a C++ runtime that the program is linked with, but none that came with a
#   library which was opened later, as all of them in Deno are. In a call of such a library the
#   current context has the function of its runtime.
BEGIN fringe_init
        CXA_GET_GLOBALS
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        test    %rcx, %rcx
        jnz     L(init)
        CURRENT_ADDRESS %rax, frame=%rsp
        mov     CURRENT(%rax), %rax
        test    %rax, %rax
        jz      L(init)
        mov     EXCEPTIONS(%rax), %rcx
        jmp     L(init)
END fringe_init

# void *fringe_init_caught(uintptr_t base, void *body, void *box, void *globals, uintptr_t limit)
#   entry: as fringe_init; rcx = __cxa_get_globals of the body's C++ runtime, or 0; r8 = the lowest
#          usable byte of the stack
#   exit:  as fringe_init
#   For resumers that no unwinder can enter, such as JavaScript: exceptions that leave the body are
#   caught, and reported by the mailbox.
BEGIN fringe_init_caught
        mov     $1, %r9d
L(init):
        sub     $CONTEXT_SIZE, %rdi
        mov     %rsi, BODY(%rdi)
        mov     %rdx, MAILBOX(%rdi)
        mov     %r9, CATCHES(%rdi)
        mov     %r8, LIMIT(%rdi)
        xor     %edx, %edx
        test    %r9, %r9
        jnz     1f
        or      $NATIVE, %edx
1:      mov     %rdx, EXCHANGES(%rdi)
        lea     fringe_root_return(%rip), %rdx
        mov     %rdx, RETURN(%rdi)
#ifdef FRINGE_SANITIZE_ADDRESS
        xor     %edx, %edx
        .irp    offset, 0, 8, 16, 24
        mov     %rdx, FIBER+\offset(%rdi)
        .endr
#endif
        LAY     %rcx
        mov     %rdi, %rax
        # The body begins with the control words of now. Where a sum might spring a trap, or the x87
        # word is not what QUICKLY looks for, words are exchanged from the beginning.
        stmxcsr CONTROL(%rdi)
        fnstcw  CONTROL_X87(%rdi)
        mov     CONTROL(%rdi), %ecx
        not     %ecx
        test    $MASKS, %ecx
        jnz     2f
        cmpw    $X87_AT_FIRST, CONTROL_X87(%rdi)
        jne     2f
        SUMS_NOW
        movaps  %xmm0, SUMS(%rdi)
        ret
2:      orl     $CONTROL_TOO, EXCHANGES(%rdi)
        ret
END fringe_init_caught

# void fringe_exchange(void *yielder)
#   entry: rdi = R, which can be entered, or has just been left
#   exit:  what EXCHANGES says, of the thread, is what has waited in R, and the other way round
BEGIN fringe_exchange
        testl   $EXCEPTIONS_TOO, EXCHANGES(%rdi)
        jz      1f
        push    %rdi
        .cfi_def_cfa_offset 16
        call    *EXCEPTIONS(%rdi)
        pop     %rdi
        .cfi_def_cfa_offset 8
        mov     (%rax), %rcx
        mov     CAUGHT(%rdi), %rdx
        mov     %rdx, (%rax)
        mov     %rcx, CAUGHT(%rdi)
        mov     8(%rax), %ecx
        mov     UNCAUGHT(%rdi), %edx
        mov     %edx, 8(%rax)
        mov     %ecx, UNCAUGHT(%rdi)
1:      testl   $CONTROL_TOO, EXCHANGES(%rdi)
        jnz     fringe_exchange_control
        ret
END fringe_exchange

# void fringe_exchange_control(void *yielder)
#   entry: rdi = R
#   exit:  the same for the control words alone; both units' flags are those of the thread, but for
#          some that would be trapped
BEGIN fringe_exchange_control
        stmxcsr -8(%rsp)
        mov     -8(%rsp), %edx
        mov     CONTROL(%rdi), %ecx
        mov     %edx, CONTROL(%rdi)
        and     $0x3f, %edx
        and     $~0x3f, %ecx
        or      %edx, %ecx
        mov     %ecx, -8(%rsp)
        ldmxcsr -8(%rsp)
        # The next x87 instruction would trap on a flag that the new control word unmasks, though
        # the other side has raised it. The flags of MXCSR cause no traps.
        movzwl  CONTROL_X87(%rdi), %ecx
        fnstcw  CONTROL_X87(%rdi)
        fnstsw  %ax
        mov     %ecx, %edx
        not     %edx
        and     %eax, %edx
        test    $0x3f, %dl
        jz      1f
        fnclex
1:      mov     %cx, -8(%rsp)
        fldcw   -8(%rsp)
        ret
END fringe_exchange_control

# void fringe_leave_current(void *yielder)
#   entry: rdi = R, which an exception has left; if it was entered as the current context, it no
#          longer is that
BEGIN fringe_leave_current
        CURRENT_ADDRESS %rcx, frame=%rsp
        cmp     %rdi, CURRENT(%rcx)
        jne     1f
        mov     PREVIOUS(%rdi), %rdx
        mov     %rdx, CURRENT(%rcx)
1:      ret
END fringe_leave_current

# intptr_t fringe_resume(void *yielder, intptr_t word)
#   entry: rdi = R, suspended; rsi = word for the body
#   exit:  rax = the body's word, 0 when it has returned (then the mailbox's status says so)
#   It ends in `ret`, since a body that suspends inline makes no `call` that is left open: the last
#   one that the processor saw is the one that called this function.
BEGIN fringe_resume
        SAVE
        xor     %eax, %eax
        UNLESS_EXCHANGING
        SWITCH
        QUICKLY 7f
6:      .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_resume

# intptr_t fringe_resume_call(void *yielder, intptr_t word)
#   entry: rdi = R, not yet started, or suspended in a thunk or in fringe_suspend; rsi = word for
#          the body (a thunk has no use for it)
#   exit:  rax = the number of the thunk that C has called, or the word of fringe_suspend; 0 when
#          the body has returned
#   While it runs, R is the thread's current context. It leaves by `jmp`: the body has called what
#   suspends it, and that `call` is open. In Deno it leaves for V8's machine code at once.
BEGIN fringe_resume_call
        SAVE
        ENTER_CURRENT
        xor     %eax, %eax
        UNLESS_EXCHANGING ignored=FIRST
        SWITCH
        EXACTLY 7f
6:      LEAVE_CURRENT
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMPS
        .cfi_restore_state
        EXCHANGE
END fringe_resume_call

# intptr_t fringe_call(void *yielder, void *globals)
#   entry: rdi = R, which has just been initialised, or whose body has ended;
#          rsi = __cxa_get_globals of the C++ runtime of the function that is called, or 0
#   exit:  as fringe_resume_call
#   Begins the body once more, in the first frame of before, which is written anew: a tenth of what
#   JavaScript needs for fringe_init_caught, with its addresses of 64 bits. The mailbox begins as
#   suspended here, where the frame is there, and not a moment earlier.
#   A body that comes back without having suspended has closed every `call`, so the processor's
#   predictions of `ret` hold: then this leaves by one.
BEGIN fringe_call
        SAVE
        LAY     %rsi
        # The body begins with the control words of now. They are not loaded here, since only
        # EXACTLY will look at them.
        stmxcsr CONTROL(%rdi)
        fnstcw  CONTROL_X87(%rdi)
        mov     MAILBOX(%rdi), %rdx
        xor     %eax, %eax
        mov     %eax, STATUS(%rdx)
        ENTER_CURRENT
        UNLESS_EXCHANGING ignored=FIRST
        SWITCH
        EXACTLY 7f
6:      LEAVE_CURRENT
        mov     MAILBOX(%rdi), %rdx
        cmpl    $RETURNED, STATUS(%rdx)
        .cfi_remember_state
        RESTORE
        jne     1f
        ret
1:      RETURN_BY_JUMPS
        .cfi_restore_state
        EXCHANGE
END fringe_call

# intptr_t fringe_signal(void *yielder, void (*signal)(void *yielder, intptr_t word), intptr_t word)
#   entry: rdi = R, suspended; rsi = what the body is to call in place of going on; rdx = its word
#   exit:  as fringe_resume
#   R is the current context meanwhile: a cleanup may call a callback.
BEGIN fringe_signal
        SAVE
        ENTER_CURRENT
        mov     %rsi, %rax
        mov     %rdx, %rsi
        UNLESS_EXCHANGING ignored=FIRST
        SWITCH
        EXACTLY 7f
6:      LEAVE_CURRENT
        .cfi_remember_state
        RESTORE
        ret
        .cfi_restore_state
        EXCHANGE
END fringe_signal

# uintptr_t fringe_suspend(void *yielder, uintptr_t word)
#   entry: rdi = R, running; rsi = word for the resumer
#   exit:  rax = the resumer's word; or no exit at all, when the generator is being ended
BEGIN fringe_suspend
        SAVE
        mov     %rsi, %rax
        SWITCH
        test    %rax, %rax
        jnz     fringe_signalled
        mov     %rsi, %rax
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP

# A suspended function of this file is told to end: it calls the signal, which does not return. The
# frame is still that of SAVE, so the unwinding goes through it into the function that suspended.
fringe_signalled:
        .cfi_restore_state
        and     $-16, %rsp
        call    *%rax
        ud2
END fringe_suspend

# ARGUMENTS loads those of the mailbox in `mailbox` that are in registers (psABI 3.2.3). al = 8: as
# many vector registers may be in use, as a variadic function must be told. No other one looks.
.macro ARGUMENTS mailbox
        mov     INTEGERS+0(\mailbox), %rdi
        mov     INTEGERS+8(\mailbox), %rsi
        mov     INTEGERS+16(\mailbox), %rdx
        mov     INTEGERS+24(\mailbox), %rcx
        mov     INTEGERS+32(\mailbox), %r8
        mov     INTEGERS+40(\mailbox), %r9
        .set    register, 0
        .irp    xmm, %xmm0, %xmm1, %xmm2, %xmm3, %xmm4, %xmm5, %xmm6, %xmm7
        movsd   FLOATS+8*register(\mailbox), \xmm
        .set    register, register + 1
        .endr
        mov     $8, %eax
.endm

# The thunks: function pointers for C, one for each callback. Each loads its number, by which
# TypeScript knows the callback, into eax (which a callee may destroy: no callback is variadic) and
# goes on in the common part. Both words lie in the table of their data, at the same distance from
# each thunk as the one table has from the other.
#
#   fringe_thunk_table, executed                         fringe_thunk_data, written
#   |                                    |               |                            |
#   | cc cc cc cc        int3, four times|  thunk + 12   |                            |
#   | ff 25 DISTANCE     jmp  *8 + data  |  thunk + 6    | fringe_thunk_common        |  data + 8
#   | 8b 05 DISTANCE     mov  data, %eax |  thunk + 0    | number, and 4 bytes unused |  data + 0
#   lower addresses
#
# How many there will be is not known here. Since no thunk holds an address, they are as good at any
# other place, with other data at that distance. So for more of them thunk.zig maps the page of the
# table once more, and no code is ever written. The table is a page of the smallest size there is,
# or, where pages are larger, a part of one.
#
# No table says how to unwind out of a thunk that was mapped so. None is missed: a thunk is left by
# a jump, so no frame of it is ever below another's.
#
# They have a section of their own. A linker leaves it out of a program that calls no thunks.
#define THUNK_TABLE     4096
#define THUNK_SIZE      16

        .section .text.fringe.thunk, "ax", @progbits
        .balign THUNK_TABLE
BEGIN fringe_thunk_table
        .set    thunk, 0
        .rept   THUNK_TABLE / THUNK_SIZE
        mov     fringe_thunk_data+thunk(%rip), %eax
        jmp     *fringe_thunk_data+thunk+8(%rip)
        .balign THUNK_SIZE, 0xcc
        .set    thunk, thunk + THUNK_SIZE
        .endr
END fringe_thunk_table
        .text
        ZEROS   fringe_thunk_data, THUNK_TABLE

# void *fringe_thunk_write(void *data, uint32_t number)
#   entry: rdi = where the data of a thunk lie; esi = number, not 0
#   exit:  rax = where those of the next one lie
BEGIN fringe_thunk_write
        mov     %esi, (%rdi)
        lea     fringe_thunk_common(%rip), %rax
        mov     %rax, 8(%rdi)
        lea     THUNK_SIZE(%rdi), %rax
        ret
END fringe_thunk_write

# void fringe_errno_found(), called in the frame of SAVE
#   entry: rsp is 8 more than a multiple of 16
#   exit:  rcx = the address of this thread's errno, which FOUND has from now on. rdi, rax and rdx
#          are kept
#   A thread asks its C library once; the variable does not move.
BEGIN fringe_errno_found
        .irp    saved, %rdi, %rax, %rdx, %rdx
        push    \saved
        .cfi_adjust_cfa_offset 8
        .endr
        call    fringe_errno
        CURRENT_ADDRESS %rcx, frame=%rsp
        mov     %rax, FOUND(%rcx)
        mov     %rax, %rcx
        .irp    saved, %rdx, %rdx, %rax, %rdi
        pop     \saved
        .cfi_adjust_cfa_offset -8
        .endr
        ret
END fringe_errno_found
        # Weak, as what thunks call below.
        .weak   fringe_errno
        .hidden fringe_errno

# NOTE_ARGUMENTS writes what a thunk has been called with into a mailbox, in the frame of SAVE:
# eax = number. Destroys rcx, which it has written by then.
.macro NOTE_ARGUMENTS mailbox
        mov     %eax, CALLBACK(\mailbox)
        mov     %rdi, CALLBACK_INTEGERS+0(\mailbox)
        mov     %rsi, CALLBACK_INTEGERS+8(\mailbox)
        mov     %rdx, CALLBACK_INTEGERS+16(\mailbox)
        mov     %rcx, CALLBACK_INTEGERS+24(\mailbox)
        mov     %r8, CALLBACK_INTEGERS+32(\mailbox)
        mov     %r9, CALLBACK_INTEGERS+40(\mailbox)
        .set    register, 0
        .irp    xmm, %xmm0, %xmm1, %xmm2, %xmm3, %xmm4, %xmm5, %xmm6, %xmm7
        movsd   \xmm, CALLBACK_FLOATS+8*register(\mailbox)
        .set    register, register + 1
        .endr
        # Behind the return address that SAVE has put rbp below.
        lea     16(%rbp), %rcx
        mov     %rcx, CALLBACK_STACK(\mailbox)
.endm

# ANSWER loads a struct that a callback is answered with from the mailbox in `mailbox`. Where the
# struct fills one register of a kind, the other may have anything in it.
.macro ANSWER mailbox
        mov     ANSWER_INTEGERS+0(\mailbox), %rax
        mov     ANSWER_INTEGERS+8(\mailbox), %rdx
        movsd   ANSWER_FLOATS+0(\mailbox), %xmm0
        movsd   ANSWER_FLOATS+8(\mailbox), %xmm1
.endm

# What every thunk goes on with.
#   entry: eax = number; the callback's arguments as the ABI passes them (psABI 3.2.3): integers and
#          pointers in six registers, floating-point values in eight, what is left on the stack
#   exit:  rax and xmm0 = the mailbox's input, so that a result of any scalar type is where it
#          belongs; errno as it was at the entry, whatever has run meanwhile. Where TAIL is
#          TAIL_ANSWER the result is a struct in two registers: rax or xmm0, and the next of its
#          kind, rdx or xmm1, or the first of the other (psABI 3.2.3). Or no exit: where the mailbox
#          has another TAIL, this jumps there, and it is as if C had called that
#   Which arguments there are is not known here, so every register is kept. The bits beyond the type
#   of an argument are whatever C left there; who reads it knows the type.
#   Which context suspends: the nearest one that has the mailbox of a call. C may have resumed a
#   generator of its own by fringe_resume_call, so that the generator's context is the current one;
#   the callback belongs to the call around it, and the generator waits with that. Contexts whose
#   resumer is JavaScript (CATCHES) all have such a mailbox; others, if their body is
#   fringe_call_body.
#   It has a name that others see so that a backtrace has one.
BEGIN fringe_thunk_common
        SAVE
        CURRENT_ADDRESS %rbx
        mov     CURRENT(%rbx), %r10
L(current):
        test    %r10, %r10
        jz      fringe_thunk_stray
        cmpq    $0, CATCHES(%r10)
        je      L(inner)
L(called):
        mov     MAILBOX(%r10), %r11
        NOTE_ARGUMENTS %r11
        mov     %r10, %rdi
        # Is this R's stack? Where rsp lies below the limit the difference is large as well.
        mov     %rsp, %rcx
        mov     %rdi, %rdx
        sub     LIMIT(%rdi), %rcx
        sub     LIMIT(%rdi), %rdx
        cmp     %rdx, %rcx
        jae     4f
        # errno waits on this stack. It is the thread's own, and may be another thread's when C goes
        # on (`nonblocking`).
3:      mov     FOUND(%rbx), %rcx
        test    %rcx, %rcx
        jz      5f
2:      mov     (%rcx), %ecx
        push    %rcx
        SWITCH
        test    %rax, %rax
        jnz     fringe_signalled
        pop     %rdx
        CURRENT_ADDRESS %rcx
        mov     FOUND(%rcx), %rcx
        test    %rcx, %rcx
        jz      6f
7:      mov     %edx, (%rcx)
8:      mov     MAILBOX(%rdi), %rcx
        cmpq    $0, TAIL(%rcx)
        jne     L(tail)
        mov     INPUT(%rcx), %rax
        movq    %rax, %xmm0
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP

        .cfi_restore_state
L(inner):
        lea     fringe_call_body(%rip), %r11
        cmp     %r11, BODY(%r10)
        je      L(called)
        mov     PREVIOUS(%r10), %r10
        jmp     L(current)

5:      call    fringe_errno_found
        jmp     2b
6:      call    fringe_errno_found
        jmp     7b

        # A struct is the answer. Or it is a tail call: the frame goes, and the function finds the
        # stack as the thunk has found it. So it may jump out of C's frames, as longjmp does;
        # nothing of this file is below them.
L(tail): mov     %rcx, %r10
        mov     TAIL(%r10), %r11
        movq    $0, TAIL(%r10)
        cmp     $TAIL_ANSWER, %r11
        je      9f
        ARGUMENTS %r10
        .cfi_remember_state
        RESTORE
        jmp     *%r11
        .cfi_restore_state

9:      ANSWER  %r10
        .cfi_remember_state
        RESTORE
        RETURN_BY_JUMP
        .cfi_restore_state

        # This is another stack: that of a generator which C itself resumes, or one that C has made;
        # or one that no callback may be called on, where C has jumped to or a signal is handled.
        # jump.zig tells, and is asked once for each page. Or R is the context of a call that has a
        # thread of its own, for which each stack is another one (thread.zig): then the thread has
        # waited here, and where the answer is there nothing is switched.
4:      cmpq    $0, LIMIT(%rdi)
        je      3b
        mov     %rsp, %rcx
        shr     $12, %rcx
        cmp     %rcx, JUDGED(%rdi)
        je      3b
        mov     %rcx, JUDGED(%rdi)
        mov     %rdi, %r14
        mov     %eax, %r12d
        mov     %rsp, %r13
        and     $-16, %rsp
        call    fringe_judge_stack
        mov     %r13, %rsp
        mov     %r14, %rdi
        test    %al, %al
        jnz     8b
        mov     %r12d, %eax
        jmp     3b
        # Weak, since only the shared library has them: a native program calls no thunks.
        .weak   fringe_judge_stack
        .hidden fringe_judge_stack
        .weak   fringe_stray_callback
        .hidden fringe_stray_callback
        # No call of fringe's is on this thread, so there is nothing to suspend. The thread itself
        # waits, where the callback may be called by any (foreign_callback.zig): it has a mailbox on
        # its own stack. Nothing is switched, so the return predictor is right.
        #
        #      | frame of SAVE          |
        #      | (padding)              |
        #      | mailbox                |  <- rsp, a multiple of 16 at the call (psABI 3.2.2)
        #
fringe_thunk_stray:
        sub     $STACK, %rsp
        and     $-16, %rsp
        mov     %rsp, %r11
        NOTE_ARGUMENTS %r11
        movq    $0, TAIL(%rsp)
        mov     %r11, %rdi
        call    fringe_stray_callback
        mov     INPUT(%rsp), %rax
        movq    %rax, %xmm0
        cmpq    $TAIL_ANSWER, TAIL(%rsp)
        jne     1f
        ANSWER  %rsp
1:      lea     -40(%rbp), %rsp
        RESTORE
        ret
END fringe_thunk_common

# The body of a call: puts the mailbox's arguments where the ABI has them and calls the function in
# it.
#   entry: rdi = R
#   Where errno is wanted C begins with 0 in it, as strtol(3) and readdir(3) want it, and what is
#   there at its return is noted before anything else can run.
#
#      | return address         |
#      | caller's rbp           |  <- rbp
#      | rbx                    |
#      | padding                |
#      | (padding)              |  where STACK_COUNT is odd, or a struct is aligned to more
#      | words of the mailbox   |  <- rsp, a multiple of 16 at the call (psABI 3.2.2), or of more
#
BEGIN fringe_call_body
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_offset %rbx, -24
        sub     $8, %rsp
        mov     MAILBOX(%rdi), %rbx
        mov     STACK_COUNT(%rbx), %rcx
        test    %rcx, %rcx
        jz      1f
        lea     1(%rcx), %rax
        and     $-2, %rax
        shl     $3, %rax
        sub     %rax, %rsp
        mov     STACK_MASK(%rbx), %rax
        not     %rax
        and     %rax, %rsp
        lea     STACK(%rbx), %rsi
        mov     %rsp, %rdi
        rep movsq
1:      cmpl    $0, WANTS_ERRNO(%rbx)
        je      2f
        call    fringe_errno
        movl    $0, (%rax)
2:      ARGUMENTS %rbx
        call    *FUNCTION(%rbx)
        # The result is in one of them, or, if it is a struct, in two; who reads it knows the type.
        mov     %rax, OUTPUT(%rbx)
        movsd   %xmm0, OUTPUT_FLOAT(%rbx)
        mov     %rdx, OUTPUT_SECOND(%rbx)
        movsd   %xmm1, OUTPUT_MORE_FLOATS(%rbx)
        cmpl    $0, WANTS_ERRNO(%rbx)
        je      3f
        call    fringe_errno
        mov     (%rax), %eax
        mov     %eax, ERRNO(%rbx)
3:
        lea     -8(%rbp), %rsp
        pop     %rbx
        .cfi_same_value %rbx
        pop     %rbp
        .cfi_same_value %rbp
        .cfi_def_cfa %rsp, 8
        ret
END fringe_call_body

# The frame below every body. To an unwinder it is an ordinary frame with a frame pointer, rbp = R,
# called from fringe_root: the caller's rbp is link, and its return address the word above it.
# Its name and fringe_root's are exported for the eyes of debuggers and profilers only.
#
#   CFA = R + 16; caller's rbp at CFA - 16 = R + LINK; return address at CFA - 8 = R + RETURN
#
# An exception that comes by asks fringe_personality (exception.zig). Where it is to be caught, it
# goes on at fringe_trampoline_caught. 0x9b is DW_EH_PE_indirect (0x80), DW_EH_PE_pcrel (0x10) and
# DW_EH_PE_sdata4 (0x0b): the address lies in L(personality), and is 0 where nobody has one.
.macro TRAMPOLINE_TABLE
        .cfi_personality 0x9b, PERSONALITY
        .cfi_def_cfa %rbp, 16
        .cfi_offset %rbp, -16
.endm

BEGIN fringe_trampoline
        TRAMPOLINE_TABLE
        nop                             # Unwinders look an address up one byte below it.
        LABEL   fringe_trampoline_begin, TRAMPOLINE_TABLE
        # Arrived from the first resume: rsp = rbp = R, rax = 0 or a signal. A body that has not
        # begun has nothing to unwind.
        ARRIVE
        test    %rax, %rax
        jnz     L(never_begun)
        # The first input as the second argument, in the register of either class: the mailbox has
        # it whatever its type (resumes after the first pass a word in rsi).
        mov     MAILBOX(%rbp), %rax
        mov     INPUT(%rax), %rsi
        movsd   INPUT(%rax), %xmm0
        mov     BODY(%rbp), %rax
L(call): call    *%rax
        LABEL   fringe_trampoline_return, TRAMPOLINE_TABLE
        # While a body runs its link leads to another stack. If link leads into this one the body
        # was suspended, and C has jumped into its frames. An unknown limit tells nothing.
        mov     LIMIT(%rbp), %rdx
        test    %rdx, %rdx
        jz      2f
        mov     LINK(%rbp), %rcx
        mov     %rbp, %rax
        sub     %rdx, %rcx
        sub     %rdx, %rax
        cmp     %rax, %rcx
        jb      L(jumped)
2:      mov     $RETURNED, %ecx
        jmp     L(finished)
L(jumped):
        call    fringe_jumped
        ud2
        .weak   fringe_jumped
        .hidden fringe_jumped
L(never_begun):
        mov     $UNWOUND, %ecx
L(finished):
        mov     MAILBOX(%rbp), %rdx
        mov     %ecx, STATUS(%rdx)
        # Whoever resumes a finished body is sent straight back, for ever, with the status as it
        # was.
L(parked):
        mov     %rbp, %rdi
        xor     %eax, %eax
        SWITCH_FOR_GOOD
        jmp     L(parked)

# An exception has been caught here, and the frames of the body are gone: rsp = rbp = R, as after
# the return of the body; rax = the exception. Now fringe_caught (exception.zig) is called, in place
# of the body, which tells the resumer and does not return.
        LABEL   fringe_trampoline_caught, TRAMPOLINE_TABLE
        .weak   fringe_caught
        .hidden fringe_caught
        mov     %rbp, %rdi
        mov     %rax, %rsi
        mov     fringe_caught@gotpcrel(%rip), %rax
        jmp     L(call)
END fringe_trampoline

# void fringe_finish(void *yielder, int32_t status), which does not return
#   entry: R is running, on whatever stack; rdi = R; esi = status
#   Forgets the frames of the body and hands over as if it had returned.
BEGIN fringe_finish
        .cfi_undefined %rip
        mov     %rdi, %rbp
        mov     %rdi, %rsp
        mov     %esi, %ecx
        jmp     L(finished)
END fringe_finish

# void fringe_aside(void *yielder, uintptr_t word), which does not return
#   entry: the body calls it in place of going on, as fringe_signal has it do; so it begins on the
#          stack of the suspended function. rdi = R; rsi = where the address of a function f(R, rsi)
#          lies, which does not return either
#   Calls f on the stack of the resumer, below its record, while the table says that the suspended
#   function has called. So f, which may be an unwinder, sees the frames of the body below itself,
#   and needs no room on their stack. The two words that this function has there, its return address
#   and rbx, lie where the record of the suspended function was, or close below.
#
#      resumer's stack:                      stack of the suspended function:
#      | frames of the resumer  |            | suspended function     |  <- CFA = rbx + 16
#      | red zone               |            | return address         |  rbx + 8
#      | record                 |  <- link   | rbx                    |  <- rbx
#      | (padding)              |
#      | frame of f             |
#
#   R keeps running: link stays the resumer's record, and the body may switch to it at any time, be
#   it from a cleanup. f's frames are gone then.
BEGIN fringe_aside
        push    %rbx
        .cfi_def_cfa_offset 16
        .cfi_offset %rbx, -16
        mov     %rsp, %rbx
        .cfi_def_cfa_register %rbx
        mov     LINK(%rdi), %rsp
        and     $-16, %rsp              # psABI 3.2.2
        call    *(%rsi)
        ud2
END fringe_aside

# int fringe_trace(void *link, int (*backtrace)(), int (*visit)(), void *argument)
#   entry: rdi = link of a suspended body; rsi = _Unwind_Backtrace; rdx, rcx = its arguments
#   exit:  eax = its result
#   It visits this function, and then the frames of the body: the table says that the body was what
#   has called. Nothing runs on the body's stack.
#
#   CFA = rbx + SUSPENDED, the body's rsp; its rbp at CFA - SUSPENDED, its address above that
BEGIN fringe_trace
        .cfi_signal_frame
        push    %rbx
        .cfi_def_cfa_offset 16
        .cfi_offset %rbx, -16
        mov     %rdi, %rbx
        mov     %rsi, %rax
        mov     %rdx, %rdi
        mov     %rcx, %rsi
        .cfi_remember_state
        .cfi_def_cfa %rbx, SUSPENDED
        .cfi_same_value %rbx
        .cfi_offset %rbp, -SUSPENDED
        .cfi_offset %rip, -SUSPENDED + 8
        call    *%rax
        .cfi_restore_state
        pop     %rbx
        .cfi_same_value %rbx
        .cfi_def_cfa_offset 8
        ret
END fringe_trace

# The frame between two stacks. In it rbp is a record, because the trampoline's saved rbp is link:
#
#   CFA = rbp + SUSPENDED, the resumer's rsp; its rbp at CFA - SUSPENDED, its address above that
#
#  - It is a signal frame: the resumer was left by a `jmp`, its address is where it goes on and not
#    behind a `call`. gdb also refuses a caller whose frame lies below its callee's ("previous frame
#    inner to this frame"), as it may with two stacks, except across a signal frame.
#  - Unwinders look a return address up one byte below it, hence the `nop`.
.macro ROOT_TABLE
        .cfi_signal_frame
        .cfi_def_cfa %rbp, SUSPENDED
        .cfi_offset %rbp, -SUSPENDED
        .cfi_offset %rip, -SUSPENDED + 8
.endm

BEGIN fringe_root
        ROOT_TABLE
        nop
        LABEL   fringe_root_return, ROOT_TABLE
        ud2
END fringe_root

        .weak   fringe_personality
        .hidden fringe_personality
#ifndef __MACH__
        .section .data.rel.ro.fringe, "aw", @progbits
        .balign 8
L(personality):
        .quad   fringe_personality
#endif

        .section .rodata.fringe, "a", @progbits
        .balign 16
L(augends):                                      # 1, -1, 3/2 m, m
        .long   0x3f800000, 0xbf800000, 0x00c00000, 0x00800000
L(addends):                                      # 3/4 u, -3/4 u, -m, d
        .long   0x33c00000, 0xb3c00000, 0x80800000, 0x00000001

# The context that a thunk suspends: the one whose call this thread is in, or 0. The word behind it
# is where this thread's errno is, or 0 (FOUND).
#ifdef __MACH__
        THREAD_LOCAL fringe_current
#else
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
#endif

        .section .note.GNU-stack, "", @progbits
