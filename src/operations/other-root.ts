import type { CallOptions, Driver, OtherRoot, StoreIdentity } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { REGISTRY_ROOT } from '../layout/paths.ts';
import { SafetyRefusal } from './errors.ts';

/** The first other root of the same container that holds a registry. One that may not be looked at holds none. */
export async function findAtOtherRoot(
  store: Driver,
  options: CallOptions,
  isWanted: (other: OtherRoot) => boolean = () => true,
): Promise<OtherRoot | undefined> {
  for (const other of (store.otherRoots ?? []).filter(isWanted)) {
    if (await holdsRegistry(other.open(), options)) {
      return other;
    }
  }
  return undefined;
}

export interface RootOptions extends CallOptions {
  /** The other store of the same command: that a registry is there is no surprise. */
  besides?: StoreIdentity | undefined;
}

/**
 * Refuses a store whose settings leave open where its objects lie, while a registry lies at another place than the
 * one where they would be looked for. On Azure the place depends on the version of the registry. Naming
 * `trimlegacyrootprefix` or `legacyrootprefix` decides it.
 * @throws SafetyRefusal OTHER_ROOT
 */
export async function assertRootIsDecided(
  store: Driver,
  role: string,
  { besides, ...options }: RootOptions,
): Promise<void> {
  const other = await findAtOtherRoot(
    store,
    options,
    ({ ruledOut, root }) => !ruledOut && !isSameStore(besides, { ...store.identity, root }),
  );
  if (other === undefined) {
    return;
  }
  const here = (await holdsRegistry(store, options)) ? 'another registry lies' : 'nothing lies';
  throw new SafetyRefusal(
    'OTHER_ROOT',
    `The ${role} ${store.location} holds a registry whose keys begin with ${keysAt(other.root)}, while ${here} at ${keysAt(store.identity.root)}, where this location says. Nothing was touched. ${decide(other)}, or name ${oppositeOf(other)} to say that ${keysAt(store.identity.root)} is meant.`,
  );
}

/** Whether two stores are the same root of the same container. */
export function isSameStore(one: StoreIdentity | undefined, other: StoreIdentity): boolean {
  return one?.service === other.service && one.container === other.container && one.root === other.root;
}

/** Where else the registry was found, and what leads there. */
export function describeOtherRoot(other: OtherRoot): string {
  return `The same container holds one whose keys begin with ${keysAt(other.root)}. ${decide(other)}.`;
}

function decide({ setting }: OtherRoot): string {
  const gitlab = setting.startsWith('legacyrootprefix=true')
    ? 'trimlegacyrootprefix: false'
    : 'trimlegacyrootprefix: true';
  return `To use it, name ${setting} in the location or in the storage section (GitLab also knows it as ${gitlab})`;
}

function oppositeOf({ setting }: OtherRoot): string {
  return `legacyrootprefix=${setting.startsWith('legacyrootprefix=true') ? 'false' : 'true'}`;
}

function keysAt(root: string): string {
  return JSON.stringify(`${root}${REGISTRY_ROOT}`);
}

async function holdsRegistry(store: Driver, options: CallOptions): Promise<boolean> {
  try {
    const { folders } = await store.listFolder(REGISTRY_ROOT, options);
    return folders.length > 0;
  } catch (error) {
    if (isDriverError(error, 'PERMISSION_DENIED')) {
      return false;
    }
    throw error;
  }
}
