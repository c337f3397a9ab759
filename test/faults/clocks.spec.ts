import { describeClocks } from './support/clocks.cases.js';

// In short: `npm run test:faults` does the same on the other stores.
describeClocks('redis');
