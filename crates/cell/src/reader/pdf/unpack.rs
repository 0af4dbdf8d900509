//! Streams, unpacked within bounds.

use std::io::Read as _;

use autoshare_core::document::ReadRefusal;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use hayro_syntax::Filter;
use hayro_syntax::object::{Array, Dict, Object, Stream};

/// Bytes of one stream at most, unpacked.
const MAX_STREAM: usize = 64 * 1024 * 1024;
/// Bytes of all streams that are read at most, unpacked; one that is read again counts again.
const MAX_UNPACKED: usize = 192 * 1024 * 1024;
/// What a stream counts at least, so that nobody reads a small one for ever.
const MIN_COST: usize = 1024;
/// Filters of a stream at most.
const MAX_FILTERS: usize = 8;
/// Bytes after the name of a packed table within which its stream begins.
const MAX_HEAD: usize = 4096;

/// What may still be unpacked of a document.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { left: MAX_UNPACKED }
    }

    /// Counts something that took work.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), ReadRefusal> {
        self.left = self.left.checked_sub(bytes.max(MIN_COST)).ok_or_else(|| bomb(MAX_UNPACKED))?;
        Ok(())
    }

    /// The bytes of a stream; `None` where it is packed in a way that holds no text, or not well-formed.
    pub(super) fn unpack(&mut self, stream: &Stream<'_>) -> Result<Option<Vec<u8>>, ReadRefusal> {
        let mut data = stream.raw_data().into_owned();
        let filters = stream.filters();
        if filters.len() > MAX_FILTERS {
            return Ok(None);
        }
        let limit = self.left.min(MAX_STREAM);
        for (at, filter) in filters.into_iter().enumerate() {
            let parameters = parameters(stream.dict(), at);
            let unpacked = match filter {
                Filter::FlateDecode => inflate(&data, limit)?,
                Filter::LzwDecode => {
                    let early = parameters.get::<i32>("EarlyChange").unwrap_or(1) != 0;
                    lzw(&data, early, limit)?
                }
                Filter::RunLengthDecode => run_length(&data, limit)?,
                Filter::AsciiHexDecode => hex(&data),
                Filter::Ascii85Decode => ascii_85(&data, limit)?,
                Filter::Crypt => data,
                Filter::CcittFaxDecode | Filter::Jbig2Decode | Filter::DctDecode | Filter::JpxDecode => {
                    return Ok(None);
                }
            };
            data = match parameters.get::<u8>("Predictor") {
                Some(predictor) if predictor > 1 => unpredict(&unpacked, predictor, &parameters),
                _ => unpacked,
            };
        }
        self.spend(data.len())?;
        Ok(Some(data))
    }
}

/// Refuses a document whose packed tables and objects, which are unpacked before anything is looked at, are a bomb.
pub(super) fn check_tables(bytes: &[u8]) -> Result<(), ReadRefusal> {
    let mut left = MAX_UNPACKED;
    for name in [b"/ObjStm".as_slice(), b"/XRef"] {
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memmem::find(rest, name)) {
            from += found + name.len();
            let rest = bytes.get(from..).unwrap_or_default();
            let head = rest.get(..rest.len().min(MAX_HEAD)).unwrap_or_default();
            let Some(begin) = memchr::memmem::find(head, b"stream") else { continue };
            from += begin + b"stream".len();
            let data = bytes.get(from..).unwrap_or_default().trim_ascii_start();
            left = left.checked_sub(inflate(data, left.min(MAX_STREAM))?.len()).ok_or_else(|| bomb(MAX_UNPACKED))?;
        }
    }
    Ok(())
}

fn bomb(limit: usize) -> ReadRefusal {
    ReadRefusal::Bomb { what: "bytes".to_owned(), limit: limit as u64 }
}

fn parameters<'a>(dict: &Dict<'a>, at: usize) -> Dict<'a> {
    let named = |name: &str| match dict.get::<Object<'a>>(name)? {
        Object::Dict(one) => Some(one),
        Object::Array(list) => one_of(&list, at),
        _ => None,
    };
    named("DecodeParms").or_else(|| named("DP")).unwrap_or_default()
}

fn one_of<'a>(list: &Array<'a>, at: usize) -> Option<Dict<'a>> {
    list.iter::<Object<'a>>().nth(at)?.into_dict()
}

/// Unpacks what can be: of a damaged stream, what stands before the damage, as whoever shows it does.
fn inflate(data: &[u8], limit: usize) -> Result<Vec<u8>, ReadRefusal> {
    let mut out = Vec::new();
    let most = limit as u64 + 1;
    let ended = ZlibDecoder::new(data).take(most).read_to_end(&mut out);
    if ended.is_err() && out.is_empty() {
        // Some writers leave the header out; what came out before an error is kept.
        let _ = DeflateDecoder::new(data).take(most).read_to_end(&mut out);
    }
    if out.len() > limit { Err(bomb(limit)) } else { Ok(out) }
}

fn hex(data: &[u8]) -> Vec<u8> {
    let digits = data.iter().take_while(|b| **b != b'>').filter_map(|b| char::from(*b).to_digit(16));
    let digits: Vec<u8> = digits.filter_map(|digit| u8::try_from(digit).ok()).collect();
    digits.chunks(2).map(|pair| pair.first().unwrap_or(&0) << 4 | pair.get(1).unwrap_or(&0)).collect()
}

fn ascii_85(data: &[u8], limit: usize) -> Result<Vec<u8>, ReadRefusal> {
    let mut out = Vec::new();
    let (mut word, mut digits) = (0u32, 0usize);
    for &b in data {
        match b {
            b'z' if digits == 0 => out.extend([0; 4]),
            b'!'..=b'u' => {
                word = word.wrapping_mul(85).wrapping_add(u32::from(b - b'!'));
                digits += 1;
                if digits == 5 {
                    out.extend(word.to_be_bytes());
                    (word, digits) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
        if out.len() > limit {
            return Err(bomb(limit));
        }
    }
    if digits > 1 {
        for _ in digits..5 {
            word = word.wrapping_mul(85).wrapping_add(84);
        }
        out.extend(word.to_be_bytes().into_iter().take(digits - 1));
    }
    Ok(out)
}

fn run_length(data: &[u8], limit: usize) -> Result<Vec<u8>, ReadRefusal> {
    let mut out = Vec::new();
    let mut rest = data;
    while let Some((&length, after)) = rest.split_first() {
        let length = usize::from(length);
        match length {
            128 => break,
            0..128 => {
                let (copied, left) = after.split_at_checked(length + 1).unwrap_or((after, &[]));
                out.extend_from_slice(copied);
                rest = left;
            }
            _ => {
                let Some((&b, left)) = after.split_first() else { break };
                out.resize(out.len() + 257 - length, b);
                rest = left;
            }
        }
        if out.len() > limit {
            return Err(bomb(limit));
        }
    }
    Ok(out)
}

/// LZW as in TIFF: codes of 9 to 12 bits, the first bit first.
fn lzw(data: &[u8], early: bool, limit: usize) -> Result<Vec<u8>, ReadRefusal> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut out: Vec<u8> = Vec::new();
    // Where in what came out each code's bytes stand: a code is what the one before it was, and one byte.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let (mut bits, mut have) = (0u32, 0u32);
    for &b in data {
        bits = bits << 8 | u32::from(b);
        have += 8;
        let next = END + 1 + table.len() + usize::from(early);
        let width = match next {
            0..=511 => 9,
            512..=1023 => 10,
            1024..=2047 => 11,
            _ => 12,
        };
        if have < width {
            continue;
        }
        have -= width;
        let code = (bits >> have) as usize & ((1 << width) - 1);
        bits &= (1 << have) - 1;
        if code == END {
            break;
        }
        if code == CLEAR {
            table.clear();
            last = None;
            continue;
        }
        // What the code before begins and the byte after it is a new code; it may be this very one.
        if let Some((at, length)) = last
            && END + 1 + table.len() < 4096
        {
            table.push((at, length + 1));
        }
        let begin = out.len();
        match u8::try_from(code) {
            Ok(byte) => out.push(byte),
            Err(_) => {
                let Some(&(at, length)) = table.get(code - END - 1) else { break };
                for from in at..at + length {
                    let Some(&byte) = out.get(from) else { break };
                    out.push(byte);
                }
            }
        }
        last = Some((begin, out.len() - begin));
        if out.len() > limit {
            return Err(bomb(limit));
        }
    }
    Ok(out)
}

/// Undoes the differences of rows that a predictor made: PNG's filters, or TIFF's of whole bytes.
fn unpredict(data: &[u8], predictor: u8, parameters: &Dict<'_>) -> Vec<u8> {
    let number = |name: &str, otherwise: usize| {
        parameters.get::<i32>(name).and_then(|n| usize::try_from(n).ok()).unwrap_or(otherwise)
    };
    let bits = number("Colors", 1).clamp(1, 32) * number("BitsPerComponent", 8).clamp(1, 16);
    let step = bits.div_ceil(8);
    let row = bits.saturating_mul(number("Columns", 1).clamp(1, 1 << 24)).div_ceil(8);
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    let png = predictor >= 10;
    for source in data.chunks(row + usize::from(png)) {
        let (filter, source) = match source.split_first() {
            Some((filter, rest)) if png => (*filter, rest),
            _ => (1, source),
        };
        let begin = out.len();
        for (at, &byte) in source.iter().enumerate() {
            let earlier = |back: usize| out.get((begin + at).wrapping_sub(back)).copied().unwrap_or(0);
            let left = if at >= step { earlier(step) } else { 0 };
            let above = if begin >= row { earlier(row) } else { 0 };
            let corner = if at >= step && begin >= row { earlier(row + step) } else { 0 };
            let guess = match filter {
                1 => left,
                2 => above,
                3 => u8::midpoint(left, above),
                4 => paeth(left, above, corner),
                _ => 0,
            };
            out.push(byte.wrapping_add(guess));
        }
    }
    out
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(above) - i16::from(corner);
    let away = |from: u8| guess.abs_diff(i16::from(from));
    match () {
        () if away(left) <= away(above) && away(left) <= away(corner) => left,
        () if away(above) <= away(corner) => above,
        () => corner,
    }
}
