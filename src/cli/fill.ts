/** What a terminal has that nobody has widened. */
const COLUMNS = 80;

/**
 * Lines of at most 80 columns, filled with parts that stay whole: words, or phrases with their commas. A part that is
 * longer, such as a path, has a line of its own.
 * @param first how the first line begins.
 * @param rest how the others do.
 */
export function fillLines(parts: readonly string[], first = '', rest = `${first}  `): string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const part of parts) {
    const longer = isEmpty ? line + part : `${line} ${part}`;
    if (isEmpty || longer.length <= COLUMNS) {
      line = longer;
    } else {
      lines.push(line);
      line = rest + part;
    }
    isEmpty = false;
  }
  return isEmpty ? lines : [...lines, line];
}

/** A sentence as lines of at most 80 columns. */
export function wrapWords(sentence: string, first?: string, rest?: string): string[] {
  return fillLines(sentence.trimStart().split(' '), first, rest);
}

/** Keys and digests are longer than this, and words are not. */
const WORD_MAX = 60;

/**
 * Fits lines into a terminal: those that are too wide go on below, under their last column where they are rows of a
 * table, else indented. A line with a key or a digest stays whole, so that it can be looked for and copied.
 */
export function fitLines(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    if (line.length <= COLUMNS || line.split(' ').some((word) => word.length > WORD_MAX)) {
      return [line];
    }
    const [indent = ''] = /^ */.exec(line) ?? [];
    const [columns = ''] = /^.*\S {2,}(?=\S)/.exec(line) ?? [];
    const rest = columns.length > 0 && columns.length < COLUMNS - 20 ? columns.length : indent.length + 2;
    return wrapWords(line, indent, ' '.repeat(rest));
  });
}
