// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Chooses the operating system that fringe is built for. A system is known in one file,
//! `os/<os>.zig`, and in no other; `<os>` is Zig's name for it, such as `linux`. A new system is
//! that file and one line in the `switch` below. It declares:
//!
//!     is_there             whether there is a system at all; without one there are no OsStacks
//!     page_size            what memory is mapped in, at least: a multiple of it
//!     pageSize             what memory is mapped in; asked of the system where it may vary
//!     map                  maps memory for a `Purpose`: zeros, to be read and written
//!     guard                has each access to some pages fault: `pieces_max` of them at most
//!     mapAgain             maps the page that code of the library's own lies in once more, in
//!                          place of `memory`; `name` is the loader's name for the library
//!     makeExecutable       has memory be read and executed, and no longer written
//!     makeStackExecutable  has a stack be executed as well
//!     unmap                the other end of `map`
//!     mappingsLeft         how many more mappings the process may have, where a guard takes some;
//!                          null: a guard takes none, or there is no limit
//!     discard              gives memory back to the system, and leaves it mapped: as many pieces
//!     tryRead              reads memory that may not be there
//!     writeError           writes to stderr
//!     errnoLocation        where the running thread's errno is
//!     handleFaults         has a `FaultHandler` see each fault of the process; called again, puts
//!                          it on top again where another one that cannot see overflows is there
//!     leaveHandler         says that a frame is unwound, which may be the handler of a signal
//!     isOnSignalStack      says whether the running code is on the thread's alternate signal stack
//!     setSignalStack       gives this thread an alternate signal stack
//!     wait                 sleeps while a word has a value, so many seconds at most; may come back
//!                          early
//!     wake                 wakes all threads that sleep so
//!     refusals             has the system refuse what it is asked for, in tests
//!
//! A native generator alone needs less: freestanding.zig declares how little. All of it may be
//! called in a signal handler. What asks the system for something in good order fails with
//! `Refusal`, and then nothing has changed.

const std = @import("std");
const builtin = @import("builtin");
const Machine = @import("../arch/arch.zig").arch.Machine;

pub const os = switch (builtin.os.tag) {
    .linux => @import("linux.zig"),
    .macos => @import("macos.zig"),
    .freebsd => @import("freebsd.zig"),
    .freestanding => @import("freestanding.zig"),
    .windows => @compileError(@import("windows.zig").refusal),
    else => |other| @compileError("fringe has not been ported to " ++ @tagName(other) ++
        " yet. Write native/os/" ++ @tagName(other) ++ ".zig, and name it in native/os/os.zig"),
};

/// Why a system does not give what it is asked for: there is no more memory (or there are no more
/// mappings for this process), or a policy forbids it.
pub const Refusal = error{ OutOfMemory, Refused };

/// How many pieces of memory a system may be told of in one call.
pub const pieces_max = 64;

/// What memory is mapped for.
pub const Purpose = enum {
    /// To be filled at once.
    data,
    /// A large table, most of which is never touched: that part costs addresses, and no memory.
    table,
    /// A stack: like a table, and never of huge pages, of which the first touch would commit one.
    stack,
};

/// Looks at a fault: code has accessed `address`, where it must not, and stands where `machine`
/// says. Returns true if the code is to go on, as `machine` says by then; false passes the fault to
/// whoever had handled faults before.
pub const FaultHandler = *const fn (address: usize, machine: *Machine) bool;

/// How often a `FaultHandler` may come on top of others. A library that handles faults itself, and
/// not on the alternate signal stack, hides overflows: the system has no stack then on which it
/// could tell of one, and ends the process (sigaction(2), SA_ONSTACK). fringe's handler comes on
/// top again when the next library is opened, and each time by another function: the one below has
/// an end then, though each handler passes on what it does not know.
///
///     the system -> fringe's 2nd function -> the library's -> fringe's 1st function -> Deno's
pub const layers_max = 8;

/// The fault that a layer passes on, of which a lower one is told once more. It is known by where
/// the system has put its description.
pub const PassedOn = struct {
    description: std.atomic.Value(usize) = .init(0),

    /// The lowest layer has no other below it.
    pub fn note(self: *PassedOn, layer: usize, description: *const anyopaque) void {
        if (layer > 0) self.description.store(@intFromPtr(description), .monotonic);
    }

    /// Says whether it is that fault, once.
    pub fn take(self: *PassedOn, description: *const anyopaque) bool {
        const wanted = @intFromPtr(description);
        return self.description.cmpxchgStrong(wanted, 0, .monotonic, .monotonic) == null;
    }

    /// The next fault's may lie at the same place.
    pub fn forget(self: *PassedOn, description: *const anyopaque) void {
        _ = self.take(description);
    }
};
