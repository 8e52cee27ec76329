// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Two timers send signals, 10,000 a second each, while a million switches go on, of each kind. The
//! handlers run on the alternate stack, where they write over all that is free below the stack
//! that they have interrupted, or on that stack itself, where the system and they do. They destroy
//! registers, interrupt each other, and follow the frames that they find back to whoever resumed.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const call_test = @import("call_test.zig");
const context_module = @import("../context/context.zig");
const context_test = @import("context_test.zig");
const Context = context_module.Context;
const machine = @import("registers.zig");
const Mailbox = @import("../layout.zig").Mailbox;
const sanitizer = @import("../watch/sanitizer.zig");
const valgrind = @import("../watch/valgrind.zig");

const Call = call_test.Call;
const Fixture = context_test.Fixture;
const fringe_resume = context_module.fringe_resume;
const fringe_resume_call = context_test.fringe_resume_call;

const on_x86 = builtin.cpu.arch == .x86;

/// How many times longer a timer waits. aarch64 is emulated as a rule, and tables are followed
/// slowly then: the program would do nothing but handle signals.
const slowness = if (builtin.cpu.arch == .aarch64) 50 else 1;

const switches_min = 1_000_000;
/// What each of the two handlers has to see before the test may end.
const signals_min = 100;
/// After so many no more sense is to be expected. A handler that has panicked hangs, since the
/// other goes on.
const signals_max = 1_000_000;

// Timers

/// The kernel's `struct sigevent`.
const SignalEvent = extern struct {
    value: usize = 0,
    signal: linux.SIG,
    notify: i32 = 4, // SIGEV_THREAD_ID
    thread: linux.pid_t,
    padding: [64]u8 = @splat(0),
};

/// The kernel's `struct __kernel_itimerspec`.
const Interval = extern struct { every_s: i64, every_ns: i64, first_s: i64, first_ns: i64 };

const Timer = struct {
    number: i32,

    /// Sends `signal` to this thread, again and again.
    fn init(signal: linux.SIG, interval_ns: i64) !Timer {
        var event: SignalEvent = .{ .signal = signal, .thread = linux.gettid() };
        var timer: Timer = undefined;
        // Timers of a process's own time go by the system's ticks, which are too slow.
        const clock = @backingInt(linux.CLOCK.MONOTONIC);
        const number = @intFromPtr(&timer.number);
        try expectEqual(0, linux.syscall3(.timer_create, clock, @intFromPtr(&event), number));
        errdefer timer.deinit();
        const interval: Interval = .{
            .every_s = 0,
            .every_ns = interval_ns,
            .first_s = 0,
            .first_ns = interval_ns,
        };
        const call = if (on_x86) .timer_settime64 else .timer_settime;
        const id: usize = @intCast(timer.number);
        try expectEqual(0, linux.syscall4(call, id, 0, @intFromPtr(&interval), 0));
        return timer;
    }

    fn deinit(self: Timer) void {
        _ = linux.syscall1(.timer_delete, @intCast(self.number));
    }
};

// Handlers

const Where = enum { on_alternate_stack, on_interrupted_stack };

/// How far the handlers follow frames.
const Walks = enum {
    none,
    frame_pointers,
    tables_as_well,

    /// At the last instruction of a function, LLVM's tables for x86 have ebp below esp, where it
    /// may be written over.
    const all: Walks = if (on_x86) .frame_pointers else .tables_as_well;
};

/// Memory that frames may lie in, from `limit` up to `base`.
const Region = struct {
    limit: usize,
    base: usize,

    fn has(self: Region, address: usize) bool {
        return self.limit <= address and address < self.base;
    }
};

/// What the handler of one signal has found.
const Findings = struct {
    signals: usize = 0,
    /// How often the frames led to whoever resumes, and how often nowhere that is known.
    by_frame_pointers: usize = 0,
    astray_by_frame_pointers: usize = 0,
    by_tables: usize = 0,
    astray_by_tables: usize = 0,

    /// As the program reads what handlers write.
    fn get(self: *const Findings, comptime field: []const u8) usize {
        return @atomicLoad(usize, &@field(self, field), .monotonic);
    }
};

var walks: Walks = undefined;
/// The fringe stack, the thread's, the alternate one.
var regions: [3]Region = undefined;
/// The frame of `drive`, while that runs.
var anchor: usize = 0;
/// Whether an unwinder is running, which may use the frame pointer for something else.
var is_tracing = false;
var profiled: Findings = undefined;
var alarmed: Findings = undefined;

fn onSignal(signal: linux.SIG, _: *const linux.siginfo_t, ucontext: ?*anyopaque) callconv(.c) void {
    const registers = std.debug.cpu_context.fromPosixSignalContext(ucontext).?;
    const findings = if (signal == .PROF) &profiled else &alarmed;
    findings.signals += 1;
    if (findings.signals > signals_max) std.process.abort();
    writeBelow(machine.stackPointer(&registers));
    if (walks != .none and anchor != 0 and !is_tracing) {
        walkFramePointers(findings, machine.framePointer(&registers));
        if (walks == .tables_as_well and signal == .PROF) walkTables(findings, &registers);
    }
    context_test.destroyRegisters();
}

/// Writes over what nobody may rely on below an interrupted stack pointer.
fn writeBelow(stack_pointer: usize) void {
    const alternate = regions[2];
    if (alternate.has(@frameAddress()) and !alternate.has(stack_pointer)) {
        @memset(@as([*]u8, @ptrFromInt(stack_pointer - 128 - 512))[0..512], 0xaa);
    } else {
        // The system has done so, with the frame of the signal.
        var below: [512]u8 = @splat(0xaa);
        std.mem.doNotOptimizeAway(&below);
    }
}

fn walkFramePointers(findings: *Findings, start: usize) void {
    var frame = start;
    // On the way into a body there is an instruction where the frames go round in a circle.
    for (0..64) |_| {
        if (frame == anchor) {
            findings.by_frame_pointers += 1;
            return;
        }
        const known = for (regions) |region| {
            if (region.has(frame)) break true;
        } else false;
        if (!known or frame % @sizeOf(usize) != 0) {
            findings.astray_by_frame_pointers += 1;
            return;
        }
        frame = @as(*const usize, @ptrFromInt(frame)).*;
    }
}

extern "c" fn _Unwind_FindEnclosingFunction(address: usize) usize;

fn walkTables(findings: *Findings, registers: *const std.debug.cpu_context.Native) void {
    const ip = machine.ip(registers);
    // There are no tables for most thunks.
    const thunks = call_test.block();
    if (ip -% thunks.address < thunks.count * thunks.stride) return;
    is_tracing = true;
    defer is_tracing = false;
    var addresses: [32]usize = undefined;
    const trace = std.debug.captureCurrentStackTrace(.{ .context = registers }, &addresses);
    for (trace.return_addresses) |address| {
        if (_Unwind_FindEnclosingFunction(address - 1) != @intFromPtr(&drive)) continue;
        findings.by_tables += 1;
        return;
    }
    findings.astray_by_tables += 1;
}

// Switches

/// Makes a hundred round trips with a fixture, or a call; false when something came out wrong.
const Round = *const fn (subject: *anyopaque) bool;
const round_trips = 100;

noinline fn drive(subject: *anyopaque, round: Round) bool {
    anchor = @frameAddress();
    defer anchor = 0;
    var switches: usize = 0;
    while (switches < switches_min or !hasSeenEnough()) : (switches += 2 * round_trips) {
        if (!round(subject)) return false;
    }
    return true;
}

fn hasSeenEnough() bool {
    const by_frame_pointers: usize = if (walks == .none) 0 else signals_min / 2;
    const by_tables: usize = if (walks == .tables_as_well) signals_min / 2 else 0;
    for ([_]*const Findings{ &profiled, &alarmed }) |findings| {
        if (findings.get("signals") < signals_min) return false;
        if (findings.get("by_frame_pointers") < by_frame_pointers) return false;
    }
    return profiled.get("by_tables") >= by_tables;
}

/// Notes where the frames of a fixture, or a call, may be, and forgets what was found before.
fn watch(subject: anytype, alternate: []const u8) void {
    const stack = subject.os_stack.stack().stack;
    const here = @frameAddress();
    const signal_stack = @intFromPtr(alternate.ptr);
    regions = .{
        .{ .limit = stack.limit, .base = stack.base },
        .{ .limit = here - (1 << 20), .base = here + 4096 },
        .{ .limit = signal_stack, .base = signal_stack + alternate.len },
    };
    profiled = .{};
    alarmed = .{};
}

/// Whether some tool has its own functions in between, or lets no signal come where it likes.
fn isWatched() bool {
    return sanitizer.enabled or valgrind.isRunning();
}

/// Drives a fixture, or a call, while signals come.
fn hammer(where: Where, walk: Walks, subject: anytype, round: Round) !void {
    if (isWatched()) return error.SkipZigTest;
    const memory = try std.testing.allocator.alloc(u8, 1 << 16);
    defer std.testing.allocator.free(memory);
    walks = walk;
    watch(subject, memory);
    const signal_stack: linux.stack_t = .{ .sp = memory.ptr, .flags = 0, .size = memory.len };
    var old_stack: linux.stack_t = undefined;
    try expectEqual(0, linux.sigaltstack(&signal_stack, &old_stack));
    defer _ = linux.sigaltstack(&old_stack, null);

    var old: [2]linux.Sigaction = undefined;
    for (&old, [_]linux.SIG{ .PROF, .ALRM }) |*old_action, signal| {
        var mask = linux.sigemptyset();
        // An unwinder cannot step out of the frame of a signal, so what traces interrupts no other.
        if (walk == .tables_as_well and signal == .ALRM) linux.sigaddset(&mask, .PROF);
        const action: linux.Sigaction = .{
            .handler = .{ .sigaction = &onSignal },
            .mask = mask,
            .flags = linux.SA.SIGINFO | @as(c_ulong, switch (where) {
                .on_alternate_stack => linux.SA.ONSTACK,
                .on_interrupted_stack => 0,
            }),
        };
        try expectEqual(0, linux.sigaction(signal, &action, old_action));
    }
    defer for (&old, [_]linux.SIG{ .PROF, .ALRM }) |*old_action, signal| {
        _ = linux.sigaction(signal, old_action, null);
    };

    const is_right = is_right: {
        // Other intervals, so that one comes at every point of the other.
        const profiling: Timer = try .init(.PROF, slowness * 100_000);
        defer profiling.deinit();
        const alarm: Timer = try .init(.ALRM, slowness * 97_000);
        defer alarm.deinit();
        break :is_right drive(subject, round);
    };
    try expect(is_right);
    for ([_]*const Findings{ &profiled, &alarmed }) |findings| {
        try expectEqual(0, findings.astray_by_frame_pointers);
        try expectEqual(0, findings.astray_by_tables);
    }
}

fn holdingBody(context: *Context, _: usize) callconv(.c) void {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    var right: u64 = 1;
    var i: u32 = 0;
    while (true) : (i = (i + 1) % 10_000) {
        if (!context_test.holdValues(i, context, true)) right = 0;
        box.output.store(right);
    }
}

fn holdValues(subject: *anyopaque) bool {
    const fixture: *Fixture = @ptrCast(@alignCast(subject));
    for (0..round_trips) |i| {
        if (!context_test.holdValues(@intCast(i * 17), fixture.context, false)) return false;
    }
    // What the body has found the last time.
    return fixture.box.output.load() == 1;
}

test "inlined switches stand timers" {
    for (std.enums.values(Where)) |where| {
        var fixture = try Fixture.init(&holdingBody);
        defer fixture.deinit();
        // Once more, since the body has no finding before the second resume.
        try expect(context_test.holdValues(0, fixture.context, false));
        try hammer(where, .frame_pointers, &fixture, &holdValues);
    }
}

const Resume = fn (context: *Context, word: usize) callconv(.c) usize;
const resume_functions: [3]*const Resume = .{
    &fringe_resume,
    &fringe_resume_call,
    &context_test.fringe_test_trampoline,
};

fn addBy(comptime resume_function: *const Resume) Round {
    return &struct {
        fn add(subject: *anyopaque) bool {
            const fixture: *Fixture = @ptrCast(@alignCast(subject));
            for (1..round_trips + 1) |i| {
                if (resume_function(fixture.context, i) != i + 1) return false;
            }
            return true;
        }
    }.add;
}

test "called switches stand timers, and frames lead to the resumer at each" {
    inline for (resume_functions) |resume_function| {
        for (std.enums.values(Where)) |where| {
            var fixture = try Fixture.init(&context_test.adder);
            defer fixture.deinit();
            fixture.box.input.store(1);
            try hammer(where, .all, &fixture, addBy(resume_function));
        }
    }
}

fn keepBy(comptime resume_function: *const Resume) Round {
    return &struct {
        fn keep(subject: *anyopaque) bool {
            const fixture: *Fixture = @ptrCast(@alignCast(subject));
            const word = @intFromPtr(fixture.context);
            for (0..round_trips) |_| {
                if (context_test.fringe_test_kept(resume_function, word, 0) != 0) return false;
                // What the body has found.
                if (fringe_resume(fixture.context, 0) != 0) return false;
            }
            return true;
        }
    }.keep;
}

test "called switches keep registers while timers run" {
    inline for (resume_functions) |resume_function| {
        for (std.enums.values(Where)) |where| {
            var fixture = try Fixture.init(&context_test.fringe_test_kept_body);
            defer fixture.deinit();
            try hammer(where, .none, &fixture, keepBy(resume_function));
        }
    }
}

// Callbacks

const Ask = fn (first: usize, second: usize) callconv(.c) usize;

/// Calls its callback until an answer is wrong.
fn asks(ask: *const Ask) callconv(.c) usize {
    var i: usize = 0;
    while (ask(i, 7) == i * 7 + 1) i = (i + 1) % 10_000;
    return i;
}

fn answers(subject: *anyopaque) bool {
    const call: *Call = @ptrCast(@alignCast(subject));
    for (0..round_trips) |_| {
        if (call.next() == null) return false;
        const first, const second = call.passed(struct { usize, usize });
        call.answer(first * second + 1);
    }
    return true;
}

/// Calls its callback until it finds a register changed.
fn asksKept(ask: *const Ask) callconv(.c) usize {
    while (context_test.fringe_test_kept(ask, 6, 7) == 0) {}
    return 0;
}

fn answersKept(subject: *anyopaque) bool {
    const call: *Call = @ptrCast(@alignCast(subject));
    const word = @intFromPtr(call.context);
    for (0..round_trips) |_| {
        if (context_test.fringe_test_kept(&fringe_resume_call, word, 0) != 0) return false;
        if (call.box.call.generator.status != .suspended) return false;
        const first, const second = call.passed(struct { usize, usize });
        if (first != 6 or second != 7) return false;
    }
    return true;
}

test "callbacks stand timers, and frames lead to the resumer at each" {
    for (std.enums.values(Where)) |where| {
        var call = try Call.init(&asks, .{call_test.thunk(Ask, 0)});
        defer call.deinit();
        try hammer(where, .all, &call, &answers);
    }
}

test "callbacks keep registers while timers run" {
    for (std.enums.values(Where)) |where| {
        var call = try Call.init(&asksKept, .{call_test.thunk(Ask, 0)});
        defer call.deinit();
        try hammer(where, .none, &call, &answersKept);
    }
}

/// Begins a call of `asksTwice` again and again.
fn beginsAgain(subject: *anyopaque) bool {
    const call: *Call = @ptrCast(@alignCast(subject));
    for (0..round_trips) |i| {
        if (context_test.fringe_call(call.context, 0) == 0) return false;
        call.answer(@as(usize, i));
        if (call.next() == null) return false;
        call.answer(@as(usize, 5));
        if (call.next() != null) return false;
        if (call.result(usize) != i * 100 + 5) return false;
    }
    return true;
}

fn beginsKept(subject: *anyopaque) bool {
    const fixture: *Fixture = @ptrCast(@alignCast(subject));
    const word = @intFromPtr(fixture.context);
    for (0..round_trips) |_| {
        if (context_test.fringe_test_kept(&context_test.fringe_call, word, 0) != 0) return false;
        if (fixture.box.status != .returned) return false;
    }
    return true;
}

test "calls that begin again stand timers, and frames lead to the resumer at each" {
    for (std.enums.values(Where)) |where| {
        var call = try Call.init(&call_test.asksTwice, .{call_test.thunk(Ask, 0)});
        defer call.deinit();
        try hammer(where, .all, &call, &beginsAgain);
    }
}

test "calls that begin again keep registers while timers run" {
    for (std.enums.values(Where)) |where| {
        var fixture = try Fixture.init(&context_test.returningBody);
        defer fixture.deinit();
        try hammer(where, .none, &fixture, &beginsKept);
    }
}

// At every instruction

/// As of all signals, what the handler finds if its stack is the interrupted one.
fn walkAt(registers: *const std.debug.cpu_context.Native) void {
    context_test.scribble(registers);
    walkFramePointers(&profiled, machine.framePointer(registers));
}

fn callTwice(context: *Context) callconv(.c) usize {
    return fringe_resume_call(context, 0) * fringe_resume_call(context, 0);
}

test "at every instruction of a switch frame pointers lead to the resumer, or in a circle" {
    if (isWatched()) return error.SkipZigTest;
    inline for (.{ &context_test.resumeTwice, &context_test.resumeTwiceInline }) |function| {
        inline for (.{ &context_test.adder, &context_test.inlineAdder }) |body| {
            var fixture = try Fixture.init(body);
            defer fixture.deinit();
            try walkThrough(function, &fixture);
        }
    }
    var fixture = try Fixture.init(&context_test.returningBody);
    defer fixture.deinit();
    try walkThrough(&context_test.beginTwice, &fixture);
    var call = try Call.init(&asks, .{call_test.thunk(Ask, 0)});
    defer call.deinit();
    try walkThrough(&callTwice, &call);
}

fn walkThrough(function: *const fn (*Context) callconv(.c) usize, subject: anytype) !void {
    anchor = @frameAddress();
    watch(subject, &.{});
    _ = try context_test.stepThrough(function, subject.context, &walkAt);
    try expectEqual(0, profiled.astray_by_frame_pointers);
    // One each time that a body is entered.
    try expectEqual(2, context_test.instructions - profiled.by_frame_pointers);
}
