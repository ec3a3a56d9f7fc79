import { describe, it } from 'vitest';
import { expectManyTags } from './check-many-tags.ts';

describe('a check of a repository with a million tags', () => {
  it.each(['content', 'md5'] as const)(
    'takes a heap that could not hold them: %s told by the listing',
    { timeout: 600_000 },
    async (telling) => {
      await expectManyTags(1_000_000, telling, 48);
    },
  );
});
