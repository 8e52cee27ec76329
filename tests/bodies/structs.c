/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Structs by value, and callbacks that take and give them. struct_call_test.ts compiles it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

/* In two registers, one of each kind. */
typedef struct {
    int32_t id;
    double x;
} mixed;

/* On x86_64 in no register; its result is where the caller says. */
typedef struct {
    int64_t a, b, c;
} big;

typedef struct {
    const char *first, *second;
} names;

typedef struct {
    int8_t bytes[256];
} __attribute__((aligned(256))) aligned;

mixed variable = {7, 0.25};

mixed mixed_add(mixed value, int32_t more)
{
    errno = more;
    return (mixed){value.id + more, value.x * 2};
}

big big_add(big value, int64_t more)
{
    errno = (int)more;
    return (big){value.a + more, value.b + more, value.c + more};
}

big big_of(int64_t i)
{
    return (big){i, -i, 100 * i};
}

/* Until an answer has a negative id. Gives the sum of what was answered. */
double call_mixed(int32_t count, mixed (*f)(mixed, int32_t))
{
    double sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const mixed got = f((mixed){i, i / 2.0}, 10);
        sum += got.id + got.x;
        if (got.id < 0) break;
    }
    return sum;
}

int64_t call_big(int32_t count, big (*f)(int64_t))
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const big got = f(i);
        sum += got.a + got.b + got.c;
        if (got.a < 0) break;
    }
    return sum;
}

/* Calls g first, and f then. */
double call_both(mixed (*f)(mixed, int32_t), int32_t (*g)(int32_t))
{
    const int32_t first = g(1);
    const mixed then = f((mixed){first, 0.5}, first);
    return then.id + then.x;
}

int32_t call_int(int32_t (*f)(int32_t), int32_t i)
{
    return f(i);
}

/* Looks at the last sixteen answers only when it has all of them. */
uint64_t call_names(int32_t count, names (*f)(int32_t))
{
    names got[16];
    uint64_t length = 0;
    for (int32_t i = 0; i < count; i++) got[i % 16] = f(i);
    for (int32_t i = 0; i < count && i < 16; i++) {
        length += strlen(got[i].first) + 100 * strlen(got[i].second);
    }
    return length;
}

uint64_t names_length(names value, const char *third)
{
    return strlen(value.first) + strlen(value.second) + strlen(third);
}

/* Where the struct is, beyond a multiple of its alignment. */
int64_t aligned_argument(const char *first, aligned second, int32_t third,
                         int32_t (*visit)(aligned, int32_t))
{
    const aligned *where = &second;
    __asm__("" : "+r"(where)); /* The compiler takes 0 for granted. */
    int32_t answer = visit(second, third);
    return (int64_t)((uintptr_t)where % sizeof(aligned)) + (answer - third) + (first == 0);
}

aligned aligned_result(int32_t byte)
{
    aligned result;
    memset(&result, byte, sizeof result);
    return result;
}

double sum_behind_dots(int32_t count, ...)
{
    va_list rest;
    va_start(rest, count);
    double sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const mixed a = va_arg(rest, mixed);
        const big b = va_arg(rest, big);
        sum += a.id + a.x + (double)(b.a + b.b + b.c);
    }
    va_end(rest);
    return sum;
}

typedef mixed on_mixed(mixed, int32_t);
typedef big on_big(int64_t);
static mixed got_mixed;
static big got_big;

static void *in_thread_mixed(void *f)
{
    got_mixed = ((on_mixed *)f)((mixed){1, 0.5}, 2);
    return NULL;
}

static void *in_thread_big(void *f)
{
    got_big = ((on_big *)f)(3);
    return NULL;
}

/* Calls back from a thread of its own. */
mixed mixed_from_thread(on_mixed *f)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread_mixed, (void *)f);
    pthread_join(thread, NULL);
    return got_mixed;
}

big big_from_thread(on_big *f)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread_big, (void *)f);
    pthread_join(thread, NULL);
    return got_big;
}
