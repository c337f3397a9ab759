import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as api from '@opentelemetry/api';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createTelemetry } from '../../lib/telemetry/session-telemetry.js';

const spans = new InMemorySpanExporter();
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const meter = new MeterProvider({ readers: [reader] });

afterAll(async () => {
  api.trace.disable();
  api.metrics.disable();
  await tracer.shutdown();
  await meter.shutdown();
});

describe('An OpenTelemetry SDK that is registered late', () => {
  let telemetry: Awaited<ReturnType<typeof createTelemetry>>;
  beforeAll(async () => {
    telemetry = await createTelemetry('memory');
  });
  const work = (): Promise<string> => Promise.resolve('done');
  const request = async (): Promise<string> => {
    telemetry.count('loaded');
    return telemetry.span(
      'session.load',
      () => telemetry.store('read a session', work),
      () => 'found',
    );
  };

  it('is not missed before, and has everything from then on', async () => {
    const pending = work();
    expect(telemetry.span('session.load', () => telemetry.store('read a session', () => pending), String)).toBe(pending);
    expect(await request()).toBe('done');

    api.trace.setGlobalTracerProvider(tracer);
    api.metrics.setGlobalMeterProvider(meter);
    expect(await request()).toBe('done');
    await reader.forceFlush();
    const names = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
    const loaded = names.find(({ descriptor }) => descriptor.name === 'session.loaded');
    expect(loaded?.dataPoints.map(({ value }) => value)).toEqual([1]);
    expect(names.map(({ descriptor }) => descriptor.name)).toContain('session.store.duration');
    expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual(['session.load']);
  });
});
