//! Layers: content that a reader of PDF shows or not (*optional content*).

use std::collections::HashSet;

use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object};

/// Layers of a document at most; more are shown.
const MAX_LAYERS: usize = 16_384;

/// Which layers are off when a document is opened.
#[derive(Debug, Default)]
pub(super) struct Layers {
    off: HashSet<(u32, i32)>,
}

fn key(at: ObjRef) -> (u32, i32) {
    (at.obj_number, at.gen_number)
}

fn refs<'a>(dict: &Dict<'a>, name: &str) -> Vec<(u32, i32)> {
    let list = dict.get::<Array<'a>>(name);
    let each = |list: Array<'a>| {
        list.raw_iter().take(MAX_LAYERS).filter_map(|one: MaybeRef<Object<'a>>| one.as_obj_ref()).map(key).collect()
    };
    list.map(each).unwrap_or_default()
}

impl Layers {
    pub(super) fn read(catalogue: &Dict<'_>) -> Self {
        let Some(properties) = catalogue.get::<Dict<'_>>("OCProperties") else { return Self::default() };
        let shown = properties.get::<Dict<'_>>("D").unwrap_or_default();
        let mut off = HashSet::new();
        if shown.get::<Name<'_>>("BaseState").as_deref() == Some(b"OFF") {
            off.extend(refs(&properties, "OCGs"));
            for on in refs(&shown, "ON") {
                off.remove(&on);
            }
        }
        off.extend(refs(&shown, "OFF"));
        Self { off }
    }

    /// Whether what an entry of a dictionary names is not shown.
    pub(super) fn hide(&self, dict: &Dict<'_>, name: impl AsRef<[u8]>) -> bool {
        if self.off.is_empty() {
            return false;
        }
        let name = name.as_ref();
        if dict.get_ref(name).is_some_and(|at| self.off.contains(&key(at))) {
            return true;
        }
        let Some(members) = dict.get::<Dict<'_>>(name).filter(|dict| dict.contains_key("OCGs")) else { return false };
        let groups = match members.get_ref("OCGs").map(key) {
            Some(one) if members.get::<Array<'_>>("OCGs").is_none() => vec![one],
            _ => refs(&members, "OCGs"),
        };
        if groups.is_empty() {
            return false;
        }
        let off = groups.iter().filter(|group| self.off.contains(group)).count();
        match members.get::<Name<'_>>("P").as_deref() {
            Some(b"AllOn") => off > 0,
            Some(b"AnyOff") => off == 0,
            Some(b"AllOff") => off < groups.len(),
            _ => off == groups.len(),
        }
    }
}
