/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What switch_<arch>.S includes where objects are Mach-O, the format of Apple's systems. Those
 * files are written for ELF. Here ELF's words are given Mach-O's meaning, so that the files stay as
 * they are:
 *
 *     switch_<arch>.S              ELF                        Mach-O
 *     fringe_init                  fringe_init                _fringe_init, as C's names are there
 *     BEGIN, END                   a function, with its size  a function
 *     .hidden                      seen by this library       .private_extern, the same
 *     .weak                        null, if nobody has it     a place that nobody goes to
 *     .section .rodata.fringe      read-only data             __TEXT,__const
 *     .section .note.GNU-stack     no code on stacks          no need to say so
 *     PERSONALITY                  where its address lies     the function: the linker makes that
 *     CURRENT_ADDRESS              an offset from %fs         what the variable's own function says
 *
 * An architecture has its part of CURRENT_ADDRESS, and what comes of __cxa_get_globals, in its own
 * file. */
#ifndef FRINGE_MACHO_H
#define FRINGE_MACHO_H

/* The names of C begin with an underscore. A name that is missing here is missed by the linker. */
#define fringe_aside                    _fringe_aside
#define fringe_call_body                _fringe_call_body
#define fringe_caught                   _fringe_caught
#define fringe_current                  _fringe_current
#define fringe_cxa_get_globals          _fringe_cxa_get_globals
#define fringe_errno                    _fringe_errno
#define fringe_errno_found              _fringe_errno_found
#define fringe_exchange                 _fringe_exchange
#define fringe_exchange_control         _fringe_exchange_control
#define fringe_finish                   _fringe_finish
#define fringe_init                     _fringe_init
#define fringe_init_caught              _fringe_init_caught
#define fringe_judge_stack              _fringe_judge_stack
#define fringe_jumped                   _fringe_jumped
#define fringe_leave_current            _fringe_leave_current
#define fringe_personality              _fringe_personality
#define fringe_resume                   _fringe_resume
#define fringe_call                     _fringe_call
#define fringe_resume_call              _fringe_resume_call
#define fringe_root                     _fringe_root
#define fringe_root_return              _fringe_root_return
#define fringe_signal                   _fringe_signal
#define fringe_stray_callback           _fringe_stray_callback
#define fringe_suspend                  _fringe_suspend
#define fringe_thunk_common             _fringe_thunk_common
#define fringe_thunk_data               _fringe_thunk_data
#define fringe_thunk_table              _fringe_thunk_table
#define fringe_thunk_write              _fringe_thunk_write
#define fringe_trace                    _fringe_trace
#define fringe_trampoline               _fringe_trampoline
#define fringe_trampoline_begin         _fringe_trampoline_begin
#define fringe_trampoline_caught        _fringe_trampoline_caught
#define fringe_trampoline_return        _fringe_trampoline_return

/* Labels that no symbol is made of. Any other one would begin a new piece of code, which the linker
 * may move, and across which no table may count bytes. */
#define L(name) L##name
#define fringe_signalled L(fringe_signalled)
#define fringe_thunk_stray L(fringe_thunk_stray)

/* Apple's linkers make compact entries of simple tables (__TEXT,__unwind_info), which hold for the
 * calls of a function only, not for each of its instructions. A table that says anything unusual,
 * such as the escape here, which is DW_CFA_nop, is kept as it is, in __TEXT,__eh_frame. */
.macro BEGIN name
        .balign 16
        .globl  \name
\name:
        .cfi_startproc
        .cfi_escape 0x00
.endm

.macro END name
        .cfi_endproc
.endm

.macro .hidden name
        .private_extern \name
.endm

/* To the linker each symbol begins a function, and a function without a table ends a walk. So this
 * one has the table over again. */
.macro LABEL name, table
        .cfi_endproc
        .globl  \name
        .private_extern \name
\name:
        .cfi_startproc
        .cfi_escape 0x00
        \table
.endm

/* The linker refuses a program that refers to what nobody defines. The strong definition comes
 * first where there is one; where there is none the program never gets here. */
        .const
Lnobody:
        .quad   0
.macro .weak name
        .globl  \name
        .weak_definition \name
        .set    \name, Lnobody
.endm

/* The sections of ELF that are used. The personality routine, whose address ELF's tables refer to,
 * and the variable of each thread are made below. */
.macro .section name, flags, type
        .ifc    \name, .rodata.fringe
        .const
        .endif
.endm

.macro ZEROS name, bytes
        .private_extern \name
        .globl  \name
        .zerofill __DATA, __bss, \name, \bytes, 4
.endm

/* 0x9b as the encoding of a personality routine (DW_EH_PE_indirect, DW_EH_PE_pcrel,
 * DW_EH_PE_sdata4) has the linker make the word that the address lies in. */
#define PERSONALITY fringe_personality

/* A variable of each thread, of two words. It is known by three words, of which the first is a
 * function that is passed their address and returns that of the variable of the running thread. It
 * destroys no other register than those that the architecture's CURRENT_ADDRESS names. */
.macro THREAD_LOCAL name
        .tbss   \name\()$tlv$init, 16, 3
        .tlv
        .balign 8
        .private_extern \name
        .globl  \name
\name:
        .quad   __tlv_bootstrap
        .quad   0
        .quad   \name\()$tlv$init
.endm

#endif
