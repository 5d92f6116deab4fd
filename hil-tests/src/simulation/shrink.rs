//! Fewer actions that fail as well.

use super::action::Action;

/// Leaves out what does not matter: halves first, then smaller pieces, as long as the rest still fails.
pub(super) fn shrink(actions: &[Action], fails: impl Fn(&[Action]) -> bool) -> Vec<Action> {
    let mut kept = actions.to_vec();
    let mut piece = kept.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < kept.len() {
            let to = (at + piece).min(kept.len());
            let mut rest = kept.clone();
            rest.drain(at..to);
            if fails(&rest) {
                kept = rest;
            } else {
                at = to;
            }
        }
        piece /= 2;
    }
    kept
}
