// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Reads the signature of a Mach-O file of 64 bits, and compares it with what the file has. The
 * names are those of Apple's <mach-o/loader.h> and <kern/cs_blobs.h>. LLVM's tools show the rest.
 */

import { createHash } from "node:crypto";

const LC_CODE_SIGNATURE = 0x1d;
/** Where the number of load commands lies, and the first one. */
const [NCMDS, COMMANDS] = [16, 32];

const [CSMAGIC_EMBEDDED_SIGNATURE, CSMAGIC_CODEDIRECTORY] = [0xfade0cc0, 0xfade0c02];
const [CS_ADHOC, CS_HASHTYPE_SHA256] = [0x2, 2];

/** Where the fields of a CodeDirectory lie, in bytes. Unlike all else it is big-endian. */
const [MAGIC, FLAGS, HASH_OFFSET, SPECIAL_SLOTS, CODE_SLOTS, CODE_LIMIT] = [0, 12, 16, 24, 28, 32];
const [HASH_SIZE, HASH_TYPE, PAGE_SIZE] = [36, 37, 39];

/** A part of a signature: where it lies in the file, and the slot whose digest is its. */
interface Blob {
  readonly slot: number;
  readonly at: number;
  readonly length: number;
}

/** Where the signature begins; the last thing in the file. */
function signatureAt(view: DataView): number {
  let at = COMMANDS;
  for (let left = view.getUint32(NCMDS, true); left > 0; left--) {
    if (view.getUint32(at, true) === LC_CODE_SIGNATURE) return view.getUint32(at + 8, true);
    at += view.getUint32(at + 4, true);
  }
  throw new Error("The file is not signed: it has no LC_CODE_SIGNATURE");
}

function blobs(view: DataView): Blob[] {
  const start = signatureAt(view);
  if (view.getUint32(start) !== CSMAGIC_EMBEDDED_SIGNATURE) throw new Error("No signature there");
  return Array.from({ length: view.getUint32(start + 8) }, (_, index) => {
    const entry = start + 12 + 8 * index;
    const at = start + view.getUint32(entry + 4);
    return { slot: view.getUint32(entry), at, length: view.getUint32(at + 4) };
  });
}

/**
 * Says what is wrong with the signature of a file, which must be made ad hoc; nothing: it holds.
 * Each page of the file has its digest in the CodeDirectory, and so has each other part of the
 * signature.
 */
export function wrongSignature(bytes: Uint8Array<ArrayBuffer>): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts = blobs(view);
  const directory = parts.find(({ at }) => view.getUint32(at + MAGIC) === CSMAGIC_CODEDIRECTORY)
    ?.at;
  if (directory === undefined) return ["there is no CodeDirectory"];
  const field = (offset: number): number => view.getUint32(directory + offset);
  const [hashSize, hashType, pageBits] = [HASH_SIZE, HASH_TYPE, PAGE_SIZE]
    .map((offset) => view.getUint8(directory + offset));
  const wrong: string[] = [];
  if ((field(FLAGS) & CS_ADHOC) === 0) wrong.push("it is not an ad-hoc one");
  if (hashType !== CS_HASHTYPE_SHA256) wrong.push("its digests are not SHA-256");
  if (field(CODE_LIMIT) !== signatureAt(view)) wrong.push("it does not cover the whole file");
  const digest = (slot: number): string => {
    const at = directory + field(HASH_OFFSET) + slot * hashSize!;
    return bytes.subarray(at, at + hashSize!).toHex();
  };
  const sha256 = (start: number, end: number): string =>
    createHash("sha256").update(bytes.subarray(start, end)).digest("hex");
  const size = 1 << pageBits!;
  if (field(CODE_SLOTS) !== Math.ceil(field(CODE_LIMIT) / size)) wrong.push("it lacks pages");
  for (let page = 0; page < field(CODE_SLOTS); page++) {
    const [start, end] = [page * size, Math.min((page + 1) * size, field(CODE_LIMIT))];
    if (sha256(start, end) !== digest(page)) wrong.push(`page ${page} has another digest`);
  }
  for (const { slot, at, length } of parts) {
    if (at === directory) continue;
    const is = slot <= field(SPECIAL_SLOTS) && sha256(at, at + length) === digest(-slot);
    if (!is) wrong.push(`its part ${slot} has another digest`);
  }
  return wrong;
}
