import { LocationError, type LocationErrorCode } from '../location-error.ts';

/** What a configuration file says of the storage, before anything is made of it. */
export interface StorageFile {
  /** The value of `storage`: plain values, maps and lists; undefined where the file has none. */
  storage: unknown;
  /** Where a value stands, for messages: `config.yml:12`. The path begins below `storage`. */
  where: Where;
  /** The environment variable that a value comes from, undefined where it comes from the file. */
  variableOf?: ((path: readonly string[]) => string | undefined) | undefined;
}

export type Where = (path: readonly string[]) => string;

/** A map of the configuration. Not an array, a date or null. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  );
}

/** The error for a value: `config.yml:12: storage.s3.chunksize must be ...`. Values never stand in it. */
export function complainAt(
  where: Where,
  path: readonly string[],
  complaint: string,
  code: LocationErrorCode = 'CONFIGURATION_INVALID',
): LocationError {
  return new LocationError(code, `${where(path)}: ${['storage', ...path].join('.')} ${complaint}.`);
}

/** A name from the file, if it can be shown: what does not look like a name may be a secret that lost its place. */
export function shownName(name: string): string | undefined {
  return /^[a-z][a-z0-9_]{0,31}$/.test(name) ? name : undefined;
}
