// Draws what a chart shows onto its canvas. Nothing is told by colour alone: doubt is dashed and hollow, what is bad
// stands on the baseline, regions have textures and words.

import {
  linesOf,
  middleOf,
  runsOf,
  valuedOf,
  type Point,
  type Run,
  type Statistic,
  type Valued,
  type Window,
} from "./points";

export type Region = Window & { kind: "stop" | "pending" | "forgotten"; text: string };

export type Picture = {
  readonly points: readonly Point[];
  readonly window: Window;
  readonly reach_ms: number;
  readonly statistic: Statistic;
  /** Of the values, by UCUM. */
  readonly unit: string;
  /** How wide a bar is that has no end: a count is over the period before its time. */
  readonly period_ms: number | null;
  readonly extent: readonly [number, number];
  readonly regions: readonly Region[];
};

/** From times and values to places on the canvas, in its own pixels. */
export type Frame = {
  readonly x: (ms: number) => number;
  readonly y: (value: number) => number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Pixels of the canvas for one of CSS. */
  readonly ratio: number;
};

export type Colours = Readonly<
  Record<"line" | "doubt" | "bad" | "muted" | "text" | "surface" | "grid", string>
>;

/** Under the grid: what is to be known of parts of the range. */
export function drawRegions(
  context: CanvasRenderingContext2D,
  frame: Frame,
  picture: Picture,
  colours: Colours,
): void {
  inside(context, frame, () => {
    for (const region of picture.regions) drawRegion(context, frame, region, colours);
  });
}

/** Over the grid: the words of the regions, and the data. */
export function drawData(
  context: CanvasRenderingContext2D,
  frame: Frame,
  picture: Picture,
  colours: Colours,
): void {
  inside(context, frame, () => {
    for (const region of picture.regions) drawWords(context, frame, region, colours);
    if (picture.statistic === "sum") drawBars(context, frame, picture, colours);
    else if (picture.statistic === "vector_mean") drawDirections(context, frame, picture, colours);
    else drawLines(context, frame, picture, colours);
    drawBad(context, frame, picture, colours);
  });
}

function inside(context: CanvasRenderingContext2D, frame: Frame, draw: () => void): void {
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  draw();
  context.restore();
}

function drawRegion(context: CanvasRenderingContext2D, frame: Frame, region: Region, colours: Colours): void {
  const { ratio, top, height } = frame;
  const { left, width } = sidesOf(frame, region);
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.globalAlpha = 0.12;
  context.fillStyle = colours.muted;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 0.45;
  context.strokeStyle = colours.muted;
  context.lineWidth = ratio;
  if (region.kind !== "pending") {
    const slope = region.kind === "stop" ? 1 : -1;
    const gap = (region.kind === "stop" ? 7 : 12) * ratio;
    context.beginPath();
    for (let x = left - height; x < left + width + height; x += gap) {
      context.moveTo(x, slope > 0 ? top + height : top);
      context.lineTo(x + height, slope > 0 ? top : top + height);
    }
    context.stroke();
  }
  context.globalAlpha = 0.9;
  context.setLineDash(region.kind === "pending" ? [3 * ratio, 3 * ratio] : []);
  context.beginPath();
  for (const edge of [left, left + width]) {
    context.moveTo(edge, top);
    context.lineTo(edge, top + height);
  }
  context.stroke();
  context.restore();
}

function sidesOf(frame: Frame, region: Region): { left: number; width: number } {
  const left = Math.max(frame.left, frame.x(region.from));
  const right = Math.min(frame.left + frame.width, frame.x(region.to));
  // A stop of a second in a week is still a stop.
  return { left, width: Math.max(right - left, 2 * frame.ratio) };
}

/** The words of a region stand in it if there is room; the legend has them too. */
function drawWords(context: CanvasRenderingContext2D, frame: Frame, region: Region, colours: Colours): void {
  const { ratio, top } = frame;
  const { left, width } = sidesOf(frame, region);
  context.font = font(ratio);
  const wide = context.measureText(region.text).width;
  if (wide + 12 * ratio > width) return;
  const middle = left + width / 2;
  context.globalAlpha = 0.85;
  context.fillStyle = colours.surface;
  context.fillRect(middle - wide / 2 - 4 * ratio, top + 4 * ratio, wide + 8 * ratio, 18 * ratio);
  context.globalAlpha = 1;
  context.fillStyle = colours.text;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(region.text, middle, top + 13.5 * ratio);
}

export function font(ratio: number): string {
  return `${12 * ratio}px system-ui, "Segoe UI", Roboto, "Noto Sans TC", "PingFang HK", "Noto Sans CJK TC", sans-serif`;
}

function drawLines(
  context: CanvasRenderingContext2D,
  frame: Frame,
  picture: Picture,
  colours: Colours,
): void {
  const points = valuedOf(picture.points);
  const { ratio } = frame;
  for (const run of runsOf(points, picture.reach_ms)) {
    const parts = linesOf(points, run);
    for (const part of parts)
      drawBand(context, frame, points, part, part.doubtful ? colours.doubt : colours.line);
    for (const part of parts) {
      context.strokeStyle = part.doubtful ? colours.doubt : colours.line;
      context.lineWidth = 1.75 * ratio;
      context.lineJoin = "round";
      context.setLineDash(part.doubtful ? [5 * ratio, 3 * ratio] : []);
      context.beginPath();
      each(points, part, (point) => context.lineTo(frame.x(middleOf(point)), frame.y(point.value)));
      context.stroke();
      context.setLineDash([]);
    }
    // Two marks that touch tell less than the line.
    const spacing = pixelsBetween(frame, points, run);
    each(points, run, (point) => {
      const alone = run.first === run.last;
      if (point.uncertain > 0 && spacing >= 7 * ratio) hollow(context, frame, point, colours);
      else if (alone || spacing >= 9 * ratio) dot(context, frame, point, colours, alone ? 2.5 : 2);
    });
  }
}

function drawBand(
  context: CanvasRenderingContext2D,
  frame: Frame,
  points: readonly Valued[],
  run: Run,
  colour: string,
): void {
  const { ratio } = frame;
  context.globalAlpha = 0.2;
  context.fillStyle = colour;
  if (run.first === run.last) {
    const { minimum = null, maximum = null, start = 0, end = 0 } = points[run.first] ?? {};
    if (minimum !== null && maximum !== null) {
      const width = Math.max(frame.x(end) - frame.x(start), 2 * ratio);
      context.fillRect(frame.x(start), frame.y(maximum), width, frame.y(minimum) - frame.y(maximum));
    }
  } else {
    context.beginPath();
    for (let index = run.first; index <= run.last; index++) {
      const point = points[index];
      if (point?.maximum != null) context.lineTo(frame.x(middleOf(point)), frame.y(point.maximum));
    }
    for (let index = run.last; index >= run.first; index--) {
      const point = points[index];
      if (point?.minimum != null) context.lineTo(frame.x(middleOf(point)), frame.y(point.minimum));
    }
    context.fill();
  }
  context.globalAlpha = 1;
}

function drawBars(context: CanvasRenderingContext2D, frame: Frame, picture: Picture, colours: Colours): void {
  const { ratio } = frame;
  const zero = frame.y(0);
  for (const point of valuedOf(picture.points)) {
    // A single count is over the period that ends at its time.
    const start = point.start === point.end ? point.end - (picture.period_ms ?? 0) : point.start;
    const left = frame.x(start);
    const width = Math.max(frame.x(point.end) - left - ratio, ratio);
    const top = frame.y(point.value);
    context.fillStyle = point.uncertain > 0 ? colours.doubt : colours.line;
    context.globalAlpha = 0.75;
    if (point.uncertain === 0) context.fillRect(left, top, width, zero - top);
    // A bar in doubt is dashed too.
    else
      for (let y = zero; y > top; y -= 5 * ratio)
        context.fillRect(left, y, width, Math.max(top - y, -3 * ratio));
  }
  context.globalAlpha = 1;
}

/** Directions are points: 359° and 1° are neighbours, and a line between them would cross all that they are not. */
function drawDirections(
  context: CanvasRenderingContext2D,
  frame: Frame,
  picture: Picture,
  colours: Colours,
): void {
  for (const point of valuedOf(picture.points)) {
    if (point.uncertain > 0) hollow(context, frame, point, colours);
    else dot(context, frame, point, colours, 2);
  }
}

function drawBad(context: CanvasRenderingContext2D, frame: Frame, picture: Picture, colours: Colours): void {
  const { ratio } = frame;
  const base = frame.top + frame.height;
  context.fillStyle = colours.bad;
  for (const point of picture.points) {
    if (point.bad === 0) continue;
    const width = Math.max(frame.x(point.end) - frame.x(point.start), 2 * ratio);
    const left = frame.x(middleOf(point)) - width / 2;
    context.fillRect(left, base - 7 * ratio, width, 7 * ratio);
  }
}

function each(points: readonly Valued[], run: Run, visit: (point: Valued) => void): void {
  for (const point of points.slice(run.first, run.last + 1)) visit(point);
}

function pixelsBetween(frame: Frame, points: readonly Valued[], run: Run): number {
  const [first, last] = [points[run.first], points[run.last]];
  if (first === undefined || last === undefined || run.first === run.last) return Infinity;
  return (frame.x(middleOf(last)) - frame.x(middleOf(first))) / (run.last - run.first);
}

function dot(
  context: CanvasRenderingContext2D,
  frame: Frame,
  point: Valued,
  colours: Colours,
  radius: number,
): void {
  context.fillStyle = point.uncertain > 0 ? colours.doubt : colours.line;
  context.beginPath();
  context.arc(frame.x(middleOf(point)), frame.y(point.value), radius * frame.ratio, 0, 2 * Math.PI);
  context.fill();
}

function hollow(context: CanvasRenderingContext2D, frame: Frame, point: Valued, colours: Colours): void {
  context.fillStyle = colours.surface;
  context.strokeStyle = colours.doubt;
  context.lineWidth = 1.5 * frame.ratio;
  context.beginPath();
  context.arc(frame.x(middleOf(point)), frame.y(point.value), 2.75 * frame.ratio, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}
