// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C that calls back from threads of its own, for tests/behaviour/foreign_test.ts. */

#include <cerrno>
#include <cstdint>
#include <pthread.h>
#include <unistd.h>
#include <thread>

namespace {
using Callback = int32_t (*)(int32_t);

struct Job {
    Callback f;
    int32_t argument;
    int32_t times;
    pthread_t thread;
};

Job jobs[256];
int32_t sum = 0;
int32_t wrong = 0;
int32_t finished = 0;

/** Calls back, and adds up what it is answered. */
void *work(void *argument)
{
    const Job *job = static_cast<const Job *>(argument);
    for (int32_t i = 0; i < job->times; i++) {
        errno = job->argument;
        const int32_t answer = job->f(job->argument);
        if (errno != job->argument) __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&sum, answer, __ATOMIC_SEQ_CST);
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    return nullptr;
}

using Mixed = double (*)(int8_t, float, double, int64_t, const char *, int32_t, int32_t, int32_t,
                         int32_t, double, uint16_t);

double mixed_answer = 0;
char text[64];

void *call_mixed(void *f)
{
    mixed_answer = reinterpret_cast<Mixed>(f)(-1, 0.5F, 2.5, -3, "four", 5, 6, 7, 8, 9.5, 65535);
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    return nullptr;
}

void *call_string(void *f)
{
    const char *answer = reinterpret_cast<const char *(*)(int32_t)>(f)(1);
    int32_t i = 0;
    for (; answer != nullptr && answer[i] != 0 && i < 63; i++) text[i] = answer[i];
    text[i] = 0;
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    return nullptr;
}
} // namespace

extern "C" {
/** Begins `count` threads, each of which calls `f(i)` so many times. */
void begin(Callback f, int32_t count, int32_t times)
{
    sum = wrong = finished = 0;
    for (int32_t i = 0; i < count; i++) {
        jobs[i] = {f, i, times, 0};
        pthread_create(&jobs[i].thread, nullptr, work, &jobs[i]);
    }
}

/** Waits for their ends. */
int32_t finish(int32_t count)
{
    for (int32_t i = 0; i < count; i++) pthread_join(jobs[i].thread, nullptr);
    return sum;
}

int32_t sum_now() { return __atomic_load_n(&sum, __ATOMIC_SEQ_CST); }
int32_t wrong_now() { return __atomic_load_n(&wrong, __ATOMIC_SEQ_CST); }
int32_t finished_now() { return __atomic_load_n(&finished, __ATOMIC_SEQ_CST); }

/** Calls `f(i)` on a thread of its own, and on this one, and gives the sum. */
int32_t both(Callback f, int32_t i)
{
    begin(f, 1, 1);
    const int32_t here = f(i);
    return finish(1) + here;
}

/** Calls `f` on this thread. */
int32_t call_here(Callback f, int32_t i) { return f(i); }

double mixed_on_thread(Mixed f)
{
    pthread_t thread;
    pthread_create(&thread, nullptr, call_mixed, reinterpret_cast<void *>(f));
    pthread_join(thread, nullptr);
    return mixed_answer;
}

const char *string_on_thread(const char *(*f)(int32_t))
{
    pthread_t thread;
    pthread_create(&thread, nullptr, call_string, reinterpret_cast<void *>(f));
    pthread_join(thread, nullptr);
    return text;
}

int32_t variadic_on_thread(int32_t (*f)(const char *, ...))
{
    int32_t answer = 0;
    std::thread([&] { answer = f("di", 0.25, -7); }).join();
    return answer;
}
}
