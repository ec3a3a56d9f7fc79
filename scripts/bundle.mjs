/**
 * Makes dist/regtool.cjs and dist/regtool-commands.cjs of what the compiler wrote and of the libraries that it uses,
 * and beside them what V8 has compiled of each when a `--help` and small runs of commands have ended: see
 * bin/load-bundle.js for what that is good for. The SDKs stay outside: they are large, and few runs need one.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { compiledFileOf, loadPart, parts, root } from '../bin/load-bundle.js';
import { lazyOclif } from './lazy-oclif.mjs';

const OCLIF = '@oclif/core';
const pjson = readJson('package.json');
const manifest = readJson('oclif.manifest.json');

const commands = await bundle(parts.commands, commandsEntry(), [`${OCLIF}/*`]);
const start = await bundle(parts.start, startEntry(commands.outside), []);
const libraries = licensesOf([...start.files, ...commands.files]);
writeFileSync(path.join(root, 'dist', 'regtool.licenses.txt'), libraries);
await warmUp();

function readJson(file) {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
}

/** Writes one part: @returns what files it is made of, and what parts of oclif it is to be lent. */
async function bundle({ programFile, compiledFile }, contents, external) {
  rmSync(compiledFile, { force: true });
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, sourcefile: path.basename(programFile) },
    outfile: programFile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    external: ['@aws-sdk/*', '@azure/*', 'typescript', ...external],
    // Node 20 refuses import() in a script that came from compiled code.
    supported: { 'dynamic-import': false },
    banner: { js: '(function (exports, require, module, addressOf) {' },
    footer: { js: '})' },
    plugins: [lazyOclif(), partOfUndici(), lateParser(), partOfWslUtils(), ownAddresses()],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  // In strings esbuild does so itself, and here that leaves regular expressions and comments.
  writeFileSync(programFile, outputFiles[0].text.replaceAll(/[\u0080-\uffff]/g, escaped));
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  return {
    files: Object.keys(metafile.inputs),
    outside: [...new Set(imports.map(({ path: name }) => name))].filter((name) => name.startsWith(OCLIF)),
  };
}

function commandsEntry() {
  const loaders = Object.values(manifest.commands).map(
    ({ id, relativePath }) =>
      `${JSON.stringify(id)}: () => import(${JSON.stringify(`./${relativePath.join('/')}`)}),`,
  );
  return `export const commands = { ${loaders.join('\n')} };`;
}

/** There is one oclif, which belongs to the part that starts, and is lent to the commands. */
function startEntry(lent) {
  const lend = lent.map((part) => `${JSON.stringify(part)}: () => require(${JSON.stringify(part)}),`);
  // As JSON, which V8 reads faster than it compiles the same of a program.
  return `
    import { start } from './dist/cli/start.js';
    const { pjson, manifest } = JSON.parse(${JSON.stringify(JSON.stringify({ pjson, manifest }))});
    const lend = { ${lend.join('\n')} };
    export const run = (root, argv, loadCommands) =>
      start({ root, pjson, manifest, loadCommands: () => loadCommands(lend) }, argv);
  `;
}

/**
 * Of undici that which is used: its index would start all of it, at a fifth of the CPU time of a whole start. `request`,
 * which reads what is streamed, is no part of the classes themselves: the index gives it to them.
 */
function partOfUndici() {
  const parts = { Pool: 'dispatcher/pool.js', buildConnector: 'core/connect.js' };
  return partOf('undici', [
    `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';`,
    `import request from 'undici/lib/api/api-request.js';`,
    `Dispatcher.prototype.request = request;`,
    ...Object.entries(parts).map(
      ([name, file]) => `export { default as ${name} } from 'undici/lib/${file}';`,
    ),
  ]);
}

/** Lets undici make its parser as scripts/parser-module.cjs does. */
function lateParser() {
  const made = 'new WebAssembly.Module(';
  const helper = JSON.stringify(path.join(root, 'scripts', 'parser-module.cjs'));
  return {
    name: 'late parser',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client-h1\.js$/ }, ({ path: file }) => {
        const text = readFileSync(file, 'utf8');
        if (!text.includes(made)) {
          throw new Error(
            `${file} makes its parser in another way: look whether it still needs to be made late.`,
          );
        }
        return { contents: text.replaceAll(made, `require(${helper}).parserModule(`) };
      });
    },
  };
}

/** oclif asks at each start whether this is Linux within Windows, and only on Windows for what else there is. */
function partOfWslUtils() {
  return partOf('wsl-utils', [
    `export { default as isWsl } from 'is-wsl';`,
    `export const powerShellPath = async () => (await import('wsl-utils')).powerShellPath();`,
  ]);
}

/** Puts lines in the place of a package's index, from where they see what that sees. */
function partOf(name, lines) {
  return {
    name: `part of ${name}`,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${name}$`), namespace: 'file' }, ({ importer }) => ({
        path: name,
        namespace: 'part',
        pluginData: path.dirname(createRequire(importer).resolve(name)),
      }));
      onLoad({ filter: new RegExp(`^${name}$`), namespace: 'part' }, ({ pluginData: resolveDir }) => ({
        contents: lines.join('\n'),
        resolveDir,
      }));
    },
  };
}

/** Lets a module find what lies beside it, such as the program of a thread, from where the compiler put it. */
function ownAddresses() {
  return {
    name: 'own addresses',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, ({ path: file }) => {
        if (!file.startsWith(path.join(root, 'dist'))) {
          return undefined;
        }
        const there = path.relative(path.join(root, 'dist'), file).split(path.sep).join('/');
        const address = `addressOf(${JSON.stringify(there)})`;
        return { contents: readFileSync(file, 'utf8').replaceAll('import.meta.url', address) };
      });
    },
  };
}

function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The licences of the libraries in the bundle, which are to go wherever their code goes. */
function licensesOf(files) {
  const folders = new Set(
    files.flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  const texts = [...folders]
    .toSorted((a, b) => a.localeCompare(b))
    .map((folder) => {
      const at = path.join(root, folder);
      const { name, version, license } = JSON.parse(readFileSync(path.join(at, 'package.json'), 'utf8'));
      const file = readdirSync(at).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file === undefined ? '' : readFileSync(path.join(at, file), 'utf8');
      return `${name} ${version} (${license})\n\n${text}`;
    });
  return `dist/regtool.cjs holds parts of these libraries.\n\n${texts.join(`\n${'-'.repeat(80)}\n`)}`;
}

/** Runs what most runs do, and keeps what V8 has compiled by then. Functions that do not run here are left for later. */
async function warmUp() {
  const startPart = loadPart(parts.start);
  let commandsPart;
  const loadCommands = (lend) => (commandsPart ??= loadPart(parts.commands, lend)).exports.commands;
  const folder = mkdtempSync(path.join(tmpdir(), 'regtool-build-'));
  // A command that fails ends this process, and with it the build.
  process.once('exit', () => rmSync(folder, { recursive: true }));
  writeSmallRegistry(folder);
  const store = createServer(answerAsEmptyBucket);
  await new Promise((resolve) => store.listen(0, '127.0.0.1', resolve));
  const target = `s3://bucket?region=us-east-1&pathstyle=true&endpoint=http://127.0.0.1:${store.address().port}`;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' });
  const print = process.stdout.write.bind(process.stdout);
  process.stdout.write = () => true;
  const run = (...argv) => startPart.exports.run(root, argv, loadCommands);
  await run('--help');
  await run('migrate', '--help');
  await run('check', folder, '--no-progress');
  await run('migrate', folder, target, '--dry-run', '--no-progress');
  process.stdout.write = print;
  store.close();
  keepCompiled(parts.start, startPart);
  keepCompiled(parts.commands, commandsPart);
}

function keepCompiled({ programFile, compiledFile }, { script }) {
  const program = readFileSync(programFile);
  writeFileSync(compiledFile, compiledFileOf(program, script.createCachedData()));
}

function writeSmallRegistry(folder) {
  const hex = createHash('sha256').update('layer').digest('hex');
  const files = {
    [`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`]: 'layer',
    [`repositories/app/_layers/sha256/${hex}/link`]: `sha256:${hex}`,
  };
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, 'docker/registry/v2', name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

function answerAsEmptyBucket(request, response) {
  const [, kind] = /[?&](list-type|uploads)\b/.exec(request.url) ?? [];
  const root = { 'list-type': 'ListBucketResult', uploads: 'ListMultipartUploadsResult' }[kind];
  response.writeHead(root === undefined ? 404 : 200);
  response.end(root === undefined ? '' : `<${root}><IsTruncated>false</IsTruncated></${root}>`);
}
