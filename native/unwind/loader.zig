// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What the dynamic loader of the process knows of addresses and libraries. Its functions are weak:
//! in a program without a loader they are null, and nothing is known. (Each stands in a `var`, as
//! in unwinder.zig.)

const std = @import("std");
const builtin = @import("builtin");
const os = @import("../os/os.zig").os;
const SymbolBlock = @import("../layout.zig").SymbolBlock;

/// What lies at an address: `Dl_info` of <dlfcn.h>.
pub const Symbol = extern struct {
    /// The file of the module that it is in, and where that begins in memory.
    file_name: ?[*:0]const u8 = null,
    file_base: ?*anyopaque = null,
    /// The function.
    symbol_name: ?[*:0]const u8 = null,
    symbol_address: ?*anyopaque = null,
};
var dladdr = @extern(
    ?*const fn (address: *const anyopaque, info: *Symbol) callconv(.c) c_int,
    .{ .name = "dladdr", .linkage = .weak },
);
var dlopen = @extern(
    ?*const fn (file_name: [*:0]const u8, flags: std.c.RTLD) callconv(.c) ?*anyopaque,
    .{ .name = "dlopen", .linkage = .weak },
);
var dlclose = @extern(
    ?*const fn (handle: *anyopaque) callconv(.c) c_int,
    .{ .name = "dlclose", .linkage = .weak },
);
var dlsym = @extern(
    ?*const fn (handle: *anyopaque, name: [*:0]const u8) callconv(.c) ?*anyopaque,
    .{ .name = "dlsym", .linkage = .weak },
);

var dl_iterate_phdr = @extern(
    ?*const fn (visit: *const Visit, argument: ?*anyopaque) callconv(.c) c_int,
    .{ .name = "dl_iterate_phdr", .linkage = .weak },
);
const Visit = fn (module: *const Module, size: usize, argument: ?*anyopaque) callconv(.c) c_int;

/// The beginning of `dl_phdr_info` of <link.h>.
const Module = extern struct {
    address: usize,
    name: ?[*:0]const u8,
    headers: [*]const std.elf.ElfN.Phdr,
    header_count: u16,
};

/// The function that an address lies in, of those that a module shows to others; nothing where
/// there is no loader.
pub fn symbolAt(address: usize) Symbol {
    var found: Symbol = .{};
    if (dladdr) |look_up| _ = look_up(@ptrFromInt(address), &found);
    return found;
}

/// Looks a name up in the module that an address lies in, and in those that it depends on.
pub fn find(address: usize, name: [*:0]const u8) ?*anyopaque {
    return findIn(symbolAt(address).file_name orelse return null, name);
}

/// The same in a library that is loaded.
pub fn findIn(file_name: [*:0]const u8, name: [*:0]const u8) ?*anyopaque {
    if (!os.is_there) return null;
    const handle = (dlopen orelse return null)(file_name, .{ .LAZY = true, .NOLOAD = true }) orelse
        return null;
    // The library stays loaded all the same: whoever has the address uses it.
    defer if (dlclose) |close| {
        _ = close(handle);
    };
    return (dlsym orelse return null)(handle, name);
}

/// Whether any module wants stacks to be executable.
pub fn isExecutableStackWanted() bool {
    // Modules of other formats have no mark by which they could.
    if (builtin.object_format != .elf) return false;
    const iterate = dl_iterate_phdr orelse return false;
    return iterate(&wantsExecutableStack, null) != 0;
}

fn wantsExecutableStack(module: *const Module, _: usize, _: ?*anyopaque) callconv(.c) c_int {
    for (module.headers[0..module.header_count]) |header| {
        if (header.type == std.elf.PT.GNU_STACK) return @intFromBool(header.flags.X);
    }
    // A module without the header wants it too; but the kernel's own, which is no file and so has
    // no path, has no need to say anything.
    const name = std.mem.span(module.name orelse return 0);
    return @intFromBool(std.mem.findScalar(u8, name, '/') != null);
}

/// Keeps the library that `address` lies in loaded until the process ends, whoever closes it. A
/// library needs that if another thread may still run in it, or if C may come back to it later:
/// when a Worker is terminated, Deno closes its libraries, and waits for neither.
pub fn keep(address: usize) void {
    if (!os.is_there) return;
    const file_name = symbolAt(address).file_name orelse return;
    const open = dlopen orelse return;
    _ = open(file_name, .{ .LAZY = true, .NOLOAD = true, .NODELETE = true });
}

// C ABI

/// `keep`, for TypeScript.
pub fn pin(address: *const anyopaque) callconv(.c) void {
    keep(@intFromPtr(address));
}

/// Writes what lies at an address.
pub fn symbol(address: usize, into: *SymbolBlock) callconv(.c) void {
    const found = symbolAt(address);
    into.* = .{
        .name = @intFromPtr(found.symbol_name),
        .start = @intFromPtr(found.symbol_address),
        .module = @intFromPtr(found.file_name),
        .module_start = @intFromPtr(found.file_base),
    };
}

/// `__cxa_get_globals` of the C++ runtime that the library at `address` uses; null: none is known.
pub fn exceptionState(address: *const anyopaque) callconv(.c) ?*anyopaque {
    return find(@intFromPtr(address), "__cxa_get_globals");
}

comptime {
    if (builtin.object_format == .macho) {
        @export(&cxaGetGlobals, .{ .name = "fringe_cxa_get_globals", .visibility = .hidden });
    }
}

/// `__cxa_get_globals` of the system's C++ runtime, once that is loaded. `switch_<arch>.S` asks
/// where a linker refuses to leave a name open that the program may not have.
fn cxaGetGlobals() callconv(.c) ?*anyopaque {
    const known = struct {
        var function: std.atomic.Value(?*anyopaque) = .init(null);
    };
    if (known.function.load(.monotonic)) |function| return function;
    const found = findIn("/usr/lib/libc++abi.dylib", "__cxa_get_globals");
    known.function.store(found, .monotonic);
    return found;
}
