//! Spans as OTLP 1 has them in Protocol Buffers (opentelemetry-proto, `trace/v1/trace.proto`): what is sent is written here, and
//! of an answer it is read how many spans were refused.

use super::genai::{Attribute, SCHEMA, SERVICE_INSTANCE, SERVICE_NAME, SERVICE_VERSION, Value};

/// What a message of this form is.
pub(super) const CONTENT_TYPE: &str = "application/x-protobuf";

/// Whose the work is that a span tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Client = 3,
}

/// Where a trace comes from: a trace, and the span in it that called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether it is a span of another program.
    pub(super) is_remote: bool,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<Parent>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970 (UTC).
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<Attribute>,
    pub(super) is_error: bool,
}

/// A message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How a field is written: the wire types of Protocol Buffers.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn number(&mut self, field: u32, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u32, number: u64) {
        self.key(field, FIXED64);
        self.0.extend(number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        self.key(field, FIXED32);
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn attributes(&mut self, field: u32, all: &[Attribute]) {
        let text = |value: &mut Self, text: &str| value.bytes(1, text.as_bytes());
        for (key, value) in all {
            self.message(field, |pair| {
                pair.bytes(1, key.as_bytes());
                pair.message(2, |any| match value {
                    Value::Text(one) => text(any, one),
                    Value::Int(number) => any.number(3, *number),
                    Value::Texts(list) => {
                        any.message(5, |array| list.iter().for_each(|one| array.message(1, |any| text(any, one))));
                    }
                });
            });
        }
    }
}

impl Span {
    /// The span as a message `Span`.
    pub(super) fn encoded(&self) -> Vec<u8> {
        /// That it is sampled, and that it is known whether the parent is another program's.
        const FLAGS: u32 = 0x101;
        const REMOTE: u32 = 0x200;
        let mut span = Message::default();
        span.bytes(1, &self.trace);
        span.bytes(2, &self.id);
        if let Some(parent) = &self.parent {
            span.bytes(4, &parent.span);
        }
        span.bytes(5, self.name.as_bytes());
        span.number(6, self.kind as u64);
        span.fixed64(7, self.begun);
        span.fixed64(8, self.ended.max(self.begun));
        span.attributes(9, &self.attributes);
        if self.is_error {
            span.message(15, |status| status.number(3, 2));
        }
        let is_remote = self.parent.is_some_and(|parent| parent.is_remote);
        span.fixed32(16, FLAGS | if is_remote { REMOTE } else { 0 });
        span.0
    }
}

/// A message `ExportTraceServiceRequest` with these spans; `instance` is this process.
pub(super) fn request(instance: &str, spans: &[Vec<u8>]) -> Vec<u8> {
    let text = |text: &str| Value::Text(text.to_owned());
    let resource = [
        (SERVICE_NAME, text("autoshare")),
        (SERVICE_VERSION, text(env!("CARGO_PKG_VERSION"))),
        (SERVICE_INSTANCE, text(instance)),
    ];
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, |message| message.attributes(1, &resource));
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| scope.bytes(1, b"autoshare"));
            spans.iter().for_each(|span| of_scope.bytes(2, span));
            of_scope.bytes(3, SCHEMA.as_bytes());
        });
    });
    request.0
}

/// How many spans an `ExportTraceServiceResponse` says were refused. What is no such message says none.
pub(super) fn rejected(response: &[u8]) -> u64 {
    let partial = fields(response).find_map(|(field, value)| match value {
        Field::Bytes(bytes) if field == 1 => Some(bytes),
        _ => None,
    });
    let count = partial.and_then(|partial| {
        fields(partial).find_map(|(field, value)| match value {
            Field::Number(count) if field == 1 => Some(count),
            _ => None,
        })
    });
    // An int64: what is negative says nothing.
    count.filter(|count| *count <= i64::MAX as u64).unwrap_or(0)
}

enum Field<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    Other,
}

/// The fields of a message, up to what is none.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let key = varint(&mut rest)?;
        let value = match (key & 7) as u32 {
            FIXED64 => take(&mut rest, 8).map(|_| Field::Other)?,
            FIXED32 => take(&mut rest, 4).map(|_| Field::Other)?,
            VARINT => Field::Number(varint(&mut rest)?),
            BYTES => {
                let length = varint(&mut rest)?;
                Field::Bytes(take(&mut rest, length)?)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn take<'m>(rest: &mut &'m [u8], count: u64) -> Option<&'m [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(count).ok()?)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_were_refused_and_nothing_else_is_believed() {
        let partial = |inner: &[u8]| [&[0x0a, inner.len() as u8][..], inner].concat();
        let cases: [(Vec<u8>, u64); 10] = [
            (vec![], 0),
            (partial(&[0x08, 0x07]), 7),
            (partial(&[0x12, 0x02, b'n', b'o', 0x08, 0xac, 0x02]), 300),
            (partial(&[0x12, 0x02, b'n', b'o']), 0),
            (partial(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), 0),
            (vec![0x0a, 0xff], 0),
            (vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0),
            (vec![0x08, 0x80], 0),
            (vec![0x0f; 100], 0),
            (b"<html>no collector".to_vec(), 0),
        ];
        for (bytes, count) in cases {
            assert_eq!(rejected(&bytes), count, "{bytes:?}");
        }
        // Whatever comes, it ends.
        for seed in 0..2_000u32 {
            let noise: Vec<u8> = (0..40).map(|at| (seed.wrapping_mul(2_654_435_761) >> (at % 24)) as u8).collect();
            rejected(&noise);
        }
    }

    #[test]
    fn a_number_is_written_as_it_is_read() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut message = Message::default();
            message.varint(number);
            assert_eq!(varint(&mut &message.0[..]), Some(number));
        }
    }
}
