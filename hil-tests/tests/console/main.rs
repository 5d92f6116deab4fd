//! The console in a browser, before a server and fifty lampposts that are all real: what the tests in `browser/` see is
//! what people see. The scenes are played by Node.js and Debian's Chromium; this side runs the fleet, and does to it
//! what a scene asks for ([`stage`]).
//!
//! `CONSOLE_TESTS=smoke cargo test -p hil-tests --test console` plays only files with that word in their names.

mod browser;
mod prompt;
mod stage;

use std::path::Path;
use std::time::Duration;

use hil_tests::fleet::monotonic;

use self::browser::Browser;
use self::prompt::Prompt;
use self::stage::Stage;

/// All scenes together. Each has a shorter time of its own.
const LASTS_AT_MOST: Duration = Duration::from_mins(20);

/// How often is looked whether a scene wants something.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

#[test]
fn the_console_shows_people_what_the_fleet_does() {
    // Before anything is started that takes a while.
    if let Err(missing) = browser::is_installed() {
        panic!("{missing:#}");
    }
    let directory =
        tempfile::Builder::new().prefix("lamplighter-console-").tempdir().expect("a folder can be made");
    if let Err(error) = play(directory.path()) {
        panic!("{error:#}\n(the logs are in {})", directory.keep().display());
    }
}

fn play(directory: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::set(directory)?;
    let prompt = Prompt::listen(&directory.join("stage.sock"))?;
    let mut browser = Browser::start(prompt.path(), directory)?;
    let began = monotonic();
    loop {
        prompt.answer(|action| stage.perform(action))?;
        stage.still_runs()?;
        if browser.has_played()? {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < LASTS_AT_MOST, "the scenes take too long:\n{}", browser.output());
        std::thread::sleep(LOOKS_EVERY);
    }
}
