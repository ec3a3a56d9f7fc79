import { z } from 'zod';
import { LocationError } from '../location-error.ts';
import { nearestName } from '../nearest-name.ts';
import { Secret } from './secret.ts';
import { complainAt, isMap, shownName, type Where } from './storage-file.ts';

// The registry prints whatever it finds into text (Go's fmt.Sprint). Numbers with a point and booleans are refused
// here all the same: what stands in the file ("1e5", "0.10") is not what the registry would make of it.
/** A name, address or path. */
export const text = z.union([z.string(), z.int()], 'must be text: put it into quotes').transform(String);

/** A credential. An empty one counts as none. */
export const secret = text.transform((value) => (value === '' ? undefined : new Secret(value)));

/** A boolean, or text that Go's strconv.ParseBool takes for one, which the registries accept. As `true` or `false`. */
export const flag = z
  .union(
    [z.boolean(), z.enum(['1', 't', 'T', 'true', 'TRUE', 'True', '0', 'f', 'F', 'false', 'FALSE', 'False'])],
    'must be true or false',
  )
  .transform((value) => String(typeof value === 'boolean' ? value : /^[1tT]/.test(value)));

/** A boolean and nothing else. As `true` or `false`. */
export const plainFlag = z
  .boolean('must be true or false without quotes: the registry does not start with anything else')
  .transform(String);

/** A number, or text that Go's strconv.ParseInt takes for one of any base: `0x600000`, `0o17`, `1_000`. As digits. */
export const wholeNumber = z
  .union(
    [
      z.int(),
      z
        .string()
        .regex(
          /^\+?(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/,
          'must be a whole number',
        )
        .transform(integerOf)
        .refine(Number.isSafeInteger, 'must be a whole number'),
    ],
    'must be a whole number',
  )
  .transform(String);

function integerOf(text: string): number {
  // In Go a leading zero makes it octal, too.
  return Number(text.replaceAll(/[+_]/g, '').replace(/^0(?=\d)/, '0o'));
}

/** Known, and of no use here. */
export const unused = z.unknown().optional();

/** A `storage` section of one driver: what is null counts as not given, as it does for the registry. */
export interface DriverSection {
  /** `s3`, `azure_v2`, ... as the file has it. */
  name: string;
  parameters: Record<string, unknown>;
  where: Where;
  /** Takes what an operator should know and what is no error. */
  notices: string[];
}

/**
 * Checks a section against its schema. Parameters that no registry knows are named in `notices`: the registry
 * ignores them, so they change nothing here, either.
 * @throws LocationError CONFIGURATION_INVALID for the first wrong value; says where it stands and never what it is.
 */
export function checkSection<Shape extends z.ZodRawShape>(
  section: DriverSection,
  shape: Shape,
): z.output<z.ZodObject<Shape>> {
  const { name, where, notices } = section;
  const given = Object.fromEntries(Object.entries(section.parameters).filter(([, value]) => value !== null));
  const known = Object.keys(shape);
  for (const parameter of Object.keys(given).filter((parameter) => !Object.hasOwn(shape, parameter))) {
    notices.push(unknownParameter(parameter, where([name, parameter]), `storage.${name}`, known));
  }
  const result = z.object(shape).safeParse(given);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw complainAt(where, [name, ...(issue?.path ?? []).map(String)], issue?.message ?? 'cannot be');
  }
  return result.data;
}

/** The error for a parameter that the section lacks. */
export function missing({ name, where }: DriverSection, parameter: string, advice: string): LocationError {
  return new LocationError(
    'CONFIGURATION_INVALID',
    `${where([name])}: storage.${name} has no ${parameter}: ${advice}.`,
  );
}

/** Those values that are given, as the parameters of a location. */
export function givenTexts(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, value]],
    ),
  );
}

/** The parameters of a driver: a map, or nothing. */
export function parametersOf(name: string, value: unknown, where: Where): Record<string, unknown> {
  if (value === null || value === undefined) {
    return {};
  }
  if (!isMap(value)) {
    throw complainAt(where, [name], 'must be a map of parameters');
  }
  return value;
}

function unknownParameter(
  parameter: string,
  place: string,
  section: string,
  known: readonly string[],
): string {
  const nearest = nearestName(parameter, known);
  const shown = shownName(parameter);
  const what = shown === undefined ? 'a parameter' : `the parameter ${shown}`;
  const suggestion = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  return `${place}: ${section} has ${what} that no registry knows, so it changes nothing.${suggestion}`;
}
