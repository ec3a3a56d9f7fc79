import type { StoreLocation } from '../../drivers/location.ts';
import type { RunbookStores } from './deployment.ts';
import { fenced } from './shell.ts';

/** Where regtool finds credentials in this shell, without any of them in a history or on a command line. */
export function credentials({
  source,
  target,
  keptFiles = [],
}: RunbookStores & { keptFiles?: readonly unknown[] | undefined }): string[] {
  const drivers = new Set(
    [source.location, target.location].filter(needsEnvironment).map(({ driver }) => driver),
  );
  const blocks = [
    ...(drivers.has('s3')
      ? [
          fenced('sh', [
            "printf 'Access key: '; read -r AWS_ACCESS_KEY_ID",
            "printf 'Secret key: '; read -rs AWS_SECRET_ACCESS_KEY; echo",
            'export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY',
          ]),
        ]
      : []),
    ...(drivers.has('azure')
      ? [
          fenced('sh', [
            `export AZURE_STORAGE_ACCOUNT=${accountOf([target.location, source.location])}`,
            "printf 'Account key: '; read -rs AZURE_STORAGE_KEY; echo",
            'export AZURE_STORAGE_KEY',
          ]),
        ]
      : []),
  ];
  if (blocks.length === 0) {
    return [];
  }
  return [
    'Credentials for this shell, unless a role or managed identity of this machine gives them:',
    ...blocks,
    ...(keptFiles.length === 0
      ? []
      : ['A store that is named by its configuration file takes its credentials from there.']),
    ...(isTwice(source.location, target.location)
      ? [
          'Both stores are of the same kind. If they need different credentials, put them into two profiles and add `profile=` to each location (S3), or name the source by its configuration file.',
        ]
      : []),
  ];
}

function needsEnvironment(location: StoreLocation): boolean {
  return location.driver === 'azure' || (location.driver === 's3' && location.profile === undefined);
}

function isTwice(source: StoreLocation, target: StoreLocation): boolean {
  return source.driver === target.driver && source.driver !== 'filesystem';
}

function accountOf(locations: readonly StoreLocation[]): string {
  const accounts = locations.flatMap((location) =>
    location.driver === 'azure' && location.account !== undefined ? [location.account] : [],
  );
  return accounts[0] ?? 'ACCOUNT';
}
