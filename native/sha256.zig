// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! SHA-256 as WebAssembly, for TypeScript: ffi/library/sha256.ts has the digest of fringe's library
//! before any native code may run. `zig build prebuilt` makes it.

const Sha256 = @import("std").crypto.hash.sha2.Sha256;

/// Puts the digest of what is at `memory` in its place. There is room for a digest, also where
/// `length` is less.
export fn sha256(memory: [*]u8, length: usize) void {
    Sha256.hash(memory[0..length], memory[0..Sha256.digest_length], .{});
}
