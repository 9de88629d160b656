/** Every option of modifyvm, in the order of its documentation. */
import { audioOptions, inputOptions, integrationOptions } from "./devices.ts";
import { generalOptions } from "./general.ts";
import { natOptions, networkOptions } from "./network.ts";
import type { ModifyOption } from "./option.ts";
import { displayOptions, platformOptions } from "./platform.ts";
import { processorOptions } from "./processor.ts";
import { hostOptions, recordingOptions, remoteOptions, teleportOptions } from "./remote.ts";
import { storageOptions } from "./storage.ts";

export const modifyOptions: readonly ModifyOption[] = [
  ...generalOptions,
  ...processorOptions,
  ...platformOptions,
  ...displayOptions,
  ...networkOptions,
  ...natOptions,
  ...inputOptions,
  ...audioOptions,
  ...integrationOptions,
  ...remoteOptions,
  ...recordingOptions,
  ...teleportOptions,
  ...hostOptions,
  ...storageOptions,
];
