import { expect, test } from 'vitest';
import { presentRepairResult, presentUndoResult } from '../../src/cli/present-repair.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { healthyRegistry, layerKey, set } from '../operations/check/fixtures.ts';
import { runRepair, runUndo, UndoList } from '../operations/repair/repairing.ts';

const facts = { durationMs: 1500, retries: 0, dryRun: false, undoFile: undefined };

async function repaired() {
  const { registry, layer, otherLayer } = healthyRegistry();
  set(registry, layerKey('shop', layer.digest), '');
  registry.objects.delete(layerKey('shop', otherLayer.digest));
  const store = openMemory({ objects: registry.objects });
  const undo = new UndoList();
  return { store, undo, layer, otherLayer, result: await runRepair(store, { undo }) };
}

test('the result of a repair gives the command that puts it back, as a shell takes it', async () => {
  const { result } = await repaired();
  const location = "s3://bucket/it's?region=a&endpoint=http://b";
  const lines = presentRepairResult({ ...result, location }, { ...facts, undoFile: '/tmp/my undo.ndjson' });
  expect(lines).toContain('What was there before is in /tmp/my undo.ndjson. To put it back:');
  expect(lines).toContain(
    String.raw`  regtool repair 's3://bucket/it'\''s?region=a&endpoint=http://b' --undo '/tmp/my undo.ndjson'`,
  );
});

test('that command works in another folder, too', async () => {
  const { result, store } = await repaired();
  const lines = presentRepairResult(result, { ...facts, undoFile: 'undo.ndjson' });
  expect(lines).toContain(`  regtool repair ${store.location} --undo ${process.cwd()}/undo.ndjson`);
});

test('a dry run of an undo tells what would be put back, and how', async () => {
  const { store, undo, layer, otherLayer } = await repaired();
  const text = presentUndoResult(await runUndo(store, undo, { dryRun: true }), {
    ...facts,
    dryRun: true,
  }).join('\n');
  expect(text).toContain('Would be put back: 2\n');
  expect(text).toContain(`\n  ${layerKey('shop', layer.digest)}: write back what it held`);
  expect(text).toContain(`\n  ${layerKey('shop', otherLayer.digest)}: remove it`);
  const undone = presentUndoResult(await runUndo(store, undo), facts).join('\n');
  expect(undone).not.toContain('Would be put back');
});
