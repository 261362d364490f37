/** The page as a browser shows it, before a server whose jobs are played. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import type * as source from '../../lib/server/index.js';
import { browserPath, openBrowser } from '../helpers/browser.js';
import { built } from '../helpers/built.js';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

if (browserPath === undefined) console.log('skipped: no Chromium is on PATH');
const axe = axeSource();
if (axe === undefined) console.log('skipped: the rules of accessibility need a package, axe-core');
const testAccessible = axe === undefined ? test.skip : test;
const describeInBrowser = browserPath === undefined ? describe.skip : describe;

const MiB = 2 ** 20;
const bytesByKind = { parameter: 3 * MiB, compressedActivation: MiB, unused: MiB / 2 };
const denseBytesByKind = { parameter: 3 * MiB, optimizerState: 6 * MiB, activation: 8 * MiB };

let browser: Browser;
let server: RunningServer;
let page: Page;
let key: string;
let file: string;
/** What went wrong in the page; answers that refuse something are no errors of it. */
let problems: string[];

/** A job of the key that the page has. */
async function newJob(): Promise<string> {
  const json = { model: 'llama-demo', training_file: file };
  const { body } = await ask(server, 'POST /v1/fine_tuning/jobs', { key, json });
  const { plan } = server.jobs.latest;
  const changed = { ...plan, maxSteps: 50, bytesByKind, denseBytesByKind };
  return server.jobs.change(String(body['id']), { plan: changed }, 'Job is planned').id;
}

async function runningJob(): Promise<string> {
  const id = await newJob();
  server.jobs.start(id);
  return id;
}

/** Opens a page of the dashboard with the key. */
async function open(hash = ''): Promise<void> {
  await page.addInitScript(`sessionStorage.setItem('compact-train-key', '${key}')`);
  await page.goto(`${server.url}/${hash}`);
  await page.getByRole('heading', { level: 2 }).waitFor();
}

const seen = (text: string): Promise<void> => page.getByText(text, { exact: false }).first().waitFor();
const press = (name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click();
const isWide = (): Promise<unknown> =>
  page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
const events = (): Promise<readonly string[]> => page.locator('.events li').allTextContents();

/** How many pixels of the first chart have a colour of the style sheet. */
const pixelsOf = (colour: string): Promise<number> =>
  page.evaluate(`(() => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = 'var(--${colour})';
    const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
    probe.remove();
    const canvas = document.querySelector('canvas');
    const { width, height } = canvas;
    const copy = Object.assign(document.createElement('canvas'), { width, height });
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] === 255 && wanted.every((value, j) => Math.abs(value - data[i + j]) < 3)) count++;
    return count;
  })()`);

/** The program that knows the rules of accessibility; undefined where the package is not installed. */
function axeSource(): string | undefined {
  try {
    return readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    return undefined;
  }
}

/** Waits until it is so: the page follows the server a moment later. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await page.waitForTimeout(50);
}

describeInBrowser('the page of jobs', () => {
  beforeAll(async () => {
    [browser, server] = await Promise.all([
      openBrowser(),
      RunningServer.start({}, { module: built('server/index') as typeof source }),
    ]);
  });
  afterAll(async () => {
    await browser.close();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    // An owner of its own: no test sees the jobs of another.
    key = await server.key({ owner: `owner of ${expect.getState().currentTestName}`.slice(0, 60) });
    file = await upload(server, key);
    page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
    problems = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.on('console', (message) => {
      const text = message.text();
      if (['error', 'warning'].includes(message.type()) && !text.startsWith('Failed to load resource'))
        problems.push(text);
    });
  });
  afterEach(async () => {
    await page.close();
    expect(problems).toEqual([]);
  });

  test('asks for a key until the server takes one, and forgets it when that is asked for', async () => {
    const stored = (): Promise<unknown> => page.evaluate('JSON.stringify({ ...sessionStorage })');
    await page.goto(server.url);
    const field = page.getByLabel('API key');
    await field.fill('sk-wrong');
    await field.press('Enter');
    await until(async () => (await page.getByRole('alert').textContent()) !== '');
    expect(await stored()).toBe('{}');
    expect(await page.getByRole('button', { name: 'Forget key' }).isVisible()).toBe(false);
    await field.fill(key);
    await press('Sign in');
    await seen('No jobs yet.');
    expect(await stored()).toContain(key);
    await press('Forget key');
    await field.waitFor();
    expect(await stored()).toBe('{}');
    await page.reload();
    await field.waitFor();
    expect(await page.content()).not.toContain(key);
  });

  test('lists jobs as they are now, without being loaded again', async () => {
    const [first, second] = [await newJob(), await runningJob()];
    await open();
    await page.evaluate('window.isSame = true');
    const row = (id: string): Promise<string> => page.getByRole('row').filter({ hasText: id }).innerText();
    expect(await row(first)).toMatch(/llama-demo\s+compact\s+queued\s+0 of 50/);
    await page.getByLabel(`compare ${first}`).focus();
    server.jobs.step(second, 20, { loss: 1 });
    await until(async () => (await row(second)).includes('20 of 50'));
    expect(await row(second)).toMatch(/running, \d+ s left/);
    expect(await page.evaluate('document.activeElement.ariaLabel')).toBe(`compare ${first}`);
    expect(await page.evaluate('window.isSame')).toBe(true);
  });

  test('draws what a job learns as it learns it, and says its last values', async () => {
    const id = await runningJob();
    await open(`#job=${id}`);
    await seen('Loss: nothing measured yet');
    for (let step = 1; step <= 30; step++)
      server.jobs.step(id, step, {
        ...{ loss: 4 - step / 10, learningRate: 1e-4 / step },
        ...(step % 10 === 0 && { evalLoss: 4.5 - step / 10 }),
      });
    await seen('Loss: step 30, loss 1.000, held-out loss 1.500, learning rate 3.33e-6');
    for (const colour of ['line-0', 'line-1', 'line-2'])
      await until(async () => (await pixelsOf(colour)) > 50);
    expect((await events())[0]).toMatch(/ Step 30$/);
    await until(async () => (await page.locator('dl').innerText()).includes('30 of 50'));
    const memory = await page.getByRole('region', { name: 'Memory' }).innerText();
    expect(memory).toMatch(/compressed activations\s+1\.00 MiB\s+0/);
    expect(memory).toMatch(/this job\s+4\.50 MiB\s+dense, AdamW\s+17\.0 MiB/);
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(async () => (await pixelsOf('line-0')) > 50);
  });

  test('shows what others wrote as text', async () => {
    const html = '<img src=x onerror=alert(1)>';
    const form = new FormData();
    form.append('purpose', 'fine-tune');
    form.append('file', new Blob(['{"text":"a"}']), `${html}.jsonl`);
    await ask(server, 'POST /v1/files', { key, body: form });
    const id = await runningJob();
    const data = { step: 5, prompt: html, sample: `${html} and\nmore` };
    server.jobs.tell(id, { level: 'info', type: 'message', message: 'Sample after step 5', data });
    server.jobs.tell(id, { level: 'warn', type: 'message', message: html, data: {} });
    const error = { code: 'ERR_COMPACT_NOT_FINITE', what: html } as const;
    server.jobs.change(id, { status: 'failed', error, finishedAt: Date.now() }, 'Job has failed');
    await open(`#job=${id}`);
    await seen('Sample after step 5');
    expect(await page.locator('.sample pre').textContent()).toBe(`${html}${html} and\nmore`);
    expect(await page.locator('strong.error').textContent()).toBe(html);
    await until(async () => (await events()).some((text) => text.endsWith(html)));
    await page.goto(`${server.url}/#new`);
    await page.getByLabel('Training file').waitFor();
    expect(await page.getByLabel('Training file').innerText()).toContain(html);
    expect(await page.locator('img').count()).toBe(0);
  });

  test('pauses, resumes and cancels a job, and keeps the focus', async () => {
    const id = await runningJob();
    const status = (): string => server.jobs.latest.status;
    await open(`#job=${id}`);
    await seen('Job is planned');
    await press('Pause');
    await seen('pause: the job is paused');
    expect(status()).toBe('paused');
    expect(await page.evaluate('document.activeElement.value')).toBe('pause');
    await press('Resume');
    await seen('resume: the job is queued');
    expect(status()).toBe('queued');
    let numRequests = 0;
    page.on('request', (request) => (numRequests += Number(request.url().endsWith('/cancel'))));
    page.once('dialog', (dialog) => void dialog.dismiss());
    await press('Cancel');
    page.once('dialog', (dialog) => void dialog.accept());
    await press('Cancel');
    await seen('cancel: the job is cancelled');
    expect(status()).toBe('cancelled');
    expect(numRequests).toBe(1);
  });

  test('goes on with a job that had failed', async () => {
    const id = await runningJob();
    server.jobs.change(id, { status: 'failed', finishedAt: Date.now() }, 'Job has failed');
    await open(`#job=${id}`);
    await seen('Job has failed');
    await press('Resume');
    await seen('Job is queued again');
    server.jobs.step(id, 7, { loss: 2 });
    await seen('Loss: step 7, loss 2.000');
  });

  test('sends a file, says which line is wrong, plans and starts a job', async () => {
    await open('#new');
    const send = (name: string, text: string): Promise<void> =>
      page.getByLabel('New file').setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
    await send('broken.jsonl', '{"prompt":"a","completion":"b"}\n{"prompt":"a"\n');
    await page.locator('#verdict.error').waitFor();
    expect(await page.locator('#verdict').textContent()).toMatch(/line 2/);
    await send('whole.jsonl', '{"prompt":"a","completion":"b"}\n');
    await seen('whole.jsonl: 1 records');
    await page.getByLabel('Model').selectOption('llama-demo');
    await page.getByLabel('Method').selectOption('lora');
    await page.getByLabel('Epochs').fill('2');
    await page.getByLabel('Sample prompts').fill('2 + 2 =\n\n3 + 3 =');
    await press('What would it take?');
    await seen('976.6 KiB on cpu, 10 steps, 5K tokens');
    server.jobs.refusal = Object.assign(new Error('no'), {
      code: 'ERR_COMPACT_CONFIG_VALUE',
      what: 'it is odd',
    });
    await press('Start');
    await until(async () => (await page.locator('#takes.error').count()) > 0);
    server.jobs.refusal = undefined;
    await press('Start');
    await seen('Job is queued');
    const { id, recipe } = server.jobs.latest;
    expect(page.url()).toBe(`${server.url}/#job=${id}`);
    expect(recipe).toMatchObject({
      ...{ method: 'lora', numTrainEpochs: 2, samplePrompts: ['2 + 2 =', '3 + 3 ='] },
    });
  });

  test('compares two jobs', async () => {
    const ids = [await runningJob(), await runningJob()];
    for (const [index, id] of ids.entries())
      for (const step of [1, 2, 3]) server.jobs.step(id, step, { loss: step + index });
    await open();
    expect(await page.getByRole('button', { name: 'Compare' }).isDisabled()).toBe(true);
    for (const id of ids) await page.getByLabel(`compare ${id}`).check();
    await press('Compare');
    await seen('Loss: step 3,');
    await until(async () => /3\.0000[^]*4\.0000/.test(await page.getByRole('table').innerText()));
    server.jobs.step(ids[0]!, 4, { loss: 0.5 });
    await until(async () => /0\.5000[^]*4\.0000/.test(await page.getByRole('table').innerText()));
    for (const colour of ['line-0', 'line-1']) await until(async () => (await pixelsOf(colour)) > 20);
  });

  test('goes on behind the last event when the server was away', async () => {
    const id = await runningJob();
    const lastEventIds: (string | undefined)[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/stream')) lastEventIds.push(request.headers()['last-event-id']);
    });
    await open(`#job=${id}`);
    await seen('Job runs');
    await page.route('**/v1/**', (route) => route.abort());
    server.app.server.closeAllConnections();
    server.jobs.step(id, 9, { loss: 3 });
    await seen('The server cannot be reached. Trying again ...');
    await page.unroute('**/v1/**');
    await seen('Loss: step 9, loss 3.000');
    const texts = (await events()).map((text) => text.replace(/^.*[AP]M /, ''));
    expect(texts).toEqual(['Step 9', 'Job runs', 'Job is planned', 'Job is queued']);
    expect([...new Set(lastEventIds)]).toEqual([undefined, '3']);
    await until(async () => (await page.getByRole('status').textContent()) === '');
  });

  test('is used without a mouse', async () => {
    const id = await newJob();
    await open();
    const focused = (): Promise<unknown> =>
      page.evaluate('document.activeElement.ariaLabel ?? document.activeElement.textContent');
    const outline = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    const order: unknown[] = [];
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press('Tab');
      order.push(await focused());
      expect(await outline()).toBe('solid');
      if (i === 0) expect((await page.locator('.skip').boundingBox())!.x).toBeGreaterThanOrEqual(0);
    }
    expect(order).toEqual([
      ...['To the content', 'compact-train', 'Jobs', 'New job', 'Forget key'],
      ...[`compare ${id}`, id, 'New job'],
    ]);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: `Job ${id}` }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await until(async () => server.jobs.latest.status === 'paused');
    expect(await page.title()).toBe('Job - compact-train');
  });

  test('the way past the links stays on the page that is shown', async () => {
    const id = await newJob();
    await open(`#job=${id}`);
    await seen('Job is planned');
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    await until(async () => (await page.evaluate('document.activeElement.id')) === 'main');
    expect(await page.getByRole('heading', { level: 2 }).textContent()).toBe(`Job ${id}`);
  });

  testAccessible('breaks no rule of accessibility, light or dark', async () => {
    const ids = [await runningJob(), await runningJob()];
    for (const id of ids) {
      server.jobs.step(id, 3, { loss: 1, learningRate: 1 });
      const data = { step: 3, prompt: 'a', sample: 'b' };
      server.jobs.tell(id, { level: 'warn', type: 'message', message: 'Sample after step 3', data });
    }
    await page.goto(server.url);
    await page.getByLabel('API key').waitFor();
    const broken = async (): Promise<unknown> => {
      await page.evaluate(axe!);
      return page.evaluate(`axe
        .run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })
        .then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))`);
    };
    expect(await broken()).toEqual([]);
    await open();
    for (const hash of ['', `#job=${ids[0]}`, `#compare=${ids.join(',')}`, '#new']) {
      await page.goto(`${server.url}/${hash}`);
      await page.getByRole('heading', { level: 2 }).waitFor();
      if (ids.some((id) => hash.includes(id))) await page.locator('canvas').first().waitFor();
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect([hash, colorScheme, await broken()]).toEqual([hash, colorScheme, []]);
      }
    }
  });

  test.each(['light', 'dark'] as const)('fits a phone, %s', async (colorScheme) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await page.emulateMedia({ colorScheme });
    const ids = [await runningJob(), await runningJob()];
    const name = `${'long'.repeat(30)}.jsonl`;
    const form = new FormData();
    form.append('purpose', 'fine-tune');
    form.append('file', new Blob(['{"text":"a"}']), name);
    await ask(server, 'POST /v1/files', { key, body: form });
    const message = 'x'.repeat(300);
    for (const id of ids) {
      server.jobs.step(id, 3, { loss: 1, learningRate: 1 });
      server.jobs.tell(id, { level: 'info', type: 'message', message, data: { sample: message } });
      server.jobs.tell(id, { level: 'info', type: 'message', message, data: {} });
    }
    await open();
    for (const hash of ['', `#job=${ids[0]}`, `#compare=${ids.join(',')}`, '#new']) {
      await page.goto(`${server.url}/${hash}`);
      await page.getByRole('heading', { level: 2 }).waitFor();
      if (ids.some((id) => hash.includes(id))) await page.locator('canvas').first().waitFor();
      if (hash === `#job=${ids[0]}`) await seen(message);
      expect([hash, await isWide()]).toEqual([hash, false]);
    }
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(ground).toBe(colorScheme === 'dark' ? 'rgb(20, 23, 28)' : 'rgb(247, 248, 250)');
  });
});
