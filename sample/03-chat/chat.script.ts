/** Shows the messages that come, and sends what is typed. Written for browsers as it is. */
export const CHAT_SCRIPT = `
const list = document.getElementById('messages');
const state = document.getElementById('state');
const form = document.getElementById('say');
const field = form.elements.text;
const socket = io();

const show = ({ name, text }) => {
  const line = document.createElement('li');
  const author = document.createElement('strong');
  // As text, never as HTML: others have written it.
  author.textContent = name;
  line.append(author, ' ', text);
  list.append(line);
  line.scrollIntoView({ block: 'nearest' });
};
const say = (text, isOpen) => {
  state.textContent = text;
  form.elements.send.disabled = !isOpen;
};

let isFirst = true;
socket.on('connect', () => {
  isFirst = true;
});
socket.on('messages', (messages) => {
  // The first ones after each connection are all there are.
  if (isFirst) {
    list.replaceChildren();
    say('Connected.', true);
  }
  isFirst = false;
  messages.forEach(show);
});
socket.on('disconnect', (reason) => {
  // The server disconnects those who are signed out; anything else is the network, and socket.io tries again.
  if (reason === 'io server disconnect') say('You are signed out. Reload this page to sign in again.', false);
  else say('Connecting again…', false);
});
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!socket.connected) return;
  socket.emit('say', field.value);
  field.value = '';
});
`;
