// Writes the pictures of the page in docs/images: serves a folder of its own, trains a small model on corpora/addresses by three
// jobs, and looks at them with the Chromium of this machine. Takes some minutes, and needs npm run build before.
'use strict';

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');
const { chromium } = require('playwright-core');

const root = path.resolve(__dirname, '..');
const images = path.join(root, 'docs', 'images');
const corpus = path.join(root, 'corpora', 'addresses');
const maxBytes = 150 * 1024;
const sizes = { batchSize: 4, sequenceLength: 128, loggingSteps: 2, evalSteps: 20 };
const jobs = [
  {
    method: { name: 'compact', rank: 48 },
    maxSteps: 160,
    samplePrompts: ['The people of ', 'Our commerce '],
  },
  { method: 'dense', maxSteps: 160 },
  { method: { name: 'compact', rank: 24 }, maxSteps: 600, samplePrompts: ['The people of '] },
];

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

async function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dashboard-pictures-'));
  const { url, key, server } = await serve(directory);
  try {
    const ask = asker(url, key);
    const ids = await train(ask);
    await takePictures(url, key, ids);
  } finally {
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    await ended;
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Starts a server that has ended when this has. */
async function serve(directory) {
  const command = path.join(root, 'dist', 'cli', 'main.js');
  const args = ['serve', '--data-directory', directory, '--port', '0', '--max-running', '1', '--json'];
  const server = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await Promise.race([
    once(server.stdout.setEncoding('utf8'), 'data'),
    once(server, 'exit').then(([code]) => {
      throw new Error(`the server has ended with ${code}`);
    }),
  ]);
  return { ...JSON.parse(line), server };
}

/** Sends requests: an object as JSON, anything else as it is. */
const asker = (url, key) => async (line, body) => {
  const [method, route] = line.split(' ');
  const isForm = body instanceof FormData;
  const answer = await fetch(`${url}${route}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body && !isForm && { 'content-type': 'application/json' }),
    },
    body: body && !isForm ? JSON.stringify(body) : body,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${line}: ${text}`);
  return JSON.parse(text);
};

/** Does all jobs but the last, which is under way then. @returns their ids */
async function train(ask) {
  const form = new FormData();
  form.append('purpose', 'fine-tune');
  form.append('file', new Blob([records()]), 'addresses.jsonl');
  const { id: file } = await ask('POST /v1/files', form);
  const ids = [];
  for (const compact of jobs) {
    const body = { model: 'llama-demo', training_file: file, seed: 1, compact: { ...sizes, ...compact } };
    ids.push((await ask('POST /v1/fine_tuning/jobs', body)).id);
    console.log(`${ids.at(-1)} ${JSON.stringify(compact)}`);
  }
  for (;;) {
    const found = await Promise.all(ids.map((id) => ask(`GET /v1/fine_tuning/jobs/${id}`)));
    const failed = found.find(({ status }) => status === 'failed');
    if (failed !== undefined) throw new Error(failed.error.message);
    if (found.at(-1).compact.step >= 150) return ids;
    await wait(1000);
  }
}

/** Sentences of a few addresses as records, those that a sequence has room for. */
const records = () =>
  fs
    .readdirSync(corpus)
    .slice(0, 12)
    .flatMap((name) => fs.readFileSync(path.join(corpus, name), 'utf8').split(/(?<=[.;])\s+/))
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter(({ length }) => length >= 40 && length < sizes.sequenceLength)
    .map((text) => JSON.stringify({ text }))
    .join('\n');

async function takePictures(url, key, [compact, dense, running]) {
  const find = 'command -v chromium || command -v chromium-browser || command -v google-chrome';
  const executablePath = execFileSync('sh', ['-c', find], { encoding: 'utf8' }).trim();
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath, args });
  const take = async (name, hash, { width, height, fullPage }) => {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme: 'light',
      locale: 'en-GB',
    });
    await page.addInitScript(`sessionStorage.setItem('compact-train-key', '${key}')`);
    await page.goto(`${url}/${hash}`);
    await page.getByRole('heading', { level: 2 }).waitFor();
    await wait(2000); // events come in, and are drawn
    const file = path.join(images, `${name}.png`);
    await page.screenshot({ path: file, fullPage });
    await page.close();
    const bytes = fs.statSync(file).size;
    console.log(`${file}: ${bytes} bytes`);
    if (bytes > maxBytes) throw new Error(`${file} has more than ${maxBytes} bytes`);
  };
  try {
    await take('dashboard-jobs', '', { width: 1060, height: 400 });
    await take('dashboard-job', `#job=${compact}`, { width: 960, height: 1130 });
    await take('dashboard-compare', `#compare=${compact},${dense}`, {
      width: 960,
      height: 600,
      fullPage: true,
    });
    await take('dashboard-phone', `#job=${running}`, { width: 390, height: 844 });
  } finally {
    await browser.close();
  }
}
