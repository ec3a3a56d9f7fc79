import type { Deployment, RunbookStores } from './deployment.ts';
import { fenced, shellWord } from './shell.ts';
import { yamlReadOnly, yamlSection } from './snippets.ts';
import {
  distributionSection,
  gitlabSection,
  identityAdvice,
  type StorageSection,
} from './storage-section.ts';

const defaultFile = '/etc/docker/registry/config.yml';

/** A registry that reads a config.yml: GitLab's from source, or Distribution. */
export function configFileDeployment({ target }: RunbookStores, configFile = defaultFile): Deployment {
  const gitlab = gitlabSection(target.location);
  const distribution = distributionSection(target.location);
  const keptFile = configFile.replace(/(\.ya?ml)?$/, '.before-regtool$1');
  return {
    name: 'a registry with a config.yml (self-managed GitLab, or Distribution)',
    prepare: [
      'Say where the configuration is and how the registry is restarted. Correct these if yours differ:',
      fenced('sh', [
        `CONFIG=${shellWord(configFile)}`,
        `KEPT_CONFIG=${shellWord(keptFile)}`,
        'restart_registry() { systemctl restart docker-registry; }',
      ]),
      'Keep the configuration, which is what every way back restores:',
      fenced('sh', ['cp -p "$CONFIG" "$KEPT_CONFIG"']),
    ],
    readOnlyOn: [
      'In the configuration, add this to the `storage` section that is there. What it has below `maintenance` already stays:',
      fenced('yaml', ['storage:', ...yamlReadOnly]),
      'Then:',
      fenced('sh', ['restart_registry']),
    ],
    switchOver: [
      'In the configuration, replace the former driver in the `storage` section, as a registry starts with exactly one. Its other parts (`delete`, `cache`, `tag`) stay as they are.',
      "For GitLab's registry:",
      fenced('yaml', yamlSection(gitlab, { readOnly: true })),
      ...(typeof distribution === 'string'
        ? [distribution]
        : [
            `For ${distribution.title}:`,
            fenced('yaml', yamlSection(distribution.section, { readOnly: true })),
            ...withoutCounterpart(gitlab, distribution.section),
          ]),
      ...credentialsAdvice(gitlab),
      'If `cache.blobdescriptor` is `redis`, empty that Redis database: it remembers blobs of the former store.',
      'Then:',
      fenced('sh', ['restart_registry']),
    ],
    readOnlyOff: [
      'In the configuration, remove what step 3 added:',
      fenced('yaml', yamlReadOnly),
      'Then:',
      fenced('sh', ['restart_registry']),
    ],
    goBack: [fenced('sh', ['cp -p "$KEPT_CONFIG" "$CONFIG"', 'restart_registry'])],
    logs: 'journalctl --unit docker-registry --follow',
  };
}

function credentialsAdvice(section: StorageSection): string[] {
  const { secrets } = section;
  if (secrets.length === 0) {
    return [];
  }
  const pairs = secrets.map(({ name, variable }) => `\`${name}\` is what \`${variable}\` holds here`);
  return [
    `The credentials go into the registry's environment, in a file that only root can read (\`EnvironmentFile=\` of its unit, \`--env-file\` of its container), under the names that the section has: ${pairs.join(', ')}. ${identityAdvice(section)}`,
  ];
}

/** What GitLab's registry is told and Distribution cannot be. */
function withoutCounterpart(gitlab: StorageSection, distribution: StorageSection): string[] {
  const limits = ({ parameters }: StorageSection): boolean =>
    parameters.some(({ name }) => name === 'maxrequestspersecond');
  return limits(gitlab) && !limits(distribution)
    ? ['Distribution has no `maxrequestspersecond`: it cannot be told to ask less of the store.']
    : [];
}
