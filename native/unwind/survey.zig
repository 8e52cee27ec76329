// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Looks at the frames of a suspended body, before any is left, for the first one that must not be
//! unwound. Runs on the stack of the caller, and nothing of the body runs.
//!
//! What needs care is a frame with cleanups. The unwinder asks its personality routine, which must
//! be made for this unwinder. Then the cleanups run, on the stack of the frame, and below them the
//! unwinder, which they call to go on: there must be room. Whether there is, is known of the stack
//! of the body itself. Of others it is known by what comes behind their frames:
//!
//!     thunk -> f -> inner trampoline -> fringe_root -> g -> trampoline    f's stack was made for a
//!                                                                         generator, with room
//!     thunk -> f -> g -> trampoline             f's stack was made by C, which has switched to it
//!     thunk -> f -> nothing                     likewise: makecontext(3) makes such a last frame
//!
//! When a frame without cleanups is left nothing runs, so it may be left wherever it is.

const std = @import("std");
const builtin = @import("builtin");
const Abandonment = layout.Abandonment;
const arch = @import("../arch/arch.zig").arch;
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const layout = @import("../layout.zig");
const IdlePlace = layout.IdlePlace;
const loader = @import("loader.zig");
const personality = @import("personality.zig");
const unwinder = @import("unwinder.zig");

/// A frame: where it goes on, and where its stack pointer stood when it made its call.
const Place = struct {
    address: usize,
    stack_pointer: usize,

    fn of(frame: *unwinder.Frame) Place {
        return .{
            .address = unwinder.getIP.?(frame),
            .stack_pointer = unwinder.getCFA.?(frame),
        };
    }
};

/// The first frame that must not be unwound, and why.
pub const Obstacle = struct {
    reason: Abandonment,
    place: Place,
    /// Whether it is the frame of the suspended function. That is about to call fringe_aside, from
    /// another place: so it is not known by its place.
    is_innermost: bool,

    pub fn isAt(self: Obstacle, frame: *unwinder.Frame) bool {
        return std.meta.eql(self.place, Place.of(frame));
    }
};

/// What a survey has found.
pub const Survey = struct {
    obstacle: ?Obstacle = null,
    /// Whether nothing would run if the body were unwound: the suspended function is the body
    /// itself, and has no cleanups. So it is with most generators.
    is_idle: bool = false,
};

/// The same, but takes less time for a body that is idle where it was before. `idle` belongs to the
/// body, and to nobody else.
///
/// That needs no walk. The trampoline has called the body, and the address lies in it. Another
/// function may be between the two, if that has called the body anew:
///
///     trampoline -> body                       the frame was like this when it was found idle
///     trampoline -> body -> f -> body          this one lies below two others
///
/// The frame of the second has a lower place: of the two pointers, one does not depend on how much
/// memory the function has taken from the stack since it began.
pub fn remembering(context: *const Context, limit: usize, idle: *IdlePlace) Survey {
    const place = placeOf(context);
    if (std.meta.eql(place, idle.*)) return .{ .is_idle = true };
    const found = of(context, limit);
    if (found.is_idle) idle.* = place;
    return found;
}

fn placeOf(context: *const Context) IdlePlace {
    const top = @intFromPtr(context);
    return .{
        .address = context.link.resume_address,
        .stack_pointer = top - @intFromPtr(context.link),
        .frame_pointer = top -% context.link.frame_pointer,
    };
}

/// Surveys the suspended body of `context`, whose stack begins at `limit`, 0 where nobody knows.
/// There must be an unwinder.
pub fn of(context: *const Context, limit: usize) Survey {
    var walk: Walk = .{ .context = context, .limit = limit };
    _ = context_module.fringe_trace(context.link, unwinder.backtrace.?, &Walk.visit, &walk);
    if (!walk.is_whole and walk.obstacle == null) walk.end();
    const is_alone = walk.is_whole and walk.depth == 2;
    return .{ .obstacle = walk.obstacle, .is_idle = is_alone and !walk.has_cleanups };
}

const Walk = struct {
    context: *const Context,
    limit: usize,
    obstacle: ?Obstacle = null,
    /// Whether the walk has come to the trampoline of the body.
    is_whole: bool = false,
    /// How many frames come before the one that is visited. The first is that of fringe_trace, on
    /// this stack, the second that of the suspended function.
    depth: usize = 0,
    last: Place = undefined,
    innermost: Place = undefined,
    /// The innermost frame with cleanups on the stack that the walk is on, as long as nobody knows
    /// whose stack that is.
    unproven: ?Place = null,
    /// Whether a frame may have some.
    has_cleanups: bool = false,
    /// A personality routine that was found to be made for our unwinder.
    known: usize = 0,

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Walk = @ptrCast(@alignCast(argument));
        self.is_whole = backtrace.isBelowBody(frame, self.context);
        if (self.is_whole) return unwinder.end_of_trace;
        const place: Place = .of(frame);
        // gcc's unwinder visits the end of a stack like a frame.
        if (place.address == 0) return unwinder.end_of_trace;
        if (self.depth == 1) self.innermost = place;
        if (self.depth > 0) self.look(frame, place);
        self.depth += 1;
        self.last = place;
        return if (self.obstacle == null) unwinder.no_reason else unwinder.end_of_trace;
    }

    fn look(self: *Walk, frame: *unwinder.Frame, place: Place) void {
        if (self.isInnerTrampoline(place)) {
            self.unproven = null;
            return self.lookAtInner(frame, place);
        }
        if (self.unproven) |unproven| if (self.isOtherStack(place)) {
            return self.set(.foreign_stack, unproven);
        };
        // Without data a routine has nothing to do.
        if (unwinder.getLanguageSpecificData.?(frame) == 0) return;
        self.has_cleanups = true;
        const routine = personality.of(place.address - 1) orelse return;
        if (routine != self.known) {
            if (!personality.isOurs(routine)) return self.set(.foreign_unwinder, place);
            self.known = routine;
        }
        if (self.isOnBody(place) and place.stack_pointer - self.limit < layout.headroom_min) {
            return self.set(.no_room, place);
        }
        if (self.unproven == null) self.unproven = place;
    }

    fn set(self: *Walk, reason: Abandonment, place: Place) void {
        self.obstacle = .{
            .reason = reason,
            .place = place,
            .is_innermost = std.meta.eql(place, self.innermost),
        };
    }

    /// Whether it is the trampoline of another context. That may come from another copy of
    /// `switch_<arch>.S`, which is known by name.
    fn isInnerTrampoline(self: *const Walk, place: Place) bool {
        if (backtrace.isTrampoline(place.address)) return true;
        if (self.unproven == null) return false;
        const name = loader.symbolAt(place.address - 1).symbol_name orelse return false;
        return std.mem.orderZ(u8, name, trampoline) == .eq;
    }

    /// What a body returns to. In Mach-O each place that has a name is a function of its own.
    const trampoline = if (builtin.object_format == .macho)
        "fringe_trampoline_begin"
    else
        "fringe_trampoline";

    /// The resumer of a generator may be a cleanup that an exception runs: as in cancel.zig.
    fn lookAtInner(self: *Walk, frame: *unwinder.Frame, place: Place) void {
        if (!backtrace.isTrampoline(place.address)) return;
        const inner: *const Context = @ptrFromInt(
            unwinder.getGR.?(frame, arch.frame_pointer),
        );
        if (inner.uncaught > 0) self.set(.suspended_in_cleanup, place);
    }

    /// Whether the frame lies on another stack than the last one, as far as that can be seen. On
    /// one stack each frame lies above the one that it has called.
    fn isOtherStack(self: *const Walk, place: Place) bool {
        return place.stack_pointer < self.last.stack_pointer or
            self.isOnBody(place) and !self.isOnBody(self.last);
    }

    /// Whether a frame lies on the stack of the body, as far as it is known where that ends.
    fn isOnBody(self: *const Walk, place: Place) bool {
        return self.limit <= place.stack_pointer and
            place.stack_pointer <= @intFromPtr(self.context);
    }

    /// Why the walk has ended before it came to the trampoline of the body: nobody knows who has
    /// called the last function, or its table has it that nobody has.
    fn end(self: *Walk) void {
        const is_outermost = personality.isOutermost(self.last.address);
        if (self.unproven) |unproven| if (is_outermost or !self.isOnBody(unproven)) {
            return self.set(.foreign_stack, unproven);
        };
        if (is_outermost) return self.set(.foreign_stack, self.last);
        // The unwinding ends there by itself. gcc's unwinder visits a function without a table,
        // LLVM's does not.
        const is_known = !personality.hasTable(self.last.address);
        const address = if (is_known) self.last.address else 0;
        self.set(.no_tables, .{ .address = address, .stack_pointer = 0 });
    }
};
