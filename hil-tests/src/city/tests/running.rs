//! Cities of real agents that reach no server.

use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use edge_agent::clock::{Clock as _, SystemClock};
use fleet_server::ca::{Authority, Validity};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::city::cli::{Cli, Command};
use crate::city::positions::sample_lampposts;
use crate::city::{City, CityError, CityPlan, Fidelity, Figures, Heard, Who};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    let run = ["virtual-city", "run", "--state", "s", "--server", "[::1]:8883", "--certificates", "c"];
    let Command::Run(options) = Cli::try_parse_from(run).unwrap().command else { panic!("it is `run`") };
    assert_eq!((options.server.host.as_str(), options.server.port), ("::1", 8883));
    assert_eq!((options.lampposts.lampposts, options.every_ms), (50, 2_000));
    for wrong in [
        ["--server", "localhost"],
        ["--server", ":8883"],
        ["--speed", "0.5"],
        ["--speed", "NaN"],
        ["--lampposts", "401"],
        ["--lampposts", "0"],
        ["--every-ms", "99"],
        ["--only", "no number"],
    ] {
        let mut arguments: Vec<&str> =
            run.iter().copied().filter(|one| *one != "--server" && *one != "[::1]:8883").collect();
        if wrong[0] != "--server" {
            arguments.extend(["--server", "localhost:8883"]);
        }
        arguments.extend(wrong);
        assert!(Cli::try_parse_from(arguments).is_err(), "{wrong:?}");
    }
    let refused = |more: &[&str]| Cli::try_parse_from(run.iter().chain(more)).is_err();
    assert!(refused(&["--told", "--exact"]), "what is compared with the recordings is not told anything");
    assert!(refused(&["--only", "KB0001", "--except", "KB0002"]));
    assert!(!refused(&["--told", "--no-faults", "--except", "KB0001", "--except", "KB0002"]));
    let compare = |url| Cli::try_parse_from(["virtual-city", "compare", "--token", "t", "--url", url]);
    assert!(compare("http://127.0.0.1:8080").is_ok() && compare("http://[::1]:8080/").is_ok());
    assert!(compare("https://127.0.0.1:8080").is_err() && compare("http://127.0.0.1").is_err());
}

#[test]
fn a_city_without_certificates_or_with_an_unknown_lamppost_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), 3);
    assert!(matches!(
        build(&plan),
        CityError::NoCertificate { number, path }
            if number.as_str() == "KB0001" && path.ends_with("KB0001/KB0001.pem")
    ));
    for who in [Who::Only, Who::Except] {
        let unknown = CityPlan { who: who(numbers(&["KB0001", "KB0004"])), ..plan.clone() };
        assert!(matches!(
            build(&unknown),
            CityError::NoSuchLamppost { number, lampposts: 3 } if number.as_str() == "KB0004"
        ));
    }
    let all = numbers(&["KB0001", "KB0002", "KB0003"]);
    assert!(matches!(build(&CityPlan { who: Who::Except(all), ..plan.clone() }), CityError::Nobody));
    assert!(matches!(build(&CityPlan { lampposts: 401, ..plan }), CityError::Size(401)));
}

#[test]
fn an_hour_is_sampled_without_a_server_tick_by_tick_and_the_next_process_goes_on() {
    let directory = with_certificates(2);
    let mut plan = plan(directory.path(), 2);
    let begin = plan.begin.unwrap();
    let first = run_until(&plan, begin.plus_ms(HOUR_MS));
    assert_eq!((first.lampposts, first.connected), (2, 0));
    assert_eq!((first.bad, first.missed, first.faults), (0, 0, 0));
    let ticks = u64::try_from(first.virtual_time_ms - begin.0).unwrap() / 60_000;
    // Two sensors of each lamppost, each minute.
    assert!(first.ticks.abs_diff(4 * ticks) <= 4, "{first:?}");
    assert!(first.backlog >= first.ticks, "nobody holds what was read: {first:?}");

    plan.begin = Some(UtcMillis(first.virtual_time_ms + 1));
    let second = run_until(&plan, begin.plus_ms(2 * HOUR_MS));
    assert!(second.backlog >= first.backlog + second.ticks, "{first:?} {second:?}");
    assert_eq!((second.bad, second.missed), (0, 0));
}

#[test]
fn a_city_that_is_not_exact_has_faults_now_and_then() {
    let directory = with_certificates(10);
    let natural = Fidelity::Natural { seed: 5 };
    let plan = CityPlan { fidelity: natural, every_ms: 20_000, ..plan(directory.path(), 10) };
    let figures = run_until(&plan, plan.begin.unwrap().plus_ms(HOUR_MS));
    assert!(figures.bad > 0, "{figures:?}");
    // One lamppost in 25, and half of these with one sensor of two.
    assert!(figures.bad < figures.ticks / 10, "{figures:?}");
    assert_eq!(figures.missed, 0, "{figures:?}");
}

#[test]
fn two_processes_share_a_city_without_running_a_lamppost_twice() {
    let directory = with_certificates(3);
    let plan = plan(directory.path(), 3);
    let lampposts = |who| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _within = runtime.enter();
        let city = City::build(&CityPlan { who, ..plan.clone() }).unwrap();
        let hears = |number: &&str| matches!(city.ear().hear(&format!("mend {number}")), Heard::Told { .. });
        ["KB0001", "KB0002", "KB0003"].into_iter().filter(hears).collect::<Vec<_>>()
    };
    assert_eq!(lampposts(Who::Only(numbers(&["KB0003"]))), ["KB0003"]);
    assert_eq!(lampposts(Who::Except(numbers(&["KB0003"]))), ["KB0001", "KB0002"]);
}

#[test]
fn a_city_breaks_what_it_is_told_to_and_nothing_else() {
    let directory = with_certificates(2);
    let plan = CityPlan { fidelity: Fidelity::Unbroken { seed: 5 }, ..plan(directory.path(), 2) };
    let begin = plan.begin.unwrap();
    let sound = run_until(&plan, begin.plus_ms(HOUR_MS));
    assert_eq!((sound.bad, sound.faults), (0, 0), "{sound:?}");
    let again = CityPlan { begin: Some(UtcMillis(sound.virtual_time_ms + 1)), ..plan };
    let broken = run_told(&again, begin.plus_ms(2 * HOUR_MS), &["break KB0002 chip absent"]);
    assert_eq!(broken.faults, 1, "{broken:?}");
    // Every tick of one sensor of four.
    assert!(broken.bad.abs_diff(broken.ticks / 4) <= 4, "{broken:?}");
}

/// An exact replay at high speed, two hours in the past and by the minute; nobody listens at the server's port.
fn plan(directory: &Path, lampposts: u32) -> CityPlan {
    let now = SystemClock::new().now().wall;
    CityPlan {
        state: directory.join("state"),
        // The discard port: nobody has it in a test.
        server: "127.0.0.1:9".parse().unwrap(),
        certificates: directory.join("certificates"),
        lampposts,
        who: Who::All,
        speed: 10_000.0,
        begin: Some(UtcMillis(now.0 - now.0.rem_euclid(HOUR_MS) - 4 * HOUR_MS)),
        fidelity: Fidelity::Exact,
        every_ms: 60_000,
        outbox: edge_agent::config::OutboxConfig::default(),
    }
}

pub(super) fn with_certificates(lampposts: u32) -> TempDir {
    let (directory, now) = (tempfile::tempdir().unwrap(), SystemClock::new().now().wall);
    let (authority, _) = Authority::open_or_create(&directory.path().join("ca"), now).unwrap();
    for lamppost in sample_lampposts(lampposts) {
        let issued = authority.issue_lamppost(&lamppost.number, Validity::LAMPPOST, now).unwrap();
        let folder = directory.path().join("certificates").join(lamppost.number.as_str());
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        issued.write_to(&folder).unwrap();
    }
    directory
}

fn build(plan: &CityPlan) -> CityError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    City::build(plan).unwrap_err()
}

/// Runs until virtual time has reached `until`; the figures at the end.
fn run_until(plan: &CityPlan, until: UtcMillis) -> Figures {
    run_told(plan, until, &[])
}

/// The same, and tells the lampposts these orders beforehand.
fn run_told(plan: &CityPlan, until: UtcMillis, orders: &[&str]) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (stop, mut last) = (CancellationToken::new(), Figures::default());
        let city = City::build(plan).unwrap();
        for order in orders {
            assert!(matches!(city.ear().hear(order), Heard::Told { .. }), "{order}");
        }
        let figures = |figures: &Figures| {
            last = figures.clone();
            if figures.virtual_time_ms >= until.0 {
                stop.cancel();
            }
            Ok(())
        };
        Box::pin(city.run(stop.clone(), figures)).await.unwrap();
        last
    })
}

fn numbers(numbers: &[&str]) -> Vec<LamppostNumber> {
    numbers.iter().map(|number| number.parse().unwrap()).collect()
}
