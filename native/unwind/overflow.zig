// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Stack overflow: what happens when a body runs into the guard page of its stack. The fault comes
//! in as SIGSEGV, on the thread's alternate signal stack. By default it is reported on stderr, with
//! the frames of the body, and whoever handled the signal before goes on with it. A stack that was
//! made so is taken out of the hands of its body instead, whose frames are forgotten: its generator
//! has then ended with the status `overflowed`, and the stack can be used again.
//!
//! Every other fault goes to whoever handled the signal before, as it came.
//!
//! All of this runs in a signal handler, at any point of the program. So it makes system calls and
//! nothing else; but dladdr and the unwinder, which signal-safety(7) does not list, are called
//! all the same, on a stack that is hopeless anyway. They take no lock but the dynamic loader's,
//! which is recursive.

const std = @import("std");
const linux = std.os.linux;
const arch = @import("builtin").cpu.arch;
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const guards = &@import("../stack/guard_table.zig").guards;
const loader = @import("loader.zig");
const Call = @import("../context/mailbox.zig").Call;
const spare_stack = @import("../stack/spare_stack.zig");
const Stack = @import("../stack/stack.zig").Stack;
const Status = @import("../context/status.zig").Status;
const system = @import("../os/system.zig");
const unwinder = @import("unwinder.zig");

const page_size = std.heap.page_size_min;

extern const fringe_root_return: u8;
extern fn fringe_call_body() void;

/// libc's, where there is one: unwinders know what it has a handler return to.
const libcSigaction = @extern(
    ?*const fn (
        signal: linux.SIG,
        new: ?*const std.c.Sigaction,
        old: ?*std.c.Sigaction,
    ) callconv(.c) c_int,
    .{ .name = "sigaction", .linkage = .weak },
);

/// What a signal does.
const Action = struct {
    handler: usize,
    flags: c_uint = 0,

    const default = @intFromPtr(linux.SIG.DFL);
    const ignore = @intFromPtr(linux.SIG.IGN);

    /// What SIGSEGV does now.
    fn now() Action {
        return exchange(null);
    }

    /// Has SIGSEGV do it.
    fn set(self: Action) void {
        _ = exchange(self);
    }

    fn exchange(new: ?Action) Action {
        if (libcSigaction) |sigaction| return exchangeBy(std.c.Sigaction, sigaction, new);
        return exchangeBy(linux.Sigaction, linux.sigaction, new);
    }

    fn exchangeBy(comptime Sigaction: type, sigaction: anytype, new: ?Action) Action {
        var old: Sigaction = undefined;
        if (new) |action| {
            const wanted: Sigaction = .{
                .handler = .{ .handler = @ptrFromInt(action.handler) },
                .mask = @splat(0),
                .flags = @intCast(action.flags),
            };
            _ = sigaction(.SEGV, &wanted, &old);
        } else {
            _ = sigaction(.SEGV, null, &old);
        }
        return .{ .handler = @intFromPtr(old.handler.handler), .flags = @intCast(old.flags) };
    }
};

/// Public for the tests.
pub var installed: std.atomic.Value(bool) = .init(false);
var previous: Action = .{ .handler = Action.default };

/// Has overflows noticed, for the rest of the process. Only a thread that has an alternate signal
/// stack (sigaltstack(2)) sees it: those of Zig's std, of Rust's and of Deno have one of their own.
pub fn install() callconv(.c) void {
    if (installed.swap(true, .acq_rel)) return;
    // The handler outlives whoever has loaded this library.
    loader.keep(@intFromPtr(&handle));
    // Before the handler is there: another thread may have a fault at any time.
    previous = Action.now();
    const flags = linux.SA.SIGINFO | linux.SA.ONSTACK;
    (Action{ .handler = @intFromPtr(&handle), .flags = flags }).set();
}

/// ucontext_t, as far as it is of interest (the kernel's arch/x86/include/uapi/asm/sigcontext.h).
const Ucontext = extern struct {
    flags: usize,
    link: ?*anyopaque,
    stack: linux.stack_t,
    registers: switch (arch) {
        .x86_64 => extern struct {
            r8_to_r15: [8]usize,
            rdi: usize,
            rsi: usize,
            rbp: usize,
            rbx: usize,
            rdx: usize,
            rax: usize,
            rcx: usize,
            sp: usize,
            ip: usize,
            flags: usize,
            segments: [4]u16,
            err: usize,
            trap_number: usize,
            old_mask: usize,
            cr2: usize,
            /// In the layout of FXSAVE.
            floats: *align(1) extern struct { control: u16, status: u16, tags: u8 },
        },
        .x86 => extern struct {
            segments: [4]u32,
            edi: usize,
            esi: usize,
            ebp: usize,
            sp: usize,
            ebx: usize,
            edx: usize,
            ecx: usize,
            eax: usize,
            trap_number: usize,
            err: usize,
            ip: usize,
            code_segment: usize,
            flags: usize,
            sp_at_signal: usize,
            stack_segment: usize,
            /// In the layout of FSAVE.
            floats: *align(1) extern struct { control: u32, status: u32, tags: u32 },
        },
        else => @compileError("overflow.zig knows x86_64 and x86"),
    },
};

fn handle(
    signal: linux.SIG,
    info: *const linux.siginfo_t,
    ucontext: *Ucontext,
) callconv(.c) void {
    const address = @intFromPtr(info.fields.sigfault.addr);
    if (isFault(info)) if (Overflow.find(address, ucontext)) |overflow| {
        if (overflow.recover) return overflow.end(ucontext);
        overflow.report();
    };
    pass(signal, info, ucontext);
}

/// Whether the processor has raised it, and not a program (kill(2)).
fn isFault(info: *const linux.siginfo_t) bool {
    return info.code > 0;
}

/// Lets whoever handled the signal before do it now.
fn pass(signal: linux.SIG, info: *const linux.siginfo_t, ucontext: *Ucontext) void {
    switch (previous.handler) {
        Action.default, Action.ignore => {
            if (!isFault(info) and previous.handler == Action.ignore) return;
            // A fault is repeated when this returns; it cannot be ignored, whatever the action.
            previous.set();
            if (isFault(info)) return;
            _ = system.call(linux.tgkill, .{ linux.getpid(), linux.gettid(), signal });
        },
        else => |handler| if (previous.flags & linux.SA.SIGINFO != 0) {
            const Handler = fn (linux.SIG, *const linux.siginfo_t, *Ucontext) callconv(.c) void;
            @as(*const Handler, @ptrFromInt(handler))(signal, info, ucontext);
        } else {
            const Handler = fn (linux.SIG) callconv(.c) void;
            @as(*const Handler, @ptrFromInt(handler))(signal);
        },
    }
}

/// A body that has used up its stack.
const Overflow = struct {
    context: *Context,
    stack: Stack,
    recover: bool,
    /// The instruction that needed more.
    ip: usize,

    fn find(address: usize, ucontext: *const Ucontext) ?Overflow {
        const guarded = guards.find(address) orelse return null;
        const stack: Stack = .{ .base = guarded.base, .limit = guarded.guard + page_size };
        const context = runningOn(stack) orelse return null;
        // A stray pointer is no overflow: the thread must run on that very stack. A function that
        // needs more than a page for itself may have stepped over the guard, and down to where
        // other memory is; to go on after that would be rash.
        const sp = ucontext.registers.sp;
        if (sp < guarded.guard or sp >= @intFromPtr(context)) return null;
        return .{
            .context = context,
            .stack = stack,
            .recover = guarded.recover,
            .ip = ucontext.registers.ip,
        };
    }

    /// The context whose body runs on `stack`. It is near the top, below what its owner may have
    /// put there. Its link leads to its resumer; that of a context which does not run any more, and
    /// of which the memory still speaks, leads back into the stack.
    fn runningOn(stack: Stack) ?*Context {
        const alignment = @import("../stack/stack.zig").alignment;
        var at = std.mem.alignBackward(usize, stack.base - @sizeOf(Context), alignment);
        while (at >= stack.limit) : (at -= alignment) {
            const context: *Context = @ptrFromInt(at);
            if (context.return_address != @intFromPtr(&fringe_root_return)) continue;
            // Nor one that an exception has left.
            if (context.exceptions == .finished) continue;
            const link = @intFromPtr(context.link);
            if (link < stack.limit or link >= stack.base) return context;
        }
        return null;
    }

    /// Makes `ucontext` go on as if the body had ended, instead of in the body. Here and below a
    /// spare stack is taken for what needs more than little: that of a signal has 8 KiB as a rule,
    /// and the kernel alone may have put more than 3 there.
    fn end(self: *const Overflow, ucontext: *Ucontext) void {
        // None, should there be no memory to look for them.
        @as(*Left, @ptrFromInt(self.stack.limit)).count = 0;
        spare_stack.run(self, leaveFrames);
        const registers = &ucontext.registers;
        registers.ip = @intFromPtr(&context_module.fringe_finish);
        registers.sp = @intFromPtr(self.context);
        const status: usize = @backingInt(Status.overflowed);
        // As the ABI wants it at a call, which the body may have been in the middle of preparing:
        // the direction flag clear, the x87 stack empty.
        registers.flags &= ~@as(usize, 1 << 10);
        switch (arch) {
            .x86_64 => {
                registers.rdi = @intFromPtr(self.context);
                registers.rsi = status;
                registers.floats.tags = 0;
            },
            .x86 => {
                const call: *[3]usize = @ptrFromInt(registers.sp - 32);
                call[1..].* = .{ @intFromPtr(self.context), status };
                registers.sp = @intFromPtr(call);
                registers.floats.tags = 0xffff;
            },
            else => comptime unreachable,
        }
    }

    /// For whoever resumed the body: how many frames there are, and where each one is, at the lower
    /// end of the stack, where nobody is any more.
    const Left = extern struct { count: usize, addresses: [Walk.first_max]usize };

    fn leaveFrames(self: *const Overflow) void {
        const walk: Walk = .from(self.ip, Walk.first_max);
        const left: *Left = @ptrFromInt(self.stack.limit);
        left.* = .{ .count = walk.count, .addresses = walk.first };
    }

    fn report(self: *const Overflow) void {
        spare_stack.run(self, writeReport);
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
            ") is used up. Call it by yielder.call(), in a generator on a larger OsStack\n"
        else
            ") is used up. Run it on a larger OsStack\n");
        // Before the frames, in case that these do not stand being looked at.
        text.write();

        const walk: Walk = .from(self.ip, Walk.all);
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
    const first_max = 64;
    const last_max = 4;
    /// How many of the first ones are printed.
    const printed = 16;

    first: [first_max]usize = undefined,
    last: [last_max]usize = undefined,
    count: usize = 0,
    count_max: usize,
    /// Whether the unwinder, which begins at the frame that calls it, has come to the body's.
    begun: bool = false,

    fn from(ip: usize, count_max: usize) Walk {
        var walk: Walk = .{ .count_max = count_max };
        walk.add(ip);
        // Without an unwinder there is one frame.
        if (unwinder.getIP != null) if (unwinder.backtrace) |run| {
            _ = run(&visit, &walk);
        };
        return walk;
    }

    fn add(self: *Walk, address: usize) void {
        if (self.count < first_max) self.first[self.count] = address;
        self.last[self.count % last_max] = address;
        self.count += 1;
    }

    fn at(self: *const Walk, i: usize) usize {
        return if (i < first_max) self.first[i] else self.last[i % last_max];
    }

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Walk = @ptrCast(@alignCast(argument));
        const ip = unwinder.getIP.?(frame);
        if (!self.begun) {
            self.begun = ip == self.first[0];
            return unwinder.no_reason;
        }
        const ends = ip == @intFromPtr(&context_module.fringe_trampoline_return);
        if (ends) return unwinder.end_of_trace;
        self.add(ip);
        return if (self.count == self.count_max) unwinder.end_of_trace else unwinder.no_reason;
    }
};

/// What is about to be written.
const Text = struct {
    bytes: [4096]u8 = undefined,
    length: usize = 0,

    fn add(self: *Text, part: []const u8) void {
        const length = @min(part.len, self.bytes.len - self.length);
        @memcpy(self.bytes[self.length..][0..length], part[0..length]);
        self.length += length;
    }

    fn addNumber(self: *Text, number: usize, base: u8) void {
        var digits: [20]u8 = undefined;
        var at = digits.len;
        var rest = number;
        while (true) {
            at -= 1;
            digits[at] = "0123456789abcdef"[rest % base];
            rest /= base;
            if (rest == 0) break;
        }
        self.add(digits[at..]);
    }

    fn addAddress(self: *Text, address: usize) void {
        self.add("0x");
        self.addNumber(address, 16);
    }

    /// A function, by its name if it has one.
    fn addFunction(self: *Text, address: usize) void {
        const info = loader.symbolAt(address);
        const name = info.symbol_name orelse return self.addPlace(address, info);
        self.add("`");
        self.add(std.mem.span(name));
        self.add("`");
    }

    /// Where a function has come to. A return address may lie behind the function's last
    /// instruction, so it is looked up one byte below it.
    fn addFrame(self: *Text, address: usize, is_return_address: bool) void {
        const info = loader.symbolAt(address - @intFromBool(is_return_address));
        if (info.symbol_name) |name| {
            self.add(std.mem.span(name));
            self.add("+");
            self.addAddress(address - @intFromPtr(info.symbol_address));
            self.add(" (");
        }
        self.addPlace(address, info);
        if (info.symbol_name != null) self.add(")");
    }

    /// An address as an offset in its file, which addr2line(1) takes.
    fn addPlace(self: *Text, address: usize, info: loader.Symbol) void {
        const path = std.mem.span(info.file_name orelse return self.addAddress(address));
        self.add(path[if (std.mem.findScalarLast(u8, path, '/')) |slash| slash + 1 else 0..]);
        self.add("+");
        self.addAddress(address - @intFromPtr(info.file_base));
    }

    /// Writes it to stderr, and begins anew.
    fn write(self: *Text) void {
        _ = system.call(linux.write, .{ 2, &self.bytes, self.length });
        self.length = 0;
    }
};
