// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Which unwinder the frames of a body are made for. A frame with cleanups has a personality
//! routine, which asks the unwinder that has called it about the frame. A library may bring its own
//! unwinder, hidden: that one makes frames of another kind, and the routine would read ours as its
//! own. So such frames are never shown to it.

const std = @import("std");
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const loader = @import("loader.zig");
const unwinder = @import("unwinder.zig");

/// Whether no frame of the suspended body of `context` is made for another unwinder than the
/// process's. Runs on the stack of the caller.
pub fn areOurs(context: *Context) bool {
    var walk: Walk = .{};
    // Where there is no unwinder, no routine is called.
    const run = unwinder.backtrace orelse return true;
    if (unwinder.getIP == null or unwinder.getLanguageSpecificData == null) return true;
    _ = context_module.fringe_trace(context.link, run, &Walk.visit, &walk);
    return walk.are_ours;
}

const Walk = struct {
    /// The last routine that was found to be one of ours.
    known: usize = 0,
    are_ours: bool = true,

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Walk = @ptrCast(@alignCast(argument));
        const address = unwinder.getIP.?(frame);
        if (backtrace.isBelowBody(address)) return unwinder.end_of_trace;
        // Without data a routine has nothing to do.
        if (unwinder.getLanguageSpecificData.?(frame) == 0) return unwinder.no_reason;
        const routine = of(address - 1) orelse return unwinder.no_reason;
        if (routine == self.known or isOurs(routine)) {
            self.known = routine;
            return unwinder.no_reason;
        }
        self.are_ours = false;
        return unwinder.end_of_trace;
    }
};

/// Whether a routine asks our unwinder: it is in the same module, or it is in one that has the
/// function that it asks from there.
fn isOurs(routine: usize) bool {
    const ours = @intFromPtr(unwinder.getLanguageSpecificData.?);
    const module = loader.symbolAt(ours).file_base;
    // Without a loader all is one program.
    if (module == loader.symbolAt(routine).file_base) return true;
    const found = loader.find(routine, "_Unwind_GetLanguageSpecificData");
    return @intFromPtr(found) == ours;
}

/// The personality routine for an address: what stands in the CIE of its FDE, behind the letter P
/// (System V psABI for AMD64, section 4.2.4; Linux Standard Base, Core, section 10.6).
fn of(address: usize) ?usize {
    var bases: [3]usize = undefined;
    const fde = (unwinder.findFDE orelse return null)(address, &bases) orelse return null;
    const pointer = fde + 4;
    var at = pointer - std.mem.readInt(u32, pointer[0..4], .little);
    at += 4 + 4 + 1; // length, CIE id, version
    const augmentation = std.mem.span(@as([*:0]const u8, @ptrCast(at)));
    if (augmentation.len == 0 or augmentation[0] != 'z') return null;
    at += augmentation.len + 1;
    // Alignment of code and of data, register of the return address, length of what follows.
    for (0..4) |_| {
        while (at[0] & 0x80 != 0) at += 1;
        at += 1;
    }
    for (augmentation[1..]) |letter| switch (letter) {
        'L', 'R' => at += 1,
        'S', 'B' => {},
        'P' => return decode(at[0], at + 1),
        else => return null,
    };
    return null;
}

/// A pointer as it is written down: `encoding` says how (Linux Standard Base, Core, section
/// 10.5.1).
fn decode(encoding: u8, at: [*]const u8) ?usize {
    const DW_EH_PE_absptr = 0x00;
    const DW_EH_PE_sdata4 = 0x0b;
    const DW_EH_PE_udata4 = 0x03;
    const DW_EH_PE_pcrel = 0x10;
    const DW_EH_PE_indirect = 0x80;
    var value: usize = switch (encoding & 0x0f) {
        DW_EH_PE_absptr => std.mem.readInt(usize, at[0..@sizeOf(usize)], .little),
        DW_EH_PE_udata4 => std.mem.readInt(u32, at[0..4], .little),
        DW_EH_PE_sdata4 => @bitCast(@as(isize, std.mem.readInt(i32, at[0..4], .little))),
        else => return null,
    };
    if (value == 0) return null;
    switch (encoding & 0x70) {
        0 => {},
        DW_EH_PE_pcrel => value +%= @intFromPtr(at),
        else => return null,
    }
    if (encoding & DW_EH_PE_indirect != 0) value = @as(*align(1) const usize, @ptrFromInt(value)).*;
    return value;
}
