import type { StreamBody } from '../drivers/driver.ts';

/** Told of each change in the number of bytes that are under way: negative where an attempt failed. */
export type OnBytes = (change: number) => void;

/** A body that tells of its bytes as they are read. Opened again, it first takes back what it told before. */
export function meteredBody(body: StreamBody, onBytes: OnBytes): StreamBody {
  let told = 0;
  return {
    sizeBytes: body.sizeBytes,
    async *open(into) {
      onBytes(-told);
      told = 0;
      for await (const chunk of body.open(into)) {
        told += chunk.byteLength;
        onBytes(chunk.byteLength);
        yield chunk;
      }
    },
  };
}
