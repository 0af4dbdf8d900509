//! Recording and playing back.

use autoshare_broker::standin::StandInError;
use autoshare_broker::standin::gullible;
use autoshare_broker::standin::replay::{Recorder, Replay};
use autoshare_core::chat::{Message, Reply, Request};

use crate::world::tools;

fn request(mark: &str, results: &[&str]) -> Request {
    let mut messages = vec![
        Message::System { text: format!("Data stands between marks that bear {mark}.") },
        Message::User { text: "Read a.md. Read b.md.".to_owned() },
    ];
    for (at, result) in results.iter().enumerate() {
        let request = Request { messages: messages.clone(), tools: tools(), max_output: 100 };
        let reply = gullible::reply(&request).unwrap();
        let call_id = reply.calls[0].id.clone();
        messages.push(Message::Assistant { text: reply.text, calls: reply.calls });
        let text = format!("[data {mark} from \"file:{at}\"]\n{result}\n[end of data {mark}]");
        messages.push(Message::Tool { call_id, text });
    }
    Request { messages, tools: tools(), max_output: 100 }
}

const ONE: &str = "5f0c5f0c5f0c5f0c";
const OTHER: &str = "aaaabbbbccccdddd";

fn recorded() -> (Vec<u8>, Vec<Reply>) {
    let mut recorder = Recorder::new();
    let mut replies = Vec::new();
    for results in [&[][..], &["first"], &["first", "second"]] {
        let request = request(ONE, results);
        let reply = gullible::reply(&request).unwrap();
        recorder.record(&request, &reply);
        replies.push(reply);
    }
    (recorder.to_json(), replies)
}

#[test]
fn a_recorded_conversation_is_played_back_whatever_mark_frames_its_results() {
    let (json, replies) = recorded();
    let replay = Replay::load(&json).unwrap();
    assert_eq!(replay.turns(), 3);
    for mark in [ONE, OTHER] {
        assert_eq!(replay.reply(&request(mark, &[])).unwrap(), replies[0]);
        assert_eq!(replay.reply(&request(mark, &["first"])).unwrap(), replies[1]);
        assert_eq!(replay.reply(&request(mark, &["first", "second"])).unwrap(), replies[2]);
    }
}

#[test]
fn leaving_the_record_says_what_differs() {
    let replay = Replay::load(&recorded().0).unwrap();
    let error = replay.reply(&request(ONE, &["another"])).unwrap_err().to_string();
    for words in ["at turn 2", "a result of read_file", "first", "another"] {
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    let mut goal = request(ONE, &[]);
    goal.messages[1] = Message::User { text: "Something else".to_owned() };
    let error = replay.reply(&goal).unwrap_err();
    assert!(
        matches!(&error, StandInError::LeftTheRecord { turn: 1, found, .. } if found.contains("Something else")),
        "{error}"
    );
    let mut longer = request(ONE, &["first", "second"]);
    longer.messages.push(Message::Assistant { text: "done".to_owned(), calls: vec![] });
    assert_eq!(replay.reply(&longer), Err(StandInError::RecordEnded { turns: 3 }));
    let empty = Request { messages: vec![], tools: vec![], max_output: 1 };
    assert!(matches!(replay.reply(&empty), Err(StandInError::LeftTheRecord { turn: 1, .. })));
}

#[test]
fn what_is_no_recording_is_refused_with_the_reason() {
    let (json, _) = recorded();
    let text = String::from_utf8(json).unwrap();
    let rows: [(&str, String, &str); 5] = [
        ("not JSON", "hello".to_owned(), "not a recorded conversation"),
        ("another format", text.replace("autoshare-replay", "other"), "its format is \"other\""),
        (
            "a newer version",
            text.replace("\"version\": 1", "\"version\": 2"),
            "format version 2; this program plays version 1",
        ),
        ("an unknown field", text.replace("\"turns\"", "\"turnz\""), "turnz"),
        ("a digest that is none", text.replace("\"digest\": \"", "\"digest\": \"x"), "64 hexadecimal digits"),
    ];
    for (what, text, words) in rows {
        let error = Replay::load(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{what}: {words:?} is not in {error:?}");
    }
}
