// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** zlib's inflateBack as a stream, compared with what Deno itself packs. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { gzipSync } from "node:zlib";
import { Inflater, inflateStream, Source } from "../../examples/zlib.ts";
import { leftBehind } from "../support/malloc.ts";
import { gc, run, testWith } from "../support/support.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Format = "deflate-raw" | "gzip";

const FORMATS: readonly Format[] = ["deflate-raw", "gzip"];

/** Bytes that do not get smaller, the same each time. */
function random(size: number): Bytes {
  const bytes = new Uint8Array(size);
  let state = 1;
  for (let i = 0; i < size; i++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Bytes that get much smaller, with something in them to see that they are in order. */
function repetitive(size: number): Bytes {
  return Uint8Array.from({ length: size }, (_, i) => i % 1000 < 4 ? i / 1000 : i % 7);
}

async function collect(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return await new Response(stream).bytes();
}

async function pack(bytes: Bytes, format: Format): Promise<Bytes> {
  return await collect(new Blob([bytes]).stream().pipeThrough(new CompressionStream(format)));
}

function inChunks(bytes: Bytes, size: number): ReadableStream<Bytes> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += size));
    },
  });
}

async function inflate(bytes: Bytes, format: Format, chunkSize = 65_536): Promise<Bytes> {
  return await collect(inChunks(bytes, chunkSize).pipeThrough(inflateStream(format)));
}

async function failure(promise: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => promise, TypeError)).message;
}

/** Whether zlib is in memory: each stream opens it, and closes it after inflateBackEnd. */
function isOpen(): boolean {
  return Deno.readTextFileSync("/proc/self/maps").includes("/libz.so.1");
}

async function untilClosed(): Promise<void> {
  for (let i = 0; i < 100 && isOpen(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert(!isOpen(), "a stream has not ended its C call");
}

/** Lets everything go on that can. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
}

testWith("libz.so.1", "inflateStream gives back what CompressionStream has packed", async () => {
  const sizes = [0, 1, 65_535, 65_536, 65_537, 3_000_000];
  for (const format of FORMATS) {
    for (const make of [random, repetitive]) {
      for (const size of sizes) {
        const bytes = make(size);
        const packed = await pack(bytes, format);
        for (const chunkSize of [1, 7, 1000, 65_536, packed.length]) {
          if (packed.length / chunkSize > 10_000) continue;
          assertEquals(
            await inflate(packed, format, chunkSize),
            bytes,
            `${format} of ${size} bytes by ${make.name}(), in chunks of ${chunkSize}`,
          );
        }
      }
    }
  }
  await untilClosed();
});

testWith("libz.so.1", "inflateStream looks back as far as deflate does, 32 KiB", async () => {
  const block = random(32_000);
  const bytes = await new Blob([block, block, block]).bytes();
  const packed = await pack(bytes, "deflate-raw");
  assert(packed.length < 2 * block.length, "the blocks must be packed as repetitions");
  assertEquals(await inflate(packed, "deflate-raw"), bytes);
});

testWith("libz.so.1", "twenty inflateStreams at once do not disturb each other", async () => {
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const format = FORMATS[i % 2]!;
    const bytes = i % 3 === 0 ? random(50_000 + i) : repetitive(200_000 + i);
    const packed = await pack(bytes, format);
    const slow = new TransformStream<Bytes, Bytes>({
      async transform(chunk, controller) {
        await new Promise((resolve) => setTimeout(resolve, i % 3));
        // Whatever C knows the address of must still be there.
        if (i === 0) gc();
        controller.enqueue(chunk);
      },
    });
    const stream = inChunks(packed, Math.ceil(packed.length / 20)).pipeThrough(slow);
    assertEquals(await collect(stream.pipeThrough(inflateStream(format))), bytes);
  }));
  await untilClosed();
});

testWith("libz.so.1", "inflateStream skips empty chunks", async () => {
  const packed = await pack(repetitive(1000), "gzip");
  const empty = new Uint8Array();
  const stream = ReadableStream.from([empty, packed.slice(0, 30), empty, packed.slice(30), empty]);
  assertEquals(await collect(stream.pipeThrough(inflateStream("gzip"))), repetitive(1000));
});

testWith("libz.so.1", "inflateStream reads gzip headers with every field", async () => {
  const bytes = repetitive(5000);
  const plain = gzipSync(bytes);
  const FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16;
  const header = Uint8Array.of(
    ...[0x1f, 0x8b, 8, FHCRC | FEXTRA | FNAME | FCOMMENT, 1, 2, 3, 4, 0, 255],
    ...[3, 1, ...new Uint8Array(259)],
    ...new TextEncoder().encode("name\0comment\0"),
  );
  using inflater = new Inflater();
  const sum = Number(inflater.crc32(0n, header) & 0xffffn);
  const packed = new Uint8Array([...header, sum & 255, sum >> 8, ...plain.subarray(10)]);
  assertEquals(await inflate(packed, "gzip", 5), bytes);

  const at = header.length;
  assertEquals(
    await failure(inflate(packed.with(at, packed[at]! ^ 1), "gzip")),
    "Cannot inflate: header crc mismatch",
  );
  assertEquals(
    await failure(inflate(packed.with(2, 7), "gzip")),
    "Cannot inflate: unknown compression method",
  );
  assertEquals(
    await failure(inflate(packed.with(3, 0x80), "gzip")),
    "Cannot inflate: unknown header flags set",
  );
});

testWith("libz.so.1", "inflateStream reads gzip members that follow each other", async () => {
  const parts = [repetitive(100_000), new Uint8Array(), random(1000), repetitive(10)];
  const members = await Promise.all(parts.map((part) => pack(part, "gzip")));
  const packed = await new Blob(members).bytes();
  const bytes = await new Blob(parts).bytes();
  for (const chunkSize of [1, 100, packed.length]) {
    assertEquals(await inflate(packed, "gzip", chunkSize), bytes);
  }
});

testWith("libz.so.1", "inflateStream refuses what follows the data", async () => {
  for (const format of FORMATS) {
    const packed = await pack(repetitive(1000), format);
    for (const chunkSize of [1, packed.length, packed.length + 1]) {
      const longer = await new Blob([packed, new Uint8Array(20)]).bytes();
      const reader = inChunks(longer, chunkSize).pipeThrough(inflateStream(format)).getReader();
      assertEquals((await reader.read()).value, repetitive(1000));
      assertEquals(await failure(reader.read()), "Cannot inflate: something follows the data");
    }
  }
  await untilClosed();
});

testWith("libz.so.1", "inflateStream says in zlib's words what is corrupt", async () => {
  const message = async (...bytes: number[]): Promise<string> =>
    await failure(inflate(Uint8Array.from(bytes), "deflate-raw"));
  assertEquals(await message(0b111), "Cannot inflate: invalid block type");
  assertEquals(await message(1, 0, 0, 0, 0), "Cannot inflate: invalid stored block lengths");
  assertEquals(await message(0x63, 0x00, 0x11), "Cannot inflate: invalid distance too far back");

  const packed = await pack(repetitive(1000), "gzip");
  const damaged = (at: number): Promise<string> =>
    failure(inflate(packed.with(at, packed.at(at)! ^ 1), "gzip"));
  assertEquals(await damaged(0), "Cannot inflate: incorrect header check");
  assertEquals(await damaged(-8), "Cannot inflate: incorrect data check");
  assertEquals(await damaged(-4), "Cannot inflate: incorrect length check");
  await untilClosed();
});

testWith("libz.so.1", "inflateStream refuses an input that ends too soon, wherever", async () => {
  for (const format of FORMATS) {
    const packed = await pack(random(40), format);
    for (let length = 0; length < packed.length; length++) {
      assertEquals(
        await failure(inflate(packed.slice(0, length), format)),
        "Cannot inflate: the input ends before the data does",
      );
    }
  }
  await untilClosed();
});

testWith(
  "libz.so.1",
  "inflateStream fails on both sides when an input is wrong",
  async () => {
    const { readable, writable } = inflateStream("deflate-raw");
    const writer = writable.getWriter();
    writer.write(Uint8Array.of(0b111)).catch(() => {});
    const error = await assertRejects(() => collect(readable), TypeError);
    assertStrictEquals(await assertRejects(() => writer.closed), error);

    const short = inflateStream("deflate-raw");
    const shortWriter = short.writable.getWriter();
    shortWriter.write((await pack(random(1000), "deflate-raw")).slice(0, 500));
    const inflated = assertRejects(() => collect(short.readable), TypeError);
    assertStrictEquals(await assertRejects(() => shortWriter.close()), await inflated);
    await untilClosed();
  },
);

testWith("libz.so.1", "inflateStream refuses chunks that are no Uint8Array", async () => {
  const { readable, writable } = inflateStream("gzip");
  const writer = writable.getWriter();
  const written = writer.write("gzip" as unknown as Bytes);
  const message = "Cannot inflate: a chunk is not a Uint8Array";
  assertEquals(await failure(collect(readable)), message);
  assertEquals(await failure(written), message);
  await untilClosed();
});

testWith("libz.so.1", "a chunk is the writer's again once it is written", async () => {
  const bytes = random(200_000);
  const { readable, writable } = inflateStream("deflate-raw");
  const inflated = collect(readable);
  const writer = writable.getWriter();
  for await (const chunk of inChunks(await pack(bytes, "deflate-raw"), 50_000)) {
    await writer.write(chunk);
    chunk.fill(0);
    chunk.buffer.transfer();
  }
  await writer.close();
  assertEquals(await inflated, bytes);
});

testWith("libz.so.1", "nothing is inflated that nobody reads, even of one chunk", async () => {
  const bytes = new Uint8Array(1_000_000);
  const packed = await pack(bytes, "deflate-raw");

  using inflater = new Inflater();
  let blocks = 0;
  const waiting = Promise.withResolvers<void>();
  const source = new Source(() => Promise.resolve(packed));
  const call = inflater.inflate(source, () => {
    blocks++;
    return waiting.promise;
  });
  await settle();
  assertEquals(blocks, 1);
  waiting.resolve();
  await call;
  assertEquals(blocks, Math.ceil(bytes.length / 32_768));

  const { readable, writable } = inflateStream("deflate-raw");
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  writer.write(packed.slice(0, -10));
  let accepted = false;
  writer.write(packed.slice(-10)).then(() => accepted = true);
  const closed = writer.close();
  let size = 0;
  while (size < 900_000) {
    await settle();
    assert(!accepted);
    const { value } = await reader.read();
    assert(value!.length <= 32_768);
    size += value!.length;
  }
  for (let read; !(read = await reader.read()).done;) size += read.value!.length;
  await closed;
  assertEquals(size, bytes.length);

  // Not even all that there is, if it fits into one block.
  const small = inflateStream("deflate-raw");
  const smallWriter = small.writable.getWriter();
  smallWriter.write(await pack(bytes.slice(0, 10), "deflate-raw"));
  let isOver = false;
  const over = smallWriter.close().then(() => isOver = true);
  await settle();
  assert(!isOver);
  assertEquals(await collect(small.readable), bytes.slice(0, 10));
  await over;
});

testWith("libz.so.1", "cancelling or aborting either side ends the call of C", async () => {
  const packed = await pack(new Uint8Array(1_000_000), "gzip");
  const reason = new Error("on purpose");
  // In the header, in the data, and in the trailer.
  for (const length of [5, 500, packed.length - 4]) {
    for (const reads of [0, 1]) {
      const start = () => {
        const { readable, writable } = inflateStream("gzip");
        const [reader, writer] = [readable.getReader(), writable.getWriter()];
        writer.write(packed.slice(0, length)).catch(() => {});
        return { reader, writer };
      };
      const isOutput = length > 5 && reads > 0;

      const cancelled = start();
      if (isOutput) await cancelled.reader.read();
      else await settle();
      assert(isOpen());
      await cancelled.reader.cancel(reason);
      await untilClosed();
      assertStrictEquals(await assertRejects(() => cancelled.writer.closed), reason);

      const aborted = start();
      if (isOutput) await aborted.reader.read();
      else await settle();
      assert(isOpen());
      await aborted.writer.abort(reason);
      await untilClosed();
      assertStrictEquals(await assertRejects(() => aborted.reader.closed), reason);
    }
  }
});

testWith("libz.so.1", "an error of the source goes through inflateStream", async () => {
  const packed = await pack(random(100_000), "gzip");
  const reason = new Error("on purpose");
  const broken = ReadableStream.from((function* () {
    yield packed.slice(0, 50_000);
    throw reason;
  })());
  const inflated = collect(broken.pipeThrough(inflateStream("gzip")));
  assertStrictEquals(await assertRejects(() => inflated), reason);
  await untilClosed();
});

testWith("libz.so.1", "whatever way a stream ends, zlib's memory is freed", async () => {
  const packed = await pack(repetitive(1000), "deflate-raw");
  const round = async (): Promise<void> => {
    await inflate(packed, "deflate-raw");
    await inflate(packed.slice(0, 5), "deflate-raw").catch(() => {});
    await inflate(Uint8Array.of(0b111), "deflate-raw").catch(() => {});
    const { readable } = inflateStream("deflate-raw");
    await readable.cancel();
    await untilClosed();
  };
  const stateSize = 7_000;
  assertGreater(stateSize / 2, await leftBehind(50, stateSize / 2, round));
  await untilClosed();
});

testWith("libz.so.1", "examples/zlib.ts runs with --allow-ffi alone", async () => {
  const file = new URL("../../examples/zlib.ts", import.meta.url).href;
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /by inflateStream +32,768 bytes/);
  assertMatch(stdout, /20 of them have given/);
  assertMatch(stdout, /a changed byte +Cannot inflate: invalid block type\n/);
});
