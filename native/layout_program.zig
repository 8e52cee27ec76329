// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Prints layout.zig as TypeScript: `zig build layout`. An enumeration becomes an object of its
//! numbers, a struct an object of the offsets of its fields with its size, a constant a constant.
//! The comments are those of layout.zig, the first line of each.

const std = @import("std");
const layout = @import("layout.zig");
const of_deno = @import("arch/arch.zig").of_deno;

const source = @embedFile("layout.zig");

const head =
    \\// SPDX-License-Identifier: MIT OR Apache-2.0
    \\// Credit: after libfringe, by edef and the libfringe contributors
    \\// Made by `deno task build` from native/layout.zig: do not edit.
    \\// deno-fmt-ignore-file
    \\
    \\/** The layouts and the numbers that TypeScript shares with native code. */
    \\
;

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var output = std.Io.File.stdout().writer(init.io, &buffer);
    const writer = &output.interface;
    try writer.writeAll(head);
    try printNumber(writer, "abi");
    try printEnum(writer, "Status");
    try printEnum(writer, "Abandonment");
    try printEnum(writer, "Grant");
    try printNumber(writer, "slot_size");
    try printNumber(writer, "tail_answer");
    try printRegisters(writer);
    try printStruct(writer, "Mailbox", "Call", @sizeOf(layout.Call));
    try printNumber(writer, "frames_max");
    try printStruct(writer, "Report", "Report", @offsetOf(layout.Report, "text"));
    const structs = .{
        "Left", "ThunkBlock", "ThreadBlock", "SymbolBlock", "IdlePlace", "Bounds",
    };
    inline for (structs) |name| {
        try printStruct(writer, name, name, @sizeOf(@field(layout, name)));
    }
    const stacks = .{ "stack_alignment", "stack_size_min", "stack_size_default", "thread_room" };
    inline for (stacks) |name| try printNumber(writer, name);
    try printNumber(writer, "headroom_min");
    try printHead(writer, "canary", "CANARY");
    try writer.print("\"{s}\";\n", .{layout.canary});
    try writer.flush();
}

/// What `arch/<arch>.zig` says, for each architecture of Deno's.
fn printRegisters(writer: *std.Io.Writer) !void {
    try writer.writeAll(
        \\
        \\/** How many arguments are in registers, and by which rules structs are. */
        \\export const ARGUMENT_REGISTERS = {
        \\
    );
    inline for (comptime std.meta.declarations(of_deno)) |declaration| {
        const arch = @field(of_deno, declaration);
        try writer.print("  {s}: {{ integers: {d}, floats: {d}, structs: \"{s}\" }},\n", .{
            declaration,
            arch.argument_integers,
            arch.argument_floats,
            arch.struct_rules,
        });
    }
    try writer.writeAll("} as const;\n");
}

fn printEnum(writer: *std.Io.Writer, comptime name: []const u8) !void {
    try printHead(writer, name, name);
    try writer.writeAll("{\n");
    const body = after("pub const " ++ name ++ " =");
    inline for (comptime std.meta.fieldNames(@field(layout, name))) |field| {
        try printComment(writer, commentBefore(body, "    " ++ field ++ " ="), "  ");
        const number = @backingInt(@field(@field(layout, name), field));
        try writer.print("  {s}: {d},\n", .{ field, number });
    }
    try writer.writeAll("} as const;\n");
}

/// `size` is how many bytes TypeScript is to know of: fields that lie behind are left out.
fn printStruct(
    writer: *std.Io.Writer,
    comptime name: []const u8,
    comptime declared: []const u8,
    comptime size: usize,
) !void {
    try printHead(writer, declared, name);
    try writer.writeAll("{\n");
    const body = after("pub const " ++ declared ++ " =");
    try printFields(writer, @field(layout, declared), size, body, "    ");
    try writer.print("  /** The size of all of it. */\n  size: {d},\n}} as const;\n", .{size});
}

/// A mailbox of a call begins with one of a generator, whose fields are shown as its own.
fn printFields(
    writer: *std.Io.Writer,
    comptime Struct: type,
    comptime size: usize,
    body: []const u8,
    comptime indentation: []const u8,
) !void {
    inline for (comptime std.meta.fieldNames(Struct)) |field| {
        const Field = @FieldType(Struct, field);
        if (Field == layout.Mailbox(u64, u64)) {
            try printFields(writer, Field, size, after("pub fn Mailbox("), "        ");
        } else if (@offsetOf(Struct, field) + @sizeOf(Field) <= size) {
            try printComment(writer, commentBefore(body, indentation ++ field ++ ":"), "  ");
            try writer.print("  {s}: {d},\n", .{ field, @offsetOf(Struct, field) });
        }
    }
}

fn printNumber(writer: *std.Io.Writer, comptime name: []const u8) !void {
    var upper: [name.len]u8 = undefined;
    try printHead(writer, name, std.ascii.upperString(&upper, name));
    try writer.print("{d};\n", .{@field(layout, name)});
}

/// What comes before the value of a declaration.
fn printHead(writer: *std.Io.Writer, comptime declared: []const u8, name: []const u8) !void {
    try writer.writeAll("\n");
    try printComment(writer, commentBefore(source, "pub const " ++ declared ++ " ="), "");
    try writer.print("export const {s} = ", .{name});
}

fn printComment(writer: *std.Io.Writer, comment: []const u8, indentation: []const u8) !void {
    try writer.print("{s}/** {s} */\n", .{ indentation, comment });
}

/// The rest of layout.zig, from the line on that begins so.
fn after(comptime begin: []const u8) []const u8 {
    return source[lineOf(source, begin)..];
}

/// The first line of the comment that stands in `text` before the line which begins so.
fn commentBefore(text: []const u8, comptime begin: []const u8) []const u8 {
    var lines = std.mem.splitBackwardsScalar(u8, text[0..lineOf(text, begin)], '\n');
    var first: []const u8 = "";
    while (lines.next()) |line| {
        const trimmed = std.mem.trimStart(u8, line, " ");
        if (!std.mem.startsWith(u8, trimmed, "///")) break;
        first = trimmed["///".len..];
    }
    if (first.len == 0) std.debug.panic("layout.zig: write a comment on `{s}`", .{begin});
    return std.mem.trimStart(u8, first, " ");
}

/// Where the newline before the first line is which begins so.
fn lineOf(text: []const u8, comptime begin: []const u8) usize {
    return std.mem.find(u8, text, "\n" ++ begin) orelse
        std.debug.panic("layout.zig: there is no line that begins with `{s}`", .{begin});
}
