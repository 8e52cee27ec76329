// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What native code keeps for each Worker of Deno's, the main one among them: a Worker is a thread
//! with a V8 of its own. When that thread ends, as it does once the Worker has been terminated,
//! nobody is left to answer those who wait for it. So they are told.

const Lock = @import("lock.zig").Lock;
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;
const Thread = @import("thread.zig").Thread;
const threads = @import("../os/threads.zig");

pub const Worker = struct {
    /// The threads that run calls of this Worker. Only its own thread touches the list.
    calls: ?*Thread = null,

    /// The Worker whose thread this is.
    pub fn current() Refusal!*Worker {
        const local = try get();
        if (local.get()) |known| return @ptrCast(@alignCast(known));
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
        const memory: [*]align(os.page_size) u8 = @ptrCast(@alignCast(word));
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
    if (made == null) made = try .init(&Worker.atEnd);
    return made.?;
}
