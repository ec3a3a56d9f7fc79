import { vi } from 'vitest';
import { describeRepairKilled } from './repair-kills.ts';

vi.setConfig({ testTimeout: 60 * 60_000 });

describeRepairKilled({ folder: 1, bucket: 1 });
