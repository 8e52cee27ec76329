// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Windows is refused, as libfringe refused it, and this is why. It has not changed since:
//!
//!  * A thread's stack lies between StackBase and StackLimit of the thread's TEB (`NT_TIB` of
//!    <winnt.h>). Where an exception finds the stack pointer or a frame elsewhere, no handler is
//!    called, and the process ends. C++ exceptions and unwinding are of this kind.
//!  * Stacks grow by a guard page, which the system moves down with StackLimit. How far it may go
//!    is in DeallocationStack and GuaranteedStackBytes, for which there is no documentation.
//!  * So whoever moves the stack pointer has to write over all of these at each switch, and to hope
//!    that the next version of Windows has no more of them. Others do so.
//!  * What Windows does allow are fibers (CreateFiberEx, SwitchToFiber). They could carry a port,
//!    at their own price for a switch, and on stacks that the system makes. Nobody has written it.
//!
//! `ffi/library/runtime.ts` says the same to JavaScript; a test compares the two.

pub const refusal = "fringe does not run on Windows: its ABI keeps the stack pointer within the " ++
    "stack that the system has given to the thread. The bounds are in the TEB, in part without " ++
    "documentation; Windows dispatches exceptions and commits pages of the stack by them, and " ++
    "fringe does not write over them. Use Linux; on a machine with Windows, in WSL";
