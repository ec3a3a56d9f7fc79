/** Something that stands where only a literal was expected: a call, a constant, an interpolation, a slip. */
export class NotLiteral extends Error {
  /** Offset in the text. */
  readonly offset: number;

  constructor(offset: number) {
    super('not a literal');
    this.offset = offset;
  }
}

export interface RubyLiteral {
  /** Plain values; symbols are text, nil is null. */
  value: unknown;
  /** Where the literal ends. */
  end: number;
}

/**
 * Reads one Ruby literal: a hash (`'a' => 1`, `:a => 1`, `a: 1`), an array, text in single or double quotes, a
 * symbol, a number, true, false or nil, nested in any way, with comments and trailing commas.
 * Nothing is ever evaluated. Offsets of the hashes' keys go to `keys`, by path.
 * @throws NotLiteral where Ruby would compute something, and where this is no Ruby at all.
 */
export function readRubyLiteral(source: string, start: number, keys: Map<string, number>): RubyLiteral {
  let at = start;
  const value = readValue([]);
  return { value, end: at };

  function readValue(path: readonly string[]): unknown {
    skipBlank();
    if (path.length > 32) {
      throw new NotLiteral(at);
    }
    const character = source[at];
    switch (character) {
      case '{':
        return readHash(path);
      case '[':
        return readArray(path);
      case "'":
      case '"':
        return readQuoted();
      case ':':
        at += 1;
        return source[at] === "'" || source[at] === '"' ? readQuoted() : word(/[A-Za-z_]\w*/y);
      default:
        return readWord();
    }
  }

  function readHash(path: readonly string[]): Record<string, unknown> {
    const hash: Record<string, unknown> = {};
    at += 1;
    for (skipBlank(); source[at] !== '}'; skipBlank()) {
      const keyAt = at;
      const key = readKey();
      const inner = [...path, key];
      keys.set(inner.join('.'), keyAt);
      Object.defineProperty(hash, key, {
        value: readValue(inner),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      endItem('}');
    }
    at += 1;
    return hash;
  }

  function readArray(path: readonly string[]): unknown[] {
    const items: unknown[] = [];
    at += 1;
    for (skipBlank(); source[at] !== ']'; skipBlank()) {
      items.push(readValue(path));
      endItem(']');
    }
    at += 1;
    return items;
  }

  /** `'key' =>`, `:key =>`, `key:` or `"key":`. */
  function readKey(): string {
    const character = source[at];
    let key: string;
    if (character === "'" || character === '"') {
      key = readQuoted();
    } else if (character === ':') {
      at += 1;
      key = source[at] === "'" || source[at] === '"' ? readQuoted() : word(/[A-Za-z_]\w*/y);
    } else {
      key = word(/[A-Za-z_]\w*(?=:(?!:))/y);
    }
    if (source[at] === ':' && character !== ':') {
      at += 1;
      return key;
    }
    skipBlank();
    if (!source.startsWith('=>', at)) {
      throw new NotLiteral(at);
    }
    at += 2;
    return key;
  }

  function endItem(close: string): void {
    skipBlank();
    if (source[at] === ',') {
      at += 1;
    } else if (source[at] !== close) {
      throw new NotLiteral(at);
    }
  }

  function readQuoted(): string {
    const quote = source[at];
    const openedAt = at;
    let text = '';
    for (at += 1; source[at] !== quote; at += 1) {
      const character = source[at];
      if (
        character === undefined ||
        (quote === '"' && character === '#' && /[{$@]/.test(source[at + 1] ?? ''))
      ) {
        throw new NotLiteral(character === undefined ? openedAt : at);
      }
      if (character === '\\') {
        at += 1;
        text += quote === "'" ? singleEscape(source[at] ?? '') : doubleEscape(source[at] ?? '');
      } else {
        text += character;
      }
    }
    at += 1;
    return text;
  }

  function doubleEscape(character: string): string {
    const known: Readonly<Record<string, string>> = {
      n: '\n',
      t: '\t',
      r: '\r',
      s: ' ',
      '0': '\0',
      e: '\u001b',
    };
    if (/[a-zA-Z0-9]/.test(character) && known[character] === undefined) {
      throw new NotLiteral(at);
    }
    return known[character] ?? character;
  }

  function readWord(): unknown {
    const number = match(/[-+]?\d[\d_]*(\.\d[\d_]*)?([eE][-+]?\d+)?(?![\w.])/y);
    if (number !== undefined) {
      // A leading zero makes it octal in Ruby.
      const digits = number.replaceAll('_', '');
      if (/^[-+]?0\d/.test(digits)) {
        throw new NotLiteral(at - number.length);
      }
      return Number(digits);
    }
    switch (match(/(true|false|nil)(?![\w.?!:(])/y)) {
      case 'true':
        return true;
      case 'false':
        return false;
      case 'nil':
        return null;
      default:
        throw new NotLiteral(at);
    }
  }

  function word(pattern: RegExp): string {
    const found = match(pattern);
    if (found === undefined) {
      throw new NotLiteral(at);
    }
    return found;
  }

  /** What the sticky pattern finds right here, which is then behind us. */
  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    at += found?.length ?? 0;
    return found;
  }

  function skipBlank(): void {
    match(/(?:\s|#[^\n]*)*/y);
  }
}

/** In single quotes only the quote and the backslash are escaped; before anything else a backslash is itself. */
function singleEscape(character: string): string {
  return character === "'" || character === '\\' ? character : `\\${character}`;
}
