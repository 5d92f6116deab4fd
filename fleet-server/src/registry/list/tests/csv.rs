//! Lists as CSV.

use std::fmt::Write as _;
use std::fs;

use super::*;

const HEADER: &str = "number,latitude,longitude,road,district";

#[test]
fn all_columns_are_read_in_any_order_around_a_byte_order_mark_and_spaces() {
    let text = "\u{feff}road, number ,height_m,latitude,longitude,district,remarks,pillar,feeder\r\n\
                \"Wang Chiu Road, north\",DF3637, 10.5 ,22.3193,114.2107,觀塘,\"near \"\"Exit B\"\"\",P7,F12\r\n\
                Kai Cheung Road,DF3638,,-22.5,-114,Kwun Tong,,,\r\n";
    let full = Lamppost {
        number: LamppostNumber::new("DF3637").unwrap(),
        coordinates: Coordinates::new(22.3193, 114.2107).unwrap(),
        road: "Wang Chiu Road, north".into(),
        district: "觀塘".into(),
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
fn blank_lines_and_a_missing_last_line_break_do_not_matter() {
    assert_eq!(accepted(&format!("{HEADER}\n\nA1,22,114,r,d\n\n\nA2,22,114,r,d")).len(), 2);
}

#[test]
fn every_bad_row_has_its_message() {
    let long = "x".repeat(501);
    let cases = [
        (
            "DF 36,22,114,r,d",
            "line 2, number: \"DF 36\" is not a lamppost number: it is 1 to 32 characters of A-Z, a-z, 0-9, _ and -",
        ),
        ("_healthz,22,114,r,d", "line 2, number: _healthz is kept for the server's own messages"),
        (",22,114,r,d", "line 2, number: is empty"),
        ("A1,,114,r,d", "line 2, latitude: is empty"),
        ("A1,north,114,r,d", "line 2, latitude: \"north\" is not a number from -90 to 90 (degrees)"),
        ("A1,114.2,22.3,r,d", "line 2, latitude: \"114.2\" is not a number from -90 to 90 (degrees)"),
        ("A1,NaN,22.3,r,d", "line 2, latitude: \"NaN\" is not a number from -90 to 90 (degrees)"),
        ("A1,22,180.5,r,d", "line 2, longitude: \"180.5\" is not a number from -180 to 180 (degrees)"),
        ("A1,22,-inf,r,d", "line 2, longitude: \"-inf\" is not a number from -180 to 180 (degrees)"),
        ("A1,\"22,3\",114,r,d", "line 2, latitude: \"22,3\" is not a number from -90 to 90 (degrees)"),
        ("A1,22,114, ,d", "line 2, road: is empty"),
        ("A1,22,114,r,", "line 2, district: is empty"),
        ("A1,22,114,r", "line 2: has 4 fields, the header has 5"),
        ("A1,22,114,r,d,F1", "line 2: has 6 fields, the header has 5"),
        (
            "A1,22,114,\"r\nr\",d",
            "line 2, road: has a line break or another control character in it; is a quotation mark missing?",
        ),
        (
            &format!("A1,22,114,{long},d"),
            "line 2, road: has more than 500 characters; is a quotation mark missing?",
        ),
        ("A1,22,114,r,d\nA2,22,114,r,d\nA1,23,114,r,d", "line 4, number: A1 stands in line 2 already"),
    ];
    for (rows, expected) in cases {
        let message = complaint(format!("{HEADER}\n{rows}\n"));
        assert_eq!(message, format!("FILE: 1 problem, nothing was stored\n  {expected}"));
    }
}

#[test]
fn a_height_is_metres_of_a_pole() {
    for height in ["tall", "-1", "100.5", "10,5"] {
        let message = complaint(format!("{HEADER},height_m\nA1,22,114,r,d,\"{height}\"\n"));
        let expected = format!("line 2, height_m: \"{height}\" is not a number from 0 to 100 (metres)");
        assert_eq!(message, format!("FILE: 1 problem, nothing was stored\n  {expected}"));
    }
}

#[test]
fn a_bad_header_is_told_whole() {
    let message = complaint("number,lat,longitude,road,road,colour\nA1,22,114,r,d,red\n");
    let columns = "number, latitude, longitude, road, district, feeder, pillar, height_m, remarks";
    let expected = [
        "FILE: 5 problems, nothing was stored".to_owned(),
        format!("line 1, lat: is not known; the columns are {columns}"),
        "line 1, road: stands twice in the header".to_owned(),
        format!("line 1, colour: is not known; the columns are {columns}"),
        "line 1, latitude: is missing in the header".to_owned(),
        "line 1, district: is missing in the header".to_owned(),
    ];
    assert_eq!(message, expected.join("\n  "));
}

#[test]
fn all_problems_are_told_at_once_with_the_lines_of_an_editor() {
    let rows = "A1,91,181,,d\n\n\"A2\",22,114,\"a, b\",d\nA2,x,114,r,d\nA3,22\n";
    let expected = [
        "FILE: 6 problems, nothing was stored",
        "line 2, latitude: \"91\" is not a number from -90 to 90 (degrees)",
        "line 2, longitude: \"181\" is not a number from -180 to 180 (degrees)",
        "line 2, road: is empty",
        "line 5, latitude: \"x\" is not a number from -90 to 90 (degrees)",
        "line 5, number: A2 stands in line 4 already",
        "line 6: has 2 fields, the header has 5",
    ];
    assert_eq!(complaint(format!("{HEADER}\r\n{rows}")), expected.join("\n  "));
}

#[test]
fn a_file_that_names_no_lamppost_is_refused() {
    for text in ["", "\u{feff}", "\n\n", &format!("{HEADER}\n")] {
        let expected = "FILE: 1 problem, nothing was stored\n  line 1: the file names no lamppost";
        assert_eq!(complaint(text), expected, "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_at_its_line() {
    let big5 = [HEADER.as_bytes(), b"\nA1,22,114,r,d\nA2,22,114,\xc6\x5b\xb6\xed,d\n"].concat();
    assert_eq!(complaint(big5), "FILE, line 3: the text is not UTF-8; save the file as UTF-8");
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lampposts.csv");
    fs::File::create(&path).unwrap().set_len(LARGEST_LIST_BYTES + 1).unwrap();
    let error = read_list(&path).unwrap_err();
    assert!(matches!(error, ListError::TooLarge { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("{} is larger than 256 MiB: a list of lampposts is not", path.display())
    );
}

#[test]
fn a_file_full_of_problems_is_given_up_at_the_bound() {
    let rows = "A1\n".repeat(MOST_PROBLEMS + 5);
    let message = complaint(format!("{HEADER}\n{rows}"));
    assert!(message.starts_with("FILE: 10000 problems"), "{}", &message[..80]);
    assert!(message.ends_with("\n  (the file was read no further)"));
    assert_eq!(message.lines().count(), MOST_PROBLEMS + 2);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read_list(Path::new("no/such.csv")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read no/such.csv");
}

#[test]
fn a_large_file_is_read_whole() {
    let mut text = format!("{HEADER}\n");
    for n in 0..5000 {
        writeln!(text, "L{n},22.3,114.2,Road {},Kwun Tong", n % 40).unwrap();
    }
    let lampposts = accepted(&text);
    assert_eq!(lampposts.len(), 5000);
    assert_eq!(lampposts[4999].number.as_str(), "L4999");
}

proptest::proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in "(number|latitude|longitude|road|district|A1|22|[\",\n\r a-f;\u{feff}]){0,60}") {
        let problems = parse(&text).err();
        proptest::prop_assert!(problems.is_none_or(|problems| !problems.is_empty()));
    }
}
