/**
 * Loads dist/regtool.cjs, which scripts/bundle.mjs makes: the whole program in one file, and beside it what V8 had
 * compiled of it when a `--help` and a small migration had run.
 *
 * CPU time on Node 20, in turns: `--help` takes 0.63 of what its 100 modules took from files of their own, and a
 * `migrate` of 600 objects to S3 with nothing to do 0.53; in one file without compiled code, that takes 0.72.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import v8 from 'node:v8';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';

// V8 would let the heap grow to several times of what is in use: with this, a pass over 100,000 objects takes 170 MB
// in place of 270, and no more time. V8 takes compiled code only from where the same flags were set, so they are set
// here, for those who make it and those who use it.
v8.setFlagsFromString('--heap-growing-percent=40');

// The AWS SDK would say at each start that its next versions need a newer Node; the documentation says so once.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const bundleFile = path.join(root, 'dist', 'regtool.cjs');
export const compiledFile = path.join(root, 'dist', 'regtool.compiled');

/** Bytes before the compiled code: the sum by which it, and the program that it was made from, are known again. */
const SUM_BYTES = 4;

/**
 * Runs the bundle's own top level.
 * @returns what it exports, and the script, of which `createCachedData` gives what is compiled by then.
 */
export function loadBundle() {
  const program = readFileSync(bundleFile);
  // A byte is a character, as the bundle holds nothing but ASCII: so it is read fastest.
  const text = `(function (exports, require, module, addressOf) {${program.latin1Slice()}\n})`;
  const script = new vm.Script(text, {
    filename: bundleFile,
    cachedData: readCompiled(program),
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(bundleFile), module, addressOf);
  return { script, exports: module.exports };
}

/** What `import.meta.url` was in a file that is now part of the bundle: its path is from the folder of the bundle. */
function addressOf(file) {
  return new URL(file, pathToFileURL(bundleFile)).href;
}

/** What `readCompiled` takes. */
export function compiledFileOf(program, compiled) {
  const sum = Buffer.alloc(SUM_BYTES);
  sum.writeUInt32BE(sumOf(program, compiled));
  return Buffer.concat([sum, compiled]);
}

/**
 * The compiled code, unless it is damaged, that of another program, or from another kind of machine, as that in a
 * package may be: V8 asks for none of these, only whether it was made by the same version of V8, with the same flags,
 * and from a program as long as this. Where that is not so, or where there is none, V8 compiles the program itself,
 * which takes longer and is otherwise the same.
 */
function readCompiled(program) {
  let file;
  try {
    file = readFileSync(compiledFile);
  } catch (error) {
    // Whatever keeps it from being read: the program runs without.
    if (error.syscall !== undefined) {
      return undefined;
    }
    throw error;
  }
  const compiled = file.subarray(SUM_BYTES);
  const isWhole = file.length > SUM_BYTES && file.readUInt32BE() === sumOf(program, compiled);
  return isWhole ? compiled : undefined;
}

function sumOf(program, compiled) {
  return crc32(compiled, crc32(program, crc32(`${process.platform} ${process.arch}`)));
}
