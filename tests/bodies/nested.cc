// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// C++ that runs generators of its own, and glibc's functions that take what TypeScript cannot pass,
// for unwind_test.ts, which compiles it with the C++ compiler of the machine. It is linked with
// fringe's library, or has the assembly of fringe in itself.

#include "fringe.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <ucontext.h>
#include <utility>

namespace {

int32_t objects = 0;

struct Object {
    Object() { objects++; }
    ~Object() { objects--; }
};

constexpr size_t stack_size = 64 * 1024;

// A generator that is ended with the object that owns it.
struct Owned : Object {
    fringe_mailbox mailbox = {};
    char *memory = static_cast<char *>(aligned_alloc(16, stack_size));
    fringe_yielder *yielder;

    template <typename Body> Owned(Body *body, uint64_t input)
    {
        mailbox.input = input;
        yielder = fringe_init(reinterpret_cast<uintptr_t>(memory) + stack_size,
                              reinterpret_cast<void (*)()>(body), &mailbox);
    }

    ~Owned()
    {
#ifdef WITH_LIBRARY
        fringe_cancel(yielder, reinterpret_cast<uintptr_t>(memory));
#endif
        free(memory);
    }
};

using Callback = int32_t(int32_t);
using Resume = uintptr_t(fringe_yielder *, uintptr_t);
using Yielder = fringe::Yielder<int32_t, int32_t>;

Resume *entry_of(int32_t entry) { return entry == 0 ? fringe_resume : fringe_resume_call; }

// What an inner body gets.
struct Level {
    Callback *callback;
    Resume *resume;
    int32_t depth;
};

int32_t descend(const Level &level);

FRINGE_GENERATOR(inner, const Level *, int32_t);

__attribute__((noinline)) int32_t ask(Callback *callback)
{
    Object object;
    const int32_t first = callback(1);
    return first + callback(2);
}

// Calls back in so many generators, one in the other.
int32_t descend(const Level &level)
{
    Object object;
    if (level.depth == 0) return ask(level.callback);
    const Level below = {level.callback, level.resume, level.depth - 1};
    Owned generator(inner, reinterpret_cast<uintptr_t>(&below));
    return static_cast<int32_t>(level.resume(generator.yielder, 0)) + 10;
}

} // namespace

FRINGE_EXPORT void inner(fringe_yielder *yielder, const Level *level)
{
    Object object;
    inner_suspend(yielder, descend(*level));
}

FRINGE_EXPORT int32_t alive() { return objects; }
FRINGE_EXPORT int32_t forget() { return std::exchange(objects, 0); }

FRINGE_EXPORT int32_t calls_in_generators(int32_t depth, int32_t entry, Callback *callback)
{
    return descend({callback, entry_of(entry), depth});
}

// glibc between this library and the callback.
FRINGE_EXPORT int32_t calls_once(pthread_once_t *control, void (*callback)())
{
    Object object;
    return pthread_once(control, callback);
}

// The destructor that an exception runs calls back, in a generator of its own.
FRINGE_EXPORT int32_t calls_in_flight(int32_t entry, Callback *callback)
{
    struct Calling {
        int32_t entry;
        Callback *callback;
        ~Calling() { calls_in_generators(1, entry, callback); }
    };
    try {
        Calling calling{entry, callback};
        throw std::runtime_error("in flight");
    } catch (const std::runtime_error &) {
    }
    return 7;
}

// A body that catches its end and passes it on.
namespace {

void rethrows(Yielder *yielder, int32_t value)
{
    Object object;
    try {
        Object inside;
        yielder->suspend(value);
    } catch (...) {
        throw;
    }
}

} // namespace

// Ends a generator with such a body, and calls back then.
FRINGE_EXPORT int32_t calls_after_end(int32_t entry, Callback *callback)
{
    Object object;
    {
        Owned generator(rethrows, 1);
        entry_of(entry)(generator.yielder, 1);
    }
    return 10 * std::uncaught_exceptions() + callback(1);
}

// A body that resumes another one: {input, output} are those of the inner one.
namespace {

void counts(Yielder *yielder, int32_t value)
{
    Object object;
    for (;;) {
        if (value < 0) throw std::runtime_error("the inner one throws");
        value = yielder->suspend(value + 1);
    }
}

void relay(Yielder *yielder, int32_t value, Resume *resume)
{
    Object object;
    value = yielder->suspend(0);
    Owned generator(counts, static_cast<uint32_t>(value));
    for (;;) {
        const uintptr_t result = resume(generator.yielder, static_cast<uintptr_t>(value));
        if (value > 100) throw std::runtime_error("the outer one throws");
        value = yielder->suspend(static_cast<int32_t>(result));
    }
}

} // namespace

FRINGE_EXPORT void relays(Yielder *yielder, int32_t value) { relay(yielder, value, fringe_resume); }

FRINGE_EXPORT void relays_by_call(Yielder *yielder, int32_t value)
{
    relay(yielder, value, fringe_resume_call);
}

// Calls back on a stack that makecontext(3) has made, of so many bytes, with a destructor there or
// without.
namespace {

Callback *on_context;
int32_t answer;
ucontext_t back, there;

void calls_plainly() { answer = on_context(1) + 1; }

void calls_with_object()
{
    Object object;
    answer = on_context(1) + 1;
}

} // namespace

FRINGE_EXPORT int32_t calls_on_context(char *memory, size_t size, int32_t with_object,
                                       Callback *callback)
{
    Object object;
    on_context = callback;
    getcontext(&there);
    there.uc_stack.ss_sp = memory;
    there.uc_stack.ss_size = size;
    there.uc_link = &back;
    makecontext(&there, with_object ? calls_with_object : calls_plainly, 0);
    swapcontext(&back, &there);
    return answer;
}

// A file of glibc's that is read by a function. glibc takes a struct by value, which fringe's calls
// cannot pass, and which each ABI passes in its own way.
FRINGE_EXPORT FILE *opens_cookie(cookie_read_function_t *read)
{
    cookie_io_functions_t functions = {};
    functions.read = read;
    return fopencookie(nullptr, "r", functions);
}
