import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startRgw } from '../../test/servers/rgw.ts';
import type { Place, StoreKind } from './tools.ts';

/** A store to copy to, and the ways to it. */
export interface BenchStore {
  name: 'sink' | 'rgw' | 'Azure sink';
  kind: StoreKind;
  /** Whether it has the names of the registry for the final pass from its start. */
  isPreloaded: boolean;
  /** By what is printed: `direct`, `30 ms`. */
  endpoints: ReadonlyMap<string, string>;
  /** A new, empty bucket, reached by the way of this name. */
  newPlace(way: string): Promise<Place>;
  place(way: string, bucket: string): Place;
  stop(): Promise<void>;
}

export const DIRECT = 'direct';

/** @param preloads folders whose names the sink has from the start, by bucket. */
export async function startSink(
  roundTripMs: number,
  preloads: ReadonlyMap<string, string> = new Map(),
): Promise<BenchStore> {
  const sink = await startServer(['sink', ...[...preloads].flat()]);
  return storeAt('sink', sink, roundTripMs, { accessKey: 'key', secretKey: 'secret' }, async () => undefined);
}

/** The sink as an Azure account. It ends with the sink. */
export function azureOf(sink: BenchStore): BenchStore {
  const azure = (place: Place): Place => ({
    kind: 'azure',
    endpoint: `${place.endpoint}/azure`,
    bucket: place.bucket,
    accessKey: 'azure',
    secretKey: Buffer.from('no key').toString('base64'),
  });
  return {
    ...sink,
    name: 'Azure sink',
    kind: 'azure',
    newPlace: async (way) => azure(await sink.newPlace(way)),
    place: (way, bucket) => azure(sink.place(way, bucket)),
    stop: async () => undefined,
  };
}

/** Ceph's gateway, with its data in a sparse file on the disk. */
export async function startGateway(roundTripMs: number): Promise<BenchStore> {
  const rgw = await startRgw({ store: 'bluestore' });
  const { accessKey, secretKey, endpoint, region } = rgw;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  const server = { port: Number(new URL(endpoint).port), stop: () => rgw.stop() };
  return storeAt('rgw', server, roundTripMs, { accessKey, secretKey }, async (bucket) => {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  });
}

async function storeAt(
  name: BenchStore['name'],
  server: BenchServer,
  roundTripMs: number,
  credentials: { accessKey: string; secretKey: string },
  createBucket: (name: string) => Promise<void>,
): Promise<BenchStore> {
  const delay = await startServer(['delay', String(server.port), String(roundTripMs)]);
  const endpoints = new Map([
    [DIRECT, `http://127.0.0.1:${server.port}`],
    [`${roundTripMs} ms`, `http://127.0.0.1:${delay.port}`],
  ]);
  let buckets = 0;
  const place = (way: string, bucket: string): Place => ({
    kind: 's3',
    endpoint: endpoints.get(way) ?? '',
    bucket,
    ...credentials,
  });
  return {
    name,
    kind: 's3',
    isPreloaded: name === 'sink',
    endpoints,
    place,
    async newPlace(way) {
      buckets += 1;
      const bucket = `bench-${buckets}`;
      await createBucket(bucket);
      return place(way, bucket);
    },
    async stop() {
      await delay.stop();
      await server.stop();
    },
  };
}

interface BenchServer {
  port: number;
  stop(): Promise<void>;
}

const PROGRAM = path.join(import.meta.dirname, '..', 'bench-server.ts');

async function startServer(args: string[]): Promise<BenchServer> {
  const node = ['--max-old-space-size=8192', '--import', 'tsx', PROGRAM];
  const child = spawn(process.execPath, [...node, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit');
  const [first] = (await Promise.race([once(lines, 'line'), ended])) as unknown[];
  const port = Number(first);
  if (typeof first !== 'string' || !(port > 0)) {
    throw new Error(`The benchmark's server did not start: ${args[0]}`);
  }
  return {
    port,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
