/** Puts the counts that the server sends into the page. Written for browsers as it is. */
export const LIVE_COUNTS_SCRIPT = `
const state = document.getElementById('state');
const show = (id, number) => {
  const place = document.querySelector('[data-count="' + CSS.escape(id) + '"]');
  if (place !== null) place.textContent = number;
};
const say = (text) => {
  if (state.textContent !== text) state.textContent = text;
};

const source = new EventSource('/admin/events');
source.onopen = () => say('Live.');
source.onmessage = ({ data }) => {
  const { all, anonymous, users } = JSON.parse(data);
  show('all', all);
  show('anonymous', anonymous);
  for (const [name, number] of Object.entries(users)) show('user-' + name, number);
};
// The browser tries again by itself, unless the server refused.
source.onerror = () => say(source.readyState === EventSource.CLOSED ? 'Not live any more.' : 'Connecting again…');
`;
