// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// C++ that throws, for exception_test.ts, which compiles it with the C++ compiler of the machine:
// its runtime is the one that users' libraries have.

#include "fringe.h"

#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

namespace test {

int32_t objects = 0;

struct Object {
    Object() { objects++; }
    Object(const Object &) { objects++; }
    ~Object() { objects--; }
};

struct Other {
    virtual ~Other() = default;
    int64_t word = 1;
};

// The std::exception in it is not where the object begins.
template <typename T> struct Error : Other, std::runtime_error {
    Object object;
    T value;
    Error(T value) : std::runtime_error("the value is " + std::to_string(value)), value(value) {}
};

struct Plain {
    Object object;
};

} // namespace test

using namespace test;
using Yielder = fringe::Yielder<int32_t, int32_t>;
using Callback = int32_t(int32_t);

// Objects and exceptions that are alive, and the same for the last time; whether an exception is
// being handled, or in flight.
FRINGE_EXPORT int32_t alive() { return objects; }
FRINGE_EXPORT int32_t forget() { return std::exchange(objects, 0); }
FRINGE_EXPORT int32_t handled() { return std::current_exception() != nullptr; }
FRINGE_EXPORT int32_t in_flight() { return std::uncaught_exceptions(); }

__attribute__((noinline)) static int32_t descend(Yielder *yielder, int32_t value, int32_t depth)
{
    Object object;
    if (depth > 0) return descend(yielder, value, depth - 1) + 1;
    value = yielder->suspend(value);
    throw Error<int>(value);
}

// Suspends, and throws the next input from a depth of 3.
FRINGE_EXPORT void throws(Yielder *yielder, int32_t value)
{
    descend(yielder, value, 3);
    // So that the call is no jump.
    yielder->suspend(0);
}

FRINGE_EXPORT void throws_at_once(Yielder *, int32_t value) { throw Error<int>(value); }
FRINGE_EXPORT void throws_int(Yielder *, int32_t value) { throw value; }
FRINGE_EXPORT void throws_string(Yielder *, int32_t) { throw "a string"; }
FRINGE_EXPORT void throws_plain(Yielder *, int32_t) { throw Plain(); }

FRINGE_EXPORT void rethrows(Yielder *, int32_t value)
{
    std::exception_ptr pointer;
    try {
        throw Error<int>(value);
    } catch (...) {
        pointer = std::current_exception();
    }
    std::rethrow_exception(pointer);
}

static int compare(const void *, const void *) { throw Error<int>(5); }

// Through frames of C: the qsort of libc.
FRINGE_EXPORT void throws_in_qsort(Yielder *, int32_t)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof(int), compare);
}

// Suspends in a handler, with whether that handles what it should; the input must come back to it.
FRINGE_EXPORT void suspends_in_catch(Yielder *yielder, int32_t number)
{
    try {
        throw Error<int>(number);
    } catch (Error<int> &error) {
        yielder->suspend(std::uncaught_exceptions() == 0 && error.value == number);
        try {
            throw;
        } catch (Error<int> &again) {
            yielder->suspend(&again == &error && again.value == number);
        }
    }
    yielder->suspend(std::current_exception() == nullptr);
}

struct Suspending {
    Yielder *yielder;
    ~Suspending() { yielder->suspend(100 + std::uncaught_exceptions()); }
};

// Suspends in a destructor while an exception is on its way out of the body.
FRINGE_EXPORT void suspends_in_flight(Yielder *yielder, int32_t value)
{
    Suspending suspending{yielder};
    throw Error<int>(value);
}

// Calls back there.
FRINGE_EXPORT int32_t calls_in_flight(Callback *callback)
{
    struct Calling {
        Callback *callback;
        ~Calling() { callback(std::uncaught_exceptions()); }
    } calling{callback};
    throw Error<int>(1);
}

// The exception itself has a destructor that suspends, or calls the callback.
FRINGE_EXPORT void throws_suspending(Yielder *yielder, int32_t) { throw Suspending{yielder}; }

FRINGE_EXPORT int32_t throws_calling(Callback *callback)
{
    struct Calling : Error<int> {
        Callback *callback;
        Calling(Callback *callback) : Error(2), callback(callback) {}
        ~Calling() override { callback(1); }
    };
    throw Calling(callback);
}

// A type whose name has some 900 letters: Numbers<0ul, 1ul, ...>.
template <size_t... numbers> struct Numbers {};
template <size_t... numbers> static void throw_numbers(std::index_sequence<numbers...>)
{
    throw Numbers<numbers...>();
}
FRINGE_EXPORT void throws_long(Yielder *, int32_t)
{
    throw_numbers(std::make_index_sequence<170>());
}

// For C, which knows nothing of C++: compares by throwing.
FRINGE_EXPORT int32_t throws_compare(const void *, const void *) { throw Error<int>(6); }

// Swallows what ends it, so many times, and suspends once more.
FRINGE_EXPORT void swallows(Yielder *yielder, int32_t times)
{
    Object object;
    for (int32_t i = 0; i < times; i++) {
        try {
            Object inside;
            yielder->suspend(i);
        } catch (...) {
        }
    }
    yielder->suspend(-1);
}

// Writes where it is told to, and throws.
FRINGE_EXPORT void pokes_and_throws(fringe::Yielder<char *, int32_t> *, char *place)
{
    *place ^= 1;
    throw Error<int>(2);
}

// Catches whatever ends it, and throws something else.
FRINGE_EXPORT void throws_when_ended(Yielder *yielder, int32_t value)
{
    try {
        yielder->suspend(value);
    } catch (...) {
        throw Error<int>(value);
    }
}

// Throws what the callback answers, unless that is 0.
FRINGE_EXPORT int32_t throws_answer(Callback *callback)
{
    Object object;
    const int32_t answer = callback(1);
    if (answer != 0) throw Error<int>(answer);
    return answer;
}

// The same, when it is ended in the callback.
FRINGE_EXPORT int32_t throws_when_call_ends(Callback *callback)
{
    try {
        return callback(1);
    } catch (...) {
        throw Error<int>(9);
    }
}

// The callback is called in a handler.
FRINGE_EXPORT int32_t calls_in_catch(Callback *callback, int32_t number)
{
    try {
        throw Error<int>(number);
    } catch (Error<int> &error) {
        const int32_t answer = callback(error.value);
        try {
            throw;
        } catch (Error<int> &again) {
            return &again == &error && again.value == number ? answer : -1;
        }
    }
}

// Exceptions that lie. The pointer is what each says of itself.

[[noreturn]] static void throw_as(std::type_info *type)
{
    abi::__cxa_throw(abi::__cxa_allocate_exception(8), type, nullptr);
}

using PointerYielder = fringe::Yielder<const char *, int32_t>;

struct Lie : std::exception {
    Object object;
    const char *text;
    explicit Lie(const char *text) : text(text) {}
    const char *what() const noexcept override { return text; }
};

FRINGE_EXPORT void throws_pointer(PointerYielder *, const char *text) { throw text; }
FRINGE_EXPORT void throws_lie(PointerYielder *, const char *text) { throw Lie(text); }
FRINGE_EXPORT int32_t call_throws_lie(const char *text) { throw Lie(text); }

// The string that what() gives is freed before.
FRINGE_EXPORT void throws_dangling(PointerYielder *, const char *)
{
    struct Dangling : Lie {
        Dangling() : Lie(nullptr) {}
        const char *what() const noexcept override
        {
            std::string large(1 << 22, 'x');
            return large.c_str();
        }
    };
    throw Dangling();
}

// The type has this name, or lies there.
FRINGE_EXPORT void throws_named(PointerYielder *, const char *name)
{
    struct Named : std::type_info {
        explicit Named(const char *name) : std::type_info(name) {}
    };
    static char memory[sizeof(Named)];
    throw_as(new (memory) Named(name));
}
FRINGE_EXPORT void throws_typed(PointerYielder *, const char *type)
{
    throw_as(reinterpret_cast<std::type_info *>(const_cast<char *>(type)));
}

// An exception that is made here, and thrown somewhere else.
FRINGE_EXPORT void make_exception(std::exception_ptr *place)
{
    *place = std::make_exception_ptr(Lie("a lie"));
}
FRINGE_EXPORT void throws_made(PointerYielder *, const char *place)
{
    std::rethrow_exception(*reinterpret_cast<const std::exception_ptr *>(place));
}

// what() throws something itself. C++ says that it must not, and ends the process; a program may be
// compiled without that (-fno-enforce-eh-specs).
__attribute__((noinline)) static const char *fail(int32_t value) { throw Error<int>(value); }
FRINGE_EXPORT void throws_in_what(Yielder *, int32_t value)
{
    struct Throwing : Error<int> {
        using Error::Error;
        const char *what() const noexcept override { return fail(value + 1); }
    };
    throw Throwing(value);
}

// what() needs more stack than there is.
__attribute__((noinline)) static const char *recurse(const char *text)
{
    char frame[256] = "";
    if (!text[1]) frame[0] = recurse(frame)[0];
    return frame[0] ? text : "";
}
FRINGE_EXPORT int32_t overflows_in_what()
{
    struct Endless : Lie {
        Endless() : Lie(nullptr) {}
        const char *what() const noexcept override { return recurse(""); }
    };
    throw Endless();
}
