// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/* What of trials.c has a header, for peers that read one. */

#include <stdint.h>

typedef int32_t (*callback)(int32_t i);

struct pair {
    double x;
    int32_t id;
};

/* f(0) + … + f(n - 1), and nothing else: the loop that is timed. */
int32_t sum(int32_t n, callback f);

/* A pair of the library's own, { 0.5, 41 } at first. */
struct pair *shared_pair(void);

/* What is in it by now: id + 2 * x. */
int32_t seen_pair(void);
