// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Reads ELF files of 64 bits, for the tests that look into a library or change one. The names are
 * those of elf(5).
 */

/** Where the fields of the file's header lie, in bytes. */
const [E_PHOFF, E_SHOFF, E_PHENTSIZE, E_PHNUM] = [0x20, 0x28, 0x36, 0x38];
const [E_SHENTSIZE, E_SHNUM] = [0x3a, 0x3c];
/** The same of a section's header. */
const [SH_TYPE, SH_OFFSET, SH_SIZE, SH_LINK] = [4, 24, 32, 40];
/** The same of a symbol, and its size. */
const [ST_NAME, ST_SHNDX, ST_VALUE, SYMBOL_SIZE] = [0, 6, 8, 24];
/** The same of a segment's header. */
const [P_TYPE, P_OFFSET, P_VADDR, P_FILESZ] = [0, 8, 16, 32];

const [SHT_DYNSYM, SHN_UNDEF, PT_LOAD] = [11, 0, 1];

/**
 * The symbols that a library exports, with their addresses: .dynsym, as `nm -D --defined-only`
 * lists it.
 */
export function dynamicSymbols(bytes: Uint8Array<ArrayBuffer>): Map<string, number> {
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const section = (index: number): number =>
    word(E_SHOFF) + index * view.getUint16(E_SHENTSIZE, true);
  const symbols = new Map<string, number>();
  for (let index = 0; index < view.getUint16(E_SHNUM, true); index++) {
    const header = section(index);
    if (view.getUint32(header + SH_TYPE, true) !== SHT_DYNSYM) continue;
    const strings = word(section(view.getUint32(header + SH_LINK, true)) + SH_OFFSET);
    const start = word(header + SH_OFFSET);
    const end = start + word(header + SH_SIZE);
    // The first symbol is none.
    for (let symbol = start + SYMBOL_SIZE; symbol < end; symbol += SYMBOL_SIZE) {
      if (view.getUint16(symbol + ST_SHNDX, true) === SHN_UNDEF) continue;
      const name = strings + view.getUint32(symbol + ST_NAME, true);
      const text = new TextDecoder().decode(bytes.subarray(name, bytes.indexOf(0, name)));
      symbols.set(text, word(symbol + ST_VALUE));
    }
  }
  return symbols;
}

/** Where in the file the byte at an address of the library lies: by the segments to be loaded. */
export function offsetOf(bytes: Uint8Array<ArrayBuffer>, address: number): number {
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  for (let index = 0; index < view.getUint16(E_PHNUM, true); index++) {
    const header = word(E_PHOFF) + index * view.getUint16(E_PHENTSIZE, true);
    if (view.getUint32(header + P_TYPE, true) !== PT_LOAD) continue;
    const start = word(header + P_VADDR);
    if (address < start || address >= start + word(header + P_FILESZ)) continue;
    return word(header + P_OFFSET) + address - start;
  }
  throw new Error(`No segment has the address ${address}`);
}

/** Where in the file the last segment that is loaded ends. */
export function loadedEnd(bytes: Uint8Array<ArrayBuffer>): number {
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  return Math.max(
    ...Array.from({ length: view.getUint16(0x38, true) }, (_, index) => {
      const header = word(0x20) + index * view.getUint16(0x36, true);
      return word(header + 8) + word(header + 32);
    }),
  );
}
