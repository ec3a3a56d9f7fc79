import { hashOf } from '../../support/broken-objects.ts';

export interface Expectation {
  source: ReadonlyMap<string, Uint8Array>;
  target: ReadonlyMap<string, Uint8Array>;
  /** The target as it was before the run. */
  before: ReadonlyMap<string, Uint8Array>;
  deletes: boolean;
  /** Repositories whose names start with it. */
  selection: string;
}

const ROOT = 'docker/registry/v2/';
const REPOSITORY = /^docker\/registry\/v2\/repositories\/(.+?)\/(?:_layers|_manifests|_uploads)\//;

/**
 * The oracle: copies key by key what a registry serves, of all repositories or of some with the blobs that their links
 * name, and deletes what the source does not have. Returns the keys of which the target is not what that makes.
 */
export function differences(expectation: Expectation): string[] {
  const { source, target, selection } = expectation;
  const isChosen = chooser(source, selection);
  const expected = naiveCopy(expectation, isChosen);
  const keys = new Set([...expected.keys(), ...target.keys()]);
  return [...keys].filter((key) => {
    const [wanted, actual] = [expected.get(key), target.get(key)];
    return isContent(key) && !(isChosen(key) ? isCopy(key, wanted, actual) : isSame(wanted, actual));
  });
}

function naiveCopy(
  { source, before, deletes, selection }: Expectation,
  isChosen: (key: string) => boolean,
): Map<string, Uint8Array> {
  const copy = new Map(before);
  if (deletes) {
    for (const key of before.keys()) {
      // With a selection only a selected repository's own keys may go.
      const isOwn = selection === '' || repositoryOfKey(key)?.startsWith(selection) === true;
      if (isContent(key) && isOwn && !source.has(key)) {
        copy.delete(key);
      }
    }
  }
  for (const [key, bytes] of source) {
    if (isContent(key) && isChosen(key)) {
      copy.set(key, bytes);
    }
  }
  return copy;
}

function chooser(source: ReadonlyMap<string, Uint8Array>, selection: string): (key: string) => boolean {
  if (selection === '') {
    return (key) => source.has(key);
  }
  const blobs = new Set<string>();
  for (const [key, bytes] of source) {
    if (repositoryOfKey(key)?.startsWith(selection) === true && key.endsWith('/link')) {
      blobs.add(Buffer.from(bytes).toString().split(':')[1] ?? '');
    }
  }
  return (key) => {
    if (!source.has(key)) {
      return false;
    }
    const repository = repositoryOfKey(key);
    return repository === undefined
      ? blobs.has(key.split('/').at(-2) ?? '')
      : repository.startsWith(selection);
  };
}

/** A blob is right when its bytes are what it is named by, whatever the source has. */
function isCopy(key: string, wanted: Uint8Array | undefined, actual: Uint8Array | undefined): boolean {
  if (wanted === undefined || actual === undefined || !key.startsWith(`${ROOT}blobs/`)) {
    return isSame(wanted, actual);
  }
  const digest = `sha256:${key.split('/').at(-2)}`;
  return hashOf(actual, digest) === digest;
}

function isSame(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === undefined || right === undefined ? left === right : Buffer.compare(left, right) === 0;
}

function isContent(key: string): boolean {
  return key.startsWith(ROOT) && !key.includes('/_uploads/');
}

export function repositoryOfKey(key: string): string | undefined {
  return REPOSITORY.exec(key)?.[1];
}
