// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What an unwinder knows of a function where objects are Mach-O. Most functions have a compact
//! entry in __TEXT,__unwind_info, and no FDE, so the unwinder is asked for what it has read:
//! libunwind's <libunwind.h>, which is a part of Apple's libSystem.

/// `unw_proc_info_t`
pub const Function = extern struct {
    start: usize,
    end: usize,
    /// What the personality routine reads of the function; 0 where there is nothing.
    language_specific_data: usize,
    personality: usize,
    global_pointer: usize,
    flags: usize,
    /// The compact entry.
    format: u32,
    fde_size: u32,
    /// Where the compact entry refers to DWARF's table, as those of `switch_<arch>.S` do; else
    /// null.
    fde: ?[*]const u8,
    extra: usize,
};

/// Room for either, as Apple's header has it.
const State = extern struct { words: [128]u64 align(16) };
const Cursor = extern struct { words: [140]u64 align(16) };

extern "c" fn unw_getcontext(state: *State) c_int;
extern "c" fn unw_init_local(cursor: *Cursor, state: *State) c_int;
extern "c" fn unw_set_reg(cursor: *Cursor, register: c_int, value: usize) c_int;
extern "c" fn unw_get_proc_info(cursor: *Cursor, function: *Function) c_int;

/// The function that an address lies in, if there is an entry for it: a walk is begun here, and
/// made believe that it stands there.
pub fn find(address: usize) ?Function {
    const UNW_REG_IP = -1;
    var state: State = undefined;
    var cursor: Cursor = undefined;
    var found: Function = undefined;
    if (unw_getcontext(&state) != 0 or unw_init_local(&cursor, &state) != 0) return null;
    if (unw_set_reg(&cursor, UNW_REG_IP, address) != 0) return null;
    return if (unw_get_proc_info(&cursor, &found) == 0) found else null;
}
