import { formatBytes } from '../operations/format-bytes.ts';
import { formatCount, formatDuration, plural } from './units.ts';

/** How far a phase has come. */
export interface ProgressState {
  phase: string;
  objects: number;
  bytes: number;
  totalObjects?: number | undefined;
  totalBytes?: number | undefined;
  elapsedMs: number;
  /** The phase is over, done or not: no time is left. */
  hasEnded?: boolean | undefined;
}

/**
 * One line: phase, objects, bytes, rate, time left. `bar` draws a bar for a fraction; without it there is none.
 * Never longer than `width`: parts are left out from the least needed on, then the line is cut.
 */
export function progressLine(
  state: ProgressState,
  width = Number.POSITIVE_INFINITY,
  bar?: (fraction: number) => string,
): string {
  const fraction = fractionOf(state);
  const parts = [
    { text: state.phase, need: 6 },
    { text: fraction === undefined ? '' : `${Math.floor(fraction * 100)}%`, need: 5 },
    { text: fraction === undefined ? '' : (bar?.(fraction) ?? ''), need: 0 },
    { text: objectsOf(state), need: 4 },
    { text: bytesOf(state), need: 2 },
    { text: rateOf(state), need: 1 },
    { text: timeLeft(state, fraction), need: 3 },
  ].filter((part) => part.text !== '');
  while (joined(parts).length > width && parts.length > 1) {
    const least = Math.min(...parts.map((part) => part.need));
    parts.splice(
      parts.findIndex((part) => part.need === least),
      1,
    );
  }
  return joined(parts).slice(0, width);
}

/** Bytes tell the time left better than objects, if both are known and there are any. */
function fractionOf({ objects, bytes, totalObjects, totalBytes }: ProgressState): number | undefined {
  const [done, total] = (totalBytes ?? 0) > 0 ? [bytes, totalBytes ?? 0] : [objects, totalObjects ?? 0];
  return total > 0 ? Math.min(1, done / total) : undefined;
}

function objectsOf({ objects, totalObjects }: ProgressState): string {
  return totalObjects === undefined
    ? plural('object', objects)
    : `${formatCount(objects)} of ${plural('object', totalObjects)}`;
}

function bytesOf({ bytes, totalBytes }: ProgressState): string {
  if (bytes === 0 && totalBytes === undefined) {
    return '';
  }
  return totalBytes === undefined
    ? formatBytes(bytes)
    : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
}

function rateOf({ objects, bytes, elapsedMs }: ProgressState): string {
  if (elapsedMs < 1000) {
    return '';
  }
  return bytes > 0
    ? `${formatBytes((bytes * 1000) / elapsedMs)}/s`
    : `${plural('object', Math.round((objects * 1000) / elapsedMs))}/s`;
}

function timeLeft({ elapsedMs, hasEnded }: ProgressState, fraction: number | undefined): string {
  // Too early, an estimate only misleads.
  if (hasEnded === true || fraction === undefined || fraction === 1 || fraction * elapsedMs < 1) {
    return '';
  }
  return elapsedMs < 3000 ? '' : `${formatDuration((elapsedMs * (1 - fraction)) / fraction)} left`;
}

function joined(parts: ReadonlyArray<{ text: string }>): string {
  return parts.map((part) => part.text).join('  ');
}
