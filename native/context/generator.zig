// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Generators: a function that runs on its own stack, takes a value at each resume and gives one at
//! each suspension. A switch allocates nothing; everything that a generator needs lies at the top
//! of its stack.

const std = @import("std");
const assert = std.debug.assert;
const context_module = @import("context.zig");
const Context = context_module.Context;
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const stack_module = @import("../stack/stack.zig");
const Stack = stack_module.Stack;
const GuardedStack = stack_module.GuardedStack;
const Status = layout.Status;
const unwind = @import("../unwind/cancel.zig");
const valgrind = @import("../watch/valgrind.zig");
const words = @import("word.zig");

/// Whether a generator can be resumed.
pub const State = enum { runnable, unavailable };

const canary = layout.canary.*;

/// A generator that is resumed with an `Input` and suspends with an `Output`.
pub fn Generator(comptime Input: type, comptime Output: type) type {
    return struct {
        const Self = @This();
        const Box = Mailbox(Input, Output);
        pub const Body = fn (yielder: *Yielder(Input, Output), input: Input) void;

        bounds: Stack,
        context: *Context,
        /// How far below its context the stack reaches, where the next resume is the switch and no
        /// more. 0 where something is to be done besides: the body has not begun yet, so its first
        /// input goes into the mailbox; or the two sides exchange more than the stack; or the stack
        /// has a canary, which is to be looked at when the body is back; or the body has ended.
        ///
        /// A resume writes nothing here as a rule, since it would have to write twice: whether the
        /// body runs just now, its context tells (`depth`).
        reach: usize = 0,
        /// Whether the body has ended, or is being ended.
        has_ended: bool = false,
        has_canary: bool = false,

        /// Makes a generator; `body` begins with the first resume. The object may be moved.
        pub fn init(stack: GuardedStack, comptime body: Body) Self {
            return initBody(stack.stack, entryOf(body));
        }

        /// The same on a stack without a guard (libfringe's `unsafe_new`): a body that needs more
        /// stack than there is will write over whatever lies below. As a rule it writes over the
        /// lowest 16 bytes of the stack, too; then the program panics when it suspends or returns.
        pub fn initUnguarded(stack: Stack, comptime body: Body) Self {
            var self = initBody(stack, entryOf(body));
            stack.bottom().* = canary;
            self.has_canary = true;
            return self;
        }

        fn entryOf(comptime body: Body) *const anyopaque {
            return &struct {
                fn entry(yielder: *Yielder(Input, Output)) callconv(.c) void {
                    body(yielder, yielder.mailbox().input.load());
                }
            }.entry;
        }

        /// The same with a body that is a C function `void body(fringe_yielder *, Input)`, on a
        /// stack of whose end somebody else takes care.
        pub fn initBody(stack: Stack, body: *const anyopaque) Self {
            stack.check();
            valgrind.register(stack);
            const top = std.mem.alignBackward(
                usize,
                stack.base - @sizeOf(Box),
                @max(stack_module.alignment, @alignOf(Box)),
            );
            const box: *Box = @ptrFromInt(top);
            box.status = .suspended;
            const rest: Stack = .{ .base = top, .limit = stack.limit };
            return .{
                .bounds = stack,
                .context = context_module.init(rest, body, box),
            };
        }

        /// Runs the body to its next suspension, whose output it returns; null once the body
        /// has returned, and ever after.
        pub inline fn @"resume"(self: *Self, input: Input) ?Output {
            // Asked first, since the stack of a body that has ended may be gone, and its context.
            if (self.reach == 0 or self.depth() >= self.reach) {
                @branchHint(.unlikely);
                if (!self.prepare(input)) return null;
                if (self.has_canary) return self.enterChecked(input);
            }
            return self.enter(input);
        }

        /// Does what is to be done besides the switch, before it; false: the body is not to be
        /// entered.
        noinline fn prepare(self: *Self, input: Input) bool {
            if (self.state() == .unavailable) return false;
            // The trampoline takes the first input from here, whatever its type.
            self.mailbox().input.store(input);
            if (self.context.exchanges.any()) context_module.fringe_exchange(self.context);
            self.reach = self.whole();
            return true;
        }

        noinline fn enterChecked(self: *Self, input: Input) ?Output {
            const output = self.enter(input);
            self.checkCanary();
            self.reach = 0;
            return output;
        }

        fn checkCanary(self: *const Self) void {
            if (std.mem.eql(u8, self.bounds.bottom(), &canary)) return;
            @panic("fringe: a body has used up its stack, which has no guard page, so memory " ++
                "below it may have been written over. It needs a larger stack, or an OsStack");
        }

        inline fn enter(self: *Self, input: Input) ?Output {
            const word = if (comptime words.isWord(Input))
                words.toWord(input)
            else word: {
                self.mailbox().input.store(input);
                break :word 0;
            };
            const result = context_module.switchToBody(self.context, word, 0);
            if (self.context.exchanges.any()) {
                @branchHint(.unlikely);
                context_module.fringe_exchange(self.context);
                self.reach = 0;
            }
            if (comptime words.isWord(Output)) {
                // A body that has ended passes 0, so all other words are outputs.
                if (result == 0) {
                    @branchHint(.unlikely);
                    if (self.ends()) return null;
                }
                return words.fromWord(Output, result);
            }
            if (self.ends()) return null;
            return self.mailbox().output.load();
        }

        /// Writes down that the body has ended, if it has.
        inline fn ends(self: *Self) bool {
            if (self.mailbox().status != .suspended) {
                @branchHint(.unlikely);
                self.reach = 0;
                self.has_ended = true;
                return true;
            }
            return false;
        }

        /// How far below the context the record lies that it links to. That of the body is within
        /// the stack. While the body runs it is that of a resumer, which waits on another stack. So
        /// a body that gets hold of its own generator cannot resume it.
        inline fn depth(self: *const Self) usize {
            return @intFromPtr(self.context) -% @intFromPtr(self.context.link);
        }

        fn whole(self: *const Self) usize {
            return @intFromPtr(self.context) - self.bounds.limit;
        }

        pub fn state(self: *const Self) State {
            return if (self.has_ended or self.depth() >= self.whole()) .unavailable else .runnable;
        }

        /// Ends the body early. A Zig body sees error.Canceled from its suspension and runs its
        /// defers; the frames of a C or C++ body are unwound. Returns how it went; does nothing to
        /// one that is finished.
        pub fn cancel(self: *Self) Status {
            if (self.state() == .runnable) {
                self.reach = 0;
                self.has_ended = true;
                const status = unwind.cancel(self.context, self.bounds.limit);
                if (self.has_canary) self.checkCanary();
                return status;
            }
            return self.mailbox().status;
        }

        /// The stack, once the body has finished. To ask before that is a mistake of the program.
        pub fn unwrap(self: *Self) Stack {
            assert(self.state() == .unavailable);
            assert(self.mailbox().status != .suspended);
            return self.bounds;
        }

        fn mailbox(self: *Self) *Box {
            return @ptrCast(@alignCast(self.context.mailbox));
        }
    };
}

/// What a body suspends with. It is the context itself, so its address is also what C calls
/// `fringe_yielder`, and what JavaScript resumes.
pub fn Yielder(comptime Input: type, comptime Output: type) type {
    return extern struct {
        const Self = @This();

        context: Context,

        /// Hands `output` to the resumer and waits for the next input. error.Canceled: the
        /// generator is being ended; return, so that every defer on the way runs. Suspending again
        /// fails again.
        pub inline fn @"suspend"(self: *Self, output: Output) error{Canceled}!Input {
            const box = self.mailbox();
            const word = if (comptime words.isWord(Output))
                words.toWord(output)
            else word: {
                box.output.store(output);
                break :word 0;
            };
            var signal: usize = undefined;
            const result = context_module.switchToResumer(&self.context, word, &signal);
            if (signal != 0) return error.Canceled;
            if (comptime words.isWord(Input)) {
                return words.fromWord(Input, result);
            }
            return box.input.load();
        }

        inline fn mailbox(self: *Self) *Mailbox(Input, Output) {
            return @ptrCast(@alignCast(self.context.mailbox));
        }
    };
}
