import { setMaxListeners } from 'node:events';
import { Command } from '@oclif/core/command';
import { CLIError, ExitError } from '@oclif/core/errors';
import type { BooleanFlag } from '@oclif/core/interfaces';
import type { Observer } from '../operations/observer.ts';
import { type Envelope, envelopeSchema } from './envelope.ts';
import { describeFailure, type Failure } from './failure.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { fitLines } from './fill.ts';
import { assertClearVariables } from './flag-values.ts';
import { jsonFlag, noProgressFlag } from './flags.ts';
import { type Interruption, watchInterruption } from './interruption.ts';
import { outputUnwritable, watchStream } from './lost-output.ts';
import { watchTerminal } from './lost-terminal.ts';
import { Progress } from './progress.ts';
import { redact } from './redact.ts';
import { openReport, type Report } from './report.ts';
import type { StoreOptions } from './stores.ts';
import { escapeLines, terminalSafeJson } from './units.ts';
import type { UsageError } from './usage-error.ts';

/**
 * What every command shares: exit codes, the `--json` envelope, signals, and progress.
 *
 * A command parses, calls one operation with `this.signal`, presents, and ends with
 * `return this.finish(exitCode, result)`. It lets errors pass: `catch` tells what they mean. It never calls
 * `this.exit` or `this.error`, as oclif forgets their exit codes under `--json` (oclif/core issue 1423).
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags: { 'no-progress': BooleanFlag<boolean>; json: BooleanFlag<boolean> } = {
    'no-progress': noProgressFlag(),
    json: jsonFlag(),
  };

  #interruption: Interruption | undefined;
  #signal: AbortSignal | undefined;
  #outputFailure: UsageError | undefined;
  #progress = new Progress({ silent: true });
  #exitCode: ExitCode = exitCodes.done;
  #isFinished = false;
  #retries = 0;

  /**
   * Aborted by the first SIGINT or SIGTERM, by SIGHUP from its terminal, and when stdout takes nothing more. Every
   * operation takes it.
   */
  protected get signal(): AbortSignal {
    if (this.#signal === undefined) {
      throw new TypeError('The signal exists only while the command runs.');
    }
    return this.#signal;
  }

  protected get progress(): Progress {
    return this.#progress;
  }

  /** Progress on stderr, which is ended with the command, whatever happens. */
  protected openProgress(flags: { 'no-progress': boolean }): Progress {
    this.#progress.stop();
    this.#progress = new Progress({ silent: flags['no-progress'] });
    return this.#progress;
  }

  /** How a command opens its stores: within the limits of its flags, with notices on stderr, and retries counted. */
  protected storeOptions(limits: {
    concurrency: number;
    'max-requests-per-second'?: number | undefined;
  }): StoreOptions {
    return {
      concurrency: limits.concurrency,
      maxRequestsPerSecond: limits['max-requests-per-second'],
      onNotice: (sentence) => {
        this.#tell([sentence]);
      },
      onRetry: () => {
        this.#retries += 1;
      },
    };
  }

  /** How many requests were made again, to all stores that were opened with `storeOptions`. */
  protected get retries(): number {
    return this.#retries;
  }

  /** Opens the file of `--report`. What an earlier run wrote there stays until this one has something to tell. */
  protected openReport(path: string | undefined): Promise<Report> {
    return openReport(path, { hasResult: () => this.#isFinished });
  }

  /** What an operation tells of its progress goes to the bar, and what it has to say, to stderr. */
  protected observer(): Omit<Observer, 'record'> {
    return {
      phase: (name, totals = {}) => {
        if (name === '') {
          this.#progress.stop();
        } else {
          this.#progress.start(name, { totalObjects: totals.objects, totalBytes: totals.bytes });
        }
      },
      progress: (step) => {
        this.#progress.add(step);
      },
      notice: (sentence) => {
        this.#tell([sentence]);
      },
    };
  }

  /** Sets how the process will end, and gives the result back for `--json`. */
  protected finish<Result extends object>(exitCode: ExitCode, result: Result): Result {
    this.#exitCode = this.#outputFailure === undefined ? exitCode : exitCodes.usage;
    process.exitCode = this.#exitCode;
    this.#isFinished = true;
    return result;
  }

  /** Prints on stdout, unless with `--json`. Escaped but for line ends: names from a store may stand in it. */
  override log(message = ''): void {
    if (!this.jsonEnabled()) {
      this.#progress.above(() => process.stdout.write(`${escapeLines(message)}\n`));
    }
  }

  /** Prints a presentation on stdout, unless with `--json`: prose no wider than a terminal. */
  protected logFitted(lines: readonly string[]): void {
    this.log(fitLines(lines).join('\n'));
  }

  /** Sentences on stderr, in lines of a terminal where there is one: in a log they are searched for whole. */
  #tell(lines: readonly string[]): void {
    this.logToStderr((process.stderr.isTTY ? fitLines(lines) : lines).join('\n'));
  }

  /** Prints on stderr, also with `--json`. */
  override logToStderr(message = ''): void {
    this.#progress.log(redact(message));
  }

  /** Prints on stderr, also with `--json`. */
  override warn(input: Error | string): Error | string {
    this.logToStderr(`Warning: ${typeof input === 'string' ? input : input.message}`);
    return input;
  }

  protected override async init(): Promise<void> {
    await super.init();
    const terminal = watchTerminal();
    const lostOutput = new AbortController();
    watchStream(process.stdout, terminal, (error) => {
      this.#tellOfLostOutput(error);
      lostOutput.abort(new DOMException('The output was lost.', 'AbortError'));
    });
    // Without progress and warnings the work goes on, and its result goes to stdout.
    watchStream(process.stderr, terminal, () => undefined);
    this.#interruption = watchInterruption({
      hadTerminal: terminal.hadTerminal,
      onFirst: (name) => {
        if (name === 'SIGHUP') {
          terminal.leave();
        }
        // A terminal has just shown ^C, with the cursor behind it.
        const start = process.stderr.isTTY ? '\n' : '';
        this.logToStderr(`${start}interrupted: stopping cleanly; press again to stop at once`);
      },
      onHangupWithoutTerminal: () => {
        this.logToStderr('The terminal is gone, and this goes on without it (SIGTERM ends it cleanly).');
      },
      onSecond: (exitCode) => {
        this.#progress.stop();
        // The one place that ends the process, as the operator asked for just that.
        process.exit(exitCode);
      },
    });
    this.#signal = AbortSignal.any([this.#interruption.signal, lostOutput.signal]);
    setMaxListeners(0, this.#signal);
    assertClearVariables({ ...this.ctor.baseFlags, ...this.ctor.flags });
  }

  /** Sets the exit code first, as oclif does not under `--json`, then tells what went wrong. */
  protected override catch(error: Error): Promise<void> {
    this.#progress.stop();
    // A request to end, such as that of --help: no failure.
    if (error instanceof ExitError) {
      return Promise.reject(error);
    }
    // Arguments that could not be parsed are no forgotten call of parse, of which oclif would warn.
    this.parsed = true;
    const failure = describeFailure(error, this.#signal);
    // What was interrupted for want of an output has said why.
    if (this.#outputFailure !== undefined && failure.code === 'INTERRUPTED') {
      return Promise.reject(new PrintedError(describeFailure(this.#outputFailure)));
    }
    this.#exitCode = failure.exitCode;
    process.exitCode = failure.exitCode;
    if (failure.stack !== undefined) {
      this.logToStderr(`${failure.stack}\n${this.#bugLine()}`);
    }
    if (this.jsonEnabled()) {
      this.logJson(this.#envelope({ error: withoutStack(failure) }));
      return Promise.resolve();
    }
    if (failure.stack === undefined) {
      this.#tell([`Error: ${failure.message}`, ...failure.reasons.map((text) => `  - ${text}`)]);
    }
    return Promise.reject(new PrintedError(failure));
  }

  protected override finally(error: Error | undefined): Promise<unknown> {
    this.#progress.stop();
    this.#interruption?.stop();
    return super.finally(error);
  }

  protected override toSuccessJson(result: unknown): Envelope {
    return this.#envelope({ result });
  }

  protected override toErrorJson(error: unknown): Envelope {
    return this.#envelope({ error: withoutStack(describeFailure(error, this.#signal)) });
  }

  protected override logJson(json: unknown): void {
    process.stdout.write(`${terminalSafeJson(json, 2)}\n`);
  }

  #envelope(content: Pick<Envelope, 'result' | 'error'>): Envelope {
    return {
      schema: envelopeSchema,
      ok: this.#exitCode === exitCodes.done,
      command: this.id ?? '',
      version: this.config.version,
      exitCode: this.#exitCode,
      ...content,
    };
  }

  /** Says so at once, and once: what is said from then on reaches nobody. */
  #tellOfLostOutput(error: NodeJS.ErrnoException): void {
    if (this.#outputFailure === undefined) {
      this.#outputFailure = outputUnwritable(error);
      this.#exitCode = exitCodes.usage;
      process.exitCode = exitCodes.usage;
      this.logToStderr(`Error: ${this.#outputFailure.message}`);
    }
  }

  #bugLine(): string {
    return `This is a bug in regtool ${this.config.version} (Node ${process.version}, ${process.platform}): please report it with the lines above.`;
  }
}

/** Carries the exit code to oclif's `handle`, which prints nothing more. */
class PrintedError extends CLIError {
  constructor({ message, code, exitCode }: Failure) {
    super(message, { exit: exitCode, code });
    this.skipOclifErrorHandling = true;
  }
}

function withoutStack({ code, exitCode, message, reasons }: Failure): NonNullable<Envelope['error']> {
  return { code, exitCode, message, reasons };
}
