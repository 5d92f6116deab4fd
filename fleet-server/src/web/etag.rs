//! Names of what an answer holds (RFC 9110, 8.8.3 and 13.1), so that a client need not read twice what it has.

use axum::http::{HeaderMap, header};

/// The entity tag of an answer.
#[derive(Debug)]
pub(super) struct ETag(String);

impl ETag {
    /// Of exactly these bytes, in this encoding: a range of them may be put to another one. The name has no quotation
    /// mark in it.
    pub(super) fn strong(bytes: &str) -> Self {
        Self(format!("\"{bytes}\""))
    }

    /// Of content of this name, in any encoding: what goes over the wire may be compressed in several ways. The name has
    /// no quotation mark in it.
    pub(super) fn weak(content: &str) -> Self {
        Self(format!("W/\"{content}\""))
    }

    /// As the header has it.
    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// Whether `If-None-Match` names it, compared weakly.
    pub(super) fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        // Our own tags have no comma in them, so that whatever is cut wrongly is no tag of ours.
        given
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || opaque(tag) == opaque(&self.0))
    }

    /// Whether a range may be answered: without `If-Range`, or with one that names this, compared strongly. A date
    /// never does, for no time of last modification is told.
    pub(super) fn allows_ranges(&self, headers: &HeaderMap) -> bool {
        let held = headers.get(header::IF_RANGE);
        held.is_none_or(|held| !self.0.starts_with("W/") && held.as_bytes() == self.0.as_bytes())
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_whether_it_is_given_as_weak_as_strong_among_others_or_as_any() {
        let tag = ETag::strong("12ab");
        for (given, known) in [
            (vec!["W/\"12ab\""], true),
            (vec!["\"12ab\""], true),
            (vec!["\"1\", W/\"2,3\" ,W/\"12ab\""], true),
            (vec!["\"1\"", "\"12ab\""], true),
            (vec!["*"], true),
            (vec![], false),
            (vec!["12ab"], false),
            (vec!["\"12AB\""], false),
            (vec!["\"12ab"], false),
            (vec!["W/\"12a\", b\""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in &given {
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
            }
            assert_eq!(tag.is_known_to(&headers), known, "{given:?}");
        }
    }

    #[test]
    fn ranges_are_only_put_to_what_has_the_very_same_tag() {
        let tag = ETag::strong("12ab");
        assert!(tag.allows_ranges(&HeaderMap::new()));
        for (held, allowed) in [
            ("\"12ab\"", true),
            ("\"12ac\"", false),
            ("W/\"12ab\"", false),
            ("Wed, 01 Jul 2026 08:00:00 GMT", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_RANGE, held.parse().unwrap())]);
            assert_eq!(tag.allows_ranges(&headers), allowed, "{held}");
        }
    }
}
