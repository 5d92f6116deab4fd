// Draws all lampposts, as a layer of MapLibre's that is our own.
//
// A change of state is one byte a lamppost, and the whole city's bytes go to the graphics card in one piece. MapLibre's
// own way, feature states, costs an object for each lamppost that changes, and a filter changes all of them with every
// key; and it has no shape that goes by state. Shapes are drawn by the shader, sharp at any size.

import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapLibreMap } from "maplibre-gl";

import type { Look } from "./look";
import type { Points } from "./points";

const VERTEX = `#version 300 es
uniform mat4 u_matrix;
uniform float u_size;
uniform float u_pass;
uniform float u_shape[16];
uniform float u_scale[16];
uniform float u_on_top[16];
uniform vec3 u_fill[16];
uniform vec3 u_edge;
uniform vec3 u_halo;
uniform vec3 u_doubt;
in vec2 a_offset;
in float a_class;
flat out float v_shape;
flat out float v_radius;
flat out float v_edge_width;
flat out vec3 v_fill;
flat out vec3 v_edge;
flat out vec3 v_gap;
void main() {
  int place = int(a_class) & 15;
  bool is_doubtful = a_class >= 16.0;
  bool is_ring = u_pass == 2.0;
  bool is_hidden = a_class == 255.0 || (!is_ring && u_on_top[place] != u_pass);
  gl_Position = is_hidden ? vec4(2.0, 2.0, 2.0, 1.0) : u_matrix * vec4(a_offset, 0.0, 1.0);
  v_shape = is_ring ? 5.0 : u_shape[place];
  v_radius = u_size * u_scale[place] * (is_ring ? 1.9 : 1.0);
  v_fill = u_fill[place];
  v_edge = v_shape >= 3.0 ? u_halo : is_doubtful ? u_doubt : u_edge;
  v_gap = is_doubtful ? u_halo : v_edge;
  v_edge_width = max(0.6, u_size * (is_doubtful ? 0.5 : 0.2));
  gl_PointSize = 2.0 * (v_radius * 1.2 + v_edge_width + 1.0);
}`;

// Distances are in pixels, negative inside. Hollow shapes are a band of colour with an edge on either side; between a
// doubtful value and its edge there is a gap, so that the two are told apart whatever their colours.
const FRAGMENT = `#version 300 es
precision mediump float;
uniform vec3 u_ring;
flat in float v_shape;
flat in float v_radius;
flat in float v_edge_width;
flat in vec3 v_fill;
flat in vec3 v_edge;
flat in vec3 v_gap;
out vec4 color;
float triangle(vec2 p, float r) {
  const float k = 1.7320508;
  p.y = -p.y + r * 0.12;
  p.x = abs(p.x) - r;
  p.y = p.y + r / k;
  if (p.x + k * p.y > 0.0) p = vec2(p.x - k * p.y, -k * p.x - p.y) / 2.0;
  p.x -= clamp(p.x, -2.0 * r, 0.0);
  return -length(p) * sign(p.y);
}
float shape(vec2 p, float r) {
  if (v_shape == 1.0) return triangle(p, r);
  if (v_shape == 2.0) return max(abs(p.x), abs(p.y)) - r * 0.88;
  if (v_shape == 3.0) return (abs(p.x) + abs(p.y) - r * 1.1) * 0.70710678;
  return length(p) - r;
}
void main() {
  float side = 2.0 * (v_radius * 1.2 + v_edge_width + 1.0);
  vec2 p = (gl_PointCoord - 0.5) * side;
  float d = shape(p, v_radius);
  if (v_shape == 5.0) {
    float band = abs(d) - max(1.5, v_radius * 0.11);
    float ring = clamp(0.5 - band, 0.0, 1.0);
    float halo = clamp(0.5 - (band - 1.5), 0.0, 1.0);
    color = vec4(mix(v_edge, u_ring, ring), 1.0) * halo;
    return;
  }
  if (v_shape >= 3.0) {
    float width = max(1.6, v_radius * 0.42);
    float band = abs(d + width * 0.5) - width * 0.5;
    float ring = clamp(0.5 - band, 0.0, 1.0);
    float halo = clamp(0.5 - (band - v_edge_width), 0.0, 1.0);
    color = vec4(mix(v_edge, v_fill, ring), 1.0) * halo;
    return;
  }
  float inside = clamp(0.5 - d, 0.0, 1.0);
  float whole = clamp(0.5 - (d - v_edge_width), 0.0, 1.0);
  float gap = clamp(0.5 - (d - v_edge_width * 0.35), 0.0, 1.0);
  color = vec4(mix(mix(v_edge, v_gap, gap), v_fill, inside), 1.0) * whole;
}`;

/** What is beneath, what is on top, the ring around what is selected. */
const [BENEATH, ON_TOP, RING] = [0, 1, 2];

export class LamppostLayer implements CustomLayerInterface {
  readonly id = "lampposts";
  readonly type = "custom" as const;
  readonly renderingMode = "2d" as const;
  readonly #points: Points;
  readonly #classes: Uint8Array;
  #look: Look;
  #selected: number | null = null;
  #map: MapLibreMap | null = null;
  #drawn: Drawn | null = null;
  #isStale = true;

  /** `classes` stays the caller's, who calls {@link changed} when it has changed. */
  constructor(points: Points, classes: Uint8Array, look: Look) {
    this.#points = points;
    this.#classes = classes;
    this.#look = look;
  }

  changed(): void {
    this.#isStale = true;
    this.#map?.triggerRepaint();
  }

  look(look: Look): void {
    this.#look = look;
    this.#map?.triggerRepaint();
  }

  select(row: number | null): void {
    this.#selected = row;
    this.#map?.triggerRepaint();
  }

  onAdd(map: MapLibreMap, gl: WebGL2RenderingContext): void {
    this.#map = map;
    // Without a graphics card nothing can be prepared; with the next one comes another layer.
    if (gl.isContextLost()) return;
    this.#drawn = prepare(gl, this.#points.offsets, this.#classes);
    this.#isStale = false;
  }

  onRemove(_map: MapLibreMap, gl: WebGL2RenderingContext): void {
    if (this.#drawn !== null) {
      gl.deleteProgram(this.#drawn.program);
      gl.deleteVertexArray(this.#drawn.array);
      this.#drawn.buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    }
    this.#drawn = null;
    this.#map = null;
  }

  render(gl: WebGL2RenderingContext, { defaultProjectionData }: CustomRenderMethodInput): void {
    const [map, drawn] = [this.#map, this.#drawn];
    if (map === null || drawn === null) return;
    gl.useProgram(drawn.program);
    gl.bindVertexArray(drawn.array);
    if (this.#isStale) {
      gl.bindBuffer(gl.ARRAY_BUFFER, drawn.classes);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.#classes);
      this.#isStale = false;
    }
    const { place } = drawn;
    const look = this.#look;
    gl.uniformMatrix4fv(place("u_matrix"), false, moved(defaultProjectionData.mainMatrix, this.#points));
    gl.uniform1f(place("u_size"), radiusAt(map.getZoom(), this.#classes.length) * map.getPixelRatio());
    gl.uniform1fv(place("u_shape"), look.shape);
    gl.uniform1fv(place("u_scale"), look.size);
    gl.uniform1fv(place("u_on_top"), look.onTop);
    gl.uniform3fv(place("u_fill"), look.fill);
    gl.uniform3fv(place("u_edge"), look.edge);
    gl.uniform3fv(place("u_halo"), look.halo);
    gl.uniform3fv(place("u_doubt"), look.doubt);
    gl.uniform3fv(place("u_ring"), look.ring);
    for (const pass of [BENEATH, ON_TOP]) {
      gl.uniform1f(place("u_pass"), pass);
      gl.drawArrays(gl.POINTS, 0, this.#classes.length);
    }
    if (this.#selected !== null) {
      gl.uniform1f(place("u_pass"), RING);
      gl.drawArrays(gl.POINTS, this.#selected, 1);
    }
    gl.bindVertexArray(null);
  }
}

/** Radius of a symbol in CSS pixels: a dot where thousands stand side by side, a sign where one can be looked at. */
export function radiusAt(zoom: number, count: number): number {
  const far = count > 5_000 ? 1.6 : 4;
  const near = 7.5;
  const [from, to] = count > 5_000 ? [10, 17] : [10, 15];
  const part = Math.min(1, Math.max(0, (zoom - from) / (to - from)));
  return far + (near - far) * part;
}

interface Drawn {
  program: WebGLProgram;
  array: WebGLVertexArrayObject;
  classes: WebGLBuffer;
  buffers: readonly WebGLBuffer[];
  place: (uniform: string) => WebGLUniformLocation | null;
}

function prepare(gl: WebGL2RenderingContext, offsets: Float32Array, classes: Uint8Array): Drawn {
  const program = link(gl);
  const array = gl.createVertexArray();
  const [places, states] = [gl.createBuffer(), gl.createBuffer()];
  gl.bindVertexArray(array);
  attribute(gl, program, "a_offset", places, offsets, 2, gl.FLOAT, gl.STATIC_DRAW);
  attribute(gl, program, "a_class", states, classes, 1, gl.UNSIGNED_BYTE, gl.DYNAMIC_DRAW);
  gl.bindVertexArray(null);
  const known = new Map<string, WebGLUniformLocation | null>();
  const place = (uniform: string): WebGLUniformLocation | null => {
    const found = known.get(uniform) ?? gl.getUniformLocation(program, uniform);
    known.set(uniform, found);
    return found;
  };
  return { program, array, classes: states, buffers: [places, states], place };
}

function attribute(
  gl: WebGL2RenderingContext,
  program: WebGLProgram,
  name: string,
  buffer: WebGLBuffer,
  data: Float32Array | Uint8Array,
  size: number,
  type: number,
  usage: number,
): void {
  const location = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, usage);
  gl.enableVertexAttribArray(location);
  gl.vertexAttribPointer(location, size, type, false, 0, 0);
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (shader === null) throw new Error("no shader can be made: the graphics context is lost");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true && !gl.isContextLost()) {
    throw new Error(`the shaders of lampposts do not link: ${gl.getProgramInfoLog(program) ?? ""}`);
  }
  return program;
}

/** The matrix for offsets from the middle of the points; multiplied here, where numbers are long enough. */
function moved(matrix: ArrayLike<number>, { x, y }: Points): Float32Array {
  const of = (place: number): number => matrix[place] ?? 0;
  const result = Float32Array.from(matrix);
  for (let line = 0; line < 4; line += 1) result[12 + line] = of(line) * x + of(4 + line) * y + of(12 + line);
  return result;
}
