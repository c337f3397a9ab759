import Sequencer from '@jest/test-sequencer';

/** Test files run in the order in which they were asked for. */
export default class InOrder extends Sequencer {
  sort(tests) {
    const order = JSON.parse(process.env.MUTATION_SPECS);
    return [...tests].sort((one, other) => order.indexOf(one.path) - order.indexOf(other.path));
  }
}
