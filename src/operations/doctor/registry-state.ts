import type { Driver, StoreIdentity } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { lockfileKey, REGISTRY_ROOT } from '../../layout/paths.ts';
import { describeOtherRoot, findAtOtherRoot } from '../other-root.ts';
import { findRegistryRoot } from '../find-registry-root.ts';
import { type OpenAbove, registryNearby, whereElse } from '../where-else.ts';
import { type DoctorCheck, type DoctorRole, failed, ok, warning } from './check.ts';

export interface RegistryState {
  isRegistry: boolean;
  checks: DoctorCheck[];
}

export interface RegistryStateOptions {
  role: DoctorRole;
  /** What the registry's own configuration says, where it was named as the store. */
  readOnly: boolean | undefined;
  hasConfiguration: boolean;
  /** To look for the registry above the store, too. */
  openAbove?: OpenAbove | undefined;
  /** The source, of a target: that a registry is there is no surprise. */
  besides?: StoreIdentity | undefined;
  signal: AbortSignal | undefined;
}

/** Whether there is a registry at the root, where it is otherwise, and who manages its metadata. */
export async function examineRegistry(store: Driver, options: RegistryStateOptions): Promise<RegistryState> {
  const { signal, role } = options;
  const configured = options.hasConfiguration ? [judgeReadOnly(options.readOnly, role)] : [];
  const root = await findRegistryRoot(store, { signal });
  if (!root.exists) {
    return { isRegistry: false, checks: [await judgeAbsence(store, options), ...configured] };
  }
  const other = await findAtOtherRoot(store, { signal });
  const isWhole = root.hasBlobs && (root.hasRepositories || root.isDatabaseManaged);
  const part = root.hasBlobs ? 'no repositories' : 'no blobs';
  return {
    isRegistry: isWhole,
    checks: [
      isWhole
        ? ok('root', `a registry, below ${store.identity.root}${REGISTRY_ROOT}`)
        : (role === 'target' ? warning : failed)(
            'root',
            `${REGISTRY_ROOT} has ${part}`,
            'Is a part of it on a disk that is not mounted?',
          ),
      ...(other === undefined
        ? []
        : [warning('other-root', 'there is another registry', describeOtherRoot(other))]),
      await judgeLockfiles(store, role, signal),
      ...configured,
    ],
  };
}

/** A target need not have a registry yet. One that has it nearby was probably meant to be named otherwise. */
async function judgeAbsence(store: Driver, options: RegistryStateOptions): Promise<DoctorCheck> {
  const finding = `no registry: there is nothing below ${REGISTRY_ROOT}`;
  const { openAbove, besides, signal } = options;
  if (options.role !== 'target') {
    const where = await unlessUnreadable(() => whereElse(store, { openAbove, signal }));
    return options.role === 'source' ? failed('root', finding, where) : warning('root', finding, where);
  }
  const where = await unlessUnreadable(() => registryNearby(store, { openAbove, besides, signal }));
  return where === undefined
    ? ok('root', `nothing below ${REGISTRY_ROOT} yet`)
    : warning('root', `nothing below ${REGISTRY_ROOT}, and a registry nearby`, where);
}

/** What cannot be looked at on the way gives no advice, and is no finding about the root. */
async function unlessUnreadable(look: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await look();
  } catch (error) {
    if (isDriverError(error) && error.code !== 'ABORTED') {
      return undefined;
    }
    throw error;
  }
}

async function judgeLockfiles(
  store: Driver,
  role: DoctorRole,
  signal: AbortSignal | undefined,
): Promise<DoctorCheck> {
  const [database, filesystem] = await Promise.all(
    (['database-in-use', 'filesystem-in-use'] as const).map(
      async (name) => (await store.stat(lockfileKey(name), { signal })) !== undefined,
    ),
  );
  if (database === true && filesystem === true) {
    return failed(
      'lockfiles',
      'both are there, with which GitLab does not start',
      'Find out whether the registry used its metadata database, and remove one of them by hand: filesystem-in-use if it did, database-in-use if it did not.',
    );
  }
  if (database === true) {
    return ok(
      'lockfiles',
      "database-in-use: tags and manifests are in GitLab's database, and only blobs are here",
      'Keep that database; links that are here are from before.',
    );
  }
  if (filesystem === true) {
    return ok('lockfiles', 'filesystem-in-use: GitLab keeps tags and manifests here');
  }
  const advice =
    'No matter for Distribution. GitLab 19 and later would start on an empty metadata database: set its database to enabled: false before, or every image looks gone.';
  return role === 'target'
    ? ok('lockfiles', 'none yet', 'migrate copies those of the source.')
    : warning('lockfiles', 'there is none', advice);
}

function judgeReadOnly(readOnly: boolean | undefined, role: DoctorRole): DoctorCheck {
  if (readOnly === true) {
    return ok('read-only', 'the configuration makes the registry read-only: pushes are refused');
  }
  return ok(
    'read-only',
    'by its configuration the registry takes pushes',
    role === 'source' ? 'Fine for the first passes; make it read-only for the last one.' : undefined,
  );
}
