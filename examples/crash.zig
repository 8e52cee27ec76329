// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A body with a bug, for `tools/crash.ts`: what a debugger shows of it stands in docs/how.md.

const fringe = @import("fringe");

fn lookUp(yielder: *fringe.Yielder(usize, u32), first: usize) void {
    const values = [_]u32{ 1, 2, 3 };
    var index = first;
    while (true) index = yielder.@"suspend"(values[index]) catch return;
}

pub fn main() !void {
    var stack = try fringe.OsStack.init(1 << 20);
    defer stack.deinit();
    var generator: fringe.Generator(usize, u32) = .init(stack.stack(), lookUp);
    _ = generator.@"resume"(1);
    _ = generator.@"resume"(5);
}
