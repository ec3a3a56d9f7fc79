import type { Deployment, RunbookStores } from './deployment.ts';
import { fenced } from './shell.ts';
import { yamlForHereDocument } from './snippets.ts';
import { gitlabSection, identityAdvice, type StorageSection } from './storage-section.ts';

const secretName = 'registry-storage-regtool';
const keptValues = 'values.before-regtool.yaml';
const newValues = 'values.regtool.yaml';

/** GitLab's Helm chart: the storage section is a secret, everything around it are values of the chart. */
export function helmDeployment({ target }: RunbookStores): Deployment {
  const section = gitlabSection(target.location);
  return {
    name: "GitLab's Helm chart",
    prepare: [
      'Say which release it is. Correct the first two if yours differ; the chart stays at its version, so that nothing else changes with it:',
      fenced('sh', [
        'RELEASE=gitlab',
        'NAMESPACE=gitlab',
        `CHART_VERSION=$(helm list --namespace "$NAMESPACE" --filter "^$RELEASE\\$" --output json | jq --raw-output '.[0].chart | sub("^gitlab-"; "")')`,
        'upgrade() { helm upgrade "$RELEASE" gitlab/gitlab --namespace "$NAMESPACE" --version "$CHART_VERSION" --wait "$@"; }',
      ]),
      'Keep the values, which are what every way back restores:',
      fenced('sh', [`helm get values "$RELEASE" --namespace "$NAMESPACE" --output yaml > ${keptValues}`]),
      'A folder on a volume is reached from a pod that mounts it: run `regtool` there, and `helm` and `kubectl` where you always do.',
    ],
    readOnlyOn: [
      fenced('sh', [`upgrade --values ${keptValues} --set registry.maintenance.readonly.enabled=true`]),
    ],
    switchOver: [
      "The driver's section goes into a secret. The shell puts the credentials in from its variables, so that they stand in no file and no history:",
      fenced('sh', [
        `kubectl create secret generic ${secretName} --namespace "$NAMESPACE" --from-file=config=/dev/stdin <<REGTOOL`,
        ...yamlForHereDocument(section),
        'REGTOOL',
      ]),
      ...(section.secrets.length === 0 ? [] : [identityAdvice(section)]),
      'The values point to it:',
      fenced('sh', [`cat > ${newValues} <<'REGTOOL'`, ...values(section), 'REGTOOL']),
      'Then:',
      fenced('sh', [`upgrade --values ${keptValues} --values ${newValues}`]),
    ],
    readOnlyOff: [
      fenced('sh', [
        `sed -i '/maintenance:/,/enabled: true/s/enabled: true/enabled: false/' ${newValues}`,
        `upgrade --values ${keptValues} --values ${newValues}`,
      ]),
      `From now on ${newValues} belongs to your values: add it to whatever you install the chart with.`,
    ],
    goBack: [fenced('sh', [`upgrade --values ${keptValues}`])],
    logs: 'kubectl logs --namespace "$NAMESPACE" --selector app=registry --follow',
  };
}

function values({ redirectDisabled }: StorageSection): string[] {
  return [
    'registry:',
    '  storage:',
    `    secret: ${secretName}`,
    '    key: config',
    ...(redirectDisabled === undefined ? [] : ['    redirect:', `      disable: true # ${redirectDisabled}`]),
    '  maintenance:',
    '    readonly:',
    '      enabled: true',
  ];
}
