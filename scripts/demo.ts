/**
 * The first command of the README: migrates a sample registry to Azure Blob Storage, on this machine alone.
 * Needs nothing but Node: the sample is made in code, and Azurite stands for Azure on a loopback address.
 * `--keep` leaves the sample's folder, to try other commands on.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { styleText } from 'node:util';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { sampleRegistry, type SampleRegistry } from '../fixtures/sample-registry.ts';
import { openFilesystem } from '../src/drivers/filesystem.ts';
import { openMemory } from '../src/drivers/memory.ts';
import { startAzurite, type AzuriteServer } from '../test/servers/azurite.ts';
import { createTemporaryFolder } from '../test/servers/process.ts';
import { brokenTags, pullableTags, type PullableTag } from '../test/support/pullable.ts';

const CONTAINER = 'registry';
const REPOSITORY_FOLDER = path.join(import.meta.dirname, '..');

/** Something that this demo promises did not hold. */
class Unexpected extends Error {}

let running: ChildProcess | undefined;

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => {
    // Both its stores are about to go: Azurite and the temporary folder end with this process.
    running?.kill('SIGKILL');
    process.exit(exitCode);
  });
}
process.exitCode = await demonstrate(process.argv.includes('--keep'));

async function demonstrate(keep: boolean): Promise<number> {
  if (!existsSync(path.join(REPOSITORY_FOLDER, 'dist', 'commands'))) {
    console.error('regtool is not built yet: run "npm run demo", which builds it first.');
    return 2;
  }
  const temporary = createTemporaryFolder('regtool-demo');
  const source = keep ? mkdtempSync(path.join(tmpdir(), 'regtool-sample-')) : `${temporary.path}/registry`;
  mkdirSync(source, { recursive: true });
  const azurite = await startAzurite();
  try {
    const sample = sampleRegistry();
    await sample.registry.writeTo(await openFilesystem({ root: source }));
    say(`A registry with ${countsOf(sample)} is in ${source}.`);
    say(`Azurite, which stands for Azure Blob Storage, answers at ${azurite.serviceUrl}.`);
    await migrateStepByStep(sample, source, azurite, temporary.path);
    return 0;
  } catch (error) {
    if (!(error instanceof Unexpected)) {
      throw error;
    }
    console.error(`\nThe demo did not go as it should: ${error.message}`);
    return 1;
  } finally {
    await azurite.stop();
    temporary.remove();
    if (keep) {
      say(`\nThe sample registry is kept in ${source}; remove it when you are done.`);
    }
  }
}

async function migrateStepByStep(
  sample: SampleRegistry,
  source: string,
  azurite: AzuriteServer,
  temporaryFolder: string,
): Promise<void> {
  const { serviceUrl, accountName, accountKey } = azurite;
  const credential = new StorageSharedKeyCredential(accountName, accountKey);
  const container = new ContainerClient(`${serviceUrl}/${CONTAINER}`, credential);
  await container.create();
  const env = {
    ...withoutSettings(process.env),
    AZURE_STORAGE_ACCOUNT: accountName,
    AZURE_STORAGE_KEY: accountKey,
    // What regtool leaves when it is killed goes with the rest.
    TMPDIR: temporaryFolder,
  };
  const migrate = ['migrate', source, `azure://${CONTAINER}?serviceurl=${serviceUrl}`];

  say(styleText('cyan', `$ export AZURE_STORAGE_ACCOUNT=${accountName} AZURE_STORAGE_KEY=...`));
  head('1. What would a migration do? Nothing is written.');
  await regtool([...migrate, '--dry-run'], env);
  expectEqual((await versionsOf(container)).length, 0, 'number of objects after the dry run');

  head('2. Migrate.');
  await regtool(migrate, env);
  const copied = await versionsOf(container);

  head('3. Migrate again: there is nothing left to do.');
  await regtool(migrate, env);
  const written = (await versionsOf(container)).filter((version) => !copied.includes(version));
  expectEqual(written.length, 0, 'number of objects written by the second migration');

  head(
    "4. Read the target back with Azure's own SDK, hash every manifest, config and layer, and follow each tag.",
  );
  await showTags(sample, container);

  say(
    '\nNow with your own registry, which may go on serving. See first what would be done; nothing is written:',
  );
  say('  node bin/run.js migrate /var/lib/registry "azure://CONTAINER?account=ACCOUNT" --dry-run');
}

async function showTags(sample: SampleRegistry, container: ContainerClient): Promise<void> {
  const expected = sample.registry.tags();
  const target = openMemory({ objects: await download(container) });
  const found = await pullableTags(target);
  const width = Math.max(...found.map(({ repository, tag }) => `${repository}:${tag}`.length));
  for (const { repository, tag, digest } of found) {
    say(`  ${`${repository}:${tag}`.padEnd(width)}  ${digest}`);
  }
  const [broken] = await brokenTags(target);
  if (broken !== undefined) {
    throw new Unexpected(`${broken.repository}:${broken.tag} cannot be pulled: ${broken.why}.`);
  }
  const missing = expected.find((tag) => !found.some((other) => isSame(tag, other)));
  if (missing !== undefined) {
    throw new Unexpected(`${missing.repository}:${missing.tag} does not stand for ${missing.digest}.`);
  }
  expectEqual(found.length, expected.length, 'number of tags at the target');
  say(`All ${found.length} tags are whole, and stand for what they stand for at the source.`);
}

function isSame(left: PullableTag, right: PullableTag): boolean {
  return left.repository === right.repository && left.tag === right.tag && left.digest === right.digest;
}

/** Runs the built command and shows what it says. */
async function regtool(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const [command = '', source = '', target = '', ...flags] = args;
  say(
    styleText(
      'cyan',
      `$ node bin/run.js ${command} ${source} \\\n    '${target}' ${flags.join(' ')}`.trimEnd(),
    ),
  );
  running = spawn(process.execPath, [path.join(REPOSITORY_FOLDER, 'bin', 'run.js'), ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
  });
  const child = running;
  const ended = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? String(signal)));
  });
  running = undefined;
  expectEqual(ended, 0, "regtool's exit code");
}

/** A connection string of the user's own, or a setting for regtool, has no part in the demo. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('AZURE_') && !name.startsWith('REGTOOL_')),
  );
}

/** Every blob with its version, which another write would change. */
async function versionsOf(container: ContainerClient): Promise<string[]> {
  const versions: string[] = [];
  for await (const { name, properties } of container.listBlobsFlat()) {
    versions.push(`${name} ${properties.etag}`);
  }
  return versions;
}

async function download(container: ContainerClient): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  for await (const { name } of container.listBlobsFlat()) {
    contents.set(name, await container.getBlobClient(name).downloadToBuffer());
  }
  return contents;
}

function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) {
    throw new Unexpected(`${what} should be ${String(expected)} and is ${String(actual)}.`);
  }
}

function countsOf({ registry }: SampleRegistry): string {
  return `${registry.repositories().length} repositories and ${registry.tags().length} tags`;
}

function head(title: string): void {
  say(`\n${styleText('bold', title)}`);
}

function say(line: string): void {
  console.log(line);
}
