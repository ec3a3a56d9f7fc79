import type { S3Location, StoreLocation } from '../../drivers/location.ts';
import { s3Root } from '../../drivers/root.ts';
import type { RunbookStores } from './deployment.ts';
import { fenced, inlineCode, shellCommand } from './shell.ts';

/** Days after which parts of an upload that nobody finished are removed: what GitLab's documentation recommends. */
const abortAfterDays = 3;

/** What to keep, when the old data may go, and what a bucket needs that a folder did not. */
export function afterwards({ source, target }: RunbookStores): [title: string, ...blocks: string[]] {
  return [
    'Afterwards',
    'Keep the source, untouched, until a whole cycle has gone by on the target: every nightly build, a garbage collection, and a backup of the target that was restored once. A month is seldom too long. Keep the reports (`*.ndjson`), too.',
    ...parkSource(source.location),
    ...lifecycle(target.location),
    ...backup(target.location),
    'Delete the tag `regtool-smoke-test`. Empty the variables that hold credentials (`unset`, or end the shell).',
  ];
}

function parkSource(source: StoreLocation): string[] {
  if (source.driver !== 'filesystem') {
    return [
      'Take from the source bucket or container the right to write, now, so that no forgotten registry changes it. Remove its content once that time is over.',
    ];
  }
  const folder = source.path.replace(/\/$/, '');
  return [
    'Put the old data out of the way, now, so that no forgotten registry or job writes there:',
    fenced('sh', [shellCommand('mv', `${folder}/docker`, `${folder}/docker.moved-away`)]),
    'To go back after that, move it back first. Once that time is over, and not before:',
    fenced('sh', [shellCommand('rm', '--recursive', `${folder}/docker.moved-away`)]),
  ];
}

function lifecycle(target: StoreLocation): string[] {
  switch (target.driver) {
    case 'filesystem':
      return [];
    case 'azure':
      return [
        'Azure drops the blocks of unfinished uploads by itself after a week, so no rule is needed for them. If the account keeps versions or deleted blobs, limit for how long: a garbage collection frees nothing before that.',
      ];
    case 's3':
      return [
        'A push that breaks off leaves parts of a multipart upload: nothing lists them, and they are paid for. A lifecycle rule removes them. See which rules the bucket has:',
        fenced('sh', [aws(target, 'get-bucket-lifecycle-configuration')]),
        'The second command replaces them all, so put those that are there into the file as well:',
        fenced('sh', [
          "cat > lifecycle.json <<'REGTOOL'",
          ...JSON.stringify(lifecycleRules(target), undefined, 2).split('\n'),
          'REGTOOL',
          aws(
            target,
            'put-bucket-lifecycle-configuration',
            '--lifecycle-configuration',
            'file://lifecycle.json',
          ),
        ]),
        'If the bucket keeps versions, add a rule that removes the older ones after some days: the registry copies and deletes on every push, and a garbage collection frees nothing before that. Never let a rule move objects to Glacier or Deep Archive, where a registry cannot read them.',
      ];
  }
}

function lifecycleRules(target: S3Location) {
  return {
    Rules: [
      {
        ID: 'abort-unfinished-registry-uploads',
        Status: 'Enabled',
        Filter: { Prefix: `${s3Root(target.rootdirectory)}docker/registry/v2/` },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortAfterDays },
      },
    ],
  };
}

function aws({ bucket, region, endpoint, profile, secure }: S3Location, ...words: string[]): string {
  const url =
    endpoint === undefined || endpoint.includes('://')
      ? endpoint
      : `${secure === false ? 'http' : 'https'}://${endpoint}`;
  const [operation = '', ...rest] = words;
  return shellCommand(
    'aws',
    's3api',
    operation,
    '--bucket',
    bucket,
    ...(region === undefined ? [] : ['--region', region]),
    ...(url === undefined ? [] : ['--endpoint-url', url]),
    ...(profile === undefined ? [] : ['--profile', profile]),
    ...rest,
  );
}

function backup(target: StoreLocation): string[] {
  if (target.driver === 'filesystem') {
    return [];
  }
  const place = target.driver === 's3' ? `s3://${target.bucket}` : `azure://${target.container}`;
  return [
    `GitLab's backup does not contain a registry on object storage: back ${inlineCode(place)} up by other means, such as replication to another region.`,
  ];
}
