// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Keeps libraries loaded that something outside may still be in, or come back to: fringe's own,
//! once C has the address of a thunk, and one that runs on another thread. Deno closes the
//! libraries of a Worker that is terminated, and does not wait for either.

/// <dlfcn.h>. Weak, since only a process that has loaded libraries has to keep them.
const DlInfo = extern struct {
    file_name: ?[*:0]const u8,
    file_base: ?*anyopaque,
    symbol_name: ?[*:0]const u8,
    symbol_address: ?*anyopaque,
};
const dladdr = @extern(
    ?*const fn (address: *const anyopaque, info: *DlInfo) callconv(.c) c_int,
    .{ .name = "dladdr", .linkage = .weak },
);
const dlopen = @extern(
    ?*const fn (file_name: [*:0]const u8, flags: c_int) callconv(.c) ?*anyopaque,
    .{ .name = "dlopen", .linkage = .weak },
);

// C ABI

/// Keeps the library that `address` is in loaded until the process ends, whoever closes it.
pub fn pin(address: *const anyopaque) callconv(.c) void {
    var info: DlInfo = undefined;
    const look_up = dladdr orelse return;
    const open = dlopen orelse return;
    if (look_up(address, &info) == 0) return;
    const RTLD_LAZY = 0x0001;
    const RTLD_NOLOAD = 0x0004;
    const RTLD_NODELETE = 0x1000;
    _ = open(info.file_name orelse return, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
