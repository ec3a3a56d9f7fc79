import { describe, it } from 'vitest';
import { expectManyTags } from './migrate-many-tags.ts';

describe('a repository with a million tags', () => {
  it('of which all are new is migrated, holding no more than that one repository', async () => {
    await expectManyTags('migrate', 1_000_000, 1024);
  });

  it('is verified in a heap that could not hold them', async () => {
    await expectManyTags('verify', 1_000_000, 56);
  });
});
