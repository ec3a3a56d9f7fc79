import type { StoreLocation } from '../drivers/location.ts';
import { azureRoot, s3Root } from '../drivers/root.ts';
import { REGISTRY_ROOT } from '../layout/paths.ts';
import { afterwards } from './runbook/afterwards.ts';
import { assertConfigurable } from './runbook/complete.ts';
import { configFileDeployment } from './runbook/config-file.ts';
import { credentials } from './runbook/credentials.ts';
import { assertDistinct } from './runbook/distinct.ts';
import type { Deployment, DeploymentKind, RunbookStores } from './runbook/deployment.ts';
import { helmDeployment } from './runbook/helm.ts';
import type { Image } from './runbook/image.ts';
import { omnibusDeployment } from './runbook/omnibus.ts';
import { fenced, inlineCode, shellCommand } from './runbook/shell.ts';
import { troubles } from './runbook/troubles.ts';

export { completeLocation } from './runbook/complete.ts';
export { type DeploymentKind, guessDeployment, type RunbookStore } from './runbook/deployment.ts';
export { parseImage } from './runbook/image.ts';

export interface RunbookOptions extends RunbookStores {
  deployment: DeploymentKind;
  /** The registry's configuration, where it was named. */
  configFile?: string | undefined;
  /** Configuration files that commands read and that the switch-over changes, and the copies they are kept as. */
  keptFiles?: readonly { path: string; copy: string }[] | undefined;
  /** An image that the smoke test pulls. */
  image?: Image | undefined;
}

/** Stands for the image of the smoke test until somebody names one. */
const someImage: Image = {
  reference: 'registry.example.com/group/project:tag',
  name: 'registry.example.com/group/project',
};

/**
 * Writes the document for one maintenance window, as Markdown: every step with its commands, how to tell that it
 * went well, and how to go back. Contacts nothing; the same input gives the same text.
 * @throws LocationError when the target lacks what a registry's configuration needs.
 * @throws SafetyRefusal STORES_OVERLAP when both locations name one store.
 */
export function writeRunbook(options: RunbookOptions): string {
  assertDistinct(options);
  assertConfigurable(options.target.location);
  const deployment = deploymentFor(options);
  const steps = [
    preparation(options, deployment),
    preflight(options),
    bulkPass(options),
    readOnly(deployment),
    finalPass(options),
    proof(options),
    switchOver(deployment),
    smokeTest(options, deployment),
    readWrite(options, deployment),
    afterwards(options),
  ];
  const parts = [
    ...introduction(options, deployment),
    ...steps.flatMap(([title, ...blocks], step) => [`## ${step}. ${title}`, ...blocks]),
    '## If something looks wrong',
    ...troubles(options, deployment),
  ];
  return `${parts.join('\n\n')}\n`;
}

function deploymentFor({ deployment, configFile, ...stores }: RunbookOptions): Deployment {
  switch (deployment) {
    case 'omnibus':
      return omnibusDeployment(stores);
    case 'yaml':
      return configFileDeployment(stores, configFile);
    case 'helm':
      return helmDeployment(stores);
  }
}

function introduction({ source, target }: RunbookOptions, { name }: Deployment): string[] {
  return [
    '# Moving a container registry',
    [
      `- From: ${inlineCode(source.argument)}`,
      `- To: ${inlineCode(target.argument)}`,
      `- For: ${name}`,
      `- ${rootSentence(target.location)}`,
    ].join('\n'),
    'The registry serves pulls all the time, but for its restarts. It refuses pushes from step 3 to the end of step 8; steps 1 and 2 are done on the days before. Each step says how to go back. Go on only if the step went well: after a `regtool` command, `echo $?` prints 0.',
    'Nothing was contacted to write this document.',
  ];
}

function rootSentence(target: StoreLocation): string {
  switch (target.driver) {
    case 'filesystem':
      return `Files will lie below ${inlineCode(`${target.path.replace(/\/$/, '')}/${REGISTRY_ROOT}`)}`;
    case 's3':
      return `Keys will begin ${inlineCode(`${s3Root(target.rootdirectory)}${REGISTRY_ROOT}`)}`;
    case 'azure': {
      const root = azureRoot(target);
      const whoElse = root.startsWith('/')
        ? 'with a leading slash, as Distribution 2 and GitLab before 16.0 have it; GitLab 16.0 and later need `trimlegacyrootprefix: false` to see them'
        : 'without a leading slash; GitLab before 16.0 needs `trimlegacyrootprefix: true` to see them, and Distribution 2 cannot';
      return `Keys will begin ${inlineCode(`${root}${REGISTRY_ROOT}`)}, ${whoElse}`;
    }
  }
}

type Step = [title: string, ...blocks: string[]];

function preparation(options: RunbookOptions, { prepare }: Deployment): Step {
  const { keptFiles = [] } = options;
  return [
    'Before you begin',
    'Do everything in one root shell (`sudo -i`, then `tmux`), on the machine that sees the source and can reach the target.',
    ...prepare,
    ...(keptFiles.length === 0
      ? []
      : [
          'Keep what the commands below read the source from, as step 6 changes the original:',
          fenced(
            'sh',
            keptFiles.map(({ path, copy }) => shellCommand('cp', '-p', path, copy)),
          ),
        ]),
    ...credentials(options),
  ];
}

function preflight({ source, target }: RunbookOptions): Step {
  return [
    'Preflight, days before',
    fenced('sh', [
      regtool('doctor', source.argument, target.argument, '--write-probe'),
      regtool('check', source.argument),
    ]),
    '`doctor` tries every permission by itself (its probe writes under a scratch key of its own and removes it), looks for lockfiles and free space, and estimates how long the passes take. Mend what it calls failed. `check` names what is broken at the source already: broken tags stay behind, so mend them, or agree that they may.',
    'Optional: collect garbage now, and there is less to copy. Never between the final pass and the end.',
    'To go back: nothing was changed.',
  ];
}

function bulkPass({ source, target }: RunbookOptions): Step {
  return [
    'Bulk pass, while the registry takes pushes',
    ...(target.location.driver === 'filesystem' ? ownership(target.location.path) : []),
    fenced('sh', [
      regtool('migrate', source.argument, target.argument, '--dry-run'),
      regtool('migrate', source.argument, target.argument, '--report', 'bulk-pass.ndjson'),
    ]),
    'Read the plan of the first before you start the second. It can be interrupted and run again at any time, and goes on where it was. Run it once more on the day before: the shorter the last one was, the shorter the window. Lockfiles (`docker/registry/lockfiles/`) are copied, too.',
    'To go back: no registry uses the target yet, so leave it or empty it.',
  ];
}

function readOnly({ readOnlyOn, goBack }: Deployment): Step {
  return [
    'Make the registry read-only: the window begins',
    'Pulls go on. Start no garbage collection from here to the end.',
    ...readOnlyOn,
    'To see it, push any image: it is refused (405, "The operation is unsupported").',
    'To go back, here and until the end of step 5:',
    ...goBack,
  ];
}

function finalPass({ source, target }: RunbookOptions): Step {
  return [
    'Final pass',
    fenced('sh', [
      regtool(
        'migrate',
        source.argument,
        target.argument,
        '--delete',
        '--dry-run',
        '--report',
        'final-plan.ndjson',
      ),
    ]),
    'It should copy what was pushed since the last pass, and delete only what was deleted at the source meanwhile. With many deletions stop and find out why; above 10 percent of the target it refuses by itself. Then for real; it asks before it deletes:',
    fenced('sh', [
      regtool('migrate', source.argument, target.argument, '--delete', '--report', 'final-pass.ndjson'),
    ]),
    'To go back: as in step 3. The source was not written.',
  ];
}

function ownership(path: string): string[] {
  return [
    'Files get the owner of the folder itself when root runs this. See that it is the user as which the registry runs (`registry:git` with Omnibus), and `chown` it before you go on if not:',
    fenced('sh', [shellCommand('stat', '--format', '%U:%G %a', path)]),
  ];
}

function proof({ source, target }: RunbookOptions): Step {
  return [
    'Verify and check',
    fenced('sh', [
      regtool('verify', source.argument, target.argument, '--read-data', '--report', 'verify.ndjson'),
      regtool('check', target.argument),
    ]),
    'Both end with 0, but for what `check` named at the source in step 1, too. `--read-data` reads every blob at the target back, or asks a store that keeps their SHA-256. If the window has no time for that, `--read-data=5%` in its place reads a sample.',
    "Look at the lockfiles in what `check` prints. **GitLab 19 and later take the metadata database by default (`prefer`), and a registry that finds no lockfile starts on an empty database: every image looks gone.** If the source has none, say `enabled: false` in the `database` section (Omnibus: `registry['database'] = { 'enabled' => false }`) before step 6. With `database-in-use` the registry goes on with the database it has; do not restore an older one.",
    'To go back: as in step 3.',
  ];
}

function switchOver({ switchOver: blocks, goBack }: Deployment): Step {
  return [
    'Switch to the target, still read-only',
    ...blocks,
    'To go back, until the end of step 7, as nothing was pushed to the target:',
    ...goBack,
  ];
}

function smokeTest({ image = someImage, target }: RunbookOptions, { logs }: Deployment): Step {
  return [
    'Smoke test',
    ...(image === someImage
      ? [`Name one of your own images instead of ${inlineCode(image.reference)}.`]
      : []),
    fenced('sh', [
      shellCommand('docker', 'image', 'rm', '--force', image.reference),
      shellCommand('docker', 'pull', image.reference),
    ]),
    'Pull another one from a machine outside the data centre, too: where the registry redirects, clients fetch layers from the store itself. Meanwhile look for errors:',
    fenced('sh', [logs]),
    `An empty list of tags or "repository name not known" means that the registry looks in another place than ${inlineCode(target.argument)}: see the end of this document.`,
    'To go back: as in step 6.',
  ];
}

function readWrite({ source, target, image = someImage }: RunbookOptions, deployment: Deployment): Step {
  const probe = `${image.name}:regtool-smoke-test`;
  const back = [
    regtool('migrate', target.argument, source.argument, '--delete', '--dry-run'),
    regtool('migrate', target.argument, source.argument, '--delete'),
  ];
  return [
    'Take pushes again: the window ends',
    ...deployment.readOnlyOff,
    'Push something:',
    fenced('sh', [
      shellCommand('docker', 'tag', image.reference, probe),
      shellCommand('docker', 'push', probe),
    ]),
    'To go back from here on, pushes must not be lost: make the registry read-only again, as in step 3 but in the present configuration, bring what was pushed back to the source, and restore the former configuration:',
    fenced('sh', back),
    ...deployment.goBack,
  ];
}

function regtool(...words: readonly string[]): string {
  return shellCommand('regtool', ...words);
}
