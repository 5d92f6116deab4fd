//! The status as people read it.

use std::io::{self, Write};

use super::report::{
    Backlog, BusStatus, CertificateStatus, ConnectionStatus, DroppedRecords, SensorStatus, SetAsideOutbox,
    Status, Storage,
};

/// Writes the status for people. Ages count from the moment at which the agent took it.
///
/// # Errors
/// Those of `out`.
pub fn write_table(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let waiting = status.waiting_for_time;
    let clock = match (status.time_known, status.clock_trusted) {
        (false, _) => format!("clock NOT KNOWN yet: {waiting} records wait for their time"),
        (true, true) => "clock confirmed".to_owned(),
        (true, false) => "clock NOT confirmed: values are uncertain".to_owned(),
    };
    let (version, generation) = (printable(&status.agent_version), status.generation);
    writeln!(out, "lamppost  {}", printable(&status.lamppost))?;
    writeln!(out, "agent     {version}, configuration {generation}, {clock}")?;
    writeln!(out, "run       {}, outbox {}", printable(&status.run), printable(&status.outbox))?;
    for (heading, line) in std::iter::once("server")
        .chain(std::iter::repeat(""))
        .zip(connection(&status.connection, status.now_ms))
    {
        writeln!(out, "{heading:<10}{line}")?;
    }
    for (heading, line) in std::iter::once("identity")
        .chain(std::iter::repeat(""))
        .zip(certificate(&status.certificate, status.now_ms))
    {
        writeln!(out, "{heading:<10}{line}")?;
    }
    writeln!(out, "backlog   {}", backlog(status))?;
    for (heading, line) in std::iter::once("outbox").chain(std::iter::repeat("")).zip(storage(status)) {
        writeln!(out, "{heading:<10}{line}")?;
    }
    for (heading, line) in std::iter::once("set aside")
        .chain(std::iter::repeat(""))
        .zip(status.set_aside.iter().flat_map(|one| set_aside(one, status.now_ms)))
    {
        writeln!(out, "{heading:<10}{line}")?;
    }
    if !status.buses.is_empty() {
        let heading = ["BUS", "KIND", "PATH", "OPEN", "REOPENED", "LAST ERROR"];
        write_columns(heading, status.buses.iter().map(bus), out)?;
    }
    if !status.sensors.is_empty() {
        let heading = [
            "SENSOR",
            "KIND",
            "BUS",
            "IDENTIFIED",
            "LAST TICK",
            "VALUES",
            "READ",
            "MISSED",
            "BAD",
            "LAST ERROR",
        ];
        write_columns(heading, status.sensors.iter().map(|one| sensor(one, status.now_ms)), out)?;
    }
    Ok(())
}

fn connection(connection: &ConnectionStatus, now_ms: i64) -> Vec<String> {
    let since = connection
        .since_ms
        .map(|since| format!(" for {}", span(now_ms.saturating_sub(since))))
        .unwrap_or_default();
    let state = if connection.connected { "connected" } else { "NOT connected" };
    let retry = connection
        .retry_in_ms
        .filter(|_| !connection.connected)
        .map(|ms| format!(", next attempt in {}", span(i64::try_from(ms).unwrap_or(i64::MAX))))
        .unwrap_or_default();
    let mut lines = vec![
        format!("{}, {state}{since}{retry}", printable(&connection.server)),
        format!(
            "last acknowledgement {}, last position {}, {} records under way",
            age(connection.last_acknowledgement_ms, now_ms),
            age(connection.last_position_ms, now_ms),
            connection.in_flight_records
        ),
    ];
    if let Some(error) = &connection.last_error {
        lines.push(format!("last error: {}", printable(error)));
    }
    lines
}

fn certificate(certificate: &CertificateStatus, now_ms: i64) -> Vec<String> {
    let CertificateStatus {
        serial,
        good_until_ms,
        renewal_due_ms,
        is_trying_another,
        last_attempt_ms,
        last_outcome,
        problem,
        key,
        key_problem,
    } = certificate;
    let good = good_until_ms.map_or_else(String::new, |until| match until.saturating_sub(now_ms) {
        left if left < 0 => format!(", NOT good any more for {}", span(left.saturating_neg())),
        left => format!(", good for another {}", span(left)),
    });
    let due = renewal_due_ms.map_or_else(String::new, |due| match due.saturating_sub(now_ms) {
        left if left < 0 => ", renewal is due".to_owned(),
        left => format!(", renewal in {}", span(left)),
    });
    let trial = if *is_trying_another { "; another one is there and is being tried" } else { "" };
    let mut lines: Vec<String> = serial
        .iter()
        .map(|serial| format!("certificate {}{good}{due}{trial}", printable(serial)))
        .chain(problem.iter().map(|problem| format!("NO certificate: {}", printable(problem))))
        .collect();
    if let Some(key) = key {
        lines.push(format!("its key is in {}", printable(key)));
    }
    if let Some(problem) = key_problem {
        lines.push(format!("keys in the token CANNOT be used: {}", printable(problem)));
    }
    if let Some(outcome) = last_outcome {
        lines.push(format!("last renewal {}: {}", age(*last_attempt_ms, now_ms), printable(outcome)));
    }
    lines
}

fn backlog(status: &Status) -> String {
    let Backlog { records, oldest_ms, drains_in_s, bytes: _ } = &status.backlog;
    let oldest = oldest_ms
        .map(|oldest| format!(", the oldest {}", age(Some(oldest), status.now_ms)))
        .unwrap_or_default();
    let to_send = status.connection.to_send_records;
    let waits = match drains_in_s {
        _ if !status.connection.connected => String::new(),
        Some(_) if to_send == 0 => "; all of them are sent".to_owned(),
        Some(seconds) => format!("; {to_send} to be sent, which takes about {}", about(*seconds)),
        None => format!("; {to_send} to be sent, which does not shrink at present"),
    };
    format!("{records} records that the server does not hold yet{oldest}{waits}")
}

fn storage(status: &Status) -> Vec<String> {
    let Storage {
        capacity_bytes,
        appended_bytes_per_hour,
        holds_s,
        room_for_s,
        dropped,
        refused,
        damaged,
        undated_for_room,
        max_age_s: _,
    } = &status.storage;
    let holds = match (holds_s, appended_bytes_per_hour) {
        (Some(holds), Some(rate)) => {
            let a_day = size(rate.saturating_mul(24));
            format!("holds about {} at the present rate ({a_day} a day)", about(*holds))
        }
        (None, _) | (_, None) => "for how long that is enough is not known yet".to_owned(),
    };
    let left = room_for_s.map(|room| format!(", from now on about {}", about(room))).unwrap_or_default();
    let mut lines =
        vec![format!("{} on disk of {}; {holds}{left}", size(status.backlog.bytes), size(*capacity_bytes))];
    let DroppedRecords { bytes, age, damaged: lost } = dropped;
    let all = bytes + age + lost;
    if all > 0 {
        lines.push(format!(
            "{all} records DROPPED and reported: {bytes} for want of space, {age} too old, {lost} damaged"
        ));
    }
    if refused + damaged > 0 {
        lines.push(format!("{refused} records refused, {damaged} places on disk unreadable, in this run"));
    }
    if *undated_for_room > 0 {
        lines.push(format!("{undated_for_room} runs that did not know the time are NOT sent: the disk has no room to date them"));
    }
    lines
}

fn set_aside(outbox: &SetAsideOutbox, now_ms: i64) -> [String; 2] {
    let SetAsideOutbox { outbox: id, directory, lamppost, hardware_serial, reason, bytes, runs, .. } = outbox;
    let serial = Some(printable(hardware_serial)).filter(|serial| !serial.is_empty());
    let serial = serial.unwrap_or_else(|| "without a serial number".to_owned());
    let whose =
        lamppost.as_deref().map(|lamppost| format!("lamppost {}, hardware {serial}", printable(lamppost)));
    let why = match reason.as_str() {
        "other_lamppost" => "belongs to another lamppost: an operator can only close it",
        "other_hardware" => "belongs to other hardware of this number: an operator releases or closes it",
        "damaged_identity" => "its identity is damaged: an operator can only close it",
        "no_identity" => "it has no identity: an operator can only close it",
        _ => "it cannot be read by this version",
    };
    let span = match (outbox.first_ms, outbox.last_ms) {
        (Some(_), last) => {
            format!(", begun {}, last written {}", age(outbox.first_ms, now_ms), age(last, now_ms))
        }
        (None, _) => String::new(),
    };
    [
        format!(
            "{}: {}; {why}",
            printable(id),
            whose.unwrap_or_else(|| "it is not known whose it is".to_owned())
        ),
        format!("{} in {runs} runs{span}; in {}", size(*bytes), printable(directory)),
    ]
}

fn bus(bus: &BusStatus) -> [String; 6] {
    [
        printable(&bus.name),
        printable(&bus.kind),
        printable(&bus.path),
        yes_or_no(bus.open).to_owned(),
        bus.reopened.to_string(),
        error(bus.last_error.as_deref()),
    ]
}

fn sensor(sensor: &SensorStatus, now_ms: i64) -> [String; 10] {
    [
        printable(&sensor.name),
        printable(&sensor.sensor),
        printable(&sensor.bus),
        yes_or_no(sensor.identified).to_owned(),
        age(sensor.last_tick_ms, now_ms),
        sensor.last_values.to_string(),
        sensor.read.to_string(),
        sensor.missed.to_string(),
        sensor.bad.to_string(),
        error(sensor.last_error.as_deref()),
    ]
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "NO" }
}

fn error(error: Option<&str>) -> String {
    error.map_or_else(|| "-".to_owned(), printable)
}

fn age(then_ms: Option<i64>, now_ms: i64) -> String {
    then_ms.map_or_else(|| "never".to_owned(), |then| format!("{} ago", span(now_ms.saturating_sub(then))))
}

/// A length of time of which only the size matters: `7.4 days`.
fn about(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = UNITS.iter().find(|(unit, _)| seconds >= 2 * unit);
    unit.map_or_else(
        || format!("{seconds} s"),
        |(unit, name)| {
            // Whole tenths, without floats.
            let tenths = seconds.saturating_mul(10) / unit;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

/// A length of time in its two greatest units.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS.iter().find(|(unit, _)| bytes >= *unit).map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| {
            // Whole tenths, without floats.
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

/// Without control characters: an error may quote what came over the network, and a terminal obeys such characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Columns as wide as their widest cell, below an empty line.
fn write_columns<const N: usize>(
    heading: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    writeln!(out)?;
    for line in lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", padded.collect::<Vec<String>>().join("  ").trim_end())?;
    }
    Ok(())
}
