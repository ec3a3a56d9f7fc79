/** What a sink keeps of an object. */
export interface Stored {
  sizeBytes: number;
  /** Hex; '' where it is not known. */
  md5: string;
}

export const NOTHING: Stored = { sizeBytes: 0, md5: 'd41d8cd98f00b204e9800998ecf8427e' };

/** Names in order. Sorted when first listed after a change: uploads come in bulk, and listings too. */
export class Bucket {
  readonly #objects = new Map<string, Stored>();
  #sorted: string[] | undefined;

  get(key: string): Stored | undefined {
    return this.#objects.get(key);
  }

  put(key: string, stored: Stored): void {
    if (!this.#objects.has(key)) {
      this.#sorted = undefined;
    }
    this.#objects.set(key, stored);
  }

  /**
   * One page of a listing: objects, and with a delimiter folders in their place.
   * @param after what the page before ended with, '' for the first page.
   */
  page(prefix: string, delimiter: string, after: string, maxEntries: number): Page {
    const page: Page = { entries: [], next: undefined };
    let last = '';
    let { names, start: index } = this.#from(after > prefix ? after : prefix);
    let key = names[index];
    while (key !== undefined && key.startsWith(prefix) && page.entries.length < maxEntries) {
      const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      if (key <= after) {
        index += 1;
      } else if (end === -1) {
        page.entries.push({ key, stored: this.#objects.get(key) ?? NOTHING });
        last = key;
        index += 1;
      } else {
        const folder = key.slice(0, end + 1);
        page.entries.push({ folder });
        last = `${folder}\uFFFF`;
        index = this.#from(last).start;
      }
      key = names[index];
    }
    if (key !== undefined && key.startsWith(prefix)) {
      page.next = last;
    }
    return page;
  }

  /** All names, ascending, and where the first one stands that is not before `key`. */
  #from(key: string): { names: readonly string[]; start: number } {
    // Registry names are ASCII, for which this is byte order.
    const names = (this.#sorted ??= [...this.#objects.keys()].sort());
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((names[middle] ?? '') < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return { names, start: low };
  }
}

export interface Page {
  entries: ({ key: string; stored: Stored } | { folder: string })[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
