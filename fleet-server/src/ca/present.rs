//! What is replaced while others use it.

use std::sync::{Arc, PoisonError, RwLock};

/// A value that another can take the place of, at any moment: whoever asks for it gets the present one. Clones are one and
/// the same.
#[derive(Debug)]
pub struct Present<T>(Arc<RwLock<Arc<T>>>);

impl<T> Present<T> {
    /// The present one.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place.
    pub fn replace(&self, with: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = with;
    }
}

impl<T> Clone for Present<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<Arc<T>> for Present<T> {
    fn from(value: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }
}
