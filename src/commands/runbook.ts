import path from 'node:path';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import { exitCodes } from '../cli/exit-codes.ts';
import { storeArgument } from '../cli/flags.ts';
import { UsageError } from '../cli/usage-error.ts';
import { formatLocation, type StoreLocation } from '../drivers/location.ts';
import { resolveLocation, type ResolvedStore } from '../drivers/open.ts';
import {
  completeLocation,
  type DeploymentKind,
  guessDeployment,
  parseImage,
  type RunbookStore,
  writeRunbook,
} from '../operations/runbook.ts';

export default class Runbook extends BaseCommand {
  static override summary = 'Write the document for the maintenance window of a migration.';

  static override description = [
    'Prints Markdown with every step of moving SOURCE to TARGET: preflight, bulk pass, read-only, final pass, proof, the new storage section, smoke test, and what to do afterwards; each with commands to copy, how to tell that it went well, and how to go back. Contacts no store. Credentials are named, never shown.',
    'A registry configuration that is named as SOURCE or TARGET is read. Region, endpoint and storage account that the location does not say are taken from the environment, as a configuration needs them.',
    'Exit codes: 0 printed; 2 wrong usage, or the target lacks its region or account; 6 source and target are the same store, or one lies inside the other.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'The document for GitLab from the Linux package',
      command:
        '<%= config.bin %> runbook /var/opt/gitlab/gitlab-rails/shared/registry "s3://my-bucket?region=eu-central-1" > runbook.md',
    },
    {
      description: "For GitLab's Helm chart, with an image for the smoke test",
      command:
        '<%= config.bin %> runbook /mnt/registry "azure://registry?account=mystorage" --helm --image registry.example.com/group/app:1.0',
    },
  ];

  static override args = {
    source: storeArgument('Where the registry is now.'),
    target: storeArgument('Where it shall be.'),
  };

  static override flags = {
    omnibus: Flags.boolean({
      summary:
        'For GitLab from the Linux package: gitlab.rb and gitlab-ctl. The default for a source of Omnibus.',
      exclusive: ['yaml', 'helm'],
    }),
    yaml: Flags.boolean({
      summary:
        'For a registry with a config.yml: self-managed GitLab and Distribution. The default otherwise.',
      exclusive: ['omnibus', 'helm'],
    }),
    helm: Flags.boolean({
      summary: "For GitLab's Helm chart.",
      exclusive: ['omnibus', 'yaml'],
    }),
    image: Flags.custom<ReturnType<typeof imageOf>>({
      summary: 'An image with its tag or digest, which the smoke test pulls.',
      helpValue: 'IMAGE',
      parse: (text) => Promise.resolve().then(() => imageOf(text)),
    })(),
  };

  override async run(): Promise<{ deployment: DeploymentKind; markdown: string }> {
    const { args, flags } = await this.parse(Runbook);
    const [source, target] = await Promise.all([resolveLocation(args.source), resolveLocation(args.target)]);
    const deployment = chosen(flags) ?? guessDeployment(pathOf(args.source));
    const kept = keptFile(source);
    const { configuration } = source;
    const markdown = writeRunbook({
      source: storeOf(args.source, source, kept?.copy),
      target: storeOf(args.target, target),
      deployment,
      configFile: /\.ya?ml$/.test(configuration?.path ?? '') ? configuration?.path : undefined,
      keptFiles: kept === undefined ? [] : [kept],
      image: flags.image,
    });
    this.log(markdown.trimEnd());
    return this.finish(exitCodes.done, { deployment, markdown });
  }
}

/** @throws UsageError FLAG_INVALID. */
function imageOf(text: string) {
  const image = parseImage(text);
  if (image === undefined) {
    throw new UsageError(
      'FLAG_INVALID',
      `--image takes an image as docker pull does, such as registry.example.com/group/app:1.0 or registry.example.com/group/app@sha256:DIGEST, not ${JSON.stringify(text)}.`,
    );
  }
  return image;
}

function chosen(flags: { omnibus: boolean; yaml: boolean; helm: boolean }): DeploymentKind | undefined {
  const kinds = ['omnibus', 'yaml', 'helm'] as const;
  return kinds.find((kind) => flags[kind]);
}

function pathOf(location: StoreLocation): string | undefined {
  return location.driver === 'filesystem' ? path.resolve(location.path) : undefined;
}

/**
 * How commands name a store. A folder by its full path; a configuration of an object store by the file, as its
 * credentials are there, or by the copy of it where the switch-over will change the file.
 */
function storeOf(
  written: StoreLocation,
  { location, configuration }: ResolvedStore,
  copy?: string,
): RunbookStore {
  if (location.driver === 'filesystem') {
    return { location, argument: location.path };
  }
  const complete = completeLocation(location, process.env);
  return {
    location: complete,
    argument:
      configuration === undefined ? formatLocation(complete) : (copy ?? path.resolve(pathOf(written) ?? '')),
  };
}

/** After the switch-over a registry's configuration names the target, so the source is read from a copy. */
function keptFile({ location, configuration }: ResolvedStore): { path: string; copy: string } | undefined {
  if (configuration === undefined || location.driver === 'filesystem') {
    return undefined;
  }
  const { dir, name, ext } = path.parse(configuration.path);
  return { path: configuration.path, copy: path.join(dir, `${name}.before-regtool${ext}`) };
}
