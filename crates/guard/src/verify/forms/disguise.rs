//! Words that a model can read and a list of words cannot: rotated, reversed, look-alike, spelt with digits, split.

use super::{Form, See, lines};

pub(super) fn find(text: &str, see: See<'_>) {
    for (start, line) in lines(text) {
        let span = start..start + line.len();
        let (rotated, reversed) = telling_words(line);
        if rotated {
            see(Form::Rot13, span.clone(), &line.chars().map(rot13).collect::<String>());
        }
        if reversed {
            see(Form::Reversed, span.clone(), &line.chars().rev().collect::<String>());
        }
        if !line.is_ascii()
            && let Some(seen) = skeleton(line)
        {
            see(Form::Skeleton, span.clone(), &seen);
        }
        if let Some(spelt) = leet(line) {
            see(Form::Leet, span.clone(), &spelt);
        }
        if let Some(joined) = spaced(line) {
            see(Form::Joined, span, &joined);
        }
    }
    short_lines(text, see);
}

/// Whether a line has words that are common ones rotated, or reversed: three, or a quarter of its words.
fn telling_words(line: &str) -> (bool, bool) {
    let (mut words, mut rotated, mut reversed) = (0, 0, 0);
    for word in line.split(|c: char| !c.is_ascii_alphabetic()) {
        if !(2..=12).contains(&word.len()) {
            continue;
        }
        words += 1;
        let mut lower = [0_u8; 12];
        let lower = lower.get_mut(..word.len()).unwrap_or_default();
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        match &*lower {
            b"gur" | b"naq" | b"lbh" | b"lbhe" | b"vf" | b"bs" | b"nyy" | b"sbe" | b"guvf" | b"gung" | b"sebz"
            | b"jvgu" | b"vafgehpgvbaf" | b"cyrnfr" | b"vtaber" | b"fraq" | b"cerivbhf" | b"flfgrz" | b"cnffjbeq"
            | b"abj" | b"nffvfgnag" | b"qryrgr" | b"hfre" | b"svyrf" | b"rznvy" => rotated += 1,
            b"eht" | b"dna" | b"uoy" | b"ruoy" | b"fo" | b"lla" | b"rof" | b"siht" | b"taht" | b"morf" | b"htiw"
            | b"snoitcurtsni" | b"esaelp" | b"erongi" | b"dnes" | b"suoiverp" | b"metsys" | b"drowssap" | b"ot"
            | b"tnatsissa" | b"eteled" | b"resu" | b"selif" | b"liame" => reversed += 1,
            _ => {}
        }
    }
    let telling = |found: usize| found >= 3 || found >= 2 && 4 * found >= words;
    (telling(rotated), telling(reversed))
}

fn rot13(c: char) -> char {
    let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        _ => c,
    }
}

/// The line in plain letters, if it has styled ones, letters of two scripts in one word, or stacked marks.
fn skeleton(line: &str) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut changed = 0;
    for word in line.split_inclusive(|c: char| c.is_whitespace()) {
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        let foreign = word.chars().any(|c| look_alike(c).is_some());
        for c in word.chars() {
            let plain = styled(c).or_else(|| look_alike(c).filter(|_| latin && foreign));
            match plain {
                Some(plain) => {
                    changed += 1;
                    out.push(plain);
                }
                // Soft hyphens show only where a line breaks.
                None if matches!(c, '\u{300}'..='\u{36F}' | '\u{AD}') => changed += 1,
                None => out.push(c),
            }
        }
    }
    (changed >= 2).then_some(out)
}

/// Letters in another dress: full width, mathematical, circled.
fn styled(c: char) -> Option<char> {
    let code = c as u32;
    let letter = |offset: u32| {
        let offset = (offset % 52) as u8;
        Some(char::from(if offset < 26 { b'A' + offset } else { b'a' + offset - 26 }))
    };
    match code {
        0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0),
        // Thirteen alphabets of 52; of those that have gaps, the gaps stand elsewhere.
        0x1D400..=0x1D6A3 => letter(code - 0x1D400),
        0x1D7CE..=0x1D7FF => char::from_digit((code - 0x1D7CE) % 10, 10),
        0x24B6..=0x24E9 => letter(code - 0x24B6),
        0x1F110..=0x1F129 => letter(code - 0x1F110),
        0x1F130..=0x1F149 => letter(code - 0x1F130),
        0x1F150..=0x1F169 => letter(code - 0x1F150),
        0x1F170..=0x1F189 => letter(code - 0x1F170),
        0x249C..=0x24B5 => letter(code - 0x249C + 26),
        _ => match c {
            'ℎ' => Some('h'),
            'ℬ' | 'ℂ' | 'ℰ' | 'ℱ' | 'ℋ' | 'ℐ' | 'ℒ' | 'ℳ' | 'ℛ' | 'ℕ' | 'ℙ' | 'ℚ' | 'ℝ' | 'ℤ' => {
                "BCEFHILMRNPQRZ".chars().nth("ℬℂℰℱℋℐℒℳℛℕℙℚℝℤ".chars().position(|other| other == c)?)
            }
            'ᴀ' | 'ʙ' | 'ᴄ' | 'ᴅ' | 'ᴇ' | 'ꜰ' | 'ɢ' | 'ʜ' | 'ɪ' | 'ᴊ' | 'ᴋ' | 'ʟ' | 'ᴍ' | 'ɴ' | 'ᴏ' | 'ᴘ' | 'ʀ'
            | 'ꜱ' | 'ᴛ' | 'ᴜ' | 'ᴠ' | 'ᴡ' | 'ʏ' | 'ᴢ' => {
                "abcdefghijklmnoprstuvwyz".chars().nth("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ".chars().position(|other| other == c)?)
            }
            _ => None,
        },
    }
}

/// Letters of Cyrillic and Greek that look like Latin ones.
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' => 'C',
        'ԁ' => 'd',
        'е' | 'ε' | 'ё' => 'e',
        'Е' | 'Ε' => 'E',
        'ɡ' => 'g',
        'һ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' | 'ı' => 'i',
        'І' | 'Ι' => 'I',
        'ј' => 'j',
        'Ј' => 'J',
        'к' | 'κ' => 'k',
        'К' | 'Κ' => 'K',
        'ӏ' => 'l',
        'м' => 'm',
        'М' | 'Μ' => 'M',
        'п' | 'η' => 'n',
        'Ν' => 'N',
        'о' | 'ο' | 'օ' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'т' | 'τ' => 't',
        'Т' | 'Τ' => 'T',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'γ' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

/// The line with letters in place of digits and signs, if several words need it.
fn leet(line: &str) -> Option<String> {
    let plain = |byte: u8| match byte {
        b'0' => Some(b'o'),
        b'1' | b'!' => Some(b'i'),
        b'3' => Some(b'e'),
        b'4' | b'@' => Some(b'a'),
        b'5' | b'$' => Some(b's'),
        b'7' => Some(b't'),
        _ => None,
    };
    // A word in which a digit stands between letters, or before one.
    let spelt = |word: &str| {
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        let inner =
            word.bytes().zip(word.bytes().skip(1)).filter(|(a, b)| plain(*a).is_some() && b.is_ascii_alphabetic());
        letters >= 2 && word.len() <= 16 && inner.count() >= 1
    };
    let fits = |word: &&str| spelt(word);
    if !line.bytes().any(|byte| plain(byte).is_some()) || line.split(' ').filter(fits).take(3).count() < 3 {
        return None;
    }
    let word = |word: &str| -> String {
        let end = word.trim_end_matches('!').len();
        let change = |(at, c): (usize, char)| {
            let byte = u8::try_from(c).ok().filter(|_| at < end).and_then(plain);
            byte.map_or(c, char::from)
        };
        if word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            word.char_indices().map(change).collect()
        } else {
            word.into()
        }
    };
    Some(line.split(' ').map(word).collect::<Vec<_>>().join(" "))
}

/// Letters of a run before it counts as spelt out.
const LETTERS: usize = 10;

/// The line with spelt-out words put together: `i g n o r e   t h i s`, `i-g-n-o-r-e`. A wider gap ends a word.
fn spaced(line: &str) -> Option<String> {
    let gap = |c: char| matches!(c, ' ' | '.' | '-' | '_' | '*' | '|' | '\u{A0}');
    let mut out = String::with_capacity(line.len());
    let (mut found, mut run) = (false, 0);
    let mut chars = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        // Between two single letters a gap of one is left out.
        let single = c.is_alphanumeric() && gap(before) && chars.peek().is_none_or(|next| !next.is_alphanumeric());
        if gap(c) {
            let mut wide = 1;
            while chars.next_if(|next| gap(*next)).is_some() {
                wide += 1;
            }
            if wide > 1 || run == 0 {
                out.push(' ');
            } else if chars.clone().nth(1).is_some_and(char::is_alphanumeric) {
                // The next word is longer than a letter: the run is over.
                out.push(' ');
                run = 0;
            }
        } else {
            run = if single { run + 1 } else { 0 };
            found |= run >= LETTERS;
            out.push(c);
        }
        before = c;
    }
    found.then_some(out)
}

/// Lines of a few words each, of which six or more follow each other, as one line.
fn short_lines(text: &str, see: See<'_>) {
    const FEW: usize = 3;
    const MANY: usize = 6;
    let (mut start, mut end, mut count, mut joined) = (0, 0, 0, String::new());
    let last = std::iter::once((text.len(), "a line that is longer than any"));
    for (at, line) in lines(text).chain(last) {
        let words = line.split_whitespace().take(FEW + 1).count();
        if (1..=FEW).contains(&words) && line.len() <= 40 {
            if count == 0 {
                start = at;
            } else {
                joined.push(' ');
            }
            joined.push_str(line.trim());
            end = at + line.len();
            count += 1;
        } else if words > FEW || line.len() > 40 {
            if count >= MANY {
                see(Form::Joined, start..end, &joined);
            }
            joined.clear();
            count = 0;
        }
    }
}
