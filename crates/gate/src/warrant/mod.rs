//! Which effects a goal needs: drawn up from trusted text alone, and held against each action.

mod draft;
mod file;
pub(crate) mod lexicon;
mod words;

use autoshare_core::verdict::Provenance;
use autoshare_core::warrant::Warrant;

pub use draft::{draft, own_words, widen};
pub use file::{WarrantError, matters, read_warrant, write_warrant};

use crate::facts::Standing;
use crate::leaves::Leaf;
use crate::provenance::normal::spellings;

/// How an action of a tool, aimed at these targets, stands to a warrant. The warrant names a tool's targets, or says that
/// trusted words describe them; then a value will do that a person said, that a tool issued, or that the model made before it
/// had read anything. Where it does neither, only what a person said will do.
pub(crate) fn standing(warrant: Option<&Warrant>, tool: &str, targets: &[&Leaf]) -> Standing {
    let Some(warrant) = warrant else { return Standing::NotDrawn };
    let mut best = Standing::Outside;
    for effect in warrant.of(tool) {
        let named: Vec<String> = effect.targets.iter().flat_map(|target| spellings(target)).collect();
        let fits = |leaf: &&Leaf| {
            if spellings(&leaf.text).iter().any(|form| named.contains(form)) {
                return true;
            }
            match leaf.provenance {
                Provenance::Operator { .. } | Provenance::User => effect.described || named.is_empty(),
                Provenance::Issued { .. } | Provenance::Model => effect.described,
                Provenance::TaintedModel | Provenance::Content { .. } => false,
            }
        };
        if targets.iter().all(fits) {
            return Standing::Inside;
        }
        best = Standing::OtherTargets;
    }
    best
}
