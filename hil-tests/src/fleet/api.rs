//! The server's HTTP interface, as a tool sees it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// An answer that takes longer is none: nobody waits for a server that stands still.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

/// A server's people's listener, with the token that opens it.
#[derive(Clone, Debug)]
pub struct Api {
    address: SocketAddr,
    token: String,
}

impl Api {
    /// The listener at this address.
    pub fn new(address: SocketAddr, token: String) -> Self {
        Self { address, token }
    }

    /// `http://ADDRESS:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What opens it.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The link that lets a person in.
    pub fn link(&self) -> String {
        format!("{}/login?token={}", self.url(), self.token)
    }

    /// Status and text of any answer, also of a refusal.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn ask(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let agent = agent();
        let request = agent.get(format!("{}{path}", self.url()));
        let mut response = request.header("authorization", format!("Bearer {}", self.token)).call()?;
        Ok((response.status().as_u16(), response.body_mut().with_config().limit(256 << 20).read_to_string()?))
    }

    /// Status and text of the answer to a request that decides something.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let agent = agent();
        let request = agent.post(format!("{}{path}", self.url()));
        let mut response = request.header("authorization", format!("Bearer {}", self.token)).send_empty()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    /// A document.
    ///
    /// # Errors
    /// If the answer is not 200, or not JSON; with what it says.
    pub fn json(&self, path: &str) -> anyhow::Result<Value> {
        let (status, text) = self.ask(path)?;
        anyhow::ensure!(status == 200, "{path}: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))
    }

    /// The sum of a metric over all samples whose labels contain `label`.
    ///
    /// # Errors
    /// If the metrics cannot be had.
    pub fn metric(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let (_, text) = self.ask("/metrics")?;
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        // From zero: an empty sum of floats is minus zero, which is shown.
        Ok(samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .fold(0.0, |sum, one| sum + one))
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(ANSWERS_WITHIN)).build().into()
}
