// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Calls that have a thread of their own, from the first instruction to the last: what TypeScript
//! has as `nonblocking: "thread"`. C runs on the thread's own stack, as POSIX threads have it:
//! thread-local variables, locks and the bounds of the stack are what C counts on.
//!
//! The stack is like any stack of fringe's, with a guard below it, and a thread is made on it:
//!
//!     base   | Thread                     |
//!            | room for TypeScript        |  the mailbox, and copies of strings and buffers
//!            | what libc keeps of it      |
//!            | serve(), which does as     |
//!            |   it is told               |
//!            | gap                        |  for what serve() calls while C is suspended
//!            | context R                  |  <- `base` of the call
//!            | frames of C                |
//!     limit  :                            :
//!            | guard                      |
//!
//! Two sides take turns: the thread, and whoever has told it what to do (`Turn`). They sleep while
//! it is not their turn.
//!
//!     JavaScript   go() .. wait()           .. go() .. wait()          ..
//!     thread           C runs, calls a thunk    C runs on, returns
//!
//! While a callback waits for its answer nothing is switched: the thunk calls `isAnswered`, below
//! all frames of C, and the thread sleeps there. What scans the stack of a thread from its stack
//! pointer on sees all of them. Only what ends C leaves its frames: the thunk switches to serve()
//! then, which unwinds them as those of any body.

const std = @import("std");
const backtrace = @import("../unwind/backtrace.zig");
const cancel = @import("../unwind/cancel.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const exception = @import("../unwind/exception.zig");
const Grant = layout.Grant;
const layout = @import("../layout.zig");
const loader = @import("../unwind/loader.zig");
const Lock = @import("lock.zig").Lock;
const os = @import("../os/os.zig").os;
const OsStack = @import("../stack/os_stack.zig").OsStack;
const Refusal = @import("../os/os.zig").Refusal;
const signal_stack = @import("signal_stack.zig");
const Stack = @import("../stack/stack.zig").Stack;
const Status = layout.Status;
const threads = @import("../os/threads.zig");
const valgrind = @import("../watch/valgrind.zig");
const Worker = @import("worker.zig").Worker;

extern fn fringe_call_body(context: *Context) void;
extern fn fringe_init_caught(
    base: usize,
    body: *const anyopaque,
    mailbox: usize,
    globals: ?*anyopaque,
    limit: usize,
) *Context;
extern fn fringe_resume_call(context: *Context, word: usize) usize;

/// For signals, an overflow of the stack among them: more than the kernel and fringe need.
const signal_stack_size = 32 * 1024;
/// The unwinder runs here, and what describes an exception.
const gap_size = 64 * 1024;
/// What the stack has besides the size that is asked for: the gap, the signal stack, and what libc
/// keeps of a thread, which no program is told the size of.
const extra_size = 256 * 1024;
/// How many threads are kept for later calls.
const kept_max = 8;

/// What the thread is to do.
const Turn = enum(u32) {
    /// Nothing: it is the other side's turn.
    wait = 0,
    /// C goes on, or begins.
    go,
    /// The frames of C are unwound.
    end,
    /// The frames of C are noted.
    trace,
    /// The thread ends.
    exit,

    /// A bit beside: the Worker is gone, so nobody will tell the thread anything any more.
    const abandoned = 1 << 8;
};

pub const Thread = struct {
    /// A number of `Turn`, and perhaps its bit.
    turn: std.atomic.Value(u32) = .init(@backingInt(Turn.go)),
    /// Who has the address: the call, and each that waits for the other side's turn. Then the
    /// thread is free for another call.
    holders: std.atomic.Value(u32) = .init(1),
    stack: OsStack,
    size: usize,
    recover: bool,
    handle: threads.Handle = 0,
    /// The highest address that frames of C may have.
    base: usize = 0,
    /// The context of the call; null before the first.
    context: ?*Context = null,
    limit: usize,
    /// The end of the room for TypeScript.
    room: usize,
    worker: *Worker,
    /// The neighbours in the list of the Worker, or of the threads that are kept.
    next: ?*Thread = null,
    previous: ?*Thread = null,
    /// Whether the frames of C are being unwound.
    is_ending: bool = false,
    /// Whether C has ended the thread.
    is_dead: bool = false,
    /// Whether C has tried to: libc takes it for one that is ending, and no call gets it again.
    is_spent: bool = false,
    /// What `trace` is about.
    addresses: []u64 = &.{},

    fn make(size: usize, recover: bool) Refusal!*Thread {
        const all = std.math.add(usize, size, extra_size + layout.thread_room) catch
            return error.OutOfMemory;
        var stack = try OsStack.initOptions(all, .{
            .overflow = if (recover) .recover else .report,
        });
        errdefer stack.deinit();
        const ends = stack.stack().stack;
        const place = std.mem.alignBackward(usize, ends.base - @sizeOf(Thread), 64);
        const self: *Thread = @ptrFromInt(place);
        const end_of_stack = place - layout.thread_room;
        self.* = .{
            .stack = stack,
            .size = size,
            .recover = recover,
            .limit = ends.limit,
            .room = place,
            .worker = undefined,
        };
        self.handle = try threads.start(ends.limit, end_of_stack - ends.limit, &begin, self);
        self.sleep();
        return self;
    }

    fn begin(argument: *anyopaque) callconv(.c) ?*anyopaque {
        const self: *Thread = @ptrCast(@alignCast(argument));
        var memory: [signal_stack_size]u8 align(16) = undefined;
        os.setSignalStack(&memory);
        // Known to be there: whoever has made the thread has asked.
        (getLocal() catch unreachable).set(self) catch {};
        self.serve();
        return null;
    }

    /// Does as it is told, on the thread.
    noinline fn serve(self: *Thread) void {
        const lowest = std.mem.alignBackward(usize, @frameAddress() - gap_size, 16);
        self.base = @min(lowest, self.limit + self.size);
        valgrind.narrow(self.stack.stack().stack, self.base);
        self.pass();
        while (true) switch (self.await()) {
            .go => {
                _ = fringe_resume_call(self.context.?, 0);
                self.is_spent = self.is_spent or self.wasToEnd();
                // C has ended. If it has left its frames there is something else to do.
                if (self.told() == .go) self.pass();
            },
            .end => {
                self.endCall();
                self.pass();
            },
            .trace => {
                const length = backtrace.ofSuspended(self.context.?, self.addresses);
                self.addresses = self.addresses[0..length];
                self.pass();
            },
            .exit => return,
            // Abandoned.
            .wait => {
                self.endCall();
                self.tell(.wait);
                self.release();
            },
        };
    }

    /// Lays the first frame of a call. An exception that leaves C is caught, as for any call.
    fn lay(self: *Thread, mailbox: usize, globals: ?*anyopaque) void {
        valgrind.register(self.frames());
        const laid = fringe_init_caught(self.base, &fringe_call_body, mailbox, globals, 0);
        // So the thunk finds that it is on no stack of this context, and asks (`isAnswered`).
        laid.limit = @intFromPtr(laid);
        self.context = laid;
    }

    /// Where the frames of C are: to Valgrind a stack beside that of `serve`.
    fn frames(self: *const Thread) Stack {
        return .{ .base = self.base, .limit = self.limit };
    }

    /// Whether the call has ended because C has ended its thread: exception.zig keeps that.
    fn wasToEnd(self: *Thread) bool {
        const box: *layout.Mailbox(u64, u64) = @ptrCast(@alignCast(self.context.?.mailbox));
        if (box.status != .throwing or box.output.load() == 0) return false;
        const report: *const layout.Report = @ptrFromInt(@as(usize, @intCast(box.output.load())));
        return std.mem.startsWith(u8, &report.text, exception.thread_exit);
    }

    fn endCall(self: *Thread) void {
        self.is_ending = true;
        defer self.is_ending = false;
        if (self.context) |context| _ = cancel.endContext(context, self.limit, null);
    }

    /// What the thread has been told; `wait` where it is abandoned.
    fn told(self: *Thread) Turn {
        const word = self.turn.load(.acquire);
        if (word & Turn.abandoned != 0) return .wait;
        return @fromBackingInt(word);
    }

    /// Sleeps until there is something to do.
    fn await(self: *Thread) Turn {
        while (self.turn.load(.acquire) == @backingInt(Turn.wait)) {
            os.wait(&self.turn, @backingInt(Turn.wait), null);
        }
        return self.told();
    }

    /// It is the other side's turn.
    fn pass(self: *Thread) void {
        _ = self.turn.fetchAnd(Turn.abandoned, .release);
        os.wake(&self.turn);
    }

    /// Sleeps while it is the thread's turn.
    fn sleep(self: *Thread) void {
        while (true) {
            const word = self.turn.load(.acquire);
            if (word & ~@as(u32, Turn.abandoned) == @backingInt(Turn.wait)) return;
            os.wait(&self.turn, word, null);
        }
    }

    /// Has the thread do something. `sleep` is next.
    fn tell(self: *Thread, turn: Turn) void {
        self.turn.store(@backingInt(turn), .release);
        os.wake(&self.turn);
    }

    /// Called by a thunk, on the thread: sleeps until the callback has its answer. False: C is to
    /// be ended, so the thunk leaves its frames.
    inline fn isAnswered(self: *Thread) bool {
        if (self.is_ending) return false;
        self.pass();
        while (true) switch (self.await()) {
            .go => return true,
            .trace => {
                self.trace();
                self.pass();
            },
            else => return false,
        };
    }

    /// The frames from the thunk's on.
    noinline fn trace(self: *Thread) void {
        const length = backtrace.ofRunning(self.context.?, self.addresses, @returnAddress());
        self.addresses = self.addresses[0..length];
    }

    /// The thread has ended. Unless it was told to, C has ended it.
    fn atEnd(word: *anyopaque) callconv(.c) void {
        const self: *Thread = @ptrCast(@alignCast(word));
        if (self.told() == .exit) return;
        if (self.context) |context| {
            const box: *layout.Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
            if (box.status == .suspended) box.status = .unwound;
        }
        self.is_dead = true;
        const before = self.turn.fetchAnd(Turn.abandoned, .acq_rel);
        os.wake(&self.turn);
        if (before & Turn.abandoned != 0) self.release();
    }

    /// The Worker is gone. From now on the thread itself holds its address in place of the call.
    pub fn abandon(self: *Thread) void {
        _ = self.turn.fetchOr(Turn.abandoned, .acq_rel);
        os.wake(&self.turn);
    }

    fn release(self: *Thread) void {
        if (self.holders.fetchSub(1, .acq_rel) > 1) return;
        pool.put(self);
    }
};

/// The threads that no call has.
const Pool = struct {
    lock: Lock = .{},
    kept: ?*Thread = null,
    count: usize = 0,
    /// Those that have ended, or are about to: their stacks are to be unmapped.
    ended: ?*Thread = null,

    fn take(self: *Pool, size: usize, recover: bool) ?*Thread {
        self.lock.take();
        defer self.lock.give();
        var place = &self.kept;
        while (place.*) |thread| : (place = &thread.next) {
            if (thread.size != size or thread.recover != recover) continue;
            place.* = thread.next;
            self.count -= 1;
            return thread;
        }
        return null;
    }

    /// Where there are enough, that goes which has been of no use for longest: it may be of a size
    /// that nobody asks for any more.
    fn put(self: *Pool, thread: *Thread) void {
        self.lock.take();
        defer self.lock.give();
        if (thread.is_dead or thread.is_spent) return self.drop(thread);
        thread.next = self.kept;
        self.kept = thread;
        self.count += 1;
        if (self.count > kept_max) self.drop(self.takeLast());
    }

    fn takeLast(self: *Pool) *Thread {
        var place = &self.kept;
        while (place.*.?.next != null) place = &place.*.?.next;
        defer place.* = null;
        self.count -= 1;
        return place.*.?;
    }

    fn drop(self: *Pool, thread: *Thread) void {
        thread.next = self.ended;
        self.ended = thread;
        if (!thread.is_dead) thread.tell(.exit);
    }

    /// Unmaps the stacks of threads that have ended.
    fn sweep(self: *Pool) void {
        self.lock.take();
        var ended = self.ended;
        self.ended = null;
        self.lock.give();
        while (ended) |thread| {
            ended = thread.next;
            // One that C has detached may run on it yet, and nobody hears when it has ended.
            if (!threads.join(thread.handle)) continue;
            valgrind.deregister(thread.frames());
            var stack = thread.stack;
            stack.deinit();
        }
    }
};

var pool: Pool = .{};
var local_lock: Lock = .{};
var local: ?threads.Local = null;

/// What each thread knows itself by.
fn getLocal() Refusal!threads.Local {
    local_lock.take();
    defer local_lock.give();
    if (local == null) local = try .init(&Thread.atEnd);
    return local.?;
}

/// For the thunk: whether `current` is the context of a thread's call, and its callback has been
/// answered. Null: it is no such context.
pub inline fn isAnswered(current: *Context) ?bool {
    if (current.limit != @intFromPtr(current)) return null;
    // Each callback comes here.
    current.judged = 0;
    const self: *Thread = @ptrCast(@alignCast((getLocal() catch unreachable).get().?));
    const here = @frameAddress();
    if (here >= self.base or here < self.limit) signal_stack.refuseSignalStack();
    return self.isAnswered();
}

// C ABI

/// Takes a thread for a call, of whole pages of stack, and writes where its parts lie.
pub fn take(size: usize, recover: bool, block: *layout.ThreadBlock) callconv(.c) Grant {
    const pages = std.mem.alignForward(usize, size, os.pageSize());
    const thread = takeThread(pages, recover) catch |err| return .from(err);
    block.* = .{
        .thread = @intFromPtr(thread),
        .base = thread.base,
        .limit = thread.limit,
        .room = thread.room,
    };
    return .granted;
}

fn takeThread(size: usize, recover: bool) Refusal!*Thread {
    const worker = try Worker.current();
    _ = try getLocal();
    pool.sweep();
    // The thread, and what is done when it ends, outlive whoever has loaded this library.
    loader.keep(@intFromPtr(&Thread.begin));
    const thread = pool.take(size, recover) orelse try Thread.make(size, recover);
    thread.holders.store(1, .monotonic);
    thread.worker = worker;
    worker.add(thread);
    return thread;
}

/// Has C begin with the next `go`; the mailbox is in the room of the thread.
pub fn lay(thread: *Thread, mailbox: usize, globals: ?*anyopaque) callconv(.c) void {
    thread.lay(mailbox, globals);
}

/// Lets C go on. `wait` is next; it may be called on another thread.
pub fn go(thread: *Thread) callconv(.c) void {
    _ = thread.holders.fetchAdd(1, .monotonic);
    thread.tell(.go);
}

/// Waits until C has suspended or ended.
pub fn wait(thread: *Thread) callconv(.c) void {
    thread.sleep();
    thread.release();
}

/// Ends C, as fringe_end does.
pub fn end(thread: *Thread) callconv(.c) void {
    thread.tell(.end);
    thread.sleep();
}

/// Where C stands, as fringe_backtrace has it.
pub fn trace(thread: *Thread, addresses: [*]u64, count: u32) callconv(.c) u32 {
    thread.addresses = addresses[0..count];
    thread.tell(.trace);
    thread.sleep();
    return @intCast(thread.addresses.len);
}

/// Gives a thread back, whose call has ended; once more does nothing.
pub fn put(block: *layout.ThreadBlock) callconv(.c) void {
    if (block.thread == 0) return;
    const thread: *Thread = @ptrFromInt(@as(usize, @intCast(block.thread)));
    block.thread = 0;
    thread.worker.remove(thread);
    thread.release();
    pool.sweep();
}
