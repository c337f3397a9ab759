import { Html } from '../shared/html.js';
import { BASE_STYLE } from '../shared/style.js';

export const STYLE = new Html(`${BASE_STYLE.text}
:root { --soft: light-dark(#555d66, #a9b1ba); }
button.quiet { background: transparent; color: inherit; border-color: var(--soft); }
button:disabled { opacity: .5; cursor: default; }
.who { overflow-wrap: anywhere; }
.sign-in { display: grid; gap: .75rem; max-width: 22rem; margin-top: 1.5rem; }
.sign-in input { width: 100%; border-color: var(--soft); }
.sign-in .tick { display: flex; gap: .5rem; align-items: center; }
.sign-in .tick input { width: 1.25rem; min-height: 1.25rem; margin: 0; }
#messages { list-style: none; margin: 1rem 0; padding: .5rem 1rem; height: 55vh; overflow-y: auto; border: 1px solid var(--line);
  border-radius: .6rem; }
#messages li { padding: .35rem 0; overflow-wrap: anywhere; }
#messages strong { color: var(--accent); }
#say { flex-wrap: nowrap; }
#text { flex: 1; border-color: var(--soft); }
#state { color: var(--soft); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`);
