// The page of one entry of the package, in Markdown as GitHub shows it.
'use strict';

const { splitDefault } = require('./docstring.cjs');

/** Where a declaration stands on its page, by the beginning of its file's path; the first that fits. */
const sections = [
  ['Learning rates', 'train/schedule/learning-rate-schedule.ts'],
  ['Training', 'train/'],
  ['Methods', 'methods/', 'options.ts'],
  ['Models', 'models/', 'graph/model.ts'],
  ['Data', 'data/'],
  ['Planning', 'compile/', 'memory/'],
  ['Runtime', 'runtime/'],
  ['Server', 'server/'],
  ['Jobs', 'jobs/'],
  ['Ops', 'graph/ops/'],
  ['Graphs', 'graph/'],
  ['Errors', 'errors.ts'],
];

const sectionOf = ({ file }) =>
  sections.find(([, ...starts]) => starts.some((start) => file.startsWith(start)))?.[0] ??
  refuse(`${file} belongs to no section of the reference`);

function refuse(problem) {
  throw new Error(`docs-api: ${problem}`);
}

/** In the order of letters, whatever their case; a function before the type of its name. */
const byName = (a, b) => compare(a.name.toLowerCase(), b.name.toLowerCase()) || compare(b.name, a.name);
const compare = (a, b) => (a < b ? -1 : Number(a > b));

/** Sections with their declarations in order; definitions of ops apart, for they are data for the compiler. */
const arrange = (declarations) =>
  sections
    .map(([title]) => ({
      title,
      members: declarations
        .filter((one) => sectionOf(one) === title && !isOpDefinition(one))
        .toSorted(byName),
      opDefinitions: declarations
        .filter((one) => sectionOf(one) === title && isOpDefinition(one))
        .toSorted(byName),
    }))
    .filter(({ members, opDefinitions }) => members.length + opDefinitions.length > 0);

const isOpDefinition = ({ type }) => type === 'OpDefinition';

/** The anchor of each declaration on its page, as GitHub makes them: a second one of a word is numbered. */
function anchorsOf(declarations) {
  const seen = new Map();
  const anchor = (heading) => {
    const word = heading.toLowerCase().replaceAll(' ', '-');
    const count = seen.get(word) ?? 0;
    seen.set(word, count + 1);
    return count === 0 ? word : `${word}-${count}`;
  };
  const anchors = new Map();
  for (const { title, members } of arrange(declarations)) {
    anchor(title);
    for (const { name } of members) anchors.set(name, anchor(name));
  }
  return anchors;
}

/**
 * @param entry what `readEntries` gives, of which only what is at home on this page is told in full
 * @param homes page and anchor of every public name
 */
function apiPage({ doc, declarations }, { page, title, homes }) {
  const isHere = ({ name }) => homes.get(name)?.page === page;
  const isElsewhere = ({ name }) => homes.has(name) && !isHere({ name });
  const arranged = arrange(declarations.filter((one) => isHere(one) || isOpDefinition(one)));
  const others = declarations.filter(isElsewhere).toSorted(byName);
  const addressOf = ({ page: home, anchor }) => `${home === page ? '' : home}#${anchor}`;
  const write = writer(new Map([...homes].map(([name, home]) => [name, addressOf(home)])));
  const list = (heading, members) =>
    members.length > 0 ? `**${heading}**: ${members.map(({ name }) => write.link(name)).join(' · ')}` : '';
  const parts = [
    `# ${title}`,
    'Made from the docstrings of the source by `scripts/docs-api.cjs`.',
    doc.text,
    ...doc.examples.map(codeBlock),
    ...arranged.map(({ title: heading, members }) => list(heading, members)),
    list('Also here', others),
    ...arranged.flatMap(({ title: heading, members, opDefinitions }) => [
      `## ${heading}`,
      opDefinitions.length > 0
        ? `What the compiler knows of each op, a ${write.type('OpDefinition')}: ${opDefinitions.map(({ name }) => `\`${name}\``).join(', ')}.`
        : '',
      ...members.flatMap(write.declaration),
    ]),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

const codeBlock = (code) => `\`\`\`ts\n${code}\n\`\`\``;

/** Parts of a page, with links to what `links` knows. */
function writer(links) {
  const link = (name) => `[\`${name}\`](${links.get(name)})`;

  /** A type as code, in which every name that has a place of its own is a link. */
  const type = (text) =>
    text
      .split(/(\b[A-Za-z]\w*\b)/)
      .reduce((pieces, piece, index, all) => {
        // A word in quotes is a value.
        const isName = index % 2 === 1 && links.has(piece) && !/['"]$/.test(all[index - 1]);
        if (isName) return [...pieces, { name: piece }];
        const last = pieces.at(-1);
        if (last?.code === undefined) return [...pieces, { code: piece }];
        return [...pieces.slice(0, -1), { code: last.code + piece }];
      }, [])
      .map(({ name, code }) => (name === undefined ? spaced(code) : link(name)))
      .join('');

  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n\n', ' ');

  const mentioned = (signature, own) => {
    const names = new Set(signature.match(/(?<!['"\w])[A-Za-z]\w*\b(?!['"]|\??:)/g));
    const known = [...names].filter((name) => links.has(name) && name !== own).toSorted(compare);
    return known.length > 0 ? `Types: ${known.map(link).join(', ')}` : '';
  };

  const throwing = (texts) =>
    texts.length > 0
      ? `[Throws](../errors.md) ${texts.join(', ').replace(/ERR_COMPACT_[A-Z_]+\*?/g, (code) => `\`${code}\``)}`
      : '';

  const parameters = (list) => list.map(([name, text]) => `- \`${name}\`: ${text}`).join('\n');

  function properties(members) {
    const rows = members
      .filter((member) => member.signature === undefined)
      .map((member) => ({ ...member, ...splitDefault(member.doc.text) }));
    if (rows.length === 0) return '';
    const hasDefaults = rows.some(({ otherwise }) => otherwise !== '');
    const columns = ({ name, isOptional, isStatic, type: text, otherwise, text: sentence }) => [
      `\`${isStatic ? 'static ' : ''}${name}${isOptional ? '?' : ''}\``,
      type(text),
      ...(hasDefaults ? [literal(otherwise)] : []),
      sentence,
    ];
    return [
      hasDefaults ? '| | type | default | |\n|---|---|---|---|' : '| | type | |\n|---|---|---|',
      ...rows.map((row) => `| ${columns(row).map(cell).join(' | ')} |`),
    ].join('\n');
  }

  const methods = (members) =>
    members
      .filter(({ signature }) => signature !== undefined)
      .map(({ signature, isStatic, isOptional, doc, name }) => {
        const written = signature
          .replace(/\s*\n\s*/g, ' ')
          .replace(/, \)/, ')')
          .replace('( ', '(');
        const called = isOptional ? written.replace(name, `${name}?`) : written;
        return `- ${type(`${isStatic ? 'static ' : ''}${called}`)}${indented([doc.text, parameters(doc.parameters), throwing(doc.throws), ...doc.examples.map(codeBlock)])}`;
      })
      .join('\n');

  const indented = (parts) =>
    parts
      .filter((part) => part !== '')
      .map((part) => `\n\n${part}`.replaceAll('\n', '\n  ').replaceAll(/ +$/gm, ''))
      .join('');

  const declaration = ({ name, kind, doc, signature, members = [], bases = [] }) => [
    `### ${name}`,
    signature === undefined
      ? `*${kind}*${bases.length > 0 ? `, with all of ${bases.map(type).join(', ')}` : ''}`
      : codeBlock(kind === 'function' ? `function ${signature}` : signature),
    signature === undefined ? '' : mentioned(signature, name),
    doc.text,
    parameters(doc.parameters),
    doc.returns === '' ? '' : `Returns ${doc.returns}`,
    throwing(doc.throws),
    ...doc.examples.map(codeBlock),
    properties(members),
    methods(members),
  ];

  return { declaration, link, type };
}

/** A code span; blanks at its ends stay outside, where Markdown keeps them. */
function spaced(code) {
  const [, before, inner, after] = /^(\s*)(.*?)(\s*)$/s.exec(code);
  return inner === '' ? before + after : `${before}\`${inner}\`${after}`;
}

/** A default that is a value, not a sentence, is code. */
const literal = (text) =>
  /^('[^']*'|-?[\d.]+(e-?\d+)?|true|false|\[.*\])$/.test(text) ? `\`${text}\`` : text;

module.exports = { anchorsOf, apiPage };
