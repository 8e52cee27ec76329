// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Text for stderr that is made where nothing may be allocated: frames, by name and place.

const std = @import("std");
const loader = @import("loader.zig");
const os = @import("../os/os.zig").os;

/// What is about to be written.
pub const Text = struct {
    bytes: [4096]u8 = undefined,
    length: usize = 0,

    pub fn add(self: *Text, part: []const u8) void {
        const length = @min(part.len, self.bytes.len - self.length);
        @memcpy(self.bytes[self.length..][0..length], part[0..length]);
        self.length += length;
    }

    pub fn addNumber(self: *Text, number: usize, base: u8) void {
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

    pub fn addAddress(self: *Text, address: usize) void {
        self.add("0x");
        self.addNumber(address, 16);
    }

    /// A function, by its name if it has one.
    pub fn addFunction(self: *Text, address: usize) void {
        const info = loader.symbolAt(address);
        const name = info.symbol_name orelse return self.addPlace(address, info);
        self.add("`");
        self.add(std.mem.span(name));
        self.add("`");
    }

    /// Where a function has come to. A return address may lie behind the function's last
    /// instruction, so it is looked up one byte below it.
    pub fn addFrame(self: *Text, address: usize, is_return_address: bool) void {
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
    pub fn write(self: *Text) void {
        os.writeError(self.bytes[0..self.length]);
        self.length = 0;
    }
};
