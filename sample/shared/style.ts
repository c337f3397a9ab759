import { Html } from './html.js';

/** What the pages of all samples look like: on a phone and on a desk, in light and dark. */
export const BASE_STYLE = new Html(`
:root { color-scheme: light dark; --line: light-dark(#d5d9de, #3b4149); --accent: light-dark(#1b5e3f, #7fd1a8);
  --ground: light-dark(#ffffff, #16191d); --on-accent: light-dark(#ffffff, #0d1f17); --tint: light-dark(#eaf4ee, #1d2b24);
  --alarm: light-dark(#fdecea, #3a1f1d); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; background: var(--ground); }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between;
  padding: 1rem 0; border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.5rem; } h2 { font-size: 1.15rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: 0; }
input, button { font: inherit; min-height: 2.75rem; padding: .25rem .9rem; border-radius: .4rem; border: 1px solid var(--line); }
input { background: transparent; color: inherit; width: 12rem; max-width: 100%; }
button { background: var(--accent); color: var(--on-accent); border-color: transparent; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.message { margin: 1rem 0 0; padding: .6rem .9rem; border-left: 4px solid var(--accent); background: var(--tint); }
.message.problem { background: var(--alarm); border-color: currentColor; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); }
`);
