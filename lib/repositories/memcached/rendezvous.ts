import { hash } from 'node:crypto';

/**
 * The node that a key belongs to, by rendezvous hashing ("highest random weight"): each node draws a number for the key, and the
 * highest wins. The order of the nodes does not matter, and a node more or less moves only the keys that it wins or leaves.
 */
export function nodeFor<T extends { readonly name: string }>(nodes: readonly [T, ...T[]], key: string): T {
  if (nodes.length === 1) return nodes[0];
  let [winner] = nodes;
  let highest = '';
  for (const node of nodes) {
    const drawn = hash('sha256', `${node.name} ${key}`);
    if (drawn <= highest) continue;
    highest = drawn;
    winner = node;
  }
  return winner;
}
