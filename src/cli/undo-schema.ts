import { z } from 'zod';
import type { UndoRecord } from '../operations/repair/undo-log.ts';

/** The shape of the file; it grows when older files can no longer be read. */
const FORMAT = 1;

const identity = z.object({ service: z.string(), container: z.string(), root: z.string() });
const header = z.object({
  type: z.literal('regtool-undo'),
  format: z.literal(FORMAT),
  location: z.string(),
  identity,
});
const isMarked = z.literal(true).optional();
const entry = z.discriminatedUnion('change', [
  z.object({
    change: z.literal('link'),
    key: z.string(),
    former: z.string().nullable(),
    written: z.string(),
    isMarked,
  }),
  z.object({
    change: z.literal('blob'),
    key: z.string(),
    former: z.object({ key: z.string(), digest: z.string(), sizeBytes: z.number() }).nullable(),
    writtenBytes: z.number().nullable(),
    isMarked,
  }),
  z.object({ change: z.literal('remove'), key: z.string(), sizeBytes: z.number() }),
  z.object({ change: z.literal('made'), key: z.string() }),
]);

/** The first line of an undo file. */
export type UndoHeader = z.output<typeof header>;

/** What the lines of an undo file say, or undefined when they are not of one. */
export function checkUndoRecord(first: unknown, rest: readonly unknown[]): UndoRecord | undefined {
  const head = header.safeParse(first);
  const entries = z.array(entry).safeParse(rest);
  return head.success && entries.success ? { ...head.data, entries: entries.data } : undefined;
}
