// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

const std = @import("std");
const builtin = @import("builtin");
const manifest = @import("build.zig.zon");

comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, manifest.minimum_zig_version)) @compileError(
        "fringe is built with Zig " ++ manifest.minimum_zig_version ++ ", byte for byte; this is " ++
            builtin.zig_version_string ++ " (`deno task build` fetches the right one)",
    );
}

pub fn build(b: *std.Build) void {
    // Baseline processors, so that the library runs, and is the same, everywhere.
    const target = b.standardTargetOptions(.{ .default_target = .{
        .cpu_model = .baseline,
        .os_tag = .linux,
        .cpu_arch = .x86_64,
        .abi = .gnu,
    } });
    const optimize = b.standardOptimizeOption(.{});

    // What Zig programs import.
    const fringe = module(b, "fringe.zig", target, optimize);
    b.modules.put(b.graph.arena, "fringe", fringe) catch @panic("OOM");

    // What Deno opens. It needs no libc; _Unwind_* it takes from the process, when there.
    const library_module = module(b, "library.zig", target, .fast);
    library_module.strip = true;
    library_module.unwind_tables = .async;
    library_module.omit_frame_pointer = false;
    library_module.pic = true;
    const library = b.addLibrary(.{
        .name = "fringe",
        .linkage = .dynamic,
        .root_module = library_module,
        .use_llvm = true,
        .use_lld = true,
    });
    library.link_gc_sections = true;

    const tests = b.addTest(.{
        .root_module = module(b, "tests.zig", target, optimize),
        .use_llvm = true,
        .use_lld = true,
    });

    const platform = b.fmt("{s}-{s}", .{
        @tagName(target.result.cpu.arch),
        @tagName(target.result.os.tag),
    });
    const install_prebuilt = b.addInstallFile(
        library.getEmittedBin(),
        b.fmt("prebuilt/{s}/libfringe.so", .{platform}),
    );

    b.installArtifact(library);
    b.step("library", "Build the shared library").dependOn(&library.step);
    b.step("prebuilt", "Install what is committed as native/prebuilt").dependOn(&install_prebuilt.step);
    b.step("test", "Run the Zig tests").dependOn(&b.addRunArtifact(tests).step);
}

fn module(
    b: *std.Build,
    root: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
) *std.Build.Module {
    const result = b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = optimize,
    });
    result.addAssemblyFile(b.path(b.fmt("switch_{s}.S", .{@tagName(target.result.cpu.arch)})));
    return result;
}
