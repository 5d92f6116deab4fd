use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::rig::{Answer, Rig, Shape};
use crate::web::{Basemap, BasemapError};

/// An archive of so many bytes, none like its neighbours.
fn archive(length: usize) -> Vec<u8> {
    let rest = (0..length - 8).map(|place| u8::try_from(place % 251).unwrap());
    b"PMTiles\x03".iter().copied().chain(rest).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// A server with a map of so many bytes.
fn with_map(length: usize) -> (Rig, PathBuf, TempDir) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("city.pmtiles");
    put(&file, &archive(length));
    let basemap = Basemap::open(file.clone(), Some("© City <Survey>".to_owned())).unwrap();
    (Rig::of(Shape { basemap: Some(basemap), ..Shape::default() }), file, directory)
}

fn ask(rig: &Rig, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", rig.token.expose());
    rig.get_with("/basemap.pmtiles", &[headers, &[("authorization", bearer.as_str())]].concat())
}

#[test]
fn a_server_without_a_map_says_so() {
    let rig = Rig::new();
    assert_eq!(rig.get("/api/v1/basemap").json(), json!({"kind": "coast", "attribution": null}));
    let problem = rig.get("/basemap.pmtiles").problem(404, "not-found");
    assert!(problem["detail"].as_str().unwrap().contains("--basemap FILE.pmtiles"));
}

#[test]
fn a_map_is_told_with_its_makers_and_served_to_whoever_is_logged_in() {
    let (rig, _file, _directory) = with_map(300_000);
    let told = rig.get("/api/v1/basemap").json();
    assert_eq!(told, json!({"kind": "pmtiles", "attribution": "© City <Survey>"}));
    rig.get_with("/basemap.pmtiles", &[]).problem(401, "unauthorised");
    let whole = ask(&rig, &[("accept-encoding", "gzip, br")]);
    assert_eq!((whole.status, whole.bytes == archive(300_000)), (200, true));
    for (name, value) in [
        ("content-type", Some("application/vnd.pmtiles")),
        ("content-length", Some("300000")),
        ("accept-ranges", Some("bytes")),
        ("cache-control", Some("private, no-cache")),
        ("content-encoding", None),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
}

#[test]
fn ranges_are_served_as_asked_for() {
    let (rig, _file, _directory) = with_map(300_000);
    let cases = [
        ("bytes=0-7", 0, 8),
        ("bytes=0-16383", 0, 16_384),
        ("bytes=65530-200000", 65_530, 200_001),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=299990-400000", 299_990, 300_000),
        ("bytes=-5", 299_995, 300_000),
    ];
    for (range, begin, end) in cases {
        let answer = ask(&rig, &[("range", range), ("accept-encoding", "gzip")]);
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.bytes == archive(300_000)[begin..end], "{range}");
        let content_range = format!("bytes {begin}-{}/300000", end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()));
        assert_eq!(answer.header("content-length"), Some((end - begin).to_string().as_str()));
        assert_eq!(answer.header("content-encoding"), None);
    }
}

#[test]
fn ranges_that_cannot_be_served_are_refused_with_the_size() {
    let (rig, _file, _directory) = with_map(1000);
    for range in ["bytes=1000-", "bytes=-0", "bytes=5-4", "bytes=0-1,3-4", "bytes=x", "0-1"] {
        let answer = ask(&rig, &[("range", range)]);
        answer.problem(416, "range-not-satisfiable");
        assert_eq!(answer.header("content-range"), Some("bytes */1000"), "{range}");
    }
    assert_eq!(ask(&rig, &[("range", "lines=1-2")]).status, 200);
}

#[test]
fn the_head_of_a_map_says_how_long_it_is_and_ignores_ranges() {
    let (rig, _file, _directory) = with_map(1000);
    let head = rig.raw(&format!("HEAD /basemap.pmtiles HTTP/1.1\r\n{}\r\nRange: bytes=0-1", rig.welcome()));
    assert_eq!((head.status, head.header("content-length"), head.text.as_str()), (200, Some("1000"), ""));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
}

#[test]
fn no_client_mixes_a_map_with_the_one_that_takes_its_place() {
    let (rig, file, directory) = with_map(1000);
    let first = ask(&rig, &[("range", "bytes=0-9")]);
    let tag = first.header("etag").unwrap();
    assert!(tag.starts_with('"'), "{tag}");
    let held = |range: &str| ask(&rig, &[("range", range), ("if-range", tag)]).status;
    assert_eq!(held("bytes=10-19"), 206);
    assert_eq!(ask(&rig, &[("if-none-match", tag)]).status, 304);
    // The same length, and the same time of modification.
    let other = directory.path().join("other");
    put(&other, &archive(1000));
    let times = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::File::options().write(true).open(&other).unwrap().set_modified(times).unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_eq!(held("bytes=20-29"), 200);
    let second = ask(&rig, &[("range", "bytes=20-29"), ("if-none-match", tag)]);
    assert_eq!(second.status, 206);
    assert_ne!(second.header("etag"), Some(tag));
}

#[test]
fn a_map_that_is_gone_or_spoilt_is_a_problem_until_it_is_back() {
    let (rig, file, _directory) = with_map(1000);
    std::fs::remove_file(&file).unwrap();
    ask(&rig, &[]).problem(503, "basemap-unreadable");
    put(&file, b"<!doctype html>");
    ask(&rig, &[]).problem(503, "basemap-unreadable");
    put(&file, &archive(500));
    assert_eq!(ask(&rig, &[]).bytes.len(), 500);
}

#[test]
fn only_a_pmtiles_archive_of_version_3_is_taken_and_the_error_names_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("city.mbtiles");
    for bytes in [&b"SQLite format 3\0"[..], b"PMTiles\x02...", b"PMTiles", b"", b"pmtiles\x03..."] {
        put(&file, bytes);
        let error = Basemap::open(file.clone(), None).unwrap_err();
        assert!(matches!(error, BasemapError::NotPmtiles { .. }), "{error:?}");
        let expected =
            format!("the basemap {} is no PMTiles archive of version 3: such a file", file.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let folder = Basemap::open(directory.path().to_owned(), None).unwrap_err();
    assert!(matches!(folder, BasemapError::NotPmtiles { .. }), "{folder:?}");
    let missing = Basemap::open(directory.path().join("missing"), None).unwrap_err();
    let expected = format!("the basemap {}/missing cannot be read", directory.path().display());
    assert_eq!(missing.to_string(), expected);
}
