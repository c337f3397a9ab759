import { Html } from '../shared/html.js';
import { BASE_STYLE } from '../shared/style.js';

export const STYLE = new Html(`${BASE_STYLE.text}
:root { --soft: light-dark(#555d66, #a9b1ba); --danger: light-dark(#a3231a, #ff9d94); --panel: light-dark(#f7f8f9, #1e2328); }
a { color: var(--accent); }
header p { margin: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .5rem 0; }
nav a { display: inline-block; padding: .5rem 0; }
nav [aria-current] { color: inherit; font-weight: 600; text-decoration-thickness: 2px; text-underline-offset: .35em; }
ul { list-style: none; margin: 0; padding: 0; }
h2 { margin: 1.5rem 0 .5rem; }
.soft { margin: 0; color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.devices { display: grid; gap: .75rem; margin: 1rem 0; }
.device { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .5rem 1rem; align-items: center; padding: .9rem 1rem;
  border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); }
.device h2 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
.device.this { border-color: var(--accent); background: var(--tint); }
.mark { font-weight: 600; color: var(--accent); }
.facts span + span::before { content: '· '; }
.message.problem { border-color: var(--danger); }
nav + main h2:first-of-type { margin-top: .5rem; }
button.quiet { background: transparent; color: inherit; border-color: var(--soft); }
button.danger { background: transparent; color: var(--danger); border-color: currentColor; }
.sign-in { display: grid; gap: 1rem; max-width: 22rem; align-items: stretch; }
.sign-in div { display: grid; gap: .25rem; }
.sign-in input { width: 100%; border-color: var(--soft); }
code { padding: .1rem .3rem; border-radius: .25rem; background: var(--tint); }
.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.counts div { display: flex; flex-direction: column-reverse; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--panel); }
.counts dt { color: var(--soft); font-size: .9rem; }
.counts dd { margin: 0; font-size: 2rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
@media (max-width: 30rem) {
  .device { grid-template-columns: minmax(0, 1fr); }
  .facts span { display: block; } .facts span + span::before { content: none; }
  .sign-in { max-width: none; }
  header form { width: 100%; justify-content: space-between; }
  .device form, main form button { width: 100%; }
}
`);
