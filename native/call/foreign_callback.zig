// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Callbacks that any thread may call: TypeScript's `new Callback(…, { threads: true })`. A thread
//! that C has made is in no call of fringe's, so the thunk has nothing to suspend. The thread
//! itself waits: it puts a request into the queue of the Worker that has made the callback, and
//! sleeps.
//!
//!     thread    thunk -> request -> sleeps ............................ -> goes on
//!     Worker               `wait`, on a thread of Deno's pool, comes back
//!                                  `take` -> handler, which may await -> `answer`
//!
//! A request lies on the stack of its thread, with the mailbox that the thunk has made there: the
//! thread is still there when it has been answered, and not a moment longer.
//!
//! Callbacks are known by the numbers of their thunks, which no other thunk of the process has.
//! What is known of one stays when its Worker has ended, or it is closed: C may call it yet.

const std = @import("std");
const Grant = layout.Grant;
const layout = @import("../layout.zig");
const Lock = @import("lock.zig").Lock;
const loader = @import("../unwind/loader.zig");
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;
const unwinder = @import("../unwind/unwinder.zig");
const Worker = @import("worker.zig").Worker;

/// A thread that waits.
pub const Request = struct {
    call: *layout.Call,
    worker: *Worker = undefined,
    state: std.atomic.Value(u32) = .init(waits),
    /// The neighbours in the list of the Worker.
    next: ?*Request = null,
    previous: ?*Request = null,

    const waits = 0;
    const answered = 1;
    const forsaken = 2;

    fn of(call: *layout.Call) *Request {
        return @ptrFromInt(@as(usize, @intCast(call.function)));
    }

    /// Its last act: the thread may go on at once, and the request is gone.
    fn end(self: *Request, state: u32) void {
        const word = &self.state;
        word.store(state, .release);
        os.wake(word);
    }
};

/// The requests of a Worker, in the order in which they came. Whoever touches it has the lock.
pub const Queue = struct {
    first: ?*Request = null,
    last: ?*Request = null,
    /// The first that TypeScript has not taken.
    untaken: ?*Request = null,
    /// Changes whenever `wait` has something to look at.
    bell: std.atomic.Value(u32) = .init(0),
    is_called_off: bool = false,
    /// How often TypeScript has looked for requests.
    visits: usize = 0,
    /// Whether it is to look once more, so that it is known to be there.
    is_asked: bool = false,

    fn add(self: *Queue, request: *Request) void {
        request.previous = self.last;
        if (self.last) |last| last.next = request else self.first = request;
        self.last = request;
        if (self.untaken == null) self.untaken = request;
    }

    fn remove(self: *Queue, request: *Request) void {
        const next, const previous = .{ request.next, request.previous };
        if (next) |other| other.previous = previous else self.last = previous;
        if (previous) |other| other.next = next else self.first = next;
        if (self.untaken == request) self.untaken = next;
    }

    fn ring(self: *Queue) void {
        _ = self.bell.fetchAdd(1, .release);
        os.wake(&self.bell);
    }
};

/// What is known of a callback.
const Known = struct {
    /// Null: the callback is closed, or its Worker has ended.
    worker: ?*Worker,
    /// What C is answered then.
    stop: ?u64,
    /// Whether what the first thread has come from is kept loaded.
    is_kept: bool = false,
};

/// By the number of the thunk.
const Table = struct {
    leaves: [leaf_count]?*Leaf = @splat(null),

    const leaf_size = 1 << 10;
    /// For four million thunks, which would take more memory than a process of Deno's has for them.
    const leaf_count = 1 << 12;
    const Leaf = [leaf_size]?Known;

    fn add(self: *Table, number: u32, known: Known) Refusal!void {
        if (number / leaf_size >= leaf_count) return error.OutOfMemory;
        const leaf = &self.leaves[number / leaf_size];
        if (leaf.* == null) {
            const memory = try os.map(@sizeOf(Leaf), .table);
            const made: *Leaf = @ptrCast(memory);
            made.* = @splat(null);
            leaf.* = made;
        }
        leaf.*.?[number % leaf_size] = known;
    }

    fn find(self: *Table, number: u32) ?*Known {
        if (number / leaf_size >= leaf_count) return null;
        const leaf = self.leaves[number / leaf_size] orelse return null;
        return if (leaf[number % leaf_size]) |*known| known else null;
    }

    /// The Worker of some callbacks has ended.
    fn forget(self: *Table, worker: *Worker) void {
        for (self.leaves) |found| {
            const leaf = found orelse continue;
            for (leaf) |*place| {
                if (place.*) |*known| {
                    if (known.worker == worker) known.worker = null;
                }
            }
        }
    }
};

var lock: Lock = .{};
var table: Table = .{};

/// Called by a thunk on a thread that no call of fringe's is on. Returns when the callback has its
/// answer, in the mailbox; false where it cannot have one.
pub fn isAnswered(call: *layout.Call) bool {
    var request: Request = .{ .call = call };
    call.function = @intFromPtr(&request);
    if (isFirst(call.generator.callback)) keepModules();
    {
        lock.take();
        defer lock.give();
        const known = table.find(call.generator.callback) orelse return false;
        const worker = known.worker orelse {
            call.generator.input.store(known.stop orelse forsake());
            return true;
        };
        // It would wait for itself.
        if (worker == Worker.known()) return false;
        request.worker = worker;
        worker.queue.add(&request);
        worker.queue.ring();
    }
    var visits: ?usize = null;
    while (request.state.load(.acquire) == Request.waits) {
        os.wait(&request.state, Request.waits, patience);
        visits = askWhetherThere(&request, visits);
    }
    if (request.state.load(.acquire) == Request.forsaken) forsake();
    return true;
}

/// Whether no thread has called the callback of this number before.
fn isFirst(number: u32) bool {
    lock.take();
    defer lock.give();
    const known = table.find(number) orelse return false;
    defer known.is_kept = true;
    return !known.is_kept;
}

/// Keeps the libraries loaded that the thread is in: when the program or a Worker ends, Deno closes
/// what it has opened, and waits for no thread of C's. Before the thread waits, since it may go on
/// when the Worker has ended; and by the thread, which has the loader's lock if it came from there.
noinline fn keepModules() void {
    if (!unwinder.isComplete()) return;
    var nothing: u8 = 0;
    _ = unwinder.backtrace.?(&keepModule, &nothing);
}

fn keepModule(frame: *unwinder.Frame, _: *anyopaque) callconv(.c) c_int {
    loader.keep(unwinder.getIP.?(frame));
    return unwinder.no_reason;
}

/// How many seconds a Worker has to show that it is there.
const patience = 3;
var has_warned: std.atomic.Value(bool) = .init(false);

/// A handler may take its time. But a Worker that does not come to its event loop is in a function
/// that may wait for this very thread. So it is asked to look for requests, and its `visits` should
/// be more when this is called next: gives what they are now.
fn askWhetherThere(request: *Request, before: ?usize) ?usize {
    lock.take();
    defer lock.give();
    // Looked at while nobody can end the request, and the Worker with it.
    if (request.state.load(.acquire) != Request.waits) return null;
    const queue = &request.worker.queue;
    if (before == queue.visits and !has_warned.swap(true, .monotonic)) os.writeError(
        "fringe: a thread of C's waits for the answer of a callback, and the Worker that has the" ++
            " handler has not come to its event loop for some seconds. If it is in a function" ++
            " that waits for that thread (pthread_join, a lock, a close), both wait for ever:" ++
            " declare that function as nonblocking. This is said once\n",
    );
    queue.is_asked = true;
    queue.ring();
    return queue.visits;
}

/// Nobody is there to answer, and C must not go on with an answer that nobody gave.
fn forsake() noreturn {
    os.writeError("fringe: a thread of C's has called a callback that is closed, or whose Worker" ++
        " has ended, and the callback has no stop to answer. So the process ends. Give it a" ++
        " stop, or have C end its threads first\n");
    std.process.abort();
}

/// A Worker ends: those that wait for it get the `stop` of their callbacks.
pub fn leave(worker: *Worker) void {
    lock.take();
    defer lock.give();
    table.forget(worker);
    const queue = &worker.queue;
    while (queue.first) |request| {
        queue.remove(request);
        const known = table.find(request.call.generator.callback);
        const stop = if (known) |found| found.stop else null;
        if (stop) |value| request.call.generator.input.store(value);
        request.end(if (stop == null) Request.forsaken else Request.answered);
    }
    queue.is_called_off = true;
    queue.ring();
}

// C ABI

/// Has threads call the callback of this number. `stop` is what C is answered when the callback is
/// closed, or its Worker has ended; null: there is nothing to answer.
pub fn open(number: u32, stop: ?*const u64) callconv(.c) Grant {
    const worker = Worker.current() catch |err| return .from(err);
    // A thread may wait here when nobody else has this library.
    loader.keep(@intFromPtr(&isAnswered));
    lock.take();
    defer lock.give();
    const known: Known = .{ .worker = worker, .stop = if (stop) |value| value.* else null };
    return .from(table.add(number, known));
}

/// The callback of this number is closed.
pub fn close(number: u32) callconv(.c) void {
    lock.take();
    defer lock.give();
    if (table.find(number)) |known| known.worker = null;
}

/// Begins to wait for requests of this Worker: `wait` is next, on another thread.
pub fn listen() callconv(.c) *Worker {
    // It has opened a callback.
    const worker = Worker.known().?;
    worker.hold();
    lock.take();
    defer lock.give();
    worker.queue.is_called_off = false;
    return worker;
}

/// Waits until there are requests that nobody has taken, or waiting is called off.
pub fn wait(worker: *Worker) callconv(.c) void {
    defer worker.release();
    const queue = &worker.queue;
    while (true) {
        const bell = queue.bell.load(.acquire);
        lock.take();
        const is_over = queue.untaken != null or queue.is_called_off or queue.is_asked;
        lock.give();
        if (is_over) return;
        os.wait(&queue.bell, bell, null);
    }
}

/// Has `wait` come back.
pub fn callOff() callconv(.c) void {
    const queue = &Worker.known().?.queue;
    lock.take();
    defer lock.give();
    queue.is_called_off = true;
    queue.ring();
}

/// Takes the next request: gives its mailbox. Null: there is none.
pub fn take() callconv(.c) ?*layout.Call {
    const queue = &Worker.known().?.queue;
    lock.take();
    defer lock.give();
    queue.visits += 1;
    queue.is_asked = false;
    const request = queue.untaken orelse return null;
    queue.untaken = request.next;
    return request.call;
}

/// The answer is in the mailbox: the thread goes on.
pub fn answer(call: *layout.Call) callconv(.c) void {
    const request: *Request = .of(call);
    lock.take();
    defer lock.give();
    Worker.known().?.queue.remove(request);
    request.end(Request.answered);
}

/// The handler has thrown, and there is no `stop`.
pub fn refuse() callconv(.c) noreturn {
    os.writeError("fringe: the handler of a callback that a thread of C's has called has thrown," ++
        " and the callback has no stop to answer. C must not go on with an answer that nobody" ++
        " gave, so the process ends. Give the callback a stop\n");
    std.process.abort();
}
