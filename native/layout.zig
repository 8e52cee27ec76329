// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Every layout and every number that native code shares with TypeScript, and nothing else. The
//! words are of 64 bits, and so the same on every architecture.
//!
//! `zig build layout` prints this file as TypeScript, with what it has to know of architectures
//! (layout_program.zig says how), and `deno task
//! build` writes that to `ffi/layout.ts`. What `switch_<arch>.S` and `include/fringe.h` repeat of
//! it, a tidy test compares. The first line of each comment on a declaration or a field goes into
//! `ffi/layout.ts`, so it is a sentence.

const std = @import("std");

/// The number of the interface between the library and TypeScript, which compares the two.
/// It rises by one with every change after which one side of the last release would misunderstand
/// the other: a number or a layout in this file that changes or moves; a function in
/// `ffi/library/symbols.ts` that is added, removed, or takes, gives or means something else. It
/// stays for a change that only one side can see.
pub const abi = @as(u32, 2);

// Outcomes

/// What has become of a body, as its mailbox says.
pub const Status = enum(i32) {
    /// The body waits to be resumed.
    suspended = 0,
    /// The body has returned.
    returned = 1,
    /// The body was ended early: its frames have been unwound, their cleanups have run.
    unwound = 2,
    /// The body was ended early and could not be unwound: its frames are simply forgotten.
    abandoned = 3,
    /// An exception has left the body, and the mailbox's output is the address of its report.
    /// exception.zig writes the report, and keeps it until the body is resumed once more; the body
    /// is `thrown` then.
    throwing = 6,
    /// An exception has left the body.
    thrown = 7,
    /// The body has used up its stack: its frames are forgotten, like those of an abandoned one.
    overflowed = 8,
};

/// Why a body that was ended early is `abandoned`: what keeps it from being unwound to its end.
/// The address is where the innermost function goes on that has not been left; 0 if that is not
/// known. A mailbox's output is the reason then, and its `output_float` the address.
pub const Abandonment = enum(u64) {
    /// The body has been unwound, or has returned.
    none = 0,
    /// The function at the address has no unwind tables, so nobody knows who has called it.
    no_tables = 1,
    /// The function at the address has cleanups, and too little of its stack is free below it.
    no_room = 2,
    /// The function at the address has cleanups for an unwinder that its library keeps to itself.
    foreign_unwinder = 3,
    /// The function at the address runs on a stack that C has made.
    foreign_stack = 4,
    /// The body had suspended in a cleanup, which its end or an exception of its own ran.
    suspended_in_cleanup = 5,
    /// The body was told to end, and suspended again, too often.
    swallowed = 6,
    /// The process has no unwinder.
    no_unwinder = 7,
};

/// What a function of the C ABI says of that which it was asked for.
pub const Grant = enum(i32) {
    /// The function has done what it was asked to.
    granted = 0,
    /// The operating system has no more memory, or no more mappings for this process.
    out_of_memory = 4,
    /// The operating system refused for another reason.
    refused = 5,
    /// The process has nearly as many mappings as it may have, and each guard page takes one.
    too_many_mappings = 9,

    /// The same as an error of Zig's, or none.
    pub fn from(result: error{ OutOfMemory, Refused, TooManyMappings }!void) Grant {
        result catch |err| return switch (err) {
            error.OutOfMemory => .out_of_memory,
            error.Refused => .refused,
            error.TooManyMappings => .too_many_mappings,
        };
        return .granted;
    }
};

// The mailbox

/// How many bytes a value takes in a mailbox, whatever its type.
pub const slot_size = 8;

/// How many integer arguments of a function are passed in registers, at most.
/// A mailbox has room for so many: it is the largest number that an architecture has
/// (`argument_integers` in `arch/<arch>.zig`).
pub const integers_max = 8;

/// How many floating-point arguments of a function are passed in registers, at most.
/// As `integers_max`.
pub const floats_max = 8;

/// In how many floating-point registers a struct is returned, at most.
const result_floats_max = 4;

/// What `tail` is where a callback is answered with a struct in several registers.
/// No function lies there. A thunk looks at `tail` each time, so this costs other answers nothing.
/// Not on x86, where no struct is in registers.
pub const tail_answer = 1;

/// The mailbox of a generator: the memory that both sides of a switch share, a slot each way.
/// JavaScript owns its mailboxes (an ArrayBuffer, with room for a `Call`); a native generator keeps
/// its own at the top of its stack.
pub fn Mailbox(comptime Input: type, comptime Output: type) type {
    return extern struct {
        const Self = @This();

        /// What has become of the body: a number of `Status`.
        status: Status,
        /// The number of the thunk that C has called last, if it is a call that runs.
        /// While the call is suspended that is the callback which waits for an answer.
        callback: u32 = 0,
        /// What the body gets: the generator's input, or the result of the callback that waits.
        input: Slot(Input),
        /// What the body gives: the generator's output, or the function's result.
        output: Slot(Output),

        comptime {
            std.debug.assert(@offsetOf(Self, "status") == 0);
            std.debug.assert(@offsetOf(Self, "callback") == 4);
            if (isScalar(Input)) std.debug.assert(@offsetOf(Self, "input") == slot_size);
            if (isScalar(Input) and isScalar(Output)) {
                std.debug.assert(@offsetOf(Self, "output") == 2 * slot_size);
            }
        }
    };
}

/// Room for one value: the size of a slot at least, so that scalars of any size share one layout.
fn Slot(comptime T: type) type {
    return extern struct {
        bytes: [@max(slot_size, @sizeOf(T))]u8 align(@max(slot_size, @alignOf(T))),

        pub inline fn load(self: *const @This()) T {
            return @as(*const T, @ptrCast(&self.bytes)).*;
        }

        pub inline fn store(self: *@This(), value: T) void {
            @as(*T, @ptrCast(&self.bytes)).* = value;
        }
    };
}

/// Whether JavaScript can pass a value of this type.
fn isScalar(comptime T: type) bool {
    return @sizeOf(T) <= slot_size and @alignOf(T) <= slot_size;
}

/// Where the fields of a mailbox lie, in bytes.
/// The mailbox of a call is a generator's, followed by the function and its arguments, and by those
/// of the callback that waits.
///
/// Arguments are where `switch_<arch>.S` wants them: in the arrays those that C passes in
/// registers, at `stack` and at `callback_stack` those that C passes on the stack.
pub const Call = extern struct {
    generator: Mailbox(u64, u64),
    /// The function's result, if that is a floating-point one.
    output_float: u64,
    /// The address of the function.
    function: u64,
    /// The size of the function's result, if that is a floating-point one; else 0.
    /// An architecture asks that has no other way to know (x86); so it does of the callback's.
    result_float: u32,
    /// The size of the callback's result, if that is a floating-point one; else 0.
    callback_float: u32,
    /// How many words of the machine the function gets on its stack.
    stack_count: u64,
    /// The address of the callback's arguments that are on the stack.
    callback_stack: u64,
    /// The address of a function that C calls in place of returning from the callback; else 0.
    /// It gets the function's arguments, and the callback's caller is its own (tail_call.ts). Or it
    /// is `tail_answer`: the answer fills more than one register.
    tail: u64,
    /// What C has left in errno at its return, if it is wanted.
    errno: i32,
    /// Whether errno is wanted: 1 or 0. Then C begins with an errno of 0.
    wants_errno: u32,
    /// The function's integer arguments that are in registers.
    integers: [integers_max]u64,
    /// The function's floating-point arguments that are in registers.
    floats: [floats_max]u64,
    /// The callback's integer arguments that are in registers.
    callback_integers: [integers_max]u64,
    /// The callback's floating-point arguments that are in registers.
    callback_floats: [floats_max]u64,
    /// The second integer register of the function's result, which a struct may fill.
    output_second: u64,
    /// The floating-point registers of the function's result behind the first one.
    output_more_floats: [result_floats_max - 1]u64,
    /// The integer registers of an answer that fills more than one, if `tail` says so.
    answer_integers: [2]u64,
    /// Its floating-point registers.
    answer_floats: [result_floats_max]u64,
    /// Where the function puts a result that is in no register, if that is said in a register.
    /// As on aarch64, where x8 is for nothing else; elsewhere it is the first integer argument. So
    /// it is of the callback's.
    result_address: u64,
    /// Where C wants such a result of the callback.
    callback_result_address: u64,
    /// The bits of the stack pointer that are 0 where the function's words begin, on x86_64.
    stack_mask: u64,
    /// The words that the function gets on its stack; as many follow as there are.
    stack: [0]u64,
};

// What native code reports

/// How many frames a report has room for; the innermost are kept.
pub const frames_max = 64;

/// Where the fields of a report on an exception lie, in bytes.
/// It has a page of its own, which is there from the moment of the throw, when the frames still
/// are, until the resumer has read it: see exception.zig.
pub const Report = extern struct {
    /// Who has thrown: 1 is C++, 2 is Rust, 0 is another language.
    language: Language,
    /// The address of the type's name, a C string in `text`; 0 where the type is not known.
    type: u64,
    /// The address of a copy of what the exception says; 0 where it does not say anything.
    message: u64,
    /// How many bytes the exception says.
    message_length: u64,
    /// How many frames there are.
    count: u64,
    /// Where the frames go on, the innermost first: where it was thrown.
    addresses: [frames_max]u64,
    /// A copy of the type's name, since the name itself lies in the library that has thrown.
    /// What lies before is what TypeScript reads.
    text: [report_size - (6 + frames_max) * 8]u8,
    /// The exception, from the moment that it is being described; 0 before.
    exception: u64,
};

/// A report fills a page, or a part of one where pages are larger.
const report_size = 4096;

/// Who has thrown.
pub const Language = enum(u64) { unknown = 0, cpp = 1, rust = 2 };

/// Where the fields of what an overflow leaves lie, in bytes from the lower end of the stack.
/// Nothing else is there any more: the body that has used up its stack has ended.
pub const Left = extern struct {
    /// How many frames there are.
    count: u64,
    /// Where the frames went on, the innermost first.
    addresses: [frames_max]u64,
};

/// Where the fields of a page of thunks lie, in bytes.
pub const ThunkBlock = extern struct {
    /// The address of the first thunk.
    address: u64,
    /// The number of the first thunk; the second has the next number, and so on.
    number: u64,
    /// How many bytes lie between the beginnings of two thunks.
    stride: u64,
    /// How many thunks there are.
    count: u64,
};

/// Where the parts of a thread lie that has been taken for a call.
pub const ThreadBlock = extern struct {
    /// The thread itself, as native code knows it.
    thread: u64,
    /// The highest address that frames of C may have.
    base: u64,
    /// The lowest byte of the thread's stack.
    limit: u64,
    /// The end of the room for a mailbox, and for copies of strings and buffers.
    room: u64,
};

/// Where the fields of what lies at an address lie, in bytes; 0 is what is not known.
pub const SymbolBlock = extern struct {
    /// The address of the function's name, a C string.
    name: u64,
    /// The address of the function.
    start: u64,
    /// The address of the module's file name, a C string.
    module: u64,
    /// The address at which the module begins.
    module_start: u64,
};

/// Where a body was suspended that had nothing to unwind, in bytes below its context.
/// All zeros where none has been seen. The words are right for one body of one loaded library.
pub const IdlePlace = extern struct {
    /// The address where the body goes on.
    address: u64,
    /// How far below the context the stack pointer stood.
    stack_pointer: u64,
    /// The same of the frame pointer.
    frame_pointer: u64,
};

// Stacks

/// Where the fields lie of what is written down about stacks that have been mapped, in bytes.
pub const Bounds = extern struct {
    /// One past the highest byte.
    base: u64,
    /// The lowest usable byte of the lowest stack.
    limit: u64,
    /// The lowest byte of its guard, at which the mapping begins.
    start: u64,
    /// How far apart the stacks are.
    stride: u64,
};

/// Both ends of a stack are multiples of this, in bytes.
/// System V psABI for AMD64, section 3.2.2; for the Intel386, section 2.2.2.
pub const stack_alignment = 16;

/// The smallest stack that anything can be done on, in bytes.
/// A context, a record and a few small frames fit. Most C functions need far more: a call of printf
/// takes about 4 KiB.
pub const stack_size_min = 512;

/// The size of an OsStack where none is asked for, in bytes.
pub const stack_size_default = 1024 * 1024;

/// How much room there is beside the stack of a thread that runs a call, in bytes.
pub const thread_room = 64 * 1024;

/// How many bytes of its stack must be free below a frame with cleanups when it is unwound.
/// The cleanups run there, and below them the unwinder, which they call to go on. The unwinders of
/// gcc and LLVM were seen to take 5 KiB; libfringe asks for 8 KiB, too.
pub const headroom_min = 8 * 1024;

/// What lies at the lower end of a stack without a guard: no body writes it by chance.
pub const canary = "fringe's canary!";

test "the layout is the one that switch_<arch>.S is written for" {
    // The tidy test knows the rest; this one holds on each architecture.
    try std.testing.expectEqual(432, @offsetOf(Call, "stack_mask"));
    try std.testing.expectEqual(440, @offsetOf(Call, "stack"));
    try std.testing.expectEqual(440, @sizeOf(Call));
    try std.testing.expectEqual(report_size, @sizeOf(Report));
}
