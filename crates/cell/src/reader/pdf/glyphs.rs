//! Which letter a code or the name of a glyph stands for, where a font has one of the usual encodings.

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

/// The names of what is printed of ASCII, from the space on.
const ASCII: &str = "space exclam quotedbl numbersign dollar percent ampersand quotesingle parenleft parenright asterisk \
    plus comma hyphen period slash zero one two three four five six seven eight nine colon semicolon less equal greater \
    question at A B C D E F G H I J K L M N O P Q R S T U V W X Y Z bracketleft backslash bracketright asciicircum \
    underscore grave a b c d e f g h i j k l m n o p q r s t u v w x y z braceleft bar braceright asciitilde";

/// The names of Latin-1, from U+00A0 on.
const LATIN: &str = "nbspace exclamdown cent sterling currency yen brokenbar section dieresis copyright ordfeminine \
    guillemotleft logicalnot softhyphen registered macron degree plusminus twosuperior threesuperior acute mu paragraph \
    periodcentered cedilla onesuperior ordmasculine guillemotright onequarter onehalf threequarters questiondown Agrave \
    Aacute Acircumflex Atilde Adieresis Aring AE Ccedilla Egrave Eacute Ecircumflex Edieresis Igrave Iacute Icircumflex \
    Idieresis Eth Ntilde Ograve Oacute Ocircumflex Otilde Odieresis multiply Oslash Ugrave Uacute Ucircumflex Udieresis \
    Yacute Thorn germandbls agrave aacute acircumflex atilde adieresis aring ae ccedilla egrave eacute ecircumflex \
    edieresis igrave iacute icircumflex idieresis eth ntilde ograve oacute ocircumflex otilde odieresis divide oslash \
    ugrave uacute ucircumflex udieresis yacute thorn ydieresis";

/// Greek, from U+0391 on, capital and small; the gaps of Unicode are filled in.
const GREEK: &str = "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho - Sigma Tau \
    Upsilon Phi Chi Psi Omega - - - - - - - alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi \
    omicron pi rho sigma1 sigma tau upsilon phi chi psi omega";

#[rustfmt::skip]
const OTHERS: &[(&str, &str)] = &[
    ("quoteleft", "‘"), ("quoteright", "’"), ("quotesinglbase", "‚"), ("quotedblleft", "“"), ("quotedblright", "”"),
    ("quotedblbase", "„"), ("endash", "–"), ("emdash", "—"), ("bullet", "•"), ("ellipsis", "…"), ("dagger", "†"),
    ("daggerdbl", "‡"), ("perthousand", "‰"), ("guilsinglleft", "‹"), ("guilsinglright", "›"), ("fraction", "⁄"),
    ("minus", "−"), ("florin", "ƒ"), ("trademark", "™"), ("Euro", "€"), ("fi", "fi"), ("fl", "fl"), ("ff", "ff"),
    ("ffi", "ffi"), ("ffl", "ffl"), ("f_i", "fi"), ("f_l", "fl"), ("f_f", "ff"), ("OE", "Œ"), ("oe", "œ"),
    ("Lslash", "Ł"), ("lslash", "ł"), ("Scaron", "Š"), ("scaron", "š"), ("Zcaron", "Ž"), ("zcaron", "ž"),
    ("Ydieresis", "Ÿ"), ("dotlessi", "ı"), ("circumflex", "ˆ"), ("tilde", "˜"), ("breve", "˘"), ("dotaccent", "˙"),
    ("ring", "˚"), ("ogonek", "˛"), ("hungarumlaut", "˝"), ("caron", "ˇ"), ("Ccaron", "Č"), ("ccaron", "č"),
    ("Cacute", "Ć"), ("cacute", "ć"), ("Ecaron", "Ě"), ("ecaron", "ě"), ("Rcaron", "Ř"), ("rcaron", "ř"),
    ("Nacute", "Ń"), ("nacute", "ń"), ("Sacute", "Ś"), ("sacute", "ś"), ("Zacute", "Ź"), ("zacute", "ź"),
    ("Zdotaccent", "Ż"), ("zdotaccent", "ż"), ("Aogonek", "Ą"), ("aogonek", "ą"), ("Eogonek", "Ę"), ("eogonek", "ę"),
    ("Dcroat", "Đ"), ("dcroat", "đ"), ("Gbreve", "Ğ"), ("gbreve", "ğ"), ("Scedilla", "Ş"), ("scedilla", "ş"),
    ("Idotaccent", "İ"), ("Abreve", "Ă"), ("abreve", "ă"), ("Ohungarumlaut", "Ő"), ("ohungarumlaut", "ő"),
    ("Uhungarumlaut", "Ű"), ("uhungarumlaut", "ű"), ("Uring", "Ů"), ("uring", "ů"), ("lessequal", "≤"),
    ("greaterequal", "≥"), ("notequal", "≠"), ("approxequal", "≈"), ("infinity", "∞"), ("summation", "∑"),
    ("product", "∏"), ("radical", "√"), ("integral", "∫"), ("partialdiff", "∂"), ("arrowright", "→"),
    ("arrowleft", "←"), ("lozenge", "◊"), ("middot", "·"), ("hyphenminus", "-"), ("sfthyphen", "\u{ad}"),
];

/// The upper half of the standard encoding of Adobe; a space where it has nothing.
const STANDARD: &str =
    " ¡¢£⁄¥ƒ§¤'“«‹›\u{1}\u{2} –†‡· ¶•‚„”»…‰ ¿ `´ˆ˜¯˘˙¨ ˚¸ ˝˛ˇ—                Æ ª    ŁØŒº     æ   ı  łøœß";

/// 0x80 to 0xA0 of the encoding of strings outside of pages.
const DOCUMENT: &str = "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™\u{1}\u{2}ŁŒŠŸŽıłœšž\u{fffd}€";

/// An encoding of a font whose codes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Standard,
    WinAnsi,
    MacRoman,
}

impl Base {
    /// The letters of a code.
    pub(super) fn letters(self, code: u8) -> String {
        let by = |encoding: &'static Encoding| {
            encoding.decode_without_bom_handling(&[code]).0.chars().filter(|c| !c.is_control()).collect()
        };
        match self {
            Self::WinAnsi => by(WINDOWS_1252),
            Self::MacRoman => by(MACINTOSH),
            Self::Standard => match code {
                b'\'' => "’".to_owned(),
                b'`' => "‘".to_owned(),
                0x20..0x7f => char::from(code).to_string(),
                0xa0.. => pick(STANDARD, usize::from(code - 0xa0)),
                _ => String::new(),
            },
        }
    }
}

fn pick(table: &str, at: usize) -> String {
    match table.chars().nth(at) {
        Some('\u{1}') => "fi".to_owned(),
        Some('\u{2}') => "fl".to_owned(),
        Some(' ') | None => String::new(),
        Some(c) => c.to_string(),
    }
}

/// The letters of a glyph by its name, as the Adobe Glyph List has it.
pub(super) fn by_name(name: &str) -> Option<String> {
    // What follows a dot is a variant of the same letter.
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    let at = |list: &str, begin: u32| {
        let at = list.split_ascii_whitespace().position(|one| one == name)?;
        Some(char::from_u32(begin + u32::try_from(at).ok()?)?.to_string())
    };
    let hex = |digits: &str| {
        let plain = (4..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| char::from_u32(u32::from_str_radix(digits, 16).ok()?).map(|c| c.to_string()))?
    };
    let other = || OTHERS.iter().find(|(known, _)| *known == name).map(|(_, letters)| (*letters).to_owned());
    let unicode = || {
        if let Some(digits) = name.strip_prefix("uni").filter(|digits| digits.len() >= 4) {
            let units: Vec<&str> =
                digits.as_bytes().chunks(4).filter_map(|unit| std::str::from_utf8(unit).ok()).collect();
            return units.into_iter().map(hex).collect::<Option<String>>();
        }
        hex(name.strip_prefix('u')?)
    };
    at(ASCII, 0x20).or_else(|| at(LATIN, 0xa0)).or_else(other).or_else(|| at(GREEK, 0x391)).or_else(unicode)
}

/// The text of a string outside of pages.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Some(wide) = bytes.strip_prefix(b"\xfe\xff") {
        let units: Vec<u16> =
            wide.chunks(2).map(|pair| pair.iter().fold(0, |number, b| number << 8 | u16::from(*b))).collect();
        return String::from_utf16_lossy(&units);
    }
    if let Some(narrow) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(narrow).into_owned();
    }
    let one = |b: &u8| match *b {
        0x80..=0xa0 => pick(DOCUMENT, usize::from(*b - 0x80)),
        b => char::from(b).to_string(),
    };
    bytes.iter().map(one).collect()
}

/// How wide the letters of Helvetica are, in thousandths, from the space on: for fonts that every program has, and whose
/// widths a document may leave out.
#[rustfmt::skip]
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// About how wide a letter is, in thousandths of the font's size.
pub(super) fn width(code: u8) -> f64 {
    let at = usize::from(code).checked_sub(32);
    at.and_then(|at| WIDTHS.get(at)).copied().map_or(556.0, f64::from)
}
