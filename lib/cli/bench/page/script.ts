/**
 * What the report page does beside standing still: a pointer, a tap or the arrow keys go along a chart and name what is
 * there, and the model selector shows one model at a time. Plain JavaScript, inlined, no requests.
 */
export const pageScript = `
const tip = document.getElementById('tip');
const formatBytes = (bytes) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit++; }
  return (unit === 0 ? bytes : bytes.toFixed(bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2)) + ' ' + units[unit];
};
const element = (name, className, content) => {
  const node = document.createElement(name);
  node.className = className;
  if (content !== undefined) node.textContent = content;
  return node;
};
const tipRow = ([colour, label, value]) => {
  const line = element('div', 'tip-row');
  const key = element('span', 'tip-key');
  key.style.background = colour;
  line.append(key, element('span', 'tip-label', label), element('span', 'tip-value', value));
  return line;
};
const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/** Shows { title, rows, notes } beside the mark, or below (above) the area where the screen is too narrow for that. */
const showTip = ({ title, rows = [], notes = [] }, area, mark = area) => {
  tip.replaceChildren(element('div', 'tip-title', title), ...rows.map(tipRow), ...notes.map((note) => element('div', 'tip-note', note)));
  tip.hidden = false;
  owner = area;
  const { width, height } = tip.getBoundingClientRect();
  const screen = document.documentElement.clientWidth;
  const box = area.getBoundingClientRect();
  const at = mark.getBoundingClientRect();
  let x = at.right + 14;
  if (x + width > screen - 8) x = at.left - 14 - width;
  let y = clamp(at.top, 8, innerHeight - height - 8);
  if (mark === area || x < 8) {
    x = mark === area ? box.left : (at.left + at.right - width) / 2;
    y = box.bottom + 6 + height < innerHeight ? box.bottom + 6 : box.top - 6 - height;
  }
  tip.style.transform = 'translate(' + (clamp(x, 8, screen - width - 8) + scrollX) + 'px,' + (y + scrollY) + 'px)';
};
/** The chart that the tip belongs to, and what hides its cursor. */
let owner;
let hideCursor = () => {};
const hideTip = () => {
  tip.hidden = true;
  hideCursor();
};
/** What another chart shows by now stays. */
const leave = (area) => { if (owner === area) hideTip(); };
addEventListener('keydown', (event) => { if (event.key === 'Escape') hideTip(); });
addEventListener('pointerdown', (event) => { if (!event.target.closest('.plot-hit, [data-tip]')) hideTip(); });

for (const node of document.querySelectorAll('[data-tip]')) {
  const about = JSON.parse(node.dataset.tip);
  const showIt = () => { hideTip(); showTip(about, node); };
  for (const name of ['pointerenter', 'pointerdown', 'focusin']) node.addEventListener(name, showIt);
  node.addEventListener('focusout', () => leave(node));
  node.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') leave(node); });
}

/**
 * Lets a pointer and the keys of a slider go along the items of a chart. find(x, y) is the item at a place (shares of
 * the area, from left and from below), place(index) its [left, bottom, width, height] in shares, about(index) its tip.
 */
const goAlong = (area, { count, first, find, place, about }) => {
  const hit = element('div', 'plot-hit');
  const cursor = element('div', 'cursor');
  cursor.hidden = true;
  const attributes = { role: 'slider', tabindex: 0, 'aria-label': area.dataset.label, 'aria-valuemin': 1, 'aria-valuemax': count };
  for (const [name, value] of Object.entries(attributes)) hit.setAttribute(name, value);
  area.append(cursor, hit);
  let current = first;
  const describe = () => {
    const { title, rows = [], notes = [] } = about(current);
    hit.setAttribute('aria-valuenow', current + 1);
    hit.setAttribute('aria-valuetext', [title, ...rows.map(([, ...words]) => words.join(' ')), ...notes].join(', '));
  };
  const goTo = (index) => {
    current = index;
    const [left, bottom, width, height] = place(index).map((share) => 100 * share + '%');
    Object.assign(cursor.style, { left, bottom, width, height });
    describe();
    hideTip();
    hideCursor = () => { cursor.hidden = true; };
    cursor.hidden = false;
    showTip(about(index), area, cursor);
  };
  const point = (event) => {
    const box = hit.getBoundingClientRect();
    const index = find((event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height);
    if (index === undefined) hideTip();
    else goTo(index);
  };
  hit.addEventListener('pointerdown', point);
  hit.addEventListener('pointermove', point);
  hit.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') leave(area); });
  hit.addEventListener('focus', () => { if (hit.matches(':focus-visible')) goTo(current); });
  hit.addEventListener('blur', () => leave(area));
  hit.addEventListener('keydown', (event) => {
    const page = Math.max(1, Math.round(count / 10));
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: page, PageDown: -page, Home: -count, End: count }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    goTo(clamp(current + by, 0, count - 1));
  });
  describe();
};

const readJson = (id) => JSON.parse(document.getElementById(id).textContent);
const indexAt = (share, count) => clamp(Math.floor(share * count), 0, count - 1);
const [NAME, KIND, BYTES, OFFSET, FIRST, LAST, MADE_BY, LAST_READ_BY] = [0, 1, 2, 3, 4, 5, 6, 7];
const instructionName = (data, index) => {
  const [op, layer, phase] = data.instructions[index];
  return phase + ' \\u00b7 ' + op + (layer ? ' \\u00b7 ' + layer : '');
};
const liveAt = (data, index) => data.blocks.filter((block) => block[FIRST] <= index && index <= block[LAST]);

for (const area of document.querySelectorAll('[data-timeline]')) {
  const data = readJson(area.dataset.timeline);
  const count = data.instructions.length;
  const floor = Number(area.dataset.floor);
  const total = new Array(count + 1).fill(0);
  for (const block of data.blocks) { total[block[FIRST]] += block[BYTES]; total[block[LAST] + 1] -= block[BYTES]; }
  for (let i = 1; i < count; i++) total[i] += total[i - 1];
  goAlong(area, {
    count,
    first: total.indexOf(Math.max(...total.slice(0, count))),
    find: (x) => indexAt(x, count),
    place: (index) => [index / count, floor, 1 / count, 1 - floor],
    about: (index) => {
      const live = liveAt(data, index);
      const totals = data.persistent.slice();
      for (const block of live) totals[block[KIND]] += block[BYTES];
      const rows = totals.flatMap((bytes, kind) => bytes > 0 ? [[data.kinds[kind][1], data.kinds[kind][0], formatBytes(bytes)]] : []);
      const largest = live.sort((a, b) => b[BYTES] - a[BYTES]).slice(0, 4).map((block) => [data.kinds[block[KIND]][1], block[NAME], formatBytes(block[BYTES])]);
      const all = ['transparent', 'in use', formatBytes(totals.reduce((a, b) => a + b, 0))];
      return { title: instructionName(data, index), rows: [all, ...rows, ['transparent', 'largest tensors:', ''], ...largest] };
    },
  });
}

for (const area of document.querySelectorAll('[data-map]')) {
  const data = readJson(area.dataset.map);
  const count = data.instructions.length;
  const highest = Number(area.dataset.highest);
  const floor = Number(area.dataset.floor);
  const blocks = data.blocks.sort((a, b) => a[FIRST] - b[FIRST] || a[OFFSET] - b[OFFSET]);
  goAlong(area, {
    count: blocks.length,
    first: blocks.reduce((best, block, index) => block[BYTES] > blocks[best][BYTES] ? index : best, 0),
    find: (x, y) => {
      const now = indexAt(x, count);
      const byte = (y - floor) / (1 - floor) * highest;
      const index = blocks.findIndex((block) => block[FIRST] <= now && now <= block[LAST] && block[OFFSET] <= byte && byte < block[OFFSET] + block[BYTES]);
      return index < 0 ? undefined : index;
    },
    place: (index) => {
      const block = blocks[index];
      const scale = (1 - floor) / highest;
      return [block[FIRST] / count, floor + block[OFFSET] * scale, (block[LAST] + 1 - block[FIRST]) / count, block[BYTES] * scale];
    },
    about: (index) => {
      const block = blocks[index];
      const [label, colour] = data.kinds[block[KIND]];
      const maker = block[MADE_BY] < 0 ? 'written by the caller, before the step' : 'made by ' + instructionName(data, block[MADE_BY]);
      const inPlace = block[LAST_READ_BY] > block[LAST] ? ', which makes its result in this place' : '';
      const reader = block[LAST_READ_BY] < 0 ? 'read by the caller, after the step' : 'last used by ' + instructionName(data, block[LAST_READ_BY]) + inPlace;
      return { title: block[NAME], rows: [[colour, label, formatBytes(block[BYTES])]], notes: [maker, reader] };
    },
  });
}

for (const area of document.querySelectorAll('[data-loss]')) {
  const { steps, tokens, runs } = readJson(area.dataset.loss);
  const last = tokens[tokens.length - 1];
  goAlong(area, {
    count: steps.length,
    first: steps.length - 1,
    find: (x) => tokens.reduce((best, count, index) => Math.abs(count / last - x) < Math.abs(tokens[best] / last - x) ? index : best, 0),
    place: (index) => [tokens[index] / last, 0, 0, 1],
    about: (index) => ({
      title: 'step ' + steps[index] + ', ' + tokens[index].toLocaleString('en') + ' tokens',
      rows: runs.flatMap(({ name, colour, means, heldOut }) => [
        [colour, name + ', mean', means[index]?.toFixed(3) ?? ''],
        ...(steps[index] in heldOut ? [[colour, name + ', held out', heldOut[steps[index]].toFixed(3)]] : []),
      ]),
    }),
  });
}

for (const node of document.querySelectorAll('[data-script]')) node.hidden = false;
for (const select of document.querySelectorAll('select[data-shows]')) {
  const showPanel = () => {
    for (const panel of document.querySelectorAll('[data-panel="' + select.dataset.shows + '"]'))
      panel.hidden = panel.dataset.value !== select.value;
  };
  select.addEventListener('change', showPanel);
  showPanel();
}
`;
