/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * fringe for C and C++: bodies of generators. A body runs on a stack of its own; it suspends, from
 * any depth of its calls, to whoever resumes it, and goes on where it was when it is resumed again.
 *
 *     // add_one.c: cc -O2 -fexceptions -shared -fPIC -I native/include add_one.c -o libadd_one.so
 *     #include "fringe.h"
 *
 *     FRINGE_GENERATOR(add_one, int32_t, int32_t);
 *
 *     void add_one(fringe_yielder *yielder, int32_t input)
 *     {
 *         while (input != 0) input = add_one_suspend(yielder, input + 1);
 *     }
 *
 *     // add_one.ts
 *     const library = dlopen("./libadd_one.so", { add_one: { input: "i32", output: "i32" } });
 *     const generator = new Generator(new OsStack(), library.symbols.add_one);
 *     generator.resume(1); // 2
 *     generator.resume(7); // 8
 *     generator.resume(0); // undefined: the body has returned
 *
 * In C++, the yielder may carry the types:
 *
 *     extern "C" void add_one(fringe::Yielder<int32_t, int32_t> *yielder, int32_t input)
 *     {
 *         while (input != 0) input = yielder->suspend(input + 1);
 *     }
 *
 * There is nothing to link with: the suspension is inlined here. It tells the compiler that every
 * register is lost, so just what is needed afterwards is kept on the stack, and a suspension costs
 * less than a call.
 *
 * When a generator is ended early, its suspended function is left as by a C++ exception, and so are
 * all that called it: destructors run, and so do `__attribute__((cleanup))` functions; in C these
 * run only if it is compiled with -fexceptions. A `catch (...)` on the way should rethrow: where it
 * does not, the next suspension is left in the same way. (A coroutine of C++20 has such a `catch`
 * around its body, and calls unhandled_exception() there.) Nothing else notices. Below a function
 * with destructors or cleanups 8 KiB of its stack must be free, for them and for the unwinder that
 * they call to go on. With less, that function and its callers are abandoned: nothing of them runs.
 *
 * A body may resume generators of its own, and so may a C function that JavaScript has called. If
 * such a generator calls back to JavaScript, and the call is ended there, it is unwound first, and
 * is FRINGE_UNWOUND; then the function that has resumed it is unwound.
 *
 * A C++ exception that leaves a body goes on in its resumer: one in C++ catches it as any other, in
 * JavaScript it is a NativeError. A body may suspend in a `catch` block, or in a destructor that an
 * exception of its own runs: what is handled and what is in flight belongs to each side.
 *
 * How the floating-point units round, what they flush to zero and which exceptions they trap is a
 * matter of each side: a body that changes it finds it again, and its resumer never sees it, be
 * that JavaScript or a caller of fringe_resume or fringe_resume_call. The exception is a body that
 * sets traps by hand in MXCSR alone (_MM_SET_EXCEPTION_MASK), after its first suspension: it must
 * put them back before it suspends. Nobody notices such traps; those for inexact results,
 * underflow and denormal operands spring in the switch itself, and end the process by SIGFPE.
 * feenableexcept() sets both units' traps, and is noticed at any time. A resumer in Zig, whose
 * switch is inlined, sees what a body has left behind.
 *
 * What a body must not do: use a yielder that is not its own, suspend in a destructor or cleanup
 * function while it is being ended, or keep pointers to thread-local variables across a suspension
 * if it moves between threads. Nor may it be left by a longjmp while it is suspended. With gcc it
 * must not suspend in a function that has __attribute__((target("avx512f"))), unless the whole file
 * is compiled for AVX-512 (by -mavx512f, or by #pragma GCC target("avx512f") above the #include):
 * what such a function keeps in mask registers and in zmm16 to zmm31 is lost. clang keeps it.
 *
 * For gcc and clang, C99 or C++11 and later, x86_64, i386 and aarch64.
 */
#ifndef FRINGE_H
#define FRINGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What both sides share: a value each way. native/layout.zig owns the layout. */
typedef struct fringe_mailbox {
    int32_t status; /* a FRINGE_... number, below */
    uint64_t input __attribute__((aligned(8))); /* the first bytes of it, for a smaller type */
    uint64_t output __attribute__((aligned(8)));
} fringe_mailbox;

/* The handle of a suspended body, and what a running body suspends with. It lies at the top of the
 * body's stack; switch_x86_64.S explains the words. Treat it as opaque. */
typedef struct fringe_yielder {
    void *link;
    void *return_address;
    void *body;
    fringe_mailbox *mailbox;
} fringe_yielder;

/* Values of fringe_mailbox.status that a native resumer sees; native/layout.zig has them all. */
enum {
    FRINGE_SUSPENDED = 0, /* the body waits to be resumed */
    FRINGE_RETURNED = 1,  /* the body has returned */
    FRINGE_UNWOUND = 2,   /* the body, or its resumer, was ended early, its cleanups have run */
    FRINGE_ABANDONED = 3, /* the body was ended early and could not be unwound */
    FRINGE_THROWN = 7,    /* an exception has left the body, and gone on in the resumer */
    FRINGE_OVERFLOWED = 8 /* the body has used up its stack, and could not go on */
};

/* The functions of the shared library, and of the Zig package's switch_<arch>.S, for programs and
 * languages that inline nothing. How a value travels is one rule for both directions:
 *  - integers of at most 32 bits, and bool, as the word that the functions pass; its upper bits
 *    mean nothing;
 *  - any other type in the mailbox's `input` or `output`; the word is then ignored.
 * One exception: the very first input lies in the mailbox, whatever its type. */

/* Makes a body ready to run on a stack, and returns its handle. Nothing of the body runs yet.
 *  base     one past the highest byte of the stack, a multiple of 16. At least 512 bytes below it
 *           are writable, and as many as the body needs: libc's functions want some 16 KiB; and
 *           8 KiB more below each function with destructors that is to be ended early;
 *  body     what runs: its arguments are the handle and the first input (an integer, a pointer, or
 *           floating point);
 *  mailbox  memory of the caller's, there until the body has finished; with `status` set to
 *           FRINGE_SUSPENDED. */
fringe_yielder *fringe_init(uintptr_t base, void (*body)(void), fringe_mailbox *mailbox);

/* Runs a suspended body to its next suspension, and returns its word. The mailbox's status says
 * whether the body suspended. A body that has finished may be resumed: nothing happens.
 *  yielder  from fringe_init, and the stack is still the body's;
 *  word     the input. */
uintptr_t fringe_resume(fringe_yielder *yielder, uintptr_t word);

/* The same, faster for a body that suspends by calling fringe_suspend: it leaves as the processor
 * then predicts. Either works with any body. */
uintptr_t fringe_resume_call(fringe_yielder *yielder, uintptr_t word);

/* Suspends the running body: the resumer gets `word`, the result is the word of the next resume.
 * Called on the body's stack, at any depth. Does not return, but unwinds, when the generator is
 * ended early. */
uintptr_t fringe_suspend(fringe_yielder *yielder, uintptr_t word);

/* Ends a suspended body by unwinding its frames, and returns the status it ends with:
 * FRINGE_UNWOUND; FRINGE_RETURNED, if it returned instead (a body in Zig does, and one in C++ that
 * swallows the end and does not suspend again); FRINGE_OVERFLOWED, if a cleanup has used up the
 * stack, and that is to be recovered from; FRINGE_ABANDONED, if it could not be unwound to its end:
 * a function has no unwind tables, or has cleanups and fewer than 8 KiB of its stack are free below
 * it, or is made for an unwinder that its library keeps to itself, or runs on a stack that is no
 * generator's, or the body is suspended in a cleanup that an exception of its own runs. What such a
 * function has called is unwound. The unwinder begins on the stack of the caller, and wants 8 KiB
 * there, too.
 *  yielder  from fringe_init, and the body has not finished;
 *  limit    the lowest usable byte of the body's stack; 0 if unknown: then nobody checks that there
 *           is room below functions with cleanups. */
int32_t fringe_cancel(fringe_yielder *yielder, uintptr_t limit);

#ifdef __cplusplus
}
#endif

/* What a suspended function is told in place of going on. It does not return, it unwinds; to the
 * compiler it is a call like any other, so that what is to be destroyed on the way is known. */
typedef void (*fringe_signal_function)(fringe_yielder *, uintptr_t);

/* What fringe.h needs of an architecture: FRINGE_SWITCH_TO_RESUMER(yielder, word, signal). It is
 * SWITCH of switch_<arch>.S, word for word (a test compares the copies), and tells the compiler
 * that no register is brought back but the two that make the frame. `word` goes to the resumer, and
 * becomes the word of the next resume; `signal` becomes 0, or the function that ends the body. */
#if defined(__x86_64__) && defined(__LP64__)
#include "fringe_x86_64.h"
#elif defined(__i386__)
#include "fringe_x86.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "fringe_aarch64.h"
#else
#error "fringe.h has no file for this architecture yet: write native/include/fringe_<arch>.h and \
include it here; native/arch/arch.zig says what else a port needs"
#define FRINGE_SWITCH_TO_RESUMER(yielder, word, signal) ((signal) = 0) /* One error is enough. */
#endif

#define FRINGE_INLINE static __inline__ __attribute__((always_inline, unused))

/* AddressSanitizer has to be told of each switch (native/watch/sanitizer.zig); a library that does
 * not do so has not these. */
#ifdef __SANITIZE_ADDRESS__
#define FRINGE_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRINGE_SANITIZED
#endif
#endif
#ifdef FRINGE_SANITIZED
#define FRINGE_TELL(what, yielder) \
    do { \
        if (fringe_sanitizer_##what) fringe_sanitizer_##what(yielder); \
    } while (0)
#ifdef __cplusplus
extern "C" {
#endif
extern __attribute__((weak)) void fringe_sanitizer_leave(fringe_yielder *);
extern __attribute__((weak)) void fringe_sanitizer_arrive(fringe_yielder *);
#ifdef __cplusplus
}
#endif
#else
#define FRINGE_TELL(what, yielder) (void)0
#endif

/* Hands a word to the resumer and waits for its word. Every suspension in C and C++ is this one. */
FRINGE_INLINE uintptr_t fringe_switch(fringe_yielder *yielder, uintptr_t word)
{
    uintptr_t signal;
    FRINGE_TELL(leave, yielder);
    FRINGE_SWITCH_TO_RESUMER(yielder, word, signal);
    FRINGE_TELL(arrive, yielder);
    if (__builtin_expect(signal != 0, 0)) {
        ((fringe_signal_function)signal)(yielder, word);
        __builtin_unreachable();
    }
    return word;
}

/* Where a value lies that is no word. */
FRINGE_INLINE void *fringe_output(fringe_yielder *yielder) { return &yielder->mailbox->output; }
FRINGE_INLINE void *fringe_input(fringe_yielder *yielder) { return &yielder->mailbox->input; }

/* Whether a value of type T is passed as a word: the integers of at most 32 bits (classes 1 to 4
 * are integers, characters, enumerations and booleans). isWord in native/context/word.zig is the
 * same rule. */
#define FRINGE_IS_WORD(T) \
    (sizeof(T) <= 4 && __builtin_classify_type((T)0) >= 1 && __builtin_classify_type((T)0) <= 4)

/* A value of type T into a word or into the mailbox, and out of them. */
#define FRINGE_PUT(T, yielder, value) \
    (FRINGE_IS_WORD(T) ? (uintptr_t)(intptr_t)(value) \
                       : (*(T *)fringe_output(yielder) = (value), (uintptr_t)0))
#define FRINGE_GET(T, yielder, word) \
    (FRINGE_IS_WORD(T) ? (T)(uintptr_t)(uint32_t)(word) \
                       : *(T *)fringe_input(yielder))

/* FRINGE_IF_VALUE(FRINGE_TYPE_ ## T)(tokens) gives the tokens, unless T is void. What follows
 * `FRINGE_TYPE_` is `void` alone for that one type only: then a comma appears, and another argument
 * is the third. */
#define FRINGE_COMMA() ,
#define FRINGE_TYPE_void FRINGE_COMMA
#define FRINGE_IF_VALUE(type) FRINGE_THIRD_OF(type (), FRINGE_NOTHING, FRINGE_TOKENS, ~)
#define FRINGE_THIRD_OF(...) FRINGE_THIRD(__VA_ARGS__)
#define FRINGE_THIRD(first, second, third, ...) third
#define FRINGE_NOTHING(...)
#define FRINGE_TOKENS(...) __VA_ARGS__

#ifdef __cplusplus
#define FRINGE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define FRINGE_EXPORT extern __attribute__((visibility("default")))
#endif

/* Refuses, when it is compiled, a type that does not fit into the mailbox. */
#if defined(__cplusplus)
#define FRINGE_CHECK_TYPE(T) static_assert(sizeof(T) <= 8, "fringe passes at most 8 bytes")
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define FRINGE_CHECK_TYPE(T) _Static_assert(sizeof(T) <= 8, "fringe passes at most 8 bytes")
#else
#define FRINGE_CHECK_TYPE(T) (void)sizeof(char[sizeof(T) <= 8 ? 1 : -1])
#endif

/* FRINGE_GENERATOR(name, Input, Output); declares the body
 *
 *     void name(fringe_yielder *yielder, Input first_input);
 *
 * and defines what suspends it: hands `output` over, waits for the next input, and returns that:
 *
 *     Input name_suspend(fringe_yielder *yielder, Output output);
 *
 * The types are scalars of at most 8 bytes: integers, floating point, pointers, bool. Either may be
 * void; the parameter or the result is then not there. */
#define FRINGE_GENERATOR(name, Input, Output) \
    FRINGE_INLINE Input name##_suspend( \
        fringe_yielder *yielder FRINGE_IF_VALUE(FRINGE_TYPE_##Output)(, Output output)) \
    { \
        uintptr_t word = 0; \
        FRINGE_IF_VALUE(FRINGE_TYPE_##Input)(FRINGE_CHECK_TYPE(Input);) \
        FRINGE_IF_VALUE(FRINGE_TYPE_##Output)(FRINGE_CHECK_TYPE(Output);) \
        FRINGE_IF_VALUE(FRINGE_TYPE_##Output)(word = FRINGE_PUT(Output, yielder, output);) \
        word = fringe_switch(yielder, word); \
        (void)word; \
        FRINGE_IF_VALUE(FRINGE_TYPE_##Input)(return FRINGE_GET(Input, yielder, word);) \
    } \
    FRINGE_EXPORT void name( \
        fringe_yielder *yielder FRINGE_IF_VALUE(FRINGE_TYPE_##Input)(, Input first_input))

#ifdef __cplusplus
namespace fringe {

template <typename Input> struct Inputs {
    FRINGE_CHECK_TYPE(Input);
    FRINGE_INLINE Input get(fringe_yielder *yielder, uintptr_t word)
    {
        return FRINGE_GET(Input, yielder, word);
    }
};
template <> struct Inputs<void> {
    FRINGE_INLINE void get(fringe_yielder *, uintptr_t) {}
};

/* What a body written in C++ suspends with. Types as for FRINGE_GENERATOR; the body is
 *
 *     extern "C" void name(fringe::Yielder<Input, Output> *yielder, Input first_input); */
template <typename Input, typename Output> struct Yielder : fringe_yielder {
    FRINGE_CHECK_TYPE(Output);
    __attribute__((always_inline)) Input suspend(Output output)
    {
        uintptr_t word = FRINGE_PUT(Output, this, output);
        return Inputs<Input>::get(this, fringe_switch(this, word));
    }
};
template <typename Input> struct Yielder<Input, void> : fringe_yielder {
    __attribute__((always_inline)) Input suspend()
    {
        return Inputs<Input>::get(this, fringe_switch(this, 0));
    }
};

} // namespace fringe
#endif

#endif
