import { openMemory } from '../../src/drivers/memory.ts';
import { describeDriver } from './contract.ts';

describeDriver('memory', {
  open: async () => ({ driver: openMemory({ pageSize: 7 }), dispose: async () => {} }),
});
