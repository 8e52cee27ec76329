// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What native code keeps for each Worker of Deno's, the main one among them: a Worker is a thread
//! with a V8 of its own. When that thread ends, as it does once the Worker has been terminated,
//! nobody is left to answer those who wait for it. So they are told. Nobody is left either to go on
//! with what is suspended, so the stacks go.

const std = @import("std");
const foreign_callback = @import("foreign_callback.zig");
const GuardTable = @import("../stack/guard_table.zig").GuardTable;
const loader = @import("../unwind/loader.zig");
const Lock = @import("lock.zig").Lock;
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;
const slab = @import("../stack/slab.zig");
const Thread = @import("thread.zig").Thread;
const threads = @import("../os/threads.zig");

pub const Worker = struct {
    /// The threads that run calls of this Worker. Only its own thread touches the list.
    calls: ?*Thread = null,
    /// The stacks that TypeScript has mapped here.
    stacks: GuardTable.Owner = .{},
    /// The threads of C's that wait for it.
    queue: foreign_callback.Queue = .{},
    /// Who has the address: its own thread, and those that wait for requests to come.
    holders: std.atomic.Value(u32) = .init(1),

    /// The Worker whose thread this is; null: it is no Worker's, or has not been asked for before.
    pub fn known() ?*Worker {
        const local = get() catch return null;
        return @ptrCast(@alignCast(local.get() orelse return null));
    }

    /// The Worker whose thread this is.
    pub fn current() Refusal!*Worker {
        if (known()) |found| return found;
        const local = try get();
        const memory = try os.map(@sizeOf(Worker), .data);
        errdefer os.unmap(memory) catch {};
        const self: *Worker = @ptrCast(memory);
        self.* = .{};
        try local.set(self);
        return self;
    }

    /// The thread ends.
    fn atEnd(word: *anyopaque) callconv(.c) void {
        const self: *Worker = @ptrCast(@alignCast(word));
        while (self.calls) |thread| {
            self.remove(thread);
            thread.abandon();
        }
        foreign_callback.leave(self);
        slab.unmapAll(&self.stacks);
        self.release();
    }

    pub fn hold(self: *Worker) void {
        _ = self.holders.fetchAdd(1, .monotonic);
    }

    pub fn release(self: *Worker) void {
        if (self.holders.fetchSub(1, .acq_rel) > 1) return;
        const memory: [*]align(os.page_size) u8 = @ptrCast(@alignCast(self));
        os.unmap(memory[0..@sizeOf(Worker)]) catch {};
    }

    pub fn add(self: *Worker, thread: *Thread) void {
        thread.previous = null;
        thread.next = self.calls;
        if (self.calls) |next| next.previous = thread;
        self.calls = thread;
    }

    pub fn remove(self: *Worker, thread: *Thread) void {
        if (thread.next) |next| next.previous = thread.previous;
        if (thread.previous) |previous| previous.next = thread.next else self.calls = thread.next;
    }
};

var lock: Lock = .{};
var made: ?threads.Local = null;

fn get() Refusal!threads.Local {
    lock.take();
    defer lock.give();
    if (made == null) {
        // A Worker closes its libraries before its thread ends.
        loader.keep(@intFromPtr(&Worker.atEnd));
        made = try .init(&Worker.atEnd);
    }
    return made.?;
}
