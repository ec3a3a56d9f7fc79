import { describe, it } from 'vitest';
import { expectManyTags } from './check-many-tags.ts';

// `npm run test:soak` does the same with a million.
describe('a check of a repository with 100,000 tags', () => {
  it.each(['content', 'md5'] as const)(
    'takes a heap that could not hold them: %s told by the listing',
    async (telling) => {
      await expectManyTags(100_000, telling, 48);
    },
  );
});
