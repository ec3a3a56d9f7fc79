import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from './measure.ts';

/** Where a copy goes to. */
export interface Place {
  kind: StoreKind;
  /** Of an Azure account with the account in it. */
  endpoint: string;
  /** Or container. */
  bucket: string;
  /** Or account. */
  accessKey: string;
  secretKey: string;
}

/** A program that can bring a folder into a bucket, with the settings that make it fastest here. */
export interface Tool {
  name: string;
  version: string;
  isRegtool: boolean;
  /** The stores that it knows. */
  kinds: readonly StoreKind[];
  /** A first copy with it is as with the same program under another name. */
  isForFinalPass: boolean;
  /** First copy and final pass are the same command for all of them. */
  sync(folder: string, place: Place): Command;
}

export type StoreKind = 's3' | 'azure';

const IN_FLIGHT = 64;

/**
 * regtool, each further build of it that is named, and those of `aws`, `rclone` and `s5cmd` that are on the PATH.
 * @param builds folders that hold `bin/run.js`, by the name to print.
 */
export function findTools(builds: ReadonlyMap<string, string>, settingsFolder: string): Tool[] {
  const regtools = [...builds].map(([name, folder]) => regtool(name, folder));
  const awsSettings = path.join(settingsFolder, 'aws-config');
  const s3Settings = `s3 =\n  max_concurrent_requests = ${IN_FLIGHT}\n  addressing_style = path\n`;
  writeFileSync(awsSettings, `[default]\nregion = us-east-1\n${s3Settings}`);
  const peers = [aws(awsSettings), rclone('--size-only'), rclone('--checksum'), s5cmd()].filter(
    (tool) => tool !== undefined,
  );
  return [...regtools, ...peers];
}

function regtool(name: string, folder: string): Tool {
  const script = path.join(folder, 'bin', 'run.js');
  return {
    name,
    version: versionOf(process.execPath, [script, '--version']) ?? 'not built',
    isRegtool: true,
    kinds: ['s3', 'azure'],
    isForFinalPass: false,
    sync: (source, place) => ({
      command: process.execPath,
      args: [
        script,
        'migrate',
        source,
        place.kind === 's3'
          ? `s3://${place.bucket}?region=us-east-1&endpoint=${place.endpoint}&pathstyle=true`
          : `azure://${place.bucket}?serviceurl=${place.endpoint}`,
      ],
      env: credentials(place),
    }),
  };
}

function aws(settingsPath: string): Tool | undefined {
  return peer('aws', ['s3'], ['--version'], (source, place) => ({
    command: 'aws',
    args: [
      's3',
      'sync',
      '--only-show-errors',
      '--size-only',
      '--endpoint-url',
      place.endpoint,
      source,
      `s3://${place.bucket}`,
    ],
    env: { ...credentials(place), AWS_CONFIG_FILE: settingsPath },
  }));
}

/**
 * By size alone it does least, and misses a tag that was moved, for a tag's link has 71 bytes whatever it says. By
 * checksum it reads and hashes every file of the source, and finds what regtool finds.
 */
function rclone(comparing: '--size-only' | '--checksum'): Tool | undefined {
  const tool = peer('rclone', ['s3', 'azure'], ['version'], (source, place) => ({
    command: 'rclone',
    args: [
      'sync',
      source,
      place.kind === 's3' ? `:s3:${place.bucket}` : `:azureblob:${place.bucket}`,
      comparing,
      '--fast-list',
      // None: with a file it may replace that file, even where it is /dev/null.
      '--config',
      '',
      ...(place.kind === 's3' ? ['--s3-no-head'] : []),
      '--transfers',
      String(IN_FLIGHT),
      '--checkers',
      String(IN_FLIGHT),
    ],
    env: {
      ...credentials(place),
      RCLONE_S3_PROVIDER: 'Ceph',
      RCLONE_S3_ENV_AUTH: 'true',
      RCLONE_S3_ENDPOINT: place.endpoint,
      RCLONE_S3_REGION: 'us-east-1',
      RCLONE_S3_NO_CHECK_BUCKET: 'true',
      // With the account and key of the emulator, whatever else is given; but at this address.
      RCLONE_AZUREBLOB_USE_EMULATOR: 'true',
      RCLONE_AZUREBLOB_ENDPOINT: place.endpoint,
    },
  }));
  return tool === undefined || comparing === '--size-only'
    ? tool
    : { ...tool, name: `rclone ${comparing}`, isForFinalPass: true };
}

/** Without `--size-only`, which makes its final pass slower (19.4 s against 10.5 for 62,000 objects). */
function s5cmd(): Tool | undefined {
  return peer('s5cmd', ['s3'], ['version'], (source, place) => ({
    command: 's5cmd',
    args: [
      '--endpoint-url',
      place.endpoint,
      '--numworkers',
      String(IN_FLIGHT),
      '--log',
      'error',
      'sync',
      `${source}/`,
      `s3://${place.bucket}/`,
    ],
    env: credentials(place),
  }));
}

function peer(
  name: string,
  kinds: readonly StoreKind[],
  versionArgs: string[],
  sync: Tool['sync'],
): Tool | undefined {
  const version = versionOf(name, versionArgs);
  return version === undefined
    ? undefined
    : { name, version, isRegtool: false, kinds, isForFinalPass: false, sync };
}

/** The first line that a program says of itself; undefined when there is no such program. */
function versionOf(command: string, args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split('\n')[0] : undefined;
}

function credentials({ kind, accessKey, secretKey }: Place): Record<string, string> {
  if (kind === 'azure') {
    return { AZURE_STORAGE_ACCOUNT: accessKey, AZURE_STORAGE_KEY: secretKey };
  }
  return {
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}
