// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Exceptions that leave a body: those of C++, Rust's panics, any that an unwinder carries.
//!
//! A resumer that has unwind tables gets them as they are: the frames of the body and those of its
//! resumer are one call stack, so the search for a handler goes on there by itself, and all that is
//! to be done on the way is to finish the context. For a resumer that has none, such as JavaScript,
//! the search ends in the trampoline. Then a report says what the exception was, and it is deleted.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const loader = @import("loader.zig");
const Language = layout.Language;
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const os = @import("../os/os.zig").os;
const Report = layout.Report;
const sanitizer = @import("../watch/sanitizer.zig");
const spare_stack = @import("../stack/spare_stack.zig");
const Status = layout.Status;
const unwinder = @import("unwinder.zig");
const Exception = unwinder.Exception;

comptime {
    // Weak in `switch_<arch>.S`: a library of bodies has no need of them.
    @export(&personality, .{ .name = "fringe_personality", .visibility = .hidden });
    @export(&caught, .{ .name = "fringe_caught", .visibility = .hidden });
}

/// Maps a report. It cannot lie on the stack, which is about to be used again, and nothing here may
/// allocate by other means.
fn makeReport() ?*Report {
    const page = os.map(@sizeOf(Report), .data) catch return null;
    return @ptrCast(@alignCast(page));
}

/// Unmaps a report, once the resumer has read it.
fn freeReport(report: *Report) void {
    if (report.message != 0) {
        const start: usize = @intCast(report.message);
        const message: [*]align(os.page_size) u8 = @ptrFromInt(start);
        os.unmap(message[0..messageSize(@intCast(report.message_length))]) catch {};
    }
    const page: *align(os.page_size) [@sizeOf(Report)]u8 = @ptrCast(@alignCast(report));
    os.unmap(page) catch {};
}

/// Writes down what an exception says, in pages of its own.
fn writeMessage(report: *Report, text: []const u8) void {
    const copy = os.map(messageSize(text.len), .data) catch return;
    @memcpy(copy[0..text.len], text);
    report.message = @intFromPtr(copy.ptr);
    report.message_length = text.len;
}

fn messageSize(length: usize) usize {
    return @max(length, 1);
}

/// C++'s exception state of a thread: `__cxa_eh_globals`.
const State = extern struct { caught: ?*anyopaque, uncaught: c_uint };

/// An exception, or what else unwinds, has come to the trampoline. Itanium C++ ABI: Exception
/// Handling, section 2.5.2.
fn personality(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *Exception,
    frame: *unwinder.Frame,
) callconv(.c) c_int {
    _ = .{ version, class };
    // Another unwinder has frames of another kind. Nothing is caught then, nor finished.
    const caller = @returnAddress();
    if (!isOurUnwinder(caller)) return unwinder.continue_unwind;
    const context: *Context = @ptrFromInt(unwinder.getGR.?(frame, arch.frame_pointer));
    if (actions & unwinder.search_phase != 0) {
        if (context.catches == 0) return unwinder.continue_unwind;
        // Before any frame is gone.
        if (context.report == null) {
            if (makeReport()) |report| {
                report.count = backtrace.ofRunning(context, &report.addresses, caller);
                context.report = report;
            }
        }
        return unwinder.handler_found;
    }
    if (actions & unwinder.handler_frame != 0) {
        unwinder.setGR.?(frame, arch.result, @intFromPtr(exception));
        unwinder.setIP.?(frame, @intFromPtr(&context_module.fringe_trampoline_caught));
        return unwinder.install_context;
    }
    leave(context, if (actions & unwinder.force_unwind != 0) .unwound else .thrown);
    return unwinder.continue_unwind;
}

fn isOurUnwinder(caller: usize) bool {
    const accessor = unwinder.getGR orelse return false;
    if (unwinder.setGR == null or unwinder.setIP == null) return false;
    const ours = loader.symbolAt(@intFromPtr(accessor)).file_base;
    return loader.symbolAt(caller).file_base == ours;
}

/// The body has been left for its resumer, by something that goes on there: an exception, or the
/// end of a body which the resumer is part of.
fn leave(context: *Context, status: Status) void {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    box.status = status;
    context_module.fringe_leave_current(context);
    sanitizer.leaveByException(context);
    const exceptions = context.exceptions;
    context.exceptions = .finished;
    if (exceptions == .none) return;
    // What is in flight is the resumer's from now on; what that handles, it still handles.
    const globals: *const fn () callconv(.c) *State = @ptrFromInt(@backingInt(exceptions));
    const state = globals();
    state.caught = context.caught;
    state.uncaught += @truncate(context.uncaught);
}

/// Called by the trampoline in place of the body, when an exception has been caught: tells the
/// resumer, waits until it has read the report, and finishes.
fn caught(context: *Context, exception: *Exception) callconv(.c) noreturn {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    const report: ?*Report = @ptrCast(@alignCast(context.report));
    if (report) |known| describe(known, exception);
    const language = languageOf(exception);
    const runtime = @intFromPtr(exception.cleanup);
    // Now, while a destructor of it may suspend, as others may. Rust ends the process if anybody
    // else deletes a panic, so that one stays.
    if (language != .rust) {
        if (exception.cleanup) |cleanup| cleanup(unwinder.foreign_exception_caught, exception);
    }
    if (language == .cpp and context.exceptions == .none) land(runtime);
    box.status = .throwing;
    box.output.store(@intFromPtr(report));
    _ = context_module.fringe_suspend(context, 0);
    if (report) |known| freeReport(known);
    context_module.fringe_finish(context, .thrown);
}

/// The body is not known to use C++, so its state, with one still in flight, is the thread's.
fn land(runtime: usize) void {
    const found = loader.find(runtime, "__cxa_get_globals") orelse return;
    const globals: *const fn () callconv(.c) *State = @ptrCast(@alignCast(found));
    globals().uncaught -|= 1;
}

fn languageOf(exception: *const Exception) Language {
    // Languages write their names into the class; C++ keeps the last byte for itself.
    return switch (exception.class & ~@as(u64, 0xff)) {
        gnu, llvm => .cpp,
        rust & ~@as(u64, 0xff) => if (exception.class == rust) .rust else .unknown,
        else => .unknown,
    };
}

const gnu = 0x474e5543_432b2b00; // "GNUCC++\0"
const llvm = 0x434c4e47_432b2b00; // "CLNGC++\0"
const rust = std.mem.readInt(u64, "MOZ\x00RUST", .little);

fn describe(report: *Report, exception: *Exception) void {
    report.language = languageOf(exception);
    if (!arch.knows_exceptions) return;
    switch (report.language) {
        .cpp => describeCpp(report, exception),
        .rust => describeRust(report, exception),
        .unknown => {},
    }
}

/// Itanium C++ ABI: Exception Handling, section 2.2.1: `__cxa_exception` lies before the
/// `_Unwind_Exception`, which it ends with, and the object that was thrown behind it. Where
/// `std::rethrow_exception` has thrown it, it has a header of its own, `__cxa_dependent_exception`,
/// that points at the object; the two runtimes have put that pointer into different places.
const header_size = 80;

fn describeCpp(report: *Report, exception: *Exception) void {
    const start = @intFromPtr(exception);
    const is_dependent = exception.class & 0xff == 1;
    const is_gnu = exception.class & ~@as(u64, 0xff) == gnu;
    var object = start + @sizeOf([4]usize);
    if (is_dependent) object = load(start - header_size - @as(usize, if (is_gnu) 0 else 8));
    const type_info = load(if (is_dependent and is_gnu)
        object - @sizeOf([4]usize) - header_size
    else
        start - header_size);

    // Section 2.9.1 of the C++ ABI: a std::type_info is a virtual table and a name. gcc puts a star
    // before names that are to be compared by address.
    var name: [*:0]const u8 = @ptrFromInt(load(type_info + 8));
    if (name[0] == '*') name += 1;
    const runtime = @intFromPtr(exception.cleanup);
    report.type = @intFromPtr(name);
    const naming: Naming = .{ .report = report, .runtime = runtime, .name = name };
    if (free != null) spare_stack.run(&naming, Naming.demangle);

    if (std.mem.orderZ(u8, name, "PKc") == .eq or std.mem.orderZ(u8, name, "Pc") == .eq) {
        say(report, @ptrFromInt(load(object)));
    } else if (asException(runtime, type_info, object)) |std_exception| {
        // The virtual functions of a std::exception are two destructors and what().
        const What = *const fn (self: usize) callconv(.c) ?[*:0]const u8;
        const what: What = @ptrFromInt(load(load(std_exception) + 2 * 8));
        say(report, what(std_exception));
    }
}

fn say(report: *Report, message: ?[*:0]const u8) void {
    writeMessage(report, std.mem.span(message orelse return));
}

/// The process's own, which the runtime uses, too; libc's would be another where a program brings
/// an allocator.
var free = @extern(
    ?*const fn (memory: *anyopaque) callconv(.c) void,
    .{ .name = "free", .linkage = .weak },
);

/// The name of a type as it stands in a source, if the runtime can tell. It needs much stack for a
/// long name (some 70 bytes for each letter), and puts it beyond a guard page at once.
const Naming = struct {
    report: *Report,
    runtime: usize,
    name: [*:0]const u8,

    const Demangle = fn ([*:0]const u8, ?[*]u8, ?*usize, *c_int) callconv(.c) ?[*:0]u8;

    fn demangle(self: *const Naming) void {
        const found = loader.find(self.runtime, "__cxa_demangle") orelse return;
        const function: *const Demangle = @ptrCast(@alignCast(found));
        var status: c_int = 0;
        const made = function(self.name, null, null, &status) orelse return;
        defer free.?(made);
        const text = std.mem.span(made);
        const report = self.report;
        const length = @min(text.len, report.text.len - 1);
        @memcpy(report.text[0..length], text[0..length]);
        report.text[length] = 0;
        report.type = @intFromPtr(&report.text);
    }
};

/// The std::exception that an object is, or has as a base. Asks the std::type_info of that class
/// what a `catch (const std::exception &)` asks it: whether it catches that type. The function has
/// the fifth place among its virtual ones in both runtimes.
fn asException(runtime: usize, type_info: usize, object: usize) ?usize {
    const Catches = *const fn (
        self: usize,
        thrown: usize,
        object: *usize,
        outer: c_uint,
    ) callconv(.c) bool;
    const std_exception = @intFromPtr(loader.find(runtime, "_ZTISt9exception") orelse return null);
    const catches: Catches = @ptrFromInt(load(load(std_exception) + 4 * 8));
    var base = object;
    return if (catches(std_exception, type_info, &base, 1)) base else null;
}

/// A panic carries a `Box<dyn Any + Send>` behind its `_Unwind_Exception` and one more word: a
/// pointer to what it has been called with, and one to a table {drop, size, alignment, ...}. Only
/// Rust knows the type; but panic!() makes either a `&'static str` or a `String`, and these can be
/// told. Nobody promises that, hence each step is tried without trusting it.
fn describeRust(report: *Report, exception: *Exception) void {
    report.type = @intFromPtr(@as([*:0]const u8, "panic"));
    var payload: [2]usize = undefined;
    var table: [3]usize = undefined;
    var words: [3]usize = undefined;
    if (!tryRead(@intFromPtr(exception) + 5 * 8, &payload)) return;
    if (!tryRead(payload[1], &table)) return;
    const size = table[1];
    if (size != 16 and size != 24 or !tryRead(payload[0], words[0 .. size / 8])) return;
    // A string's length comes last, in a String behind pointer and capacity, in either order.
    const length = words[size / 8 - 1];
    for (words[0 .. size / 8 - 1]) |address| {
        if (sayBytes(report, address, length)) return;
    }
}

fn sayBytes(report: *Report, address: usize, length: usize) bool {
    if (length > 1 << 20) return false;
    // A capacity is no address.
    var chunk: [512]u8 = undefined;
    var at: usize = 0;
    while (at < length) : (at += chunk.len) {
        if (!os.tryRead(address + at, chunk[0..@min(chunk.len, length - at)])) return false;
    }
    // Rust's pointer to nothing is no address either.
    const start = if (length > 0) address else @intFromPtr(&chunk);
    const bytes = @as([*]const u8, @ptrFromInt(start))[0..length];
    if (!std.unicode.utf8ValidateSlice(bytes)) return false;
    writeMessage(report, bytes);
    return true;
}

fn tryRead(address: usize, words: []usize) bool {
    return os.tryRead(address, std.mem.sliceAsBytes(words));
}

fn load(address: usize) usize {
    return @as(*const usize, @ptrFromInt(address)).*;
}
