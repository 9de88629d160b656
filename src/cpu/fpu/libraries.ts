/** All library functions of the core module. */
import type { LibraryGenerator } from "../interpreter/generate.ts";
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

export const coreLibraries: readonly LibraryGenerator[] = [library(x87Functions), library(softfloatFunctions)];
