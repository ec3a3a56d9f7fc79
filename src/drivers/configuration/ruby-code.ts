/** What stands for each character of a text or a here document. */
export const inText = '"';

/**
 * The same text with blanks for comments and quotes for all that is quoted, so that lines and offsets stay and only what
 * Ruby would run is left. What Ruby quotes otherwise (`%q`, a pattern) is taken for code.
 */
export function codeOf(source: string): string {
  return source.replace(
    /<<[-~]?(['"]?)([A-Z_]\w*)\1[^\n]*\n[^]*?^[ \t]*\2\b|"(?:\\[^]|[^"\\])*"|'(?:\\[^]|[^'\\])*'|#[^\n]*/gm,
    (found) => found.replace(/[^\n]/g, found.startsWith('#') ? ' ' : inText),
  );
}

/** Keeps lines and offsets; what follows `__END__` is not Ruby's. */
export function withoutBlockComments(source: string): string {
  const end = /^__END__\r?$/m.exec(source)?.index;
  return source
    .slice(0, end)
    .replace(/^=begin\b[^]*?^=end\b[^\n]*/gm, (comment) => comment.replace(/[^\n]/g, ' '));
}

/** Whether what stands here may not happen, or more than once: it is inside of an `if`, a `do`, a `{` and the like. */
export function isInBlock(code: string, offset: number): boolean {
  const before = code.slice(0, offset);
  if ((before.match(/[{([]/g)?.length ?? 0) > (before.match(/[})\]]/g)?.length ?? 0)) {
    return true;
  }
  let depth = 0;
  for (const line of before.split('\n')) {
    if (
      /(?:^|[=;(]|\breturn)\s*(if|unless|case|while|until|for|begin|def|class|module)\b/.test(line) ||
      /\bdo\s*(\|[^|]*\|)?\s*$/.test(line)
    ) {
      depth += /\bend\s*$/.test(line) ? 0 : 1;
    } else if (/^\s*end\b/.test(line)) {
      depth = Math.max(0, depth - 1);
    }
  }
  return depth > 0;
}

/** Where other Ruby is run: a file or a text that may set anything. Libraries by their names set nothing. */
export function otherCodeAt(source: string, code: string): number | undefined {
  const calls =
    /(?<![\w.:@$])(?:from_file|load|eval|require|require_relative)\b(?!\s*(?:=>|:|=(?!=)))|\.(?:instance_|class_)?eval\b|(?<![\w.:@$])(?:instance_|class_)eval\b/g;
  return [...code.matchAll(calls)].find(
    ({ index }) => !/^require[ \t(]*(['"])[\w-]+\1/.test(source.slice(index)),
  )?.index;
}

/** Where a section is used as a whole, as in `r = registry` or `registry.store(...)`, or by a computed name. */
export function otherUseAt(source: string, code: string, section: string): number | undefined {
  const uses = code.matchAll(new RegExp(`(?<![\\w.:@$"])${section}(?![\\w?!:])`, 'g'));
  const named = new RegExp(`^${section}\\s*\\[\\s*(?:'[^']*'|"[^"#]*"|:\\w+)\\s*\\]`);
  const byName = [...uses].find(({ index }) => !named.test(source.slice(index)))?.index;
  return (
    byName ?? indexOf(source, code, new RegExp(`\\b(?:Gitlab|node|self)\\s*\\[\\s*['":]${section}\\b`, 'g'))
  );
}

function indexOf(source: string, code: string, pattern: RegExp): number | undefined {
  return [...source.matchAll(pattern)].find(({ index }) => /\w/.test(code[index] ?? ''))?.index;
}
