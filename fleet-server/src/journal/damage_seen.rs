//! What the last start found damaged, for who asks later.

use std::sync::{Arc, Mutex, PoisonError};

use super::report::Damage;

/// The first regions of the journal that the last start could not read. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct DamageSeen {
    regions: Arc<Mutex<Vec<Damage>>>,
}

impl DamageSeen {
    /// As many regions as are kept: enough to know what happened; `journal verify` names all.
    pub const MOST: usize = 32;

    pub(super) fn found(&self, damaged: &[Damage]) {
        let regions = damaged.iter().take(Self::MOST).cloned().collect();
        *self.regions.lock().unwrap_or_else(PoisonError::into_inner) = regions;
    }

    /// These regions.
    pub fn regions(&self) -> Vec<Damage> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
