// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// zlib's inflateBack, whose input and output are callbacks: suspended, by Deno.UnsafeCallback.
//
// An operation is a callback: an input of so many bytes, or an output of at most 32 KiB. What has
// no callbacks is divided by the same number, so that figures of a group compare the same work.

import { Buffer } from "node:buffer";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { definitions, Inflater, inflateStream, ZStream } from "../examples/zlib.ts";
import { dlopen, PointerView } from "fringe";
import { howToInstall, isInstalled } from "../tools/packages.ts";
import { bench, libraryTarget, smoke } from "./setup.ts";

const NEXT_IN = ZStream.offsetOf("next_in");

/** How much inflateBack gives at once: its window. */
const BLOCK = 32 * 1024;

/** Text that gets about five times smaller. */
function makeText(): Uint8Array<ArrayBuffer> {
  const lines = Array.from({ length: smoke ? 2_000 : 50_000 }, (_, i) => `${i} has ${i * i}\n`);
  return new TextEncoder().encode(lines.join(""));
}

/** Measures whole calls of inflateBack, which is given `step` bytes of input at a time. */
function benchInflateBack(group: string, step: number): void {
  const text = makeText();
  const packed = new Uint8Array(deflateRawSync(text));
  const output = new Uint8Array(text.length);
  const inputs = Math.ceil(packed.length / step);
  const operations = inputs + Math.ceil(text.length / BLOCK);

  const inflater = new Inflater();
  const view = PointerView.of(inflater.stream);
  const { inflateBack } = dlopen("libz.so.1", definitions).symbols;
  const start = PointerView.of(packed).address;
  bench(
    group,
    `${group}, suspended callbacks`,
    () => {
      view.setPointer(NEXT_IN, null);
      let [read, written] = [0, 0];
      inflateBack(
        inflater.stream,
        (_, next) => {
          const length = Math.min(step, packed.length - read);
          new PointerView(next!).setBigUint64(0, start + BigInt(read));
          read += length;
          return length;
        },
        null,
        (_, bytes, length) => {
          new PointerView(bytes!).copyInto(output.subarray(written, written += length));
          return 0;
        },
        null,
      );
      return written;
    },
    text.length,
    operations,
  );

  const plain = Deno.dlopen("libz.so.1", {
    inflateBack: {
      parameters: ["buffer", "function", "pointer", "function", "pointer"],
      result: "i32",
    },
  });
  let [read, written] = [0, 0];
  const input = new Deno.UnsafeCallback(
    { parameters: ["pointer", "pointer"], result: "u32" },
    (_, next) => {
      const length = Math.min(step, packed.length - read);
      const place = Deno.UnsafePointerView.getArrayBuffer(next!, 8);
      new DataView(place).setBigUint64(0, start + BigInt(read), true);
      read += length;
      return length;
    },
  );
  const sink = new Deno.UnsafeCallback(
    { parameters: ["pointer", "pointer", "u32"], result: "i32" },
    (_, bytes, length) => {
      Deno.UnsafePointerView.copyInto(bytes!, output.subarray(written, written += length));
      return 0;
    },
  );
  bench(
    group,
    `${group}, Deno.UnsafeCallback`,
    () => {
      view.setPointer(NEXT_IN, null);
      [read, written] = [0, 0];
      plain.symbols.inflateBack(inflater.stream, input.pointer, null, sink.pointer, null);
      return written;
    },
    text.length,
    operations,
  );

  const whole = Buffer.from(packed.buffer);
  bench(
    group,
    `${group}: inflateRawSync, node:zlib`,
    () => inflateRawSync(whole).length,
    text.length,
    operations,
  );
}

/** Measures whole streams, in chunks of 64 KiB. An operation is 32 KiB of output. */
function benchStreams(): void {
  const text = makeText();
  const packed = new Uint8Array(deflateRawSync(text));
  const operations = Math.ceil(text.length / BLOCK);
  const inflate = async (
    stream: ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>,
  ): Promise<number> => {
    let written = 0;
    for await (const block of new Blob([packed]).stream().pipeThrough(stream)) {
      written += block.length;
    }
    return written;
  };
  bench(
    "inflate a stream",
    "inflateStream, awaited inflateBack",
    async () => await inflate(inflateStream("deflate-raw")),
    text.length,
    operations,
  );
  bench(
    "inflate a stream",
    "inflate a stream, DecompressionStream",
    async () => await inflate(new DecompressionStream("deflate-raw")),
    text.length,
    operations,
  );
}

for (const work of ["inflateBack, 64 KiB", "inflateBack, 64 bytes"]) {
  libraryTarget(work, 1, `${work}, suspended callbacks`);
}
if (isInstalled("libz.so.1")) {
  benchInflateBack("inflateBack, 64 KiB", 64 * 1024);
  benchInflateBack("inflateBack, 64 bytes", 64);
  benchStreams();
} else {
  console.error(howToInstall("libz.so.1"));
}
