/**
 * The workbench as a person uses it, by visible labels alone, in a real browser over `lathe serve`.
 *
 * Needs Chromium: LATHE_CHROMIUM names it, or it stands where Debian puts it. Skipped where there is none.
 */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServe, type StartedServe } from '../helpers/start-serve.ts';

const CHROMIUM = process.env['LATHE_CHROMIUM'] ?? '/usr/bin/chromium';
const HAS_CHROMIUM = existsSync(CHROMIUM);
if (!HAS_CHROMIUM) console.warn(`The window is not tested: there is no Chromium at "${CHROMIUM}" (LATHE_CHROMIUM).`);

/** A few windows of the sample's text: enough for a figure, quick to measure. */
const FEW_TOKENS = '2048';
const JOB_MS = 90_000;

interface AxeResult {
  violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
}

describe.skipIf(!HAS_CHROMIUM)('the workbench in a browser', () => {
  let serve: StartedServe;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    serve = await startServe();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on('pageerror', (error) => faults.push(error.message));
    // Also what the page's policy forbids.
    page.on('console', (message) => {
      // Browsers ask for it by themselves while the door is still a page without an icon.
      const isIcon = message.location().url.endsWith('/favicon.ico');
      if (message.type() === 'error' && !isIcon) faults.push(`${message.text()} ${message.location().url}`);
    });
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      const isOwn = host === new URL(serve.address).host || protocol === 'data:' || protocol === 'blob:';
      if (!isOwn) faults.push(`asked ${host} for something`);
    });
    await page.goto(serve.address);
  });

  afterAll(async () => {
    await browser?.close();
    await serve?.stop();
  });

  function go(screen: string) {
    return page.getByRole('navigation', { name: 'Screens' }).getByRole('button', { name: screen }).click();
  }

  async function runPreset(name: string) {
    await go('Recipe');
    await page.getByRole('region', { name: 'Presets' }).getByRole('button', { name }).first().click();
    await page.getByRole('button', { name: 'Measure on: Sample text' }).click();
    const tokens = page.getByLabel('Only the first tokens of each text (empty: all)');
    await tokens.fill(FEW_TOKENS);
    await tokens.press('Enter');
    await expect.poll(() => page.getByLabel('Recipe, YAML').inputValue()).toContain(`limitTokens: ${FEW_TOKENS}`);
    const run = page.getByRole('button', { name: 'Run', exact: true });
    await expect.poll(() => run.isEnabled()).toBe(true);
    await run.click();
  }

  it('opens the sample in one click, and finds tensors', async () => {
    await page.getByRole('button', { name: 'Try the sample model' }).click();
    await page.getByRole('grid', { name: 'Tensors' }).waitFor();
    await page.getByText('74 of 74 tensors').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('layers\\.1\\.mlp');
    await page.getByText('3 of 74 tensors').waitFor();
    await page.getByRole('button', { name: 'Read the weights' }).click();
    await page.getByText(/lossless as split-plane/).waitFor();
  });

  it('shows ten thousand tensors with few rows mounted', async () => {
    await go('Models');
    await page.getByLabel('Path of a model').fill(writeHugeModel(serve.home));
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByText('10,000 of 10,000 tensors').waitFor();
    const rows = page.getByRole('row');
    await page.getByRole('grid', { name: 'Tensors' }).focus();
    for (const key of ['PageDown', 'PageDown', 'End']) {
      await page.keyboard.press(key);
      expect(await rows.count()).toBeLessThanOrEqual(101);
    }
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Inspector' }).getByText('layers.9999.weight').waitFor();
    await page.keyboard.press('Escape');
    await go('Models');
    await page.getByRole('button', { name: 'Try the sample model' }).click();
    await page.getByText('74 of 74 tensors').waitFor();
  });

  it('says where a recipe is wrong, and takes it back', async () => {
    await go('Recipe');
    const text = page.getByLabel('Recipe, YAML');
    await text.fill('lathe: 1\nsteps:\n  - step: quantize\n    format: q4_q\n');
    await page.getByRole('button', { name: 'Line 4, column 5' }).waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByLabel('Format', { exact: true }).waitFor();
  });

  it('shows what each matrix becomes, and paints a rule', async () => {
    await page.getByRole('region', { name: 'Presets' }).getByRole('button', { name: 'q4_k_m' }).first().click();
    await page.getByRole('button', { name: 'block 2, q_proj: Q4_K 4.5 bits' }).click();
    await page.getByRole('button', { name: 'Set the rule' }).click();
    await page.getByRole('button', { name: 'block 2, q_proj: Q6_K 6.6 bits' }).waitFor();
    expect(await page.getByLabel('Recipe, YAML').inputValue()).toContain('overrides:');
    await page.keyboard.press('Escape');
  });

  it(
    'runs two recipes and shows both on Compare',
    async () => {
      await runPreset('q4_k_m');
      await runPreset('lossless-split-plane');
      await go('Runs');
      const queue = page.getByRole('region', { name: 'Queue' });
      await expect.poll(() => queue.getByText('done', { exact: true }).count(), { timeout: JOB_MS }).toBe(2);
      await go('Compare');
      const table = page.getByRole('table', { name: 'Compared runs' });
      await table.getByRole('button', { name: 'q4_k_m' }).waitFor();
      await table.getByRole('button', { name: 'lossless split-plane' }).waitFor();
      await page.getByRole('button', { name: /^q4_k_m: .* on the frontier$/ }).waitFor();
      await page.getByRole('button', { name: /^lossless split-plane: .*KL exactly 0/ }).waitFor();
      await table.getByRole('checkbox', { name: 'Put q4_k_m side by side' }).check();
      await table.getByRole('checkbox', { name: 'Put lossless split-plane side by side' }).check();
      await page.getByRole('table', { name: 'Side by side' }).waitFor();
      for (const kind of ['SVG', 'PNG', 'CSV']) {
        const [download] = await Promise.all([
          page.waitForEvent('download'),
          page.getByRole('button', { name: kind, exact: true }).click(),
        ]);
        expect(statSync(await download.path()).size).toBeGreaterThan(200);
      }
    },
    3 * JOB_MS,
  );

  it(
    'measures a run that its recipe did not',
    async () => {
      await go('Recipe');
      await page.getByRole('region', { name: 'Presets' }).getByRole('button', { name: 'q8_0' }).first().click();
      const run = page.getByRole('button', { name: 'Run', exact: true });
      await expect.poll(() => run.isEnabled()).toBe(true);
      await run.click();
      await go('Compare');
      await page.getByText('One finished run was not measured like this: q8_0').waitFor({ timeout: JOB_MS });
      await page.getByRole('button', { name: 'Measure on docs.test.txt' }).click();
      const table = page.getByRole('table', { name: 'Compared runs' });
      await table.getByRole('button', { name: 'q8_0' }).waitFor({ timeout: JOB_MS });
    },
    2 * JOB_MS,
  );

  it(
    'exports a file',
    async () => {
      await go('Export');
      await page.getByLabel('Type').selectOption('Q4_0');
      await page.getByRole('button', { name: 'Export', exact: true }).last().click();
      await page.getByText('Exported and verified: Q4_0').waitFor({ timeout: JOB_MS });
      expect(existsSync(`${serve.home}/lathe-output/docs-llama-7m/docs-llama-7m.Q4_0.gguf`)).toBe(true);
    },
    2 * JOB_MS,
  );

  it('has no serious fault of accessibility on any screen, light or dark', async () => {
    await page.evaluate(axe.source);
    const found: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const screen of ['Models', 'Inspect', 'Recipe', 'Runs', 'Compare', 'Export', 'Settings']) {
        await go(screen);
        await page.waitForTimeout(400);
        const { violations } = await runAxe(page);
        for (const { id, impact, nodes } of violations) {
          if (impact === 'serious' || impact === 'critical') {
            found.push(`${screen}, ${colorScheme}: ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
          }
        }
      }
    }
    expect(found).toEqual([]);
  });

  it('asked nobody else, and the page broke no rule', () => {
    expect(faults).toEqual([]);
  });
});

/** Ten thousand tensors of eight bytes each. */
function writeHugeModel(folder: string): string {
  const tensors = Array.from({ length: 10_000 }, (_, index) => {
    const data_offsets = [8 * index, 8 * index + 8];
    return [`layers.${index}.weight`, { dtype: 'BF16', shape: [2, 2], data_offsets }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const path = join(folder, 'model.safetensors');
  writeFileSync(path, Buffer.concat([length, header, Buffer.alloc(80_000)]));
  return path;
}

function runAxe(page: Page): Promise<AxeResult> {
  return page.evaluate<AxeResult>('axe.run()');
}
