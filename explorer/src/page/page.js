'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const { columns, rows, axes, objectives } = data;
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  const value = (row, name) => row.values[at[name]];
  const byPoint = new Map(rows.map((row) => [value(row, 'point'), row]));
  const numeric = columns.filter((name) => name !== 'point' && rows.some((row) => typeof value(row, name) === 'number'));
  const shown = (v) => {
    if (v === null || v === undefined) return '–';
    if (typeof v !== 'number') return String(v);
    if (Number.isInteger(v)) return v.toLocaleString('en');
    return Math.abs(v) >= 1000 ? Math.round(v).toLocaleString('en') : String(Number(v.toPrecision(4)));
  };
  const element = (name, attributes, ...children) => {
    const svg = ['svg', 'circle', 'path', 'line', 'text', 'g'].includes(name);
    const made = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
    for (const [key, v] of Object.entries(attributes || {})) made.setAttribute(key, v);
    made.append(...children);
    return made;
  };
  const byId = (id) => document.getElementById(id);
  let chosen = null;

  // A mark that stands for a point: it says what the point is, and a click chooses it.
  const point_out = (made, row) => {
    made.classList.add('mark');
    made.tip = () => [`point ${value(row, 'point')}`, ...objectives.map((o) => `${o.key} ${shown(value(row, o.key))}`), ...axes.map((a) => `${a} = ${shown(value(row, a))}`)].join('\n');
    made.addEventListener('click', () => choose(row));
    made.dataset.point = value(row, 'point');
    return made;
  };

  // Scales: numbers evenly or by their logarithm, words and switches by their order.
  const scale = (name, low, high) => {
    const found = rows.map((row) => value(row, name)).filter((v) => v !== null && v !== undefined);
    if (found.length && found.every((v) => typeof v === 'number')) {
      const [lo, hi] = found.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
      const log = lo > 0 && hi / lo >= 8;
      const f = log ? Math.log : (v) => v;
      const span = f(hi) - f(lo) || 1;
      const to = (v) => low + ((f(v) - f(lo)) / span) * (high - low);
      const few = [...new Set(found)].sort((a, b) => a - b);
      const apart = few.length <= 6 && few.every((v, i) => i === 0 || f(v) - f(few[i - 1]) >= 0.08 * span);
      const ticks = apart ? few : [0, 0.25, 0.5, 0.75, 1].map((t) => (log ? Math.exp(f(lo) + t * span) : lo + t * span));
      const text = (v) => shown(apart ? v : Number(v.toPrecision(3)));
      return { to, ticks: ticks.map((v) => [v, text(v)]) };
    }
    const words = [...new Set(found.map(String))];
    const to = (v) => low + ((words.indexOf(String(v)) + 0.5) / Math.max(1, words.length)) * (high - low);
    return { to, ticks: words.slice(0, 24).map((v) => [v, v]) };
  };
  const drawable = (row, names) => names.every((name) => value(row, name) !== null && value(row, name) !== undefined);
  const grade = (row) => (row.front ? 'front' : row.kept ? '' : 'broken');
  const upwards = (list) => [...list].sort((a, b) => (a.front ? 2 : a.kept ? 1 : 0) - (b.front ? 2 : b.kept ? 1 : 0));

  // Two numbers against each other.
  const selects = ['x', 'y'].map((id, i) => {
    const made = byId(id);
    numeric.forEach((name) => made.append(element('option', {}, name)));
    const wanted = i === 0 ? (objectives[1] || objectives[0]).key : objectives[0].key;
    if (numeric.includes(wanted)) made.value = wanted;
    made.addEventListener('change', scatter);
    return made;
  });
  function scatter() {
    const [x, y] = selects.map((s) => s.value);
    const W = Math.max(340, Math.min(900, byId('scatter').clientWidth || 900));
    const [H, L, B] = [Math.round(Math.max(300, W * 0.48)), 80, 46];
    const [sx, sy] = [scale(x, L + 8, W - 40), scale(y, H - B - 4, 32)];
    const svg = element('svg', { class: 'drawn', viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `${y} against ${x}` });
    for (const [v, text] of sx.ticks) svg.append(element('line', { class: 'axis', x1: sx.to(v), x2: sx.to(v), y1: 24, y2: H - B }), element('text', { x: sx.to(v), y: H - B + 16, 'text-anchor': 'middle' }, text));
    for (const [v, text] of sy.ticks) svg.append(element('line', { class: 'axis', x1: L, x2: W - 20, y1: sy.to(v), y2: sy.to(v) }), element('text', { x: L - 6, y: sy.to(v) + 4, 'text-anchor': 'end' }, text));
    svg.append(element('text', { x: (L + W) / 2, y: H - 6, 'text-anchor': 'middle' }, x), element('text', { x: 4, y: 14 }, y));
    const list = upwards(rows.filter((row) => drawable(row, [x, y])));
    for (const row of list) svg.append(point_out(element('circle', { class: `dot ${grade(row)}`, cx: sx.to(value(row, x)), cy: sy.to(value(row, y)), r: row.front ? 5 : 3.5 }), row));
    byId('scatter').replaceChildren(svg);
    mark();
  }

  // One line a point through all axes and objectives.
  function parallel() {
    const names = [...axes.filter((a) => new Set(rows.map((row) => value(row, a))).size > 1), ...objectives.map((o) => o.key)];
    const step = 130;
    const [W, H] = [Math.max(500, step * names.length), 320];
    const xs = names.map((_, i) => 60 + (i * (W - 150)) / Math.max(1, names.length - 1));
    const scales = names.map((name) => scale(name, H - 24, 46));
    const svg = element('svg', { class: 'drawn', viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': 'parallel coordinates', style: `min-width:${Math.min(W, 900)}px` });
    const list = upwards(rows.filter((row) => drawable(row, names)));
    const most = 1500;
    const few = list.length <= most ? list : list.filter((row, i) => row.front || i % Math.ceil(list.length / most) === 0);
    for (const row of few) {
      const d = names.map((name, i) => `${i ? 'L' : 'M'}${xs[i].toFixed(1)} ${scales[i].to(value(row, name)).toFixed(1)}`).join('');
      svg.append(point_out(element('path', { class: `path ${grade(row)}`, d }), row));
    }
    names.forEach((name, i) => {
      svg.append(element('line', { class: 'axis', x1: xs[i], x2: xs[i], y1: 46, y2: H - 24 }));
      svg.append(element('text', { x: xs[i], y: i % 2 ? 14 : 30, 'text-anchor': 'middle' }, name));
      for (const [v, text] of scales[i].ticks) svg.append(element('text', { x: xs[i] + 4, y: scales[i].to(v) + 4 }, text));
    });
    byId('parallel').replaceChildren(svg);
  }

  // What a point is, and what beats it.
  function explain(row) {
    const link = (point) => {
      const made = element('a', { href: '#point' }, `point ${point}`);
      made.addEventListener('click', () => choose(byPoint.get(point)));
      return made;
    };
    if (row.error) return [`It failed: ${row.error}`];
    if (row.violates.length) return [`It breaks ${row.violates.join(' and ')}${objectives.some((o) => value(row, o.key) === null) ? ', so the rest was not measured' : ''}.`];
    if (row.front) return ['On the front: no point that keeps to the constraints is at least as good in every objective and better in one.'];
    if (row.by === null) return ['It lacks an objective, so it is not compared.'];
    const other = byPoint.get(row.by);
    const better = objectives.filter((o) => value(other, o.key) !== value(row, o.key)).map((o) => {
      const [a, b] = [value(other, o.key), value(row, o.key)];
      const share = b !== 0 ? ` (${a > b ? '+' : '−'}${shown(Math.abs((100 * (a - b)) / b))}%)` : '';
      return `${o.key} ${shown(a)} instead of ${shown(b)}${share}`;
    });
    const differs = axes.filter((a) => value(other, a) !== value(row, a)).map((a) => `${a} ${shown(value(other, a))} instead of ${shown(value(row, a))}`);
    return [link(row.by), ` beats it with ${differs.join(', ')}: ${better.join(', ')}; no objective is worse.`];
  }
  function choose(row) {
    chosen = row;
    const list = element('dl', {});
    for (const name of columns.filter((c) => c !== 'point' && c !== 'qcc')) list.append(element('div', {}, element('dt', {}, name), element('dd', {}, shown(value(row, name)))));
    byId('point').replaceChildren(element('strong', {}, `Point ${value(row, 'point')}`), element('p', {}, ...explain(row)), list, element('p', {}, 'Made by ', element('code', {}, `qcc ${value(row, 'qcc') || ''}`), ' beside the options of the sweep.'));
    const run = document.getElementById(`run-${value(row, 'point')}`);
    byId('run').replaceChildren(run ? run.content.cloneNode(true) : element('p', { class: 'soft' }, row.front ? 'Of a large front, an even choice of points is shown in detail; this one is not among them.' : 'Points of the front are shown in detail.'));
    mark();
  }
  function mark() {
    document.querySelectorAll('.chosen').forEach((made) => made.classList.remove('chosen'));
    if (!chosen) return;
    document.querySelectorAll(`[data-point="${value(chosen, 'point')}"]`).forEach((made) => made.classList.add('chosen'));
  }

  // All points.
  const listed = ['point', ...axes, ...objectives.map((o) => o.key)];
  let order = { name: 'point', sign: 1 };
  let page = 0;
  function table() {
    const wanted = byId('find').value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) => wanted.every((term) => {
      const [name, text] = term.split('=');
      return text === undefined ? String(value(row, 'qcc')).toLowerCase().includes(term) : listed.some((c) => c.toLowerCase() === name && String(value(row, c)) === text);
    });
    const rank = (v) => (v === null || v === undefined ? Infinity : v);
    const list = rows.filter((row) => (byId('only').checked ? row.front : true) && fits(row)).sort((a, b) => {
      const [x, y] = [rank(value(a, order.name)), rank(value(b, order.name))];
      return (x < y ? -1 : x > y ? 1 : 0) * order.sign || value(a, 'point') - value(b, 'point');
    });
    const size = 50;
    page = Math.max(0, Math.min(page, Math.ceil(list.length / size) - 1));
    const head = element('tr', {});
    for (const name of listed) {
      const cell = element('th', { 'data-column': name, scope: 'col' }, name + (order.name === name ? (order.sign > 0 ? ' ▴' : ' ▾') : ''));
      cell.addEventListener('click', () => { order = { name, sign: order.name === name ? -order.sign : 1 }; table(); });
      head.append(cell);
    }
    const body = element('tbody', {});
    for (const row of list.slice(page * size, (page + 1) * size)) {
      const line = element('tr', { class: grade(row), 'data-point': value(row, 'point') });
      for (const name of listed) line.append(element('td', {}, shown(value(row, name))));
      line.addEventListener('click', () => choose(row));
      body.append(line);
    }
    byId('all').replaceChildren(element('table', {}, element('thead', {}, head), body));
    byId('where').textContent = list.length ? `${page * size + 1} to ${Math.min(list.length, (page + 1) * size)} of ${list.length}` : 'none';
    mark();
  }
  byId('find').addEventListener('input', () => { page = 0; table(); });
  byId('only').addEventListener('change', () => { page = 0; table(); });
  byId('before').addEventListener('click', () => { page -= 1; table(); });
  byId('after').addEventListener('click', () => { page += 1; table(); });

  let width = 0;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; scatter(); } });

  scatter();
  parallel();
  table();
  document.querySelectorAll('#front [data-point]').forEach((dot) => {
    // Of very many points the page holds not all that the picture does.
    const row = byPoint.get(Number(dot.dataset.point));
    if (row) point_out(dot, row);
  });
  document.querySelectorAll('#best tbody tr').forEach((line) => line.addEventListener('click', () => choose(byPoint.get(Number(line.dataset.point)))));
  const first = rows.find((row) => row.front) || rows[0];
  if (first) choose(first);
  document.body.dataset.ready = 'yes';
})();
