use std::fs;
use std::path::Path;

use clap::CommandFactory as _;

use super::*;
use crate::clock;
use crate::registry::CertificateSerial;

const CITY: &str = "number,latitude,longitude,road,district\n\
                    DF3637,22.32,114.21,Wang Chiu Road,Kwun Tong\n\
                    DF3638,22.33,114.21,Wang Chiu Road,Kwun Tong\n";

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

fn parse(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
}

/// Does what a line says; what is printed, or the error with its causes.
async fn perform(line: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let done = match parse(line)?.command {
        Command::Run(_) => panic!("not here"),
        Command::Journal(JournalCommand::Verify(args)) => verify_journal(&args, &mut out),
        Command::Token(command) => tokens(&command, clock::wall(), &mut out).await,
        Command::Department(command) => departments(&command, clock::wall(), &mut out).await,
        Command::Grant(command) => grants(&command, clock::wall(), &mut out).await,
        Command::Backup(args) => {
            let mut progress = ProgressLine::new(Box::new(std::io::sink()), false);
            back_up(&args, clock::wall(), &mut progress, &mut out).await
        }
        Command::Restore(args) => {
            let mut progress = ProgressLine::new(Box::new(std::io::sink()), false);
            restore(&args, clock::wall(), &mut progress, &mut out).await
        }
        Command::Openapi => print_openapi(&mut out),
        Command::Lamppost(command) => lampposts(&command, clock::wall(), &mut out).await,
        Command::Cert(CertCommand::Issue(args)) => issue_certificate(&args, clock::wall(), &mut out).await,
        Command::Cert(CertCommand::List(args)) => list_certificates(&args, clock::wall(), &mut out).await,
        Command::Cert(CertCommand::Revoke(args)) => revoke_certificates(&args, clock::wall(), &mut out).await,
        Command::Ca(command) => authority_command(&command, clock::wall(), &mut out).await,
        Command::Audit(AuditCommand::Verify(args)) => verify_audit(&args, &mut out).await,
        Command::Audit(AuditCommand::Export(args)) => export_audit(&args, &mut out).await,
    };
    done.map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

async fn import(directory: &Path, text: &str) -> Result<String, String> {
    let file = directory.join("city.csv");
    put(&file, text);
    perform(&format!("fleet-server lamppost import {} --data {}/data", file.display(), directory.display()))
        .await
}

async fn issue(directory: &Path, number: &str, more: &str) -> Result<String, String> {
    let directory = directory.display();
    perform(&format!("fleet-server cert issue {number} --data {directory}/data --out {directory}/out{more}"))
        .await
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn run_has_defaults_and_takes_names() {
    let Command::Run(run) =
        parse("fleet-server run --data d --name a.example.org --name 10.0.0.1").unwrap().command
    else {
        panic!("run is run");
    };
    assert_eq!(run.mqtt.to_string(), "0.0.0.0:8883");
    assert_eq!(run.http.to_string(), "127.0.0.1:8080");
    assert_eq!(
        run.names.iter().map(|name| name.to_str().into_owned()).collect::<Vec<_>>(),
        ["a.example.org", "10.0.0.1"]
    );
    assert_eq!((run.tail_observations, run.low_water), (None, None));
    assert_eq!((run.journal_keep, run.checkpoint_every), (None, None));
    assert_eq!((run.basemap, run.basemap_attribution), (None, None));
}

#[test]
fn a_wrong_argument_is_refused_with_what_is_right() {
    let cases = [
        ("run", "--data <DIR>"),
        (
            "run --data d --http 0.0.0.0:8080",
            "this listener has no TLS, so it is for loopback (127.0.0.1 or [::1]) only",
        ),
        ("run --data d --http 8080", "give ADDRESS:PORT, such as 127.0.0.1:8080"),
        ("run --data d --name host:8883", "give a DNS name or an IP address, without a port"),
        ("run --data d --log fleet_server=loud", "invalid value 'fleet_server=loud' for '--log <FILTER>'"),
        ("run --data d --basemap-attribution OSM", "--basemap <FILE.pmtiles>"),
        ("run --data d --basemap m --basemap-attribution ", "give a line of 1 to 200 characters"),
        ("run --data d --basemap m --basemap-attribution a\nb", "give a line of 1 to 200 characters"),
        ("run --data d --low-water 5%", "give a number of bytes, such as 0, 500MiB or 2GiB"),
        ("run --data d --port 8883", "unexpected argument '--port'"),
        ("cert issue DF/37 --data d", "\"DF/37\" is not a lamppost number"),
        ("cert issue A1 --data d --days 0", "a certificate is good for a minute to 3650 days"),
    ];
    for (line, expected) in cases {
        let message = parse(&format!("fleet-server {line}")).unwrap_err();
        assert!(message.contains(expected), "{line}: {message}");
    }
}

#[test]
fn the_attribution_of_the_map_is_a_line() {
    assert_eq!(attribution(" © OpenStreetMap contributors "), Ok("© OpenStreetMap contributors".to_owned()));
    assert_eq!(attribution(&"©".repeat(200)).map(|line| line.chars().count()), Ok(200));
    assert!(attribution(&"©".repeat(201)).is_err());
}

#[tokio::test]
async fn the_description_of_the_api_needs_no_data_directory() {
    let printed = perform("fleet-server openapi").await.unwrap();
    assert!(printed.starts_with("{\n") && printed.ends_with("}\n"), "{printed}");
    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(document["paths"]["/live"].is_object());
}

#[tokio::test]
async fn an_import_tells_what_it_did_and_can_be_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = import(directory.path(), CITY).await.unwrap();
    assert_eq!(first, "2 added, 0 changed, 0 unchanged; 2 lampposts are registered\n");
    let more = format!("{}DF3639,22.34,114.2,Kai Cheung Road,Kwun Tong\n", CITY.replace("22.33", "22.35"));
    let second = import(directory.path(), &more).await.unwrap();
    assert_eq!(second, "1 added, 1 changed, 1 unchanged; 3 lampposts are registered\n");
}

#[tokio::test]
async fn what_is_exported_can_be_imported_again_in_either_format() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    for (format, beginning) in [("csv", "number,latitude,"), ("geojson", "{\"type\":\"FeatureCollection\"")] {
        let export = format!(
            "fleet-server lamppost export --format {format} --data {}/data",
            directory.path().display()
        );
        let list = perform(&export).await.unwrap();
        assert!(list.starts_with(beginning), "{list}");
        let again = import(directory.path(), &list).await.unwrap();
        assert_eq!(again, "0 added, 0 changed, 2 unchanged; 2 lampposts are registered\n");
        let renamed = import(directory.path(), &list.replace("Kwun Tong", format)).await.unwrap();
        assert_eq!(renamed, "0 added, 2 changed, 0 unchanged; 2 lampposts are registered\n");
        import(directory.path(), CITY).await.unwrap();
    }
    let nowhere = perform("fleet-server lamppost export --data no/such").await.unwrap_err();
    assert_eq!(nowhere, "there is no registry in no/such: give the data directory of a server");
}

#[tokio::test]
async fn an_import_with_a_bad_row_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    let bad =
        import(directory.path(), &format!("{CITY}DF3640,22.3,114.2,New Road,Kwun Tong\nDF3641,922,x,,\n"))
            .await
            .unwrap_err();
    let lines: Vec<_> = bad.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "  line 5, latitude: \"922\" is not a number from -90 to 90 (degrees)",
            "  line 5, longitude: \"x\" is not a number from -180 to 180 (degrees)",
            "  line 5, road: is empty",
            "  line 5, district: is empty",
        ]
    );
    let again = import(directory.path(), CITY).await.unwrap();
    assert_eq!(again, "0 added, 0 changed, 2 unchanged; 2 lampposts are registered\n");
}

#[tokio::test]
async fn a_certificate_is_written_and_recorded_beside_a_server_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Registry::open(&data.join(Registry::FILE_NAME)).await.unwrap();
    let (authority, _) = Authority::open_or_create(&data.join("ca"), clock::wall()).unwrap();
    import(directory.path(), CITY).await.unwrap();
    let said = issue(directory.path(), "DF3637", " --days 30").await.unwrap();
    assert!(!said.contains("made the fleet CA"), "{said}");
    let out = directory.path().join("out");
    assert_eq!(fs::read_to_string(out.join("ca.pem")).unwrap(), authority.certificate_pem());
    let pem = fs::read_to_string(out.join("DF3637.pem")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let serial = CertificateSerial::of_certificate(&pem.contents).unwrap();
    let record = server.certificate(&serial).await.unwrap().unwrap();
    assert_eq!(record.lamppost.as_str(), "DF3637");
    assert_eq!(record.not_after.since_ms(record.issued), 30 * 86_400_000);
    assert!(said.contains(&format!("lamppost DF3637: certificate {serial}")), "{said}");
}

#[tokio::test]
async fn a_certificate_can_be_issued_before_any_server_has_run() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    let said = issue(directory.path(), "DF3637", "").await.unwrap();
    assert!(said.starts_with("made the fleet CA in "), "{said}");
    let (_, origin) = Authority::open_or_create(&directory.path().join("data/ca"), clock::wall()).unwrap();
    assert_eq!(origin, Origin::Found);
}

#[tokio::test]
async fn a_number_that_is_not_registered_gets_no_certificate_but_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    let error = issue(directory.path(), "DF9999", "").await.unwrap_err();
    assert_eq!(error, "lamppost DF9999 is not registered: add it with `fleet-server lamppost import FILE`");
    assert!(!directory.path().join("out").exists());
}

#[tokio::test]
async fn no_certificate_is_issued_over_files_that_are_there() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    issue(directory.path(), "DF3637", "").await.unwrap();
    let before = fs::read(directory.path().join("out/DF3637.key")).unwrap();
    let error = issue(directory.path(), "DF3637", "").await.unwrap_err();
    let present = directory.path().join("out/DF3637.pem");
    assert_eq!(
        error,
        format!("{} is there already: remove it, or name another directory with --out", present.display())
    );
    assert_eq!(fs::read(directory.path().join("out/DF3637.key")).unwrap(), before);
}

mod authority;
mod certificates;
mod departments;
mod journal;
mod lamppost;

#[tokio::test]
async fn a_token_is_printed_once_listed_without_itself_and_ended() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    let data = format!("--data {}/data", directory.path().display());
    let nothing = perform(&format!("fleet-server token list {data}")).await.unwrap();
    assert_eq!(nothing, "there are no tokens\n");
    let made = perform(&format!("fleet-server token create DF3637 --hours 8 {data}")).await.unwrap();
    let lines: Vec<&str> = made.lines().collect();
    assert!(
        lines[0].starts_with("token 1 for lamppost DF3637, good until 2")
            && lines[0].ends_with("Z, for one key")
    );
    let token = lines[1].trim();
    assert!(token.parse::<crate::est::Token>().is_ok(), "{token}");
    assert_eq!(lines[3], format!("  edge-agent enrol --config FILE --token {token}"));
    perform(&format!("fleet-server token create DF3638 {data}")).await.unwrap();

    let end = format!("fleet-server token end 1 {data}");
    assert_eq!(perform(&end).await.unwrap(), "token 1 of lamppost DF3637 is ended\n");
    assert_eq!(perform(&end).await.unwrap(), "token 1 of lamppost DF3637 was ended already\n");
    let list = perform(&format!("fleet-server token list {data}")).await.unwrap();
    let words: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["token", "lamppost", "is", "made", "until", "certificates"]);
    assert_eq!((&words[1][..3], words[1][5]), (&["2", "DF3638", "waiting"][..], "0"));
    assert_eq!((&words[2][..3], words[2][5]), (&["1", "DF3637", "ended"][..], "0"));
    assert!(!list.contains(token));
    for entry in fs::read_dir(directory.path().join("data")).unwrap() {
        let file = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&file);
        assert!(!text.contains(token) && !text.contains(&token.replace('-', "")));
    }
}

#[tokio::test]
async fn tokens_are_for_registered_lampposts_and_some_hours() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    let data = format!("--data {}/data", directory.path().display());
    let unknown = perform(&format!("fleet-server token create DF9999 {data}")).await.unwrap_err();
    assert_eq!(unknown, "lamppost DF9999 is not registered: add it with `fleet-server lamppost import FILE`");
    for hours in ["0", "721", "x"] {
        let error = parse(&format!("fleet-server token create DF3637 --hours {hours} {data}")).unwrap_err();
        assert!(error.contains("give 1 to 720 whole hours"), "{error}");
    }
    let error = perform(&format!("fleet-server token end 7 {data}")).await.unwrap_err();
    assert_eq!(error, "there is no token 7: see `fleet-server token list`");
    assert!(parse(&format!("fleet-server token end seven {data}")).is_err());
}
