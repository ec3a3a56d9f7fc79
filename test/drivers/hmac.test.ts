import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openHmac } from '../../src/drivers/hmac.ts';

describe('an HMAC with one key', () => {
  it('is that of RFC 4231, with a short key (test case 1) and one longer than a block (test case 6)', () => {
    expect(openHmac(Buffer.alloc(20, 0x0b), 'hex')('Hi There')).toBe(
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    );
    expect(
      openHmac(Buffer.alloc(131, 0xaa), 'hex')('Test Using Larger Than Block-Size Key - Hash Key First'),
    ).toBe('60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54');
  });

  it("is Node's, for texts of any length one after another", () => {
    const anyText = fc
      .tuple(fc.string({ unit: 'grapheme' }), fc.nat(40))
      .map(([text, times]) => text.repeat(times));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.array(anyText, { maxLength: 5 }), (key, texts) => {
        const hmac = openHmac(key, 'base64');
        for (const text of texts) {
          expect(hmac(text)).toBe(createHmac('sha256', key).update(text).digest('base64'));
        }
      }),
    );
  });
});
