// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Exceptions that leave a body: those of C++, Rust's panics, any that an unwinder carries.
//!
//! A resumer that has unwind tables gets them as they are: the frames of the body and those of its
//! resumer are one call stack, so the search for a handler goes on there by itself, and all that is
//! to be done on the way is to finish the context. For a resumer that has none, such as JavaScript,
//! the search ends in the trampoline. Then a report says what the exception was, and it is deleted:
//!
//!     throw     the unwinder searches, and asks `personality` last, which says: here is a handler
//!               the frames of the body are noted in a report, since they are still there
//!               the unwinder leaves the frames, runs their cleanups, goes on in the trampoline
//!               `caught` describes the exception, deletes it, and suspends: `throwing`
//!     resumer   reads the report, and resumes the body once more
//!               `caught` unmaps the report, and finishes: `thrown`
//!
//! What ends a thread comes by in the same way: `pthread_exit`, and `pthread_cancel` where C
//! notices it. glibc unwinds all frames of the thread by force, and then ends it. But the thread is
//! JavaScript's, which has no tables: the unwinding would stop there, and leave a process without
//! its main thread. So it ends in the trampoline, and the body with it.

const std = @import("std");
const builtin = @import("builtin");
const arch = @import("../arch/arch.zig").arch;
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const loader = @import("loader.zig");
const Language = layout.Language;
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const os = @import("../os/os.zig").os;
const memory = @import("memory_probe.zig");
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

/// How many bytes of a message are kept: more than anybody reads, and few enough to be copied while
/// a program waits.
const message_max = 1 << 20;

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

/// Copies what an exception says, `length` bytes at `address`, into pages that belong to the
/// report. Returns false, and copies nothing, if not all of them can be read, or if they are to be
/// UTF-8 and are not.
fn say(report: *Report, address: usize, length: usize, encoding: enum { any, utf8 }) bool {
    const copy = os.map(messageSize(length), .data) catch return false;
    const bytes = copy[0..length];
    const is_good = memory.read(address, bytes) and
        (encoding == .any or std.unicode.utf8ValidateSlice(bytes));
    if (!is_good) {
        os.unmap(copy) catch {};
        return false;
    }
    report.message = @intFromPtr(copy.ptr);
    report.message_length = if (length == message_max) endCut(bytes) else length;
    return true;
}

/// The same for a C string.
fn sayString(report: *Report, address: usize) void {
    const length = memory.stringLength(address, message_max) orelse return;
    _ = say(report, address, length, .any);
}

fn messageSize(length: usize) usize {
    return @max(length, 1);
}

/// Copies the name of the type into a report, as much of it as there is room for.
fn setType(report: *Report, type_name: []const u8) void {
    const length = @min(type_name.len, report.text.len);
    @memcpy(report.text[0..length], type_name[0..length]);
    setTypeLength(report, length);
}

/// The name of the type is `text`, up to `length`; if that is all of it, there is more.
fn setTypeLength(report: *Report, length: usize) void {
    const room = report.text[0 .. report.text.len - 1];
    const end = if (length > room.len) endCut(room) else length;
    report.text[end] = 0;
    report.type = @intFromPtr(&report.text);
}

/// Ends text that has been cut off with an ellipsis, behind a whole character; returns how long the
/// text is then.
fn endCut(text: []u8) usize {
    const ellipsis = "…";
    var end = text.len - ellipsis.len;
    // A character of UTF-8 has at most three bytes behind its first.
    for (0..3) |_| end -= @intFromBool(text[end] & 0xc0 == 0x80);
    @memcpy(text[end..][0..ellipsis.len], ellipsis);
    return end + ellipsis.len;
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
    const is_forced = actions & unwinder.force_unwind != 0;
    // Fringe's own unwinding of a body ends before its trampoline: somebody else ends the thread.
    if (is_forced and context.catches != 0) {
        if (context.report == null) context.report = makeReport();
        unwinder.setGR.?(frame, arch.result, 0);
        unwinder.setIP.?(frame, @intFromPtr(&context_module.fringe_trampoline_caught));
        return unwinder.install_context;
    }
    leave(context, if (is_forced) .unwound else .thrown);
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
    // The words of a resumer that has called fringe_resume, or the like, are in `control`. One in
    // Zig, whose switch is inlined, shares those of the body, until it exchanges them as well.
    if (context.exchanges.control or isCalled(context.link)) {
        context_module.fringe_exchange_control(context);
    }
    const exceptions = context.exceptions;
    context.close();
    if (exceptions == .none) return;
    // What is in flight is the resumer's from now on; what that handles, it still handles.
    const globals: *const fn () callconv(.c) *State = @ptrFromInt(@backingInt(exceptions));
    const state = globals();
    state.caught = context.caught;
    state.uncaught += @truncate(context.uncaught);
}

/// Whether the resumer waits in one of the functions that compare control words; in
/// `switch_<arch>.S` these stand between fringe_resume and fringe_suspend.
fn isCalled(resumer: *const context_module.Record) bool {
    const first = @intFromPtr(&context_module.fringe_resume);
    const end = @intFromPtr(&context_module.fringe_suspend);
    return first <= resumer.resume_address and resumer.resume_address < end;
}

/// The type that a report has of what ends a thread.
pub const thread_exit = "thread exit";

/// Called by the trampoline in place of the body, when an exception has been caught; null stands
/// for what ends a thread. Tells the resumer, waits until it has read the report, and finishes.
fn caught(context: *Context, exception: ?*Exception) callconv(.c) noreturn {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    const report: ?*Report = @ptrCast(@alignCast(context.report));
    if (exception) |thrown| {
        describeAndDelete(context, report, thrown);
    } else if (report) |known| {
        setType(known, thread_exit);
        const text = "C has ended its thread (pthread_exit, or pthread_cancel): its frames have" ++
            " been unwound, and the thread, which is not its own, goes on";
        _ = say(known, @intFromPtr(text.ptr), text.len, .any);
    }
    box.status = .throwing;
    box.output.store(@intFromPtr(report));
    _ = context_module.fringe_suspend(context, 0);
    if (report) |known| freeReport(known);
    context_module.fringe_finish(context, .thrown);
}

fn describeAndDelete(context: *Context, report: ?*Report, exception: *Exception) void {
    var first = exception;
    if (report) |known| {
        if (known.exception == 0) {
            known.exception = @intFromPtr(exception);
            describe(known, exception);
        } else {
            // Thrown by what() of the first one, which is the one to tell of, without a message.
            first = @ptrFromInt(@as(usize, @intCast(known.exception)));
            delete(context, exception);
        }
    }
    delete(context, first);
}

/// Deletes an exception that nobody handles any more. That is done while the context can still be
/// suspended, since a destructor may do so.
fn delete(context: *Context, exception: *Exception) void {
    const language = languageOf(exception);
    const runtime = @intFromPtr(exception.cleanup);
    // Rust ends the process if anybody else deletes a panic, so that one stays. So does an
    // exception of C++ whose destructor was in a library that is gone.
    if (language != .rust and hasDestructor(exception)) {
        if (exception.cleanup) |cleanup| cleanup(unwinder.foreign_exception_caught, exception);
    }
    if (language == .cpp and context.exceptions == .none) land(runtime);
}

/// Counts one exception less in flight. The body was not known to use C++, so no switch has
/// exchanged the state: it is the thread's, and that exception still counts there. `runtime` is an
/// address in the C++ runtime.
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

/// Where the parts of an exception of C++ lie.
///
/// Itanium C++ ABI: Exception Handling, section 2.2.1: `__cxa_exception` lies before the
/// `_Unwind_Exception`, which it ends with, and the object that was thrown behind it. It begins
/// with a pointer to the std::type_info and one to the object's destructor. Where
/// `std::rethrow_exception` has thrown it, it has a header of its own, `__cxa_dependent_exception`,
/// that points at the object; the two runtimes have put that pointer into different places.
const Thrown = struct {
    header: usize,
    object: usize,

    /// How many bytes of a `__cxa_exception` lie before its `_Unwind_Exception`.
    const header_size = 80;
    /// The size of an `_Unwind_Exception`, as the runtimes have it.
    const unwind_size = @sizeOf([4]usize);

    /// Null where the exception is not one of C++, or a pointer in it leads nowhere.
    fn by(exception: *const Exception) ?Thrown {
        if (!arch.knows_exceptions or languageOf(exception) != .cpp) return null;
        const start = @intFromPtr(exception);
        const is_rethrown = exception.class & 0xff == 1;
        if (!is_rethrown) {
            return .{ .header = start - header_size, .object = start + unwind_size };
        }
        const is_gnu = exception.class & ~@as(u64, 0xff) == gnu;
        const pointer = start - header_size - @as(usize, if (is_gnu) 0 else 8);
        const object = memory.word(pointer) orelse return null;
        const header = if (is_gnu) object -% unwind_size -% header_size else start - header_size;
        return .{ .header = header, .object = object };
    }
};

fn hasDestructor(exception: *const Exception) bool {
    const thrown = Thrown.by(exception) orelse return true;
    const destructor = memory.word(thrown.header +% @sizeOf(usize)) orelse return true;
    return destructor == 0 or memory.isThere(destructor);
}

/// What is pointed at need not be there: a program may throw any pointer, and a library that is
/// gone has taken its types along. So all is read by way of memory_probe.zig.
fn describeCpp(report: *Report, exception: *Exception) void {
    const thrown = Thrown.by(exception) orelse return;
    const type_info = memory.word(thrown.header) orelse return;
    // Section 2.9.1 of the C++ ABI: a std::type_info is a virtual table and a name. gcc puts a star
    // before names that are to be compared by address.
    var name = memory.word(type_info +% 8) orelse return;
    // Apple's compiler marks names that other libraries may have, too, by their highest bit.
    if (builtin.object_format == .macho) name &= std.math.maxInt(isize);
    var first: [1]u8 = undefined;
    if (memory.read(name, &first) and first[0] == '*') name += 1;
    const runtime = @intFromPtr(exception.cleanup);
    const naming: Naming = .{ .report = report, .runtime = runtime, .name = name };
    naming.copy();
    const known = std.mem.span(@as([*:0]const u8, @ptrCast(&report.text)));
    const is_string = std.mem.eql(u8, known, "PKc") or std.mem.eql(u8, known, "Pc");
    // To compare types, the runtime reads their names.
    if (known.len == 0) return;
    if (free != null) _ = spare_stack.run(&naming, Naming.demangle);

    if (is_string) {
        sayString(report, memory.word(thrown.object) orelse return);
    } else if (asException(runtime, type_info, thrown.object)) |std_exception| {
        // The virtual functions of a std::exception are two destructors and what().
        const what = virtualFunction(std_exception, 2) orelse return;
        const What = *const fn (self: usize) callconv(.c) usize;
        sayString(report, @as(What, @ptrFromInt(what))(std_exception));
    }
}

/// A virtual function of an object, if it is where the object says.
fn virtualFunction(object: usize, index: usize) ?usize {
    const table = memory.word(object) orelse return null;
    const function = memory.word(table +% index * @sizeOf(usize)) orelse return null;
    return if (memory.isThere(function)) function else null;
}

/// The process's own, which the runtime uses, too; libc's would be another where a program brings
/// an allocator.
var free = @extern(
    ?*const fn (memory: *anyopaque) callconv(.c) void,
    .{ .name = "free", .linkage = .weak },
);

/// The name of a type.
const Naming = struct {
    report: *Report,
    runtime: usize,
    name: usize,

    /// As the compiler has written it.
    fn copy(self: *const Naming) void {
        const text = &self.report.text;
        const length = memory.stringLength(self.name, text.len) orelse return;
        if (length == 0 or !memory.read(self.name, text[0..length])) return;
        setTypeLength(self.report, length);
    }

    const Demangle = fn ([*:0]const u8, ?[*]u8, ?*usize, *c_int) callconv(.c) ?[*:0]u8;

    /// As it stands in a source, if the runtime can tell. For a long name `__cxa_demangle` takes
    /// much stack, some 70 bytes for each letter, and it may take them in one step that passes over
    /// a guard page. So this runs on a spare stack.
    fn demangle(self: *const Naming) void {
        const found = loader.find(self.runtime, "__cxa_demangle") orelse return;
        const function: *const Demangle = @ptrCast(@alignCast(found));
        // For so many letters a spare stack, of 1 MiB, has room. A longer name stays as it is.
        var name: [8 * 1024:0]u8 = undefined;
        const length = memory.stringLength(self.name, name.len) orelse return;
        if (length == name.len or !memory.read(self.name, name[0..length])) return;
        name[length] = 0;
        var status: c_int = 0;
        const made = function(&name, null, null, &status) orelse return;
        defer free.?(made);
        setType(self.report, std.mem.span(made));
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
    // That function in turn calls one of the thrown type's std::type_info.
    _ = virtualFunction(type_info, 4) orelse return null;
    const catches: Catches = @ptrFromInt(virtualFunction(std_exception, 4) orelse return null);
    var base = object;
    return if (catches(std_exception, type_info, &base, 1)) base else null;
}

/// A panic carries a `Box<dyn Any + Send>` behind its `_Unwind_Exception` and one more word: a
/// pointer to what it has been called with, and one to a table {drop, size, alignment, ...}. Only
/// Rust knows the type; but panic!() makes either a `&'static str` or a `String`, and these can be
/// told. Nobody promises that, hence each step is tried without trusting it.
fn describeRust(report: *Report, exception: *Exception) void {
    setType(report, "panic");
    var payload: [2]usize = undefined;
    var table: [3]usize = undefined;
    var words: [3]usize = undefined;
    if (!memory.words(@intFromPtr(exception) + 5 * 8, &payload)) return;
    if (!memory.words(payload[1], &table)) return;
    const size = table[1];
    if (size != 16 and size != 24 or !memory.words(payload[0], words[0 .. size / 8])) return;
    // A string's length comes last, in a String behind pointer and capacity, in either order. A
    // capacity is no address.
    const length = words[size / 8 - 1];
    if (length > message_max) return;
    for (words[0 .. size / 8 - 1]) |address| {
        if (say(report, address, length, .utf8)) return;
    }
}
