//! ATTACKS rows D4 and D6 where they are met: a document in a cell of its own, and cells that a document took over.
//!
//! This test has a `main` of its own because launchers are forked while there is one thread, which the standard harness
//! does not have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::document::{
    Aside, AsideKind, Document, Format, Hint, MAX_ASIDES, MAX_TEXT, ReadRefusal, RemovedKind,
};
use autoshare_core::wire::{FromReader, encode};
use autoshare_host::{HostError, Reader};
use autoshare_sandbox::{Inside, Launcher, Tier};

fn main() {
    let honest = Launcher::start(honest).unwrap();
    let hostile = Launcher::start(hostile).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reader = Reader::new(Arc::new(honest), Tier::Narrow);
    let taken_over = Reader::new(Arc::new(hostile), Tier::Narrow).within(Duration::from_secs(5));
    runtime.block_on(async {
        step("d4_a_document_is_read_in_a_cell_of_its_own", a_document(&reader)).await;
        step("d6_what_is_no_document_is_refused", refused(&reader)).await;
        step("a_reader_that_was_taken_over_is_held_to_every_bound", bounds(&taken_over)).await;
        step("a_reader_that_ends_without_an_answer_is_a_refusal", ends(&taken_over)).await;
    });
    println!("test result: ok. 4 passed; 0 failed");
}

async fn step(name: &str, test: impl Future<Output = ()>) {
    print!("test {name} ... ");
    test.await;
    println!("ok");
}

fn honest(inside: Inside) -> i32 {
    assert!(inside.roots.is_empty() && inside.programs.is_none());
    i32::from(autoshare_cell::serve_reader(inside.socket, inside.probes).is_err())
}

fn named(name: &str) -> Hint {
    Hint { mime: None, name: Some(name.to_owned()) }
}

async fn a_document(reader: &Reader) {
    let page = "<!doctype html><title>T</title><p>seen<p hidden>unseen";
    let document = reader.read(page.as_bytes(), &named("a.html")).await.unwrap();
    assert_eq!((document.format, document.text.as_str()), (Format::Html, "seen\n"));
    assert_eq!(document.removed[0].kind, RemovedKind::Hidden);
    assert_eq!(document.asides[0].text, "T");
    // A long one comes whole, and one after the other in cells that share nothing.
    let long = "line of text\n".repeat(1 << 20);
    let document = reader.read(long.as_bytes(), &named("a.txt")).await.unwrap();
    assert!(document.text == long && document.removed.is_empty());
}

async fn refused(reader: &Reader) {
    let image = reader.read(b"\x89PNG\r\n\x1a\n", &named("a.html")).await.unwrap_err();
    assert!(matches!(image, HostError::Unread(ReadRefusal::Unknown { .. })), "{image}");
    let large = vec![b'x'; autoshare_core::document::MAX_INPUT + 1];
    let large = reader.read(&large, &named("a.txt")).await.unwrap_err();
    assert!(matches!(large, HostError::Unread(ReadRefusal::TooLarge { .. })), "{large}");
}

/// Does to the host what its document's first word says.
fn hostile(inside: Inside) -> i32 {
    let mut stream = UnixStream::from(inside.socket);
    let mut say = |message: &FromReader, text: &[u8]| {
        stream.write_all(&encode(message).unwrap()).unwrap();
        stream.write_all(text).unwrap();
    };
    say(&FromReader::Ready { probes: Vec::new() }, b"");
    let mut head = [0u8; 4];
    stream.read_exact(&mut head).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut frame).unwrap();
    let mut word = [0u8; 4];
    stream.read_exact(&mut word).unwrap();
    let mut say = |message: &FromReader, text: &[u8]| {
        stream.write_all(&encode(message).unwrap()).unwrap();
        stream.write_all(text).unwrap();
    };
    let read = |document: Document, text: u64| FromReader::Read { document: Box::new(document), text };
    let empty = || Document::of(Format::Text, String::new());
    match &word {
        b"many" => {
            let aside = || Aside { kind: AsideKind::Alt, text: "a".repeat(100_000), at: u64::MAX };
            let asides = std::iter::repeat_with(aside).take(100).collect();
            let charset = Some("x".repeat(10_000));
            say(&read(Document { asides, charset, ..empty() }, 3), b"abc");
        }
        b"more" => {
            let aside = || Aside { kind: AsideKind::Alt, text: "a".to_owned(), at: 0 };
            let asides = std::iter::repeat_with(aside).take(2_000).collect();
            say(&read(Document { asides, ..empty() }, 0), b"");
        }
        b"huge" => say(&read(empty(), MAX_TEXT as u64 + 1), b""),
        b"text" => say(&read(empty(), 2), b"\xff\xff"),
        b"half" => say(&read(empty(), 10), b"abc"),
        b"twic" => say(&FromReader::Ready { probes: Vec::new() }, b""),
        b"junk" => stream.write_all(b"\0\0\0\x02{]").unwrap(),
        b"long" => stream.write_all(b"\xff\xff\xff\xff").unwrap(),
        b"wait" => std::thread::sleep(Duration::from_secs(600)),
        b"spin" => loop {
            std::hint::spin_loop();
        },
        b"heap" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1u8; 16 << 20]);
            }
        }
        b"fail" => panic!("by its document"),
        _ => {}
    }
    0
}

async fn bounds(reader: &Reader) {
    let document = reader.read(b"many", &Hint::default()).await.unwrap();
    assert!(document.asides.iter().all(|aside| aside.text.len() <= 4096 && aside.at <= 3));
    assert_eq!((document.text.as_str(), document.charset.unwrap().len()), ("abc", 128));
    let document = reader.read(b"more", &Hint::default()).await.unwrap();
    assert_eq!((document.asides.len(), document.more_asides), (MAX_ASIDES, 2_000 - MAX_ASIDES as u64));
}

async fn ends(reader: &Reader) {
    #[rustfmt::skip]
    let rows = [
        ("huge", "claims a text"), ("text", "not UTF-8"), ("half", "in the middle"), ("twic", "\"ready\" twice"),
        ("junk", "not a message"), ("long", "a frame of 4294967295 bytes"), ("none", ""), ("wait", "longer than 5 s"),
        ("spin", "longer than 5 s"), ("heap", "out of memory"), ("fail", "fault in the reader"),
    ];
    for (word, how) in rows {
        match reader.read(word.as_bytes(), &Hint::default()).await.unwrap_err() {
            HostError::Unread(ReadRefusal::ReaderEnded { how: told }) => assert!(told.contains(how), "{word}: {told}"),
            other => panic!("{word}: {other}"),
        }
    }
}
