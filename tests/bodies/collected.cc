// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C whose memory Boehm's collector manages, for tests/behaviour/thread_test.ts. */

#include <cstddef>

extern "C" {
struct GC_stack_base {
    void *base;
};

void *GC_malloc(size_t size);
void GC_gcollect();
int GC_get_stack_base(GC_stack_base *stack);
int GC_register_my_thread(const GC_stack_base *stack);
int GC_unregister_my_thread();

/**
 * Makes a list of 1 to n, collects around a callback, and gives the sum of the list. Only the stack
 * of this thread refers to the list.
 */
long sum_on_thread(long n, void (*between)())
{
    struct Node {
        Node *next;
        long value;
    };
    GC_stack_base stack;
    GC_get_stack_base(&stack);
    GC_register_my_thread(&stack);
    Node *list = nullptr;
    for (long i = 1; i <= n; i++) {
        Node *node = static_cast<Node *>(GC_malloc(sizeof(Node)));
        *node = {list, i};
        list = node;
    }
    GC_gcollect();
    between();
    GC_gcollect();
    long sum = 0;
    for (; list != nullptr; list = list->next) sum += list->value;
    GC_unregister_my_thread();
    return sum;
}
}
