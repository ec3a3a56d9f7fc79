import { measure, median, type Measured } from './measure.ts';
import type { BenchRegistry } from './registry.ts';
import type { Result } from './report.ts';
import { DIRECT, type BenchStore } from './servers.ts';
import type { Tool } from './tools.ts';

/** Everything is to be copied into an empty bucket. */
export async function measureCopy(
  tools: Tool[],
  store: BenchStore,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const way of store.endpoints.keys()) {
    const what = `First copy of ${registry.objects} objects, ${store.name}, ${way}`;
    const copied = await inTurns(tools, rounds, async (tool) =>
      measure(tool.sync(registry.folder, await store.newPlace(way))),
    );
    results.push(...copied.map((result) => ({ ...result, what, objects: registry.objects })));
  }
  return results;
}

/**
 * Everything is there already, or all but one object in a thousand, which are new images. Each program finds
 * changes of its own, for the one before it has copied those that it found.
 */
export async function measureFinalPass(
  tools: Tool[],
  store: BenchStore,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const results: Result[] = [];
  const bucket = await fill(tools, store, registry, results);
  for (const way of store.endpoints.keys()) {
    const place = store.place(way, bucket);
    const unchanged = await inTurns(tools, rounds, (tool) => measure(tool.sync(registry.folder, place)));
    const objects = registry.objects;
    const about = `${objects} objects, ${store.name}, ${way}`;
    results.push(
      ...unchanged.map((result) => ({ ...result, what: `Final pass, nothing changed, ${about}`, objects })),
    );
    const changed = await inTurns(tools, rounds, async (tool) => {
      registry.grow(Math.ceil(objects / 1000));
      return measure(tool.sync(registry.folder, place));
    });
    results.push(
      ...changed.map((result) => ({ ...result, what: `Final pass, 0.1 % changed, ${about}`, objects })),
    );
  }
  return results;
}

/** The sink has had the names from its start; elsewhere they are copied there, which is a measurement too. */
async function fill(
  tools: Tool[],
  store: BenchStore,
  registry: BenchRegistry,
  results: Result[],
): Promise<string> {
  const [first] = tools;
  if (store.isPreloaded || first === undefined) {
    return 'preloaded';
  }
  const place = await store.newPlace(DIRECT);
  const measured = await measure(first.sync(registry.folder, place));
  console.error(`  ${first.name}, to fill it: ${JSON.stringify(measured)}`);
  const what = `First copy of ${registry.objects} objects, ${store.name}, ${DIRECT}`;
  results.push({ ...measured, what, tool: first.name, isRegtool: true, objects: registry.objects });
  return place.bucket;
}

/** Few large files: throughput, and what memory it takes. */
export async function measureLayers(
  tools: Tool[],
  store: BenchStore,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const copied = await inTurns(tools, rounds, async (tool) =>
    measure(tool.sync(registry.folder, await store.newPlace(DIRECT))),
  );
  const what = `Eight layers of 128 MiB, ${store.name}, ${DIRECT}`;
  return copied.map((result) => ({ ...result, what, bytes: 8 * 128 * 1024 * 1024 }));
}

/** Runs every program once in each round, and takes the median of the rounds for each. */
export async function inTurns<T extends { name: string; isRegtool: boolean }>(
  tools: T[],
  rounds: number,
  run: (tool: T) => Promise<Measured>,
): Promise<Omit<Result, 'what'>[]> {
  const runs = new Map<T, Measured[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const tool of tools) {
      const measured = await run(tool);
      // At once, as what follows may take hours or fail.
      console.error(`  ${tool.name}: ${JSON.stringify(measured)}`);
      runs.set(tool, [...(runs.get(tool) ?? []), measured]);
    }
  }
  return [...runs].map(([{ name, isRegtool }, measured]) => ({
    tool: name,
    isRegtool,
    wallS: median(measured.map(({ wallS }) => wallS)),
    cpuS: median(measured.map(({ cpuS }) => cpuS)),
    peakMb: highest(measured),
  }));
}

function highest(measured: Measured[]): number | undefined {
  const peaks = measured.map(({ peakMb }) => peakMb).filter((peakMb) => peakMb !== undefined);
  return peaks.length === 0 ? undefined : Math.max(...peaks);
}
