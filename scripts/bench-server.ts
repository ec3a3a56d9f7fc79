/**
 * What the benchmark talks to, in a process of its own, so that its CPU time is not the client's:
 * `sink [BUCKET FOLDER]...` or `delay PORT ROUND_TRIP_MS`. Prints its port, and ends with its standard input.
 */
import type { Server } from 'node:net';
import { startDelayLine } from './bench/delay-line.ts';
import { S3Sink } from './bench/s3-sink.ts';

const [role, ...args] = process.argv.slice(2);
const server = await start();
const address = server.address();
console.log(typeof address === 'object' ? address?.port : '');
process.stdin.resume();
process.stdin.once('end', () => process.exit());

async function start(): Promise<Server> {
  switch (role) {
    case 'sink': {
      const sink = new S3Sink();
      for (let index = 0; index + 1 < args.length; index += 2) {
        sink.preload(args[index] ?? '', args[index + 1] ?? '');
      }
      return sink.listen();
    }
    case 'delay':
      return startDelayLine(Number(args[0]), Number(args[1]));
    default:
      throw new Error(`There is no such server: ${role}`);
  }
}
