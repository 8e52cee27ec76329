// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Threads, as POSIX has them: the same on each system that there is a Deno for. What is needed of
//! them is weak, as in unwinder.zig, since fringe's library is linked with no libc; a process such
//! as Deno's has one.

const std = @import("std");
const Refusal = @import("os.zig").Refusal;

/// `pthread_t`: a pointer or a number, of the size of either.
pub const Handle = usize;

pub const Function = *const fn (argument: *anyopaque) callconv(.c) ?*anyopaque;

/// `pthread_attr_t` has at most 64 bytes where there is a Deno.
const Attributes = extern struct { bytes: [128]u8 align(16) };

/// Begins a thread on a stack of the caller's, who keeps the memory until `join`. Below `limit` it
/// has to have a guard of its own: the system makes none.
pub fn start(
    limit: usize,
    size: usize,
    function: Function,
    argument: *anyopaque,
) Refusal!Handle {
    var attributes: Attributes = undefined;
    const isComplete = create != null and initialize != null and setStack != null and join_ != null;
    if (!isComplete or initialize.?(&attributes) != 0) return error.Refused;
    var handle: Handle = 0;
    if (setStack.?(&attributes, limit, size) != 0) return error.Refused;
    return switch (create.?(&handle, &attributes, function, argument)) {
        0 => handle,
        // EAGAIN: no more threads, or no memory for what the system keeps of one.
        else => error.OutOfMemory,
    };
}

/// Waits for the end of a thread. False: nobody can, since it has detached itself.
pub fn join(handle: Handle) bool {
    return join_.?(handle, null) == 0;
}

/// What a thread has of its own: a word, and what is done with it when the thread ends, be it by
/// pthread_exit(3) or pthread_cancel(3).
pub const Local = struct {
    /// `pthread_key_t` is an integer of at most this size. The lower bytes come first where there
    /// is a Deno, and each integer is passed in a register of its own.
    key: usize = 0,

    /// `atEnd` is called with the word of each thread that has one.
    pub fn init(atEnd: *const fn (word: *anyopaque) callconv(.c) void) Refusal!Local {
        var local: Local = .{};
        const makeKey = createKey orelse return error.Refused;
        if (getSpecific == null or setSpecific == null) return error.Refused;
        if (makeKey(&local.key, atEnd) != 0) return error.OutOfMemory;
        return local;
    }

    pub fn get(self: Local) ?*anyopaque {
        return getSpecific.?(self.key);
    }

    pub fn set(self: Local, word: ?*anyopaque) Refusal!void {
        if (setSpecific.?(self.key, word) != 0) return error.OutOfMemory;
    }
};

var create = weak(
    fn (handle: *Handle, attributes: *const Attributes, Function, *anyopaque) callconv(.c) c_int,
    "pthread_create",
);
var join_ = weak(fn (handle: Handle, result: ?*anyopaque) callconv(.c) c_int, "pthread_join");
var initialize = weak(fn (attributes: *Attributes) callconv(.c) c_int, "pthread_attr_init");
var setStack = weak(
    fn (attributes: *Attributes, limit: usize, size: usize) callconv(.c) c_int,
    "pthread_attr_setstack",
);
var createKey = weak(
    fn (key: *usize, atEnd: *const fn (*anyopaque) callconv(.c) void) callconv(.c) c_int,
    "pthread_key_create",
);
var getSpecific = weak(fn (key: usize) callconv(.c) ?*anyopaque, "pthread_getspecific");
var setSpecific = weak(
    fn (key: usize, word: ?*anyopaque) callconv(.c) c_int,
    "pthread_setspecific",
);

fn weak(comptime T: type, comptime name: []const u8) ?*const T {
    return @extern(?*const T, .{ .name = name, .linkage = .weak });
}
