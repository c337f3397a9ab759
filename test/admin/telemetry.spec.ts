import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Attributes, metrics, trace } from '@opentelemetry/api';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { setTimeout as pause } from 'node:timers/promises';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { RecordingRepository } from '../e2e/recording.repository.js';
import { type AdminApplication, handleOf, startAdmin } from './support/application.js';

const spans = new InMemorySpanExporter();
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const meter = new MeterProvider({ readers: [reader] });

interface Point {
  readonly attributes: Attributes;
  readonly value: unknown;
}

/** What the SDK has of a metric by now. */
async function pointsOf(name: string): Promise<Point[]> {
  exporter.reset();
  await reader.forceFlush();
  const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return found.filter(({ descriptor }) => descriptor.name === name).flatMap(({ dataPoints }) => dataPoints as Point[]);
}

/** How much a counter has grown through an operation. */
async function growthOf(name: string, backEnd: string, operation: () => Promise<unknown>): Promise<number> {
  const sum = async (): Promise<number> => {
    const points = (await pointsOf(name)).filter(({ attributes }) => attributes['session.backend'] === backEnd);
    return points.reduce((total, { value }) => total + Number(value), 0);
  };
  const before = await sum();
  await operation();
  return (await sum()) - before;
}

describe('With an OpenTelemetry SDK', () => {
  let app: AdminApplication;
  beforeAll(() => {
    trace.setGlobalTracerProvider(tracer);
    metrics.setGlobalMeterProvider(meter);
  });
  afterEach(() => {
    spans.reset();
    return app?.close();
  });
  afterAll(async () => {
    trace.disable();
    metrics.disable();
    await tracer.shutdown();
    await meter.shutdown();
  });

  it('loads and saves are spans with the back end and the outcome', async () => {
    app = await startAdmin({ type: 'memory' });
    const browser = app.browser();
    await browser.post('visit');
    await browser.post('login', { user: 'ann' });
    const ids = new Set(browser.jar.values());
    await browser.get('me');
    const handle = await handleOf(browser);
    await app.sessions.revoke(handle);
    await browser.get('me');
    const told = spans.getFinishedSpans().map(({ name, attributes }) => `${name} ${attributes['session.outcome']}`);
    expect(told).toEqual([
      'session.save created',
      'session.load found',
      'session.save updated',
      'session.load found',
      'session.load found',
      'session.load absent',
    ]);
    const text = JSON.stringify(
      spans.getFinishedSpans().map(({ name, attributes, status, events }) => ({ name, attributes, status, events })),
    );
    for (const secret of [...ids, handle, 'ann', 'visited']) expect(text).not.toContain(secret);
    expect(new Set(spans.getFinishedSpans().map(({ attributes }) => attributes['session.backend']))).toEqual(new Set(['memory']));
  });

  it('a save that fails is a span with an error, without what the store said', async () => {
    const repository = new RecordingRepository();
    app = await startAdmin({ repository });
    repository.broken.add('create');
    await app.browser().post('visit');
    const [span] = spans.getFinishedSpans();
    expect(span).toMatchObject({ name: 'session.save', attributes: { 'session.outcome': 'error', 'session.backend': 'custom' } });
    expect(span?.status.message).toBe('SessionStoreError');
  });

  it('sessions that are created, loaded and saved are counted', async () => {
    app = await startAdmin({ type: 'memory' });
    const browser = app.browser();
    expect(await growthOf('session.created', 'memory', () => browser.post('visit'))).toBe(1);
    expect(await growthOf('session.loaded', 'memory', () => browser.get('me'))).toBe(1);
    expect(await growthOf('session.saved', 'memory', () => browser.post('login', { user: 'ann' }))).toBe(1);
    expect(await growthOf('session.created', 'memory', () => browser.post('login', { user: 'ann' }))).toBe(0);
  });

  it('errors of the store, conflicts and expired sessions are counted', async () => {
    const repository = new RecordingRepository();
    const create = repository.create.bind(repository);
    repository.create = (handle, record) => create(handle, record, 60_000);
    const update = repository.update.bind(repository);
    repository.update = (handle, record, base) => update(handle, record, base, 60_000);
    app = await startAdmin({ repository, absoluteLifetime: '2s', lifetime: '1m' });
    const { browser, handle } = await app.loggedIn('ann');

    repository.broken.add('read');
    expect(await growthOf('session.store.errors', 'custom', () => browser.get('me'))).toBe(1);
    repository.broken.clear();

    const interfere = async (): Promise<void> => {
      let isFirst = true;
      await app.sessions.update(handle, async (session) => {
        session.set('mine', true);
        if (!isFirst) return;
        isFirst = false;
        const { payload, version } = (await repository.memory.read(handle))!;
        await repository.memory.update(handle, { payload }, version, 60_000);
      });
    };
    expect(await growthOf('session.conflicts', 'custom', interfere)).toBe(1);

    await pause(2050);
    expect(await growthOf('session.expired', 'custom', () => browser.get('me'))).toBe(1);
  });

  it('the time of the store is a histogram in seconds, by operation', async () => {
    app = await startAdmin({ repository: new MemorySessionRepository() });
    const browser = app.browser();
    await browser.post('visit');
    await browser.get('me');
    await browser.post('visit');
    const points = (await pointsOf('session.store.duration')).filter(({ attributes }) => attributes['session.backend'] === 'custom');
    expect(points.map(({ attributes }) => attributes['session.operation'])).toEqual(expect.arrayContaining(['create', 'read']));
    for (const { value } of points) expect(value).toMatchObject({ count: expect.any(Number), min: expect.any(Number) });
    const slowest = Math.max(...points.map(({ value }) => (value as { max: number }).max));
    expect(slowest).toBeLessThan(5);
  });
});
