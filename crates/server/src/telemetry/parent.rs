//! W3C Trace Context: the span of another program in which a request was made.

use hyper::header::HeaderMap;

use super::otlp::Parent;

const TRACEPARENT: &str = "traceparent";
/// Bytes of a header at most. A later version may say more than ours does.
const MAX: usize = 512;

/// What a request says of its span, if it says it once and well: `VERSION-TRACE-SPAN-FLAGS`, in lower-case hexadecimal digits
/// (section 3.2 of the recommendation). Whether that program keeps its own spans is not asked: what is kept here, the operator
/// says.
pub(crate) fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    let text = only.to_str().ok().filter(|text| text.len() <= MAX)?;
    let mut parts = text.split('-');
    let mut part = |digits: usize| parts.next().filter(|part| part.len() == digits).and_then(hex);
    let (version, trace, span, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_last = parts.next().is_none();
    let version = *version.first()?;
    if version == 0xff || version == 0 && !is_last {
        return None;
    }
    let (trace, span) = (trace.try_into().ok()?, span.try_into().ok()?);
    (trace != [0; 16] && span != [0; 8]).then_some(Parent { trace, span, is_remote: true })
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_a_parent() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACEPARENT, hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            parent(&headers)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let found = of(&[good]).unwrap();
        assert_eq!((found.trace[0], found.trace[15], found.span[0], found.span[7]), (0x0a, 0x9c, 0xb7, 0x31));
        assert!(found.is_remote);
        assert!(of(&[&good.replace("-01", "-00")]).is_some(), "the operator says what is kept");
        assert!(of(&[&good.replace("00-0", "cc-0")]).is_some(), "a later version");
        assert!(of(&[&format!("{}-more", good.replace("00-0", "cc-0"))]).is_some());
        let bad = [
            "".to_owned(),
            format!("{good}-more"),
            good.to_uppercase(),
            good.replace("00-0", "ff-0"),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good.replace("b7ad", "b7a"),
            good.replace("-01", ""),
            good.replace("b7ad", "b7ag"),
            format!(" {good}"),
            format!("{}-{}", good.replace("00-0", "cc-0"), "x".repeat(600)),
            "é".to_owned(),
        ];
        for bad in &bad {
            assert_eq!(of(&[bad]), None, "{bad:?}");
        }
        assert_eq!(of(&[good, good]), None, "it stands twice");
        assert_eq!(of(&[]), None);
    }
}
