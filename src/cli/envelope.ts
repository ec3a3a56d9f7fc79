import type { ExitCode } from './exit-codes.ts';

/** The number of the envelope's shape. It grows when a field changes its meaning or goes away, not when one is added. */
export const envelopeSchema = 1;

/** What `--json` prints, once, on stdout: `result` when the command ran to its end, `error` when it did not. */
export interface Envelope<Result = unknown> {
  schema: typeof envelopeSchema;
  /** True for exit code 0 alone. */
  ok: boolean;
  /** Empty where the command line names none. */
  command: string;
  version: string;
  exitCode: ExitCode;
  result?: Result;
  error?: { code: string; exitCode: ExitCode; message: string; reasons: readonly string[] };
}
