import { nearestName } from '../drivers/nearest-name.ts';
import { type Envelope, envelopeSchema } from './envelope.ts';
import type { ExitCode } from './exit-codes.ts';
import { redact } from './redact.ts';
import { escapeForTerminal, terminalSafeJson } from './units.ts';

export interface Refusal {
  /** Of the commands that there are. */
  names: readonly string[];
  version: string;
  exitCode: ExitCode;
}

/** Says that a command line begins with no command, in the shape of all other errors. */
export function refuseCommand(argv: readonly string[], { names, version, exitCode }: Refusal): void {
  const message = redact(sentence(argv[0] ?? '', names));
  if (asksForJson(argv)) {
    process.stdout.write(`${terminalSafeJson(envelope(message, version, exitCode), 2)}\n`);
  } else {
    process.stderr.write(`Error: ${escapeForTerminal(message)}\n`);
  }
}

function sentence(word: string, names: readonly string[]): string {
  if (word.startsWith('-')) {
    return `A command comes first, before ${word}: regtool --help lists all.`;
  }
  const nearest = nearestName(word, names);
  const hint = nearest === undefined ? ': ' : `; did you mean ${nearest}? `;
  return `There is no command ${JSON.stringify(word)}${hint}regtool --help lists all.`;
}

function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

function envelope(message: string, version: string, exitCode: ExitCode): Envelope {
  return {
    schema: envelopeSchema,
    ok: false,
    command: '',
    version,
    exitCode,
    error: { code: 'USAGE', exitCode, message, reasons: [] },
  };
}
