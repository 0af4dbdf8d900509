//! What fuzzing does to the decoders of what host and cell say to each other, in little and every time: random bytes,
//! good messages with bytes changed, and a fixed collection of nasty ones. `fuzz/` does it at length.

use std::fmt::Debug;
use std::os::unix::net::UnixDatagram;

use autoshare_core::document::{Aside, AsideKind, Document, Format, Hint, ReadRefusal, Removed, RemovedKind};
use autoshare_core::outcome::{Ending, Happened, Outcome, Plan};
use autoshare_core::wire::{
    Exit, FrameError, FromCell, FromInit, FromReader, MAX_FRAME, MAX_VALUES, Program, Stroke, ToCell, ToInit, ToReader,
    Window, decode, encode,
};
use autoshare_sandbox::parcel;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::host::action;

/// A frame's body: a message that says the same when it is sent on, or a typed refusal.
fn frame<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    if let Ok(message) = decode::<T>(body) {
        let again = encode(&message).unwrap();
        assert_eq!(decode::<T>(&again[4..]).unwrap(), message);
    }
}

/// A packet: likewise, and it is taken whole or not at all.
fn packet<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    if theirs.send(body).is_err() {
        return;
    }
    if let Ok(Some((message, fds))) = parcel::receive::<T>(&ours) {
        assert!(fds.is_empty() && body.len() <= parcel::MAX_MESSAGE);
        parcel::send(&theirs, &message, &[]).unwrap();
        assert_eq!(parcel::receive::<T>(&ours).unwrap().unwrap().0, message);
    }
}

fn every_decoder(body: &[u8]) {
    frame::<ToCell>(body);
    frame::<FromCell>(body);
    frame::<ToReader>(body);
    frame::<FromReader>(body);
    packet::<ToInit>(body);
    packet::<FromInit>(body);
}

fn document() -> Document {
    Document {
        asides: vec![Aside { kind: AsideKind::Alt, text: "a\n".into(), at: 1 }],
        removed: vec![Removed { kind: RemovedKind::Tiny, count: 1, bytes: 2, first_at: 0, text: "x".into(), cut: 3 }],
        charset: Some("KOI8-R".into()),
        ..Document::of(Format::Html, String::new())
    }
}

fn good() -> Vec<Vec<u8>> {
    fn body<T: Serialize>(message: &T) -> Vec<u8> {
        serde_json::to_vec(message).unwrap()
    }
    let act = action("write_file", json!({"path": "x", "content": "\u{1}é\"", "deep": [[{"a": null}], -1, 1.5e300]}));
    let (plan, outcome) =
        (Plan::default(), Outcome { ending: Ending::Done, text: "x".into(), spilled: None, after: None, bytes: 9 });
    let program =
        Program { argv: vec!["sh".into(), "-c".into()], env: [("A".into(), "b".into())].into(), dir: "/".into() };
    vec![
        body(&ToCell::Plan { job: u64::MAX, action: act.clone() }),
        body(&ToCell::Perform { job: 1, action: act.clone(), plan: plan.clone(), max_text: 1, spill_to: "s".into() }),
        body(&ToCell::Query { job: 0, action: act, plan: plan.clone() }),
        body(&FromCell::Ready { probes: vec![crate::host::probe()] }),
        body(&FromCell::Planned { job: 1, plan }),
        body(&FromCell::Performed { job: 1, outcome: outcome.clone() }),
        body(&FromCell::Answered { job: 1, happened: Happened::Unknown, outcome }),
        body(&ToReader { hint: Hint { mime: Some("text/html".into()), name: None }, bytes: u64::MAX }),
        body(&FromReader::Read { document: Box::new(document()), text: 3 }),
        body(&FromReader::Refused { refusal: ReadRefusal::Bomb { what: "bytes".into(), limit: 1 } }),
        body(&ToInit::Start {
            job: 1,
            program,
            given: [true, false, true],
            window: Window { rows: 1, columns: u16::MAX },
        }),
        body(&ToInit::Signal { job: 1, stroke: Stroke::Kill }),
        body(&ToInit::Sweep {}),
        body(&FromInit::Started { job: 1 }),
        body(&FromInit::NotStarted { job: 1, errno: i32::MIN }),
        body(&FromInit::Ended { job: 1, exit: Exit::Signal { signal: i32::MAX } }),
        body(&FromInit::Swept {}),
    ]
}

fn nasty() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 14] = [
        b"",
        b"\0",
        b"\xff\xfe\0\0",
        b"{",
        b"}",
        b"\"",
        b"\"\\",
        b"nullnull",
        b"{\"do\":{\"do\":1}}",
        b"{\"do\":\"sweep\",\"do\":\"signal\"}",
        b"{\"say\":\"swept\",\"x\":[1,2,3]}",
        b"{\"say\":\"ended\",\"job\":1e999}",
        b"{\"say\":\"ended\",\"job\":1,\"exit\":{\"how\":\"code\",\"code\":99999999999999999999}}",
        b"\"\\ud800\"",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
    for open in ["[", "{\"a\":", "\"", "[\"\\\"", "{\"say\":\"ready\",\"probes\":["] {
        all.push(open.repeat(5_000).into_bytes());
    }
    all.push([b"[".repeat(31), b"]".repeat(31)].concat());
    all
}

#[test]
fn b11_known_nasty_messages_and_every_cut_of_good_ones_are_survived() {
    let good = good();
    for body in good.iter().chain(&nasty()) {
        every_decoder(body);
    }
    for body in &good {
        (0..body.len()).for_each(|cut| every_decoder(&body[..cut]));
    }
    // The control: what is good is understood by its own decoder.
    assert!(good[..3].iter().all(|body| decode::<ToCell>(body).is_ok()));
    assert!(good[3..7].iter().all(|body| decode::<FromCell>(body).is_ok()));
    assert!(decode::<ToReader>(&good[7]).is_ok());
    assert!(good[8..10].iter().all(|body| decode::<FromReader>(body).is_ok()));
    assert!(good[10..13].iter().all(|body| serde_json::from_slice::<ToInit>(body).is_ok()));
    assert!(good[13..].iter().all(|body| serde_json::from_slice::<FromInit>(body).is_ok()));
}

#[test]
fn b11_what_would_take_more_memory_than_its_length_is_refused_before_it_is_parsed() {
    let bomb = |piece: &str, length: usize| {
        format!("{{\"say\":\"ready\",\"probes\":[],\"x\":[{}0]}}", piece.repeat(length / piece.len()))
    };
    for piece in ["0,", "[],", "{},", "\"\",", "{\"\":0},", "null,"] {
        let body = bomb(piece, MAX_FRAME - 100);
        assert_eq!(decode::<FromCell>(body.as_bytes()), Err(FrameError::TooMany), "{piece}");
        assert!(decode::<FromCell>(bomb(piece, MAX_VALUES).as_bytes()).is_ok(), "the control: {piece}");
    }
    // Commas and colons in a text are no values.
    let text = "a,b:".repeat(MAX_FRAME / 8);
    let performed = FromCell::Performed {
        job: 1,
        outcome: Outcome { ending: Ending::Done, text, spilled: None, after: None, bytes: 0 },
    };
    assert_eq!(decode::<FromCell>(&encode(&performed).unwrap()[4..]), Ok(performed));
    assert!(matches!(decode::<FromCell>(&vec![b' '; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn b11_random_bytes_are_survived(body in vec(any::<u8>(), 0..600)) {
        every_decoder(&body);
    }

    #[test]
    fn b11_changed_messages_are_survived(
        which in 0usize..14,
        changes in vec((any::<prop::sample::Index>(), prop_oneof![
            prop::sample::select(b"{}[]\",:\\0-eEn \xff\0".to_vec()), any::<u8>()]), 1..6),
        cut in any::<prop::sample::Index>(),
        double in any::<bool>(),
    ) {
        let mut body = good()[which].clone();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if double {
            let at = cut.index(body.len());
            body.extend_from_within(at..);
        }
        every_decoder(&body);
    }

    #[test]
    fn b11_random_json_is_survived(text in "(\\{\"(do|say)\":\"(plan|perform|query|start|signal|sweep|started|ended|ready)\"(,\"(job|action|plan|program|exit|probes)\":([0-9]{1,25}|null|\\[\\]|\\{\\}|\"[a-z]{0,3}\")){0,5}\\})|([\\[\\]{},:\"a0 ]{0,80})") {
        every_decoder(text.as_bytes());
    }
}
