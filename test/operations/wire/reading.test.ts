import { describe, vi } from 'vitest';
import { describeReading } from './reading-run.ts';

vi.setConfig({ testTimeout: 120_000 });

describe('reading, with faults', () => {
  describeReading(10);
});
