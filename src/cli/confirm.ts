import { createInterface } from 'node:readline/promises';

export type Answer = 'yes' | 'no' | 'no-terminal';

export interface ConfirmOptions {
  signal?: AbortSignal | undefined;
  input?: NodeJS.ReadableStream & { isTTY?: boolean };
  output?: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * Asks a question that only the whole word `yes` agrees to. The end of the input is a no.
 * Without a terminal to ask on and to answer at, nothing is asked.
 * @throws the signal's AbortError when it is aborted meanwhile.
 */
export async function confirm(
  question: string,
  { signal, input = process.stdin, output = process.stderr }: ConfirmOptions = {},
): Promise<Answer> {
  if (input.isTTY !== true || output.isTTY !== true) {
    return 'no-terminal';
  }
  // Not in raw mode: the terminal itself echoes, edits, and turns Ctrl-C into a signal for the whole command.
  const lines = createInterface({ input, output, terminal: false });
  let onClose = (): void => undefined;
  const closed = new Promise<string>((resolve) => {
    onClose = () => {
      // Ctrl-D leaves the cursor behind the question.
      output.write('\n');
      resolve('');
    };
  });
  lines.once('close', onClose);
  const prompt = `${question} Type "yes" to go on: `;
  try {
    const answer = await Promise.race([
      lines.question(prompt, signal === undefined ? {} : { signal }),
      closed,
    ]);
    return answer.trim() === 'yes' ? 'yes' : 'no';
  } finally {
    lines.off('close', onClose);
    lines.close();
  }
}
