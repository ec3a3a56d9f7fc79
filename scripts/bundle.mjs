/**
 * Makes dist/regtool.cjs of what the compiler wrote and of the libraries that it uses, and dist/regtool.compiled, what
 * V8 has compiled of it when a `--help` and a small migration have run: see bin/load-bundle.js for what that is good for.
 * The SDKs stay outside: they are large, and few runs need one.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { bundleFile, compiledFile, compiledFileOf, loadBundle, root } from '../bin/load-bundle.js';

const { commands } = JSON.parse(readFileSync(path.join(root, 'oclif.manifest.json'), 'utf8'));
const loaders = Object.values(commands).map(
  ({ id, relativePath }) =>
    `${JSON.stringify(id)}: () => import(${JSON.stringify(`./${relativePath.join('/')}`)}),`,
);
const entry = `
  import { start } from './dist/cli/start.js';
  const commands = { ${loaders.join('\n')} };
  export const run = (root, argv) => start(root, commands, argv);
`;

rmSync(compiledFile, { force: true });
const { metafile, outputFiles } = await build({
  absWorkingDir: root,
  stdin: { contents: entry, resolveDir: root, sourcefile: 'regtool.js' },
  outfile: bundleFile,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.19',
  external: ['@aws-sdk/*', '@azure/*', 'typescript'],
  // Node 20 refuses import() in a script that came from compiled code.
  supported: { 'dynamic-import': false },
  plugins: [partOfUndici(), ownAddresses()],
  metafile: true,
  write: false,
  logLevel: 'warning',
});
// In strings esbuild does so itself, and here that leaves regular expressions and comments.
const program = outputFiles[0].text.replaceAll(/[\u0080-\uffff]/g, escaped);
writeFileSync(bundleFile, program);
writeFileSync(path.join(root, 'dist', 'regtool.licenses.txt'), licensesOf(Object.keys(metafile.inputs)));
await warmUp();

/**
 * Of undici that which is used: its index would start all of it, at a fifth of the CPU time of a whole start. `request`,
 * which reads what is streamed, is no part of the classes themselves: the index gives it to them.
 */
function partOfUndici() {
  const parts = { Pool: 'pool.js', ProxyAgent: 'proxy-agent.js' };
  const contents = [
    `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';`,
    `import request from 'undici/lib/api/api-request.js';`,
    `Dispatcher.prototype.request = request;`,
    ...Object.entries(parts).map(
      ([name, file]) => `export { default as ${name} } from 'undici/lib/dispatcher/${file}';`,
    ),
  ];
  return {
    name: 'part of undici',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^undici$/ }, ({ path: name }) => ({ path: name, namespace: 'part' }));
      onLoad({ filter: /./, namespace: 'part' }, () => ({ contents: contents.join('\n'), resolveDir: root }));
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
        const there = path.relative(path.dirname(bundleFile), file).split(path.sep).join('/');
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
  const { script, exports } = loadBundle();
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
  await exports.run(root, ['--help']);
  await exports.run(root, ['migrate', folder, target, '--dry-run', '--no-progress']);
  process.stdout.write = print;
  store.close();
  writeFileSync(compiledFile, compiledFileOf(Buffer.from(program), script.createCachedData()));
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
