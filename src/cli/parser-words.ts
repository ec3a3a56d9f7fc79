import { stripVTControlCharacters } from 'node:util';
import { nearestName } from '../drivers/nearest-name.ts';

/** What oclif's parser says with some of its errors. */
interface ParserError extends Error {
  /** As they were typed. */
  flags?: readonly string[];
  parse?: { input?: { flags?: Readonly<Record<string, { aliases?: readonly string[] }>> } };
}

/** What oclif's parser has to say, without colours, each thing once, and with the flag that may have been meant. */
export function parserWords(error: ParserError): string {
  const plain = withoutNote(stripVTControlCharacters(error.message));
  const [, reasons, rest = ''] =
    /^The following errors? occurred:\n([^]*?)(\nSee more help with --help)?$/.exec(plain) ?? [];
  if (reasons !== undefined) {
    return inPlainWords(reasons.split('\n')) + rest;
  }
  return (error.flags ?? []).reduce((text, flag) => withSuggestion(text, flag, error), plain);
}

/** When an argument is missing, oclif suspects each flag that takes several values; those here take one at a time. */
function withoutNote(message: string): string {
  return message.replace(/\n+Note: --[^]*? allows multiple values[^]*?(?=\nSee more help|$)/, '');
}

/** Two flags that exclude one another are told of twice, once by each. */
function inPlainWords(reasons: readonly string[]): string {
  const sentences = reasons.map((reason) => {
    const [, left, right] =
      /^(--[^\s=]+)=.* cannot also be provided when using (--\S+)$/.exec(reason.trim()) ?? [];
    if (left !== undefined && right !== undefined) {
      return `${[left, right].toSorted().join(' and ')} cannot be given together.`;
    }
    return reason
      .trim()
      .replace(/^All of the following must be provided when using (--\S+): (.*)$/, '$1 needs $2.');
  });
  return [...new Set(sentences)].join(' ');
}

function withSuggestion(text: string, flag: string, { parse }: ParserError): string {
  const [typed = ''] = flag.replace(/^-+/, '').split('=');
  const known = Object.entries(parse?.input?.flags ?? {});
  const nearest = nearestName(
    typed,
    known.flatMap(([name, { aliases = [] }]) => [name, ...aliases]),
  );
  return nearest === undefined ? text : text.replace(flag, () => `${flag} (did you mean --${nearest}?)`);
}
