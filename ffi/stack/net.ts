// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Safety nets: what is to be done for objects that became garbage before the program had disposed
 * of them.
 *
 * V8's `FinalizationRegistry` forgets an object by a token, which it looks up in a table. With a
 * token for each of a million objects the table alone costs more than all else. So objects have a
 * token in common, sixteen that were made one after the other: a `Batch`. When the last of them is
 * disposed of, V8 is told to forget the batch:
 *
 *     batch    made  0 1 2 3 ... 15      live: 16, 15, ... 0  ->  unregister(batch)
 *
 * Until then V8 keeps what belongs to the others, at most fifteen for each object that lives.
 */

/** Objects that V8 forgets together; it is their token, too. */
class Batch {
  /** How many there have been. */
  made = 0;
  /** How many the program has not disposed of. */
  live = 0;
}

const BATCH_SIZE = 16;

/** What stays of an object that is garbage. It does not refer to the object. */
export interface Caught {
  /** The batch of the object, until it is disposed of, or garbage. Only a `Net` writes this. */
  batch: Batch | undefined;
}

/** A safety net for one kind of objects. */
export class Net<Kept extends Caught> {
  readonly #registry: FinalizationRegistry<Kept>;
  #batch = new Batch();

  /** When an object is garbage, `finalize` is called, in a task of its own after the collection. */
  constructor(finalize: (kept: Kept) => void) {
    this.#registry = new FinalizationRegistry((kept) => {
      // The program has disposed of it, and others of its batch are left.
      if (kept.batch === undefined) return;
      this.remove(kept);
      finalize(kept);
    });
  }

  /** Spreads the net under an object, of which `kept` will be left. */
  add(object: object, kept: Kept): void {
    let batch = this.#batch;
    if (batch.made === BATCH_SIZE) batch = this.#batch = new Batch();
    this.#registry.register(object, kept, batch);
    kept.batch = batch;
    batch.made++;
    batch.live++;
  }

  /** The object has been disposed of; once more does nothing. */
  remove(kept: Kept): void {
    const { batch } = kept;
    if (batch === undefined) return;
    kept.batch = undefined;
    if (--batch.live === 0 && batch.made === BATCH_SIZE) this.#registry.unregister(batch);
  }
}
