// Preloaded into a child process of tests: its clock is wrong by CLOCK_OFFSET milliseconds, until it is set by a message.
let offset = Number(process.env.CLOCK_OFFSET ?? 0);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offset);
    else super(...args);
  }

  static now() {
    return RealDate.now() + offset;
  }
};

process.on('message', (message) => {
  if (typeof message?.clockOffset === 'number') offset = message.clockOffset;
});
