// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// For exception_test.zig: bodies that throw, and resumers that catch, in C++. Resumers return what
// went wrong, as a sentence, or null.

#include "fringe.h"

#include <cfenv>
#include <exception>
#include <stdexcept>

namespace {

int objects = 0;

struct Object {
    Object() { objects++; }
    Object(const Object &) { objects++; }
    ~Object() { objects--; }
};

/// The exception has objects of its own, so that it is seen whether it is destroyed.
struct Error : std::runtime_error {
    Object object;
    int depth;
    Error(int depth) : std::runtime_error("depth"), depth(depth) {}
};

using Yielder = fringe::Yielder<uint32_t, uint32_t>;
using Resume = uintptr_t(fringe_yielder *, uintptr_t);

const void *thrown = nullptr;

/// Throws when it is `depth` calls deep, each with an object.
__attribute__((noinline)) uint32_t throw_at(uint32_t depth, uint32_t left)
{
    Object object;
    if (left > 0) return throw_at(depth, left - 1) + 1;
    try {
        throw Error(static_cast<int>(depth));
    } catch (Error &error) {
        thrown = &error;
        throw;
    }
}

bool is_clean() { return std::uncaught_exceptions() == 0 && std::current_exception() == nullptr; }

} // namespace

extern "C" {

// C functions of unwind_test.c between body and throw: one without a cleanup, one with.
uint32_t fringe_test_pass(uint32_t (*function)(uint32_t), uint32_t argument);
uint32_t fringe_test_pass_with_cleanup(uint32_t (*function)(uint32_t), uint32_t argument);

int fringe_test_objects() { return objects; }
void fringe_test_forget_objects() { objects = 0; }

/// Suspends `times` and throws; the first input is how deep.
void fringe_test_throws_at_once(Yielder *, uint32_t depth) { throw_at(depth, depth); }

void fringe_test_throws(Yielder *yielder, uint32_t depth)
{
    Object object;
    yielder->suspend(1);
    yielder->suspend(2);
    throw_at(depth, depth);
}

/// Rounds upward, and does not put that back.
void fringe_test_throws_rounding(Yielder *, uint32_t depth)
{
    std::fesetround(FE_UPWARD);
    throw_at(depth, depth);
}

int fringe_test_rounding() { return std::fegetround(); }

static uint32_t throw_now(uint32_t depth) { return throw_at(depth, 1); }

void fringe_test_throws_through_c(Yielder *yielder, uint32_t depth)
{
    yielder->suspend(1);
    fringe_test_pass(throw_now, depth);
}

void fringe_test_throws_through_cleanup(Yielder *yielder, uint32_t depth)
{
    yielder->suspend(1);
    fringe_test_pass_with_cleanup(throw_now, depth);
}

void fringe_test_rethrows(Yielder *, uint32_t depth)
{
    std::exception_ptr pointer;
    try {
        throw_at(depth, 0);
    } catch (...) {
        pointer = std::current_exception();
    }
    std::rethrow_exception(pointer);
}

/// Resumes until the body throws, which it must at the last of `times`. Null if the very exception
/// comes that was thrown, with nothing left of it afterwards, and of the body.
const char *fringe_test_catch(fringe_yielder *yielder, Resume *resume, uint32_t times, int depth)
{
    const int before = objects;
    for (uint32_t i = 0; i < times; i++) {
        try {
            resume(yielder, i);
        } catch (const std::exception &error) {
            if (&error != thrown) return "it is another object";
            if (dynamic_cast<const Error &>(error).depth != depth) return "it says something else";
            if (std::uncaught_exceptions() != 0) return "one is still in flight";
            if (std::current_exception() == nullptr) return "it is not the current one";
            // As a body that has returned.
            if (resume(yielder, 0) != 0) return "the body goes on";
            if (std::current_exception() == nullptr) return "it no longer is the current one";
            if (i + 1 < times) return "it came too early";
            goto caught;
        }
        if (!is_clean()) return "a suspension has left an exception";
    }
    return "nothing came";
caught:
    if (!is_clean()) return "something is left behind the handler";
    // What the body had on its stack before it suspended is gone, too.
    return objects <= before ? nullptr : "objects are left";
}

/// Handles an exception; suspends in the handler, with what is wrong there, 0 for nothing.
void fringe_test_suspends_in_catch(Yielder *yielder, uint32_t number)
{
    if (!is_clean()) yielder->suspend(1);
    try {
        throw Error(static_cast<int>(number));
    } catch (Error &error) {
        yielder->suspend(std::uncaught_exceptions() != 0 ? 2 : 0);
        if (error.depth != static_cast<int>(number)) yielder->suspend(3);
        try {
            throw;
        } catch (Error &again) {
            yielder->suspend(&again != &error ? 4 : 0);
        }
        if (std::current_exception() == nullptr) yielder->suspend(5);
    }
    yielder->suspend(is_clean() ? 0 : 6);
}

struct Suspending {
    Yielder *yielder;
    ~Suspending() { yielder->suspend(static_cast<uint32_t>(std::uncaught_exceptions())); }
};

/// Suspends in a destructor, on the way out of an exception that it catches itself.
void fringe_test_suspends_in_flight(Yielder *yielder, uint32_t)
{
    try {
        Suspending suspending{yielder};
        throw Error(0);
    } catch (Error &) {
        yielder->suspend(10);
    }
}

/// Whether the thread handles no exception, and none is in flight.
bool fringe_test_is_clean() { return is_clean(); }

/// Calls `function` in a handler, and sees whether that is still one afterwards.
const char *fringe_test_in_catch(const char *(*function)(void *), void *argument)
{
    try {
        throw Error(-1);
    } catch (Error &error) {
        const char *problem = function(argument);
        if (problem != nullptr) return problem;
        try {
            throw;
        } catch (Error &again) {
            if (&again != &error) return "the handler handles another exception";
        }
    }
    return is_clean() ? nullptr : "something is left behind the handler";
}

/// Calls `function` in a destructor that an exception runs; sees whether that is in flight still.
const char *fringe_test_in_flight(const char *(*function)(void *), void *argument)
{
    const char *problem = nullptr;
    struct Calling {
        const char *(*function)(void *);
        void *argument;
        const char **problem;
        ~Calling()
        {
            *problem = function(argument);
            if (*problem == nullptr && std::uncaught_exceptions() != 1) {
                *problem = "another number is in flight";
            }
        }
    };
    try {
        Calling calling{function, argument, &problem};
        throw Error(-1);
    } catch (Error &) {
    }
    if (problem != nullptr) return problem;
    return is_clean() ? nullptr : "something is left behind the handler";
}

/// Calls `function`, out of which an exception is to come.
const char *fringe_test_expect_thrown(void (*function)(void *), void *argument, int depth)
{
    const int before = std::uncaught_exceptions();
    try {
        function(argument);
    } catch (const Error &error) {
        if (error.depth != depth) return "it says something else";
        return std::uncaught_exceptions() == before ? nullptr : "another number is in flight";
    }
    return "nothing came";
}

} // extern "C"
