import { gridOf, scaleOf } from "./chart.ts";
import type { Chart as Data } from "./chart.ts";

/** A chart with its values as a table. It is drawn by this page alone: nothing is loaded, and no markup of the model is used. */
export function Chart({ chart }: { readonly chart: Data }) {
  const { title, headings, rows, kind } = chart;
  const [, ...series] = headings;
  return (
    <figure className="chart" aria-label={`Chart: ${title}`}>
      <figcaption><bdi>{title}</bdi></figcaption>
      {series.length > 1 && <ul className="legend">{series.map((name, i) => <li key={name} className={`series-${i}`}><bdi>{name}</bdi></li>)}</ul>}
      {kind === "bar" ? <Bars chart={chart} /> : <Lines chart={chart} />}
      <details>
        <summary>Values</summary>
        <div className="wide" role="group" aria-label={`Values of ${title}`} tabIndex={0}>
          <table>
            <thead><tr>{headings.map((name, i) => <th key={i} scope="col">{name}</th>)}</tr></thead>
            <tbody>{rows.map(({ label, written }, i) => <tr key={i}><th scope="row">{label}</th>{written.map((one, j) => <td key={j}>{one}</td>)}</tr>)}</tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

const BAR = 14; // the height of a bar, in pixels
const LABEL = 20; // of the line above a bar

/** Horizontal bars, each below its label. Lengths are in percent of the width, so text keeps its size on a phone. */
function Bars({ chart }: { readonly chart: Data }) {
  const { rows, headings } = chart;
  const [low, high] = scaleOf(chart);
  const part = (value: number): number => 100 * value / (high - low);
  const zero = part(-low);
  const height = LABEL + BAR * (headings.length - 1) + 10;
  return (
    <svg width="100%" height={rows.length * height} aria-hidden="true">
      {rows.map(({ label, values, written }, i) => (
        <svg key={i} y={i * height} width="100%" height={height}>
          <text x="0" y={LABEL - 6}>{label}</text>
          <text x="100%" y={LABEL - 6} textAnchor="end">{written.join(" / ")}</text>
          {values.map((value, j) => (
            <rect key={j} className={`series-${j}`} x={`${zero + Math.min(0, part(value))}%`} y={LABEL + j * BAR} width={`${Math.abs(part(value))}%`} height={BAR - 2}>
              <title>{`${label}: ${written[j] ?? ""}`}</title>
            </rect>
          ))}
        </svg>
      ))}
    </svg>
  );
}

const PLOT = 180; // the height of the plot, in pixels

/** One line for each series, over a grid. The strip of each label has its values as a tooltip. */
function Lines({ chart }: { readonly chart: Data }) {
  const { rows, headings } = chart;
  const [low, high] = scaleOf(chart);
  const y = (value: number): number => 100 * (high - value) / (high - low);
  const x = (i: number): number => 100 * i / (rows.length - 1);
  const pixel = (value: number): number => 16 + PLOT * y(value) / 100;
  return (
    <svg width="100%" height={PLOT + 40} aria-hidden="true">
      {gridOf(low, high).map((value) => (
        <g key={value}>
          <line className="grid" x1="0" x2="100%" y1={pixel(value)} y2={pixel(value)} />
          <text className="grid" x="0" y={pixel(value) - 3}>{value}</text>
        </g>
      ))}
      <svg y={16} width="100%" height={PLOT} viewBox="0 0 100 100" preserveAspectRatio="none">
        {headings.slice(1).map((_, j) => (
          <polyline key={j} className={`series-${j}`} vectorEffect="non-scaling-stroke" points={rows.map(({ values }, i) => `${x(i)},${y(values[j] ?? 0)}`).join(" ")} />
        ))}
      </svg>
      {rows.map(({ label, written }, i) => (
        <rect key={i} className="strip" x={`${x(i) - 50 / rows.length}%`} y={16} width={`${100 / rows.length}%`} height={PLOT}>
          <title>{`${label}: ${written.join(" / ")}`}</title>
        </rect>
      ))}
      <text x="0" y={PLOT + 36}>{rows[0]?.label}</text>
      <text x="100%" y={PLOT + 36} textAnchor="end">{rows.at(-1)?.label}</text>
    </svg>
  );
}
