//! Where lampposts stand.

use std::collections::BTreeSet;

use fleet_server::registry::read_list;

use crate::city::positions::{DISTRICT, MOST_LAMPPOSTS, sample_lampposts, write_csv};

#[test]
fn all_stand_in_kowloon_bay_and_no_two_at_one_place() {
    let lampposts = sample_lampposts(MOST_LAMPPOSTS);
    assert_eq!(lampposts.len(), 400);
    let mut places = BTreeSet::new();
    for lamppost in &lampposts {
        assert!((22.318..=22.330).contains(&lamppost.latitude_deg), "{lamppost:?}");
        assert!((114.200..=114.218).contains(&lamppost.longitude_deg), "{lamppost:?}");
        // To the metre.
        let place = (format!("{:.5}", lamppost.latitude_deg), format!("{:.5}", lamppost.longitude_deg));
        assert!(places.insert(place), "another one stands where {} does", lamppost.number);
        assert!((8.0..=11.0).contains(&lamppost.site().height_m));
    }
    let numbers: BTreeSet<&str> = lampposts.iter().map(|lamppost| lamppost.number.as_str()).collect();
    assert_eq!(numbers.len(), 400);
    assert_eq!((numbers.first(), numbers.last()), (Some(&"KB0001"), Some(&"KB0400")));
}

#[test]
fn more_lampposts_leave_the_others_where_they_are() {
    let (few, more) = (sample_lampposts(50), sample_lampposts(333));
    assert_eq!(few[..], more[..50]);
}

#[test]
fn fifty_are_spread_over_ten_roads() {
    let lampposts = sample_lampposts(50);
    let roads: BTreeSet<&str> = lampposts.iter().map(|lamppost| lamppost.road).collect();
    assert_eq!(roads.len(), 10);
    for road in roads {
        assert_eq!(lampposts.iter().filter(|lamppost| lamppost.road == road).count(), 5, "{road}");
    }
}

#[test]
fn there_are_no_more_than_there_are_samples_for() {
    assert_eq!(sample_lampposts(1_000).len(), 400);
}

#[test]
fn the_list_is_one_that_the_fleet_server_imports_and_says_that_it_is_made_of_samples() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lampposts.csv");
    let lampposts = sample_lampposts(120);
    write_csv(&lampposts, &mut std::fs::File::create(&path).unwrap()).unwrap();
    let read = read_list(&path).unwrap();
    assert_eq!(read.len(), lampposts.len());
    for (read, sample) in read.iter().zip(&lampposts) {
        assert_eq!(read.number, sample.number);
        assert!((read.coordinates.latitude_deg() - sample.latitude_deg).abs() < 1e-6);
        assert!((read.coordinates.longitude_deg() - sample.longitude_deg).abs() < 1e-6);
        assert_eq!((read.road.as_str(), read.district.as_str()), (sample.road, DISTRICT));
        assert_eq!(read.feeder.as_ref(), Some(&sample.feeder));
        assert_eq!(read.height_m, Some(sample.height_m));
        assert!(read.remarks.as_ref().is_some_and(|remarks| remarks.contains("sample")));
    }
}
