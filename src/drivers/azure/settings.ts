import { isDriverError } from '../errors.ts';
import type { StoreSettings } from '../driver.ts';
import { throwIfAborted } from '../body.ts';
import { azureError } from './errors.ts';
import { withSignal } from './requests.ts';
import type { AzureTarget } from './write.ts';

/**
 * Whether the account has a hierarchical namespace (REST reference, "Get Account Information", `x-ms-is-hns-enabled`).
 * Credentials that may not ask leave it open. Versions and soft delete are set where only the account's
 * management shows them.
 */
export async function describeAccount(
  { sdk, place }: AzureTarget,
  signal: AbortSignal | undefined,
): Promise<StoreSettings> {
  throwIfAborted(signal, { driver: 'azure', operation: 'describe' });
  try {
    const { client } = await sdk();
    const { isHierarchicalNamespaceEnabled } = await client.getAccountInfo(withSignal(signal));
    return { hierarchicalNamespace: isHierarchicalNamespaceEnabled };
  } catch (error) {
    const failure = azureError(error, place, { operation: 'describe', signal });
    if (isDriverError(failure, 'PERMISSION_DENIED', 'UNAUTHENTICATED', 'UNSUPPORTED', 'NOT_FOUND')) {
      return {};
    }
    throw failure;
  }
}
