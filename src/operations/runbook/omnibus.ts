import type { Deployment, RunbookStores } from './deployment.ts';
import { fenced } from './shell.ts';
import { placeholder, rubyReadOnly, rubySection } from './snippets.ts';
import { gitlabSection, identityAdvice } from './storage-section.ts';

const file = '/etc/gitlab/gitlab.rb';
const keptFile = '/etc/gitlab/gitlab.before-regtool.rb';

const reconfigure = ['gitlab-ctl reconfigure', 'gitlab-ctl restart registry', 'gitlab-ctl status registry'];

const showReadOnly = 'grep \'"readonly"\' /var/opt/gitlab/registry/config.yml';

/** GitLab from its Linux package: everything is in gitlab.rb, and `gitlab-ctl reconfigure` carries it out. */
export function omnibusDeployment({ source, target }: RunbookStores): Deployment {
  const section = gitlabSection(target.location);
  const placeholders = section.secrets.map(({ variable }) => placeholder(variable));
  return {
    name: 'GitLab from the Linux package (Omnibus)',
    prepare: [
      'Keep the configuration, which is what every way back restores. Do this, and every step below that edits it, on each node that runs the registry:',
      fenced('sh', [`cp -p ${file} ${keptFile}`]),
    ],
    readOnlyOn: [
      ...readOnlySnippet(source),
      'Then:',
      fenced('sh', [...reconfigure, showReadOnly]),
      'The last command prints one line.',
    ],
    switchOver: [
      `In \`${file}\`, replace the whole of \`registry['storage']\` with this. A registry starts with exactly one driver, so nothing of the former one stays:`,
      fenced('ruby', rubySection(section, { readOnly: true })),
      ...(placeholders.length === 0
        ? []
        : [
            `Put the credentials in place of ${placeholders.map((text) => `\`${text}\``).join(' and ')}. ${identityAdvice(section)} The file is readable by root only; keep it so. This prints nothing when none was forgotten:`,
            fenced('sh', [`grep -nE '<[A-Z_]+>' ${file}`]),
          ]),
      'Then:',
      fenced('sh', reconfigure),
    ],
    readOnlyOff: [
      `In \`${file}\`, remove the line with \`maintenance\`:`,
      fenced('ruby', [rubyReadOnly.trim()]),
      'Then:',
      fenced('sh', [...reconfigure, showReadOnly]),
      'The last command prints nothing.',
    ],
    goBack: [fenced('sh', [`cp -p ${keptFile} ${file}`, ...reconfigure])],
    logs: 'gitlab-ctl tail registry',
  };
}

function readOnlySnippet({ location }: RunbookStores['source']): string[] {
  if (location.driver !== 'filesystem') {
    return [
      `In \`${file}\`, add this line to \`registry['storage']\`, beside the driver:`,
      fenced('ruby', [rubyReadOnly.trim()]),
    ];
  }
  return [
    `In \`${file}\`, set this. If \`registry['storage']\` is there already, add the line with \`maintenance\` to it instead:`,
    fenced('ruby', rubySection(gitlabSection(location), { readOnly: true })),
  ];
}
