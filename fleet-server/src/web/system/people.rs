//! The figures of the web itself.

use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::live::LiveMetrics;
use crate::web::{WebLimits, WebMetrics};

/// Who asks this server.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PeopleDocument {
    /// Live feeds that are open now.
    feeds: u64,
    /// Most live feeds at once; more are refused.
    feeds_limit: u64,
    /// Live feeds refused because there were as many as allowed.
    refused_feeds: u64,
    /// Requests, by how they were answered.
    requests: RequestsDocument,
}

/// Requests of people and tools, by the hundred of their status.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct RequestsDocument {
    /// 200 to 299: answered.
    succeeded: u64,
    /// 300 to 399: what the client has is still good, or is elsewhere.
    redirected: u64,
    /// 400 to 499: the request was wrong, or without the token.
    refused: u64,
    /// 500 to 599: the server could not answer, or not yet.
    failed: u64,
}

impl PeopleDocument {
    pub(super) fn new(web: &WebMetrics, live: &LiveMetrics, limits: &WebLimits) -> Self {
        Self {
            feeds: size(&live.feeds),
            feeds_limit: limits.feeds as u64,
            refused_feeds: web.refused_feeds.get(),
            requests: RequestsDocument {
                succeeded: web.answered_with(2),
                redirected: web.answered_with(3),
                refused: web.answered_with(4),
                failed: web.answered_with(5),
            },
        }
    }
}
