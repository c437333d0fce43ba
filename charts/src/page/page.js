'use strict';
(() => {
  // One tip for all marks; a mark's title would come late, and not at all under a finger.
  const tip = document.getElementById('tip');
  const told = (mark) => {
    if (mark.tip) return mark.tip();
    const title = mark.querySelector(':scope > title');
    if (title) {
      mark.dataset.tip = title.textContent;
      title.remove();
    }
    return mark.dataset.tip;
  };
  const place = (e) => {
    tip.style.left = `${Math.max(4, Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
  };
  document.addEventListener('pointerover', (e) => {
    const mark = e.target.closest ? e.target.closest('.mark') : null;
    const text = mark && told(mark);
    tip.style.visibility = text ? 'visible' : 'hidden';
    if (text) {
      tip.textContent = text;
      place(e);
    }
  });
  document.addEventListener('pointermove', place);

  // Tables are sorted by the column whose head is clicked, and the other way at the next click.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  document.addEventListener('click', (e) => {
    const head = e.target.closest ? e.target.closest('.sortable th') : null;
    if (!head) return;
    const column = head.cellIndex;
    const body = head.closest('table').tBodies[0];
    const down = head.getAttribute('aria-sort') !== 'descending';
    const number = (row) => Number(row.cells[0].textContent);
    const compare = (a, b) => {
      const [x, y] = column === 0 ? [number(a), number(b)] : [value(a, column), value(b, column)];
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1) || number(a) - number(b);
    };
    for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    body.append(...[...body.rows].sort(compare));
  });

  // A mark leads to the layer that it stands for.
  const open = (id) => {
    const found = document.getElementById(id);
    if (found && found.tagName === 'DETAILS') found.open = true;
    return found;
  };
  document.addEventListener('click', (e) => {
    const mark = e.target.closest ? e.target.closest('.chart [data-layer]') : null;
    if (!mark) return;
    const scope = mark.closest('.run') || document;
    scope.querySelectorAll('tr.chosen').forEach((row) => row.classList.remove('chosen'));
    const row = scope.querySelector(`tr[data-layer="${mark.dataset.layer}"]`);
    if (row) row.classList.add('chosen');
    const details = open(`layer-${mark.dataset.layer}`);
    (details || row || mark).scrollIntoView({ block: 'nearest' });
  });
  addEventListener('hashchange', () => open(location.hash.slice(1)));
  if (location.hash) open(location.hash.slice(1));
})();
