// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C that owns its thread, for tests/behaviour/thread_test.ts, which compiles it. */

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

namespace {
thread_local int32_t mine = 0;

std::atomic<int32_t> ended = 0; // several threads end at once
int32_t ended_on = 0;

/** Notes on which thread its destructor runs. */
struct Noted {
    ~Noted()
    {
        ended++;
        ended_on = gettid();
    }
};

/** Whether an address of this frame lies on the stack that libpthread says the thread has. */
bool is_on_own_stack()
{
    pthread_attr_t attributes;
    void *limit = nullptr;
    size_t size = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &limit, &size);
    pthread_attr_destroy(&attributes);
    const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const uintptr_t start = reinterpret_cast<uintptr_t>(limit);
    return start <= here && here < start + size;
}
} // namespace

extern "C" {
int32_t ended_count() { return ended; }
int32_t ended_thread() { return ended_on; }

/** Gives 0 if the thread was the same before and after each of three callbacks. */
int32_t same_thread(int32_t (*f)(int32_t))
{
    const pid_t before = gettid();
    int32_t wrong = 0;
    mine = 5;
    for (int32_t i = 0; i < 3; i++) {
        errno = 40 + i;
        mine += f(before);
        wrong += gettid() != before || errno != 40 + i;
    }
    return wrong * 1000 + (is_on_own_stack() ? 0 : 100) + mine;
}

/** Holds a lock over a callback. Gives what unlocking says: 0, or EPERM to who does not own it. */
int32_t locked(int32_t (*f)(int32_t))
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex, &attributes);
    pthread_mutex_lock(&mutex);
    f(pthread_mutex_lock(&mutex));
    return pthread_mutex_unlock(&mutex);
}

/** Has something to destroy while it calls back. */
int32_t noted(int32_t (*f)(int32_t))
{
    Noted here;
    return f(gettid()) + f(gettid());
}

/** Ends the thread, when the callback says so. */
int32_t leaves(int32_t (*f)(int32_t))
{
    Noted here;
    if (f(gettid()) == 1) pthread_exit(nullptr);
    if (f(gettid()) == 1) pthread_cancel(pthread_self());
    pthread_testcancel();
    return 3;
}

int32_t throws(int32_t (*f)(int32_t))
{
    Noted here;
    if (f(gettid()) == 1) throw std::runtime_error("on a thread");
    return 4;
}

/** Takes 64 KiB of stack for each step. */
__attribute__((noinline)) int32_t deep(int32_t (*f)(int32_t), int32_t steps)
{
    volatile char room[64 * 1024];
    room[0] = 1;
    const int32_t below = steps == 0 ? f(0) : deep(f, steps - 1);
    return below + room[0];
}

/** Calls back until it is told to end; then says so where another Worker can look. */
int32_t until_told(int32_t (*f)(int32_t))
{
    Noted here;
    for (int32_t i = 0;; i++)
        if (f(i) != 0) return i;
}

/** Sleeps before it calls back. */
int32_t calls_late(int32_t (*f)(int32_t))
{
    Noted here;
    usleep(100 * 1000);
    return f(0);
}
}
