//! Whether a chain is as it was written. Pure: records in, the first thing that is wrong out.

use lamplighter_protocol::UtcMillis;

use super::chain::{Head, Record, Stored};

/// The first thing that is wrong with a chain. What comes behind it is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {sequence} {fault}")]
pub struct Finding {
    /// The record that it is found at; where records are missing, the first of them.
    pub sequence: i64,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It stands in its place, and what it says is not what was hashed.
    #[error("is altered: what it says does not fit its hash")]
    Altered,
    /// The next one that is there has a later sequence.
    #[error("is missing (the next one there is {next})")]
    Missing {
        /// That one.
        next: i64,
    },
    /// It does not follow the one before it.
    #[error("is re-ordered or inserted, or the one before it is replaced: it does not follow that one")]
    Reordered,
    /// The chain ends before the head that was noted.
    #[error("is missing: the end is cut off, for record {noted} was there when the head was noted")]
    CutOff {
        /// The sequence of the noted head.
        noted: i64,
    },
    /// The chain is one of its own, and not the one whose head was noted.
    #[error(
        "is not the one that was there when the head was noted: it, or one before it, is altered, and all hashes \
         since are made anew"
    )]
    Rewritten,
}

/// What a chain holds that is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// When the first was written.
    pub first: Option<UtcMillis>,
    /// When the last was written.
    pub last: Option<UtcMillis>,
    /// To be noted.
    pub head: Head,
}

/// Takes the records of a chain in the order of their sequences.
#[derive(Clone, Copy, Debug)]
pub struct Verifier {
    noted: Option<Head>,
    so_far: Verified,
}

/// Verifies a whole chain, against a head that was noted earlier if there is one.
///
/// # Errors
/// The first [`Finding`].
pub fn verify(records: impl IntoIterator<Item = Stored>, noted: Option<Head>) -> Result<Verified, Finding> {
    let mut verifier = Verifier::new(noted);
    records.into_iter().try_for_each(|record| verifier.take(&record))?;
    verifier.end()
}

impl Verifier {
    /// Before the first record.
    pub fn new(noted: Option<Head>) -> Self {
        Self { noted, so_far: Verified { records: 0, first: None, last: None, head: Head::GENESIS } }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The [`Finding`], if it cannot be the next one.
    pub fn take(&mut self, stored: &Stored) -> Result<(), Finding> {
        let head = self.so_far.head;
        let expected = head.sequence + 1;
        let sequence = stored.sequence;
        let found = |fault| Err(Finding { sequence, fault });
        if sequence > expected {
            return Err(Finding { sequence: expected, fault: Fault::Missing { next: sequence } });
        }
        if sequence < expected {
            return found(Fault::Reordered);
        }
        let Some(record) = &stored.record else { return found(Fault::Altered) };
        let follows = (record.previous == head.hash, record.hash == record.hash_behind(head.hash));
        match follows {
            (true, true) => {}
            // One of its fields, its hash among them, or the hash of the record before as it names that.
            (true, false) | (false, true) => return found(Fault::Altered),
            (false, false) => return found(Fault::Reordered),
        }
        if self.noted.is_some_and(|noted| noted.sequence == sequence && noted.hash != record.hash) {
            return found(Fault::Rewritten);
        }
        self.so_far = self.so_far.and(record);
        Ok(())
    }

    /// There is no further record.
    ///
    /// # Errors
    /// The [`Finding`], if there was one when the head was noted.
    pub fn end(self) -> Result<Verified, Finding> {
        let sequence = self.so_far.head.sequence + 1;
        match self.noted {
            Some(Head { sequence: noted, .. }) if noted >= sequence => {
                Err(Finding { sequence, fault: Fault::CutOff { noted } })
            }
            Some(_) | None => Ok(self.so_far),
        }
    }
}

impl Verified {
    fn and(self, record: &Record) -> Self {
        Self {
            records: self.records + 1,
            first: self.first.or(Some(record.at)),
            last: Some(record.at),
            head: record.head(),
        }
    }
}
