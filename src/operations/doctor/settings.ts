import type { Driver, StoreSettings } from '../../drivers/driver.ts';
import type { Answer, FolderFacts, StoreProbe } from '../../drivers/probe.ts';
import { judgeLists } from './dialect.ts';
import { type DoctorCheck, type DoctorRole, failed, ok, unknown, warning } from './check.ts';

/** S3 and Azure refuse requests that are this far off (S3 API, RequestTimeTooSkewed; Azure, "Authorize with Shared Key"). */
const CLOCK_LIMIT_MS = 15 * 60_000;
const CLOCK_WARNING_MS = 2 * 60_000;

/** What the settings of a store mean for a registry on it, one line each. What is only read from need not fit. */
export function judgeSettings(
  store: Driver,
  role: DoctorRole,
  settings: StoreSettings,
  probe: StoreProbe | undefined,
): DoctorCheck[] {
  const isWrittenTo = role !== 'source';
  return [
    ...(probe?.proxy === undefined
      ? []
      : [ok('proxy', `is reached through ${probe.proxy.address}, as ${probe.proxy.variable} says`)]),
    ...known('credentials', probe?.credentials, (from) => ok('credentials', `from ${from}`)),
    ...known('clock', probe?.clockAheadMs, judgeClock),
    ...known('region', probe?.region, (region) => ok('region', region)),
    ...known('list-dialect', probe?.lists, judgeLists),
    ...known('archive', probe?.archived, judgeArchived),
    ...(isWrittenTo
      ? [
          ...namespace(store, settings),
          ...versioning(store, settings, probe),
          ...known('soft-delete', probe?.keepsDeletedDays, judgeSoftDelete),
          ...known('encryption', probe?.encryption, (how) => judgeEncryption(store, how)),
          ...known('object-lock', probe?.objectLock, judgeLock),
          ...known('lifecycle', probe?.lifecycle, judgeLifecycle),
        ]
      : []),
    ...known('folder', probe?.folder, (facts) => judgeFolder(facts, isWrittenTo)).flat(),
  ];
}

function known<T, U>(
  name: string,
  found: Answer<T> | undefined,
  judge: (value: T) => U,
): (U | DoctorCheck)[] {
  if (found === undefined) {
    return [];
  }
  if ('value' in found) {
    return [judge(found.value)];
  }
  const advice = found.missing === undefined ? undefined : `Grant ${found.missing} to see it.`;
  return [unknown(name, `not known: ${found.unknown}`, advice)];
}

function judgeClock(aheadMs: number): DoctorCheck {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const finding =
    seconds < 2
      ? "agrees with the store's"
      : `is ${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead of'} the store's`;
  const advice = 'Set this machine right, for example with NTP: beyond 15 minutes every request is refused.';
  if (Math.abs(aheadMs) >= CLOCK_LIMIT_MS) {
    return failed('clock', finding, advice);
  }
  return Math.abs(aheadMs) >= CLOCK_WARNING_MS ? warning('clock', finding, advice) : ok('clock', finding);
}

function judgeArchived({ looked, archived }: { looked: number; archived: number }): DoctorCheck {
  if (archived > 0) {
    return failed(
      'archive',
      `${archived} of the first ${looked} blobs lie in an archive, where they cannot be read`,
      'Restore them to a class that is read at once, and end the rule that moves them.',
    );
  }
  return ok(
    'archive',
    looked === 0 ? 'there are no blobs yet' : `none of the first ${looked} blobs lies in an archive`,
  );
}

function namespace(store: Driver, { hierarchicalNamespace }: StoreSettings): DoctorCheck[] {
  if (hierarchicalNamespace === undefined) {
    return store.name === 'azure'
      ? [
          unknown(
            'namespace',
            'whether it is hierarchical is not known',
            "Look at the account's properties: no registry works with a hierarchical namespace (ADLS Gen2).",
          ),
        ]
      : [];
  }
  return [
    hierarchicalNamespace
      ? failed(
          'namespace',
          'the account has a hierarchical namespace (ADLS Gen2), on which no registry works: it cannot delete what has become a folder',
          'Take an account without it; it cannot be turned off.',
        )
      : ok('namespace', 'flat, as registries need it'),
  ];
}

function versioning(
  store: Driver,
  { versioning: state }: StoreSettings,
  probe: StoreProbe | undefined,
): DoctorCheck[] {
  if (store.name === 'azure') {
    return azureVersioning(probe?.writes?.keepsVersions);
  }
  switch (state) {
    case 'enabled':
      return [
        warning(
          'versioning',
          versionsAreKept,
          'Add a lifecycle rule that removes older versions after some days.',
        ),
      ];
    case 'suspended':
      return [ok('versioning', 'suspended: what was kept before is still there')];
    case 'disabled':
      return [ok('versioning', 'off')];
    case undefined:
      return store.name === 's3'
        ? [unknown('versioning', 'not known', 'Grant s3:GetBucketVersioning to see it.')]
        : [];
  }
}

const versionsAreKept =
  'older versions are kept: whatever a registry rewrites or collects as garbage stays, and is paid for';

/** Azure tells of versions in its answer to what is written, and nowhere else that blob credentials reach. */
function azureVersioning(kept: Answer<boolean> | undefined): DoctorCheck[] {
  if (kept === undefined) {
    const finding = 'not known with these credentials by reading alone';
    return [
      unknown('versioning', finding, 'Run it with --write-probe, or look at the account: Data protection.'),
    ];
  }
  return known('versioning', kept, (isKept) =>
    isKept
      ? warning(
          'versioning',
          versionsAreKept,
          'Add a lifecycle rule that removes older versions after some days.',
        )
      : ok('versioning', 'off'),
  );
}

function judgeSoftDelete(days: number): DoctorCheck {
  const containers =
    'Whether a deleted container is kept is not known: only the management of the account says.';
  return days === 0
    ? ok('soft-delete', 'off: a deleted blob is gone at once', containers)
    : warning(
        'soft-delete',
        `deleted blobs are kept for ${plural(days, 'day')}, and paid for`,
        `It can bring back what a wrong delete took; garbage collection frees space only after it. ${containers}`,
      );
}

function plural(count: number, word: string): string {
  return count === 1 ? `1 ${word}` : `${count} ${word}s`;
}

function judgeEncryption(store: Driver, how: string): DoctorCheck {
  if (how === 'none') {
    return ok('encryption', 'the bucket encrypts nothing by itself');
  }
  if (how.startsWith('aws:kms')) {
    return ok(
      'encryption',
      `${how} by itself`,
      "The registry's credentials need kms:GenerateDataKey and kms:Decrypt for the key.",
    );
  }
  if (store.name === 's3') {
    return ok('encryption', `${how} by itself`);
  }
  return ok(
    'encryption',
    how.startsWith('$') ? "by itself, with the account's key" : `by itself, scope ${how}`,
  );
}

function judgeLock(isLocked: boolean): DoctorCheck {
  return isLocked
    ? warning(
        'object-lock',
        'objects can be locked against deletion',
        'With a default retention neither the registry nor migrate --delete removes anything: take another one for a registry.',
      )
    : ok('object-lock', 'objects are not locked against deletion');
}

function judgeLifecycle({
  abortsUploadsAfterDays: days,
  archivesTo,
  expiresObjects,
}: {
  abortsUploadsAfterDays: number | undefined;
  archivesTo: readonly string[];
  expiresObjects: boolean;
}): DoctorCheck {
  if (archivesTo.length > 0) {
    return failed(
      'lifecycle',
      `a rule moves objects to ${archivesTo.join(' and ')}, from where a registry cannot read them`,
      'Exclude the registry from that rule.',
    );
  }
  if (expiresObjects) {
    return warning(
      'lifecycle',
      'a rule removes objects by age: a registry would lose layers that are still in use',
      'See that it does not cover the registry.',
    );
  }
  return days === undefined
    ? warning(
        'lifecycle',
        'no rule removes the parts of unfinished uploads, which nothing lists and which are paid for',
        'Add one that aborts them after 3 days: runbook prints it.',
      )
    : ok('lifecycle', `unfinished uploads are removed after ${days} days`);
}

function judgeFolder(facts: FolderFacts, isWrittenTo: boolean): DoctorCheck[] {
  const { owner, runsAsUid, isReadable, isWritable, otherOwners } = facts;
  const [stranger] = otherOwners;
  const mode = owner.mode.toString(8).padStart(4, '0');
  const whose = `belongs to user ${owner.uid}, group ${owner.gid}, mode ${mode}`;
  return [
    isReadable && (isWritable || !isWrittenTo)
      ? ok('folder', whose)
      : failed(
          'folder',
          `${whose}, and user ${runsAsUid} may not ${isReadable ? 'write' : 'read'} there`,
          whoMay(facts),
        ),
    ...(isWrittenTo && isWritable ? [judgeOwner(facts)] : []),
    ...(stranger === undefined
      ? []
      : [
          warning(
            'owners',
            `${stranger.path} belongs to user ${stranger.uid}, and the root folder to user ${owner.uid}`,
            'The registry answers 500 where it may not read or write: chown everything to its user.',
          ),
        ]),
  ];
}

/** Whom to run as. What root may not do, a mode does not forbid. */
function whoMay({ owner, runsAsUid }: FolderFacts): string {
  if (runsAsUid === 0) {
    return 'See whether its file system is mounted read-only, or shared without rights for root.';
  }
  return `Run regtool as ${owner.uid === 0 ? '' : 'root, or as '}user ${owner.uid}, to whom it belongs.`;
}

function judgeOwner({ owner, runsAsUid }: FolderFacts): DoctorCheck {
  if (runsAsUid === 0) {
    return owner.uid === 0
      ? warning(
          'owner',
          'new files will belong to root, as the folder does',
          "Give the folder to the registry's user first (registry:git with Omnibus): new files follow it.",
        )
      : ok('owner', `new files will belong to user ${owner.uid}, as the folder does`);
  }
  return runsAsUid === owner.uid
    ? ok('owner', `new files will belong to user ${owner.uid}, as the folder does`)
    : warning(
        'owner',
        `new files will belong to user ${runsAsUid}, not to user ${owner.uid} as the folder does`,
        'Run regtool as root, which keeps the owner, or as the user of the registry.',
      );
}
