//! Lists as GeoJSON.

use std::fmt::Write as _;

use super::*;

/// A feature whose properties are these beside the number.
fn feature(number: &str, more: &str) -> String {
    format!(
        r#"{{"type":"Feature","geometry":{{"type":"Point","coordinates":[114.21,22.32]}},"properties":{{"number":"{number}",{more}}}}}"#
    )
}

fn good(number: &str) -> String {
    feature(number, r#""road":"r","district":"d""#)
}

fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","))
}

/// What is said about the second of two features.
fn complaint_about(second: &str) -> String {
    let said = complaint(collection(&[good("A1"), second.to_owned()]));
    let place = format!("feature 2 (line 1, offset {})", 41 + good("A1").len());
    said.strip_prefix("FILE: 1 problem, nothing was stored\n  ").unwrap_or(&said).replace(&place, "HERE")
}

#[test]
fn a_collection_of_points_is_read_whatever_else_programs_add() {
    let text = "\u{feff} {\n\"features\": [\n{\"id\": 7, \"type\": \"Feature\", \"bbox\": [1, 2, 3, 4],\n\
                \"properties\": {\"remarks\": \"near \\\"Exit B\\\"\", \"height_m\": 10.5, \"pillar\": \"P7\", \"feeder\": \" F12 \", \
                \"district\": \"\u{89c0}\\u5858\", \"road\": \"Wang Chiu Road, north\", \"number\": \"DF3637\"},\n\
                \"geometry\": {\"coordinates\": [114.2107, 22.3193, 4.5], \"type\": \"Point\"}},\n\
                {\"type\": \"Feature\", \"geometry\": {\"type\": \"Point\", \"coordinates\": [-1.14e2, -22.5]}, \"properties\": \
                {\"number\": \"DF3638\", \"road\": \"Kai Cheung Road\", \"district\": \"Kwun Tong\", \"feeder\": null, \"pillar\": \"\"}}\n\
                ], \"crs\": {\"type\": \"name\"}, \"type\": \"FeatureCollection\"}\n";
    let full = Lamppost {
        number: LamppostNumber::new("DF3637").unwrap(),
        coordinates: Coordinates::new(22.3193, 114.2107).unwrap(),
        road: "Wang Chiu Road, north".into(),
        district: "\u{89c0}\u{5858}".into(),
        feeder: Some("F12".into()),
        pillar: Some("P7".into()),
        height_m: Some(10.5),
        remarks: Some("near \"Exit B\"".into()),
    };
    let sparse = Lamppost {
        number: LamppostNumber::new("DF3638").unwrap(),
        coordinates: Coordinates::new(-22.5, -114.0).unwrap(),
        road: "Kai Cheung Road".into(),
        district: "Kwun Tong".into(),
        feeder: None,
        pillar: None,
        height_m: None,
        remarks: None,
    };
    assert_eq!(accepted(text), [full, sparse]);
}

#[test]
fn every_bad_feature_has_its_message() {
    let nested = "[".repeat(100_000) + &"]".repeat(100_000);
    let long = "x".repeat(501);
    let point = |coordinates: &str| good("A2").replace("[114.21,22.32]", coordinates);
    let cases = [
        ("5".to_owned(), "HERE: is no object"),
        (nested.clone(), "HERE: is no object"),
        (good("A2").replace("Feature", "Point"), "HERE, type: is \"Point\", and has to be a Feature"),
        (
            good("A2").replace("Point", "LineString"),
            "HERE, geometry: is \"LineString\", and has to be a Point",
        ),
        (
            good("A2").replace(r#"{"type":"Point","coordinates":[114.21,22.32]}"#, "null"),
            "HERE, geometry: is missing, and has to be a Point",
        ),
        (
            good("A2").replace(r#"{"type":"Point","coordinates":[114.21,22.32]}"#, "[]"),
            "HERE, geometry: is no object",
        ),
        (
            point("[114.21]"),
            "HERE, coordinates: has to be [longitude, latitude], or [longitude, latitude, altitude]",
        ),
        (
            point("[1,2,3,4]"),
            "HERE, coordinates: has to be [longitude, latitude], or [longitude, latitude, altitude]",
        ),
        (
            point("\"114.21,22.32\""),
            "HERE, coordinates: has to be [longitude, latitude], or [longitude, latitude, altitude]",
        ),
        (
            point("null"),
            "HERE, coordinates: has to be [longitude, latitude], or [longitude, latitude, altitude]",
        ),
        (point("[114.21,122.32]"), "HERE, latitude: \"122.32\" is not a number from -90 to 90 (degrees)"),
        (
            point("[836512.3,22.32]"),
            "HERE, longitude: \"836512.3\" is not a number from -180 to 180 (degrees)",
        ),
        (point("[1e999,22.32]"), "HERE, longitude: \"1e999\" is not a number from -180 to 180 (degrees)"),
        (
            point("[\"114.21\",22.32]"),
            "HERE, longitude: \"\\\"114.21\\\"\" is not a number from -180 to 180 (degrees)",
        ),
        (point("[null,22.32]"), "HERE, longitude: \"null\" is not a number from -180 to 180 (degrees)"),
        (
            point(&format!("[{nested},22.32]")),
            "HERE, longitude: \"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\" is not a number from -180 to 180 (degrees)",
        ),
        (feature("", r#""road":"r","district":"d""#), "HERE, number: is empty"),
        (
            feature("DF/1", r#""road":"r","district":"d""#),
            "HERE, number: \"DF/1\" is not a lamppost number: it is 1 to 32 characters of A-Z, a-z, 0-9, _ and -",
        ),
        (good("A2").replace("\"A2\"", "3637"), "HERE, number: is no text"),
        (feature("A2", r#""road":" ","district":"d""#), "HERE, road: is empty"),
        (feature("A2", r#""road":"r""#), "HERE, district: is empty"),
        (feature("A2", r#""road":"r","district":{}"#), "HERE, district: is no text"),
        (feature("A2", r#""road":"r","district":"\ud800""#), "HERE, district: is no text"),
        (
            feature("A2", r#""road":"a\nb","district":"d""#),
            "HERE, road: has a line break or another control character in it",
        ),
        (
            feature("A2", &format!(r#""road":"{long}","district":"d""#)),
            "HERE, road: has more than 500 characters",
        ),
        (
            feature("A2", r#""road":"r","district":"d","height_m":"9""#),
            "HERE, height_m: \"\\\"9\\\"\" is not a number from 0 to 100 (metres)",
        ),
        (
            feature("A2", r#""road":"r","district":"d","height_m":900"#),
            "HERE, height_m: \"900\" is not a number from 0 to 100 (metres)",
        ),
        (feature("A2", r#""road":"r","road":"q","district":"d""#), "HERE, road: stands twice in the feature"),
        (
            feature("A2", r#""road":"r","district":"d","colour":"red""#),
            "HERE, colour: is not known; the properties are number, road, district, feeder, pillar, height_m, remarks",
        ),
        (good("A1"), "HERE, number: A1 stands in feature 1 already"),
        (
            good("A2").replace("\"properties\"", "\"geometry\":null,\"properties\""),
            "HERE: is not GeoJSON: duplicate field `geometry`",
        ),
        (
            good("A2").replace("properties\":{", "properties\":[{").replace("}}", "}]}"),
            "HERE, properties: is no object",
        ),
    ];
    for (second, expected) in cases {
        let said = complaint_about(&second);
        assert_eq!(said, expected);
    }
}

#[test]
fn what_is_no_collection_is_refused() {
    let refused = [
        ("[]", "line 1: is not GeoJSON: invalid type: sequence, expected a FeatureCollection"),
        ("{", "line 1: is not GeoJSON: EOF while parsing an object"),
        ("{}", "line 1, type: is missing, and has to be a FeatureCollection"),
        (r#"{"type":"Feature"}"#, "line 1, type: is \"Feature\", and has to be a FeatureCollection"),
        (r#"{"type":"FeatureCollection"}"#, "line 1: the file names no lamppost"),
        (r#"{"type":"FeatureCollection","features":[]}"#, "line 1: the file names no lamppost"),
        (
            r#"{"type":"FeatureCollection","features":{}}"#,
            "line 1: is not GeoJSON: invalid type: map, expected a list of features",
        ),
        (
            "{\"type\":\"FeatureCollection\",\n\"features\":[],\n\"features\":[]}",
            "line 3: is not GeoJSON: duplicate field `features`",
        ),
        ("{\"type\":\"FeatureCollection\",\n\"features\":[NaN]}", "line 2: is not GeoJSON: expected value"),
        (
            "{\"type\":\"FeatureCollection\",\"features\":[]}\n\n{}",
            "line 3: is not GeoJSON: trailing characters",
        ),
    ];
    for (text, expected) in refused {
        assert_eq!(complaint(text), format!("FILE: 1 problem, nothing was stored\n  {expected}"), "{text}");
    }
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let text = [
        "{\"type\":\"FeatureCollection\",\"features\":[".to_owned(),
        good("A1") + ",",
        feature("A2", r#""colour":"red","district":"d""#).replace("114.21", "214.21") + ",",
        feature("A3", r#""colour":"red","road":"r","district":"d""#) + ",",
        good("A1") + ",",
        "{\"type\":\"Feature\"".to_owned(),
    ];
    let offset = |line: usize| text[..line].iter().map(|text| text.len() + 1).sum::<usize>();
    let expected = [
        "FILE: 5 problems, nothing was stored".to_owned(),
        format!(
            "feature 2 (line 3, offset {}), colour: is not known; the properties are number, road, district, feeder, \
             pillar, height_m, remarks",
            offset(2)
        ),
        format!(
            "feature 2 (line 3, offset {}), longitude: \"214.21\" is not a number from -180 to 180 (degrees)",
            offset(2)
        ),
        format!("feature 2 (line 3, offset {}), road: is empty", offset(2)),
        format!("feature 4 (line 5, offset {}), number: A1 stands in feature 1 already", offset(4)),
        "line 6: is not GeoJSON: EOF while parsing an object".to_owned(),
    ];
    assert_eq!(complaint(text.join("\n")), expected.join("\n  "));
}

#[test]
fn a_file_full_of_problems_is_given_up_at_the_bound() {
    let bad = vec!["{}".to_owned(); MOST_PROBLEMS];
    let message = complaint(collection(&bad));
    assert!(message.starts_with("FILE: 10000 problems"), "{}", &message[..80]);
    assert!(message.ends_with("\n  (the file was read no further)"));
    let names: Vec<_> = (0..2 * MOST_PROBLEMS).map(|name| format!("\"p{name}\":0")).collect();
    let message = complaint(collection(&[feature("A1", &names.join(","))]));
    assert!(message.starts_with("FILE: 10000 problems"), "{}", &message[..80]);
}

#[test]
fn what_is_written_reads_back_to_the_last_bit_in_either_format() {
    let mut text = String::from("number,latitude,longitude,road,district,feeder,pillar,height_m,remarks\n");
    for n in 0..500_u32 {
        let turn = f64::from(n) * 2.399_963_229_728_653;
        let (latitude, longitude) = (89.9 * turn.sin(), 179.9 * turn.cos());
        let height = if n % 2 == 0 { String::new() } else { format!("{}", f64::from(n) / 7.0) };
        writeln!(text, "L{n},{latitude:e},{longitude},\"a, \"\"b\"\"\",\u{89c0},F{n},,{height},=1+{n}")
            .unwrap();
    }
    let lampposts = accepted(&text);
    assert_eq!(lampposts.len(), 500);
    let (mut csv, mut geojson) = (Vec::new(), Vec::new());
    write_csv(&lampposts, &mut csv).unwrap();
    write_geojson(&lampposts, &mut geojson).unwrap();
    assert_eq!(accepted(std::str::from_utf8(&csv).unwrap()), lampposts);
    assert_eq!(accepted(std::str::from_utf8(&geojson).unwrap()), lampposts);
    let nothing = |write: fn(&[Lamppost], &mut dyn io::Write) -> io::Result<()>| {
        let mut text = Vec::new();
        write(&[], &mut text).unwrap();
        complaint(text)
    };
    let expected = "FILE: 1 problem, nothing was stored\n  line 1: the file names no lamppost";
    assert_eq!((nothing(write_csv).as_str(), nothing(write_geojson).as_str()), (expected, expected));
}

proptest::proptest! {
    #[test]
    fn no_text_brings_the_reader_down(
        text in r#"[{\[](\{|\}|\[|\]|,|:|"type"|"Feature"|"FeatureCollection"|"features"|"geometry"|"Point"|"coordinates"|"properties"|"number"|"A1"|22|null|[ \n"\\u{feff}]){0,60}"#
    ) {
        let problems = parse(&text).err();
        proptest::prop_assert!(problems.is_none_or(|problems| !problems.is_empty()));
    }
}
