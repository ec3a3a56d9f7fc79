import { describe } from 'vitest';
import { describeMending, describeUndoing } from './mending-run.ts';

describe('mending, with every fault on every request', () => {
  describeMending('all');
});

describe('putting back, with every fault on every request', () => {
  describeUndoing('all');
});
