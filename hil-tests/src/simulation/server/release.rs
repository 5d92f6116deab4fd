//! Which release of the server runs: an older one does not know every property that lampposts observe (D12).

use std::fmt::Write;
use std::sync::LazyLock;

use lamplighter_protocol::Catalogue;

/// A release of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Release {
    /// It knows air temperature alone.
    Older,
    /// It knows all.
    Newest,
}

/// Name and unit of the properties that lampposts observe, those first that were known first.
const PROPERTIES: [(&str, &str); 3] =
    [("air_temperature", "Cel"), ("relative_humidity", "%"), ("pm2_5", "ug/m3")];

impl Release {
    /// What it knows of properties.
    pub(super) fn catalogue(self) -> Catalogue {
        static OLDER: LazyLock<Catalogue> = LazyLock::new(|| Release::Older.parse());
        static NEWEST: LazyLock<Catalogue> = LazyLock::new(|| Release::Newest.parse());
        match self {
            Self::Older => OLDER.clone(),
            Self::Newest => NEWEST.clone(),
        }
    }

    fn parse(self) -> Catalogue {
        let known = match self {
            Self::Older => &PROPERTIES[..1],
            Self::Newest => &PROPERTIES[..],
        };
        let mut text = String::new();
        for (name, unit) in known {
            write!(
                text,
                "[[property]]\nname = \"{name}\"\ntitle_en = \"{name}\"\ntitle_zh = \"{name}\"\nunit = \"{unit}\"\n\
                 type = \"quantity\"\nresolution = \"0.01\"\nvalid = [-1e9, 1e9]\nstatistic = \"mean\"\n\
                 theme = \"air\"\nprivacy = \"public\"\nretention_days = 90\ndefinition = \"urn:simulated\"\n"
            )
            .expect("a string takes all that is written to it");
        }
        Catalogue::parse(&text).expect("it is written above")
    }
}
