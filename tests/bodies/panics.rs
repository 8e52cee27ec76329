// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// Rust that panics, for exception_test.ts, which compiles it with the machine's rustc.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};

static OBJECTS: AtomicI32 = AtomicI32::new(0);

struct Object;

impl Object {
    fn new() -> Object {
        OBJECTS.fetch_add(1, Ordering::Relaxed);
        Object
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        OBJECTS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[no_mangle]
pub extern "C" fn alive() -> i32 {
    OBJECTS.load(Ordering::Relaxed)
}

#[inline(never)]
fn descend(input: i32, depth: i32) -> i32 {
    let _object = Object::new();
    if depth > 0 {
        return descend(input, depth - 1) + 1;
    }
    match input {
        0 => panic!("a literal"),
        1 => panic!("formatted: {input}"),
        2 => std::panic::panic_any(input),
        _ => Vec::<i32>::new()[input as usize],
    }
}

#[no_mangle]
pub extern "C-unwind" fn panics(_yielder: *mut c_void, input: i32) {
    // Used, so that the call is no jump.
    std::hint::black_box(descend(input, 3));
}

#[no_mangle]
pub extern "C-unwind" fn panics_answer(callback: extern "C-unwind" fn(i32) -> i32) -> i32 {
    let _object = Object::new();
    let answer = callback(1);
    if answer != 0 {
        panic!("the answer is {answer}");
    }
    answer
}
