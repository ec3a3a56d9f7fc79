import type { BatchSubResponse } from '@azure/storage-blob';
import pLimit from 'p-limit';
import type { DeleteFailure } from '../driver.ts';
import type { DriverError } from '../errors.ts';
import { throwIfAborted } from '../body.ts';
import { isAbsence } from './explain.ts';
import { azureError, azureFailureError, statusOf, type AzureCall } from './errors.ts';
import { withSignal } from './requests.ts';
import type { AzureTarget } from './write.ts';

/** Most requests in one Blob Batch (REST reference, "Blob Batch"). */
export const batchSize = 256;

interface Target {
  key: string;
  name: string;
}

/**
 * A function that removes blobs, with their snapshots, 256 in a request. A store that refuses batches (older
 * private clouds, a SAS that does not cover them) gets one request for each blob from then on; one that fails
 * with 500 does so for this group, and for good the second time in a row (Azurite 3.35 fails so on every
 * batch under a SAS: it lacks that operation in its table of SAS permissions).
 */
export function blobDeleter({ sdk, place }: AzureTarget) {
  let refusals = 0;
  // Of the driver and not of a call: what bounds requests must hold over all calls.
  const limit = pLimit(32);

  return async (targets: readonly Target[], call: AzureCall): Promise<DeleteFailure[]> => {
    const failures: DeleteFailure[] = [];
    for (let start = 0; start < targets.length; start += batchSize) {
      throwIfAborted(call.signal, { driver: 'azure', operation: 'delete' });
      const group = targets.slice(start, start + batchSize);
      const answers = refusals < 2 && group.length > 1 ? await sendBatch(group, call) : undefined;
      if (answers === undefined) {
        const results = await Promise.all(group.map((target) => limit(() => deleteOne(target, call))));
        failures.push(...results.flat());
      } else {
        failures.push(...group.flatMap((target, index) => failureOf(target, answers[index], call)));
      }
    }
    return failures;
  };

  /** One answer for each, or undefined when this store takes no batches. */
  async function sendBatch(
    group: readonly Target[],
    call: AzureCall,
  ): Promise<BatchSubResponse[] | undefined> {
    try {
      const { client } = await sdk();
      const blobs = group.map(({ name }) => client.getBlobClient(name));
      const { subResponses } = await client
        .getBlobBatchClient()
        .deleteBlobs(blobs, { deleteSnapshots: 'include', ...withSignal(call.signal) });
      refusals = 0;
      return subResponses;
    } catch (error) {
      const failure = azureError(error, place, call);
      const status = statusOf(failure) ?? 0;
      const isRefused = status === 501 || (status >= 400 && status < 500 && ![408, 429].includes(status));
      if ((!isRefused && status !== 500) || failure.code === 'STORE_NOT_FOUND') {
        throw failure;
      }
      refusals += isRefused ? 2 : 1;
      return undefined;
    }
  }

  /** The service may answer a batch that it could not read at all with a single part, which names no blob. */
  function failureOf(
    { key }: Target,
    answer: BatchSubResponse | undefined,
    call: AzureCall,
  ): DeleteFailure[] {
    if (answer !== undefined && (answer.status < 300 || isAbsence(answer.status, answer.errorCode))) {
      return [];
    }
    const error = azureFailureError(
      {
        status: answer?.status,
        code: answer?.errorCode,
        name: 'BatchError',
        message: answer?.statusMessage ?? 'the batch was answered without a word on this blob',
      },
      place,
      { ...call, key },
    );
    return [{ key, error }];
  }

  async function deleteOne({ key, name }: Target, call: AzureCall): Promise<DeleteFailure[]> {
    try {
      const { client } = await sdk();
      await client.getBlobClient(name).delete({ deleteSnapshots: 'include', ...withSignal(call.signal) });
      return [];
    } catch (error) {
      const failure: DriverError = azureError(error, place, { ...call, key });
      return failure.code === 'NOT_FOUND' ? [] : [{ key, error: failure }];
    }
  }
}
