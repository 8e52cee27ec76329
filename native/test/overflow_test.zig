// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of stack overflow: a body that may be recovered from is, and every other fault takes its
//! way. What is reported on stderr, tests/behaviour/overflow_test.ts looks at.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const child_process = @import("child_process.zig");
const context_module = @import("../context/context.zig");
const context_test = @import("context_test.zig");
const fringe = @import("../fringe.zig");
const Generator = fringe.Generator;
const guards = &@import("../stack/guard_table.zig").guards;
const Left = @import("../layout.zig").Left;
const OsStack = fringe.OsStack;
const overflow = @import("../unwind/overflow.zig");
const sanitizer = @import("../watch/sanitizer.zig");
const valgrind = @import("../watch/valgrind.zig");
const Yielder = fringe.Yielder;

const Ints = Generator(usize, usize);

/// Uses up whatever stack there is.
noinline fn recurse(depth: usize) void {
    // So the innermost frame is this function's, and not that of a function that it calls.
    _ = @as(*const volatile u8, @ptrFromInt(@frameAddress() - 1024)).*;
    var frame: [64]u8 = @splat(@truncate(depth));
    std.mem.doNotOptimizeAway(&frame);
    recurse(depth + 1);
    std.mem.doNotOptimizeAway(&frame);
}

/// Gives back what it is passed; 0 is too much.
fn body(yielder: *Yielder(usize, usize), first: usize) void {
    var input = first;
    while (true) {
        if (input == 0) recurse(0);
        input = yielder.@"suspend"(input) catch return;
    }
}

fn recoverable(size: usize) !OsStack {
    // It knows nothing of alternate signal stacks, nor of what a handler writes to flags.
    if (valgrind.isRunning()) return error.SkipZigTest;
    overflow.install();
    return OsStack.initOptions(size, .{ .overflow = .recover });
}

fn expectOverflow(stack: OsStack) !void {
    var generator: Ints = .init(stack.stack(), body);
    try expectEqual(7, generator.@"resume"(7));
    try expectEqual(null, generator.@"resume"(0));
    try expectEqual(.unavailable, generator.state());
    try expectEqual(.overflowed, generator.cancel());
    try expectEqual(null, generator.@"resume"(7));
    try expectEqual(stack.stack().stack, generator.unwrap());
}

test "a body that overflows ends its generator, twice in a row on the same stack" {
    for ([_]usize{ 0, 64 * 1024, 1024 * 1024 }) |size| {
        var stack = try recoverable(size);
        defer stack.deinit();
        try expectOverflow(stack);
        try expectOverflow(stack);
        // And nothing is the matter with it.
        var generator: Ints = .init(stack.stack(), body);
        try expectEqual(5, generator.@"resume"(5));
        try expectEqual(.returned, generator.cancel());
    }
}

test "a context that ended higher up on the same stack is not taken for the one that overflows" {
    var stack = try recoverable(64 * 1024);
    defer stack.deinit();
    var whole: Ints = .init(stack.stack(), body);
    try expectEqual(1, whole.@"resume"(1));
    try expectEqual(.returned, whole.cancel());
    const bounds = whole.unwrap();
    const lower: fringe.Stack = .{ .base = bounds.base - 4096, .limit = bounds.limit };
    var generator: Ints = .init(.{ .stack = lower }, body);
    try expectEqual(null, generator.@"resume"(0));
    try expectEqual(.overflowed, generator.cancel());
}

test "the first frames are left at the lower end of the stack" {
    if (sanitizer.enabled) return error.SkipZigTest; // The first is that of its memset.
    var stack = try recoverable(64 * 1024);
    defer stack.deinit();
    try expectOverflow(stack);
    const left: *const Left = @ptrFromInt(stack.stack().stack.limit);
    try expect(left.count >= 1);
    try expect(left.count <= 64);
    const distance = left.addresses[0] -% @intFromPtr(&recurse);
    try expect(distance < 256);
}

test "a body that overflows inside another one's body ends there" {
    var outer_stack = try recoverable(64 * 1024);
    defer outer_stack.deinit();
    const outer_body = struct {
        fn outer(yielder: *Yielder(usize, usize), first: usize) void {
            var stack = recoverable(16 * 1024) catch return;
            defer stack.deinit();
            var input = first;
            while (true) {
                var inner: Ints = .init(stack.stack(), body);
                // Its resumer is on a stack of fringe's, too.
                const gone = inner.@"resume"(0) == null and inner.cancel() == .overflowed;
                input = yielder.@"suspend"(input + @intFromBool(gone)) catch return;
            }
        }
    }.outer;
    var outer: Ints = .init(outer_stack.stack(), outer_body);
    try expectEqual(11, outer.@"resume"(10));
    try expectEqual(21, outer.@"resume"(20));
    try expectEqual(.returned, outer.cancel());
}

test "the registers of a resumer are kept where a body overflows" {
    var stack = try recoverable(64 * 1024);
    defer stack.deinit();
    const destroying = struct {
        fn destroying(_: *Yielder(usize, usize), _: usize) void {
            context_test.destroyRegisters();
            recurse(0);
        }
    }.destroying;
    var generator: Ints = .init(stack.stack(), destroying);
    const context = @intFromPtr(generator.context);
    const fringe_resume = &context_module.fringe_resume;
    try expectEqual(0, context_test.fringe_test_kept(fringe_resume, context, 0));
    try expectEqual(.overflowed, generator.cancel());
}

test "the flags that the ABI has a say in are in order after an overflow" {
    if (builtin.cpu.arch == .aarch64) return error.SkipZigTest; // It has none.
    const messy = struct {
        fn messy(_: *Yielder(usize, usize), _: usize) void {
            asm volatile (
                \\fld1
                \\fld1
                \\fld1
                \\std
            );
            recurse(0);
        }
    }.messy;
    var stack = try recoverable(64 * 1024);
    defer stack.deinit();
    var generator: Ints = .init(stack.stack(), messy);
    try expectEqual(null, generator.@"resume"(0));
    const flags = asm volatile (
        \\pushf
        \\pop %[flags]
        : [flags] "=r" (-> usize),
    );
    var environment: [7]u32 = undefined;
    asm volatile ("fnstenv (%[environment])"
        :
        : [environment] "r" (&environment),
        : .{ .memory = true });
    asm volatile ("cld");
    try expectEqual(0, flags & (1 << 10));
    // The tags of all eight registers say that they are empty.
    try expectEqual(0xffff, environment[2] & 0xffff);
}

test "threads overflow at the same time" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    const Thread = struct {
        fn run(failed: *std.atomic.Value(bool)) void {
            for (0..50) |_| {
                var stack = recoverable(16 * 1024) catch return failed.store(true, .monotonic);
                defer stack.deinit();
                expectOverflow(stack) catch failed.store(true, .monotonic);
            }
        }
    };
    var failed: std.atomic.Value(bool) = .init(false);
    var threads: [4]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try .spawn(.{}, Thread.run, .{&failed});
    for (threads) |thread| thread.join();
    try expect(!failed.load(.monotonic));
}

fn act(handler: ?linux.Sigaction.handler_fn) void {
    const action: linux.Sigaction = .{
        .handler = .{ .handler = handler },
        .mask = linux.sigemptyset(),
        .flags = 0,
    };
    _ = linux.sigaction(.SEGV, &action, null);
}

fn fault() void {
    @as(*allowzero volatile u8, @ptrFromInt(0)).* = 1;
}

fn send() void {
    _ = linux.kill(linux.getpid(), .SEGV);
}

fn exited(code: u8) child_process.End {
    return .{ .exited = code };
}

const killed: child_process.End = .{ .killed = .SEGV };

test "other faults go to the default action, and nobody can ignore them" {
    const Child = struct {
        fn faults() void {
            overflow.install();
            fault();
        }
        fn isSent() void {
            overflow.install();
            send();
        }
        fn ignoresFault() void {
            act(linux.SIG.IGN);
            overflow.install();
            fault();
        }
        fn ignoresSent() void {
            act(linux.SIG.IGN);
            overflow.install();
            send();
            // Its own are still noticed.
            const stack = recoverable(0) catch return;
            expectOverflow(stack) catch linux.exit_group(1);
        }
    };
    try expectEqual(killed, try child_process.run(Child.faults));
    try expectEqual(killed, try child_process.run(Child.isSent));
    try expectEqual(killed, try child_process.run(Child.ignoresFault));
    try expectEqual(exited(0), try child_process.run(Child.ignoresSent));
}

test "other faults go to the handler that was there, with what it asked for" {
    if (valgrind.isRunning()) return error.SkipZigTest; // To it, each of them is an error.
    const Child = struct {
        fn handle(signal: linux.SIG) callconv(.c) void {
            linux.exit_group(if (signal == .SEGV) 3 else 1);
        }
        fn simple() void {
            act(&handle);
            overflow.install();
            // Once more changes nothing.
            overflow.install();
            fault();
        }
        fn handleInfo(
            signal: linux.SIG,
            info: *const linux.siginfo_t,
            ucontext: ?*anyopaque,
        ) callconv(.c) void {
            const address = @intFromPtr(info.fields.sigfault.addr);
            const right = signal == .SEGV and address == 0 and ucontext != null;
            linux.exit_group(if (right) 4 else 1);
        }
        fn informed() void {
            const action: linux.Sigaction = .{
                .handler = .{ .sigaction = &handleInfo },
                .mask = linux.sigemptyset(),
                .flags = linux.SA.SIGINFO,
            };
            _ = linux.sigaction(.SEGV, &action, null);
            overflow.install();
            fault();
        }
    };
    try expectEqual(exited(3), try child_process.run(Child.simple));
    try expectEqual(exited(4), try child_process.run(Child.informed));
}

test "a handler without a stack of its own is seen past when overflows are looked for again" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    const Child = struct {
        var before: linux.Sigaction = undefined;
        var seen: usize = 0;

        /// Passes on what it does not know, which is all.
        fn handle(
            signal: linux.SIG,
            info: *const linux.siginfo_t,
            ucontext: ?*anyopaque,
        ) callconv(.c) void {
            seen += 1;
            if (seen == 3) linux.exit_group(7);
            before.handler.sigaction.?(signal, info, ucontext);
        }
        fn come() void {
            overflow.install();
            const action: linux.Sigaction = .{
                .handler = .{ .sigaction = &handle },
                .mask = linux.sigemptyset(),
                .flags = linux.SA.SIGINFO,
            };
            _ = linux.sigaction(.SEGV, &action, &before);
        }
        fn expectHere() void {
            const stack = recoverable(0) catch return;
            for (0..2) |_| expectOverflow(stack) catch linux.exit_group(1);
            if (seen != 0) linux.exit_group(2);
        }
        fn looksAgain() void {
            come();
            overflow.install();
            expectHere();
            // Once more changes nothing: fringe's handler is on top.
            overflow.install();
            expectHere();
        }
        fn passesOn() void {
            come();
            overflow.install();
            fault();
        }
        fn comesAgain() void {
            come();
            overflow.install();
            // Each knows what was there before it; so did the last one, of itself.
            const action: linux.Sigaction = .{
                .handler = .{ .handler = &last },
                .mask = linux.sigemptyset(),
                .flags = 0,
            };
            _ = linux.sigaction(.SEGV, &action, null);
            expectHere();
            fault();
        }
        fn last(_: linux.SIG) callconv(.c) void {
            linux.exit_group(8);
        }
        fn looksNotAgain() void {
            come();
            const stack = OsStack.initOptions(0, .{ .overflow = .recover }) catch return;
            expectOverflow(stack) catch linux.exit_group(1);
        }
    };
    try expectEqual(exited(0), try child_process.run(Child.looksAgain));
    // By way of the handler, fringe's first function, and the default action.
    try expectEqual(killed, try child_process.run(Child.passesOn));
    try expectEqual(exited(8), try child_process.run(Child.comesAgain));
    try expectEqual(killed, try child_process.run(Child.looksNotAgain));
}

test "a stack that is not to be recovered ends the process as before" {
    const Child = struct {
        fn overflows() void {
            overflow.install();
            const stack = OsStack.init(0) catch return;
            var generator: Ints = .init(stack.stack(), body);
            _ = generator.@"resume"(0);
        }
    };
    try expectEqual(killed, try child_process.run(Child.overflows));
}

test "a stray pointer into a guard page is no overflow" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    const Child = struct {
        var stray: *volatile u8 = undefined;

        fn ofSuspended() void {
            overflow.install();
            const stack = recoverable(0) catch return;
            var generator: Ints = .init(stack.stack(), body);
            _ = generator.@"resume"(1);
            stray = @ptrFromInt(stack.stack().stack.limit - 1);
            stray.* = 1;
        }

        fn outer(_: *Yielder(usize, usize), _: usize) void {
            const stack = OsStack.init(64 * 1024) catch return;
            var inner: Ints = .init(stack.stack(), strayBody);
            _ = inner.@"resume"(1);
        }
        fn strayBody(_: *Yielder(usize, usize), _: usize) void {
            stray.* = 1;
        }
        fn ofRunning() void {
            overflow.install();
            const stack = recoverable(64 * 1024) catch return;
            stray = @ptrFromInt(stack.stack().stack.limit - 1);
            var generator: Ints = .init(stack.stack(), outer);
            _ = generator.@"resume"(1);
        }
    };
    try expectEqual(killed, try child_process.run(Child.ofSuspended));
    try expectEqual(killed, try child_process.run(Child.ofRunning));
}

/// Lets the process map `more` bytes than it has, and no more. Ends the process where that has no
/// effect, as under an emulator (qemu-user).
fn limitMemory(more: usize) void {
    const limit = mapped() + more;
    _ = linux.setrlimit(.AS, &.{ .cur = limit, .max = limit });
    var now: linux.rlimit = undefined;
    _ = linux.getrlimit(.AS, &now);
    if (now.cur != limit) linux.exit_group(unlimited);
}

const unlimited = 9;

/// Runs what calls `limitMemory`.
fn expectLimited(comptime function: fn () void) !void {
    const end = try child_process.run(function);
    if (std.meta.eql(end, exited(unlimited))) return error.SkipZigTest;
    try expectEqual(exited(0), end);
}

/// How many bytes the process has mapped.
fn mapped() usize {
    var text: [64]u8 = undefined;
    const fd = linux.open("/proc/self/statm", .{}, 0);
    const length = linux.read(@intCast(fd), &text, text.len);
    _ = linux.close(@intCast(fd));
    const pages = std.mem.sliceTo(text[0..length], ' ');
    return (std.fmt.parseInt(usize, pages, 10) catch 0) * std.heap.pageSize();
}

test "an overflow is recovered from though no memory is left to look at it" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    const Child = struct {
        fn overflows() void {
            overflow.install();
            const stack = recoverable(0) catch return;
            // What a body may have left there must not be taken for a number of frames.
            const left: *Left = @ptrFromInt(stack.stack().stack.limit);
            left.count = 1;
            limitMemory(0);
            expectOverflow(stack) catch linux.exit_group(1);
            if (left.count != 0) linux.exit_group(2);
        }
    };
    try expectLimited(Child.overflows);
}

test "OsStack.init fails, and leaves nothing, where its guard cannot be noted" {
    const Child = struct {
        fn refused() void {
            guards.* = .{};
            limitMemory(1 << 20);
            const before = mapped();
            for (0..1000) |_| {
                const result = OsStack.init(64 * 1024);
                if (result != error.OutOfMemory) linux.exit_group(1);
                // Valgrind maps memory of its own, for code that it translates.
                if (!valgrind.isRunning() and mapped() != before) linux.exit_group(2);
            }
        }
    };
    try expectLimited(Child.refused);
}

/// In the middle of a larger piece of memory, so that what is written below does no harm.
const Slice = struct {
    var memory: [64 * 1024]u8 align(16) = undefined;

    fn generator() Generator(usize, usize) {
        const slice = fringe.SliceStack.init(memory[32 * 1024 ..]) catch unreachable;
        return .initUnguarded(slice.stack(), strays);
    }

    /// Writes a byte so far above the stack's limit.
    fn strays(yielder: *Yielder(usize, usize), first: usize) void {
        var offset = first;
        defer memory[32 * 1024 + offset] = 1;
        while (true) {
            memory[32 * 1024 + offset] = 1;
            offset = yielder.@"suspend"(offset) catch return;
            if (offset == 0) return;
        }
    }
};

test "a body that writes over the end of an unguarded stack ends the process" {
    const Child = struct {
        fn staysAbove() void {
            var generator = Slice.generator();
            const fine = generator.@"resume"(16) == 16 and generator.@"resume"(17) == 17;
            if (!fine or generator.state() != .runnable) linux.exit_group(1);
            if (generator.cancel() != .returned) linux.exit_group(1);
        }
        fn atFirst() void {
            var generator = Slice.generator();
            _ = generator.@"resume"(15);
        }
        fn later() void {
            var generator = Slice.generator();
            if (generator.@"resume"(16) != 16) linux.exit_group(1);
            _ = generator.@"resume"(1);
        }
        fn atTheEnd() void {
            var generator = Slice.generator();
            if (generator.@"resume"(16) != 16) linux.exit_group(1);
            _ = generator.@"resume"(0);
        }
        fn whenCanceled() void {
            var generator = Slice.generator();
            _ = generator.@"resume"(16);
            Slice.memory[32 * 1024] = 1;
            _ = generator.cancel();
        }
    };
    const aborted: child_process.End = .{ .killed = .ABRT };
    try expectEqual(exited(0), try child_process.run(Child.staysAbove));
    try expectEqual(aborted, try child_process.run(Child.atFirst));
    try expectEqual(aborted, try child_process.run(Child.later));
    try expectEqual(aborted, try child_process.run(Child.atTheEnd));
    try expectEqual(aborted, try child_process.run(Child.whenCanceled));
}
