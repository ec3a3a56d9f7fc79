import { LocationError } from './location-error.ts';

/**
 * The prefix that an S3 registry puts before every path: '' or `root/`, never a leading slash.
 * Slashes at both ends of `rootdirectory` are stripped, those inside are kept as they are
 * (distribution `registry/storage/driver/s3-aws/s3.go` and GitLab's `s3-aws/common`: the path is appended
 * after the trailing slashes were cut, and the leading slashes of the whole are cut last).
 */
export function s3Root(rootdirectory: string): string {
  const trimmed = trimSlashes(rootdirectory);
  return trimmed === '' ? '' : `${trimmed}/`;
}

export interface AzureRootOptions {
  rootdirectory: string;
  trimlegacyrootprefix?: boolean | undefined;
  legacyrootprefix?: boolean | undefined;
}

/**
 * The prefix that an Azure registry puts before every path: '' or `root/`, and one `/` before that where
 * the registry keeps the legacy layout.
 *
 * The rules are those of the GitLab registry 3.72 (GitLab 16.0) and later: without either parameter the
 * standard layout, else what the one says; both must say the same, that is, be opposite.
 * Other registries are reached so: distribution up to 2.8 and GitLab up to 15.11 without
 * `trimlegacyrootprefix: true` write `/docker/...`: `legacyrootprefix=true`. Distribution 3 writes
 * `docker/...`: `legacyrootprefix=false`, which is the default here.
 *
 * @throws LocationError when both parameters are given and contradict each other: the registry does not start either.
 */
export function azureRoot(options: AzureRootOptions): string {
  const standard = s3Root(options.rootdirectory);
  return isLegacy(options) ? `/${standard}` : standard;
}

function isLegacy({ trimlegacyrootprefix: trim, legacyrootprefix: legacy }: AzureRootOptions): boolean {
  if (trim !== undefined && legacy !== undefined && trim === legacy) {
    throw new LocationError(
      'LOCATION_PARAMETER',
      `trimlegacyrootprefix=${trim} and legacyrootprefix=${legacy} contradict each other, and the registry does not start with both: ` +
        'keep legacyrootprefix alone, true if the keys in the container begin with "/docker", false if they begin with "docker".',
    );
  }
  return legacy ?? trim === false;
}

/** Another root at which other settings, or another version of the registry, keep the objects of the same container. */
export interface AzureRootChoice {
  root: string;
  /** What leads there, in the words of a location and of the registry's configuration. */
  setting: string;
  /** The given settings say that the objects are not there. */
  ruledOut: boolean;
  options: AzureRootOptions;
}

/**
 * Where else in the container a registry's objects may lie: below the same root directory with or without the
 * legacy slash, and, as distribution 2.x knows no root directory at all, at the top of the container.
 */
export function otherAzureRoots(given: AzureRootOptions): AzureRootChoice[] {
  const isDecided = given.trimlegacyrootprefix !== undefined || given.legacyrootprefix !== undefined;
  const choose = (rootdirectory: string, legacyrootprefix: boolean, ruledOut: boolean): AzureRootChoice => {
    const options = { rootdirectory, legacyrootprefix };
    const without = rootdirectory === given.rootdirectory ? '' : ' and no rootdirectory';
    return {
      root: azureRoot(options),
      setting: `legacyrootprefix=${legacyrootprefix}${without}`,
      ruledOut,
      options,
    };
  };
  const beside = choose(given.rootdirectory, !isLegacy(given), isDecided);
  const atTop =
    trimSlashes(given.rootdirectory) === '' ? [] : [choose('', false, true), choose('', true, true)];
  return [beside, ...atTop];
}

/** Strips slashes at both ends. */
export function trimSlashes(text: string): string {
  return text.replace(/^\/+/, '').replace(/(?<!\/)\/+$/, '');
}
