import { Html } from '../shared/html.js';
import { BASE_STYLE } from '../shared/style.js';

/** Reads well on a phone and on a desk, in light and dark. */
export const STYLE = new Html(`${BASE_STYLE.text}
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 1fr auto auto; gap: .75rem; align-items: center; padding: .5rem 0;
  border-bottom: 1px solid var(--line); }
li span { overflow-wrap: anywhere; }
.price, .total strong { font-variant-numeric: tabular-nums; }
.total { display: flex; justify-content: space-between; }
@media (min-width: 48rem) { main { display: grid; grid-template-columns: 1fr 1fr; gap: 0 3rem; } [role='status'] { grid-column: 1 / -1; } }
`);
