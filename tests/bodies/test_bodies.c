/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What the tests in TypeScript run: bodies, and C functions with callbacks. `zig build prebuilt`
 * makes libtest_bodies.so of all files in this folder, so that the tests need no compiler.
 *
 * Bodies, as { input, output }
 *   echo_bool echo_i8 echo_u8 echo_i16 echo_u16 echo_i32 echo_u32 echo_i64 echo_u64 echo_isize
 *   echo_usize echo_f32 echo_f64 echo_pointer   { T, T }        each input, for ever
 *   echo_void           { void, void }    suspends for ever
 *   counts              { void, u32 }     1, 2, 3, ..., for ever
 *   counts_i32 counts_u16 counts_i64 counts_f64    { void, T }     the same
 *   halves              { i32, f64 }      half of each input, for ever
 *   plain_echo          { i32, i32 }      the same through fringe_suspend, as a call
 *   zig_echo            { i32, i32 }      the same in Zig (test_bodies.zig)
 *   zig_defers          { void, i32 }     1, 2, 3, ...; has a `defer` that counts (zig_defer_count)
 *   has_destructor      { void, i32 }     1, 2, 3, ...; has a C++ object (test_bodies.cc)
 *   has_cleanup         { void, i32 }     1, 2, 3, ...; has a variable with a cleanup function
 *   suspends_in_cleanup { void, i32 }     1, 2, 3, ...; its cleanup gives -1: what
 *                                       fringe.h forbids while it is being ended
 *   changes_rounding    { void, i32 }     1, 2, 3, ...; rounds up, in both floating-point units
 *   rounds_up_later     { void, i32 }     1, 2, ... 6; rounds up from 3 on, and gives 0 where it
 *                                         finds another mode than it has left
 *   recurses            { i32, i32 }      calls itself `input` deep, gives the depth there; again
 *   never_suspends      { i32, i32 }      returns at once
 *   calls_kept          { void, i32 }     suspends with what call_kept(1) gives
 *   overflows           { void, i32 }     1; then calls itself until the stack is used up
 *   overflows_in_cleanup { i32, i32 }     its inputs; its cleanup calls itself the first one deep
 *   pokes               { ptr, i32 }      writes a byte where each input points, gives 1, 2, 3, ...
 *
 * Functions
 *   i32   call_n(i32 n, i32 f(i32))                f(0) + ... + f(n - 1)
 *   i32   call_three(i32 n, i32 f(i32, f64, u16))  f(i, i / 2, i) for each i below n, summed
 *   u64   sum_answers(i32 n, ptr f(i32))           f(0), ... f(n - 1), and after each the sum of
 *                                                  what the last 16 answers point at, a byte each
 *   i64   call_six(i64 f(i8, u8, i16, u32, i64, u64))
 *                                                  f(-1, 255, -2, 4294967295, -3, 2^64 - 1)
 *   bool  call_bool(bool f(bool))                  f(true) and not f(false)
 *   void  call_void(void f(void))                  calls f once
 *   ptr   call_pointer(ptr f(ptr), ptr p)          f(p)
 *   i32   call_variadic(i32 f(cstring types, ...), i32 which)
 *                                                  f("") for 0, f("is", -5, "text") for 1; for 2
 *                                                  more of "i", "d", "l" than there are registers;
 *                                                  for 3 f("i", 1) and f("i", 2), summed; for
 *                                                  -n f("i", 0) to f("i", n - 1), summed
 *   i32   each_string(i32 f(cstring))              f of "", "one", "grün", null, summed
 *   i32   two_callbacks(i32 f(i32), i32 g(i32))    f(1) * 100 + g(2)
 *   i32   until_nonzero(i32 f(i32))                f(0), f(1), ... until one is not 0: that one
 *   void  never_returns(void f(void))              f, and nothing more, for ever
 *   i32   ask_three(i32 f(i32))                    f(0), f(1), f(2), whatever they say; asked()
 *                                                  gives them as digits then, and 0 until then
 *   i32   with_destructor(i32 f(i32))              f(1); has a C++ object
 *   i32   with_cleanup(i32 f(i32))                 f(1); has a variable with a cleanup function
 *   i32   calls_in_cleanup(i32 f(i32))             f(1); has a cleanup that calls f(2)
 *   i64   add_six(i8, u16, i32, u32, i64, u64)     the sum
 *   void  keep(i32 f(i32))                         keeps f
 *   i32   call_kept(i32 i)                         f(i) of what was kept
 *   i32   pass_and_call_kept(i32 g(i32))           g(1) * 100 + f(2) of what was kept
 *   f64   mixed(f64 f(MIXED), MIXED)               f of what it was passed, plus 0.5; MIXED are 17
 *                                                  parameters, more than there are registers
 *   f32   half(f32 f(f32), f32 x)                  f(x) / 2
 *   u32   plus_one(u32)                            for the bench: the floor of a call
 *   u64   sum_buffer(buffer bytes, usize size)     the sum of the bytes
 *   usize string_length(cstring)
 *   ptr   same_pointer(ptr)
 *   i32   use_up(i32 depth)                        calls itself `depth` deep, gives that
 *   i32   use_up_after(i32 f(i32))                 use_up(f(1)) + f(2)
 *   usize frame_address()                          where its own frame lies
 *   i32   takes(i32 size, i32 place)               has `size` bytes of variables, which it makes
 *                                                  room for by one step; writes to the byte at
 *                                                  `place`, counted from the lowest, gives that
 *   void  poke(ptr)                                writes a byte there
 *   i32   asked()                                  see ask_three
 *   variable_i8 and so on                          -8, 65000, -70000, 2^63 + 1, 0.25, 1e100, true
 *   i32   destructor_count() cleanup_count() zig_defer_count()   how many have run so far
 */
#include "fringe.h"
#include "machine.h"

#include <stdbool.h>

#define EXPORT FRINGE_EXPORT

/* Each scalar type goes in and comes out by its own way. */
#define ECHO(name, T) \
    FRINGE_GENERATOR(name, T, T); \
    void name(fringe_yielder *yielder, T input) \
    { \
        for (;;) input = name##_suspend(yielder, input); \
    }
ECHO(echo_bool, bool)
ECHO(echo_i8, int8_t)
ECHO(echo_u8, uint8_t)
ECHO(echo_i16, int16_t)
ECHO(echo_u16, uint16_t)
ECHO(echo_i32, int32_t)
ECHO(echo_u32, uint32_t)
ECHO(echo_i64, int64_t)
ECHO(echo_u64, uint64_t)
ECHO(echo_isize, intptr_t)
ECHO(echo_usize, uintptr_t)
ECHO(echo_f32, float)
ECHO(echo_f64, double)
ECHO(echo_pointer, void *)

FRINGE_GENERATOR(echo_void, void, void);
void echo_void(fringe_yielder *yielder)
{
    for (;;) echo_void_suspend(yielder);
}

/* Each of some types comes out, and nothing goes in. */
#define COUNTS(name, T) \
    FRINGE_GENERATOR(name, void, T); \
    void name(fringe_yielder *yielder) \
    { \
        for (uint32_t i = 1;; i++) name##_suspend(yielder, (T)i); \
    }
COUNTS(counts, uint32_t)
COUNTS(counts_i32, int32_t)
COUNTS(counts_u16, uint16_t)
COUNTS(counts_i64, int64_t)
COUNTS(counts_f64, double)

FRINGE_GENERATOR(halves, int32_t, double);
void halves(fringe_yielder *yielder, int32_t input)
{
    for (;;) input = halves_suspend(yielder, input / 2.0);
}

EXPORT void plain_echo(fringe_yielder *yielder, int32_t input);
void plain_echo(fringe_yielder *yielder, int32_t input)
{
    for (;;) input = (int32_t)fringe_suspend(yielder, (uintptr_t)input);
}

/* A generator that is ended early runs its cleanups; the counter proves it. */
static int32_t cleanups;

static void count_cleanup(const int *variable)
{
    (void)variable;
    cleanups++;
}

EXPORT int32_t cleanup_count(void);
int32_t cleanup_count(void) { return cleanups; }

/* For test_bodies.zig: a frame with a cleanup. */
int32_t cleans_around(int32_t (*callback)(int32_t), int32_t argument);
int32_t cleans_around(int32_t (*callback)(int32_t), int32_t argument)
{
    __attribute__((cleanup(count_cleanup))) int variable = 0;
    return callback(argument);
}

FRINGE_GENERATOR(has_cleanup, void, int32_t);
void has_cleanup(fringe_yielder *yielder)
{
    __attribute__((cleanup(count_cleanup))) int variable = 0;
    for (int32_t i = 1;; i++) has_cleanup_suspend(yielder, i);
}

/* A cleanup that suspends while the generator is being ended: the rest is abandoned. */
FRINGE_GENERATOR(suspends_in_cleanup, void, int32_t);

static void suspend_in_cleanup(fringe_yielder **yielder)
{
    suspends_in_cleanup_suspend(*yielder, -1);
    cleanups++;
}

void suspends_in_cleanup(fringe_yielder *yielder)
{
    __attribute__((cleanup(suspend_in_cleanup))) fringe_yielder *variable = yielder;
    for (int32_t i = 1;; i++) suspends_in_cleanup_suspend(variable, i);
}

/* A rounding mode that a body leaves behind must not reach JavaScript. It rounds up, as
 * fesetround(FE_UPWARD) has it. */
FRINGE_GENERATOR(changes_rounding, void, int32_t);
void changes_rounding(fringe_yielder *yielder)
{
    for (int32_t i = 1;; i++) {
        set_words(WORDS_UPWARD);
        changes_rounding_suspend(yielder, i);
    }
}

FRINGE_GENERATOR(rounds_up_later, void, int32_t);
void rounds_up_later(fringe_yielder *yielder)
{
    uint32_t expected = words_now();
    for (int32_t i = 1; i <= 6; i++) {
        if (i == 3) set_words(expected = WORDS_UPWARD);
        rounds_up_later_suspend(yielder, words_now() == expected ? i : 0);
    }
}

/* Suspends at the bottom of as many frames as asked for; they hold an array, so a frame is no less
 * than that. */
FRINGE_GENERATOR(recurses, int32_t, int32_t);

__attribute__((noinline)) static int32_t
recurse(fringe_yielder *yielder, int32_t left, int32_t depth)
{
    volatile int32_t frame[32] = {left};
    if (left == 0) return recurses_suspend(yielder, depth);
    const int32_t next = recurse(yielder, left - 1, depth + 1);
    /* After the call, so that it is no jump. */
    return frame[0] == left ? next : -1;
}

void recurses(fringe_yielder *yielder, int32_t input)
{
    for (;;) input = recurse(yielder, input, 0);
}

FRINGE_GENERATOR(never_suspends, int32_t, int32_t);
void never_suspends(fringe_yielder *yielder, int32_t input)
{
    (void)yielder;
    (void)input;
}

/* Runs into the guard page of its stack, after it suspended once. */
FRINGE_GENERATOR(overflows, void, int32_t);
void overflows(fringe_yielder *yielder)
{
    overflows_suspend(yielder, 1);
    overflows_suspend(yielder, recurse(yielder, INT32_MAX, 0));
}

EXPORT void poke(volatile uint8_t *pointer);
void poke(volatile uint8_t *pointer) { *pointer = 1; }

FRINGE_GENERATOR(pokes, volatile uint8_t *, int32_t);
void pokes(fringe_yielder *yielder, volatile uint8_t *input)
{
    for (int32_t i = 1;; i++) {
        poke(input);
        input = pokes_suspend(yielder, i);
    }
}

/* Exported, so that it has a name in reports. */
EXPORT int32_t use_up(int32_t depth);
__attribute__((noinline)) int32_t use_up(int32_t depth)
{
    volatile int32_t frame[32] = {depth};
    if (depth == 0) return 0;
    const int32_t next = use_up(depth - 1);
    return frame[0] == depth ? next + 1 : -1;
}

FRINGE_GENERATOR(overflows_in_cleanup, int32_t, int32_t);

static void use_up_in_cleanup(const int32_t *depth) { use_up(*depth); }

void overflows_in_cleanup(fringe_yielder *yielder, int32_t input)
{
    __attribute__((cleanup(use_up_in_cleanup))) const int32_t depth = input;
    for (;;) input = overflows_in_cleanup_suspend(yielder, input);
}

EXPORT uintptr_t frame_address(void);
uintptr_t frame_address(void) { return (uintptr_t)__builtin_frame_address(0); }

EXPORT int32_t takes(int32_t size, int32_t place);
int32_t takes(int32_t size, int32_t place)
{
    volatile char *const variables = __builtin_alloca((size_t)size);
    variables[place] = 1;
    return place;
}

EXPORT int32_t use_up_after(int32_t (*f)(int32_t));
int32_t use_up_after(int32_t (*f)(int32_t))
{
    const int32_t depth = use_up(f(1));
    return depth + f(2);
}

EXPORT int32_t call_n(int32_t n, int32_t (*f)(int32_t));
int32_t call_n(int32_t n, int32_t (*f)(int32_t))
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += f(i);
    return sum;
}

EXPORT int32_t call_three(int32_t n, int32_t (*f)(int32_t, double, uint16_t));
int32_t call_three(int32_t n, int32_t (*f)(int32_t, double, uint16_t))
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += f(i, 0.5 * i, (uint16_t)i);
    return sum;
}

EXPORT uint64_t sum_answers(int32_t n, const uint8_t *(*f)(int32_t));
uint64_t sum_answers(int32_t n, const uint8_t *(*f)(int32_t))
{
    static const uint8_t nothing;
    const uint8_t *last[16];
    for (int32_t i = 0; i < 16; i++) last[i] = &nothing;
    uint64_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        last[i % 16] = f(i);
        for (int32_t k = 0; k < 16; k++) sum += *last[k];
    }
    return sum;
}

EXPORT int64_t call_six(int64_t (*f)(int8_t, uint8_t, int16_t, uint32_t, int64_t, uint64_t));
int64_t call_six(int64_t (*f)(int8_t, uint8_t, int16_t, uint32_t, int64_t, uint64_t))
{
    return f(-1, UINT8_MAX, -2, UINT32_MAX, -3, UINT64_MAX);
}

EXPORT bool call_bool(bool (*f)(bool));
bool call_bool(bool (*f)(bool)) { return f(true) && !f(false); }

EXPORT void call_void(void (*f)(void));
void call_void(void (*f)(void)) { f(); }

EXPORT void *call_pointer(void *(*f)(void *), void *pointer);
void *call_pointer(void *(*f)(void *), void *pointer) { return f(pointer); }

EXPORT int32_t each_string(int32_t (*f)(const char *));
int32_t each_string(int32_t (*f)(const char *))
{
    return f("") + f("one") + f("gr\xc3\xbcn") + f(NULL);
}

EXPORT int32_t two_callbacks(int32_t (*f)(int32_t), int32_t (*g)(int32_t));
int32_t two_callbacks(int32_t (*f)(int32_t), int32_t (*g)(int32_t))
{
    const int32_t first = f(1);
    return first * 100 + g(2);
}

/* As nftw, sqlite3_exec and expat do: an answer other than 0 ends it. */
EXPORT int32_t until_nonzero(int32_t (*f)(int32_t));
int32_t until_nonzero(int32_t (*f)(int32_t))
{
    for (int32_t i = 0;; i++) {
        const int32_t answer = f(i);
        if (answer != 0) return answer;
    }
}

/* Says afterwards whether it came to its end, and what it was told on the way. */
static int32_t answers;

EXPORT int32_t asked(void);
int32_t asked(void) { return answers; }

EXPORT int32_t call_variadic(int32_t (*f)(const char *types, ...), int32_t which);
int32_t call_variadic(int32_t (*f)(const char *types, ...), int32_t which)
{
    if (which == 0) return f("");
    if (which == 1) return f("is", -5, "text");
    if (which == 3) return f("i", 1) + f("i", 2);
    if (which < 0) {
        int32_t sum = 0;
        for (int32_t i = 0; i < -which; i++) sum += f("i", i);
        return sum;
    }
    return f("idlidlidlidlidlidlidlidlidlidl",
        1, 0.5, -1LL, 2, 1.5, -2LL, 3, 2.5, -3LL, 4, 3.5, -4LL, 5, 4.5, -5LL,
        6, 5.5, -6LL, 7, 6.5, -7LL, 8, 7.5, -8LL, 9, 8.5, -9LL, 10, 9.5, -10LL);
}

EXPORT int8_t variable_i8;
int8_t variable_i8 = -8;
EXPORT uint16_t variable_u16;
uint16_t variable_u16 = 65000;
EXPORT int32_t variable_i32;
int32_t variable_i32 = -70000;
EXPORT uint64_t variable_u64;
uint64_t variable_u64 = ((uint64_t)1 << 63) + 1;
EXPORT float variable_f32;
float variable_f32 = 0.25f;
EXPORT double variable_f64;
double variable_f64 = 1e100;
EXPORT bool variable_bool;
bool variable_bool = true;

EXPORT void never_returns(void (*f)(void));
void never_returns(void (*f)(void))
{
    f();
    for (volatile int i = 0;; i = i + 1) continue;
}

EXPORT int32_t ask_three(int32_t (*f)(int32_t));
int32_t ask_three(int32_t (*f)(int32_t))
{
    answers = 0;
    int32_t told = 0;
    for (int32_t i = 0; i < 3; i++) told = told * 10 + f(i);
    answers = told;
    return told;
}

EXPORT int32_t with_cleanup(int32_t (*f)(int32_t));
int32_t with_cleanup(int32_t (*f)(int32_t))
{
    __attribute__((cleanup(count_cleanup))) int variable = 0;
    return f(1);
}

/* For cleanups that call back while their frames are unwound. */
static void call_back(int32_t (**f)(int32_t)) { (*f)(2); }

EXPORT int32_t calls_in_cleanup(int32_t (*f)(int32_t));
int32_t calls_in_cleanup(int32_t (*f)(int32_t))
{
    __attribute__((cleanup(call_back))) int32_t (*in_cleanup)(int32_t) = f;
    return f(1);
}

EXPORT int64_t add_six(int8_t a, uint16_t b, int32_t c, uint32_t d, int64_t e, uint64_t f);
int64_t add_six(int8_t a, uint16_t b, int32_t c, uint32_t d, int64_t e, uint64_t f)
{
    return (int64_t)((uint64_t)a + b + (uint64_t)c + d + (uint64_t)e + f);
}

static int32_t (*kept)(int32_t);

EXPORT void keep(int32_t (*f)(int32_t));
void keep(int32_t (*f)(int32_t)) { kept = f; }

EXPORT int32_t call_kept(int32_t i);
int32_t call_kept(int32_t i)
{
    const int32_t answer = kept(i);
    /* After the call, so that it is no jump. */
    return answer + (kept == NULL);
}

EXPORT int32_t pass_and_call_kept(int32_t (*g)(int32_t));
int32_t pass_and_call_kept(int32_t (*g)(int32_t))
{
    const int32_t first = g(1);
    return first * 100 + kept(2);
}

FRINGE_GENERATOR(calls_kept, void, int32_t);
void calls_kept(fringe_yielder *yielder) { calls_kept_suspend(yielder, call_kept(1)); }

#define MIXED(X) \
    X(int8_t, a) X(float, b) X(uint16_t, c) X(double, d) X(int32_t, e) X(double, f) \
    X(uint64_t, g) X(double, h) X(bool, i) X(double, j) X(double, k) X(double, l) \
    X(double, m) X(double, n) X(float, o) X(int64_t, p) X(uint8_t, q)
#define TYPE(T, name) , T
#define PARAMETER(T, name) , T name
#define ARGUMENT(T, name) , name
#define LIST_OF(...) REST_OF(__VA_ARGS__)
#define REST_OF(first, ...) __VA_ARGS__
typedef double (*mixed_callback)(LIST_OF(MIXED(TYPE)));

EXPORT double mixed(mixed_callback callback MIXED(PARAMETER));
double mixed(mixed_callback callback MIXED(PARAMETER))
{
    return callback(LIST_OF(MIXED(ARGUMENT))) + 0.5;
}

EXPORT float half(float (*f)(float), float x);
float half(float (*f)(float), float x) { return f(x) / 2; }

EXPORT uint32_t plus_one(uint32_t value);
uint32_t plus_one(uint32_t value) { return value + 1; }

EXPORT uint64_t sum_buffer(const uint8_t *bytes, size_t size);
uint64_t sum_buffer(const uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += bytes[i];
    return sum;
}

EXPORT size_t string_length(const char *string);
size_t string_length(const char *string)
{
    size_t length = 0;
    while (string[length] != 0) length++;
    return length;
}

EXPORT void *same_pointer(void *pointer);
void *same_pointer(void *pointer) { return pointer; }

/* C++ without its runtime: where only destructors are to run, the personality routine of C, in
 * libgcc_s, does what that of C++ does. In ELF the compiler reaches it by this word, of which those
 * of the files in C++ are weak definitions; in Mach-O by its name. */
#ifdef __MACH__
int32_t __gcc_personality_v0(int32_t, int32_t, uint64_t, void *, void *);
__attribute__((visibility("hidden"))) int32_t
__gxx_personality_v0(int32_t version, int32_t actions, uint64_t kind, void *exception, void *frame)
{
    return __gcc_personality_v0(version, actions, kind, exception, frame);
}
#else
__asm__(".pushsection .data.rel.ro.personality, \"aw\"\n"
        ".globl DW.ref.__gxx_personality_v0\n"
        ".hidden DW.ref.__gxx_personality_v0\n"
        ".balign 8\n"
        "DW.ref.__gxx_personality_v0: .quad __gcc_personality_v0\n"
        ".popsection\n");
#endif
