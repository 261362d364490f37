import { getJson, rememberKey, Refusal } from './api.js';
import { element } from './elements.js';

/** Asks for a key until the server takes one. */
export function signIn(main: HTMLElement, problem: string): Promise<void> {
  return new Promise((resolve) => {
    const key = element('input', {
      id: 'key',
      type: 'password',
      autocomplete: 'off',
      required: true,
      spellcheck: 'false',
    });
    const complaint = element('p', { class: 'error', role: 'alert' }, problem);
    const form = element(
      'form',
      { class: 'sign-in' },
      element('h2', {}, 'Key'),
      element('p', {}, 'The server prints one when it starts, unless it was given one.'),
      element('p', { class: 'field' }, element('label', { for: 'key' }, 'API key'), key),
      complaint,
      element('button', { type: 'submit' }, 'Sign in'),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      rememberKey(key.value.trim());
      getJson('v1/models').then(
        () => resolve(),
        (error: unknown) => {
          rememberKey(null);
          complaint.textContent = error instanceof Refusal ? error.message : 'The server cannot be reached.';
        },
      );
    });
    main.replaceChildren(form);
    key.focus();
  });
}
