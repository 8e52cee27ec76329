// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What `deno test` says of programs that use fringe, when it looks for leaked resources. */

import { join } from "node:path";
import { assertEquals, assertMatch } from "@std/assert";
import { moduleUrl, run } from "../support/support.ts";

Deno.test("deno test blames the first test that uses fringe, if it is the first use", async () => {
  const folder = await Deno.makeTempDir({ prefix: "fringe-test-" });
  try {
    for (const [i, line] of ["", "new OsStack()[Symbol.dispose]();"].entries()) {
      const file = join(folder, `${i}_test.ts`);
      await Deno.writeTextFile(
        file,
        `import { OsStack } from ${JSON.stringify(moduleUrl)};
        ${line}
        Deno.test.sanitizer({ ops: true, resources: true });
        Deno.test("first", () => new OsStack()[Symbol.dispose]());
        Deno.test("second", () => new OsStack()[Symbol.dispose]());`,
      );
      const { code, stdout } = await run(["test", "-A", "--no-check", file]);
      assertEquals(code, line === "" ? 1 : 0, stdout);
      assertMatch(stdout, line === "" ? /first \.\.\. FAILED/ : /2 passed \| 0 failed/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
