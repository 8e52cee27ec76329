// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! C that has been told to stop may go on for ever all the same, and JavaScript waits for it: it
//! can say nothing then. So a thread of fringe's own says so, once:
//!
//!     JavaScript   begin .. C runs .. step .. asks a `stop` .. step .. C runs .. end
//!     count              1                 2                      3
//!     watchdog                sleeps for some seconds, and looks: still the same odd number?
//!
//! One call of the process is watched at a time; a second one that is ended meanwhile is not.
//! Nobody wakes the watchdog while there is something to watch: a step is one addition.

const std = @import("std");
const loader = @import("../unwind/loader.zig");
const os = @import("../os/os.zig").os;
const OsStack = @import("../stack/os_stack.zig").OsStack;
const Text = @import("../unwind/text.zig").Text;
const threads = @import("../os/threads.zig");

/// For so long C may neither call back nor return before the watchdog says so.
const seconds = 5;

const Word = std.atomic.Value(u32);

/// Whether a call is watched.
var is_taken: Word = .init(0);
/// Odd while C of that call runs.
var count: Word = .init(0);
/// Rises with each call that is watched; the watchdog sleeps by it while there is none.
var bell: Word = .init(0);
var is_asleep: Word = .init(0);
/// Whether the watchdog has been made, or cannot be.
var is_made: Word = .init(0);
/// Where C of that call had called back when it was told first, and the function that was called. A
/// walk of all frames would take longer than to end the call.
var place: usize = 0;
var function: usize = 0;

fn make() void {
    if (is_made.swap(1, .monotonic) != 0) return;
    // It is never unmapped: the watchdog does not end before the process.
    const stack = OsStack.init(128 * 1024) catch return;
    const ends = stack.stack().stack;
    loader.keep(@intFromPtr(&watch));
    _ = threads.start(ends.limit, ends.base - ends.limit, &watch, &bell) catch return;
}

fn watch(_: *anyopaque) callconv(.c) ?*anyopaque {
    var told: u32 = 0;
    while (true) {
        const rung = bell.load(.seq_cst);
        if (is_taken.load(.seq_cst) == 0) {
            is_asleep.store(1, .seq_cst);
            if (is_taken.load(.seq_cst) == 0) os.wait(&bell, rung, null);
            is_asleep.store(0, .seq_cst);
            continue;
        }
        const before = count.load(.acquire);
        os.wait(&count, before, seconds);
        const is_same = before == count.load(.acquire) and is_taken.load(.acquire) != 0;
        if (is_same and before % 2 == 1 and told != rung) {
            told = rung;
            say();
        }
    }
}

fn say() void {
    var text: Text = .{};
    text.add("fringe: C has been told its stop, and for ");
    text.addNumber(seconds, 10);
    text.add(" seconds it has neither called back nor returned, so the program waits for it." ++
        " Let the stop be an answer upon which it ends, or a function that answers by" ++
        " tailCall(); without a stop its frames are unwound. It was told in this call:\n    ");
    text.addFrame(place, true);
    text.add("\n    ");
    text.addFrame(function, false);
    text.add("\n");
    text.write();
}

// C ABI

/// C is about to go on, having been told its stop. `arguments` is where the arguments of the
/// callback that waits are on the stack; its return address lies below them, on each architecture.
/// Says whether C is watched; then `step` and `end` are to be called.
pub fn begin(arguments: usize, called: usize) callconv(.c) bool {
    if (is_taken.cmpxchgStrong(0, 1, .seq_cst, .monotonic) != null) return false;
    place = @as(*const usize, @ptrFromInt(arguments - @sizeOf(usize))).*;
    function = called;
    _ = count.fetchAdd(1, .release);
    _ = bell.fetchAdd(1, .seq_cst);
    make();
    if (is_asleep.load(.seq_cst) != 0) os.wake(&bell);
    return true;
}

/// C has come back, or goes on again.
pub fn step() callconv(.c) void {
    _ = count.fetchAdd(1, .release);
}

/// C has come back, and is watched no more.
pub fn end() callconv(.c) void {
    if (count.load(.monotonic) % 2 == 1) step();
    is_taken.store(0, .seq_cst);
}
