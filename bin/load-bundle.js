'use strict';
/**
 * Loads what scripts/bundle.mjs makes: the program in two parts, each in one file, and beside each what V8 had compiled
 * of it when a `--help` and small runs of commands had ended. `dist/regtool.cjs` reads a command line and shows help;
 * `dist/regtool-commands.cjs` holds all commands, and is loaded when one runs.
 *
 * This is CommonJS, as bin/package.json says, and loads few of Node's own modules: Node starts its loader of ES modules
 * only for who uses it, which takes a quarter of the CPU time of a bare start.
 */
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');
const { crc32 } = require('node:zlib');

// The AWS SDK would say at each start that its next versions need a newer Node; the documentation says so once.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

const root = path.join(__dirname, '..');
const dist = path.join(root, 'dist');

/** Where the parts are, and what is compiled of each. */
const parts = {
  start: {
    programFile: path.join(dist, 'regtool.cjs'),
    compiledFile: path.join(dist, 'regtool.compiled'),
  },
  commands: {
    programFile: path.join(dist, 'regtool-commands.cjs'),
    compiledFile: path.join(dist, 'regtool-commands.compiled'),
  },
};

/** Bytes before the compiled code: the sum by which it, and the program that it was made from, are known again. */
const SUM_BYTES = 4;

/**
 * Runs a part's own top level.
 * @param lend what the part gets for the packages that it shares with another, by their names; all others are looked up.
 * @returns what it exports, and the script, of which `createCachedData` gives what is compiled by then.
 */
function loadPart({ programFile, compiledFile }, lend = {}) {
  const program = readFileSync(programFile);
  // A byte is a character, as a part holds nothing but ASCII: so it is read fastest.
  const script = new vm.Script(program.latin1Slice(), {
    filename: programFile,
    cachedData: readCompiled(program, compiledFile),
  });
  const part = { exports: {} };
  const requireFor = (name) => (Object.hasOwn(lend, name) ? lend[name]() : require(name));
  script.runInThisContext()(part.exports, requireFor, part, addressOf);
  return { script, exports: part.exports };
}

/** What `import.meta.url` was in a file that is now in a part: its path is from the folder of the parts. */
function addressOf(file) {
  return pathToFileURL(path.join(dist, file)).href;
}

/** What `readCompiled` takes. */
function compiledFileOf(program, compiled) {
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
function readCompiled(program, compiledFile) {
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

exports.root = root;
exports.parts = parts;
exports.loadPart = loadPart;
exports.compiledFileOf = compiledFileOf;
