import type { AzureLocation, S3Location, StoreLocation } from '../../drivers/location.ts';
import { azureRoot } from '../../drivers/root.ts';

/** One line of a driver's section. */
export interface Parameter {
  name: string;
  value: string | number | boolean;
  /** Why it is there, in a few words, where the location does not say so itself. */
  reason?: string | undefined;
}

/** A credential: where the registry wants it, and the variable in which regtool and the vendors' tools look for it. */
export interface SecretParameter {
  name: string;
  variable: string;
}

/** The `storage` section for a store, before it is written in one format or the other. */
export interface StorageSection {
  driver: string;
  parameters: Parameter[];
  secrets: SecretParameter[];
  /** Why `redirect.disable` is set; undefined where it is not. */
  redirectDisabled: string | undefined;
}

/** A section and the registries that understand it. */
export interface TitledSection {
  title: string;
  section: StorageSection;
}

/** The section for GitLab's registry, of any version that knows the driver. */
export function gitlabSection(location: StoreLocation): StorageSection {
  switch (location.driver) {
    case 'filesystem':
      return filesystemSection(location.path);
    case 's3':
      return s3Section(location, 'gitlab');
    case 'azure':
      return gitlabAzureSection(location);
  }
}

/** The section for distribution, or why no version of distribution finds the data there. */
export function distributionSection(location: StoreLocation): TitledSection | string {
  switch (location.driver) {
    case 'filesystem':
      return { title: 'Distribution 2 and 3', section: filesystemSection(location.path) };
    case 's3':
      return { title: 'Distribution 2 and 3', section: s3Section(location, 'distribution') };
    case 'azure':
      return distributionAzureSection(location);
  }
}

/** Whether a store is Amazon's own, so that its clients can reach it and know its ways. */
export function isAws({ endpoint }: S3Location): boolean {
  return endpoint === undefined || /^(https?:\/\/)?[^/]*\.amazonaws\.com(\.cn)?(:\d+)?\/?$/i.test(endpoint);
}

function filesystemSection(path: string): StorageSection {
  return {
    driver: 'filesystem',
    parameters: [{ name: 'rootdirectory', value: path, reason: 'the folder that holds docker/' }],
    secrets: [],
    redirectDisabled: undefined,
  };
}

function s3Section(location: S3Location, dialect: 'gitlab' | 'distribution'): StorageSection {
  const { endpoint, rootdirectory } = location;
  const isGitlab = dialect === 'gitlab';
  const isElsewhere = !isAws(location);
  const pathStyle = location.pathstyle ?? (endpoint === undefined ? undefined : true);
  const pathStyleReason =
    pathStyle === true
      ? 'the bucket is named in the path, not in the host'
      : 'the bucket is named in the host';
  const parameters = [
    parameter('bucket', location.bucket),
    parameter(
      'region',
      location.region,
      isElsewhere ? 'the registry wants one, also outside AWS' : undefined,
    ),
    parameter('regionendpoint', endpoint),
    parameter(isGitlab ? 'pathstyle' : 'forcepathstyle', pathStyle, pathStyleReason),
    parameter('rootdirectory', rootdirectory === '' ? undefined : rootdirectory),
    parameter('secure', location.secure),
    parameter('skipverify', location.skipverify),
    parameter('encrypt', location.encrypt, 'new objects are encrypted by the store'),
    parameter('keyid', location.keyid),
    parameter('storageclass', location.storageclass),
    parameter('objectacl', location.objectacl),
    parameter('chunksize', location.chunksize, 'bytes in one part of an upload'),
    parameter('usedualstack', location.usedualstack),
    parameter('accelerate', location.accelerate),
    parameter('usefipsendpoint', location.usefipsendpoint),
    ...(isGitlab
      ? [
          parameter('maxrequestspersecond', location.maxrequestspersecond, 'what the store bears'),
          parameter(
            'checksum_disabled',
            isElsewhere ? true : undefined,
            'for s3_v2 and GitLab 19: stores outside AWS refuse its CRC64NVME; older drivers ignore it',
          ),
        ]
      : []),
  ].flat();
  return {
    driver: 's3',
    parameters,
    secrets: [
      { name: 'accesskey', variable: 'AWS_ACCESS_KEY_ID' },
      { name: 'secretkey', variable: 'AWS_SECRET_ACCESS_KEY' },
    ],
    redirectDisabled: isElsewhere ? cannotReach : undefined,
  };
}

const cannotReach = 'clients often cannot reach the store itself; the registry then serves the data';

/**
 * One parameter decides the root in every version: `trimlegacyrootprefix` alone, as GitLab before 16.0 knows only
 * that and takes false by default, later versions take the standard layout, and none starts with two that agree.
 */
function gitlabAzureSection(location: AzureLocation): StorageSection {
  const isLegacy = azureRoot(location).startsWith('/');
  const { serviceurl, rootdirectory } = location;
  return {
    // GitLab's first Azure driver has no serviceurl (its `azure_v2`: since GitLab 17.9; the only one since 19.0).
    driver: serviceurl === undefined ? 'azure' : 'azure_v2',
    parameters: [
      parameter('accountname', location.account),
      parameter('container', location.container),
      parameter('realm', location.realm),
      parameter('serviceurl', serviceurl, 'known to azure_v2 only, since GitLab 17.9'),
      parameter('rootdirectory', rootdirectory === '' ? undefined : rootdirectory),
      parameter(
        'trimlegacyrootprefix',
        !isLegacy,
        isLegacy
          ? 'the keys begin with a slash; GitLab 16.0 and later would look for them without'
          : 'the keys begin with docker/; GitLab before 16.0 would look for /docker/',
      ),
    ].flat(),
    secrets: azureSecrets,
    redirectDisabled: serviceurl === undefined ? undefined : cannotReach,
  };
}

const azureSecrets: SecretParameter[] = [{ name: 'accountkey', variable: 'AZURE_STORAGE_KEY' }];

/** Distribution 2 writes `/docker/` and has no root directory; version 3 writes `docker/`, below a root directory if told so. */
function distributionAzureSection(location: AzureLocation): TitledSection | string {
  const root = azureRoot(location);
  const { serviceurl, rootdirectory } = location;
  const common = [
    parameter('accountname', location.account),
    parameter('container', location.container),
    parameter('realm', location.realm),
  ].flat();
  const redirectDisabled = serviceurl === undefined ? undefined : cannotReach;
  if (root === '/' && serviceurl === undefined) {
    return {
      title: 'Distribution 2 (version 3 looks for docker/ without the leading slash, and finds nothing here)',
      section: { driver: 'azure', parameters: common, secrets: azureSecrets, redirectDisabled },
    };
  }
  if (root.startsWith('/')) {
    return `No version of Distribution finds its data below ${JSON.stringify(`${root}docker/`)} there: version 2 knows neither rootdirectory nor serviceurl, version 3 no leading slash. Give a target with legacyrootprefix=false.`;
  }
  return {
    title: 'Distribution 3 (version 2 looks for /docker/ with a leading slash, and finds nothing here)',
    section: {
      driver: 'azure',
      parameters: [
        ...common,
        ...parameter('serviceurl', serviceurl),
        ...parameter('rootdirectory', rootdirectory === '' ? undefined : rootdirectory),
      ],
      secrets: azureSecrets,
      redirectDisabled,
    },
  };
}

/** None when there is no value. */
function parameter(name: string, value: Parameter['value'] | undefined, reason?: string): Parameter[] {
  return value === undefined ? [] : [{ name, value, reason }];
}

/** What to write in place of credentials where the registry can sign in by itself. */
export function identityAdvice({ driver, secrets }: StorageSection): string {
  const names = secrets.map(({ name }) => `\`${name}\``).join(' and ');
  if (driver === 's3') {
    return `With a role that the registry can use, leave out ${names}.`;
  }
  return `With a managed identity instead, leave out ${names}: GitLab (17.9 and later) then takes the driver \`azure_v2\` with \`credentials_type: default_credentials\`, Distribution 3 \`credentials: {type: default_credentials}\`.`;
}
