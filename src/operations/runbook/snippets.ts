import type { Parameter, StorageSection } from './storage-section.ts';

export interface SnippetOptions {
  readOnly: boolean;
}

/** The `storage` section of a config.yml. Credentials are left to the registry's environment. */
export function yamlSection(section: StorageSection, { readOnly }: SnippetOptions): string[] {
  const { driver, parameters, secrets, redirectDisabled } = section;
  return [
    'storage:',
    `  ${driver}:`,
    ...(secrets.length === 0
      ? []
      : [
          `    # ${secrets.map(({ name }) => name).join(' and ')}: from the registry's environment, as`,
          `    # ${secrets.map((secret) => environmentName(driver, secret.name)).join(' and ')}`,
        ]),
    ...parameters.map((parameter) => `    ${yamlLine(parameter)}`),
    ...(redirectDisabled === undefined
      ? []
      : ['  redirect:', `    ${yamlLine({ name: 'disable', value: true, reason: redirectDisabled })}`]),
    ...(readOnly ? yamlReadOnly : []),
  ];
}

/** What makes a registry refuse pushes and deletes, as it stands below `storage:`. */
export const yamlReadOnly = ['  maintenance:', '    readonly:', '      enabled: true'];

/**
 * The driver's section alone, as the secret of GitLab's chart holds it, made for an unquoted here-document:
 * the shell puts the credentials in from its variables, and changes nothing else.
 */
export function yamlForHereDocument({ driver, parameters, secrets }: StorageSection): string[] {
  return [
    `${driver}:`,
    ...secrets.map(({ name, variable }) => `  ${name}: "\${${variable}}"`),
    ...parameters.map((parameter) => `  ${escapeHereDocument(yamlLine(parameter))}`),
  ];
}

/** The variable by which distribution and GitLab's registry override one parameter. */
function environmentName(driver: string, parameter: string): string {
  return `REGISTRY_STORAGE_${driver}_${parameter}`.toUpperCase();
}

/** `registry['storage']` of a gitlab.rb: a literal hash in which credentials are placeholders in angle brackets. */
export function rubySection(section: StorageSection, { readOnly }: SnippetOptions): string[] {
  const { driver, parameters, secrets, redirectDisabled } = section;
  return [
    "registry['storage'] = {",
    `  ${rubyText(driver)} => {`,
    ...secrets.map(({ name, variable }) => `    ${rubyText(name)} => ${rubyText(placeholder(variable))},`),
    ...parameters.map(
      ({ name, value, reason }) => `    ${rubyText(name)} => ${rubyValue(value)},${comment(reason)}`,
    ),
    '  },',
    ...(redirectDisabled === undefined
      ? []
      : [`  'redirect' => { 'disable' => true },${comment(redirectDisabled)}`]),
    ...(readOnly ? [rubyReadOnly] : []),
    '}',
  ];
}

export const rubyReadOnly = "  'maintenance' => { 'readonly' => { 'enabled' => true } },";

/** `<AWS_ACCESS_KEY_ID>`: put in by hand what the variable of that name holds. */
export function placeholder(variable: string): string {
  return `<${variable}>`;
}

function yamlLine({ name, value, reason }: Parameter): string {
  return `${name}: ${yamlValue(value)}${comment(reason)}`;
}

/** Text always in double quotes, whose escapes YAML shares with JSON: no word or number is taken for something else. */
function yamlValue(value: Parameter['value']): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function rubyValue(value: Parameter['value']): string {
  return typeof value === 'string' ? rubyText(value) : String(value);
}

/** In single quotes, between which Ruby replaces nothing but `\\` and `\'`. */
function rubyText(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

function comment(reason: string | undefined): string {
  return reason === undefined ? '' : ` # ${reason}`;
}

/** What a shell acts on in an unquoted here-document. */
function escapeHereDocument(line: string): string {
  return line.replaceAll(/[\\$`]/g, String.raw`\$&`);
}
