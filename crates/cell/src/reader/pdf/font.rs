//! Fonts, as far as text needs them: which letters a string has, and how far each goes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use autoshare_core::document::ReadRefusal;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};

use super::cmap::CMap;
use super::glyphs::{self, Base};
use super::unpack::Budget;

/// Widths of a font's table at most.
const MAX_WIDTHS: usize = 1 << 17;

/// A font.
#[derive(Debug)]
pub(super) struct Font {
    letters: Option<CMap>,
    kind: Kind,
    /// What its widths are multiplied with, and how high its letters are in its size: 1 each but for fonts that the
    /// document draws itself.
    scale: f64,
    pub(super) height: f64,
}

#[derive(Debug)]
enum Kind {
    /// A code is a byte.
    Simple { table: Vec<String>, widths: Vec<Option<f64>>, missing: Option<f64>, fixed: bool },
    /// A code is as the CMap has it, mostly two bytes.
    Composite { codes: Codes, widths: Vec<Widths>, default: f64 },
}

/// How codes become letters where no CMap says so.
#[derive(Debug)]
enum Codes {
    /// Numbers of glyphs: nobody knows of which letters.
    Glyphs(Option<CMap>),
    /// UTF-16.
    Unicode,
    /// A charset of one or two bytes.
    Charset(&'static Encoding),
}

#[derive(Debug)]
struct Widths {
    low: u32,
    high: u32,
    /// One each, or one for all.
    widths: Vec<f64>,
}

/// One letter, or several in one glyph.
#[derive(Debug)]
pub(super) struct Glyph<'f> {
    /// `None` where nobody knows.
    pub(super) text: Option<Cow<'f, str>>,
    /// In the size of the font.
    pub(super) width: f64,
    /// Whether it is the byte 32, which a setting makes wider.
    pub(super) space: bool,
}

impl Font {
    pub(super) fn read(dict: &Dict<'_>, budget: &mut Budget) -> Result<Self, ReadRefusal> {
        budget.spend(dict.data().len())?;
        let letters = match dict.get::<Stream<'_>>("ToUnicode") {
            Some(stream) => cmap(&stream, budget)?,
            None => None,
        };
        let kind = dict.get::<Name<'_>>("Subtype");
        if kind.as_deref() == Some(b"Type0") {
            return Ok(Self { letters, kind: composite(dict, budget)?, scale: 1.0, height: 1.0 });
        }
        let (scale, height) = if kind.as_deref() == Some(b"Type3") { drawn(dict) } else { (1.0, 1.0) };
        Ok(Self { letters, kind: simple(dict, budget)?, scale, height })
    }

    /// The glyphs of a string.
    pub(super) fn glyphs<'f>(&'f self, bytes: &[u8], mut each: impl FnMut(Glyph<'f>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (glyph, length) = match &self.kind {
                Kind::Simple { table, widths, missing, fixed } => {
                    let code = rest.first().copied().unwrap_or_default();
                    let known = self.letters.as_ref().and_then(|map| map.letters(u32::from(code)));
                    let named = || table.get(usize::from(code)).filter(|letters| !letters.is_empty());
                    let width = widths.get(usize::from(code)).copied().flatten().or(*missing);
                    let width = width.unwrap_or_else(|| if *fixed { 600.0 } else { glyphs::width(code) });
                    (
                        Glyph {
                            text: known.map(Cow::Owned).or_else(|| Some(Cow::Borrowed(named()?.as_str()))),
                            width: width / 1000.0 * self.scale,
                            space: code == b' ',
                        },
                        1,
                    )
                }
                Kind::Composite { codes, widths, default } => {
                    let (code, length, own) = self.composite_code(codes, rest);
                    let known = self.letters.as_ref().and_then(|map| map.letters(code));
                    let width = width_of(widths, code).unwrap_or(*default);
                    (
                        Glyph {
                            text: known.or(own).map(Cow::Owned),
                            width: width / 1000.0,
                            space: length == 1 && code == 32,
                        },
                        length,
                    )
                }
            };
            each(glyph);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    fn composite_code(&self, codes: &Codes, rest: &[u8]) -> (u32, usize, Option<String>) {
        match codes {
            Codes::Glyphs(own) => {
                let (code, length) = match own {
                    Some(map) => map.code(rest, 2),
                    None => (rest.iter().take(2).fold(0, |n, b| n << 8 | u32::from(*b)), rest.len().min(2)),
                };
                (code, length, None)
            }
            Codes::Unicode => {
                let units: Vec<u16> =
                    rest.chunks(2).take(2).map(|pair| pair.iter().fold(0, |n, b| n << 8 | u16::from(*b))).collect();
                let code = units.first().copied().unwrap_or_default();
                let pair = (0xd800..0xdc00).contains(&code) && units.len() == 2;
                let text = String::from_utf16_lossy(units.get(..1 + usize::from(pair)).unwrap_or_default());
                (u32::from(code), if pair { 4 } else { 2 }.min(rest.len()), Some(text))
            }
            Codes::Charset(charset) => {
                let lead = rest.first().copied().unwrap_or_default();
                let half_kana = *charset == SHIFT_JIS && (0xa0..0xe0).contains(&lead);
                let length = if lead < 0x80 || half_kana { 1 } else { 2 }.min(rest.len());
                let bytes = rest.get(..length).unwrap_or_default();
                let text = charset.decode_without_bom_handling(bytes).0.into_owned();
                let code = bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b));
                (code, length, Some(text).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER)))
            }
        }
    }
}

fn width_of(widths: &[Widths], code: u32) -> Option<f64> {
    let range = widths.get(widths.partition_point(|range| range.low <= code).checked_sub(1)?)?;
    let at = usize::try_from(code.checked_sub(range.low)?).ok()?;
    (code <= range.high).then(|| range.widths.get(at).or(range.widths.first()).copied()).flatten()
}

fn simple(dict: &Dict<'_>, budget: &mut Budget) -> Result<Kind, ReadRefusal> {
    let name = dict.get::<Name<'_>>("BaseFont").map(|name| name.as_str().to_owned()).unwrap_or_default();
    let descriptor = dict.get::<Dict<'_>>("FontDescriptor").unwrap_or_default();
    let symbolic = descriptor.get::<i32>("Flags").is_some_and(|flags| flags & 4 != 0);
    let encoding = dict.get::<Object<'_>>("Encoding");
    let base = |name: &Name<'_>| match name.as_ref() {
        b"WinAnsiEncoding" => Some(Base::WinAnsi),
        b"MacRomanEncoding" => Some(Base::MacRoman),
        b"StandardEncoding" => Some(Base::Standard),
        _ => None,
    };
    let named = match &encoding {
        Some(Object::Name(name)) => base(name),
        Some(Object::Dict(dict)) => dict.get::<Name<'_>>("BaseEncoding").as_ref().and_then(base),
        _ => None,
    };
    // A font may have an encoding of its own, inside; without a word of it nobody knows the letters.
    let file = descriptor.get::<Stream<'_>>("FontFile").filter(|_| named.is_none());
    let own = named.is_none() && symbolic && file.is_some();
    let own = own || ["Symbol", "ZapfDingbats", "Wingdings"].iter().any(|known| name.contains(known));
    let base = named.unwrap_or(if dict.get::<Name<'_>>("Subtype").as_deref() == Some(b"TrueType") {
        Base::WinAnsi
    } else {
        Base::Standard
    });
    let mut table: Vec<String> = (0..=255).map(|code| if own { String::new() } else { base.letters(code) }).collect();
    if let Some(file) = file {
        let begin = file.dict().get::<i32>("Length1").and_then(|length| usize::try_from(length).ok());
        let source = budget.unpack(&file)?.unwrap_or_default();
        inside(source.get(..begin.unwrap_or(0).min(source.len())).unwrap_or_default(), &mut table);
    }
    if let Some(Object::Dict(dict)) = &encoding
        && let Some(differences) = dict.get::<Array<'_>>("Differences")
    {
        let mut at = 0usize;
        for object in differences.iter::<Object<'_>>().take(1024) {
            match object {
                Object::Number(number) => at = usize::try_from(number.as_i64()).unwrap_or(usize::MAX),
                Object::Name(name) => {
                    if let Some(slot) = table.get_mut(at) {
                        *slot = glyphs::by_name(name.as_str()).unwrap_or_default();
                    }
                    at = at.saturating_add(1);
                }
                _ => {}
            }
        }
    }
    let first = dict.get::<i32>("FirstChar").and_then(|first| usize::try_from(first).ok()).unwrap_or(0).min(256);
    let mut widths = vec![None; first];
    if let Some(list) = dict.get::<Array<'_>>("Widths") {
        widths.extend(list.iter::<f32>().take(256).map(|width| Some(f64::from(width))));
    }
    let missing = descriptor.get::<f32>("MissingWidth").map(f64::from).filter(|width| *width > 0.0);
    Ok(Kind::Simple { table, widths, missing, fixed: name.contains("Courier") })
}

/// The encoding that a Type 1 font has inside, in the part of it that is text: `dup 65 /A put`.
fn inside(source: &[u8], table: &mut [String]) {
    let Some(begin) = memchr::memmem::find(source, b"/Encoding") else { return };
    let source = String::from_utf8_lossy(source.get(begin..).unwrap_or_default()).replace('/', " /");
    let mut words = source.split_ascii_whitespace();
    while let Some(word) = words.next() {
        match word {
            "dup" => {
                let code = words.next().and_then(|code| code.parse::<usize>().ok());
                let name = words.next().and_then(|name| name.strip_prefix('/'));
                if let (Some(code), Some(name)) = (code, name)
                    && let Some(slot) = table.get_mut(code)
                {
                    *slot = glyphs::by_name(name).unwrap_or_default();
                }
            }
            "def" | "readonly" => return,
            _ => {}
        }
    }
}

fn composite(dict: &Dict<'_>, budget: &mut Budget) -> Result<Kind, ReadRefusal> {
    let codes = match dict.get::<Object<'_>>("Encoding") {
        Some(Object::Stream(stream)) => Codes::Glyphs(cmap(&stream, budget)?),
        Some(Object::Name(name)) => {
            let name = name.as_str();
            let known = [("GBK", GBK), ("GB-EUC", GBK), ("RKSJ", SHIFT_JIS), ("B5", BIG5), ("KSC", EUC_KR)];
            match known.into_iter().find(|(part, _)| name.contains(part)) {
                _ if name.contains("UTF16") || name.contains("UCS2") => Codes::Unicode,
                Some((_, charset)) => Codes::Charset(charset),
                None => Codes::Glyphs(None),
            }
        }
        _ => Codes::Glyphs(None),
    };
    let below = dict.get::<Array<'_>>("DescendantFonts").and_then(|list| list.iter::<Dict<'_>>().next());
    let below = below.unwrap_or_default();
    let default = below.get::<f32>("DW").map_or(1000.0, f64::from);
    let mut widths = Vec::new();
    if let Some(list) = below.get::<Array<'_>>("W") {
        budget.spend(list.data().len())?;
        let mut numbers: Vec<f64> = Vec::new();
        let code = |number: &f64| *number as u32;
        let mut count = 0;
        for object in list.iter::<Object<'_>>() {
            match (object, numbers.as_slice()) {
                (Object::Array(each), [low]) => {
                    let each: Vec<f64> = each.iter::<f32>().map(f64::from).collect();
                    count += each.len();
                    let high = code(low).saturating_add(u32::try_from(each.len()).unwrap_or(0)).saturating_sub(1);
                    widths.push(Widths { low: code(low), high, widths: each });
                    numbers.clear();
                }
                (Object::Number(all), [low, high]) => {
                    widths.push(Widths { low: code(low), high: code(high), widths: vec![all.as_f64()] });
                    numbers.clear();
                }
                (Object::Number(number), _) => numbers.push(number.as_f64()),
                _ => numbers.clear(),
            }
            count += 1;
            if count > MAX_WIDTHS {
                break;
            }
        }
        widths.sort_by_key(|range| range.low);
    }
    Ok(Kind::Composite { codes, widths, default })
}

fn cmap(stream: &Stream<'_>, budget: &mut Budget) -> Result<Option<CMap>, ReadRefusal> {
    let Some(source) = budget.unpack(stream)? else { return Ok(None) };
    let map = CMap::parse(&source);
    budget.spend(map.cost())?;
    Ok(Some(map))
}

/// Of a font that the document draws itself: its units in thousandths of its size, and how high its letters are.
fn drawn(dict: &Dict<'_>) -> (f64, f64) {
    let list = |name: &str| -> Vec<f64> {
        dict.get::<Array<'_>>(name).map(|list| list.iter::<f32>().take(6).map(f64::from).collect()).unwrap_or_default()
    };
    let (matrix, bounds) = (list("FontMatrix"), list("FontBBox"));
    let unit = matrix.first().map_or(0.001, |across| across.abs()).clamp(1e-9, 1e3);
    let height = match bounds.as_slice() {
        [_, low, _, high] if high > low => (high - low) * unit,
        _ => 1.0,
    };
    (unit * 1000.0, height)
}

/// Fonts that were read, by the number of their object.
#[derive(Debug, Default)]
pub(super) struct Fonts {
    known: HashMap<(u32, i32), Rc<Font>>,
}

/// Fonts of a document that are kept at most; what comes later is read each time anew.
const MAX_FONTS: usize = 1024;

impl Fonts {
    pub(super) fn get(
        &mut self,
        fonts: &Dict<'_>,
        name: &Name<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Rc<Font>>, ReadRefusal> {
        let at = fonts.get_ref(name).map(|at| (at.obj_number, at.gen_number));
        if let Some(known) = at.and_then(|at| self.known.get(&at)) {
            return Ok(Some(Rc::clone(known)));
        }
        let Some(dict) = fonts.get::<Dict<'_>>(name) else { return Ok(None) };
        let font = Rc::new(Font::read(&dict, budget)?);
        if let Some(at) = at.filter(|_| self.known.len() < MAX_FONTS) {
            self.known.insert(at, Rc::clone(&font));
        }
        Ok(Some(font))
    }
}
