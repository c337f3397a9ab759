import { connect } from 'node:net';
import { MAX_FLASK_RECORD } from './flask-record.js';

const LINE_END = '\r\n';

/**
 * One question to a Memcached server, over a connection of its own: the records of another program are bytes, and are asked for once in
 * the life of a session.
 *
 * @param question `get <key>` or `delete <key>`.
 * @returns the value; undefined where there is none.
 */
export function askMemcached(server: string, question: string, timeout: number): Promise<Buffer | undefined> {
  const [host = '', port] = server.split(':');
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect({ host, port: Number(port) }, () => socket.write(question + LINE_END));
    const settle = (error?: Error, value?: Buffer): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve(value);
      else reject(error);
    };
    const timer = setTimeout(() => settle(new Error(`Memcached did not answer within ${timeout} ms`)), timeout);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const answer = readAnswer(received);
        if (answer.isComplete) settle(undefined, answer.value);
      } catch (error) {
        settle(error as Error);
      }
    });
    socket.on('error', settle);
    socket.on('close', () => settle(new Error('Memcached closed the connection')));
  });
}

function readAnswer(bytes: Buffer): { isComplete: boolean; value?: Buffer | undefined } {
  const end = bytes.indexOf(LINE_END);
  if (end < 0) return { isComplete: false };
  const line = bytes.toString('latin1', 0, end);
  if (line === 'END' || line === 'DELETED' || line === 'NOT_FOUND') return { isComplete: true };
  const length = Number(/^VALUE \S+ \d+ (\d+)$/.exec(line)?.[1] ?? NaN);
  if (Number.isNaN(length)) throw new Error(`Memcached answered ${line.split(' ', 1)[0]}`);
  if (length > MAX_FLASK_RECORD) return { isComplete: true, value: Buffer.alloc(MAX_FLASK_RECORD + 1) };
  const start = end + LINE_END.length;
  if (bytes.length < start + length) return { isComplete: false };
  return { isComplete: true, value: bytes.subarray(start, start + length) };
}
