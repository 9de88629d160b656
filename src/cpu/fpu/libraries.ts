/** All library functions of the core module. */
import type { LibraryGenerator } from "../interpreter/generate.ts";
import type { LibrarySignature } from "../interpreter/imports.ts";
import { type LibraryFunction, library } from "../interpreter/library.ts";
import { extendedCore } from "./extended.ts";
import { extendedArithmetic } from "./extended-arithmetic.ts";
import { extendedConversions } from "./extended-convert.ts";
import { extendedDecimal } from "./extended-decimal.ts";
import { extendedRemainder } from "./extended-remainder.ts";
import { extendedTranscendental } from "./extended-transcendental.ts";
import { softfloatFunctions } from "./softfloat-library.ts";

/** Those of the x87. */
export const x87Functions: readonly LibraryFunction[] = [
  ...extendedCore,
  ...extendedArithmetic,
  ...extendedConversions,
  ...extendedRemainder,
  ...extendedDecimal,
  ...extendedTranscendental,
];

/** By name. */
export const librarySignatures: ReadonlyMap<string, LibrarySignature> = new Map(
  [...x87Functions, ...softfloatFunctions].map((f) => [f.name, f]),
);

export const coreLibraries: readonly LibraryGenerator[] = [library(x87Functions), library(softfloatFunctions)];
