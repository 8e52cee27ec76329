// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What the unwind tables say of a function: its personality routine, whether that is made for our
//! unwinder, and whether anything has called the function.
//!
//! A frame with cleanups has a personality routine, which asks an unwinder about the frame: the one
//! that its library is linked with. A library may have an unwinder of its own, hidden. The frames
//! of that unwinder are of another kind, and the routine would read ours as if they were such. So
//! our unwinder must never show a frame to such a routine.

const std = @import("std");
const builtin = @import("builtin");
const arch = @import("../arch/arch.zig").arch;
const compact_unwind = @import("compact_unwind.zig");
const loader = @import("loader.zig");
const unwinder = @import("unwinder.zig");

/// Whether a personality routine asks our unwinder: the routine is in the same module, or in a
/// module that takes the function it asks by from ours, or in glibc.
pub fn isOurs(routine: usize) bool {
    const ours = @intFromPtr(unwinder.getLanguageSpecificData.?);
    const module = loader.symbolAt(routine).file_base;
    // Without a loader all is one program.
    if (module == loader.symbolAt(ours).file_base) return true;
    const name = "_Unwind_GetLanguageSpecificData";
    if (@intFromPtr(loader.find(routine, name)) == ours) return true;
    // glibc's own frames have cleanups that give back what they hold (pthread_once, scandir,
    // getline). It does not depend on an unwinder: its routine loads libgcc_s.so.1 when it is first
    // called, and asks that one.
    if (builtin.object_format != .elf) return false;
    const version = gnu_get_libc_version orelse return false;
    if (module != loader.symbolAt(@intFromPtr(version)).file_base) return false;
    return @intFromPtr(loader.findIn("libgcc_s.so.1", name)) == ours;
}

/// What only glibc has. In a `var`, as in unwinder.zig.
var gnu_get_libc_version = @extern(
    ?*const fn () callconv(.c) [*:0]const u8,
    .{ .name = "gnu_get_libc_version", .linkage = .weak },
);

/// Whether there are other tables than DWARF's.
const is_compact = builtin.object_format == .macho;

/// Whether there are unwind tables for a function that returns to `address`.
pub fn hasTable(address: usize) bool {
    return table(address - 1) != null;
}

/// Whether a function that a walk has ended in, and that returns to `address`, is known not to have
/// been called. Its table says so; or it has not even begun, since the address is its beginning (as
/// that of glibc's `__start_context`, below what makecontext(3) has made).
pub fn isOutermost(address: usize) bool {
    if (table(address - 1)) |found| return hidesCaller(found.fde orelse return false);
    const found = table(address) orelse return false;
    return found.start == address;
}

/// Whether a table has it somewhere that the return address is undefined. Looks for the bytes of
/// that instruction; should others be the same, a frame is taken for an outermost one.
fn hidesCaller(fde: [*]const u8) bool {
    const DW_CFA_undefined = 0x07;
    const length = std.mem.readInt(u32, fde[0..4], .little);
    const undefine = [_]u8{ DW_CFA_undefined, arch.return_address };
    return std.mem.find(u8, fde[4..][0..length], &undefine) != null;
}

/// Where a function begins, and what DWARF has on it.
const Table = struct { fde: ?[*]const u8, start: usize };

fn table(address: usize) ?Table {
    if (is_compact) {
        const found = compact_unwind.find(address) orelse return null;
        return .{ .fde = found.fde, .start = found.start };
    }
    // `struct dwarf_eh_bases`: of text, of data, and the beginning of the function.
    var bases: [3]usize = undefined;
    const fde = (unwinder.findFDE orelse return null)(address, &bases) orelse return null;
    return .{ .fde = fde, .start = bases[2] };
}

/// The personality routine for an address: what stands in the CIE of its FDE, behind the letter P
/// (System V psABI for AMD64, section 4.2.4; Linux Standard Base, Core, section 10.6).
pub fn of(address: usize) ?usize {
    if (is_compact) {
        const found = compact_unwind.find(address) orelse return null;
        return if (found.personality == 0) null else found.personality;
    }
    const found = table(address) orelse return null;
    const pointer = found.fde.? + 4;
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
        // A frame of a signal; signed by key B; with tagged memory (DWARF for the Arm 64-bit
        // Architecture, section 4.4).
        'S', 'B', 'G' => {},
        'P' => return decode(at[0], at + 1),
        else => return null,
    };
    return null;
}

/// A pointer as it is written down: `encoding` says how (Linux Standard Base, Core, section
/// 10.5.1).
fn decode(encoding: u8, at: [*]const u8) ?usize {
    const DW_EH_PE_absptr = 0x00;
    const DW_EH_PE_udata4 = 0x03;
    const DW_EH_PE_udata8 = 0x04;
    const DW_EH_PE_sdata4 = 0x0b;
    const DW_EH_PE_sdata8 = 0x0c;
    const DW_EH_PE_pcrel = 0x10;
    const DW_EH_PE_indirect = 0x80;
    var value: usize = switch (encoding & 0x0f) {
        DW_EH_PE_absptr => std.mem.readInt(usize, at[0..@sizeOf(usize)], .little),
        DW_EH_PE_udata4 => std.mem.readInt(u32, at[0..4], .little),
        DW_EH_PE_udata8, DW_EH_PE_sdata8 => @truncate(std.mem.readInt(u64, at[0..8], .little)),
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
