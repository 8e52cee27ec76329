// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

const std = @import("std");
const builtin = @import("builtin");
const manifest = @import("build.zig.zon");

comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, manifest.minimum_zig_version)) @compileError(
        "fringe is built with Zig " ++ manifest.minimum_zig_version ++ ", byte for byte; this is" ++
            " " ++ builtin.zig_version_string ++ " (`deno task build` fetches the right one)",
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
    const valgrind = b.option(bool, "valgrind", "Tell Valgrind about stacks (default: tests do)");

    // What Zig programs import.
    const fringe = module(b, "fringe.zig", target, optimize);
    b.modules.put(b.graph.arena, "fringe", fringe) catch @panic("OOM");

    // What Deno opens. It needs no libc; _Unwind_* it takes from the process, when there.
    const library = sharedLibrary(b, "fringe", module(b, "library.zig", target, .fast));
    library.root_module.valgrind = valgrind orelse false;

    // Bodies, prebuilt because the examples and the tests in TypeScript may assume no compiler.
    const example_bodies = bodies(b, "bodies", target, "../examples/bodies/bodies.zig", &.{
        "../examples/bodies/add_one.c",
    });
    const test_bodies = bodies(b, "test_bodies", target, "../tests/bodies/test_bodies.zig", &.{
        "../tests/bodies/faults.c",
        "../tests/bodies/signals.c",
        "../tests/bodies/test_bodies.c",
        "../tests/bodies/test_bodies.cc",
        "../tests/bodies/model.cc",
    });
    // For fringe_suspend as a plain function.
    addSwitch(b, test_bodies.root_module);

    // The tests take libc and the unwinder from Zig (with musl they are linked in), so that they
    // run, also those for the other architecture, on a machine that has neither.
    var test_query = target.query;
    test_query.abi = .musl;
    const test_module = module(b, "tests.zig", b.resolveTargetQuery(test_query), optimize);
    test_module.unwind_tables = .async;
    test_module.omit_frame_pointer = false;
    test_module.valgrind = valgrind orelse true;
    test_module.link_libc = true;
    test_module.linkSystemLibrary("unwind", .{});
    test_module.addCSourceFile(.{
        .file = b.path("test/unwind_test.c"),
        .flags = &.{"-fexceptions"},
    });
    test_module.link_libcpp = true;
    test_module.addIncludePath(b.path("include"));
    test_module.addCSourceFile(.{
        .file = b.path("test/exception_test.cc"),
        .flags = &.{ "-Wall", "-Wextra", "-Werror" },
    });
    const filters: []const []const u8 =
        b.option([]const []const u8, "filter", "Tests to run: a part of the name") orelse &.{};
    const tests = b.addTest(.{
        .root_module = test_module,
        .filters = filters,
        .use_llvm = true,
        .use_lld = true,
    });

    const sanitized_tests = sanitizedTests(b, target, optimize, filters);

    const bench = benchProgram(b, target);

    // What debuggers are shown: as fast as a release, with debug information.
    const backtrace_module = module(b, "backtrace_program.zig", target, .fast);
    backtrace_module.strip = false;
    backtrace_module.valgrind = true;
    backtrace_module.unwind_tables = .async;
    backtrace_module.omit_frame_pointer = false;
    backtrace_module.link_libc = true;
    const backtrace = b.addExecutable(.{
        .name = "fringe-backtrace",
        .root_module = backtrace_module,
        .use_llvm = true,
        .use_lld = true,
    });

    // What the README shows in a debugger, as a user would build it.
    const crash = b.addExecutable(.{
        .name = "crash",
        .root_module = b.createModule(.{
            .root_source_file = b.path("../examples/crash.zig"),
            .target = target,
            .optimize = .debug,
            .imports = &.{.{ .name = "fringe", .module = fringe }},
        }),
        .use_llvm = true,
    });

    const platform = b.fmt("{s}-{s}", .{
        @tagName(target.result.cpu.arch),
        @tagName(target.result.os.tag),
    });
    const prebuilt = b.step("prebuilt", "Install what is committed as native/prebuilt");
    for ([_]*std.Build.Step.Compile{ library, example_bodies, test_bodies }) |compile| {
        const path = b.fmt("prebuilt/{s}/lib{s}.so", .{ platform, compile.name });
        prebuilt.dependOn(&b.addInstallFile(compile.getEmittedBin(), path).step);
    }

    b.installArtifact(library);
    b.step("library", "Build the shared library").dependOn(&library.step);
    b.step("bench", "Install the program that measures round trips")
        .dependOn(&b.addInstallArtifact(bench, .{}).step);
    b.step("backtrace", "Install the program that debuggers are shown")
        .dependOn(&b.addInstallArtifact(backtrace, .{}).step);
    b.step("crash", "Install the example that crashes")
        .dependOn(&b.addInstallArtifact(crash, .{}).step);
    const run_tests = b.addRunArtifact(tests);
    // They look at the system, too: that they have passed once says nothing of today.
    run_tests.has_side_effects = true;
    b.step("test", "Run the Zig tests").dependOn(&run_tests.step);
    b.step("test-program", "Install the program that runs the Zig tests")
        .dependOn(&b.addInstallArtifact(tests, .{}).step);
    b.step("sanitized-test", "Run the Zig tests under AddressSanitizer, which needs g++")
        .dependOn(&sanitized_tests.step);
}

/// The same tests where AddressSanitizer watches their parts in C and C++. Zig has none, so gcc
/// compiles those, and links.
fn sanitizedTests(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
    filters: []const []const u8,
) *std.Build.Step.Run {
    const root = b.createModule(.{
        .root_source_file = b.path("tests.zig"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
        .unwind_tables = .async,
        .omit_frame_pointer = false,
        .pic = true,
        .stack_check = false,
    });
    root.addCSourceFile(.{
        .file = b.path("switch_x86_64.S"),
        .flags = &.{"-DFRINGE_SANITIZE_ADDRESS"},
    });
    const object = b.addTest(.{
        .name = "sanitized-test",
        .root_module = root,
        .filters = filters,
        .test_runner = .{ .path = b.path("test/sanitizer_runner.zig"), .mode = .simple },
        .emit_object = true,
        .use_llvm = true,
        .use_lld = true,
    });

    const link = b.addSystemCommand(&.{
        "g++",
        "-fsanitize=address",
        "-fno-omit-frame-pointer",
        "-fexceptions",
        "-O1",
        "-g",
        "-Wall",
        "-Wextra",
        "-Werror",
    });
    link.addPrefixedDirectoryArg("-I", b.path("include"));
    link.addFileInput(b.path("include/fringe.h"));
    link.addArgs(&.{ "-x", "c" });
    link.addFileArg(b.path("test/unwind_test.c"));
    link.addArgs(&.{ "-x", "c++" });
    link.addFileArg(b.path("test/exception_test.cc"));
    link.addFileArg(b.path("test/sanitizer_test.cc"));
    link.addArgs(&.{ "-x", "none" });
    link.addArtifactArg(object);
    link.addArg("-o");
    const program = link.addOutputFileArg("sanitized-test");

    const run = std.Build.Step.Run.create(b, "run sanitized-test");
    run.addFileArg(program);
    run.stdio = .inherit;
    return run;
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
    addSwitch(b, result);
    return result;
}

fn addSwitch(b: *std.Build, to: *std.Build.Module) void {
    const arch = to.resolved_target.?.result.cpu.arch;
    to.addAssemblyFile(b.path(b.fmt("switch_{s}.S", .{@tagName(arch)})));
}

/// A library that anything may load: stripped of all but what an unwinder or a sampler needs.
fn sharedLibrary(b: *std.Build, name: []const u8, root: *std.Build.Module) *std.Build.Step.Compile {
    root.strip = true;
    root.unwind_tables = .async;
    root.omit_frame_pointer = false;
    root.pic = true;
    const library = b.addLibrary(.{
        .name = name,
        .linkage = .dynamic,
        .root_module = root,
        .use_llvm = true,
        .use_lld = true,
    });
    library.link_gc_sections = true;
    return library;
}

/// A library of bodies. It needs no libc, and nothing of libfringe.so: suspensions are inlined.
fn bodies(
    b: *std.Build,
    name: []const u8,
    target: std.Build.ResolvedTarget,
    root: []const u8,
    c_files: []const []const u8,
) *std.Build.Step.Compile {
    const fringe = b.createModule(.{ .root_source_file = b.path("fringe.zig") });
    const result = b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = .fast,
        .imports = &.{.{ .name = "fringe", .module = fringe }},
    });
    result.addIncludePath(b.path("include"));
    for (c_files) |file| result.addCSourceFile(.{
        .file = b.path(file),
        .flags = &.{ "-O2", "-ffreestanding", "-fexceptions", "-Wall", "-Wextra", "-Werror" },
    });
    return sharedLibrary(b, name, result);
}

/// What measures round trips. It needs libc to open the libraries of its peers.
fn benchProgram(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step.Compile {
    const fringe = module(b, "fringe.zig", target, .fast);
    const root = b.createModule(.{
        .root_source_file = b.path("../bench/native/main.zig"),
        .target = target,
        .optimize = .fast,
        .link_libc = true,
        .imports = &.{.{ .name = "fringe", .module = fringe }},
    });
    root.addIncludePath(b.path("include"));
    root.addCSourceFile(.{
        .file = b.path("../examples/bodies/add_one.c"),
        .flags = &.{"-O2"},
    });
    return b.addExecutable(.{
        .name = "fringe-bench",
        .root_module = root,
        .use_llvm = true,
        .use_lld = true,
    });
}
