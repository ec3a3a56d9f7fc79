/**
 * The text between the first `<name>` and its end tag, entities undecoded, or undefined when there is none.
 * Enough for the flat documents with which S3 and Azure refuse: in XML, a raw `<` is never part of a value.
 */
export function elementText(xml: string, name: string): string | undefined {
  const open = `<${name}>`;
  const start = xml.indexOf(open);
  if (start === -1) {
    return undefined;
  }
  const end = xml.indexOf('<', start + open.length);
  return end !== -1 && xml.startsWith(`</${name}>`, end) ? xml.slice(start + open.length, end) : undefined;
}

/** Replaces the entities and character references of XML 1.0; undefined when one of them is not valid. */
export function decodeXmlText(text: string): string | undefined {
  if (!text.includes('&')) {
    return text;
  }
  let isValid = true;
  const decoded = text.replaceAll(/&([^;&]{0,10};)?/g, (_, reference: string | undefined) => {
    const character = decodeReference(reference ?? '');
    isValid &&= character !== undefined;
    return character ?? '';
  });
  return isValid ? decoded : undefined;
}

const ENTITIES: Readonly<Record<string, string>> = {
  'amp;': '&',
  'lt;': '<',
  'gt;': '>',
  'quot;': '"',
  'apos;': "'",
};

function decodeReference(reference: string): string | undefined {
  const match = /^#(?:x([\da-f]+)|(\d+));$/i.exec(reference);
  if (match === null) {
    return ENTITIES[reference];
  }
  const [, hex, decimal] = match;
  const codePoint = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : undefined;
}
