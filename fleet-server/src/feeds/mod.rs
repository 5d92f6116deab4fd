//! Feeds for departments: what is observed, as it comes, in a tree of topics that people can read.
//!
//! A department only listens, and only to what it was granted: [`Topic`] says where an observation stands in the tree,
//! [`Filter`] which part of the tree is meant, and a [`Directory`] who may hear what.

mod directory;
mod filter;
mod topic;

pub use directory::{Access, AccessKey, AccessKeyId, DepartmentName, Directory, NoDepartmentName};
pub use filter::{Filter, FilterError};
pub use topic::Topic;
