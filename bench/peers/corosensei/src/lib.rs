// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The loop of `bench/native/main.zig` for corosensei, in its safe interface, with the features
//! that it has by default.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use std::cell::RefCell;

thread_local! {
    static STACK: RefCell<Option<DefaultStack>> = const { RefCell::new(None) };
}

/// Resumes a body with 1 to `iterations`, then 0, and adds up what comes back.
#[no_mangle]
pub extern "C" fn round_trips(iterations: u32) -> u64 {
    let stack = STACK.take().unwrap_or_default();
    let mut coroutine: Coroutine<u32, u32, (), DefaultStack> =
        Coroutine::with_stack(stack, |yielder, first| {
            let mut input: u32 = first;
            while input != 0 {
                input = yielder.suspend(input.wrapping_add(1));
            }
        });
    let mut sum = 0;
    for i in 1..=iterations {
        if let CoroutineResult::Yield(output) = coroutine.resume(i) {
            sum += u64::from(output);
        }
    }
    // Ended by its own rules: unwinding an unfinished one would count as well.
    coroutine.resume(0);
    STACK.set(Some(coroutine.into_stack()));
    sum
}
