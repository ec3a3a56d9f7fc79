/** What a command printed, with sentences whole again that were broken to fit a terminal. */
export function inOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
