// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// Bodies and a function with callbacks that do what a script says, for tests/model/model_test.ts. A
// script is a list of steps, each of three words (what to do, an operand, how many words of steps
// are inside it) and the steps inside. Everything is known to tests/model/model.ts, too.
//
//   model_i32, model_u32, model_i64, model_f64   { T, T }       suspend where the script asks
//   model_void                                   { void, i32 }
//   i32 model_call(i32 first, const i32 *script, i32 size, i32 f(i32), i32 g(i32))
//                                                calls f or g where the script asks

#include "fringe.h"

namespace {

enum Step : int32_t {
    ASK,    // suspends with the value, or calls f (operand 0) or g (1) with it; takes the answer
    TRACE,  // puts the value on the trace
    FRAME,  // runs the steps inside in a frame of their own, with a destructor
    REPEAT, // runs the steps inside `operand` times
    LEAVE,  // if the value is odd: leaves `operand` frames
};

enum Slot : int32_t { I32, U32, I64, F64, VOID, SLOTS };

// What TypeScript reads and writes.
struct Shared {
    int32_t begun;  // how many scripts have begun; this number names each on the trace
    int32_t traced; // how many entries the trace has
    struct {
        int32_t script;
        int32_t number;
    } trace[65535];
    struct {
        int32_t size;
        int32_t words[1023];
    } scripts[SLOTS];
};

} // namespace

extern "C" __attribute__((visibility("default"))) Shared model_shared;
Shared model_shared;

namespace {

void put_on_trace(int32_t script, int32_t number)
{
    if (model_shared.traced < 65535) model_shared.trace[model_shared.traced++] = {script, number};
}

struct Traced {
    int32_t script;
    int32_t number;
    ~Traced() { put_on_trace(script, number); }
};

template <typename Ask> struct Script {
    Ask ask;
    uint32_t value;
    int32_t number = ++model_shared.begun;

    // Returns how many frames are to be left.
    int32_t run(const int32_t *steps, int32_t size)
    {
        for (int32_t at = 0; at < size;) {
            const int32_t operand = steps[at + 1];
            const int32_t *const inside = steps + at + 3;
            const int32_t size_inside = steps[at + 2];
            int32_t left = 0;
            switch (steps[at]) {
            case ASK:
                value = value * 31 + uint32_t(ask(operand, int32_t(value)));
                break;
            case TRACE:
                put_on_trace(number, int32_t(value));
                break;
            case FRAME:
                left = frame(operand, inside, size_inside);
                break;
            case REPEAT:
                for (int32_t i = 0; i < operand && left == 0; i++) left = run(inside, size_inside);
                break;
            case LEAVE:
                if (value % 2 == 1) left = operand;
                break;
            }
            if (left > 0) return left;
            at += 3 + size_inside;
        }
        return 0;
    }

    __attribute__((noinline)) int32_t frame(int32_t id, const int32_t *steps, int32_t size)
    {
        const Traced traced = {number, id};
        const int32_t left = run(steps, size);
        return left > 0 ? left - 1 : 0;
    }
};

// By way of 64 bits, because a double need not fit into 32.
template <typename T> int32_t low(T value) { return int32_t(int64_t(value)); }

template <typename T> struct Suspend {
    fringe::Yielder<T, T> *yielder;
    int32_t operator()(int32_t, int32_t value) const { return low(yielder->suspend(T(value))); }
};

template <typename T> void body(fringe::Yielder<T, T> *yielder, T first, Slot slot)
{
    Script<Suspend<T>> script = {{yielder}, uint32_t(low(first))};
    script.run(model_shared.scripts[slot].words, model_shared.scripts[slot].size);
}

struct SuspendOnly {
    fringe::Yielder<void, int32_t> *yielder;
    int32_t operator()(int32_t, int32_t value) const
    {
        yielder->suspend(value);
        return 1;
    }
};

struct Call {
    int32_t (*callbacks[2])(int32_t);
    int32_t operator()(int32_t which, int32_t value) const { return callbacks[which](value); }
};

} // namespace

#define BODY(name, T, slot) \
    FRINGE_EXPORT void name(fringe::Yielder<T, T> *yielder, T first) { body(yielder, first, slot); }
BODY(model_i32, int32_t, I32)
BODY(model_u32, uint32_t, U32)
BODY(model_i64, int64_t, I64)
BODY(model_f64, double, F64)

FRINGE_EXPORT void model_void(fringe::Yielder<void, int32_t> *yielder)
{
    Script<SuspendOnly> script = {{yielder}, 1};
    script.run(model_shared.scripts[VOID].words, model_shared.scripts[VOID].size);
}

FRINGE_EXPORT int32_t model_call(
    int32_t first, const int32_t *steps, int32_t size, int32_t (*f)(int32_t), int32_t (*g)(int32_t))
{
    Script<Call> script = {{{f, g}}, uint32_t(first)};
    script.run(steps, size);
    return int32_t(script.value);
}
