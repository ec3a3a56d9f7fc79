import { z } from 'zod';
import { accountOfConnectionString } from '../azure-connection-string.ts';
import { containerRule, isContainerName } from '../location.ts';
import { checkAzureParameters } from '../location-parameters.ts';
import { trimSlashes } from '../root.ts';
import type { Secret } from './secret.ts';
import { complainAt } from './storage-file.ts';
import type { AzureCredentials, ConfiguredStore } from './store.ts';
import {
  checkSection,
  type DriverSection,
  flag,
  givenTexts,
  missing,
  plainFlag,
  secret,
  text,
  unused,
} from './values.ts';

/** All parameters of distribution 2.x and 3.x and of GitLab's first and second Azure driver. */
const shape = {
  accountname: text.optional(),
  accountkey: secret.optional(),
  container: text.optional(),
  realm: text.optional(),
  serviceurl: text.optional(),
  rootdirectory: text.optional(),
  trimlegacyrootprefix: plainFlag.optional(),
  legacyrootprefix: plainFlag.optional(),
  connectionstring: secret.optional(),
  // Distribution 3.
  credentials: z
    .object(
      {
        type: text.nullish(),
        clientid: text.nullish(),
        tenantid: text.nullish(),
        secret: secret.nullish(),
      },
      'must be a map with a type',
    )
    .optional(),
  skipverify: flag.optional(),
  copy_status_poll_max_retry: unused,
  copy_status_poll_delay: unused,
  // GitLab's second driver; its first release had the names without underscores.
  credentials_type: text.optional(),
  credentialstype: text.optional(),
  tenant_id: text.optional(),
  tenantid: text.optional(),
  client_id: text.optional(),
  clientid: text.optional(),
  secret: secret.optional(),
  api_pool_initial_interval: unused,
  api_pool_max_interval: unused,
  api_pool_max_elapsed_time: unused,
  apipoolinitialinterval: unused,
  apipoolmaxinterval: unused,
  apipoolmaxelapsedtime: unused,
  max_retries: unused,
  retry_try_timeout: unused,
  retry_delay: unused,
  max_retry_delay: unused,
  debug_log: unused,
  debug_log_events: unused,
  debuglog: unused,
  debuglogevents: unused,
};

type Values = ReturnType<typeof checkSection<typeof shape>>;

/**
 * Reads `storage.azure` or `azure_v2`.
 *
 * The file cannot tell every registry from every other: without `trimlegacyrootprefix` and `legacyrootprefix` it may
 * be distribution 2.x, whose keys begin with a slash. Then the location leaves the root open, and whoever opens the
 * store looks in both places (`Driver.otherRoots`).
 * @throws LocationError CONFIGURATION_INVALID; LOCATION_PARAMETER when both root parameters say the same, with which
 *   no GitLab registry starts.
 */
export function azureStore(section: DriverSection): ConfiguredStore {
  const { name, where, notices } = section;
  const values = checkSection(section, shape);
  const container = values.container ?? '';
  if (container === '') {
    throw missing(section, 'container', 'the registry does not start without one, either');
  }
  if (!isContainerName(container)) {
    throw complainAt(where, [name, 'container'], `cannot be a container: ${containerRule}`);
  }
  const credentials = credentialsOf(section, values);
  // A connection string is followed where it leads, whatever account the file names beside it.
  const account =
    accountIn(credentials?.connectionString) ?? values.accountname ?? accountIn(values.connectionstring);
  if ((account ?? '') === '' && (values.serviceurl ?? '') === '') {
    throw missing(section, 'accountname', 'the registry does not start without one, either');
  }
  const { rootdirectory = '', ...parameters } = checkAzureParameters(
    givenTexts({
      rootdirectory: values.rootdirectory,
      account,
      serviceurl: values.serviceurl,
      realm: values.realm,
      trimlegacyrootprefix: values.trimlegacyrootprefix,
      legacyrootprefix: values.legacyrootprefix,
    }),
    (parameter, complaint) =>
      complainAt(where, [name, parameter === 'account' ? 'accountname' : parameter], complaint),
  );
  if (values.skipverify === 'true') {
    notices.push(
      `${where([name, 'skipverify'])}: skipverify is not followed for Azure: name the authority that signed the certificate in NODE_EXTRA_CA_CERTS.`,
    );
  }
  return {
    location: { driver: 'azure', container, rootdirectory: trimSlashes(rootdirectory), ...parameters },
    credentials,
  };
}

/** `undefined` where the file has none at all. Which parameter counts is said by the type, and else by what is there. */
function credentialsOf(section: DriverSection, values: Values): AzureCredentials | undefined {
  const { name, where } = section;
  const { accountkey: accountKey, connectionstring: connectionString, credentials } = values;
  const type = credentials?.type ?? values.credentials_type ?? values.credentialstype ?? '';
  switch (type) {
    case '':
    case 'shared_key':
      if (accountKey !== undefined) {
        return { driver: 'azure', accountKey };
      }
      return connectionString === undefined ? undefined : { driver: 'azure', connectionString };
    case 'default_credentials':
      return { driver: 'azure', identity: { type } };
    case 'client_secret': {
      const tenantId = credentials?.tenantid ?? values.tenant_id ?? values.tenantid ?? '';
      const clientId = credentials?.clientid ?? values.client_id ?? values.clientid ?? '';
      const secretValue = credentials?.secret ?? values.secret;
      if (tenantId === '' || clientId === '' || secretValue === undefined) {
        throw missing(section, 'tenant, client or secret', 'client_secret needs all three');
      }
      return { driver: 'azure', identity: { type, tenantId, clientId, secret: secretValue } };
    }
    default: {
      const path = credentials?.type === undefined ? ['credentials_type'] : ['credentials', 'type'];
      throw complainAt(where, [name, ...path], 'must be shared_key, client_secret or default_credentials');
    }
  }
}

function accountIn(connectionString: Secret | undefined): string | undefined {
  return connectionString && accountOfConnectionString(connectionString.reveal());
}
