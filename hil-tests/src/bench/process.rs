//! What the system accounts a process: memory, processor time, bytes written.

use anyhow::Context as _;

/// Resident memory in bytes.
pub(super) fn resident_bytes(process: u32) -> anyhow::Result<f64> {
    memory(process, "VmRSS:")
}

/// The most memory that was ever resident, in bytes.
pub(super) fn most_resident_bytes(process: u32) -> anyhow::Result<f64> {
    memory(process, "VmHWM:")
}

/// A line of proc(5)'s status, in bytes.
fn memory(process: u32, name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}

/// Processor time used so far, in seconds: fields 14 and 15 of proc(5)'s stat, in ticks of 1/100 s.
pub(super) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(')').context("no name")?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok()).context("no times");
    Ok((ticks()? + ticks()?) / 100.0)
}

/// Bytes that it gave the storage layer to write so far: `write_bytes` of proc(5)'s io.
pub(super) fn written_bytes(process: u32) -> anyhow::Result<f64> {
    let io = std::fs::read_to_string(format!("/proc/{process}/io"))?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:")).context("no write_bytes")?;
    Ok(line.trim().parse()?)
}
