// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The crash that docs/how.md shows is what gdb says of examples/crash.zig. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { crash, withCrash } from "../../tools/crash.ts";
import { text } from "../support/repository.ts";
import { testWith } from "../support/support.ts";

const page = `before
<!-- crash: begin, by tools/crash.ts -->
old
<!-- crash: end -->
after
`;

const program = `// a head

const fringe = @import("fringe");

fn body() void {
    fail();
}

pub fn main() void {
    start();
}
`;

const printed = `[Thread debugging using libthread_db enabled]
thread 6806 panic: on purpose

Program received signal SIGABRT, Aborted.
0x00000000010473a7 in os.abort () at /zig/lib/std/os.zig:7
#0  0x00000000010473a7 in os.abort () at /zig/lib/std/os.zig:7
#1  crash.body (a=1, b=...) at /home/native/../examples/crash.zig:6
#2  0x1 in a.Generator(usize,u32).init__func_8__struct_9.entry (a=1) at /home/native/a/a.zig:4
#3  0x0000000001046af6 in fringe_trampoline () at switch_x86_64.S:539
#4  <signal handler called>
#10 crash.main () at /home/native/../examples/crash.zig:10
#11 start.callMain () at /zig/lib/std/start.zig:7
`;

Deno.test("withCrash() shows the program and its call stack, and leaves the rest alone", () => {
  const result = withCrash(page, program, printed);
  assertEquals(withCrash(result, program, printed), result);
  assertStringIncludes(
    result,
    `before
<!-- crash: begin, by tools/crash.ts -->

\`\`\`zig
fn body() void {
    fail();
}

pub fn main() void {
    start();
}
\`\`\`
`,
  );
  assertStringIncludes(
    result,
    `
\`\`\`
panic: on purpose
#1  crash.body at examples/crash.zig:6
        fail();
#2  a.Generator(usize,u32).entry at native/a/a.zig
#3  fringe_trampoline at native/switch_x86_64.S
#4  <signal handler called>
#10 crash.main at examples/crash.zig:10
        start();
\`\`\`

<!-- crash: end -->
after
`,
  );
});

Deno.test("withCrash() refuses a page without the markers", () => {
  assertThrows(() => withCrash("before\nafter\n", program, printed), Error, "must contain <!--");
});

testWith("gdb", "docs/how.md has the call stack that gdb shows", async () => {
  const source = text("docs/how.md");
  assertEquals(
    withCrash(source, text("examples/crash.zig"), await crash()).split("\n"),
    source.split("\n"),
    "Run tools/crash.ts",
  );
});
