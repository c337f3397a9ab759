import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Row } from '../measure-group.js';
import { belowOf, figure, type Results } from '../results.js';

use([BarChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer, TitleComponent]);

/** Between black and white, so that it is legible on both: contrasts of at least 4 to 1 on white and on #0d1117. */
const TEXT = '#77808a';
const LINES = '#77808a55';
const COLORS: Record<string, string> = {
  'by-hand': '#8a94a0',
  'server-session': '#1f9d6b',
  'near-cache': '#4fb7c9',
  'express-session': '#d2762a',
  'fastify-session': '#d2762a',
  mgcrea: '#8f6ad6',
};

/** How the contenders are called to those who read the chart, in their order. */
const NAMES: Record<string, string> = {
  'by-hand': 'by hand',
  'server-session': 'nestjs-server-session',
  'express-session': 'express-session',
  'fastify-session': '@fastify/session',
  mgcrea: '@mgcrea/fastify-session',
  'near-cache': 'with its near cache',
};

interface Panel {
  readonly title: string;
  readonly group: string;
  readonly works: readonly (readonly [label: string, work: string, connections: number])[];
  readonly figure: 'requestsPerSecond' | 'p50';
}

const EVERY_WORK = [
  ['unused', 'unused', 32],
  ['read', 'read', 32],
  ['change', 'change', 32],
  ['90 % read', 'mix', 32],
] as const;

const PANELS: readonly Panel[] = [
  { title: 'Express: requests per second', group: 'redis-express', works: EVERY_WORK, figure: 'requestsPerSecond' },
  { title: 'Fastify: requests per second', group: 'redis-fastify', works: EVERY_WORK, figure: 'requestsPerSecond' },
  {
    title: 'Express, 1 ms away from Redis in each direction: median milliseconds (less is better)',
    group: 'redis-express-1ms',
    works: [
      ['read, 1 connection', 'read', 1],
      ['read, 32', 'read', 32],
      ['change, 1', 'change', 1],
      ['change, 32', 'change', 32],
    ],
    figure: 'p50',
  },
];

const WIDTH = 840;
const PANEL_HEIGHT = 250;
const HEAD = 76;

/** The chart of the README, as SVG. Undefined where nothing of it was measured. */
export function chart(results: Results): string | undefined {
  const panels = PANELS.filter(({ group }) => results.rows.some((row) => row.group === group));
  if (panels.length === 0) return undefined;
  const height = HEAD + panels.length * PANEL_HEIGHT;
  const drawing = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const axis = { axisLabel: { color: TEXT }, axisLine: { lineStyle: { color: LINES } }, splitLine: { lineStyle: { color: LINES } } };
  drawing.setOption({
    animation: false,
    textStyle: { fontFamily: 'system-ui, sans-serif', color: TEXT },
    title: [
      {
        text: 'Sessions on one Redis, 200 bytes each, 32 connections',
        subtext: subtitle(results),
        itemGap: 6,
        left: 'center',
        ...titleStyle(16),
      },
      ...panels.map(({ title }, index) => ({ text: title, left: 60, top: HEAD + index * PANEL_HEIGHT + 8, ...titleStyle(13) })),
    ],
    grid: panels.map((_, index) => ({ left: 70, right: 20, top: HEAD + index * PANEL_HEIGHT + 64, height: PANEL_HEIGHT - 100 })),
    legend: panels.map((panel, index) => ({
      top: HEAD + index * PANEL_HEIGHT + 30,
      left: 56,
      itemWidth: 14,
      // Without a browser nobody knows how wide a text will be: room for more than is reckoned.
      itemGap: 40,
      textStyle: { color: TEXT, fontSize: 11 },
      data: contendersOf(results, panel).map((name) => seriesName(index, name)),
      formatter: (name: string) => name.trim(),
    })),
    xAxis: panels.map((panel, gridIndex) => ({
      type: 'category',
      gridIndex,
      data: categories(results, panel).map(([label]) => label),
      ...axis,
    })),
    yAxis: panels.map((_, gridIndex) => ({ type: 'value', gridIndex, ...axis })),
    series: panels.flatMap((panel, index) =>
      contendersOf(results, panel).map((name) => ({
        type: 'bar',
        name: seriesName(index, name),
        xAxisIndex: index,
        yAxisIndex: index,
        itemStyle: { color: COLORS[name] ?? TEXT },
        label: { show: true, position: 'top', fontSize: 10, color: TEXT, formatter: ({ value: shown }: { value: number }) => short(shown) },
        data: categories(results, panel).map(([, row]) => barOf(row, name, panel)),
      })),
    ),
  });
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return svg;
}

function titleStyle(fontSize: number): object {
  return { textStyle: { color: TEXT, fontSize, fontWeight: 600 }, subtextStyle: { color: TEXT, fontSize: 11, lineHeight: 15 } };
}

function subtitle({ date, machine, versions }: Results): string {
  const { cpu, cores, node } = machine;
  return `${date.slice(0, 10)} · ${cpu}, ${cores} cores · Node ${node} · Nest ${versions['@nestjs/core'] ?? ''} · medians\n`.concat(
    'by hand: one interceptor of the application that calls GETEX and SET; where no session is used, an application without any',
  );
}

/** The rows of a panel that were measured. */
function categories(results: Results, { group, works }: Panel): [string, Row][] {
  return works.flatMap(([label, work, connections]) => {
    const row = results.rows.find(
      (candidate) =>
        candidate.group === group && candidate.work === work && candidate.bytes === 200 && candidate.connections === connections,
    );
    return row === undefined ? [] : [[label, row] as [string, Row]];
  });
}

/** What stands below has one colour and one name, whatever it is in a row. */
function contendersOf(results: Results, panel: Panel): string[] {
  const names = categories(results, panel).flatMap(([, { rounds }]) => Object.keys(rounds));
  const present = new Set(['by-hand', ...names]);
  return Object.keys(NAMES).filter((name) => present.has(name));
}

function barOf(row: Row, name: string, { figure: wanted }: Panel): number | undefined {
  const measured = name === 'by-hand' ? (belowOf(row) ?? '') : name;
  const median = figure(row, measured, wanted)?.median;
  return median === undefined ? undefined : Number(median.toPrecision(3));
}

/** The same contender stands in several legends; trailing blanks tell its series apart and are not drawn. */
function seriesName(panel: number, contender: string): string {
  return (NAMES[contender] ?? contender) + ' '.repeat(panel);
}

function short(figures: number): string {
  return figures >= 1000 ? `${(figures / 1000).toFixed(1)}k` : String(figures);
}
