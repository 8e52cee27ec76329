// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Builds a program for a machine without an operating system that uses the package `fringe`:
//!
//!     zig build -Dtarget=x86_64-freestanding
//!
//! makes `zig-out/bin/bare_metal`, which QEMU boots; docs/bare_metal.md has the commands.

const std = @import("std");

/// What differs from machine to machine. `<arch>.S` is what comes before main().
const Machine = struct {
    /// The serial port, and how the machine is turned off.
    devices: []const u8,
    /// Where the program is loaded to.
    address: u64,

    fn of(arch: std.Target.Cpu.Arch) Machine {
        return switch (arch) {
            // The first MiB has the BIOS in it.
            .x86, .x86_64 => .{ .devices = "pc.zig", .address = 1 << 20 },
            else => std.process.fatal("there is no machine of {t} here: write {t}.S", .{
                arch, arch,
            }),
        };
    }
};

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{ .default_target = .{
        .cpu_arch = .x86_64,
        .os_tag = .freestanding,
    } });
    const optimize = b.standardOptimizeOption(.{});
    const machine: Machine = .of(target.result.cpu.arch);
    const fringe = b.dependency("fringe", .{ .target = target, .optimize = optimize });

    const root = b.createModule(.{
        .root_source_file = b.path("main.zig"),
        .target = target,
        .optimize = optimize,
        .imports = &.{.{ .name = "fringe", .module = fringe.module("fringe") }},
    });
    root.addAnonymousImport("machine", .{ .root_source_file = b.path(machine.devices) });
    root.addAssemblyFile(b.path(b.fmt("{t}.S", .{target.result.cpu.arch})));
    // The frame of an interrupt lies directly below the stack pointer, where a function would keep
    // variables in a red zone.
    for ([_]*std.Build.Module{ root, fringe.module("fringe") }) |module| module.red_zone = false;
    // A body in C needs the headers, and no libc.
    root.addIncludePath(fringe.path("include"));
    root.addCSourceFile(.{ .file = b.path("count.c"), .flags = &.{"-ffreestanding"} });

    const image = b.addExecutable(.{
        .name = "bare_metal",
        .root_module = root,
        // fringe needs LLVM, which Debug builds do not always use by themselves.
        .use_llvm = true,
        .use_lld = true,
    });
    image.image_base = machine.address;
    b.installArtifact(image);
}
