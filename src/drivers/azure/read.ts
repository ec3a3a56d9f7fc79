import { throwIfAborted } from '../body.ts';
import { AnswerTooLarge } from '../exchange.ts';
import { DriverError } from '../errors.ts';
import { azureError, serviceCodeOf, statusOf, type AzureCall, type AzurePlace } from './errors.ts';
import type { AzureDownload, AzureRequests } from './requests.ts';

export interface AzureReading {
  requests: AzureRequests;
  place: AzurePlace;
  /** Called each time a body that broke off is resumed. */
  onRetry?: (() => void) | undefined;
}

/**
 * A blob's bytes. When the connection breaks in the middle, reading goes on from there, as long as the blob is
 * the same version (ETag) and each connection brought at least a byte; then the error goes up.
 */
export async function* readBlob(
  reading: AzureReading,
  name: string,
  call: AzureCall,
): AsyncGenerator<Uint8Array> {
  const { requests, place } = reading;
  throwIfAborted(call.signal, details(call));
  let offset = 0;
  let download = await get(reading, name, offset, undefined, call);
  const { etag } = download;
  const sizeBytes = download.sizeBytes;
  for (;;) {
    const startedAt = offset;
    let broken: unknown;
    try {
      for await (const chunk of download.chunks) {
        throwIfAborted(call.signal, details(call));
        offset += chunk.byteLength;
        if (offset > sizeBytes) {
          throw changed(`${call.key} gave more than its ${sizeBytes} bytes.`, call);
        }
        yield chunk;
      }
    } catch (error) {
      const failure = azureError(error, place, call);
      if (failure.code === 'ABORTED' || failure.code === 'CHANGED') {
        throw failure;
      }
      broken = error;
    }
    if (offset === sizeBytes) {
      return;
    }
    if (offset === startedAt || etag === undefined) {
      throw brokenOff(offset, sizeBytes, broken, place, call);
    }
    reading.onRetry?.();
    download = await get({ requests, place }, name, offset, etag, call);
    if (offset + download.sizeBytes !== sizeBytes) {
      download.discard();
      throw changed(`${call.key} has another size than when its reading began.`, call);
    }
  }
}

/** A small blob in one request. */
export async function readSmallBlob(
  reading: AzureReading,
  name: string,
  maxBytes: number,
  call: AzureCall,
): Promise<Uint8Array> {
  throwIfAborted(call.signal, details(call));
  try {
    return await reading.requests.getSmall(name, maxBytes, call.signal);
  } catch (error) {
    throw error instanceof AnswerTooLarge
      ? changed(`${call.key} has ${error.sizeBytes} bytes, more than the ${maxBytes} expected.`, call)
      : azureError(error, reading.place, call);
  }
}

async function get(
  { requests, place }: AzureReading,
  name: string,
  offset: number,
  etag: string | undefined,
  call: AzureCall,
): Promise<AzureDownload> {
  try {
    return await requests.get(name, offset, etag, call.signal);
  } catch (error) {
    const failure = azureError(error, place, call);
    const hasChanged = etag !== undefined && (statusOf(failure) === 412 || failure.code === 'NOT_FOUND');
    throw hasChanged ? changed(`${call.key} was replaced or removed while it was read.`, call) : failure;
  }
}

function brokenOff(
  offset: number,
  sizeBytes: number,
  cause: unknown,
  place: AzurePlace,
  call: AzureCall,
): DriverError {
  const code = cause === undefined ? undefined : serviceCodeOf(azureError(cause, place, call));
  return new DriverError(
    'UNAVAILABLE',
    `The connection to ${place.host} broke off after ${offset} of the ${sizeBytes} bytes of ${call.key}${code === undefined ? '' : ` (${code})`}.`,
    details(call),
  );
}

function changed(message: string, call: AzureCall): DriverError {
  return new DriverError('CHANGED', message, details(call));
}

function details({ operation, key = '' }: AzureCall) {
  return { driver: 'azure', operation, key };
}
