// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Builds what is made of Zig, C and assembly here; `zig build --help` lists the steps.

const std = @import("std");
const builtin = @import("builtin");
const manifest = @import("build.zig.zon");
const windows = @import("os/windows.zig");

comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, manifest.minimum_zig_version)) @compileError(
        "fringe is built with Zig " ++ manifest.minimum_zig_version ++ ", byte for byte; this is" ++
            " " ++ builtin.zig_version_string ++ " (`deno task build` fetches the right one)",
    );
}

/// The first macOS that Deno runs on, as its own LC_BUILD_VERSION says.
const macos_min: std.Target.Query.OsVersion = .{
    .semver = .{ .major = 12, .minor = 0, .patch = 0 },
};

pub fn build(b: *std.Build) void {
    // Baseline processors, so that the library runs, and is the same, everywhere.
    var query = b.standardTargetOptionsQueryOnly(.{ .default_target = .{
        .cpu_model = .baseline,
        .os_tag = .linux,
        .cpu_arch = .x86_64,
        .abi = .gnu,
    } });
    if (query.os_tag == .macos and query.os_version_min == null) query.os_version_min = macos_min;
    const target = b.resolveTargetQuery(query);
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
    const test_bodies = testBodies(b, target);

    const filters: []const []const u8 =
        b.option([]const []const u8, "filter", "Tests to run: a part of the name") orelse &.{};
    const tests = testProgram(b, target, optimize, valgrind orelse true, filters);
    const sanitized = sanitizedTests(b, target, optimize, filters);
    const bench = benchProgram(b, target);
    const backtrace = backtraceProgram(b, target);
    const crash = crashProgram(b, target, fringe);

    if (noPort(b, target.result)) |fail| {
        for ([_]*std.Build.Step.Compile{
            library, example_bodies, test_bodies, tests, sanitized.object, bench, backtrace, crash,
        }) |compile| compile.step.dependOn(fail);
    }

    const layout = layoutProgram(b);
    installPrebuilt(b, target, &.{ library, example_bodies, test_bodies }, layout);
    b.installArtifact(library);
    b.step("library", "Build the shared library").dependOn(&library.step);
    b.step("layout", "Print ffi/layout.ts").dependOn(&b.addRunArtifact(layout).step);
    b.step("bench", "Install the program that measures round trips")
        .dependOn(&b.addInstallArtifact(bench, .{}).step);
    b.step("backtrace", "Install the program that debuggers are shown")
        .dependOn(&b.addInstallArtifact(backtrace, .{}).step);
    b.step("crash", "Install the example that crashes")
        .dependOn(&b.addInstallArtifact(crash, .{}).step);
    const run_tests = runTests(b, tests, target.result.cpu.arch);
    // They look at the system, too: that they have passed once says nothing of today.
    run_tests.has_side_effects = true;
    b.step("test", "Run the Zig tests").dependOn(&run_tests.step);
    b.step("test-program", "Install the program that runs the Zig tests")
        .dependOn(&b.addInstallArtifact(tests, .{}).step);
    b.step("sanitized-test", "Run the Zig tests under AddressSanitizer, which needs g++")
        .dependOn(&sanitized.run.step);
}

/// Installs what is committed, although it is made: the libraries by platform, which is named as in
/// Deno.build, and the layout.
fn installPrebuilt(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    libraries: []const *std.Build.Step.Compile,
    layout: *std.Build.Step.Compile,
) void {
    const prebuilt = b.step("prebuilt", "Install what is committed: prebuilt/, layout.ts");
    for (libraries) |library| {
        const path = b.fmt("prebuilt/{s}-{s}/{s}", .{
            @tagName(target.result.cpu.arch),
            if (target.result.os.tag == .macos) "darwin" else @tagName(target.result.os.tag),
            library.out_filename,
        });
        prebuilt.dependOn(&b.addInstallFile(library.getEmittedBin(), path).step);
    }
    const text = b.addRunArtifact(layout).captureStdOut(.{});
    prebuilt.dependOn(&b.addInstallFile(text, "layout.ts").step);
}

/// A step that fails, where `target` is refused, or files are missing that a port to it needs: it
/// says why, or names them all, and nothing is built. null: there is nothing missing.
fn noPort(b: *std.Build, target: std.Target) ?*std.Build.Step {
    if (target.os.tag == .windows) return &b.addFail(windows.refusal).step;
    const arch, const os = .{ @tagName(target.cpu.arch), @tagName(target.os.tag) };
    var missing: []const u8 = "";
    for ([_][]const u8{
        switchFile(b, arch),
        b.fmt("arch/{s}.zig", .{arch}),
        b.fmt("include/fringe_{s}.h", .{arch}),
        b.fmt("os/{s}.zig", .{os}),
    }) |file| {
        const comma = if (missing.len > 0) "," else "";
        if (!exists(b, file)) missing = b.fmt("{s}{s} native/{s}", .{ missing, comma, file });
    }
    if (missing.len == 0) return null;
    return &b.addFail(b.fmt("fringe has not been ported to {s}-{s} yet. Write{s}, and name them " ++
        "where native/arch/arch.zig and native/os/os.zig say", .{ arch, os, missing })).step;
}

fn switchFile(b: *std.Build, arch: []const u8) []const u8 {
    return b.fmt("switch_{s}.S", .{arch});
}

/// Whether a file of this package is there. Zig asks again when its folder has changed.
fn exists(b: *std.Build, file: []const u8) bool {
    b.dependOnDirectoryContents(b.path(std.fs.path.dirname(file) orelse "."));
    b.root.access(b.graph.io, file, .{}) catch return false;
    return true;
}

/// The program that prints ffi/layout.ts, for the machine that builds.
fn layoutProgram(b: *std.Build) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = "fringe-layout",
        .root_module = b.createModule(.{
            .root_source_file = b.path("layout_program.zig"),
            .target = b.graph.host,
        }),
    });
}

/// The tests take libc and the unwinder from Zig (with musl they are linked in), so that they run,
/// also those for the other architecture, on a machine that has neither.
fn testProgram(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
    valgrind: bool,
    filters: []const []const u8,
) *std.Build.Step.Compile {
    const is_elf = target.result.ofmt == .elf;
    var query = target.query;
    if (is_elf) query.abi = .musl;
    const root = module(b, "tests.zig", b.resolveTargetQuery(query), optimize);
    root.unwind_tables = .async;
    root.omit_frame_pointer = false;
    root.valgrind = valgrind and is_elf;
    root.link_libc = true;
    // Mach-O's libc has one.
    if (is_elf) root.linkSystemLibrary("unwind", .{});
    root.addCSourceFile(.{ .file = b.path("test/unwind_test.c"), .flags = &.{"-fexceptions"} });
    root.link_libcpp = true;
    root.addIncludePath(b.path("include"));
    root.addCSourceFile(.{
        .file = b.path("test/exception_test.cc"),
        .flags = &.{ "-Wall", "-Wextra", "-Werror" },
    });
    return b.addTest(.{
        .root_module = root,
        .filters = filters,
        .use_llvm = true,
        .use_lld = is_elf,
    });
}

/// Runs the tests; those for aarch64 under an emulator where the machine is another.
fn runTests(
    b: *std.Build,
    tests: *std.Build.Step.Compile,
    arch: std.Target.Cpu.Arch,
) *std.Build.Step.Run {
    if (arch != .aarch64 or b.graph.host.result.cpu.arch == arch) return b.addRunArtifact(tests);
    const run = std.Build.Step.Run.create(b, "run test");
    run.addArg("qemu-aarch64-static");
    run.addArtifactArg(tests);
    run.enableTestRunnerMode();
    return run;
}

/// What debuggers are shown: as fast as a release, with debug information.
fn backtraceProgram(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step.Compile {
    const root = module(b, "backtrace_program.zig", target, .fast);
    root.strip = false;
    root.valgrind = true;
    root.unwind_tables = .async;
    root.omit_frame_pointer = false;
    root.link_libc = true;
    return b.addExecutable(.{
        .name = "fringe-backtrace",
        .root_module = root,
        .use_llvm = true,
        .use_lld = true,
    });
}

/// What docs/how.md shows in a debugger, as a user would build it.
fn crashProgram(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    fringe: *std.Build.Module,
) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = "crash",
        .root_module = b.createModule(.{
            .root_source_file = b.path("../examples/crash.zig"),
            .target = target,
            .optimize = .debug,
            .imports = &.{.{ .name = "fringe", .module = fringe }},
        }),
        .use_llvm = true,
    });
}

const SanitizedTests = struct { object: *std.Build.Step.Compile, run: *std.Build.Step.Run };

/// The same tests where AddressSanitizer watches their parts in C and C++. Zig has none, so gcc
/// compiles those, and links.
fn sanitizedTests(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
    filters: []const []const u8,
) SanitizedTests {
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
    addSwitch(b, root, &.{"-DFRINGE_SANITIZE_ADDRESS"});
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
    for ([_][]const u8{ "fringe", "fringe_x86_64", "fringe_x86_common" }) |header| {
        link.addFileInput(b.path(b.fmt("include/{s}.h", .{header})));
    }
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
    return .{ .object = object, .run = run };
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
        // FreeBSD is called by its libc; Linux needs none.
        .link_libc = if (target.result.os.tag == .freebsd) true else null,
    });
    addSwitch(b, result, &.{});
    return result;
}

/// Where the file is missing, arch.zig says so: one error is enough.
fn addSwitch(b: *std.Build, to: *std.Build.Module, flags: []const []const u8) void {
    const target = to.resolved_target.?.result;
    const file = switchFile(b, @tagName(target.cpu.arch));
    if (!exists(b, file)) return;
    // Without a system there is no thread pointer, so no variable can be one of each thread.
    const threads: []const []const u8 =
        if (target.os.tag == .freestanding) &.{"-DFRINGE_NO_THREADS"} else &.{};
    const all = std.mem.concat(b.graph.arena, []const u8, &.{ flags, threads }) catch @panic("OOM");
    to.addCSourceFile(.{ .file = b.path(file), .flags = all });
}

/// A library that anything may load: stripped of all but what an unwinder or a sampler needs.
fn sharedLibrary(b: *std.Build, name: []const u8, root: *std.Build.Module) *std.Build.Step.Compile {
    root.strip = true;
    root.unwind_tables = .async;
    root.omit_frame_pointer = false;
    root.pic = true;
    const is_macho = root.resolved_target.?.result.ofmt == .macho;
    const library = b.addLibrary(.{
        .name = name,
        .linkage = .dynamic,
        .root_module = root,
        .use_llvm = true,
        // Zig links Mach-O by itself.
        .use_lld = !is_macho,
    });
    if (is_macho) sign(library);
    library.link_gc_sections = true;
    return library;
}

/// Has Zig sign a library, ad hoc: by digests of its pages, and nobody's name. It does so by itself
/// for processors that insist on it, and for others where there are entitlements. These are none.
fn sign(library: *std.Build.Step.Compile) void {
    const none = library.step.owner.addWriteFiles().add("entitlements.plist",
        \\<?xml version="1.0" encoding="UTF-8"?>
        \\<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"
        \\  "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        \\<plist version="1.0"><dict/></plist>
        \\
    );
    library.entitlements = none;
    none.addStepDependencies(&library.step);
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

/// Bodies for the tests in TypeScript.
fn testBodies(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step.Compile {
    // These two make system calls by themselves.
    const of_linux: []const []const u8 = if (target.result.os.tag == .linux)
        &.{ "../tests/bodies/faults.c", "../tests/bodies/signals.c" }
    else
        &.{};
    const files = std.mem.concat(b.graph.arena, []const u8, &.{
        &.{"../tests/bodies/control.c"},
        of_linux,
        &.{
            "../tests/bodies/test_bodies.c",
            "../tests/bodies/test_bodies.cc",
            "../tests/bodies/model.cc",
        },
    }) catch @panic("OOM");
    const result = bodies(b, "test_bodies", target, "../tests/bodies/test_bodies.zig", files);
    // For fringe_suspend as a plain function.
    addSwitch(b, result.root_module, &.{});
    return result;
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
