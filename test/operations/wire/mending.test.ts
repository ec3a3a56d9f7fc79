import { describe, vi } from 'vitest';
import { describeMending, describeUndoing } from './mending-run.ts';

vi.setConfig({ testTimeout: 120_000 });

describe('mending, with faults', () => {
  describeMending(3);
});

describe('putting back, with faults', () => {
  describeUndoing(3);
});
