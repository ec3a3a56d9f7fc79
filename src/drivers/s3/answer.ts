import { isDriverError } from '../errors.ts';
import type { Answer } from '../probe.ts';

/** Turns a refusal into an answer that says so. An interruption goes up. */
export async function answer<T>(right: string, ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (!isDriverError(error) || error.code === 'ABORTED') {
      throw error;
    }
    const missing = error.code === 'PERMISSION_DENIED' && right !== '' ? right : undefined;
    return { unknown: error.message, missing };
  }
}
