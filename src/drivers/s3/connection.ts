import type * as S3Sdk from '@aws-sdk/client-s3';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { DriverError } from '../errors.ts';
import { namesProxy, proxyFor, type Proxy } from '../proxy.ts';
import type { S3Options } from '../s3.ts';
import { credentialsError, toDriverError } from './failures.ts';
import { encodeKey } from './keys.ts';
import type { S3Place } from './refusals.ts';
import { settledAddress, settledCredentials, surroundings } from './settled.ts';

/** Where a bucket is, and how to sign requests to it. */
export interface S3Connection extends S3Address {
  place: S3Place;
  /** Through which requests go; undefined where they go directly. */
  proxy: Proxy | undefined;
  /**
   * The SDK with a client of its own for the bucket. Loaded when first asked for, as most runs need little of it or
   * nothing: see settled.ts.
   */
  loadSdk(): Promise<LoadedSdk>;
  /** Fresh credentials; the SDK keeps them and renews them in time. */
  credentials(): Promise<S3Credentials>;
  close(): Promise<void>;
}

export interface LoadedSdk {
  sdk: typeof S3Sdk;
  client: S3Client;
}

export interface S3Address {
  /** Scheme, host and port. */
  origin: string;
  /** The bucket's part of the path, '' or `/bucket`; a key follows after `/`. */
  basePath: string;
  /** Region that requests are signed for. */
  signingRegion: string;
  /** `s3:aws` and such for the partitions of AWS, else `s3:` and the host: stores that can copy from one another. */
  service: string;
}

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
  /** Where they were found, if not by the SDK. */
  source?: 'environment' | undefined;
}

/**
 * Works out region, endpoint and addressing; with the SDK where they are not plain. Asks nothing of the network.
 * @throws DriverError STORE_NOT_FOUND when no region is known or the name cannot be addressed, UNSUPPORTED
 *   for directory buckets, whose listings have no order.
 */
export async function connectS3(options: S3Options): Promise<S3Connection> {
  const around = surroundings();
  const settled = settledAddress(options, around);
  const credentials = settledCredentials(options, around);
  if (settled !== undefined) {
    const { region } = settled;
    return connection(options, settled, credentials, () => openClient({ ...options, region }));
  }
  const opened = await openClient(options);
  const address = await resolveAddress(opened, options);
  return connection(options, address, credentials, () => Promise.resolve(opened));
}

function connection(
  options: S3Options,
  { region, ...address }: S3Address & { region: string },
  settled: S3Credentials | undefined,
  openSdk: () => Promise<LoadedSdk>,
): S3Connection {
  const place = { bucket: options.bucket, endpoint: address.origin, region };
  let loading: Promise<LoadedSdk> | undefined;

  async function load(): Promise<LoadedSdk> {
    const loaded = await openSdk();
    reportRetries(loaded.client, place, options.onRetry);
    return loaded;
  }

  function loadSdk(): Promise<LoadedSdk> {
    loading ??= load();
    return loading;
  }

  return {
    place,
    proxy: proxyFor(new URL(address.origin)),
    ...address,
    loadSdk,
    async credentials() {
      if (settled !== undefined) {
        return settled;
      }
      const { client } = await loadSdk();
      try {
        return await client.config.credentials();
      } catch (error) {
        throw credentialsError(place, error, { driver: 's3', operation: 'credentials' });
      }
    },
    async close() {
      const loaded = await loading;
      loaded?.client.destroy();
    },
  };
}

interface OpenedClient extends LoadedSdk {
  region: string;
  endpoint: string | undefined;
  pathStyle: boolean;
}

async function openClient(options: S3Options): Promise<OpenedClient> {
  // Node 20 is supported here for as long as a published SDK runs on it; its warning is no operator's business.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const sdk = await import('@aws-sdk/client-s3');
  const endpoint = await configuredEndpoint(sdk, options);
  const pathStyle = options.pathStyle ?? endpoint !== undefined;
  const region = await configuredRegion(sdk, options, endpoint);
  const client = new sdk.S3Client({
    ...clientConfig(options),
    ...(namesProxy() ? await throughProxy(options, endpoint, pathStyle) : {}),
    region,
    forcePathStyle: pathStyle,
    ...(endpoint === undefined ? {} : { endpoint }),
  });
  return { sdk, client, region, endpoint, pathStyle };
}

function clientConfig(options: S3Options): S3ClientConfig {
  const { accessKeyId, secretAccessKey, sessionToken, profile } = options;
  const { maxSockets, ...timeouts } = handlerSettings(options);
  return {
    // Compatible stores answer 411 or 501 to the trailing checksums that the SDK sends otherwise.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 6,
    tls: options.secure ?? true,
    requestHandler: {
      ...timeouts,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets, rejectUnauthorized: options.skipVerify !== true },
    },
    ...(options.useDualstack === undefined ? {} : { useDualstackEndpoint: options.useDualstack }),
    ...(options.useFipsEndpoint === undefined ? {} : { useFipsEndpoint: options.useFipsEndpoint }),
    ...(options.accelerate === undefined ? {} : { useAccelerateEndpoint: options.accelerate }),
    ...(profile === undefined ? {} : { profile }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId,
            secretAccessKey,
            ...(sessionToken === undefined ? {} : { sessionToken }),
          },
        }),
  };
}

function handlerSettings({ timeouts, connections }: S3Options) {
  return {
    connectionTimeout: timeouts?.connectMs ?? 10_000,
    socketTimeout: timeouts?.serverSideMs ?? 600_000,
    maxSockets: connections ?? 64,
  };
}

/** For the SDK, which looks for no proxy itself. What it asks the metadata of this machine for takes its own way. */
async function throughProxy(
  options: S3Options,
  endpoint: string | undefined,
  pathStyle: boolean,
): Promise<Pick<S3ClientConfig, 'requestHandler'>> {
  const { openSdkAgents } = await import('../proxy/agents.ts');
  const atAws = `${options.secure === false ? 'http' : 'https'}://s3.amazonaws.com`;
  // An endpoint that is no address is refused where the SDK resolves it.
  const url = new URL(endpoint !== undefined && URL.canParse(endpoint) ? endpoint : atAws);
  if (!pathStyle) {
    url.hostname = `${options.bucket}.${url.hostname}`;
  }
  const { connectionTimeout, socketTimeout, maxSockets } = handlerSettings(options);
  const agents = openSdkAgents(url, {
    maxSockets,
    connectMs: connectionTimeout,
    rejectUnauthorized: options.skipVerify !== true,
  });
  return {
    requestHandler: { connectionTimeout, socketTimeout, httpAgent: agents.http, httpsAgent: agents.https },
  };
}

/** The endpoint of the options, else that of the SDK's own environment variables and profile. */
async function configuredEndpoint(sdk: typeof S3Sdk, options: S3Options): Promise<string | undefined> {
  const { endpoint, secure } = options;
  if (endpoint !== undefined) {
    return /^https?:\/\//i.test(endpoint) ? endpoint : `${secure === false ? 'http' : 'https'}://${endpoint}`;
  }
  const probe = new sdk.S3Client({ ...clientConfig(options), region: 'us-east-1' });
  try {
    return await probe.config.serviceConfiguredEndpoint?.();
  } finally {
    probe.destroy();
  }
}

async function configuredRegion(
  sdk: typeof S3Sdk,
  options: S3Options,
  endpoint: string | undefined,
): Promise<string> {
  if (options.region !== undefined && options.region !== '') {
    return options.region;
  }
  const probe = new sdk.S3Client(clientConfig(options));
  try {
    return await probe.config.region();
  } catch (error) {
    const fallback = process.env['AWS_DEFAULT_REGION'] ?? (endpoint === undefined ? undefined : 'us-east-1');
    if (fallback !== undefined) {
      return fallback;
    }
    throw new DriverError(
      'STORE_NOT_FOUND',
      `No region is known for s3://${options.bucket}; add region=... or set AWS_REGION.`,
      { driver: 's3', operation: 'open', cause: error },
    );
  } finally {
    probe.destroy();
  }
}

/** Asks the SDK's endpoint rules what it asks them itself for every request. */
async function resolveAddress(
  { client, region, endpoint, pathStyle }: OpenedClient,
  options: S3Options,
): Promise<S3Address & { region: string }> {
  const { bucket } = options;
  const details = { driver: 's3', operation: 'open' };
  // The SDK addresses names with dots by path over TLS, for no wildcard certificate covers them.
  const isDotted = bucket.includes('.') && !(endpoint ?? '').startsWith('http:');
  let resolved;
  try {
    resolved = client.config.endpointProvider({
      Bucket: bucket,
      Region: region,
      UseFIPS: await client.config.useFipsEndpoint(),
      UseDualStack: await client.config.useDualstackEndpoint(),
      ForcePathStyle: pathStyle || isDotted,
      Accelerate: options.accelerate ?? false,
      ...(endpoint === undefined ? {} : { Endpoint: endpoint }),
    });
  } catch (error) {
    // An endpoint that does not come from a location was not checked: it may hold a password, and so may the cause.
    const isSecret = options.endpoint === undefined && endpoint !== undefined;
    const at = endpoint === undefined ? '' : ` at ${isSecret ? endpointSource() : endpoint}`;
    throw new DriverError(
      'STORE_NOT_FOUND',
      `s3://${bucket} cannot be addressed in region ${region}${at}; check the bucket's name, the region and the endpoint.`,
      { ...details, ...(isSecret ? {} : { cause: error }) },
    );
  }
  const scheme = firstAuthScheme(resolved.properties);
  if (scheme?.name !== undefined && scheme.name !== 'sigv4') {
    throw new DriverError(
      'UNSUPPORTED',
      `s3://${bucket} is a directory bucket or an access point of several regions, which give no ordered listing; use a general purpose bucket.`,
      details,
    );
  }
  const url = new URL(resolved.url);
  if (options.secure === false && endpoint === undefined) {
    url.protocol = 'http:';
  }
  return {
    region,
    origin: url.origin,
    basePath: encodeKey(decodeURIComponent(url.pathname.replace(/\/$/, ''))),
    signingRegion: scheme?.signingRegion ?? region,
    service: serviceOf(url, region),
  };
}

/** Where the SDK found an endpoint that no location gives, in its own order. */
function endpointSource(): string {
  const variable = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((name) => process.env[name]);
  return variable === undefined
    ? 'the endpoint_url of the AWS profile'
    : `what the environment variable ${variable} says`;
}

interface AuthScheme {
  name?: string;
  signingRegion?: string;
}

function firstAuthScheme(properties: Record<string, unknown> | undefined): AuthScheme | undefined {
  const schemes: unknown = properties?.['authSchemes'];
  return Array.isArray(schemes) ? (schemes[0] as AuthScheme | undefined) : undefined;
}

/** Buckets of one AWS partition can copy from one another, across regions; elsewhere those of one endpoint. */
function serviceOf(url: URL, region: string): string {
  if (!/\.amazonaws\.com(?:\.cn)?$/.test(url.hostname)) {
    return `s3:${url.host}`;
  }
  const partition = /^(cn|us-gov|us-iso[a-z]?)-/.exec(region)?.[1];
  return partition === undefined ? 's3:aws' : `s3:aws-${partition}`;
}

/** Calls back for each attempt of the SDK after the first, with what ended the one before. */
function reportRetries(client: S3Client, place: S3Place, onRetry: S3Options['onRetry']): void {
  if (onRetry === undefined) {
    return;
  }
  const failures = new WeakMap<object, { attempt: number; error: DriverError }>();
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const failure = failures.get(context);
      if (failure !== undefined) {
        onRetry({ operation: context.commandName ?? '', ...failure });
      }
      try {
        return await next(args);
      } catch (error) {
        const details = { driver: 's3', operation: context.commandName ?? '' };
        const attempt = (failure?.attempt ?? 0) + 1;
        failures.set(context, { attempt, error: toDriverError(place, error, details) });
        throw error;
      }
    },
    // Low priority is below the middleware that retries, so that this one runs once for each attempt.
    { step: 'finalizeRequest', priority: 'low', name: 'regtoolReportRetries' },
  );
}
