//! What a grant lets be heard of properties that are not for everybody.

use lamplighter_protocol::Privacy;

use super::{Filter, Topic};

/// Place of the property among the levels of a filter, the root's included.
const PROPERTY: usize = 4;

/// Whether any of these grants lets a property of this privacy be heard on this topic. What is restricted is heard by a grant
/// that names the property: whoever granted `highway/#` has not thought of it.
pub fn grants_property(grants: &[Filter], topic: &Topic, privacy: Privacy) -> bool {
    let is_enough = |grant: &Filter| match privacy {
        Privacy::Public | Privacy::Departmental => true,
        Privacy::Restricted => names_property(grant),
    };
    grants.iter().any(|grant| is_enough(grant) && grant.matches(topic))
}

fn names_property(grant: &Filter) -> bool {
    // One that ends before has a `#`, which stands for the property as well.
    grant.as_str().split('/').nth(PROPERTY).is_some_and(|level| !matches!(level, "+" | "#"))
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::Theme;

    use super::*;

    #[test]
    fn what_is_restricted_is_heard_only_where_a_grant_names_it() {
        let series = lamplighter_protocol::SeriesName {
            device: "camera-1".parse().unwrap(),
            property: "plate_count".parse().unwrap(),
            channel: None,
        };
        let topic = Topic::new(Theme::Traffic, Some("Kwun Tong"), &"DF1".parse().unwrap(), &series);
        let heard = |grants: &[&str], privacy| {
            let grants: Vec<Filter> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
            grants_property(&grants, &topic, privacy)
        };
        let wide = ["highway/#", "highway/traffic/+/DF1/#", "highway/+/+/+/+", "highway/+/+/+/+/#"];
        for grant in wide {
            assert!(heard(&[grant], Privacy::Public) && heard(&[grant], Privacy::Departmental), "{grant}");
            assert!(!heard(&[grant], Privacy::Restricted), "{grant}");
        }
        for grant in ["highway/+/+/+/plate_count", "highway/traffic/Kwun Tong/DF1/plate_count/#"] {
            assert!(heard(&[grant], Privacy::Restricted), "{grant}");
        }
        assert!(heard(&["highway/#", "highway/+/+/+/plate_count"], Privacy::Restricted));
        for grant in ["highway/+/+/+/pm1", "highway/+/+/DF2/plate_count", "highway/weather/+/+/plate_count"] {
            assert!(!heard(&["highway/#", grant], Privacy::Restricted), "{grant}");
        }
        assert!(!heard(&[], Privacy::Public));
    }
}
