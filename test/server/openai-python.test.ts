/** The official client for Python against `compact-train serve` with jobs that train, where python3 has it. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';

const template =
  "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }};{% endgeneration %}{% else %}{{ m.content }};{% endif %}{% endfor %}{% if add_generation_prompt %}a:{% endif %}";

const hasClient = spawnSync('python3', ['-c', 'import openai']).status === 0;
if (!hasClient) console.log('skipped: python3 with openai was not found');

(hasClient ? test : test.skip)('the client for Python runs its fine-tuning surface unchanged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'compact-python-'));
  mkdirSync(join(directory, 'models'));
  await writeModelFolder(join(directory, 'models', 'tiny'), modelOfBytes('llama3'), {
    ...byteTokenizer.files(),
    'chat_template.jinja': template,
  });
  const main = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');
  const words = ['serve', '--data-directory', directory, '--port', '0', '--json'];
  const server = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const { value: line } = await createInterface(server.stdout)[Symbol.asyncIterator]().next();
    const { url, key } = JSON.parse(line as string) as { url: string; key: string };
    const env = { ...process.env, OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key };
    const program = join(__dirname, 'openai_client.py');
    const { stdout } = await promisify(execFile)('python3', [program, 'tiny'], { env });
    expect(JSON.parse(stdout)).toEqual({
      ...{ model: 'model', status: 'succeeded', events: true, checkpoint: true, streamed: true, text: true },
      result: expect.stringMatching(/^step,epoch,train_loss,.*valid_loss/),
      ...{ cancelled: 'cancelled', deleted: true },
      errors: [
        ['NotFoundError', 404, 'model_not_found'],
        ['NotFoundError', 404, 'file_not_found'],
        ['BadRequestError', 400, 'invalid_file_format'],
        ['ConflictError', 409, 'job_state'],
        ['AuthenticationError', 401, 'invalid_api_key'],
      ],
    });
  } finally {
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
});
