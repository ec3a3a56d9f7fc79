/**
 * Measures regtool side by side with the tools that would be used otherwise, on this machine alone:
 * `npm run bench -- [--large] [--only copy,final,layers,check,start,azure] [--without aws] [--json FILE]
 * [--build NAME=FOLDER]`.
 * Registries are generated, the stores are a sink (a server that answers at once, as S3 and as Azure do) and, where it
 * is installed, Ceph's gateway, each reached directly and through 30 ms of added latency. Every program does the same work in
 * the same run, in turns. Look at the CPU time first: other load on the machine changes it least.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { available } from '../test/servers/available.ts';
import { createTemporaryFolder } from '../test/servers/process.ts';
import { measureAzurite, measureSas } from './bench/azure.ts';
import { measureCopy, measureFinalPass, measureLayers } from './bench/copying.ts';
import { measureCheck, measureStart } from './bench/local.ts';
import { BenchRegistry } from './bench/registry.ts';
import { present, type Result } from './bench/report.ts';
import { azureOf, startGateway, startSink, type BenchStore } from './bench/servers.ts';
import { findTools, type Tool } from './bench/tools.ts';

const ROUND_TRIP_MS = 30;
const PARTS = ['start', 'check', 'copy', 'final', 'layers', 'azure'] as const;

const { values } = parseArgs({
  options: {
    /** A registry of 1,000,000 objects in place of 60,000. */
    large: { type: 'boolean', default: false },
    /** Other sizes: of the final pass, and of the first copy. */
    objects: { type: 'string' },
    'copy-objects': { type: 'string', default: '6600' },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string', default: PARTS.join(',') },
    stores: { type: 'string', default: 'sink,azure,rgw' },
    /** Leaves the other tools out. */
    alone: { type: 'boolean', default: false },
    /** Leaves out some of them, by name: `aws` needs hours for a million objects. */
    without: { type: 'string', default: '' },
    /** Another build of regtool to measure with the same work, `before=/folder/with/bin`. */
    build: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});

const temporary = createTemporaryFolder('regtool-bench');
const closing: BenchStore[] = [];
try {
  const results = await run();
  console.log(['', ...present(results)].join('\n'));
  if (values.json !== undefined) {
    const machine = { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version };
    writeFileSync(values.json, `${JSON.stringify({ machine, results }, undefined, 2)}\n`);
  }
} finally {
  for (const store of closing) {
    await store.stop();
  }
  temporary.remove();
}

async function run(): Promise<Result[]> {
  const parts = new Set(values.only.split(','));
  const rounds = Number(values.rounds);
  const builds = new Map([
    ['regtool', path.join(import.meta.dirname, '..')],
    ...values.build.map(nameAndFolder),
  ]);
  const without = values.without.split(',');
  const tools = findTools(builds, temporary.path)
    .filter(({ isRegtool }) => isRegtool || !values.alone)
    .filter(({ name }) => !without.includes(name));
  const reaching = ({ kind }: BenchStore): Tool[] => tools.filter(({ kinds }) => kinds.includes(kind));
  const copying = (store: BenchStore): Tool[] => reaching(store).filter((tool) => !tool.isForFinalPass);
  for (const { name, version } of tools) {
    say(`${name}: ${version}`);
  }
  const results: Result[] = [];
  const add = async (measured: Promise<Result[]>): Promise<void> => {
    for (const result of await measured) {
      results.push(result);
      say(`${result.what}, ${result.tool}: ${JSON.stringify(result)}`);
    }
  };

  if (parts.has('start')) {
    await add(measureStart(builds));
  }
  const objects = Number(values.objects ?? (values.large ? 1_000_000 : 60_000));
  const needsLarge = parts.has('check') || parts.has('final');
  const registry = needsLarge ? makeRegistry('final', objects) : undefined;
  if (registry !== undefined && parts.has('check')) {
    await add(measureCheck(builds, registry, rounds));
  }
  const wanted = values.stores.split(',');
  const preloads = new Map(registry === undefined ? [] : [['preloaded', registry.folder]]);
  const sink = await startSink(ROUND_TRIP_MS, preloads);
  closing.push(sink);
  const stores = [
    ...(wanted.includes('sink') ? [sink] : []),
    ...(wanted.includes('azure') ? [azureOf(sink)] : []),
  ];
  if (wanted.includes('rgw') && available('rgw').ok) {
    const gateway = await startGateway(ROUND_TRIP_MS);
    closing.push(gateway);
    stores.push(gateway);
  }
  if (parts.has('copy')) {
    const small = makeRegistry('copy', Number(values['copy-objects']));
    for (const store of stores) {
      await add(measureCopy(copying(store), store, small, rounds));
    }
  }
  if (registry !== undefined && parts.has('final')) {
    for (const store of stores) {
      await add(measureFinalPass(reaching(store), store, registry, rounds));
    }
  }
  if (parts.has('layers')) {
    const layers = makeRegistry('layers', 0);
    layers.addLargeImage(8, 128 * 1024 * 1024);
    for (const store of stores) {
      await add(measureLayers(copying(store), store, layers, rounds));
    }
  }
  if (parts.has('azure')) {
    const small = makeRegistry('azure', Number(values['copy-objects']));
    await add(measureSas(builds, azureOf(sink), small, rounds));
    if (available('azurite').ok) {
      await add(measureAzurite(builds, small, rounds));
    }
  }
  return results;
}

function makeRegistry(name: string, objects: number): BenchRegistry {
  const folder = path.join(temporary.path, name);
  mkdirSync(folder);
  const registry = new BenchRegistry(folder, name);
  registry.grow(objects);
  say(`A registry of ${registry.objects} objects is in ${folder}.`);
  return registry;
}

function nameAndFolder(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), path.resolve(text.slice(at + 1))];
}

function say(line: string): void {
  console.error(line);
}
