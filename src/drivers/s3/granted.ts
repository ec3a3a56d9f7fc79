import { DriverError, type DriverErrorDetails } from '../errors.ts';
import type { WholeAnswer } from '../exchange.ts';
import { isErrorDocument, parseRefusal, refusalError, type S3Place } from './refusals.ts';

/**
 * The ETag with which a store confirms that it wrote what a PUT sent. A 2xx alone proves nothing: what stands between
 * answers so as well, with a page that asks to sign in.
 * @throws DriverError what the store says, where the body is an error document; else UNAVAILABLE.
 */
export function confirmedETag(
  place: S3Place,
  { headers, body }: Pick<WholeAnswer, 'headers' | 'body'>,
  details: DriverErrorDetails,
): string {
  const text = body.byteLength === 0 ? '' : body.toString('utf8', 0, 4096);
  if (isErrorDocument(text)) {
    throw refusalError(place, parseRefusal(200, headers, text), details);
  }
  const { etag } = headers;
  if (typeof etag !== 'string' || etag === '') {
    throw unconfirmedError(place, 'the ETag of what was written', details);
  }
  return etag;
}

/** The error for an answer that grants a request without what every S3 answers to it: it proves nothing. */
export function unconfirmedError(place: S3Place, missing: string, details: DriverErrorDetails): DriverError {
  const subject =
    details.key === undefined ? `s3://${place.bucket}` : `${details.key} in s3://${place.bucket}`;
  return new DriverError(
    'UNAVAILABLE',
    `${place.endpoint} granted a request for ${subject} without ${missing}, so the answer counts for nothing; run again, and check what stands between if it stays so.`,
    details,
  );
}
