import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ContentDigest, IntoMemory, StreamBody } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { PartMemory } from '../../src/drivers/part-memory.ts';
import { sendParts, type SendPartsOptions } from '../../src/drivers/parts.ts';

const details = { driver: 'made up', operation: 'write', key: 'key' };
const hexOf = (algorithm: string, content: Uint8Array): string =>
  createHash(algorithm).update(content).digest('hex');
const sha256 = (content: Uint8Array): ContentDigest => ({
  algorithm: 'sha256',
  hex: hexOf('sha256', content),
});

/** A body in chunks of these sizes, over and over, either its own or in the memory that it is given. */
function bodyOf(content: Uint8Array, chunkSizes: number[], usesMemory = false): StreamBody {
  return {
    sizeBytes: content.byteLength,
    async *open(into?: IntoMemory) {
      let start = 0;
      for (let index = 0; start < content.byteLength; index += 1) {
        const chunk = content.subarray(start, start + (chunkSizes[index % chunkSizes.length] ?? 1));
        const room = usesMemory ? into?.() : undefined;
        const given = room === undefined ? chunk : chunk.subarray(0, room.byteLength);
        room?.set(given);
        yield room?.subarray(0, given.byteLength) ?? given;
        start += given.byteLength;
      }
    },
  };
}

interface SentPart {
  index: number;
  content: Buffer;
  hex: string;
}

/** Sends a body to nowhere and keeps what was sent, and how many parts were on their way at once. */
async function sendTo(body: StreamBody | Uint8Array, options: Partial<SendPartsOptions> = {}) {
  const sent: SentPart[] = [];
  let underWay = 0;
  let mostUnderWay = 0;
  const sending = sendParts(
    body,
    { partBytes: 100, partAlgorithm: 'sha256', details, memory: new PartMemory(400), ...options },
    async ({ index, bytes, hex }) => {
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      sent.push({ index, content: Buffer.from(bytes), hex });
      underWay -= 1;
    },
  );
  const error = await sending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  sent.sort((left, right) => left.index - right.index);
  return { error, sent, underWay, mostUnderWay };
}

/** All of its budget can be had at once, so nothing is out. */
async function expectAllBack(memory: PartMemory, budgetBytes: number): Promise<Uint8Array> {
  const { bytes, release } = await memory.take(budgetBytes, AbortSignal.timeout(5000), details);
  release();
  return bytes;
}

describe('a body in parts', () => {
  it('is the body, each part with its own digest, however it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 1500 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (content, chunkSizes, usesMemory) => {
          const memory = new PartMemory(300);
          const body = bodyOf(content, chunkSizes, usesMemory);
          const { error, sent, mostUnderWay } = await sendTo(body, {
            memory,
            expectedDigest: sha256(content),
          });
          expect(error).toBeUndefined();
          expect(Buffer.concat(sent.map((part) => part.content))).toEqual(Buffer.from(content));
          expect(sent.map(({ index }) => index)).toEqual(sent.map((_, index) => index));
          expect(sent.slice(0, -1).every((part) => part.content.byteLength === 100)).toBe(true);
          expect(sent.map(({ hex }) => hex)).toEqual(sent.map((part) => hexOf('sha256', part.content)));
          expect(mostUnderWay).toBeLessThanOrEqual(3);
          await expectAllBack(memory, 300);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('may be bytes, and its parts hashed by MD5', async () => {
    const content = randomBytes(250);
    const { sent } = await sendTo(content, { partAlgorithm: 'md5' });
    expect(sent.map(({ hex }) => hex)).toEqual(
      [0, 100, 200].map((start) => hexOf('md5', content.subarray(start, start + 100))),
    );
  });

  it('is read into the memory that it is sent from', async () => {
    const content = randomBytes(250);
    const places: unknown[] = [];
    const body = bodyOf(content, [60], true);
    const watched: StreamBody = {
      ...body,
      open: (into) =>
        body.open(() => {
          const room = into?.();
          places.push(room?.buffer);
          return room;
        }),
    };
    const sentFrom = new Set<unknown>();
    await sendParts(
      watched,
      { partBytes: 100, partAlgorithm: 'sha256', details, memory: new PartMemory(400) },
      async ({ bytes }) => {
        sentFrom.add(bytes.buffer);
      },
    );
    // Of two parts 60 and 40 bytes, of the third 50.
    expect(places).toHaveLength(5);
    expect(places.filter((place) => !sentFrom.has(place))).toEqual([]);
  });

  it('has its last part sent only when the digest is right', async () => {
    const content = randomBytes(300);
    const { error, sent } = await sendTo(bodyOf(content, [70]), {
      expectedDigest: sha256(new Uint8Array()),
    });
    expect(error).toMatchObject({ code: 'CORRUPT', key: 'key' });
    expect(sent.filter(({ index }) => index === 2)).toEqual([]);
  });

  it.each([
    ['shorter', 301],
    ['longer', 299],
    ['longer by a part', 200],
  ])('has its last part sent only when it is not %s than it said', async (_, sizeBytes) => {
    for (const usesMemory of [false, true]) {
      const content = randomBytes(300);
      const body = { ...bodyOf(content, [60], usesMemory), sizeBytes };
      const { error, sent } = await sendTo(body, { expectedDigest: sha256(content) });
      expect(error).toMatchObject({ code: 'CHANGED' });
      expect(sent.length).toBeLessThan(Math.ceil(sizeBytes / 100));
    }
  });

  it('is ended by what reading it throws', async () => {
    const memory = new PartMemory(400);
    const failing: StreamBody = {
      sizeBytes: 300,
      async *open() {
        yield new Uint8Array(150);
        throw new Error('the disk is gone');
      },
    };
    const { error, underWay } = await sendTo(failing, { memory });
    expect(error).toEqual(new Error('the disk is gone'));
    expect(underWay).toBe(0);
    await expectAllBack(memory, 400);
  });

  it('is ended by the first part that fails, with all the others', async () => {
    const memory = new PartMemory(400);
    const failure = new DriverError('PERMISSION_DENIED', 'made up', details);
    const ended: number[] = [];
    const sending = sendParts(
      bodyOf(randomBytes(2000), [100]),
      { partBytes: 100, partAlgorithm: 'sha256', details, memory },
      async ({ index }, signal) => {
        if (index === 1) {
          throw failure;
        }
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
        ended.push(index);
        throw new Error('a consequence');
      },
    );
    await expect(sending).rejects.toBe(failure);
    expect(ended).toContain(0);
    await expectAllBack(memory, 400);
  });

  it('ends when it is interrupted, though its source goes on writing', async () => {
    const memory = new PartMemory(100);
    const controller = new AbortController();
    let lent: Uint8Array | undefined;
    const stuck: StreamBody = {
      sizeBytes: 300,
      async *open(into) {
        lent = into?.();
        setImmediate(() => controller.abort());
        await new Promise(() => {});
        yield new Uint8Array(1);
      },
    };
    const { error } = await sendTo(stuck, { memory, signal: controller.signal });
    expect(error).toMatchObject({ code: 'ABORTED' });
    const next = await expectAllBack(memory, 100);
    expect(lent?.byteLength).toBe(100);
    expect(next.buffer).not.toBe(lent?.buffer);
  });

  it('is not even opened when it was interrupted before', async () => {
    const opened: string[] = [];
    const body: StreamBody = {
      sizeBytes: 300,
      async *open() {
        opened.push('opened');
        yield new Uint8Array(300);
      },
    };
    const { error } = await sendTo(body, { signal: AbortSignal.abort() });
    expect(error).toMatchObject({ code: 'ABORTED' });
    expect(opened).toEqual([]);
  });
});
