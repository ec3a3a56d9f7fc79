import { describe, expect, test } from 'vitest';
import { LocationError } from '../../../src/drivers/location.ts';
import { parseGitlabRb } from '../../../src/drivers/configuration/gitlab-rb.ts';

const path = '/etc/gitlab/gitlab.rb';
const storageOf = (text: string): unknown => parseGitlabRb(text, path).storage;
const generated = '/var/opt/gitlab/registry/config.yml';
const omnibusDefault = {
  filesystem: { rootdirectory: '/var/opt/gitlab/gitlab-rails/shared/registry' },
};

describe('a gitlab.rb', () => {
  test('assigns a hash in the style of its documentation', () => {
    const text = `
external_url 'https://gitlab.example.com'
# registry['storage'] = { 'filesystem' => {} }
registry['storage'] = {
  's3' => {
    'accesskey' => 's3-access-key', # a comment, with a } in it
    'secretkey' => "se\\"c'ret",
    'bucket' => 'your-s3-bucket',
    'chunksize' => 26_214_400,
    'encrypt' => true,
    'keyid' => nil,
  },
  'maintenance' => { 'readonly' => { 'enabled' => false } },
} # end
registry['enable'] = true
`;
    expect(storageOf(text)).toEqual({
      s3: {
        accesskey: 's3-access-key',
        secretkey: 'se"c\'ret',
        bucket: 'your-s3-bucket',
        chunksize: 26_214_400,
        encrypt: true,
        keyid: null,
      },
      maintenance: { readonly: { enabled: false } },
    });
  });

  test.each<[string, unknown]>([
    ["registry['storage'] = {s3: {bucket: 'b', v4auth: false}}", { s3: { bucket: 'b', v4auth: false } }],
    [`registry["storage"]={:s3=>{:bucket=>"b"}}`, { s3: { bucket: 'b' } }],
    [`registry[:storage] = {"s3": {"bucket": :b}}`, { s3: { bucket: 'b' } }],
    ["registry['storage'] = {}", {}],
    [`registry['storage'] = {'a' => [1, -2.5, 1e3, ], }`, { a: [1, -2.5, 1000] }],
    [String.raw`registry['storage'] = {'a' => 'x\y\\z\''}`, { a: String.raw`x\y\z'` }],
    [String.raw`registry['storage'] = {'a' => "x\ty\#{z}#z"}`, { a: 'x\ty#{z}#z' }],
    ["registry['storage'] = {'__proto__' => {'a' => 1}}", JSON.parse('{"__proto__":{"a":1}}')],
    ["registry['storage'] = { 'a' => 1 }\nregistry['storage'] = { 'b' => 2 }", { b: 2 }],
    ["if false\n  puts 1\nend\nregistry['storage'] = { 'b' => 2 }", { b: 2 }],
    ["=begin\nregistry['storage'] = foo\n=end\nregistry['storage'] = { 'b' => 2 }", { b: 2 }],
    ["registry[ 'storage' ] = { 'b' => 2 }", { b: 2 }],
    ["registry['storage'] = { 'b' => 2 }\n__END__\nregistry['storage'] = { 'c' => 3 }", { b: 2 }],
    ["x = if false\n  1\nend\nregistry['storage'] = { 'b' => 2 }", { b: 2 }],
    ["[1].each { |x| puts x }\nregistry['storage'] = { 'b' => 2 }", { b: 2 }],
  ])('%s', (text, expected) => {
    expect(storageOf(text)).toEqual(expected);
  });

  test.each<[string, unknown]>([
    ['', omnibusDefault],
    ["registry['storage'] = nil", omnibusDefault],
    ["gitlab_rails['registry_path'] = '/mnt/registry'", { filesystem: { rootdirectory: '/mnt/registry' } }],
    [
      "gitlab_rails['shared_path'] = '/mnt/shared'",
      { filesystem: { rootdirectory: '/mnt/shared/registry' } },
    ],
    ["registry['enable'] = true\nregistry['storage_delete_enabled'] = true", omnibusDefault],
    // What other files have that has nothing to do with the registry.
    [
      "gitlab_rails['ldap_servers'] = YAML.load <<-'EOS'\n  main: # it's\n    load: 'LDAP'\nEOS",
      omnibusDefault,
    ],
    ["require 'json'\nregistry_external_url 'https://r.example'", omnibusDefault],
    ["gitlab_rails['a'] = { 'eval' => 1, registry: true }.merge(x)\nfoo.load(1)", omnibusDefault],
    ['%w(a b).each { |t| gitlab_rails["#{t}_enabled"] = true }', omnibusDefault],
    ["# registry.store('storage', x); r = registry\nnginx['x'] = \"eval registry\"", omnibusDefault],
  ])('without a hash means a folder: %j', (text, expected) => {
    expect(storageOf(text)).toEqual(expected);
  });

  const secret = 'wJalrXUtnFEMI';
  test.each([
    ["registry['storage'] = { 's3' => { 'secretkey' => ENV['KEY'] } }", 1],
    [`registry['storage'] = {\n 's3' => {\n 'secretkey' => "${secret}#{x}" } }`, 3],
    [`registry['storage'] = { 's3' => { 'secretkey' => '${secret}' + x } }`, 1],
    [`registry['storage'] = { 's3' => { 'secretkey' => '${secret}' } }.merge(x)`, 1],
    [`registry['storage'] = { 's3' => { 'secretkey' => '${secret}' } } if x`, 1],
    ["registry['storage'] = storage", 1],
    ["registry['storage'] = JSON.parse(File.read('x'))", 1],
    ["registry['storage'] = { **defaults }", 1],
    ["registry['storage'] = { 'a' => 0755 }", 1],
    ["registry['storage'] = { 'a' => true? }", 1],
    ["registry['storage'] = { 'a' => %q(b) }", 1],
    [`registry['storage'] = { 'a' => '${secret}`, 1],
    ['\nregistry["storage"]["s3"] = {}', 2],
    ["registry['storage'] ||= {}", 1],
    ["x = registry['storage'] = {}", 1],
    ["if x\n  registry['storage'] = {}\nend", 2],
    ["nodes.each do |n|\n  registry['storage'] = {}\nend", 2],
    ["from_file '/etc/gitlab/more.rb'\nregistry['storage'] = {}", 1],
    ['gitlab_rails[\'registry_path\'] = "#{base}/registry"', 1],
    [`registry['storage'] = ${'['.repeat(1000)}`, 1],
    ["\nr = registry\nr['storage'] = {}", 2],
    ["registry.store('storage', {})", 1],
    ["registry.merge!({ 'storage' => {} })", 1],
    ['registry[name] = {}', 1],
    ["Gitlab['registry']['storage'] = {}", 1],
    ["x = '#1'; registry['storage'] = {}", 1],
    ["\ninstance_eval(File.read('/etc/gitlab/more.rb'))", 2],
    ["\nDir.glob('/etc/gitlab/*.rb').each { |f| eval File.read(f) }", 2],
    ["load '/etc/gitlab/more.rb'", 1],
    ["require_relative 'more'", 1],
    ["require '/etc/gitlab/more'", 1],
    ["registry['storage'] = {}\n  # more\n  .merge(x)", 1],
    ["x = if false\n  registry['storage'] = {}\nend", 2],
    ["[1].each { |x|\n  registry['storage'] = {}\n}", 2],
    ["x = %q(it's)\nregistry['storage'] = {}\ny = 'z'", 2],
  ])('is not run: %j is refused at its line', (text, line) => {
    let failure: unknown;
    try {
      storageOf(text);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(LocationError);
    const { code, message } = failure as LocationError;
    expect(code).toBe('CONFIGURATION_UNSUPPORTED');
    expect(message).toContain(`${path}:${line}:`);
    expect(message).toContain(generated);
    expect(message).not.toContain(secret);
  });

  test('tells the line of each key', () => {
    const { where } = parseGitlabRb("\nregistry['storage'] = {\n 's3' => {\n  'bucket' => 'b' } }", path);
    expect(where(['s3', 'bucket'])).toBe(`${path}:4`);
    expect(where(['s3', 'region'])).toBe(`${path}:3`);
    expect(where([])).toBe(`${path}:2`);
  });
});
