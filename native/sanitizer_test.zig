// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of what AddressSanitizer is told: it sees what bodies do wrong, and nothing else.
