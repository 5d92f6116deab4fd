// The chart's library, and all that touches it: scales, axes, the cursor and the selection are its own, the data are
// drawn by us. Loaded with the first chart.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { decimalsOf, formatValue } from "../format/numbers";
import { formatLength, ZONE } from "../format/times";
import { secondsIn } from "../format/units";
import { t } from "../messages/index.svelte";
import { drawData, drawRegions, font, type Colours, type Frame, type Picture } from "./drawing";
import { middleOf } from "./points";
import { LENGTHS_S } from "./steps";
import { axisTime } from "./texts";

export type PlotEvents = {
  /** The cursor is at this time; null: it has left. */
  pointed: (time_ms: number | null) => void;
  /** A range was dragged out. */
  zoomed: (from: number, to: number) => void;
};

const QUARTERS = [0, 90, 180, 270, 360];

export class Plot {
  readonly #element: HTMLElement;
  readonly #plot: uPlot;
  readonly #resized: ResizeObserver;
  #picture: Picture;
  #pointed: number | null = null;
  #told: MouseEvent | null = null;
  #colours: Colours;

  constructor(element: HTMLElement, picture: Picture, events: PlotEvents) {
    this.#element = element;
    this.#picture = picture;
    this.#colours = coloursOf(element);
    this.#plot = new uPlot(this.#options(events), dataOf(picture), element);
    this.#resized = new ResizeObserver(() => this.#plot.setSize(sizeOf(element)));
    this.#resized.observe(element);
  }

  show(picture: Picture): void {
    this.#picture = picture;
    // The cursor stays at its time while the range moves on under it.
    this.#plot.batch(() => this.#plot.setData(dataOf(picture)));
    this.#place();
  }

  /** Puts the cursor at this time; null: nowhere. */
  point(time_ms: number | null): void {
    if (time_ms === this.#pointed) return;
    this.#pointed = time_ms;
    this.#place();
  }

  /** After language or colours have changed. */
  redraw(): void {
    this.#colours = coloursOf(this.#element);
    this.#plot.redraw(true, true);
  }

  destroy(): void {
    this.#resized.disconnect();
    this.#plot.destroy();
  }

  #place(): void {
    const left = this.#pointed === null ? -10 : this.#plot.valToPos(this.#pointed, "x");
    const shown = left >= 0 && left <= this.#plot.over.clientWidth;
    this.#plot.setCursor({ left: shown ? left : -10, top: shown ? 0 : -10 }, false);
  }

  #options(events: PlotEvents): uPlot.Options {
    const muted = (): string => this.#colours.muted;
    const grid = { stroke: (): string => this.#colours.grid, width: 1 };
    return {
      ...sizeOf(this.#element),
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), ZONE),
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: {
          size: 8,
          width: 2,
          fill: () => this.#colours.surface,
          stroke: () => this.#colours.line,
        },
      },
      scales: {
        x: { time: true, range: () => [this.#picture.window.from, this.#picture.window.to] },
        y: { range: () => [...this.#picture.extent] as [number, number] },
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        {
          stroke: muted,
          font: font(1),
          grid,
          ticks: grid,
          size: 30,
          space: 84,
          values: (_, splits, _axis, _space, increment) => splits.map((ms) => axisTime(ms, increment)),
        },
        {
          stroke: muted,
          font: font(1),
          grid,
          ticks: grid,
          space: 34,
          size: (_, values) => sizeFor(values),
          ...scaleOf(this.#picture),
        },
      ],
      hooks: {
        drawClear: [(plot) => drawRegions(plot.ctx, frameOf(plot), this.#picture, this.#colours)],
        draw: [(plot) => drawData(plot.ctx, frameOf(plot), this.#picture, this.#colours)],
        setCursor: [
          (plot) => {
            // The library calls this also when it draws for the first time or anew; then no pointer has moved.
            const event = plot.cursor.event ?? null;
            if (event === this.#told) return;
            this.#told = event;
            const left = plot.cursor.left ?? -1;
            this.#pointed = left < 0 ? null : plot.posToVal(left, "x");
            events.pointed(this.#pointed);
          },
        ],
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            events.zoomed(Math.floor(from), Math.ceil(to));
          },
        ],
      },
    };
  }
}

function dataOf({ points }: Picture): uPlot.AlignedData {
  return [points.map(middleOf), points.map((point) => point.value)];
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(element.clientWidth, 120), height: Math.max(element.clientHeight, 80) };
}

function frameOf(plot: uPlot): Frame {
  return {
    x: (ms) => plot.valToPos(ms, "x", true),
    y: (value) => plot.valToPos(value, "y", true),
    ...plot.bbox,
    ratio: uPlot.pxRatio,
  };
}

/** The marks of the axis of values, and their labels. */
function scaleOf({ statistic, unit }: Picture): Partial<uPlot.Axis> {
  if (statistic === "vector_mean") {
    return { splits: () => QUARTERS, values: () => QUARTERS.map(compassPoint) };
  }
  const seconds = secondsIn(unit);
  if (seconds !== null) {
    return {
      // The library counts in whole numbers, or in decimals of its own.
      incrs: LENGTHS_S.map((length) => length / seconds).filter(Number.isInteger),
      values: (_, splits) => splits.map((value) => formatLength(value * seconds)),
    };
  }
  return {
    values: (_, splits, _axis, _space, increment) =>
      splits.map((value) => formatValue(value, decimalsOf(String(increment)))),
  };
}

/** In steps, so that the chart does not move with every digit. */
function sizeFor(labels: readonly string[] | null): number {
  const longest = Math.max(4, ...(labels ?? []).map(lettersOf));
  return 20 + 16 * Math.ceil((longest * 7) / 16);
}

/** A Chinese character is as wide as two letters. */
function lettersOf(label: string): number {
  return [...label].reduce((sum, character) => sum + (character > "\u2e80" ? 2 : 1), 0);
}

function compassPoint(degrees: number): string {
  switch (degrees) {
    case 90:
      return t("lamppost.compass.east");
    case 180:
      return t("lamppost.compass.south");
    case 270:
      return t("lamppost.compass.west");
    default:
      return t("lamppost.compass.north");
  }
}

function coloursOf(element: HTMLElement): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    line: of("--accent"),
    doubt: of("--uncertain"),
    bad: of("--bad"),
    muted: of("--muted"),
    text: of("--text"),
    surface: of("--surface"),
    grid: of("--line"),
  };
}
