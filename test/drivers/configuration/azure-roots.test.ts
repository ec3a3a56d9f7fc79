import { describe, expect, test } from 'vitest';
import { parseConfiguration } from '../../../src/drivers/configuration/read-configuration.ts';
import type { AzureLocation } from '../../../src/drivers/location.ts';
import { azureRoot, otherAzureRoots } from '../../../src/drivers/root.ts';

function locationOf(driver: string, parameters: string): AzureLocation {
  const text = `version: 0.1\nstorage: {${driver}: {accountname: abc, container: registry${parameters}}}`;
  const { location } = parseConfiguration(text, 'config.yml', {});
  if (location.driver !== 'azure') {
    throw new Error('expected a location in Azure');
  }
  return location;
}

/** Where the keys lie that each registry writes: `facts` of GitLab's and distribution's drivers and their tests. */
describe('where a configuration looks', () => {
  test.each([
    // GitLab standard, and distribution 3.
    ['', ''],
    [', rootdirectory: ""', ''],
    [', rootdirectory: /', ''],
    [', rootdirectory: opt', 'opt/'],
    [', rootdirectory: /opt', 'opt/'],
    [', rootdirectory: /opt/', 'opt/'],
    [', rootdirectory: /opt////', 'opt/'],
    [', rootdirectory: /azure/virtual/container', 'azure/virtual/container/'],
    [', rootdirectory: /azure/virtual/container/', 'azure/virtual/container/'],
    [', trimlegacyrootprefix: true', ''],
    [', legacyrootprefix: false', ''],
    [', trimlegacyrootprefix: true, legacyrootprefix: false', ''],
    [', rootdirectory: /opt/, trimlegacyrootprefix: true', 'opt/'],
    // GitLab legacy.
    [', trimlegacyrootprefix: false', '/'],
    [', legacyrootprefix: true', '/'],
    [', trimlegacyrootprefix: false, legacyrootprefix: true', '/'],
    [', rootdirectory: "", legacyrootprefix: true', '/'],
    [', rootdirectory: /, legacyrootprefix: true', '/'],
    [', rootdirectory: opt, legacyrootprefix: true', '/opt/'],
    [', rootdirectory: /opt////, trimlegacyrootprefix: false', '/opt/'],
    [', rootdirectory: /azure/virtual/container/, trimlegacyrootprefix: false', '/azure/virtual/container/'],
  ])('azure and azure_v2 with {%s}: %j', (parameters, root) => {
    for (const driver of ['azure', 'azure_v2']) {
      expect(azureRoot(locationOf(driver, parameters))).toBe(root);
    }
  });
});

describe('where else the objects may be', () => {
  test('without a word in the configuration, it may be the other layout: distribution 2, GitLab before 16.0', () => {
    expect(otherAzureRoots(locationOf('azure', ''))).toMatchObject([
      { root: '/', setting: 'legacyrootprefix=true', ruledOut: false },
    ]);
    expect(otherAzureRoots(locationOf('azure', ', rootdirectory: opt'))).toMatchObject([
      { root: '/opt/', setting: 'legacyrootprefix=true', ruledOut: false },
      { root: '', setting: 'legacyrootprefix=false and no rootdirectory', ruledOut: true },
      { root: '/', setting: 'legacyrootprefix=true and no rootdirectory', ruledOut: true },
    ]);
  });

  test.each([
    [', trimlegacyrootprefix: true', '/', 'legacyrootprefix=true'],
    [', legacyrootprefix: false', '/', 'legacyrootprefix=true'],
    [', trimlegacyrootprefix: false', '', 'legacyrootprefix=false'],
    [', legacyrootprefix: true', '', 'legacyrootprefix=false'],
  ])('{%s} rules it out', (parameters, root, setting) => {
    expect(otherAzureRoots(locationOf('azure', parameters))).toMatchObject([
      { root, setting, ruledOut: true },
    ]);
  });
});
