//! As much of CSS as hides text.
//!
//! Read are the declarations of a `style` attribute, and of a `style` element the rules of plain selectors: elements,
//! classes, ids, attributes, and ancestors. A rule for paper or for a narrow screen does not count, nor does a selector
//! with a state or a neighbour: what a page does only sometimes is not what a person sees.

use std::borrow::Cow;
use std::collections::HashMap;

/// Rules of a page's sheets at most; later ones are passed over.
const MAX_RULES: usize = 4096;
/// Rules that are tried for one element at most.
const MAX_TRIED: usize = 64;
/// Declarations of one block at most.
const MAX_DECLARATIONS: usize = 256;
/// Classes of one step of a selector, and steps of a selector, at most; a rule with more is passed over.
const MAX_CLASSES: usize = 16;
const MAX_STEPS: usize = 32;
/// Bytes of an element's classes or id at most. No page has more; with more, an element is taken to be hidden.
const MAX_CLASS: usize = 4096;
/// Pixels from which on something is far enough away to be out of sight.
const FAR: f32 = 300.0;

/// What declarations set, as far as it decides whether text is seen. `None` is what they do not set.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Style {
    pub(crate) displayed: Option<bool>,
    pub(crate) visible: Option<bool>,
    pub(crate) opaque: Option<bool>,
    pub(crate) font: Option<Length>,
    pub(crate) colour: Option<Colour>,
    pub(crate) background: Option<Background>,
    pub(crate) preserved: Option<bool>,
    positioned: Option<bool>,
    far: Option<bool>,
    /// Indented or moved out of sight, whether or not it has a position.
    moved: Option<bool>,
    clipped: Option<bool>,
    rect: Option<bool>,
    flat: Option<bool>,
    cut_off: Option<bool>,
}

/// A size of letters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    /// In pixels.
    Pixels(f32),
    /// In sizes of the surrounding text.
    Times(f32),
}

/// Red, green, blue; `None` is transparent.
pub(crate) type Colour = Option<[u8; 3]>;

/// What is behind the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Background {
    /// One colour.
    Plain([u8; 3]),
    /// What was behind it.
    Clear,
    /// An image, or what is not understood: nobody knows what is behind the text.
    Unknown,
}

impl Style {
    /// Whether it is out of sight by where it is or how large.
    pub(crate) fn is_off_page(&self) -> bool {
        let is = |flag: Option<bool>| flag == Some(true);
        is(self.moved)
            || is(self.clipped)
            || (is(self.positioned) && (is(self.far) || is(self.rect)))
            || (is(self.flat) && is(self.cut_off))
    }

    fn declare(&mut self, text: &str, wanted: bool) {
        let text = plain(text);
        for declaration in split_declarations(&text).take(MAX_DECLARATIONS) {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let (value, important) = match value.trim().rsplit_once('!') {
                Some((value, word)) if word.trim().eq_ignore_ascii_case("important") => (value, true),
                _ => (value, false),
            };
            if important == wanted {
                self.set(&name.trim().to_ascii_lowercase(), &value.trim().to_ascii_lowercase());
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        let far = |value: &str| pixels(value).is_some_and(|px| px <= -FAR || px >= 20.0 * FAR);
        match name {
            "display" => self.displayed = Some(value != "none"),
            "content-visibility" if value == "hidden" => self.displayed = Some(false),
            "visibility" => self.visible = Some(!matches!(value, "hidden" | "collapse")),
            "opacity" => self.opaque = Some(number(value).is_none_or(|n| n > 0.1)),
            "filter" if value.contains("opacity(0") => self.opaque = Some(false),
            "font-size" => self.font = size(value).or(self.font),
            "font" => {
                let found = value.split_ascii_whitespace().find_map(|word| size(word.split('/').next()?));
                self.font = found.or(self.font);
            }
            "color" | "-webkit-text-fill-color" => self.colour = colour(value).or(self.colour),
            "background" | "background-color" | "background-image" => {
                let found = if value.contains('(') && !value.starts_with("rgb") && !value.starts_with("hsl") {
                    Some(Background::Unknown)
                } else {
                    value.split_ascii_whitespace().find_map(colour).or_else(|| colour(value)).map(|found| match found {
                        Some(rgb) => Background::Plain(rgb),
                        None => Background::Clear,
                    })
                };
                self.background = found.or(self.background);
            }
            "white-space" => self.preserved = Some(value.starts_with("pre") || value == "break-spaces"),
            "position" => self.positioned = Some(matches!(value, "absolute" | "fixed" | "relative" | "sticky")),
            "left" | "right" | "top" | "bottom" | "inset" | "inset-inline-start" | "inset-block-start" => {
                self.far = Some(self.far == Some(true) || value.split_ascii_whitespace().any(far));
            }
            "text-indent" | "margin-left" | "margin-top" | "margin-right" | "margin" => {
                self.moved = Some(self.moved == Some(true) || value.split_ascii_whitespace().any(far));
            }
            "transform" | "translate" | "scale" => {
                let shrunk =
                    value.contains("scale(0") && !value.contains("scale(0.") || name == "scale" && value == "0";
                let parts = value.split(|c: char| matches!(c, '(' | ')' | ',') || c.is_ascii_whitespace());
                self.moved = Some(shrunk || parts.into_iter().any(far));
            }
            "clip" => self.rect = Some(is_empty_rect(value)),
            "clip-path" => self.clipped = Some(is_empty_clip(value)),
            "width" | "height" | "max-width" | "max-height" | "inline-size" | "block-size" => {
                let none = pixels(value).is_some_and(|px| (0.0..=1.0).contains(&px));
                self.flat = Some(self.flat == Some(true) || none);
            }
            "overflow" | "overflow-x" | "overflow-y" => {
                self.cut_off =
                    Some(matches!(value.split_ascii_whitespace().next(), Some("hidden" | "clip" | "scroll" | "auto")));
            }
            _ => {}
        }
    }
}

/// Without comments and escapes, with which any word can be written in another way.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') && !text.contains("/*") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else if let Some(escape) = rest.strip_prefix('\\') {
            let digits = escape.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
            let (hex, after) = escape.split_at_checked(digits).unwrap_or((escape, ""));
            match u32::from_str_radix(hex, 16).ok().and_then(char::from_u32) {
                Some(c) => {
                    out.push(c);
                    rest = after.strip_prefix([' ', '\n', '\t']).unwrap_or(after);
                }
                None => rest = escape,
            }
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

/// Splits at semicolons outside of brackets and quotes.
fn split_declarations(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quote) = (0u32, None);
    text.split(move |c: char| {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ';' && depth == 0 && quote.is_none()
    })
}

fn number(value: &str) -> Option<f32> {
    match value.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f32>().ok().map(|n| n / 100.0),
        None => value.parse().ok(),
    }
}

/// A length in pixels, as far as it has one; relative ones as on a usual screen.
fn pixels(value: &str) -> Option<f32> {
    let digits = value.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+')).count();
    let (digits, unit) = value.split_at_checked(digits)?;
    let number: f32 = digits.parse().ok()?;
    let factor = match unit {
        "px" => 1.0,
        "" if number == 0.0 => 1.0,
        "pt" => 4.0 / 3.0,
        "em" | "rem" | "ch" | "ex" | "pc" => 16.0,
        "in" => 96.0,
        "cm" => 37.8,
        "mm" => 3.78,
        "vw" | "vh" | "vmin" | "vmax" | "%" => 10.0,
        _ => return None,
    };
    Some(number * factor)
}

fn size(value: &str) -> Option<Length> {
    Some(match value {
        "xx-small" | "x-small" | "small" | "medium" | "large" | "x-large" | "xx-large" => Length::Pixels(16.0),
        "smaller" | "larger" => Length::Times(1.0),
        _ => {
            let times = |suffix: &str, by: f32| value.strip_suffix(suffix)?.parse::<f32>().ok().map(|n| n * by);
            match times("%", 0.01).or_else(|| if value.ends_with("rem") { None } else { times("em", 1.0) }) {
                Some(times) => Length::Times(times),
                None => Length::Pixels(pixels(value)?),
            }
        }
    })
}

/// A colour as CSS or an attribute of old writes it.
pub(crate) fn colour(value: &str) -> Option<Colour> {
    let value = value.trim();
    if let Some(hex) = value.strip_prefix('#') {
        return hex_colour(hex);
    }
    if let Some(inside) = value.strip_prefix("rgb").and_then(|rest| rest.trim_start_matches('a').strip_prefix('(')) {
        let parts: Vec<f32> = channels(inside, 255.0);
        let [red, green, blue, ..] = *parts.as_slice() else { return None };
        // A plain number is at most 1, and a percentage has become one of 255.
        let clear = parts.get(3).is_some_and(|alpha| if *alpha > 1.0 { *alpha <= 25.5 } else { *alpha <= 0.1 });
        return Some(if clear { None } else { Some([red, green, blue].map(channel)) });
    }
    if let Some(inside) = value.strip_prefix("hsl").and_then(|rest| rest.trim_start_matches('a').strip_prefix('(')) {
        return hsl(inside);
    }
    let rgb = match value {
        "transparent" => return Some(None),
        "white" => [255, 255, 255],
        "black" => [0, 0, 0],
        "snow" => [255, 250, 250],
        "ivory" => [255, 255, 240],
        "ghostwhite" => [248, 248, 255],
        "floralwhite" => [255, 250, 240],
        "whitesmoke" => [245, 245, 245],
        "azure" => [240, 255, 255],
        "mintcream" => [245, 255, 250],
        "aliceblue" => [240, 248, 255],
        "honeydew" => [240, 255, 240],
        "seashell" => [255, 245, 238],
        "lightyellow" => [255, 255, 224],
        "gainsboro" => [220, 220, 220],
        "lightgray" | "lightgrey" => [211, 211, 211],
        "silver" => [192, 192, 192],
        "gray" | "grey" => [128, 128, 128],
        "dimgray" | "dimgrey" => [105, 105, 105],
        "red" => [255, 0, 0],
        "green" => [0, 128, 0],
        "lime" => [0, 255, 0],
        "blue" => [0, 0, 255],
        "navy" => [0, 0, 128],
        "yellow" => [255, 255, 0],
        "orange" => [255, 165, 0],
        "purple" => [128, 0, 128],
        "maroon" => [128, 0, 0],
        "olive" => [128, 128, 0],
        "teal" => [0, 128, 128],
        "aqua" | "cyan" => [0, 255, 255],
        "fuchsia" | "magenta" => [255, 0, 255],
        _ => return None,
    };
    Some(Some(rgb))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and 255 by then")]
fn channel(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// The numbers between brackets; a percentage is of `whole`.
fn channels(inside: &str, whole: f32) -> Vec<f32> {
    let inside = inside.trim_end_matches(')');
    let parts =
        inside.split(|c: char| matches!(c, ',' | '/') || c.is_ascii_whitespace()).filter(|part| !part.is_empty());
    parts
        .take(4)
        .map_while(|part| match part.strip_suffix('%') {
            Some(percent) => percent.parse::<f32>().ok().map(|n| n / 100.0 * whole),
            None => part.trim_end_matches("deg").parse().ok(),
        })
        .collect()
}

fn hex_colour(hex: &str) -> Option<Colour> {
    let digits: Vec<u8> = hex.chars().map_while(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    if digits.len() != hex.len() {
        return None;
    }
    match *digits.as_slice() {
        [r, g, b] => Some(Some([r * 17, g * 17, b * 17])),
        [r, g, b, a] => Some(if a <= 1 { None } else { Some([r * 17, g * 17, b * 17]) }),
        [r, s, g, h, b, c] => Some(Some([r * 16 + s, g * 16 + h, b * 16 + c])),
        [r, s, g, h, b, c, a, _] => Some(if a <= 1 { None } else { Some([r * 16 + s, g * 16 + h, b * 16 + c]) }),
        _ => None,
    }
}

fn hsl(inside: &str) -> Option<Colour> {
    let parts = channels(inside, 1.0);
    let [hue, saturation, light, ..] = *parts.as_slice() else { return None };
    if parts.get(3).is_some_and(|alpha| *alpha <= 0.1) {
        return Some(None);
    }
    let reach = saturation * light.min(1.0 - light);
    let at = |n: f32| {
        let k = (n + hue / 30.0).rem_euclid(12.0);
        channel((light - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)) * 255.0)
    };
    Some(Some([at(0.0), at(8.0), at(4.0)]))
}

/// `rect(0 0 0 0)` and the like: nothing between its edges.
fn is_empty_rect(value: &str) -> bool {
    let Some(inside) = value.strip_prefix("rect(") else { return false };
    let edges: Vec<f32> = inside
        .trim_end_matches(')')
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|part| !part.is_empty())
        .filter_map(pixels)
        .collect();
    matches!(*edges.as_slice(), [top, right, bottom, left] if right - left <= 1.0 || bottom - top <= 1.0)
}

fn is_empty_clip(value: &str) -> bool {
    if let Some(inside) = value.strip_prefix("inset(") {
        let first = inside.trim_end_matches(')').split_ascii_whitespace().next().unwrap_or_default();
        return number(first).is_some_and(|part| first.ends_with('%') && part >= 0.5);
    }
    let empty = ["circle(0", "ellipse(0", "polygon(0 0, 0 0", "polygon(0 0,0 0", "polygon(0px 0px, 0px 0px"];
    empty.iter().any(|form| value.starts_with(form)) && !value.starts_with("circle(0.")
}

/// An element as a selector sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Cow<'a, str>,
    pub(crate) class: Cow<'a, str>,
    /// Its id or its classes are longer than is looked at.
    overlong: bool,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(name: &'a str, id: Cow<'a, str>, class: Cow<'a, str>) -> Self {
        // Each element within it looks at these.
        let overlong = id.len() > MAX_CLASS || class.len() > MAX_CLASS;
        if overlong { Self { name, overlong, ..Self::default() } } else { Self { name, id, class, overlong } }
    }
}

/// One step of a selector: what one element must be.
#[derive(Debug, Clone, Default)]
struct Compound {
    name: String,
    id: String,
    classes: Vec<String>,
}

impl Compound {
    fn parse(text: &str) -> Option<Self> {
        let mut compound = Self::default();
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let body = rest.strip_prefix(['.', '#']).unwrap_or(rest);
            let end = body.find(['.', '#', ':', '[', '(', '*']).unwrap_or(body.len());
            let (word, after) = body.split_at_checked(end)?;
            match sign {
                '.' if !word.is_empty() => compound.classes.push(word.to_owned()),
                '#' if !word.is_empty() => word.clone_into(&mut compound.id),
                '*' => {
                    rest = rest.strip_prefix('*')?;
                    continue;
                }
                '.' | '#' | ':' | '[' | '(' => return None,
                _ => compound.name = word.to_ascii_lowercase(),
            }
            rest = after;
        }
        (compound.classes.len() <= MAX_CLASSES).then_some(compound)
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        (self.name.is_empty() || self.name.eq_ignore_ascii_case(subject.name))
            && (self.id.is_empty() || self.id == subject.id)
            && self.classes.iter().all(|class| subject.class.split_ascii_whitespace().any(|has| has == class))
    }

    fn weight(&self) -> u32 {
        u32::from(!self.id.is_empty()) * 10_000
            + u32::try_from(self.classes.len()).unwrap_or(0).min(99) * 100
            + u32::from(!self.name.is_empty())
    }
}

#[derive(Debug)]
struct Rule {
    /// The element itself last, what it must lie in before.
    steps: Vec<Compound>,
    weight: u32,
    usual: Style,
    important: Style,
}

/// The style sheets of a page.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    rules: Vec<Rule>,
    /// By what its last step names: an id, a class, an element, or nothing.
    ids: HashMap<String, Vec<usize>>,
    classes: HashMap<String, Vec<usize>>,
    names: HashMap<String, Vec<usize>>,
    /// There are more rules than are kept.
    overfull: bool,
}

impl Sheet {
    /// How many rules are kept, if there are more.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.overfull.then_some(MAX_RULES)
    }

    /// Whether there is no rule that could hide anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Reads the text of a `style` element.
    pub(crate) fn read(&mut self, text: &str) {
        let text = plain(text);
        let mut rest = text.as_ref();
        // What stands in a block that counts is read as if it stood outside: its closing bracket is passed over.
        while let Some((prelude, after)) = rest.split_once('{') {
            let prelude = prelude.rsplit(['}', ';']).next().unwrap_or_default().trim();
            if prelude.starts_with('@') && counts(prelude) {
                rest = after;
                continue;
            }
            let end = if prelude.starts_with('@') { block_end(after) } else { after.find('}').unwrap_or(after.len()) };
            let (body, next) = after.split_at_checked(end).unwrap_or((after, ""));
            if !prelude.starts_with('@') {
                self.rule(prelude, body);
            }
            rest = next.strip_prefix('}').unwrap_or(next);
        }
    }

    fn rule(&mut self, selectors: &str, body: &str) {
        let (mut usual, mut important) = (Style::default(), Style::default());
        usual.declare(body, false);
        important.declare(body, true);
        if usual == Style::default() && important == Style::default() {
            return;
        }
        for selector in selectors.split(',') {
            if self.rules.len() >= MAX_RULES {
                self.overfull = true;
                return;
            }
            if selector.contains(['+', '~']) {
                continue;
            }
            let words = selector.split(|c: char| c == '>' || c.is_ascii_whitespace()).filter(|word| !word.is_empty());
            let Some(steps) = words.map(Compound::parse).collect::<Option<Vec<_>>>() else { continue };
            let Some(last) = steps.last().filter(|_| steps.len() <= MAX_STEPS) else { continue };
            let (index, key) = match (last.id.as_str(), last.classes.first(), last.name.as_str()) {
                ("", Some(class), _) => (&mut self.classes, class.as_str()),
                ("", None, name) => (&mut self.names, name),
                (id, ..) => (&mut self.ids, id),
            };
            index.entry(key.to_owned()).or_default().push(self.rules.len());
            let weight = steps.iter().map(Compound::weight).sum();
            self.rules.push(Rule { steps, weight, usual, important });
        }
    }

    /// What the sheets and its own `style` say of an element that lies in `within` (the outermost first).
    pub(crate) fn style(&self, subject: &Subject<'_>, own: &str, within: &[Subject<'_>]) -> Style {
        let mut found: Vec<(u32, usize)> = Vec::new();
        let mut look = |index: &HashMap<String, Vec<usize>>, key: &str| {
            for at in index.get(key).into_iter().flatten().take(MAX_TRIED) {
                if let Some(rule) = self.rules.get(*at)
                    && rule.fits(subject, within)
                {
                    found.push((rule.weight, *at));
                }
            }
        };
        if subject.overlong {
            return Style { displayed: Some(false), ..Style::default() };
        }
        if !self.is_empty() {
            look(&self.names, "");
            if subject.name.bytes().any(|b| b.is_ascii_uppercase()) {
                look(&self.names, &subject.name.to_ascii_lowercase());
            } else {
                look(&self.names, subject.name);
            }
            for class in subject.class.split_ascii_whitespace().take(16) {
                look(&self.classes, class);
            }
            if !subject.id.is_empty() {
                look(&self.ids, &subject.id);
            }
        }
        if found.is_empty() && own.is_empty() {
            return Style::default();
        }
        found.sort_unstable();
        let rules = || found.iter().filter_map(|(_, at)| self.rules.get(*at));
        let mut style = rules().fold(Style::default(), |style, rule| style.overlaid(&rule.usual));
        style.declare(own, false);
        style = rules().fold(style, |style, rule| style.overlaid(&rule.important));
        style.declare(own, true);
        style
    }
}

impl Rule {
    fn fits(&self, subject: &Subject<'_>, within: &[Subject<'_>]) -> bool {
        let Some((last, before)) = self.steps.split_last() else { return false };
        let mut around = within.iter().rev();
        last.fits(subject) && before.iter().rev().all(|step| around.any(|outer| step.fits(outer)))
    }
}

impl Style {
    fn overlaid(self, by: &Self) -> Self {
        Self {
            displayed: by.displayed.or(self.displayed),
            visible: by.visible.or(self.visible),
            opaque: by.opaque.or(self.opaque),
            font: by.font.or(self.font),
            colour: by.colour.or(self.colour),
            background: by.background.or(self.background),
            preserved: by.preserved.or(self.preserved),
            positioned: by.positioned.or(self.positioned),
            far: by.far.or(self.far),
            moved: by.moved.or(self.moved),
            clipped: by.clipped.or(self.clipped),
            rect: by.rect.or(self.rect),
            flat: by.flat.or(self.flat),
            cut_off: by.cut_off.or(self.cut_off),
        }
    }
}

/// Whether what stands in an at-rule's block holds on a usual screen.
fn counts(prelude: &str) -> bool {
    let prelude = prelude.to_ascii_lowercase();
    match prelude.strip_prefix("@media") {
        Some(query) => matches!(query.trim(), "" | "all" | "screen" | "only screen"),
        None => prelude.starts_with("@layer") || prelude.starts_with("@supports"),
    }
}

/// Where the block that has begun ends, with the blocks in it.
fn block_end(text: &str) -> usize {
    let mut depth = 1u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    text.len()
}
