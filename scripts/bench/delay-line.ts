import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy that holds back every byte for half of `roundTripMs` in each direction: latency, and nothing
 * else. Answers the port on 127.0.0.1 that it listens on.
 */
export function startDelayLine(targetPort: number, roundTripMs: number): Promise<Server> {
  const oneWayMs = roundTripMs / 2;
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    delayed(client, upstream, oneWayMs);
    delayed(upstream, client, oneWayMs);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** Timers of one length fire in the order in which they were set, so the bytes stay in order. */
function delayed(from: Socket, to: Socket, delayMs: number): void {
  let underWay = 0;
  from.on('data', (chunk: Buffer) => {
    underWay += chunk.byteLength;
    if (underWay > HELD_MAX_BYTES) {
      from.pause();
    }
    setTimeout(() => {
      underWay -= chunk.byteLength;
      if (underWay <= HELD_MAX_BYTES && from.isPaused()) {
        from.resume();
      }
      to.write(chunk);
    }, delayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('error', () => to.destroy());
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
}

/** More than a fast line holds in such a time, so that it never limits the throughput of one connection. */
const HELD_MAX_BYTES = 32 * 1024 * 1024;
