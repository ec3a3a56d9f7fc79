import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { findFreePort, statusOf } from './ports.ts';
import { createTemporaryFolder, startProcess } from './process.ts';

/** The registry's own `storage` section: one driver and its parameters. */
export type RegistryStorage =
  | { filesystem: { rootdirectory: string } }
  | { s3: S3StorageParameters }
  | { inmemory: Record<string, never> };

/** Parameters of the registry's S3 driver, by its own names. */
export interface S3StorageParameters {
  bucket: string;
  region: string;
  regionendpoint: string;
  accesskey: string;
  secretkey: string;
  rootdirectory?: string;
  [parameter: string]: unknown;
}

export interface DockerRegistryOptions {
  storage: RegistryStorage;
  /** Refuses pushes and deletes, as in the last step of a migration. Default false. */
  readonly?: boolean;
  /** Allows deleting manifests and blobs through the API. Default true. */
  deleteEnabled?: boolean;
  /** Further top-level sections of config.yml. */
  extra?: Record<string, unknown>;
  /** A free port when left out. */
  port?: number;
}

export interface DockerRegistry {
  /** `127.0.0.1:PORT`, plain HTTP. */
  address: string;
  /** The configuration file it was started with. It is gone after `stop`. */
  configPath: string;
  /** Everything it has logged, accesses included. */
  log(): string;
  stop(): Promise<void>;
}

/**
 * Starts Debian's docker-registry (Docker Distribution 2.8) on 127.0.0.1 over a given storage.
 * @throws Error with the end of its log, when it exits or does not answer.
 */
export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const address = `127.0.0.1:${options.port ?? (await findFreePort())}`;
  // JSON is YAML, too.
  return start(address, JSON.stringify(configuration(options, address), undefined, 2), {});
}

/**
 * Starts it on a `storage` section as it stands, with nothing else but where it listens.
 * @param environment is added to its environment: credentials.
 */
export async function startRegistryOnSection(
  storageYaml: string,
  environment: Readonly<Record<string, string>>,
): Promise<DockerRegistry> {
  const address = `127.0.0.1:${await findFreePort()}`;
  return start(address, `version: 0.1\nhttp:\n  addr: ${address}\n${storageYaml}`, environment);
}

async function start(
  address: string,
  configurationYaml: string,
  environment: Readonly<Record<string, string>>,
): Promise<DockerRegistry> {
  const folder = createTemporaryFolder('regtool-registry');
  const configPath = path.join(folder.path, 'config.yml');
  writeFileSync(configPath, configurationYaml);
  try {
    const server = await startProcess({
      name: 'docker-registry',
      command: 'docker-registry',
      args: ['serve', configPath],
      env: { ...registryEnvironment(), ...environment },
      logPath: path.join(folder.path, 'registry.log'),
      isReady: async () => (await statusOf(`http://${address}/v2/`)) !== undefined,
    });
    let finalLog: string | undefined;
    return {
      address,
      configPath,
      log: () => finalLog ?? server.log(),
      stop: async () => {
        await server.stop();
        finalLog ??= server.log();
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

function configuration(options: DockerRegistryOptions, address: string): Record<string, unknown> {
  const s3Defaults = { secure: false, v4auth: true, chunksize: 5_242_880 };
  const driver = 's3' in options.storage ? { s3: { ...s3Defaults, ...options.storage.s3 } } : options.storage;
  return {
    version: 0.1,
    log: { level: 'info' },
    storage: {
      ...driver,
      delete: { enabled: options.deleteEnabled ?? true },
      // Blobs come through the registry, so that a pull needs nothing but its address.
      redirect: { disable: true },
      maintenance: {
        // Interrupted uploads stay as long as a test needs them.
        uploadpurging: { enabled: false },
        readonly: { enabled: options.readonly ?? false },
      },
    },
    http: { addr: address, secret: 'only-for-tests' },
    ...options.extra,
  };
}

/**
 * REGISTRY_* variables would override the configuration file. With AWS_CA_BUNDLE set, the AWS SDK
 * in docker-registry 2.8 panics ("LoadCustomCABundleError ... unsupported transport").
 */
function registryEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(
    entries.filter(([name]) => name !== 'AWS_CA_BUNDLE' && !name.startsWith('REGISTRY_')),
  );
}
