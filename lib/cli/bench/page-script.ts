/**
 * What the report page does beside standing still: a pointer over a timeline names what holds the bytes, and the
 * model selector shows one chart at a time. Plain JavaScript, inlined, no requests.
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
const row = (colour, label, value) => {
  const line = element('div', 'tip-row');
  const key = element('span', 'tip-key');
  key.style.background = colour;
  line.append(key, element('span', 'tip-label', label), element('span', 'tip-value', value));
  return line;
};
const place = (event) => {
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 18 + box.width > innerWidth ? event.clientX - 18 - box.width : event.clientX + 18;
  const y = Math.min(event.clientY + 14, innerHeight - box.height - 8);
  tip.style.transform = 'translate(' + Math.max(4, x) + 'px,' + Math.max(4, y) + 'px)';
};
const describeInstruction = (data, index) => {
  const [op, layer, phase] = data.instructions[index];
  return phase + ' \\u00b7 ' + op + (layer ? ' \\u00b7 ' + layer : '');
};
const hideTip = () => { tip.hidden = true; };

const pointAt = (svg, event) => {
  const box = svg.getBoundingClientRect();
  return (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
};

for (const svg of document.querySelectorAll('svg[data-timeline]')) {
  const data = JSON.parse(document.getElementById(svg.dataset.timeline).textContent);
  const left = Number(svg.dataset.left);
  const right = svg.viewBox.baseVal.width - Number(svg.dataset.right);
  const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  cursor.setAttribute('class', 'cursor');
  cursor.setAttribute('y', svg.dataset.top);
  cursor.setAttribute('height', svg.viewBox.baseVal.height - svg.dataset.top - svg.dataset.bottom);
  svg.append(cursor);
  svg.addEventListener('pointerleave', () => { hideTip(); cursor.removeAttribute('width'); });
  svg.addEventListener('pointermove', (event) => {
    const x = pointAt(svg, event);
    if (x < left || x > right) return hideTip();
    const each = (right - left) / data.instructions.length;
    const index = Math.min(data.instructions.length - 1, Math.floor((x - left) / each));
    cursor.setAttribute('x', left + index * each);
    cursor.setAttribute('width', Math.max(1, each));
    const live = data.blocks.filter((block) => block[4] <= index && index <= block[5]);
    const totals = data.persistent.slice();
    for (const block of live) totals[block[2]] += block[3];
    tip.replaceChildren(element('div', 'tip-title', describeInstruction(data, index)));
    tip.append(row('transparent', 'in use', formatBytes(totals.reduce((a, b) => a + b, 0))));
    totals.forEach((bytes, kind) => { if (bytes > 0) tip.append(row(data.kinds[kind][1], data.kinds[kind][0], formatBytes(bytes))); });
    tip.append(element('div', 'tip-sub', 'largest blocks'));
    for (const block of live.sort((a, b) => b[3] - a[3]).slice(0, 6))
      tip.append(row(data.kinds[block[2]][1], block[0], formatBytes(block[3])));
    place(event);
  });
}

for (const svg of document.querySelectorAll('svg[data-map]')) {
  const data = JSON.parse(document.getElementById(svg.dataset.map).textContent);
  svg.addEventListener('pointerleave', hideTip);
  svg.addEventListener('pointermove', (event) => {
    const index = event.target.dataset.block;
    if (index === undefined) return hideTip();
    const [name, layer, kind, bytes, first, last] = data.blocks[index];
    tip.replaceChildren(
      element('div', 'tip-title', name),
      row(data.kinds[kind][1], data.kinds[kind][0], formatBytes(bytes)),
      element('div', 'tip-sub', 'made by ' + describeInstruction(data, first)),
      element('div', 'tip-sub', 'last used by ' + describeInstruction(data, last)),
    );
    place(event);
  });
}

for (const select of document.querySelectorAll('select[data-shows]')) {
  const show = () => {
    for (const panel of document.querySelectorAll('[data-panel="' + select.dataset.shows + '"]'))
      panel.hidden = panel.dataset.value !== select.value;
  };
  select.addEventListener('change', show);
  show();
}
`;
