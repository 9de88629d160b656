/** WAV files of sound cards on the host's file system; the machine thread writes them itself, like disk images. */
import { closeSync, openSync, writeSync } from "node:fs";
import { type WavFile, type WavFiles, WavSink } from "../audio/wav-sink.ts";
import type { Logger } from "../base/logger.ts";

const hostFiles: WavFiles = {
  create(path): WavFile {
    const file = openSync(path, "w", 0o600);
    return {
      write(offsetBytes, bytes) {
        for (let done = 0; done < bytes.length; )
          done += writeSync(file, bytes, done, bytes.length - done, offsetBytes + done);
      },
      close: () => closeSync(file),
    };
  },
};

/** What is played goes to `path`; a file that cannot be written is said once in the log, and the guest goes on in silence. */
export function createWavSink(path: string, log: Logger): WavSink {
  return new WavSink(path, hostFiles, (error) => {
    log.warn(
      `sound: cannot write '${path}' (${(error as NodeJS.ErrnoException).code ?? error}), it is played to nobody`,
    );
  });
}
