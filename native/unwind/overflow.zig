// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Stack overflow: what happens when a body runs off the end of its stack. The system tells of a
//! fault (`os/` says how), and this file finds out whose stack it was.
//!  * By default the overflow is reported on stderr, with the frames of the body. Then the fault
//!    goes to whoever handled faults before, and as a rule the process ends.
//!  * A stack that was made with `.overflow = .recover` is taken from its body instead: the frames
//!    are forgotten, the generator has ended with the status `overflowed`, and the stack can be
//!    used again.
//!  * A fault because code on a stack is to be executed is mended, where that is to be allowed:
//!    executable_stack.zig.
//!  * Every other fault goes to whoever handled faults before, as it came.
//!
//! All of this runs in a signal handler, at any point of the program, so it makes system calls and
//! does nothing else that could wait for the code that was interrupted. There is one exception:
//! dladdr and the unwinder are called, which signal-safety(7) does not list. They take one lock,
//! the dynamic loader's, which is recursive.

const std = @import("std");
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const executable_stack = @import("../stack/executable_stack.zig");
const guard_table = @import("../stack/guard_table.zig");
const Guarded = guard_table.Guarded;
const guards = &guard_table.guards;
const loader = @import("loader.zig");
const Call = layout.Call;
const frames_max = layout.frames_max;
const layout = @import("../layout.zig");
const Left = layout.Left;
const Machine = @import("../arch/arch.zig").arch.Machine;
const os = @import("../os/os.zig").os;
const spare_stack = @import("../stack/spare_stack.zig");
const Stack = @import("../stack/stack.zig").Stack;
const Status = layout.Status;
const Text = @import("text.zig").Text;
const unwinder = @import("unwinder.zig");

extern fn fringe_call_body() void;

/// Has overflows noticed, for the rest of the process, on each thread on which the system can: see
/// `handleFaults` in `os/`. Called again when a library has been opened, which may have put a
/// handler of its own on top.
pub fn install() callconv(.c) void {
    const once = struct {
        var is_kept: std.atomic.Value(bool) = .init(false);
        var is_busy: std.atomic.Value(bool) = .init(false);
    };
    // The handler outlives whoever has loaded this library.
    if (!once.is_kept.swap(true, .acq_rel)) loader.keep(@intFromPtr(&handle));
    // What another thread is doing need not be done twice.
    if (once.is_busy.swap(true, .acquire)) return;
    defer once.is_busy.store(false, .release);
    os.handleFaults(&handle);
}

/// Of all faults, two are mended here: code on a stack that is to be executed, and an overflow
/// where the body may be ended.
fn handle(address: usize, machine: *Machine) bool {
    // An instruction, of at most 15 bytes, could not be read.
    const is_fetch = address -% machine.ip < 15;
    if (is_fetch and executable_stack.allow(address, machine.sp)) return true;
    var overflow = Overflow.find(address, machine) orelse return false;
    if (overflow.recover and overflow.end(machine)) return true;
    overflow.report();
    return false;
}

/// A body that has used up its stack.
const Overflow = struct {
    context: *Context,
    stack: Stack,
    recover: bool,
    /// The instruction that needed more.
    ip: usize,
    /// Whether this thread runs the body for certain: the stack pointer is on the stack, or has
    /// just left it. Far below, it may be another thread that runs the body. The frames tell then.
    is_certain: bool,

    /// How far below its stack a body may have gone. A function makes room for its variables by one
    /// step of the stack pointer. One that needs more than this has no room on a thread's own stack
    /// either, of which Linux gives a program 8 MiB (setrlimit(2), RLIMIT_STACK).
    const reach = 8 * 1024 * 1024;
    /// An instruction that pushes may access memory so far below the stack pointer: a pair of
    /// registers of 16 bytes at an offset of seven bits (aarch64's STP) reaches the lowest.
    const push_max = 1024;

    /// The thread must run on that very stack, else the fault is a stray pointer's.
    ///
    ///     in the guard                        beyond the guard, by one large step
    ///     | stack           |                 | stack           |
    ///     |                 | <- sp           |                 |
    ///     | guard           | <- address      | guard           |
    ///                                         : nothing         : <- address
    ///                                         : what there is   : <- sp, or a little below it
    ///
    /// Whatever memory there is below the guard, the body may have written to it before the fault,
    /// and to go on after that would be rash: such an overflow is reported.
    fn find(address: usize, machine: *const Machine) ?Overflow {
        const sp = machine.sp;
        const is_near = address >= sp -| push_max and address < sp +| reach;
        const guarded = (if (is_near) above(address) else guards.find(address)) orelse return null;
        const stack: Stack = .{ .base = guarded.base, .limit = guarded.limit };
        const context = runningOn(stack) orelse return null;
        if (address >= stack.limit or sp >= @intFromPtr(context)) return null;
        if (sp < guarded.guard and !is_near) return null;
        return .{
            .context = context,
            .stack = stack,
            .recover = guarded.recover and isNothing(sp, guarded.guard),
            .ip = machine.ip,
            .is_certain = sp >= guarded.guard,
        };
    }

    /// The next stack above an address on which a body runs. Between the two there may be nothing,
    /// or other stacks of fringe's. Where other memory lies between, nobody can tell whose fault it
    /// is.
    fn above(address: usize) ?Guarded {
        var place = std.mem.alignBackward(usize, address, os.pageSize());
        while (place -| address < reach) {
            if (guards.around(place)) |guarded| {
                const stack: Stack = .{ .base = guarded.base, .limit = guarded.limit };
                if (runningOn(stack) != null) return guarded;
                place = guarded.base;
            } else if (isNothing(place, place + 1)) {
                place += os.pageSize();
            } else return null;
        }
        return null;
    }

    /// Whether no memory can be read from one address up to another.
    fn isNothing(from: usize, to: usize) bool {
        var place = std.mem.alignBackward(usize, from, os.pageSize());
        while (place < to) : (place += os.pageSize()) {
            var byte: [1]u8 = undefined;
            if (os.tryRead(place, &byte)) return false;
        }
        return true;
    }

    /// The context whose body runs on `stack`. It is searched for from the top down, because the
    /// owner of the stack may have put something above the context, as a native generator puts its
    /// mailbox there. What looks like a context may be what is left of one that has ended. The link
    /// tells the two apart: that of a running context leads to its resumer, on another stack; that
    /// of a context which has ended leads back into this stack, below the context. (The resumer of
    /// a call that has a thread of its own is on this stack, but above: thread.zig.)
    fn runningOn(stack: Stack) ?*Context {
        const alignment = @import("../stack/stack.zig").alignment;
        var at = std.mem.alignBackward(usize, stack.base - @sizeOf(Context), alignment);
        while (at >= stack.limit) : (at -= alignment) {
            const context: *Context = @ptrFromInt(at);
            if (context.return_address != @intFromPtr(&context_module.fringe_root_return)) continue;
            // Nor one that nothing can enter any more.
            if (context.exceptions == .finished) continue;
            const link = @intFromPtr(context.link);
            if (link < stack.limit or link > at) return context;
        }
        return null;
    }

    /// Ends the body: the thread goes on in fringe_finish, which resumes the body's resumer. Before
    /// that the frames of the body are walked, and left for the resumer to read. The walk runs on a
    /// spare stack, because a signal's stack is small: 8 KiB as a rule, of which the kernel alone
    /// may have used more than 3. Returns false, and leaves all as it is, where it turns out that
    /// this thread may not run the body.
    fn end(self: *Overflow, machine: *Machine) bool {
        // Nothing is written before the walk: the innermost frame may lie at the very limit.
        const walked = spare_stack.run(self, leaveFrames);
        if (!self.is_certain) return false;
        if (!walked) @as(*Left, @ptrFromInt(self.stack.limit)).count = 0;
        const context = @intFromPtr(self.context);
        const status: usize = @backingInt(Status.overflowed);
        machine.call(@intFromPtr(&context_module.fringe_finish), context, .{ context, status });
        return true;
    }

    /// Writes the innermost frames to the lower end of the stack. The body is the only one that
    /// has used that memory, and it does not run any more.
    fn leaveFrames(self: *Overflow) void {
        const walk: Walk = .from(self.context, self.ip, frames_max);
        self.is_certain = self.is_certain or walk.is_whole;
        if (!self.is_certain) return;
        const left: *Left = @ptrFromInt(self.stack.limit);
        left.count = walk.count;
        for (left.addresses[0..walk.count], walk.first[0..walk.count]) |*to, from| to.* = from;
    }

    fn report(self: *const Overflow) void {
        _ = spare_stack.run(self, writeReport);
    }

    fn writeReport(self: *const Overflow) void {
        var text: Text = .{};
        text.add("fringe: stack overflow in ");
        const is_call = self.context.body == @as(*const anyopaque, &fringe_call_body);
        const call: *const Call = @ptrCast(@alignCast(self.context.mailbox));
        text.add(if (is_call) "function " else "generator ");
        const body = if (is_call) call.function else @intFromPtr(self.context.body);
        text.addFunction(@intCast(body));
        text.add(": its stack of ");
        text.addNumber(self.stack.size(), 10);
        text.add(" bytes (");
        text.addAddress(self.stack.limit);
        text.add("-");
        text.addAddress(self.stack.base);
        text.add(if (is_call)
            ") is used up. Give it a larger one: by stackSize in its definition, or the stack " ++
                "of its generator\n"
        else
            ") is used up. Run it on a larger OsStack\n");
        // Before the frames, in case that these do not stand being looked at.
        text.write();

        const walk: Walk = .from(self.context, self.ip, Walk.all);
        for (0..walk.count) |i| {
            if (i == Walk.printed and walk.count > Walk.printed + Walk.last_max) {
                text.add("  ... ");
                text.addNumber(walk.count - Walk.printed - Walk.last_max, 10);
                text.add(" more\n");
            }
            if (i >= Walk.printed and i + Walk.last_max < walk.count) continue;
            text.add("  #");
            text.addNumber(i, 10);
            text.add(" ");
            text.addFrame(walk.at(i), i > 0);
            text.add("\n");
        }
        text.write();
    }
};

/// The frames of a body, from the one that needed more to the outermost: where each goes on.
const Walk = struct {
    /// As many as there are; no more, should the frames go in a circle.
    const all = 1 << 20;
    const last_max = 4;
    /// How many of the first ones are printed.
    const printed = 16;

    context: *const Context,
    first: [frames_max]usize = undefined,
    last: [last_max]usize = undefined,
    count: usize = 0,
    count_max: usize,
    /// Whether the unwinder, which begins at the frame that calls it, has come to the body's.
    begun: bool = false,
    /// Whether the frames lead to where the body began.
    is_whole: bool = false,

    fn from(context: *const Context, ip: usize, count_max: usize) Walk {
        var walk: Walk = .{ .context = context, .count_max = count_max };
        walk.add(ip);
        // Without an unwinder there is one frame.
        if (unwinder.isComplete()) _ = unwinder.backtrace.?(&visit, &walk);
        return walk;
    }

    fn add(self: *Walk, address: usize) void {
        if (self.count < frames_max) self.first[self.count] = address;
        self.last[self.count % last_max] = address;
        self.count += 1;
    }

    fn at(self: *const Walk, i: usize) usize {
        return if (i < frames_max) self.first[i] else self.last[i % last_max];
    }

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Walk = @ptrCast(@alignCast(argument));
        const ip = unwinder.getIP.?(frame);
        if (!self.begun) {
            self.begun = ip == self.first[0];
            return unwinder.no_reason;
        }
        if (backtrace.isBelowBody(frame, self.context)) {
            self.is_whole = true;
            return unwinder.end_of_trace;
        }
        self.add(ip);
        return if (self.count == self.count_max) unwinder.end_of_trace else unwinder.no_reason;
    }
};
