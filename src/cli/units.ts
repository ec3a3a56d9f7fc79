/** `1,234,567`, the same in every locale. */
export function formatCount(count: number): string {
  // By hand, for the first number that Intl formats takes 23 ms of CPU time, of 500 in a run with nothing to do.
  return Math.round(count)
    .toString()
    .replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `0.4 s`, `42 s`, `3 min 07 s`, `2 h 05 min`, `3 d 04 h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 9950) {
    return `${(durationMs / 1000).toFixed(1)} s`;
  }
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 60) {
    return `${seconds} s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) {
    return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  }
  const hours = Math.floor(minutes / 60);
  return `${formatCount(Math.floor(hours / 24))} d ${twoDigits(hours % 24)} h`;
}

/** `1 tag`, `3 tags`, `2 repositories`; give the plural where it follows no rule. */
export function plural(noun: string, count: number, pluralNoun = pluralOf(noun)): string {
  return `${formatCount(count)} ${count === 1 ? noun : pluralNoun}`;
}

/** `all 3 tags`; of a single one `the 1 tag`. */
export function allOf(noun: string, count: number): string {
  return `${count === 1 ? 'the' : 'all'} ${plural(noun, count)}`;
}

const factors: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tib: 1024 ** 4,
};

/**
 * Reads `1024`, `50M`, `1.5 GiB`, `10MB`, each optionally followed by `/s`. A letter alone and `KiB` are units of
 * 1024, `kB` is one of 1000, whatever the case. Undefined when it is none of these, or not a whole number of bytes
 * that can be held exactly after rounding.
 */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]{0,3}?)(?:\/s)?$/i.exec(text.trim());
  const unit = match?.[2]?.toLowerCase() ?? '';
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
  if (match === null || factor === undefined) {
    return undefined;
  }
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Shows what a terminal would act on, or hide, as an escape: control characters as `\x1b`, and format characters
 * (direction overrides, zero-width marks), line separators and halves of characters as `\u202e` or `\u{e0001}`.
 * Names from a store, which anybody who may push chooses, reach a terminal only through this.
 */
export function escapeForTerminal(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeCharacter);
}

/** The same for text of many lines: line ends stay, as they are our own. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeForTerminal).join('\n');
}

/** JSON that is also safe to show on a terminal: the same value, with such characters written as `\u....`. */
export function terminalSafeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f]/gu,
    (character) =>
      Array.from(
        { length: character.length },
        (_, index) => `\\u${hex(character.charCodeAt(index), 4)}`,
      ).join(''),
  );
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) {
    return `\\x${hex(code, 2)}`;
  }
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 5)}}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

function pluralOf(noun: string): string {
  if (/[^aeiou]y$/.test(noun)) {
    return `${noun.slice(0, -1)}ies`;
  }
  return /(s|x|z|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

function twoDigits(count: number): string {
  return String(count).padStart(2, '0');
}
