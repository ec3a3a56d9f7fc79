import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { claimTarget } from '../../src/cli/target-claim.ts';

describe.runIf(process.platform === 'linux')('the claim of a target', () => {
  it(
    'is released although somebody who asked for its holder never hangs up',
    { timeout: 30_000 },
    async () => {
      const identity = { service: 'memory', container: `asked-${process.pid}`, root: '' };
      const claim = await claimTarget({ identity, location: 'memory://asked' }, 'migrate');
      const { service, container, root } = identity;
      const name = createHash('sha256')
        .update(JSON.stringify([service, container, root]))
        .digest('hex');
      const asking = connect({ path: `\0regtool-target-${name}`, allowHalfOpen: true });
      let answer = '';
      asking.on('data', (bytes: Buffer) => {
        answer += bytes.toString();
      });
      await once(asking, 'end');
      expect(answer).toBe(`${process.pid} migrate`);
      await claim.release();
      // It is free again: a claim that is refused would throw.
      const again = await claimTarget({ identity, location: 'memory://asked' }, 'repair');
      await again.release();
      asking.destroy();
    },
  );
});
