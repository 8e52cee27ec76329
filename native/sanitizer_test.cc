// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// For sanitizer_test.zig: bodies that AddressSanitizer watches.

#include "fringe.h"
