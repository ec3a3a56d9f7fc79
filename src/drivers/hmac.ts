import { hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * HMAC-SHA256 of texts with one key (RFC 2104), as two plain hashes: Node's `createHmac` makes an object for each
 * text, which takes twice as long and leaves it to be collected.
 */
export function openHmac(key: Uint8Array, encoding: 'hex' | 'base64'): (text: string) => string {
  const keyBytes = key.byteLength > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key;
  let inner = padded(keyBytes, 0x36, 1024);
  const outer = padded(keyBytes, 0x5c, DIGEST_BYTES);
  return (text) => {
    // No character takes more than three bytes for each of its code units.
    if (text.length * 3 > inner.byteLength - BLOCK_BYTES) {
      inner = padded(keyBytes, 0x36, text.length * 3);
    }
    const textBytes = inner.write(text, BLOCK_BYTES);
    outer.write(hash('sha256', inner.subarray(0, BLOCK_BYTES + textBytes), 'hex'), BLOCK_BYTES, 'hex');
    return hash('sha256', outer, encoding);
  };
}

/** The key as a block whose bits are mixed with those of a byte, and room behind it. */
function padded(key: Uint8Array, byte: number, roomBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES + roomBytes);
  block.fill(byte, 0, BLOCK_BYTES);
  key.forEach((part, index) => {
    block[index] = part ^ byte;
  });
  return block;
}
