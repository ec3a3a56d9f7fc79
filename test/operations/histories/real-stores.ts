import { mkdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openFilesystem } from '../../../src/drivers/filesystem.ts';
import { createBucket, createContainer, type SharedServers } from '../../servers/index.ts';
import { type History, histories, live, type Seen } from './history.ts';
import { openBucket, openContainer } from '../../support/own-stores.ts';

/** Opens an empty store; each call another, or with the same place another root of it. */
type Open = (servers: SharedServers, folder: string, place: string) => Promise<Driver>;

let opened = 0;

function nextRoot(): string {
  opened += 1;
  return `root-${opened}`;
}

const folder: Open = async (_servers, below) => {
  const root = path.join(below, nextRoot());
  mkdirSync(root);
  return openFilesystem({ root });
};

const bucket: Open = async ({ rgw }, _folder, place) => {
  return openBucket(rgw, place, { root: `${nextRoot()}/` });
};

const container: Open = async ({ azurite }) => {
  return openContainer(azurite, await createContainer(azurite));
};

export interface RealCase {
  name: string;
  source: Open;
  target: Open;
  /** Histories in the normal test command, in which each is to take seconds. */
  runs: number;
}

export const realCases: readonly RealCase[] = [
  { name: 'a folder to a folder', source: folder, target: folder, runs: 4 },
  { name: 'a folder to S3', source: folder, target: bucket, runs: 2 },
  { name: 'S3 to a folder', source: bucket, target: folder, runs: 2 },
  { name: 'S3 to Azure', source: bucket, target: container, runs: 2 },
  { name: 'one root of a bucket to another', source: bucket, target: bucket, runs: 2 },
];

/** Lets random histories happen between real stores, which are new for each. */
export async function liveOnReal(
  { source, target }: RealCase,
  servers: SharedServers,
  below: string,
  parameters: fc.Parameters<[History]>,
): Promise<Partial<Seen>> {
  const seen: Partial<Seen> = {};
  const place = await createBucket(servers.rgw);
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const stores = {
        source: await source(servers, below, place),
        target: await target(servers, below, place),
      };
      try {
        await live(history, seen, stores);
      } finally {
        await stores.source.close();
        await stores.target.close();
      }
    }),
    parameters,
  );
  return seen;
}
