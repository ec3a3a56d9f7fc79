/** An error document is short; what goes on beyond this is none. */
const MAX_ERROR_BYTES = 64 * 1024;

/**
 * The body of an answer that refuses, or as much of it as came: the status alone says enough when the connection
 * breaks here.
 */
export async function readErrorText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size > MAX_ERROR_BYTES) {
        break;
      }
    }
  } catch {
    // The refusal is what is reported, not that its explanation broke off.
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What asks for more is asked again after this, as an operator watches: a maintenance page says a day. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/** Retry-After in seconds or as a date (RFC 9110, section 10.2.3), as milliseconds from now, five minutes at most. */
export function parseRetryAfter(value: string | undefined, nowMs = Date.now()): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), MAX_RETRY_AFTER_MS);
}
