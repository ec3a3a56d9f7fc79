/**
 * Whether a registry serves a repository of this name (distribution/reference `WithName`).
 *
 * The first of several components may look like a host name, upper case included, because the grammar is
 * that of image references: the registry takes `Foo/bar` although it refuses `Foo` and `foo/Bar`
 * (seen on 2.8.2). Up to 2.8 the whole name may have 255 characters; from 3.0 that limit leaves a first
 * component that looks like a host out of the count. A name that either accepts is a name here: a repository
 * taken for something foreign would be left behind.
 */
export function isRepositoryName(name: string): boolean {
  if (name.length <= MAX_NAME_LENGTH && COMPONENTS.test(name)) {
    return true;
  }
  const slash = name.indexOf('/');
  if (slash <= 0 || slash > MAX_NAME_LENGTH || name.length - slash - 1 > MAX_NAME_LENGTH) {
    return false;
  }
  return HOST.test(name.slice(0, slash)) && COMPONENTS.test(name.slice(slash + 1));
}

/** Whether a registry takes this for a tag. Upper and lower case differ. */
export function isTagName(tag: string): boolean {
  return TAG.test(tag);
}

/** Whether this is an upload's id: a UUID, version 4 or (from distribution 3.1) 7. */
export function isUploadId(id: string): boolean {
  return UPLOAD_ID.test(id);
}

/**
 * Whether a registry's storage driver can address this key at all (storagedriver `PathRegexp` on `/` + key).
 * What it cannot address, the registry can neither read nor delete.
 */
export function isDriverPath(key: string): boolean {
  return (
    key !== '' &&
    !OUTSIDE_DRIVER_GRAMMAR.test(key) &&
    !key.includes('//') &&
    !key.startsWith('/') &&
    !key.endsWith('/')
  );
}

const MAX_NAME_LENGTH = 255;

// A slash stands where any other separator may stand, so one expression covers a name of many components.
const COMPONENTS = /^[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*$/;
const HOST = /^[A-Za-z0-9]+(?:(?:\.|-+)[A-Za-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const UPLOAD_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const OUTSIDE_DRIVER_GRAMMAR = /[^A-Za-z0-9._/-]/;
