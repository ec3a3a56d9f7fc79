import type { StoreLocation } from '../location.ts';
import type { Secret } from './secret.ts';

/** What a configuration makes of a storage section: where the store is, and how to sign in to it. */
export interface ConfiguredStore {
  location: StoreLocation;
  /** Absent where the file holds none: then the environment's hold, as they do for the registry. */
  credentials?: StoreCredentials | undefined;
}

export type StoreCredentials = S3Credentials | AzureCredentials;

export interface S3Credentials {
  driver: 's3';
  accessKeyId: Secret;
  secretAccessKey: Secret;
  sessionToken?: Secret | undefined;
}

/** Exactly one of the three. */
export interface AzureCredentials {
  driver: 'azure';
  accountKey?: Secret | undefined;
  connectionString?: Secret | undefined;
  identity?:
    | { type: 'client_secret'; tenantId: string; clientId: string; secret: Secret }
    | { type: 'default_credentials' }
    | undefined;
}

/** What the helper sections beside the driver's say. Undefined where the file says nothing. */
export interface RegistrySettings {
  /** `maintenance.readonly.enabled`: the registry refuses pushes and deletes. */
  readOnly?: boolean | undefined;
  /** `delete.enabled` */
  deleteEnabled?: boolean | undefined;
  /** `redirect.disable` */
  redirectDisabled?: boolean | undefined;
}
