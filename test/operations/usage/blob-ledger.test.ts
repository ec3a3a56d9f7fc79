import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BlobLedger } from '../../../src/operations/usage/blob-ledger.ts';

const digestOf = (name: number): string =>
  `sha256:${createHash('sha256').update(String(name)).digest('hex')}`;

describe('a ledger of blobs', () => {
  test('tells for any claims which blobs nobody, one and several repositories link', () => {
    const claims = fc.array(fc.record({ blob: fc.nat(9), repository: fc.integer({ min: 1, max: 4 }) }));
    fc.assert(
      fc.property(claims, (made) => {
        const ledger = new BlobLedger(100);
        for (let blob = 0; blob < 8; blob += 1) {
          ledger.add(digestOf(blob), 10 ** blob);
        }
        const holders = new Map<number, Set<number>>();
        const onlyHere = new Map<number, number>();
        const add = (repository: number, bytes: number) =>
          onlyHere.set(repository, (onlyHere.get(repository) ?? 0) + bytes);
        for (const { blob, repository } of made) {
          const claim = ledger.claim(digestOf(blob), repository);
          if (blob > 7) {
            expect(claim).toBeUndefined();
            continue;
          }
          expect(claim?.sizeBytes).toBe(10 ** blob);
          if (claim?.isFirst === true) {
            add(repository, 10 ** blob);
          }
          if (claim?.formerOwner !== undefined) {
            add(claim.formerOwner, -(10 ** blob));
          }
          holders.set(blob, (holders.get(blob) ?? new Set()).add(repository));
        }
        const bytesHeldBy = (is: (count: number) => boolean) =>
          Array.from({ length: 8 }, (_, blob) => (is(holders.get(blob)?.size ?? 0) ? 10 ** blob : 0)).reduce(
            (sum, bytes) => sum + bytes,
            0,
          );
        const { unlinked, linkedOnce, shared } = ledger.sums();
        expect(unlinked.bytes).toBe(bytesHeldBy((count) => count === 0));
        expect(linkedOnce.bytes).toBe(bytesHeldBy((count) => count === 1));
        expect(shared.bytes).toBe(bytesHeldBy((count) => count > 1));
        expect(unlinked.blobs + linkedOnce.blobs + shared.blobs).toBe(8);
        for (let repository = 1; repository <= 4; repository += 1) {
          const alone = [...holders].filter(([, of]) => of.size === 1 && of.has(repository));
          expect(onlyHere.get(repository) ?? 0).toBe(alone.reduce((sum, [blob]) => sum + 10 ** blob, 0));
        }
      }),
    );
  });

  test('keeps what it knows while it grows, and takes a blob once', () => {
    const ledger = new BlobLedger(10_000);
    for (let blob = 0; blob < 5000; blob += 1) {
      ledger.add(digestOf(blob), blob);
      ledger.add(digestOf(blob), 77);
      ledger.claim(digestOf(blob), 1);
    }
    expect(ledger.claim(digestOf(3), 2)).toMatchObject({ sizeBytes: 3, formerOwner: 1 });
    expect(ledger.sums()).toEqual({
      unlinked: { blobs: 0, bytes: 0 },
      linkedOnce: { blobs: 4999, bytes: (4999 * 5000) / 2 - 3 },
      shared: { blobs: 1, bytes: 3 },
    });
  });

  test('takes no more than its ceiling, and says so', () => {
    const ledger = new BlobLedger(2);
    for (const blob of [1, 2, 3]) {
      ledger.add(digestOf(blob), blob);
    }
    expect(ledger.isFull).toBe(true);
    expect(ledger.has(digestOf(3))).toBe(false);
    expect(ledger.sums().unlinked).toEqual({ blobs: 2, bytes: 3 });
  });
});
