import { inspect } from 'node:util';

const hidden = '***';
const known = new Set<string>();

/** Shorter values are also parts of ordinary words, and blotting them out would garble messages. */
const blottableCharacters = 8;

/**
 * A credential from a configuration file. However it is printed, joined into a text or turned into JSON, it
 * shows `***`: only `reveal` gives it out, and only what hands it to a store's client calls that.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length >= blottableCharacters) {
      known.add(value);
    }
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [inspect.custom](): string {
    return hidden;
  }
}

/** The last net under messages: blots out every credential that this process has read from a configuration. */
export function hideSecrets(text: string): string {
  let clean = text;
  for (const value of known) {
    clean = clean.replaceAll(value, hidden);
  }
  return clean;
}
