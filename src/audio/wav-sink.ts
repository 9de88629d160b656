/**
 * Sound into WAV files: PCM, 16 bits, stereo, at the rate of the card, sample by sample as it was played (pauses take no
 * room). Another rate begins another file: NAME.wav, NAME-2.wav and so on. The header is right after every write, so a file
 * is whole at any time but for the last moments before the program is killed.
 */
import type { AudioBackend } from "../backend-api/audio.ts";

/** Where the files are; `write` puts bytes at an offset. All may throw. */
export interface WavFiles {
  /** Creates the file, or empties it. */
  create(path: string): WavFile;
}
export interface WavFile {
  write(offsetBytes: number, bytes: Uint8Array): void;
  close(): void;
}

const HEADER_BYTES = 44;
const FRAME_BYTES = 4;
const BUFFER_BYTES = 64 * 1024;
/** Sizes in the header are 32 bits, and some programs take them as signed. */
const LONGEST_DATA_BYTES = 0x7fff_0000;

/** The header of a file with so much data. */
export function wavHeader(rateHz: number, dataBytes: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  const text = (at: number, letters: string) => {
    for (let i = 0; i < letters.length; i++) header[at + i] = letters.charCodeAt(i);
  };
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, rateHz * FRAME_BYTES, true);
  view.setUint16(32, FRAME_BYTES, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, dataBytes, true);
  return header;
}

export class WavSink implements AudioBackend {
  readonly #path: string;
  readonly #files: WavFiles;
  readonly #onError: (error: unknown) => void;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #used = 0;
  #file: WavFile | undefined;
  #count = 0;
  #rateHz = 0;
  #dataBytes = 0;
  #hasFailed = false;

  /** `path` ends in ".wav" or not. `onError` is called at most once: from then on the sink is deaf. */
  constructor(path: string, files: WavFiles, onError: (error: unknown) => void) {
    this.#path = path;
    this.#files = files;
    this.#onError = onError;
  }

  play(samples: Int16Array, rateHz: number): void {
    if (this.#hasFailed || samples.length === 0) return;
    if (rateHz !== this.#rateHz || this.#dataBytes + this.#used + samples.length * 2 > LONGEST_DATA_BYTES) {
      this.close();
      this.#rateHz = rateHz;
    }
    for (let i = 0; i < samples.length; i++) {
      if (this.#used === BUFFER_BYTES) this.flush();
      if (this.#hasFailed) return;
      this.#view.setInt16(this.#used, samples[i], true);
      this.#used += 2;
    }
  }

  /** Writes what has been played so far. */
  flush(): void {
    if (this.#used === 0 || this.#hasFailed) return;
    try {
      if (this.#file === undefined) {
        this.#file = this.#files.create(this.#nextPath());
        this.#dataBytes = 0;
      }
      this.#file.write(HEADER_BYTES + this.#dataBytes, this.#buffer.subarray(0, this.#used));
      this.#dataBytes += this.#used;
      this.#used = 0;
      this.#file.write(0, wavHeader(this.#rateHz, this.#dataBytes));
    } catch (error) {
      this.#hasFailed = true;
      this.#used = 0;
      this.#onError(error);
    }
  }

  close(): void {
    this.flush();
    this.#file?.close();
    this.#file = undefined;
    this.#dataBytes = 0;
  }

  #nextPath(): string {
    this.#count++;
    if (this.#count === 1) return this.#path;
    return `${this.#path.replace(/\.wav$/i, "")}-${this.#count}.wav`;
  }
}
