import { rememberKey, Refusal, storedKey } from './api.js';
import { compareJobs } from './compare.js';
import { element, notice } from './elements.js';
import { showJob } from './job-page.js';
import { showJobs } from './job-list.js';
import { showNewJob } from './new-job.js';
import { signIn } from './sign-in.js';

const main = document.querySelector<HTMLElement>('#main')!;
const signOut = document.querySelector<HTMLButtonElement>('#sign-out')!;
let showing = new AbortController();

/** The page that the address names, as long as it names it. */
async function show(): Promise<void> {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  notice('');
  if (storedKey() === null) await signIn(main, '');
  signOut.hidden = false;
  const [, name = '', value = ''] = /^#(\w+)=?(.*)$/.exec(location.hash) ?? [];
  try {
    if (name === 'job') await showJob(main, value, signal);
    else if (name === 'compare') await compareJobs(main, value.split(','), signal);
    else if (name === 'new') await showNewJob(main, signal);
    else await showJobs(main, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refusal && error.status === 401) {
      rememberKey(null);
      await signIn(main, error.message);
      await show();
      return;
    }
    const message = error instanceof Refusal ? error.message : 'The server cannot be reached.';
    const again = element('button', { type: 'button', click: () => void show() }, 'Try again');
    main.replaceChildren(element('p', { class: 'error', role: 'alert' }, message), again);
  }
}

signOut.addEventListener('click', () => {
  rememberKey(null);
  signOut.hidden = true;
  void show();
});
addEventListener('hashchange', () => {
  void show().then(() => undefined);
  main.focus();
});
void show();
