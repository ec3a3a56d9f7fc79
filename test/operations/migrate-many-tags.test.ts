import { describe, it } from 'vitest';
import { expectManyTags } from './migrate-many-tags.ts';

// `npm run test:soak` does the same with a million.
describe('a repository with many tags', () => {
  it('of which 20,000 changed is migrated whole', async () => {
    await expectManyTags('migrate', 20_000, 128);
  });

  it('is verified in a heap that could not hold 200,000', async () => {
    await expectManyTags('verify', 200_000, 56);
  });
});
