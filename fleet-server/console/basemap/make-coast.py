#!/usr/bin/env python3
"""Writes src/map/coast.json, the land that the map shows where no city has given it a basemap.

Reads the full resolution shorelines of GSHHG (Debian: gmt-gshhg-full) as they are cut up for GMT: into bins of one
degree, each with the segments of shorelines that cross it. A segment has land on its left, be it the shore of the sea,
of a lake or of an island in one; so the land of a bin is found by following a segment to the edge of the bin and from
there the edge, counterclockwise, to where the next segment begins.

Needs: pip install netCDF4==1.7.5.1.post1 shapely==2.2.0
Run:   python3 make-coast.py [binned_GSHHS_f.nc]
"""

import json
import sys
from pathlib import Path

import netCDF4
import numpy
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon, box
from shapely.geometry.polygon import orient

SOURCE = Path("/usr/share/gmt-gshhg/binned_GSHHS_f.nc")
TARGET = Path(__file__).resolve().parent.parent / "src" / "map" / "coast.json"

# The README of the release; the netCDF file has the version alone.
RELEASED = {"2.3.7": "2017-06-15"}

# West, south, east, north. Hong Kong with a margin keeps every bend of its shore, the country around it, which is
# there so that the map has no edge in sight when it is zoomed out, only the larger ones.
HONG_KONG = (113.75, 22.1, 114.5, 22.6)
SURROUNDINGS = (112.3, 21.3, 115.95, 23.6)
TOLERANCE_DEG = {"near": 0.00002, "far": 0.0015}
SMALLEST_FAR_ISLAND_DEG2 = 0.00008

DECIMALS = 5
BIN = 65535  # Steps of a coordinate across a bin of one degree.
CLOSED = 4  # The "exit" of a segment that is a whole island or lake.


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    with netCDF4.Dataset(source) as data:
        data.set_auto_mask(False)
        version = data.version
        if version not in RELEASED:
            sys.exit(f"when was GSHHG {version} released? Its README says it: add it to RELEASED")
        west, south, east, north = SURROUNDINGS
        land = shapely.union_all(
            [
                bin_land(data, longitude, latitude)
                for latitude in range(int(south), int(north) + 1)
                for longitude in range(int(west), int(east) + 1)
            ]
        )
    land = parts(thinned(land).intersection(box(*SURROUNDINGS)))
    land = parts(shapely.make_valid(shapely.set_precision(MultiPolygon(land), 10**-DECIMALS)))
    land.sort(key=lambda polygon: -polygon.area)

    encoder = RingEncoder()
    document = {
        "source": "GSHHG",
        "version": version,
        "released": RELEASED[version],
        "licence": "LGPL-3.0-or-later",
        "bounds": SURROUNDINGS,
        "decimals": DECIMALS,
        # Per polygon its rings (the first one around it, others around holes); per ring, which is not closed, the
        # differences of longitude and of latitude from the point before, in units of the last decimal. The first
        # point's is from the first point of the ring before.
        "polygons": [
            [encoder.deltas(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
            for polygon in (orient(polygon) for polygon in land)
        ],
    }
    TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    rings = [ring for polygon in document["polygons"] for ring in polygon]
    print(f"{len(land)} polygons, {len(rings)} rings, {sum(map(len, rings)) // 2} points, {TARGET.stat().st_size} bytes")


def bin_land(data: netCDF4.Dataset, longitude: int, latitude: int) -> shapely.Geometry:
    """The land of the bin with this south-western corner, in degrees."""
    number = (89 - latitude) * 360 + longitude
    first = int(data["Id_of_first_segment_in_a_bin"][number])
    count = int(data["N_segments_in_a_bin"][number])
    closed, crossing = [], []
    for segment in range(first, first + count):
        info = int(data["Embedded_npts_levels_exit_entry_for_a_segment"][segment])
        start = int(data["Id_of_first_point_in_a_segment"][segment])
        points = slice(start, start + (info >> 9))
        x = data["Relative_longitude_from_SW_corner_of_bin"][points].astype(numpy.uint16)
        y = data["Relative_latitude_from_SW_corner_of_bin"][points].astype(numpy.uint16)
        line = list(zip(x.tolist(), y.tolist()))
        (closed if (info >> 3) & 7 == CLOSED else crossing).append(line)

    edges = edge_rings(crossing)
    south_west_corner_is_land = (int(data["Embedded_node_levels_in_a_bin"][number]) >> 9) & 1 == 1
    if not crossing and south_west_corner_is_land:
        edges = [[(0, 0), (BIN, 0), (BIN, BIN), (0, BIN)]]
    rings = [Polygon(ring) for ring in edges + closed if len(set(ring)) > 2]
    # An island in a lake is smaller than the lake, and a lake than its island: each wins over what it is in.
    land: shapely.Geometry = Polygon()
    for ring in sorted(rings, key=lambda ring: -ring.area):
        valid = shapely.make_valid(ring)
        land = land.union(valid) if ring.exterior.is_ccw else land.difference(valid)
    return shapely.transform(land, lambda xy: xy / BIN + (longitude, latitude))


def edge_rings(crossing: list[list[tuple[int, int]]]) -> list[list[tuple[int, int]]]:
    """Joins segments that begin and end at the edge of the bin to rings, counterclockwise along the edge."""
    waiting = {perimeter(line[0]): line for line in crossing}
    corners = {perimeter(corner): corner for corner in ((0, 0), (BIN, 0), (BIN, BIN), (0, BIN))}
    rings = []
    while waiting:
        first, line = waiting.popitem()
        ring = list(line)
        while True:
            here = perimeter(ring[-1])
            ahead = sorted([*waiting, *corners, first], key=lambda place: (place - here) % (4 * BIN))
            # A segment that begins at a corner is that corner, too.
            place = next(place for place in ahead if place != here or place in waiting or place == first)
            if place == first:
                break
            ring += waiting.pop(place) if place in waiting else [corners[place]]
        rings.append(ring)
    return rings


def perimeter(point: tuple[int, int]) -> int:
    """How far along the edge of the bin this point of it is, counterclockwise from the south-western corner."""
    x, y = point
    if y == 0:
        return x
    if x == BIN:
        return BIN + y
    if y == BIN:
        return 3 * BIN - x
    assert x == 0, f"{point} is not on the edge of the bin"
    return 4 * BIN - y


def thinned(land: shapely.Geometry) -> shapely.Geometry:
    """The same land with fewer points: hardly fewer in Hong Kong, few outside."""
    near = box(*HONG_KONG)
    return shapely.make_valid(
        MultiPolygon(
            [
                Polygon(thinned_ring(polygon.exterior), [thinned_ring(hole) for hole in polygon.interiors])
                for polygon in parts(land)
                if polygon.intersects(near) or polygon.area > SMALLEST_FAR_ISLAND_DEG2
            ]
        )
    )


def thinned_ring(ring: shapely.LinearRing) -> list[tuple[float, float]]:
    """Cuts the ring where it enters and leaves Hong Kong, and thins each piece: both ends of a piece stay."""
    west, south, east, north = HONG_KONG
    points = list(ring.coords)
    inside = [west <= x <= east and south <= y <= north for x, y in points]
    thin: list[tuple[float, float]] = []
    begin = 0
    for at in range(1, len(points)):
        if at == len(points) - 1 or inside[at] != inside[begin]:
            tolerance = TOLERANCE_DEG["near" if inside[begin] else "far"]
            piece = LineString(points[begin : at + 1])
            thin += piece.simplify(tolerance, preserve_topology=True).coords[:-1]
            begin = at
    return thin if len(thin) > 2 else points


def parts(geometry: shapely.Geometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and part.area > 0]


class RingEncoder:
    """Whole numbers of the last decimal, each as the difference from the one before."""

    def __init__(self) -> None:
        self.start = (0, 0)

    def deltas(self, coordinates: shapely.coords.CoordinateSequence) -> list[int]:
        points = [(round(x * 10**DECIMALS), round(y * 10**DECIMALS)) for x, y in coordinates][:-1]
        before, numbers = self.start, []
        for point in points:
            numbers += [point[0] - before[0], point[1] - before[1]]
            before = point
        self.start = points[0]
        return numbers


if __name__ == "__main__":
    main()
