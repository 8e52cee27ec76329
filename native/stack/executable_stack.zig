// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Makes a stack executable, where a program asks for that.
//!
//! gcc calls a nested function of GNU C, whose address is taken, by way of a few instructions that
//! it writes to the stack. A library that does so is marked: its program header PT_GNU_STACK has
//! the flag PF_X, or it has no such header. When glibc opens a marked library, it makes the stacks
//! of all threads executable. (From 2.41 on it refuses to open such a library, unless it was told
//! otherwise.)
//!
//! Many marked libraries never execute anything on a stack: they have assembly in which somebody
//! has forgotten `.note.GNU-stack`. So nothing is refused, and no stack is made executable before
//! there is need: the processor refuses to execute the first instruction on a stack, and the
//! handler of that fault (overflow.zig) asks here. Where no library is marked, the fault stays one.

const guards = &@import("guard_table.zig").guards;
const loader = @import("../unwind/loader.zig");
const os = @import("../os/os.zig").os;

/// The processor has refused to execute what lies at `address`, where the stack pointer was `sp`.
/// Says whether the processor now will.
pub fn allow(address: usize, sp: usize) bool {
    const guarded = guards.around(address) orelse {
        // The memory of other stacks is not fringe's: neighbours would become executable, too.
        if (address -% sp < near and loader.isExecutableStackWanted()) os.writeError(what ++
            "that is no OsStack. If it is an OwnedStack or a SliceStack, use an OsStack: only " ++
            "that becomes executable\n");
        return false;
    };
    const limit = guarded.limit;
    if (address < limit or !loader.isExecutableStackWanted()) return false;
    // The guard stays as it is.
    const start: [*]align(os.page_size) u8 = @ptrFromInt(limit);
    if (os.makeStackExecutable(start[0 .. guarded.base - limit])) return true else |_| {}
    os.writeError(what ++ "which the system refuses to make executable (mprotect). Build the " ++
        "library without such functions, or have the system allow it\n");
    return false;
}

const what = "fringe: C has called a nested function, for which gcc has put code on a stack ";

/// How far above the stack pointer code is taken for code on the stack.
const near = 1024 * 1024;
