'use strict';
/**
 * Goes into the bundle, where undici makes the WebAssembly of its HTTP parser, most of which is one function of 34 KB.
 * V8 would compile that a second time, with everything it has, within the first three answers: 120 to 180 ms of CPU
 * time, a third of a whole run that finds little to do. So it comes after some hundred answers: not yet with 160, and
 * with 1,000 it has come.
 */
const v8 = require('node:v8');

/** What `node --v8-options` says of `--wasm-tiering-budget`, by V8's version: without it, V8 cannot be set back. */
const tieringBudgets = { 11.3: 1_800_000, 12.4: 13_000_000 };

/** Nearly as much as it may be: it is counted in bytes of code that has run. */
const LATE_BUDGET = 2_000_000_000;

/**
 * A module gets its budget when it is made. V8 is set back at once, as it takes compiled code, of Node's own modules
 * as well, only where all flags are those with which it was made.
 */
function parserModule(bytes) {
  const usual = tieringBudgets[/^\d+\.\d+/.exec(process.versions.v8)?.[0]];
  if (usual === undefined) {
    return new WebAssembly.Module(bytes);
  }
  v8.setFlagsFromString(`--wasm-tiering-budget=${LATE_BUDGET}`);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    v8.setFlagsFromString(`--wasm-tiering-budget=${usual}`);
  }
}

exports.tieringBudgets = tieringBudgets;
exports.parserModule = parserModule;
