#!/usr/bin/env python3
"""Writes a tiny PMTiles file with layers as in Protomaps' basemaps (earth, water, roads, places) around Kowloon Bay.

It is for the browser test of the place where a city puts its own basemap, and as unmeasured as what it is made from:
src/map/coast.json and src/map/sample-streets.json.

Needs: pip install pmtiles==3.8.1 mapbox-vector-tile==2.2.0 shapely==2.2.0
Run:   python3 make-sample-pmtiles.py [sample.pmtiles]
"""

import gzip
import json
import math
import sys
from itertools import accumulate
from pathlib import Path

import mapbox_vector_tile
import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from shapely.geometry import MultiPolygon, Polygon, box, shape

HERE = Path(__file__).resolve().parent
MAP = HERE.parent / "src" / "map"

BOUNDS = (114.16, 22.29, 114.25, 22.345)
ZOOMS = range(9, 15)
EXTENT = 4096
MARGIN = 64  # Of a tile, so that lines along its edge are not drawn twice.
ATTRIBUTION = "Hand-drawn sample, not survey data; coast: GSHHG"
ROAD_KINDS = {"main": ("major_road", "primary", 8), "street": ("minor_road", "residential", 12)}


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "sample.pmtiles"
    sample = json.loads((MAP / "sample-streets.json").read_text())["features"]
    land = shapely.union_all(
        [coast(), *(shape(feature["geometry"]) for feature in sample if feature["properties"]["kind"] == "land")]
    ).intersection(box(*BOUNDS).buffer(0.05, join_style="mitre"))
    roads = [feature for feature in sample if feature["properties"]["kind"] == "road"]

    west, south, east, north = BOUNDS
    with target.open("wb") as file:
        writer = Writer(file)
        for zoom in ZOOMS:
            left, top = (math.floor(number) for number in fraction(west, north, zoom))
            right, bottom = (math.floor(number) for number in fraction(east, south, zoom))
            for x in range(left, right + 1):
                for y in range(top, bottom + 1):
                    # With no time in it, so that the same input gives the same file.
                    tile = gzip.compress(encoded(land, roads, zoom, x, y), mtime=0)
                    writer.write_tile(zxy_to_tileid(zoom, x, y), tile)
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": ZOOMS.start,
            "max_zoom": ZOOMS.stop - 1,
            "min_lon_e7": round(west * 1e7),
            "min_lat_e7": round(south * 1e7),
            "max_lon_e7": round(east * 1e7),
            "max_lat_e7": round(north * 1e7),
            "center_zoom": 13,
            "center_lon_e7": round((west + east) / 2 * 1e7),
            "center_lat_e7": round((south + north) / 2 * 1e7),
        }
        layers = [{"id": name, "fields": {"kind": "String"}} for name in ("earth", "water", "roads", "places")]
        writer.finalize(
            header, {"name": "Kowloon Bay, sample", "attribution": ATTRIBUTION, "vector_layers": layers}
        )
    print(f"{target}: {target.stat().st_size} bytes")


def coast() -> shapely.Geometry:
    """Undoes what make-coast.py has packed; see there."""
    packed = json.loads((MAP / "coast.json").read_text())
    unit, start, polygons = 10 ** packed["decimals"], (0, 0), []
    for rings in packed["polygons"]:
        polygon = []
        for deltas in rings:
            deltas = [deltas[0] + start[0], deltas[1] + start[1], *deltas[2:]]
            ring = list(zip(accumulate(deltas[::2]), accumulate(deltas[1::2])))
            start = ring[0]
            polygon.append([(x / unit, y / unit) for x, y in ring])
        polygons.append(Polygon(polygon[0], polygon[1:]))
    return shapely.make_valid(MultiPolygon(polygons))


def fraction(longitude: float, latitude: float, zoom: int) -> tuple[float, float]:
    """Tiles from the north-western corner of the world, in Web Mercator."""
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    return (longitude + 180) / 360 * 2**zoom, y * 2**zoom


def encoded(land: shapely.Geometry, roads: list[dict], zoom: int, x: int, y: int) -> bytes:
    window = box(-MARGIN, -MARGIN, EXTENT + MARGIN, EXTENT + MARGIN)

    def in_tile(geometry: shapely.Geometry) -> shapely.Geometry:
        def project(longitude: float, latitude: float) -> tuple[float, float]:
            east, south = fraction(longitude, latitude, zoom)
            return (east - x) * EXTENT, (south - y) * EXTENT

        projected = shapely.transform(geometry, lambda points: [project(*point) for point in points])
        return shapely.make_valid(projected).intersection(window)

    earth = in_tile(land)
    layers = {
        "earth": [{"geometry": earth, "properties": {"kind": "earth"}}],
        "water": [{"geometry": window.difference(earth), "properties": {"kind": "ocean"}}],
        "roads": [
            {"geometry": in_tile(shape(road["geometry"])), "properties": road_properties(road["properties"])}
            for road in roads
            if zoom >= ROAD_KINDS[road["properties"]["class"]][2]
        ],
        "places": [
            {
                "geometry": in_tile(shapely.Point(114.209, 22.3235)),
                "properties": names("九龍灣", "Kowloon Bay")
                | {"kind": "locality", "kind_detail": "town", "population_rank": 8, "min_zoom": 9},
            }
        ],
    }
    return mapbox_vector_tile.encode(
        [
            {"name": name, "features": [feature for feature in features if not feature["geometry"].is_empty]}
            for name, features in layers.items()
        ],
        # Rows are counted from the north, as in the tile.
        default_options={"y_coord_down": True, "extents": EXTENT},
    )


def road_properties(properties: dict) -> dict:
    kind, detail, least_zoom = ROAD_KINDS[properties["class"]]
    return names(properties["zh-Hant"], properties["en"]) | {
        "kind": kind,
        "kind_detail": detail,
        "min_zoom": least_zoom,
        "sort_rank": 400,
    }


def names(chinese: str, english: str) -> dict:
    """As Protomaps splits a name in two scripts."""
    return {"name": chinese, "script": "Han", "name2": english, "name:en": english, "name:zh-Hant": chinese}


if __name__ == "__main__":
    main()
