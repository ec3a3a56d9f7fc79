import path from 'node:path';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { startAzurite, type AzuriteServer } from '../../test/servers/azurite.ts';
import { inTurns } from './copying.ts';
import { measure, type Measured } from './measure.ts';
import type { BenchRegistry } from './registry.ts';
import type { Result } from './report.ts';
import { DIRECT, type BenchStore } from './servers.ts';

type Builds = ReadonlyMap<string, string>;
type Environment = Record<string, string>;

/** The client's CPU for each small object that is put to Azure with a SAS, of which nothing has to be signed. */
export async function measureSas(
  builds: Builds,
  sink: BenchStore,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const env = { AZURE_STORAGE_ACCOUNT: 'azure', AZURE_STORAGE_SAS_TOKEN: SAS };
  const copied = await inTurns(toolsOf(builds), rounds, async ({ folder }) => {
    const { bucket, endpoint } = await sink.newPlace(DIRECT);
    return migrate(folder, registry, `azure://${bucket}?serviceurl=${endpoint}`, env);
  });
  const what = `First copy of ${registry.objects} objects with a SAS, ${sink.name}, ${DIRECT}`;
  return copied.map((result) => ({ ...result, what, objects: registry.objects }));
}

/** The same to Azurite, which checks signatures and bytes, and is then asked what it holds. */
export async function measureAzurite(
  builds: Builds,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const azurite = await startAzurite();
  const { serviceUrl, accountName, accountKey } = azurite;
  const env = { AZURE_STORAGE_ACCOUNT: accountName, AZURE_STORAGE_KEY: accountKey };
  let containers = 0;
  try {
    const copied = await inTurns(toolsOf(builds), rounds, async ({ name, folder }) => {
      containers += 1;
      const client = containerOf(azurite, `bench-${containers}`);
      await client.create();
      const location = `azure://${client.containerName}?serviceurl=${serviceUrl}`;
      const measured = await migrate(folder, registry, location, env);
      const blobs = await countBlobs(client);
      if (blobs !== registry.objects) {
        throw new Error(`${name} copied ${registry.objects} objects, and Azurite holds ${blobs}.`);
      }
      return measured;
    });
    const what = `First copy of ${registry.objects} objects to Azurite`;
    return copied.map((result) => ({ ...result, what, objects: registry.objects }));
  } finally {
    await azurite.stop();
  }
}

const SAS = `sv=2026-04-06&ss=b&srt=sco&sp=rwl&se=2999-01-01T00%3A00%3A00Z&sig=${'a'.repeat(44)}`;

function toolsOf(builds: Builds) {
  return [...builds].map(([name, folder]) => ({ name, isRegtool: true, folder }));
}

function migrate(
  folder: string,
  registry: BenchRegistry,
  location: string,
  env: Environment,
): Promise<Measured> {
  const args = [path.join(folder, 'bin', 'run.js'), 'migrate', registry.folder, location];
  return measure({ command: process.execPath, args, env });
}

function containerOf({ serviceUrl, accountName, accountKey }: AzuriteServer, name: string): ContainerClient {
  return new ContainerClient(
    `${serviceUrl}/${name}`,
    new StorageSharedKeyCredential(accountName, accountKey),
  );
}

async function countBlobs(client: ContainerClient): Promise<number> {
  let blobs = 0;
  for await (const page of client.listBlobsFlat().byPage()) {
    blobs += page.segment.blobItems.length;
  }
  return blobs;
}
