import { rememberKey, Refusal, storedKey } from './api.js';
import { compareJobs } from './compare.js';
import { element, notice } from './elements.js';
import { showJob } from './job-page.js';
import { showJobs } from './job-list.js';
import { showNewJob } from './new-job.js';
import { signIn } from './sign-in.js';

const main = document.querySelector<HTMLElement>('#main')!;
const signOut = document.querySelector<HTMLButtonElement>('#sign-out')!;
const links = document.querySelectorAll('nav a');
let showing = new AbortController();

const titles: Readonly<Record<string, string>> = { job: 'Job', compare: 'Comparison', new: 'New job' };

/** The page that the address names, as long as it names it. */
async function show(): Promise<void> {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  notice('');
  signOut.hidden = storedKey() === null;
  if (storedKey() === null) await signIn(main, '');
  signOut.hidden = false;
  const [, name = '', value = ''] = /^#(\w+)=?(.*)$/.exec(location.hash) ?? [];
  document.title = `${titles[name] ?? 'Jobs'} - compact-train`;
  for (const link of links)
    if (link.getAttribute('href') === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  try {
    if (name === 'job') await showJob(main, value, signal);
    else if (name === 'compare') await compareJobs(main, value.split(','), signal);
    else if (name === 'new') await showNewJob(main, signal);
    else await showJobs(main, signal);
  } catch (error) {
    if (signal.aborted) return;
    showing.abort(); // what else the page does, e.g. a stream
    if (error instanceof Refusal && error.status === 401) {
      rememberKey(null);
      signOut.hidden = true;
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
  void show();
});
// The address names what is shown: it is no place for where the focus is.
document.querySelector('.skip')!.addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => {
  void show();
  main.focus();
});
void show();
