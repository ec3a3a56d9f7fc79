import { describe } from 'vitest';
import { describeReading } from './reading-run.ts';

describe('reading, with every fault on every request', () => {
  describeReading('all');
});
