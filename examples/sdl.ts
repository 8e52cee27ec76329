// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Sound by SDL. SDL asks for it on a thread of its own, by a callback; TypeScript answers from
 * anything that can be iterated, such as an async generator or a `ReadableStream`. While the next
 * samples are computed, fetched or decoded, SDL's thread waits, and Deno's event loop runs. Nothing
 * is pulled before SDL asks, so there is back-pressure from the sound card to the source.
 *
 * ```sh
 * deno run --allow-ffi examples/sdl.ts             # silent: it needs no device
 * deno run --allow-ffi examples/sdl.ts pulseaudio  # or alsa, pipewire, ...: it is heard
 * ```
 *
 * It prints
 *
 * ```text
 * 1. A melody by an async generator
 *    4 notes of 0.05 s are 9,600 samples, for which SDL has asked 10 times
 *    a timer of Deno's has ticked meanwhile
 *
 * 2. A ReadableStream, with back-pressure
 *    20 chunks, never more than 1 ahead of what SDL has asked for
 *
 * 3. A source that never answers, ended by a signal
 *    SDL's thread waits for it: AbortError: enough
 *
 * 4. A source that throws
 *    Error: there is no such note
 *    and the next one plays: done
 * ```
 *
 * @module
 */

import { Callback, dlopen, PointerView } from "fringe";

const LIBRARY = "libSDL2-2.0.so.0";
const RTLD_LAZY = 1;
const RTLD_NODELETE = 0x1000;

// Deno unloads libraries when a program ends, though threads of SDL's may be running yet: SDL is
// to stay where it is.
using libc = dlopen("libc.so.6", {
  dlopen: { parameters: ["cstring", "i32"], result: "pointer" },
});
libc.symbols.dlopen(LIBRARY, RTLD_LAZY | RTLD_NODELETE);

const sdl = dlopen(LIBRARY, {
  // int SDL_AudioInit(const char *driver), which SDL_Init(SDL_INIT_AUDIO) calls; that one also
  // takes over SIGINT
  SDL_AudioInit: { parameters: ["cstring"], result: "i32" },
  // const char *SDL_GetCurrentAudioDriver(void)
  SDL_GetCurrentAudioDriver: { parameters: [], result: "cstring" },
  // const char *SDL_GetError(void): that of the thread
  SDL_GetError: { parameters: [], result: "cstring" },
  // SDL_AudioDeviceID SDL_OpenAudioDevice(const char *device, int is_capture,
  //     const SDL_AudioSpec *desired, SDL_AudioSpec *obtained, int allowed_changes)
  SDL_OpenAudioDevice: {
    parameters: ["cstring", "i32", "buffer", "pointer", "i32"],
    result: "u32",
  },
  // SDL holds a lock while it calls back, and takes it to pause. So who pauses waits for the
  // handler, and the handler needs the event loop: that must not be blocked meanwhile. Who closes
  // waits for the end of SDL's thread, which plays what it has.
  //
  // void SDL_PauseAudioDevice(SDL_AudioDeviceID, int pause)
  SDL_PauseAudioDevice: { parameters: ["u32", "i32"], result: "void", nonblocking: true },
  // void SDL_CloseAudioDevice(SDL_AudioDeviceID)
  SDL_CloseAudioDevice: { parameters: ["u32"], result: "void", nonblocking: true },
}).symbols;

/**
 * `void (*SDL_AudioCallback)(void *data, Uint8 *buffer, int length)`. A thread that nobody can
 * answer any more, since its Worker has been terminated, goes on with what the buffer has.
 */
const audioCallback = {
  parameters: ["pointer", "pointer", "i32"],
  result: "void",
  stop: undefined,
} as const;

/** `AUDIO_F32LSB`: samples are 32-bit floating-point numbers. */
const FLOAT_32 = 0x8120;

/** How many outputs are open. */
let open = 0;

/**
 * Chooses SDL's driver: "pulseaudio", "alsa", "pipewire", …; "dummy" for none; "disk" for a file.
 * Null leaves the choice to SDL, as does an `AudioOutput` where there is no driver yet.
 */
export function useDriver(driver: string | null): void {
  if (open > 0) throw new Error("The driver is in use: close all outputs first");
  if (sdl.SDL_AudioInit(driver) === 0) return;
  throw new Error(`Cannot use driver ${driver}: ${sdl.SDL_GetError()}`);
}

/** Samples from -1 to 1, those of the channels side by side, in chunks of any length. */
export type Sound =
  | AsyncIterable<Float32Array<ArrayBuffer>>
  | Iterable<Float32Array<ArrayBuffer>>;

/** What an `AudioOutput` plays on, and how. */
export interface AudioOptions {
  /** The name of the device, or of the file for "disk"; the default is SDL's. */
  readonly device?: string;
  /** Samples of a channel in a second. */
  readonly frequency?: number;
  readonly channels?: number;
  /** For how many samples of a channel SDL asks at once: a power of two. */
  readonly samples?: number;
}

/** A device of SDL's that plays one sound after the other. */
export class AudioOutput implements Disposable, AsyncDisposable {
  readonly #device: number;
  readonly #callback: Callback<typeof audioCallback>;
  #playback: Playback | undefined;
  /** Settled when nothing is being played. */
  #idle: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;
  #asked = 0;

  constructor(options: AudioOptions = {}) {
    const { device = null, frequency = 48_000, channels = 2, samples = 1024 } = options;
    if (sdl.SDL_GetCurrentAudioDriver() === null) useDriver(null);
    const callback = new Callback(
      audioCallback,
      (_data, buffer, length) => this.#answer(buffer!, length),
      { threads: true },
    );
    // While nothing is played the program may end.
    callback.unref();
    const specification = new Uint8Array(32);
    const view = PointerView.of(specification);
    view.setInt32(0, frequency);
    view.setUint16(4, FLOAT_32);
    view.setUint8(6, channels);
    view.setUint16(8, samples);
    view.setPointer(16, callback);
    this.#device = sdl.SDL_OpenAudioDevice(device, 0, specification, null, 0);
    if (this.#device === 0) {
      callback.close();
      throw new Error(`Cannot open audio device: ${sdl.SDL_GetError()}`);
    }
    this.#callback = callback;
    open++;
  }

  /** How often SDL has asked for samples of a sound. */
  get asked(): number {
    return this.#asked;
  }

  /** SDL's thread asks, and waits until this has been done. */
  async #answer(buffer: Deno.PointerObject, length: number): Promise<void> {
    // Zeros are silence, and stay where the sound has ended. Only this function writes to SDL's
    // buffer: a source that answers after `stop` writes here, where nobody reads any more.
    const bytes = new Uint8Array(length);
    const playback = this.#playback;
    // SDL goes on asking until it has paused.
    if (playback?.isOver === false) {
      this.#asked++;
      await playback.fill(bytes);
    }
    new PointerView(buffer).copyFrom(bytes);
  }

  /**
   * Plays a sound, until it ends, `stop` is called or the signal is aborted. What the source throws
   * is what the Promise is rejected with, and the reason of the signal as well. Silence follows.
   */
  async play(sound: Sound, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    if (this.#closed !== undefined) throw new Error("The output has been closed");
    if (this.#playback !== undefined) throw new Error("The output is playing: stop() it first");
    signal?.throwIfAborted();
    const playback = this.#playback = new Playback(sound);
    const { promise: idle, resolve: isIdle } = Promise.withResolvers<void>();
    this.#idle = idle;
    const abort = () => playback.fail(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#callback.ref();
    const begun = sdl.SDL_PauseAudioDevice(this.#device, 0);
    try {
      await playback.ended;
    } finally {
      signal?.removeEventListener("abort", abort);
      await begun;
      await sdl.SDL_PauseAudioDevice(this.#device, 1);
      this.#callback.unref();
      this.#playback = undefined;
      isIdle();
    }
  }

  /** Ends the sound that is being played, whose Promise is fulfilled. */
  stop(): Promise<void> {
    this.#playback?.end();
    return this.#idle;
  }

  /** Ends the sound, and closes the device. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.stop();
    await sdl.SDL_CloseAudioDevice(this.#device);
    // SDL's thread has ended: nobody calls any more.
    this.#callback.close();
    open--;
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Begins to close the device, which goes on while the event loop runs. */
  [Symbol.dispose](): void {
    void this.close();
  }
}

/** A sound that is being played. */
class Playback {
  isOver = false;
  readonly #filling: AsyncGenerator<void, void, Uint8Array>;
  readonly #ended = Promise.withResolvers<void>();
  /** Has SDL's thread go on, if it waits. */
  #goOn = () => {};

  constructor(sound: Sound) {
    this.#filling = filling(sound);
    // It goes to where it takes the first buffer.
    void this.#filling.next();
  }

  /** Settled when the sound has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resolves when the buffer is full, or the sound has ended. */
  fill(bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goOn = resolve;
    this.#filling.next(bytes).then(
      ({ done }) => done ? this.end() : resolve(),
      (error) => this.fail(error),
    );
    return promise;
  }

  end(): void {
    this.#ended.resolve();
    this.#leave();
  }

  fail(error: unknown): void {
    this.#ended.reject(error);
    this.#leave();
  }

  /** The source is told that nothing more is wanted, and not waited for. */
  #leave(): void {
    this.isOver = true;
    this.#goOn();
    void this.#filling.return();
  }
}

/** Takes a buffer by each `yield`, and comes back when that is full. */
async function* filling(sound: Sound): AsyncGenerator<void, void, Uint8Array> {
  let buffer = yield;
  let at = 0;
  for await (const chunk of sound) {
    let rest = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      const part = rest.subarray(0, buffer.length - at);
      buffer.set(part, at);
      at += part.length;
      rest = rest.subarray(part.length);
      if (at < buffer.length) continue;
      buffer = yield;
      at = 0;
    }
  }
  // The rest is silence. SDL asks once more when it has taken the last buffer.
  if (at > 0) yield;
}

const FREQUENCY = 48_000;
const mono = { frequency: FREQUENCY, channels: 1, samples: 1024 };

/** So many seconds of a sine wave, which swells and fades. */
function note(hertz: number, seconds: number): Float32Array<ArrayBuffer> {
  const length = FREQUENCY * seconds;
  return Float32Array.from({ length }, (_, i) => {
    const volume = 0.3 * Math.sin(Math.PI * i / length);
    return volume * Math.sin(2 * Math.PI * hertz * i / FREQUENCY);
  });
}

const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

async function melody(): Promise<void> {
  console.log("1. A melody by an async generator");
  await using output = new AudioOutput(mono);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  let samples = 0;
  let notes = 0;
  const score = async function* () {
    for (const hertz of [262, 330, 392, 523]) {
      await sleep(5);
      const played = note(hertz, 0.05);
      notes++;
      samples += played.length;
      yield played;
    }
  };
  await output.play(score());
  clearInterval(timer);
  const total = samples.toLocaleString("en");
  // It has asked once more, when it had taken the last.
  console.log(
    `   ${notes} notes of 0.05 s are ${total} samples, for which SDL has asked ${
      output.asked - 1
    } times`,
  );
  console.log(`   a timer of Deno's has ${ticks > 0 ? "ticked" : "not ticked"} meanwhile`);
}

async function backPressure(): Promise<void> {
  console.log("\n2. A ReadableStream, with back-pressure");
  await using output = new AudioOutput(mono);
  let made = 0;
  let ahead = 0;
  const stream = new ReadableStream<Float32Array<ArrayBuffer>>({
    pull(controller) {
      ahead = Math.max(ahead, ++made - output.asked);
      controller.enqueue(note(440, mono.samples / FREQUENCY));
      if (made === 20) controller.close();
    },
  });
  await output.play(stream);
  console.log(`   ${made} chunks, never more than ${ahead} ahead of what SDL has asked for`);
}

async function aborted(): Promise<void> {
  console.log("\n3. A source that never answers, ended by a signal");
  await using output = new AudioOutput(mono);
  const controller = new AbortController();
  const never = new ReadableStream<Float32Array<ArrayBuffer>>({
    pull() {
      const reason = new DOMException("enough", "AbortError");
      setTimeout(() => controller.abort(reason), 10);
    },
  });
  const { signal } = controller;
  const error = await output.play(never, { signal }).catch((error: Error) => error);
  console.log(`   SDL's thread waits for it: ${error}`);
}

async function failing(): Promise<void> {
  console.log("\n4. A source that throws");
  await using output = new AudioOutput(mono);
  const source = async function* () {
    yield note(440, 0.02);
    throw new Error("there is no such note");
  };
  console.log(`   ${await output.play(source()).catch((error: Error) => error)}`);
  await output.play([note(440, 0.02)]);
  console.log("   and the next one plays: done");
}

if (import.meta.main) {
  useDriver(Deno.args[0] ?? "dummy");
  await melody();
  await backPressure();
  await aborted();
  await failing();
}
