// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of what `switch_<arch>.S` and `context.zig` promise: words, registers, alignment, frames.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const fringe_resume = context_module.fringe_resume;
const fringe_suspend = context_module.fringe_suspend;
const arch = @import("../arch/arch.zig").arch;
const machine = @import("registers.zig");
const Registers = machine.Registers;
const Mailbox = @import("../layout.zig").Mailbox;
const OsStack = @import("../stack/os_stack.zig").OsStack;
const sanitizer = @import("../watch/sanitizer.zig");
const valgrind = @import("../watch/valgrind.zig");

const on_x86_64 = builtin.cpu.arch == .x86_64;

/// A context on a stack of its own, without a generator around it.
pub const Fixture = struct {
    os_stack: OsStack,
    box: *Mailbox(u64, u64),
    context: *Context,

    pub fn init(body: *const anyopaque) !Fixture {
        var os_stack = try OsStack.init(1 << 16);
        errdefer os_stack.deinit();
        const box = try std.testing.allocator.create(Mailbox(u64, u64));
        box.* = .{ .status = .suspended, .input = undefined, .output = undefined };
        box.input.store(0);
        return .{
            .os_stack = os_stack,
            .box = box,
            .context = context_module.init(os_stack.stack().stack, body, box),
        };
    }

    pub fn deinit(self: *Fixture) void {
        std.testing.allocator.destroy(self.box);
        self.os_stack.deinit();
    }
};

pub fn adder(context: *Context, first: usize) callconv(.c) void {
    var word = first;
    while (word != 0) word = fringe_suspend(context, word + 1);
}

test "fringe_resume and fringe_suspend pass words, and a body that returns says so" {
    var fixture = try Fixture.init(&adder);
    defer fixture.deinit();
    fixture.box.input.store(10);
    try expectEqual(11, fringe_resume(fixture.context, 0));
    try expectEqual(51, fringe_resume(fixture.context, 50));
    try expectEqual(.suspended, fixture.box.status);
    try expectEqual(0, fringe_resume(fixture.context, 0));
    try expectEqual(.returned, fixture.box.status);
    // It goes nowhere any more.
    try expectEqual(0, fringe_resume(fixture.context, 7));
    try expectEqual(.returned, fixture.box.status);
}

test "fringe_signal ends a body that has not begun, and none of it runs" {
    var fixture = try Fixture.init(&adder);
    defer fixture.deinit();
    fixture.box.input.store(10);
    const signal: context_module.Signal = @ptrFromInt(16); // Never called.
    try expectEqual(0, context_module.fringe_signal(fixture.context, signal, 0));
    try expectEqual(.unwound, fixture.box.status);
    try expectEqual(0, fringe_resume(fixture.context, 7));
    try expectEqual(.unwound, fixture.box.status);
}

pub fn inlineAdder(context: *Context, first: usize) callconv(.c) void {
    var word = first;
    var signal: usize = 0;
    while (signal == 0) word = context_module.switchToResumer(context, word + 1, &signal);
}

test "inlined and called switches work with each other" {
    inline for (.{ &adder, &inlineAdder }) |body| {
        var fixture = try Fixture.init(body);
        defer fixture.deinit();
        fixture.box.input.store(1);
        try expectEqual(2, fringe_resume(fixture.context, 0));
        for (2..100) |i| {
            try expectEqual(i + 1, context_module.switchToBody(fixture.context, i, 0));
            try expectEqual(i + 2, fringe_resume(fixture.context, i + 1));
            try expectEqual(i + 3, fringe_resume_call(fixture.context, i + 2));
        }
    }
}

fn wordsBody(context: *Context, first: u64) callconv(.c) void {
    var sum: u64 = first;
    // Whatever a word is, it comes through whole.
    while (true) sum = fringe_suspend(context, @truncate(sum));
}

test "words are passed whole" {
    var fixture = try Fixture.init(&wordsBody);
    defer fixture.deinit();
    const input: u64 = 0x0123_4567_89ab_cdef;
    fixture.box.input.store(input);
    try expectEqual(@as(usize, @truncate(input)), fringe_resume(fixture.context, 0));
    for ([_]usize{ 0, 1, std.math.maxInt(usize), std.math.maxInt(usize) / 3 }) |word| {
        try expectEqual(word, fringe_resume(fixture.context, word));
    }
}

fn firstInputBody(comptime T: type) fn (*Context, T) callconv(.c) void {
    return struct {
        fn body(context: *Context, input: T) callconv(.c) void {
            const box: *Mailbox(T, T) = @ptrCast(@alignCast(context.mailbox));
            box.output.store(input);
            _ = fringe_suspend(context, 0);
        }
    }.body;
}

test "the first input is the body's second argument, whatever scalar type it has" {
    inline for (.{ u64, i64, f64, f32, u32, i16, u8, *const u8 }) |T| {
        const body = firstInputBody(T);
        var fixture = try Fixture.init(&body);
        defer fixture.deinit();
        const box: *Mailbox(T, T) = @ptrCast(fixture.box);
        const input: T = switch (@typeInfo(T)) {
            .float => -1.25,
            .pointer => @ptrCast(&fixture),
            else => std.math.maxInt(T) - 1,
        };
        box.input.store(input);
        // Or it might still be in the register that it was stored from.
        destroyRegisters();
        _ = fringe_resume(fixture.context, 0);
        try expectEqual(input, box.output.load());
    }
}

// Registers

/// Calls function(first, second) with a value of its own in every register that a function must
/// leave as it is, and returns 0 when all are unchanged, and so is what must be as it
/// is: the direction flag is clear, x18 is the platform's.
pub extern fn fringe_test_kept(function: *const anyopaque, first: usize, second: usize) usize;

/// A body that does the same around each fringe_suspend, and suspends with the result.
pub extern fn fringe_test_kept_body(context: *Context) void;

comptime {
    asm (switch (builtin.cpu.arch) {
            .x86_64 =>
            \\.macro fringe_test_fill
            \\  lea 1(%rsp), %rbx
            \\  lea 2(%rsp), %rbp
            \\  lea 3(%rsp), %r12
            \\  lea 4(%rsp), %r13
            \\  lea 5(%rsp), %r14
            \\  lea 6(%rsp), %r15
            \\.endm
            \\.macro fringe_test_compare_one number, register
            \\  sub %rsp, \register
            \\  sub $\number, \register
            \\  or \register, %rax
            \\.endm
            \\.macro fringe_test_compare
            \\  pushf
            \\  pop %rax
            \\  and $0x400, %eax
            \\  fringe_test_compare_one 1, %rbx
            \\  fringe_test_compare_one 2, %rbp
            \\  fringe_test_compare_one 3, %r12
            \\  fringe_test_compare_one 4, %r13
            \\  fringe_test_compare_one 5, %r14
            \\  fringe_test_compare_one 6, %r15
            \\.endm
            \\fringe_test_kept:
            \\  push %rbx
            \\  push %rbp
            \\  push %r12
            \\  push %r13
            \\  push %r14
            \\  push %r15
            \\  sub $8, %rsp
            \\  mov %rdi, %rax
            \\  mov %rsi, %rdi
            \\  mov %rdx, %rsi
            \\  fringe_test_fill
            \\  call *%rax
            \\  fringe_test_compare
            \\  add $8, %rsp
            \\  pop %r15
            \\  pop %r14
            \\  pop %r13
            \\  pop %r12
            \\  pop %rbp
            \\  pop %rbx
            \\  ret
            \\fringe_test_kept_body:
            \\  push %rdi
            \\  xor %eax, %eax
            \\9:
            \\  fringe_test_fill
            \\  mov (%rsp), %rdi
            \\  mov %rax, %rsi
            \\  call fringe_suspend
            \\  fringe_test_compare
            \\  jmp 9b
            ,
            .x86 =>
            \\.macro fringe_test_fill
            \\  lea 1(%esp), %ebx
            \\  lea 2(%esp), %ebp
            \\  lea 3(%esp), %esi
            \\  lea 4(%esp), %edi
            \\.endm
            \\.macro fringe_test_compare_one number, register
            \\  sub %esp, \register
            \\  sub $\number, \register
            \\  or \register, %eax
            \\.endm
            \\.macro fringe_test_compare
            \\  pushf
            \\  pop %eax
            \\  and $0x400, %eax
            \\  fringe_test_compare_one 1, %ebx
            \\  fringe_test_compare_one 2, %ebp
            \\  fringe_test_compare_one 3, %esi
            \\  fringe_test_compare_one 4, %edi
            \\.endm
            \\fringe_test_kept:
            \\  mov 4(%esp), %eax
            \\  mov 8(%esp), %ecx
            \\  mov 12(%esp), %edx
            \\  push %ebx
            \\  push %ebp
            \\  push %esi
            \\  push %edi
            \\  sub $4, %esp
            \\  push %edx
            \\  push %ecx
            \\  fringe_test_fill
            \\  call *%eax
            \\  fringe_test_compare
            \\  add $12, %esp
            \\  pop %edi
            \\  pop %esi
            \\  pop %ebp
            \\  pop %ebx
            \\  ret
            \\fringe_test_kept_body:
            \\  mov 4(%esp), %ecx
            \\  sub $12, %esp
            \\  mov %ecx, (%esp)
            \\  xor %eax, %eax
            \\9:
            \\  fringe_test_fill
            \\  mov %eax, 4(%esp)
            \\  call fringe_suspend
            \\  fringe_test_compare
            \\  jmp 9b
            ,
            else =>
            \\.macro fringe_test_fill
            \\  add x19, sp, 1
            \\  add x20, sp, 2
            \\  add x21, sp, 3
            \\  add x22, sp, 4
            \\  add x23, sp, 5
            \\  add x24, sp, 6
            \\  add x25, sp, 7
            \\  add x26, sp, 8
            \\  add x27, sp, 9
            \\  add x28, sp, 10
            \\  add x29, sp, 11
            \\  fmov d8, x19
            \\  fmov d9, x20
            \\  fmov d10, x21
            \\  fmov d11, x22
            \\  fmov d12, x23
            \\  fmov d13, x24
            \\  fmov d14, x25
            \\  fmov d15, x26
            \\.endm
            \\.macro fringe_test_compare
            \\  mov x0, 0
            \\  add x9, sp, 1
            \\  eor x9, x9, x19
            \\  orr x0, x0, x9
            \\  add x9, sp, 2
            \\  eor x9, x9, x20
            \\  orr x0, x0, x9
            \\  add x9, sp, 3
            \\  eor x9, x9, x21
            \\  orr x0, x0, x9
            \\  add x9, sp, 4
            \\  eor x9, x9, x22
            \\  orr x0, x0, x9
            \\  add x9, sp, 5
            \\  eor x9, x9, x23
            \\  orr x0, x0, x9
            \\  add x9, sp, 6
            \\  eor x9, x9, x24
            \\  orr x0, x0, x9
            \\  add x9, sp, 7
            \\  eor x9, x9, x25
            \\  orr x0, x0, x9
            \\  add x9, sp, 8
            \\  eor x9, x9, x26
            \\  orr x0, x0, x9
            \\  add x9, sp, 9
            \\  eor x9, x9, x27
            \\  orr x0, x0, x9
            \\  add x9, sp, 10
            \\  eor x9, x9, x28
            \\  orr x0, x0, x9
            \\  add x9, sp, 11
            \\  eor x9, x9, x29
            \\  orr x0, x0, x9
            \\  fmov x10, d8
            \\  add x9, sp, 1
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d9
            \\  add x9, sp, 2
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d10
            \\  add x9, sp, 3
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d11
            \\  add x9, sp, 4
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d12
            \\  add x9, sp, 5
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d13
            \\  add x9, sp, 6
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d14
            \\  add x9, sp, 7
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\  fmov x10, d15
            \\  add x9, sp, 8
            \\  eor x9, x9, x10
            \\  orr x0, x0, x9
            \\.endm
            \\fringe_test_kept:
            \\  stp x29, x30, [sp, -176]!
            \\  stp x19, x20, [sp, 16]
            \\  stp x21, x22, [sp, 32]
            \\  stp x23, x24, [sp, 48]
            \\  stp x25, x26, [sp, 64]
            \\  stp x27, x28, [sp, 80]
            \\  stp d8, d9, [sp, 96]
            \\  stp d10, d11, [sp, 112]
            \\  stp d12, d13, [sp, 128]
            \\  stp d14, d15, [sp, 144]
            \\  str x18, [sp, 160]
            \\  mov x9, x0
            \\  mov x0, x1
            \\  mov x1, x2
            \\  fringe_test_fill
            \\  blr x9
            \\  fringe_test_compare
            \\  ldr x9, [sp, 160]
            \\  eor x9, x9, x18
            \\  orr x0, x0, x9
            \\  ldp x19, x20, [sp, 16]
            \\  ldp x21, x22, [sp, 32]
            \\  ldp x23, x24, [sp, 48]
            \\  ldp x25, x26, [sp, 64]
            \\  ldp x27, x28, [sp, 80]
            \\  ldp d8, d9, [sp, 96]
            \\  ldp d10, d11, [sp, 112]
            \\  ldp d12, d13, [sp, 128]
            \\  ldp d14, d15, [sp, 144]
            \\  ldp x29, x30, [sp], 176
            \\  ret
            \\fringe_test_kept_body:
            \\  stp x0, x30, [sp, -16]!
            \\  mov x1, 0
            \\9:
            \\  fringe_test_fill
            \\  ldr x0, [sp]
            \\  bl fringe_suspend
            \\  fringe_test_compare
            \\  mov x1, x0
            \\  b 9b
            ,
        });
}

test "fringe_resume and fringe_suspend keep the registers of their callers" {
    inline for (.{
        &fringe_resume,
        &fringe_resume_call,
        &fringe_test_trampoline,
    }) |resume_function| {
        var fixture = try Fixture.init(&fringe_test_kept_body);
        defer fixture.deinit();
        const context = @intFromPtr(fixture.context);
        for (0..10) |_| try expectEqual(0, fringe_test_kept(resume_function, context, 0));
        // What the body found.
        for (0..10) |_| try expectEqual(0, fringe_resume(fixture.context, 0));
    }
}

pub extern fn fringe_resume_call(context: *Context, word: usize) usize;
pub extern fn fringe_call(context: *Context, globals: usize) usize;

/// fringe_resume_call as V8 enters it: by a trampoline of Deno's, which goes on with the bytes that
/// RETURN_BY_JUMPS knows. Elsewhere than on x86_64 nothing is known of them.
pub extern fn fringe_test_trampoline(context: *Context, word: usize) usize;

comptime {
    asm (switch (builtin.cpu.arch) {
            .x86_64 =>
            \\fringe_test_trampoline:
            \\  .cfi_startproc
            \\  push %rbp
            \\  .cfi_def_cfa_offset 16
            \\  .cfi_offset %rbp, -16
            \\  mov %rsp, %rbp
            \\  .cfi_def_cfa_register %rbp
            \\  sub $48, %rsp
            \\  call fringe_resume_call
            \\  .byte 0x48, 0x89, 0xec
            \\  .cfi_def_cfa_register %rsp
            \\  pop %rbp
            \\  .cfi_def_cfa_offset 8
            \\  ret
            \\  .cfi_endproc
            ,
            .x86 =>
            \\fringe_test_trampoline:
            \\  .cfi_startproc
            \\  jmp fringe_resume_call
            \\  .cfi_endproc
            ,
            else =>
            \\fringe_test_trampoline:
            \\  .cfi_startproc
            \\  b fringe_resume_call
            \\  .cfi_endproc
            ,
        });
}

test "fringe_resume_call reads no further than the page that it returns to" {
    if (!on_x86_64) return;
    // Valgrind itself reads on where it translates code.
    if (valgrind.isRunning()) return error.SkipZigTest;
    const page_size = std.heap.pageSize();
    const pages = try std.posix.mmap(
        null,
        2 * page_size,
        .{ .READ = true, .WRITE = true },
        .{ .TYPE = .PRIVATE, .ANONYMOUS = true },
        -1,
        0,
    );
    defer std.posix.munmap(pages);
    // push %rbp; mov $fringe_resume_call, %rax; call *%rax; pop %rbp; ret
    var code = [_]u8{ 0x55, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0, 0x5d, 0xc3 };
    std.mem.writeInt(u64, code[3..11], @intFromPtr(&fringe_resume_call), .little);
    const start = pages[page_size - code.len .. page_size];
    @memcpy(start, &code);
    try expectEqual(0, linux.mprotect(pages.ptr, page_size, .{ .READ = true, .EXEC = true }));
    try expectEqual(0, linux.mprotect(pages.ptr + page_size, page_size, .{}));
    const resumeAtTheEnd: *const ResumeFunction = @ptrCast(start.ptr);
    var fixture = try Fixture.init(&adder);
    defer fixture.deinit();
    fixture.box.input.store(1);
    for (1..10) |i| try expectEqual(i + 1, resumeAtTheEnd(fixture.context, i));
}

test "fringe_signal keeps the registers of its caller" {
    const signal = struct {
        fn signal(context: *Context, _: usize) callconv(.c) noreturn {
            context_module.fringe_finish(context, .abandoned);
        }
        /// fringe_signal with two arguments, as fringe_test_kept calls it.
        fn send(context: *Context, word: usize) callconv(.c) usize {
            return context_module.fringe_signal(context, &signal, word);
        }
    };
    var fixture = try Fixture.init(&fringe_test_kept_body);
    defer fixture.deinit();
    try expectEqual(0, fringe_resume(fixture.context, 0));
    const context = @intFromPtr(fixture.context);
    try expectEqual(0, fringe_test_kept(&signal.send, context, 0));
    try expectEqual(.abandoned, fixture.box.status);
}

/// Destroys every register that the compiler can hold a value in.
pub inline fn destroyRegisters() void {
    switch (builtin.cpu.arch) {
        .x86_64 => asm volatile (
            \\pcmpeqd %%xmm0, %%xmm0
            \\pcmpeqd %%xmm1, %%xmm1
            \\pcmpeqd %%xmm2, %%xmm2
            \\pcmpeqd %%xmm3, %%xmm3
            \\pcmpeqd %%xmm4, %%xmm4
            \\pcmpeqd %%xmm5, %%xmm5
            \\pcmpeqd %%xmm6, %%xmm6
            \\pcmpeqd %%xmm7, %%xmm7
            \\pcmpeqd %%xmm8, %%xmm8
            \\pcmpeqd %%xmm9, %%xmm9
            \\pcmpeqd %%xmm10, %%xmm10
            \\pcmpeqd %%xmm11, %%xmm11
            \\pcmpeqd %%xmm12, %%xmm12
            \\pcmpeqd %%xmm13, %%xmm13
            \\pcmpeqd %%xmm14, %%xmm14
            \\pcmpeqd %%xmm15, %%xmm15
            \\mov $-1, %%rbx
            \\mov $-1, %%r12
            \\mov $-1, %%r13
            \\mov $-1, %%r14
            \\mov $-1, %%r15
            ::: .{
                .rbx = true,
                .r12 = true,
                .r13 = true,
                .r14 = true,
                .r15 = true,
                .xmm0 = true,
                .xmm1 = true,
                .xmm2 = true,
                .xmm3 = true,
                .xmm4 = true,
                .xmm5 = true,
                .xmm6 = true,
                .xmm7 = true,
                .xmm8 = true,
                .xmm9 = true,
                .xmm10 = true,
                .xmm11 = true,
                .xmm12 = true,
                .xmm13 = true,
                .xmm14 = true,
                .xmm15 = true,
            }),
        .x86 => asm volatile (
            \\pcmpeqd %%xmm0, %%xmm0
            \\pcmpeqd %%xmm1, %%xmm1
            \\pcmpeqd %%xmm2, %%xmm2
            \\pcmpeqd %%xmm3, %%xmm3
            \\pcmpeqd %%xmm4, %%xmm4
            \\pcmpeqd %%xmm5, %%xmm5
            \\pcmpeqd %%xmm6, %%xmm6
            \\pcmpeqd %%xmm7, %%xmm7
            \\mov $-1, %%ebx
            \\mov $-1, %%esi
            \\mov $-1, %%edi
            ::: .{
                .ebx = true,
                .esi = true,
                .edi = true,
                .xmm0 = true,
                .xmm1 = true,
                .xmm2 = true,
                .xmm3 = true,
                .xmm4 = true,
                .xmm5 = true,
                .xmm6 = true,
                .xmm7 = true,
            }),
        else => asm volatile (
            \\movi v0.2d, 0xffffffffffffffff
            \\movi v1.2d, 0xffffffffffffffff
            \\movi v2.2d, 0xffffffffffffffff
            \\movi v3.2d, 0xffffffffffffffff
            \\movi v4.2d, 0xffffffffffffffff
            \\movi v5.2d, 0xffffffffffffffff
            \\movi v6.2d, 0xffffffffffffffff
            \\movi v7.2d, 0xffffffffffffffff
            \\movi v8.2d, 0xffffffffffffffff
            \\movi v9.2d, 0xffffffffffffffff
            \\movi v10.2d, 0xffffffffffffffff
            \\movi v11.2d, 0xffffffffffffffff
            \\movi v12.2d, 0xffffffffffffffff
            \\movi v13.2d, 0xffffffffffffffff
            \\movi v14.2d, 0xffffffffffffffff
            \\movi v15.2d, 0xffffffffffffffff
            \\movi v16.2d, 0xffffffffffffffff
            \\movi v17.2d, 0xffffffffffffffff
            \\movi v18.2d, 0xffffffffffffffff
            \\movi v19.2d, 0xffffffffffffffff
            \\movi v20.2d, 0xffffffffffffffff
            \\movi v21.2d, 0xffffffffffffffff
            \\movi v22.2d, 0xffffffffffffffff
            \\movi v23.2d, 0xffffffffffffffff
            \\movi v24.2d, 0xffffffffffffffff
            \\movi v25.2d, 0xffffffffffffffff
            \\movi v26.2d, 0xffffffffffffffff
            \\movi v27.2d, 0xffffffffffffffff
            \\movi v28.2d, 0xffffffffffffffff
            \\movi v29.2d, 0xffffffffffffffff
            \\movi v30.2d, 0xffffffffffffffff
            \\movi v31.2d, 0xffffffffffffffff
            \\mov x0, -1
            \\mov x1, -1
            \\mov x2, -1
            \\mov x3, -1
            \\mov x4, -1
            \\mov x5, -1
            \\mov x6, -1
            \\mov x7, -1
            \\mov x8, -1
            \\mov x9, -1
            \\mov x10, -1
            \\mov x11, -1
            \\mov x12, -1
            \\mov x13, -1
            \\mov x14, -1
            \\mov x15, -1
            \\mov x16, -1
            \\mov x17, -1
            \\mov x19, -1
            \\mov x20, -1
            \\mov x21, -1
            \\mov x22, -1
            \\mov x23, -1
            \\mov x24, -1
            \\mov x25, -1
            \\mov x26, -1
            \\mov x27, -1
            \\mov x28, -1
            \\mov x30, -1
            ::: aarch64_registers),
    }
}

const aarch64_registers: std.builtin.assembly.Clobbers = clobbers: {
    var all: std.builtin.assembly.Clobbers = .{ .lr = true };
    @setEvalBranchQuota(100_000);
    for (0..29) |i| {
        if (i == 18) continue;
        @field(all, std.fmt.comptimePrint("x{d}", .{i})) = true;
    }
    for (0..32) |i| @field(all, std.fmt.comptimePrint("v{d}", .{i})) = true;
    break :clobbers all;
};

/// A value that the compiler cannot know.
inline fn opaqueValue(value: anytype) @TypeOf(value) {
    var copy = value;
    std.mem.doNotOptimizeAway(&copy);
    return copy;
}

/// Holds more values than there are registers over a switch, of each kind; true if all come
/// through. The other side runs the same at the same time, with other values.
pub inline fn holdValues(seed: u32, context: *Context, comptime body: bool) bool {
    var integers: [20]u32 = undefined;
    var floats: [20]f64 = undefined;
    for (&integers, &floats, 0..) |*integer, *float, i| {
        integer.* = opaqueValue(seed + @as(u32, @intCast(i)));
        float.* = @floatFromInt(integer.*);
    }
    const vector: @Vector(4, i32) = @bitCast(integers[0..4].*);
    const squares = vector * vector;
    if (body) {
        var signal: usize = undefined;
        _ = context_module.switchToResumer(context, 0, &signal);
    } else {
        _ = context_module.switchToBody(context, 0, 0);
    }
    var right = @reduce(.And, squares == vector * vector);
    for (integers, floats, 0..) |integer, float, i| {
        right = right and integer == seed + i;
        right = right and float == @as(f64, @floatFromInt(seed + i));
    }
    destroyRegisters();
    return right;
}

fn holdingBody(context: *Context, _: usize) callconv(.c) void {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    var right: u64 = 1;
    for (0..100) |i| {
        if (!holdValues(@intCast(1000 + i), context, true)) right = 0;
        box.output.store(right);
    }
}

test "inlined switches keep every value that the compiler holds, of every kind" {
    var fixture = try Fixture.init(&holdingBody);
    defer fixture.deinit();
    for (0..50) |i| {
        try expect(holdValues(@intCast(5000 + 7 * i), fixture.context, false));
        if (i > 0) try expectEqual(1, fixture.box.output.load());
    }
}

/// x87 arithmetic with values that are live over a call.
noinline fn extendedSum(
    context: *Context,
    function: *const fn (*Context, usize) callconv(.c) usize,
    start: f80,
) f80 {
    var sum = start;
    var product: f80 = 1;
    for (0..20) |i| {
        sum += @floatFromInt(i);
        product += sum;
        _ = function(context, 0);
    }
    return sum + product;
}

fn extendedBody(context: *Context, _: usize) callconv(.c) void {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    const sum = extendedSum(context, &fringe_suspend, opaqueValue(@as(f80, 1000)));
    box.output.store(@trunc(@as(f64, @floatCast(sum))));
}

test "called switches keep values of 80 bits" {
    var fixture = try Fixture.init(&extendedBody);
    defer fixture.deinit();
    const sum = extendedSum(fixture.context, &fringe_resume, opaqueValue(@as(f80, 1)));
    _ = fringe_resume(fixture.context, 0);
    // start * 21 + the sum of i + the sum of those sums + 1
    try expectEqual(1 * 21 + 190 + 1330 + 1, sum);
    try expectEqual(1000 * 21 + 190 + 1330 + 1, fixture.box.output.load());
}

// Alignment

fn alignmentBody(context: *Context, _: usize) callconv(.c) void {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    var capture: [128]u8 align(128) = opaqueValue(@as([128]u8, @splat(3)));
    var integers: @Vector(4, i32) = opaqueValue(@as(@Vector(4, i32), .{ 1, 2, 3, 4 }));
    var floats: @Vector(4, f64) = opaqueValue(@as(@Vector(4, f64), .{ 1, 2, 3, 4 }));
    while (true) {
        // The stack itself, then what the compiler makes of it.
        std.mem.doNotOptimizeAway(&capture);
        if (@intFromPtr(&capture) % 128 != 0) return;
        integers *= integers;
        floats *= @splat(1.5);
        std.mem.doNotOptimizeAway(&integers);
        std.mem.doNotOptimizeAway(&floats);
        box.output.store(@intFromFloat(floats[3] * 2));
        _ = fringe_suspend(context, @intCast(integers[1]));
    }
}

test "vectors and what is aligned to 128 bytes work before and after a switch" {
    var fixture = try Fixture.init(&alignmentBody);
    defer fixture.deinit();
    try expectEqual(4, fringe_resume(fixture.context, 0));
    try expectEqual(12, fixture.box.output.load());
    try expectEqual(16, fringe_resume(fixture.context, 0));
    try expectEqual(18, fixture.box.output.load());
    try expectEqual(.suspended, fixture.box.status);
}

/// How much of the stack a call takes: aarch64 has the return address in a register.
const return_address_size = if (builtin.cpu.arch == .aarch64) 0 else @sizeOf(usize);

/// Suspends with the stack pointer that it was entered with.
extern fn fringe_test_entry(context: *Context) void;

comptime {
    asm (switch (builtin.cpu.arch) {
            .x86_64 =>
            \\fringe_test_entry:
            \\  mov %rsp, %rsi
            \\  push %rdi
            \\  call fringe_suspend
            \\  pop %rdi
            \\  ret
            ,
            .x86 =>
            \\fringe_test_entry:
            \\  mov %esp, %eax
            \\  mov 4(%esp), %ecx
            \\  sub $12, %esp
            \\  mov %ecx, (%esp)
            \\  mov %eax, 4(%esp)
            \\  call fringe_suspend
            \\  add $12, %esp
            \\  ret
            ,
            else =>
            \\fringe_test_entry:
            \\  mov x1, sp
            \\  stp x29, x30, [sp, -16]!
            \\  bl fringe_suspend
            \\  ldp x29, x30, [sp], 16
            \\  ret
            ,
        });
}

test "a body is entered with the stack aligned as for any function" {
    var fixture = try Fixture.init(&fringe_test_entry);
    defer fixture.deinit();
    const stack_pointer = fringe_resume(fixture.context, 0);
    try expectEqual(0, (stack_pointer + return_address_size) % 16);
    try expect(stack_pointer + return_address_size <= @intFromPtr(fixture.context));
    _ = fringe_resume(fixture.context, 0);
    try expectEqual(.returned, fixture.box.status);
}

// Signals, and traces, at every instruction

/// What is done at each instruction while `stepThrough` runs.
var visit: *const fn (registers: *const Registers) void = undefined;
pub var instructions: usize = 0;

/// Runs on a stack of its own, so that all that a handler may write over really can be.
fn onTrap(_: linux.SIG, _: *const linux.siginfo_t, ucontext: ?*anyopaque) callconv(.c) void {
    if (!machine.beginTrap(ucontext.?)) return;
    const registers = std.debug.cpu_context.fromPosixSignalContext(ucontext).?;
    instructions += 1;
    visit(&registers);
    machine.endTrap(ucontext.?);
}

pub fn stepThrough(
    function: *const fn (context: *Context) callconv(.c) usize,
    context: *Context,
    at_each: *const fn (registers: *const Registers) void,
) !usize {
    const memory = try std.testing.allocator.alloc(u8, 1 << 20);
    defer std.testing.allocator.free(memory);
    const signal_stack: linux.stack_t = .{ .sp = memory.ptr, .flags = 0, .size = memory.len };
    var old_stack: linux.stack_t = undefined;
    try expectEqual(0, linux.sigaltstack(&signal_stack, &old_stack));
    defer _ = linux.sigaltstack(&old_stack, null);

    const action: linux.Sigaction = .{
        .handler = .{ .sigaction = &onTrap },
        .mask = linux.sigemptyset(),
        .flags = linux.SA.SIGINFO | linux.SA.ONSTACK,
    };
    var old_action: linux.Sigaction = undefined;
    try expectEqual(0, linux.sigaction(.TRAP, &action, &old_action));
    defer _ = linux.sigaction(.TRAP, &old_action, null);

    visit = at_each;
    instructions = 0;
    const result = machine.fringe_test_step(function, context);
    try expect(instructions > 50);
    return result;
}

/// What a function may use below its stack pointer: psABI for AMD64, section 3.2.2.
const red_zone = if (on_x86_64) 128 else 0;

/// Writes over what a signal handler on this stack might have.
pub fn scribble(registers: *const Registers) void {
    const used = machine.stackPointer(registers) - red_zone;
    @memset(@as([*]u8, @ptrFromInt(used - 512))[0..512], 0xaa);
}

pub noinline fn resumeTwice(context: *Context) callconv(.c) usize {
    return fringe_resume(context, 1) + 1000 * fringe_resume(context, 2);
}

pub noinline fn resumeTwiceInline(context: *Context) callconv(.c) usize {
    const first = context_module.switchToBody(context, 1, 0);
    return first + 1000 * context_module.switchToBody(context, 2, 0);
}

test "a signal may come at any instruction of a switch" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It knows nothing of the trap flag.
    inline for (.{ &adder, &inlineAdder }) |body| {
        inline for (.{ &resumeTwice, &resumeTwiceInline }) |function| {
            var fixture = try Fixture.init(body);
            defer fixture.deinit();
            fixture.box.input.store(1);
            try expectEqual(2 + 1000 * 3, try stepThrough(function, fixture.context, scribble));
        }
    }
}

/// How many instructions there were from which no trace led to fringe_test_step.
var astray: usize = 0;

fn traceToResumer(registers: *const Registers) void {
    // At the last instruction of a function, LLVM's tables for x86 have ebp below esp.
    const ip = machine.ip(registers);
    const is_ours = @intFromPtr(&fringe_resume) <= ip and ip < @intFromPtr(&fringe_root);
    if (is_ours) scribble(registers);
    var addresses: [32]usize = undefined;
    const trace = std.debug.captureCurrentStackTrace(.{ .context = registers }, &addresses);
    for (trace.return_addresses) |address| {
        const function = _Unwind_FindEnclosingFunction(address - 1);
        if (function == @intFromPtr(&machine.fringe_test_step)) return;
    }
    astray += 1;
}

extern "c" fn _Unwind_FindEnclosingFunction(address: usize) usize;

/// The last function of `switch_<arch>.S`.
extern fn fringe_root() void;

noinline fn resumeCallTwice(context: *Context) callconv(.c) usize {
    return fringe_resume_call(context, 1) + 1000 * fringe_resume_call(context, 2);
}

pub noinline fn beginTwice(context: *Context) callconv(.c) usize {
    return fringe_call(context, 0) + 1000 * fringe_call(context, 0);
}

pub fn returningBody(_: *Context, _: usize) callconv(.c) void {}

test "at every instruction of a called switch a trace leads to the resumer" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It knows nothing of the trap flag.
    inline for (.{
        .{ &resumeTwice, &wordsBody },
        .{ &resumeCallTwice, &wordsBody },
        .{ &beginTwice, &returningBody },
        .{ &beginTwice, &wordsBody },
    }) |step| {
        const function, const body = step;
        var fixture = try Fixture.init(body);
        defer fixture.deinit();
        astray = 0;
        _ = try stepThrough(function, fixture.context, traceToResumer);
        try expectEqual(0, astray);
    }
}

/// How many instructions of fringe_aside there were.
var aside: usize = 0;

fn traceThroughBody(registers: *const Registers) void {
    const ip = machine.ip(registers);
    scribble(registers);
    // By the addresses: of an instruction that did not call, libgcc's _Unwind_FindEnclosingFunction
    // would tell the function one byte below, as if it returned there.
    const begin, const end = .{ &context_module.fringe_aside, &context_module.fringe_trace };
    if (ip < @intFromPtr(begin) or ip >= @intFromPtr(end)) return;
    aside += 1;
    var functions: []const *const anyopaque = &.{ &adder, &endAside, &machine.fringe_test_step };
    var addresses: [32]usize = undefined;
    const trace = std.debug.captureCurrentStackTrace(.{ .context = registers }, &addresses);
    for (trace.return_addresses) |address| {
        const function = _Unwind_FindEnclosingFunction(address - 1);
        if (functions.len > 0 and function == @intFromPtr(functions[0])) functions = functions[1..];
    }
    if (functions.len > 0) astray += 1;
}

/// Ends a body by a function that finds itself on this stack, called by the body.
noinline fn endAside(context: *Context) callconv(.c) usize {
    const finish: context_module.Signal = &struct {
        fn finish(ended: *Context, word: usize) callconv(.c) noreturn {
            const end: *const context_module.Signal = @ptrFromInt(word);
            if (end.* != &finish) @panic("it is not the function");
            context_module.fringe_finish(ended, .unwound);
        }
    }.finish;
    const word = fringe_resume(context, 1);
    return word + context_module.fringe_signal(
        context,
        &context_module.fringe_aside,
        @intFromPtr(&finish),
    );
}

test "at every instruction of fringe_aside a trace leads through the body to the resumer" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It knows nothing of the trap flag.
    var fixture = try Fixture.init(&adder);
    defer fixture.deinit();
    fixture.box.input.store(1);
    astray = 0;
    aside = 0;
    try expectEqual(2, try stepThrough(&endAside, fixture.context, traceThroughBody));
    try expectEqual(.unwound, fixture.box.status);
    try expect(aside >= 5);
    try expectEqual(0, astray);
}

/// A body that fills its red zone, suspends by SWITCH as the compiler would inline it, and
/// compares: the word is 0 when nothing has changed.
extern fn fringe_test_red_zone(context: *Context) void;

comptime {
    if (on_x86_64) {
        asm (
            \\fringe_test_red_zone:
            \\  push %rbp
            \\  mov %rsp, %rbp
            \\  xor %eax, %eax
            \\7:
            \\  mov $-16, %rcx
            \\8:
            \\  lea (%rsp, %rcx, 8), %rdx
            \\  mov %rdx, (%rdx)
            \\  inc %rcx
            \\  jnz 8b
            \\
        ++ switch_text ++
            \\
            \\  xor %eax, %eax
            \\  mov $-16, %rcx
            \\9:
            \\  lea (%rsp, %rcx, 8), %rdx
            \\  xor (%rdx), %rdx
            \\  or %rdx, %rax
            \\  inc %rcx
            \\  jnz 9b
            \\  jmp 7b
        );
    }
}

/// The text that the compiler inlines, as assembly that stands alone.
const switch_text = text: {
    @setEvalBranchQuota(10_000);
    const text = arch.switch_text;
    var buffer: [text.len]u8 = undefined;
    const removed = std.mem.replace(u8, text, "%%", "%", &buffer);
    const result = buffer[0 .. text.len - removed].*;
    break :text &result;
};

test "a suspension leaves the red zone as it is, whatever signals come" {
    if (!on_x86_64) return error.SkipZigTest; // Only there is a red zone.
    if (sanitizer.enabled) return error.SkipZigTest; // Nobody tells it of this body's switch.
    if (valgrind.isRunning()) return error.SkipZigTest; // It knows nothing of the trap flag.
    var fixture = try Fixture.init(&fringe_test_red_zone);
    defer fixture.deinit();
    try expectEqual(0, try stepThrough(&resumeTwice, fixture.context, scribble));
    for (0..100_000) |_| try expectEqual(0, fringe_resume(fixture.context, 0));
}

// Control words

/// The words of the two floating-point units of x86.
const X86Words = struct {
    mxcsr: u32 = mxcsr_default,
    x87: u16 = x87_default,

    const mxcsr_default = 0x1f80; // To nearest, every exception masked.
    const mxcsr_upward = mxcsr_default | 0x4000;
    const mxcsr_downward = mxcsr_default | 0x2000;
    const mxcsr_flushing = mxcsr_default | 0x8040; // What is denormal becomes 0, on both ways.
    /// Invalid operations, divisions by zero.
    const mxcsr_trapping = mxcsr_default & ~@as(u32, 0x0280);
    const mxcsr_divided = 0x4; // The status flag of a division by zero.
    const mxcsr_flags = 0x3f;
    const x87_default = 0x037f;
    const x87_upward = x87_default | 0x0800;
    const x87_downward = x87_default | 0x0400;
    const x87_double = x87_default & ~@as(u16, 0x0100); // 53 bits of precision.
    const x87_trapping = x87_default & ~@as(u16, 0x0005);

    const upward: Words = .{ .mxcsr = mxcsr_upward, .x87 = x87_upward };
    const downward: Words = .{ .mxcsr = mxcsr_downward, .x87 = x87_downward };
    const to_zero: Words = .{ .mxcsr = mxcsr_default | 0x6000, .x87 = x87_double };

    fn set(self: Words) void {
        asm volatile (
            \\fwait
            \\fnclex
            \\ldmxcsr (%[mxcsr])
            \\fldcw (%[x87])
            :
            : [mxcsr] "r" (&self.mxcsr),
              [x87] "r" (&self.x87),
            : .{ .memory = true });
    }

    /// With MXCSR's flags.
    fn now() Words {
        var words: Words = .{};
        asm volatile (
            \\stmxcsr (%[mxcsr])
            \\fnstcw (%[x87])
            :
            : [mxcsr] "r" (&words.mxcsr),
              [x87] "r" (&words.x87),
            : .{ .memory = true });
        return words;
    }

    fn control() Words {
        var words = now();
        words.mxcsr &= ~@as(u32, mxcsr_flags);
        return words;
    }

    /// What each switch notices.
    const noticed_quickly = [_]Words{
        .{},
        .{ .mxcsr = mxcsr_upward, .x87 = x87_upward },
        .{ .mxcsr = mxcsr_downward, .x87 = x87_downward },
        .{ .mxcsr = mxcsr_default | 0x6000 },
        .{ .mxcsr = mxcsr_upward },
        .{ .mxcsr = mxcsr_downward },
        .{ .x87 = x87_upward },
        .{ .x87 = x87_double },
        .{ .mxcsr = mxcsr_trapping, .x87 = x87_trapping },
        .{ .mxcsr = mxcsr_default | 0x8000 },
        .{ .mxcsr = mxcsr_default | 0x0040 },
        .{ .mxcsr = mxcsr_flushing },
        .{ .mxcsr = mxcsr_flushing | 0x4000 },
        .{ .mxcsr = mxcsr_flushing & ~@as(u32, 0x1f80), .x87 = 0x40 },
    };
    /// What a thunk's switch notices, and the first that enters a body.
    const noticed_exactly = noticed_quickly ++ [_]Words{
        .{ .mxcsr = mxcsr_trapping },
        .{ .mxcsr = 0 },
    };
};

/// FPCR of aarch64, and the flags of FPSR. Few processors have traps for floating-point exceptions.
const Aarch64Words = struct {
    fpcr: u64 = 0,

    const upward: Words = .{ .fpcr = 1 << 22 };
    const downward: Words = .{ .fpcr = 2 << 22 };
    const to_zero: Words = .{ .fpcr = 3 << 22 };
    const flushing = 1 << 24;
    const default_nan = 1 << 25;

    fn set(self: Words) void {
        asm volatile ("msr fpcr, %[fpcr]"
            :
            : [fpcr] "r" (self.fpcr),
        );
    }

    fn control() Words {
        return .{ .fpcr = asm volatile ("mrs %[fpcr], fpcr"
            : [fpcr] "=r" (-> u64),
        ) };
    }

    const noticed_quickly = [_]Words{
        .{},
        upward,
        downward,
        to_zero,
        .{ .fpcr = flushing },
        .{ .fpcr = flushing | 1 << 22 },
        .{ .fpcr = default_nan },
        .{ .fpcr = default_nan | flushing | 3 << 22 },
    };
    const noticed_exactly = noticed_quickly;
};

const Words = if (builtin.cpu.arch == .aarch64) Aarch64Words else X86Words;

/// What the body has found after its suspension.
var found: Words = undefined;
/// What it sets before the next.
var wanted: Words = undefined;

fn wordsSettingBody(context: *Context, _: usize) callconv(.c) void {
    while (true) {
        found = Words.control();
        wanted.set();
        _ = fringe_suspend(context, 0);
    }
}

extern fn fringe_init_caught(
    base: usize,
    body: *const anyopaque,
    mailbox: *anyopaque,
    get_globals: ?*const anyopaque,
    limit: usize,
) *Context;

fn expectWords(expected: Words, actual: Words) !void {
    // As tests fail, words of the default are wanted.
    (Words{}).set();
    try expectEqual(expected, actual);
}

const ResumerKind = enum { javascript, native };

/// Resumes a body that sets `theirs` at the beginning or later, where the resumer has set `mine`.
fn keepWords(
    resume_function: *const ResumeFunction,
    kind: ResumerKind,
    begins: enum { at_once, later },
    mine: Words,
    theirs: Words,
) !void {
    mine.set();
    var fixture = try Fixture.init(&wordsSettingBody);
    defer fixture.deinit();
    const stack = fixture.os_stack.stack().stack;
    if (kind == .javascript) {
        fixture.context =
            fringe_init_caught(stack.base, &wordsSettingBody, fixture.box, null, stack.limit);
    }
    if (begins == .later) {
        wanted = mine;
        _ = resume_function(fixture.context, 0);
    }
    wanted = theirs;
    for (0..4) |i| {
        _ = resume_function(fixture.context, 0);
        try expectWords(mine, Words.control());
        try expectWords(if (i == 0) mine else theirs, found);
        mine.set();
    }
    (Words{}).set();
}

const ResumeFunction = fn (context: *Context, word: usize) callconv(.c) usize;

test "each side of a called switch keeps its own control words" {
    // It rounds to the nearest in many places, whatever the mode.
    if (valgrind.isRunning()) return error.SkipZigTest;
    for (Words.noticed_exactly) |theirs| {
        try keepWords(&fringe_resume, .javascript, .at_once, .{}, theirs);
        try keepWords(&fringe_resume_call, .javascript, .at_once, .{}, theirs);
        try keepWords(&fringe_resume_call, .javascript, .later, .{}, theirs);
    }
    for (Words.noticed_quickly) |theirs| {
        for (Words.noticed_exactly) |mine| {
            try keepWords(&fringe_resume, .javascript, .later, mine, theirs);
        }
        for ([_]*const ResumeFunction{ &fringe_resume, &fringe_resume_call }) |function| {
            for (Words.noticed_exactly) |mine| {
                try keepWords(function, .native, .at_once, mine, theirs);
                try keepWords(function, .native, .later, mine, theirs);
            }
        }
    }
}

fn wordsReturningBody(_: *Context, _: usize) callconv(.c) void {
    found = Words.control();
    wanted.set();
}

test "a body that begins again has its resumer's control words, whatever it has set before" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    for (Words.noticed_exactly) |theirs| for (Words.noticed_exactly) |mine| {
        mine.set();
        var fixture = try Fixture.init(&wordsReturningBody);
        defer fixture.deinit();
        const stack = fixture.os_stack.stack().stack;
        const body = &wordsReturningBody;
        fixture.context = fringe_init_caught(stack.base, body, fixture.box, null, stack.limit);
        for ([_]Words{ theirs, mine, theirs, .{}, theirs }) |set| {
            wanted = set;
            try expectEqual(0, fringe_call(fixture.context, 0));
            try expectEqual(.returned, fixture.box.status);
            try expectWords(mine, Words.control());
            try expectWords(mine, found);
            mine.set();
        }
        (Words{}).set();
    };
}

test "a resumer that changes its control words keeps them, and the body its own" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    inline for (.{ fringe_resume, fringe_resume_call }) |function| {
        var fixture = try Fixture.init(&wordsSettingBody);
        defer fixture.deinit();
        wanted = .{};
        // Twice, since from the first difference on words are exchanged without being compared.
        for (0..2) |_| for (Words.noticed_quickly) |mine| {
            mine.set();
            _ = function(fixture.context, 0);
            try expectWords(mine, Words.control());
            try expectWords(.{}, found);
        };
        (Words{}).set();
    }
}

test "flags that one side of a switch has raised are seen by the other, and trap nothing" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    var fixture = try Fixture.init(&wordsSettingBody);
    defer fixture.deinit();
    if (builtin.cpu.arch == .aarch64) {
        wanted = .upward;
        setFpsr(0);
        const raising = struct {
            fn body(context: *Context, _: usize) callconv(.c) void {
                wanted.set();
                setFpsr(fpsr_divided);
                _ = fringe_suspend(context, 0);
            }
        };
        var raised = try Fixture.init(&raising.body);
        defer raised.deinit();
        _ = fringe_resume(raised.context, 0);
        try expectWords(.{}, Words.control());
        try expectEqual(fpsr_divided, getFpsr());
        return setFpsr(0);
    }
    wanted = .{ .mxcsr = X86Words.mxcsr_upward | X86Words.mxcsr_divided };
    _ = fringe_resume(fixture.context, 0);
    try expectEqual(X86Words.mxcsr_divided, Words.now().mxcsr & X86Words.mxcsr_divided);
    // Now a body that traps what its resumer has done meanwhile: a division of 0 by 0.
    wanted = .{ .mxcsr = X86Words.mxcsr_trapping, .x87 = X86Words.x87_trapping };
    _ = fringe_resume(fixture.context, 0);
    asm volatile (
        \\fldz
        \\fldz
        \\fdivp
        \\fstp %%st(0)
    );
    _ = fringe_resume(fixture.context, 0);
    try expectWords(.{}, Words.control());
}

const fpsr_divided = 1 << 1;

fn setFpsr(word: u64) void {
    asm volatile ("msr fpsr, %[word]"
        :
        : [word] "r" (word),
    );
}

fn getFpsr() u64 {
    return asm volatile ("mrs %[word], fpsr"
        : [word] "=r" (-> u64),
    );
}

fn wordsSignal(context: *Context, _: usize) callconv(.c) noreturn {
    found = Words.control();
    Words.to_zero.set();
    context_module.fringe_finish(context, .unwound);
}

test "a body that is ended has its control words, and its resumer others" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    for (Words.noticed_exactly) |theirs| {
        var fixture = try Fixture.init(&wordsSettingBody);
        defer fixture.deinit();
        wanted = theirs;
        _ = fringe_resume(fixture.context, 0);
        _ = context_module.fringe_signal(fixture.context, &wordsSignal, 0);
        try expectWords(.{}, Words.control());
        try expectWords(theirs, found);
        try expectEqual(.unwound, fixture.box.status);
    }
}

test "inlined resumers exchange control words that a called one has found to differ" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    const Generator = @import("../context/generator.zig").Generator(u32, u32);
    var generator: Generator = .initBody(os_stack.stack().stack, &wordsSettingBody);
    wanted = .downward;
    // As after a called switch that has noticed, in a program without C++.
    generator.context.exchanges = .{
        .exceptions = false,
        .control = true,
        .native = true,
        .first = false,
    };
    for (0..3) |i| {
        _ = generator.@"resume"(0);
        try expectWords(.{}, Words.control());
        try expectWords(if (i == 0) .{} else wanted, found);
    }
}
