"""Style and script of the page of ``asl landmarks sheet``."""

STYLE = """
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --ink: #16191d; --pale: #636b74; --rule: #dde1e6;
  --on: #16191d; --on-ink: #fff; --left: #1f77b4; --right: #d62728; --wrong: #b86a00; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --card: #1d2125; --ink: #e8eaed; --pale: #9aa3ad;
  --rule: #31373d; --on: #e8eaed; --on-ink: #14171a; --left: #5aa9e6; --right: #ff6b6b; --wrong: #f0a030; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header { padding: 20px 24px 0; }
h1 { margin: 0; font-size: 22px; font-weight: 650; overflow-wrap: anywhere; }
.about { margin: 4px 0 0; max-width: 100ch; color: var(--pale); }
.left { color: var(--left); } .right { color: var(--right); } .wrong { color: var(--wrong); }
.left, .right, .wrong { font-weight: 600; }
code { padding: 1px 5px; border-radius: 4px; background: var(--card); border: 1px solid var(--rule); font-size: 12px; }
.summary { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 14px 0 0; }
.summary div { display: flex; flex-direction: column-reverse; }
.summary dt { color: var(--pale); font-size: 12px; }
.summary dd { margin: 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; }
nav { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px;
  margin-top: 14px; padding: 10px 24px; background: var(--ground); border-bottom: 1px solid var(--rule); }
input { width: 260px; max-width: 100%; padding: 7px 10px; border: 1px solid var(--rule); border-radius: 8px;
  background: var(--card); color: inherit; font: inherit; }
.sorts { display: flex; flex-wrap: wrap; gap: 6px; }
button { padding: 6px 11px; border: 1px solid var(--rule); border-radius: 999px; background: var(--card);
  color: inherit; font: inherit; font-size: 13px; cursor: pointer; }
button:hover { border-color: var(--pale); }
button[aria-pressed="true"] { background: var(--on); border-color: var(--on); color: var(--on-ink); }
:focus-visible { outline: 2px solid var(--left); outline-offset: 2px; }
output { margin-left: auto; color: var(--pale); font-variant-numeric: tabular-nums; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(318px, 1fr)); gap: 14px;
  padding: 16px 24px 40px; }
article { display: flex; flex-direction: column; min-width: 0; padding: 14px; border: 1px solid var(--rule);
  border-radius: 12px; background: var(--card); content-visibility: auto;
  contain-intrinsic-size: auto 318px auto 290px; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
h2 { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; margin: 10px 0 0;
  font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.id { display: flex; justify-content: space-between; gap: 10px; margin: 2px 0 0; color: var(--pale); font-size: 12px;
  overflow-wrap: anywhere; }
.id span { white-space: nowrap; }
article dl { display: grid; grid-template-columns: 1fr 1fr; gap: 1px 20px; margin: auto 0 0; padding-top: 8px;
  font-size: 12px; }
article dl div { display: flex; justify-content: space-between; }
article dt { color: var(--pale); }
article dd { margin: 0; font-variant-numeric: tabular-nums; }
article dl .by { font-weight: 700; } article dl .by dt { color: inherit; }
#none { padding: 0 24px; color: var(--pale); }
@media (max-width: 700px) { nav { position: static; } input { width: 100%; } }
"""

SCRIPT = """
'use strict';
const grid = document.getElementById('clips'), find = document.getElementById('find');
const buttons = [...document.querySelectorAll('.sorts button')];
const clips = [...grid.children].map((card, place) => ({
  card, place, id: card.dataset.id, values: JSON.parse(card.dataset.values),
  text: (card.dataset.id + ' ' + card.querySelector('h2').textContent).toLowerCase(),
}));
const near = new IntersectionObserver(show, {rootMargin: '600px'});
const byId = new Intl.Collator('en', {numeric: true});
const UNITS = {
  share: (x) => Math.round(100 * x) + '\u00a0%', count: (x) => x.toLocaleString('en'), number: (x) => x.toFixed(3),
};
let key = 'unreliable', reverse = false;

function sortBy(name, turned) {
  const button = buttons.find((b) => b.dataset.key === name) || buttons[0];
  key = button.dataset.key;
  reverse = turned;
  const at = buttons.indexOf(button), way = Number(button.dataset.worst) * (reverse ? -1 : 1);
  const order = clips.slice().sort((a, b) => {
    if (key === 'id') return -way * byId.compare(a.id, b.id);
    const x = a.values[at], y = b.values[at];
    if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;  // what is not known: last
    return way * (y - x) || a.place - b.place;
  });
  if (order.some((clip, place) => clip.card !== grid.children[place])) {
    grid.replaceChildren(...order.map((clip) => clip.card));
  }
  for (const b of buttons) {
    b.setAttribute('aria-pressed', b === button);
    b.textContent = b.dataset.label;
  }
  const falls = key === 'id' ? reverse : way > 0;
  button.textContent += falls ? ' \\u2193' : ' \\u2191';
  for (const list of grid.getElementsByTagName('dl')) mark(list);
}

// a clip's numbers are written when it comes near the window: of thousands most are never looked at
function show(entries) {
  for (const {target, isIntersecting} of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    const list = target.appendChild(document.createElement('dl'));
    const values = JSON.parse(target.dataset.values);
    buttons.forEach((button, at) => {
      const write = UNITS[button.dataset.unit];
      if (!write) return;
      const row = list.appendChild(document.createElement('div'));
      row.dataset.key = button.dataset.key;
      row.appendChild(document.createElement('dt')).textContent = button.dataset.label;
      row.appendChild(document.createElement('dd')).textContent = values[at] === null ? '\u2013' : write(values[at]);
    });
    mark(list);
  }
}

function mark(list) {
  for (const row of list.children) row.classList.toggle('by', row.dataset.key === key);
}

function filter() {
  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const clip of clips) {
    const fits = words.every((word) => clip.text.includes(word));
    clip.card.hidden = !fits;
    shown += fits;
  }
  const number = (n) => n.toLocaleString('en');
  document.getElementById('count').textContent =
    shown === clips.length ? number(shown) + ' clips' : number(shown) + ' of ' + number(clips.length);
  document.getElementById('none').hidden = shown > 0;
}

// the address keeps what is shown: index.html#sort=jitter&find=book
function keep() {
  const state = new URLSearchParams({sort: key});
  if (reverse) state.set('reverse', '1');
  if (find.value) state.set('find', find.value);
  history.replaceState(null, '', '#' + state);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  find.value = state.get('find') || '';
  sortBy(state.get('sort') || 'unreliable', state.get('reverse') === '1');
  filter();
}

for (const button of buttons) {
  button.addEventListener('click', () => {
    const name = button.dataset.key;
    sortBy(name, name === key && !reverse);
    keep();
    scrollTo({top: Math.min(scrollY, document.querySelector('nav').offsetTop)});
  });
}
find.addEventListener('input', () => { filter(); keep(); });
addEventListener('hashchange', restore);
restore();
for (const clip of clips) near.observe(clip.card);
"""
