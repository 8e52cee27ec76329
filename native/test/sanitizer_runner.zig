// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Runs the tests in a program that AddressSanitizer watches. Zig's own runner, being the root file
//! there, does not say so to sanitizer.zig.

const std = @import("std");
const builtin = @import("builtin");
const testing = std.testing;

pub const fringe_sanitize_address = true;

/// Locals are watched after their function has returned; each error ends the process as no test
/// does; and threads keep the signal stacks that Zig gives them.
export fn __asan_default_options() [*:0]const u8 {
    return "detect_stack_use_after_return=1:exitcode=99:use_sigaltstack=0";
}

pub fn main() u8 {
    var passed: usize = 0;
    var skipped: usize = 0;
    for (builtin.test_functions) |each| {
        std.debug.print("{s}...", .{each.name});
        testing.allocator_instance = .init(std.heap.page_allocator, .{});
        const result = each.func();
        const is_leaking = testing.allocator_instance.deinit() > 0;
        if (result) |_| {
            passed += @intFromBool(!is_leaking);
            std.debug.print("{s}\n", .{if (is_leaking) "memory is left" else "OK"});
        } else |err| {
            skipped += @intFromBool(err == error.SkipZigTest);
            std.debug.print("{t}\n", .{err});
        }
    }
    const failed = builtin.test_functions.len - passed - skipped;
    std.debug.print("{} passed; {} skipped; {} failed.\n", .{ passed, skipped, failed });
    return @intFromBool(failed > 0);
}
