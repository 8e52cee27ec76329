// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Reads ELF files of 64 bits, for the tests that look into a library or change one. */

/**
 * The symbols that a library exports, with their addresses: .dynsym, as `nm -D --defined-only`
 * lists it.
 */
export function dynamicSymbols(bytes: Uint8Array<ArrayBuffer>): Map<string, number> {
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const [SHT_DYNSYM, SHN_UNDEF] = [11, 0];
  const section = (index: number): number => word(0x28) + index * view.getUint16(0x3a, true);
  const symbols = new Map<string, number>();
  for (let index = 0; index < view.getUint16(0x3c, true); index++) {
    const header = section(index);
    if (view.getUint32(header + 4, true) !== SHT_DYNSYM) continue;
    const strings = word(section(view.getUint32(header + 40, true)) + 24);
    const [start, end] = [word(header + 24), word(header + 24) + word(header + 32)];
    for (let symbol = start + 24; symbol < end; symbol += 24) {
      if (view.getUint16(symbol + 6, true) === SHN_UNDEF) continue;
      const name = strings + view.getUint32(symbol, true);
      const text = new TextDecoder().decode(bytes.subarray(name, bytes.indexOf(0, name)));
      symbols.set(text, word(symbol + 8));
    }
  }
  return symbols;
}

/** Where in the file the byte at an address of the library lies: by the segments to be loaded. */
export function offsetOf(bytes: Uint8Array<ArrayBuffer>, address: number): number {
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const PT_LOAD = 1;
  for (let index = 0; index < view.getUint16(0x38, true); index++) {
    const header = word(0x20) + index * view.getUint16(0x36, true);
    if (view.getUint32(header, true) !== PT_LOAD) continue;
    const [offset, start, size] = [word(header + 8), word(header + 16), word(header + 32)];
    if (address >= start && address < start + size) return offset + address - start;
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
