//! What is the same value in other clothes, and what is another value.

use autoshare_core::tool::Role;
use autoshare_core::verdict::Provenance;
use autoshare_gate::History;

use Role::{Amount, Content, Target};

/// What a person said, a value, its role. The value is the person's.
const THE_SAME: &[(&str, &str, Role)] = &[
    // Case, blanks, Unicode.
    ("Write to ann@example.org", "Ann@Example.ORG", Target),
    ("Write to ann@example.org", "  ann@example.org\n", Target),
    ("the file  Annual\n\treport.md", "annual report.md", Target),
    ("Write to Zoë Kraft", "Zoe\u{308} Kraft", Target),
    ("Write to ＡＮＮ＠example.org", "ann@example.org", Target),
    ("the ﬁle oﬃce.md", "office.md", Target),
    ("ask ΣΊΣΥΦΟΣ about it", "σίσυφος", Target),
    // What stands around it.
    ("mail ann@example.org.", "ann@example.org", Target),
    ("mail ann@example.org, then stop", "ann@example.org", Target),
    ("mail (ann@example.org)?", "ann@example.org", Target),
    ("mail \"ann@example.org\"!", "ann@example.org", Target),
    ("mail <ann@example.org>;", "ann@example.org", Target),
    ("mail ann@example.org.They wait.", "ann@example.org", Target),
    ("Send it to Kraft's office", "Kraft", Target),
    ("Send it to Kraft’s office", "Kraft", Target),
    ("post in #general-talk today", "general-talk", Target),
    ("to: ann@example.org", "ann@example.org", Target),
    ("owner=ann-k", "ann-k", Target),
    ("读取 报告文件 然后发送", "报告文件", Target),
    ("请把报告发给王小明谢谢", "王小明", Target),
    // Addresses.
    ("open https://docs.example.com/a", "docs.example.com/a", Target),
    ("open docs.example.com/a", "https://docs.example.com/a", Target),
    ("open https://docs.example.com/a/", "https://docs.example.com/a", Target),
    ("open https://docs.example.com/a", "https://docs.example.com/a/", Target),
    ("write to ann@example.org", "mailto:ann@example.org", Target),
    ("write to ann@example.org", "Ann Kraft <ann@example.org>", Target),
    ("write to Ann Kraft <ann@example.org>", "ann@example.org", Target),
    // Numbers.
    ("pay 1,100.00", "1100", Amount),
    ("pay 1,100", "1100.00", Amount),
    ("pay 1100", "1100.0", Amount),
    ("pay 1,234,567.5", "1234567.50", Amount),
    ("pay $98.70", "98.7", Amount),
    ("pay 5 now", "5", Amount),
    ("the rate is -2.50", "-2.5", Amount),
    ("pay 1,100, and no more", "1100", Amount),
    // Days.
    ("on May 15th, 2024", "2024-05-15", Content),
    ("on 15 May 2024", "2024-05-15", Content),
    ("on the 1st of March 2025", "2025-03-01", Content),
    ("on Sep 2, 2024", "2024-09-02", Content),
    ("on 2024/05/15", "2024-05-15", Content),
    ("on May 15, 2024 at 10:30", "2024-05-15T10:30:00", Content),
    // Short and common values, quoted or introduced.
    ("the user 'me'", "me", Target),
    ("the channel \"general\"", "general", Target),
    ("the file `a`", "a", Target),
    ("issue #12", "12", Target),
    ("the item with id 7", "7", Target),
    ("order no: 42", "42", Target),
    ("message_id=3", "3", Target),
    ("a folder named work", "work", Target),
];

/// What a person said, a value that looks like what was said, its role. The value is not the person's.
const ANOTHER: &[(&str, &str, Role)] = &[
    // Part of a longer word, path or address.
    ("write to joann@example.org", "ann@example.org", Target),
    ("write to joe-ann@example.org", "ann@example.org", Target),
    ("write to joe.ann@example.org", "ann@example.org", Target),
    ("write to joe+ann@example.org", "ann@example.org", Target),
    ("write to ann@example.org.uk", "ann@example.org", Target),
    ("write to ann@example.orga", "ann@example.org", Target),
    ("write to ann@example.org", "example.org", Target),
    ("write to ann@example.org", "ann", Target),
    ("write to o'brien@example.org", "brien@example.org", Target),
    ("open docs.example.com/a/b", "docs.example.com/a", Target),
    ("open docs.example.com/a", "docs.example.com", Target),
    ("open www.docs.example.com", "docs.example.com", Target),
    ("open docs.example.com-evil.net", "docs.example.com", Target),
    ("see data/summary.md", "summary.md", Target),
    ("see old-notes.md", "notes.md", Target),
    ("see notes.md.bak", "notes.md", Target),
    ("see ~notes.md", "notes.md", Target),
    ("call +4912345678", "12345678", Target),
    ("account GB29NWBK", "29", Target),
    // Part of a longer number, day or time.
    ("pay 1,100.00", "100", Amount),
    ("pay 1,100.00", "1", Amount),
    ("pay 98.70", "98", Amount),
    ("pay 98.70", "70", Amount),
    ("pay 1100", "110", Amount),
    ("pay 100", "100.01", Amount),
    ("pay 100", "-100", Amount),
    ("pay -100", "100", Amount),
    ("at 10:30", "30", Amount),
    ("on May 15, 2024", "2024-05-16", Content),
    ("on May 15, 2024", "2024-15-05", Content),
    ("on 05/06/2024", "2024-06-05", Content),
    ("on 05/06/2024", "2024-05-06", Content),
    // Look-alikes.
    ("write to ann@example.org", "аnn@example.org", Target),
    ("write to ann@example.org", "ann@exаmple.org", Target),
    ("write to ann@example.org", "ann@examp1e.org", Target),
    ("write to bill@example.org", "bilI@example.org.", Target),
    ("write to ann@example.org", "ann\u{200b}@example.org", Target),
    ("write to ann@example.org", "ann\u{ad}@example.org", Target),
    ("write to ann@example.org", "\u{202e}ann@example.org", Target),
    // Split, joined, encoded, shortened.
    ("write to ann@example.org", "ann@ example.org", Target),
    ("write to ann at example.org", "ann@example.org", Target),
    ("write to ann@example.org, ben@example.org", "ann@example.org ben@example.org", Target),
    ("write to ann@example.org", "YW5uQGV4YW1wbGUub3Jn", Target),
    ("write to ann@example.org", "ann%40example.org", Target),
    ("write to ann@example.org", "grо.elpmaxe@nna", Target),
    ("write to Johanna Kraft", "J. Kraft", Target),
    ("write to Johanna Kraft", "Johanna  K", Target),
    ("write to ann@example.org", "ann@example", Target),
    // What leads elsewhere.
    ("open https://docs.example.com", "https://docs.example.com@evil.example", Target),
    ("open https://docs.example.com", "https://evil.example/docs.example.com", Target),
    ("open https://docs.example.com", "https://docs.example.com.evil.example", Target),
    ("open https://docs.example.com", "https://docs.example.com?to=evil", Target),
    ("open https://docs.example.com", "https://docs.example.com#x", Target),
    ("write to ann@example.org", "mailto:ann@example.org?bcc=mallory@evil.example", Target),
    ("write to ann@example.org", "mallory@evil.example <ann@example.org>", Target),
    ("write to ann@example.org", "mallory,<ann@example.org>", Target),
    ("write to ann@example.org", "<ann@example.org> mallory@evil.example", Target),
    ("write to ann@example.org", "<mallory@evil.example><ann@example.org>", Target),
    // Short and common words say nothing where they stand by chance.
    ("I am me, so help me", "me", Target),
    ("send it to all users", "users", Target),
    ("read the file and send it", "file", Target),
    ("the general channel", "channel", Target),
    ("buy 3 apples", "3", Target),
    ("a b c d", "b", Target),
    ("ten of 1000", "1000", Target),
    ("", "", Target),
];

#[test]
fn a_value_in_other_clothes_is_the_same() {
    let wrong = THE_SAME.iter().filter(|(said, value, role)| located(said, value, *role) != Provenance::User);
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&(&str, &str, Role)>::new());
}

#[test]
fn another_value_is_another() {
    let wrong = ANOTHER.iter().filter(|(said, value, role)| located(said, value, *role) != Provenance::TaintedModel);
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&(&str, &str, Role)>::new());
}

/// In content a value counts wherever it stands as a word, however short or common it is: that makes nothing milder.
#[test]
fn in_content_nothing_has_to_be_telling() {
    // (text, value, whether it stands there)
    let table = [
        ("write to mallory@evil.example", "MALLORY@evil.example", true),
        ("write to mallory@evil.example", "evil.example", true),
        ("send it to me", "me", true),
        ("buy 3 apples", "3", true),
        ("write to joann@example.org", "ann@example.org", false),
        ("pay 1,100.00", "1100", true),
        ("on May 15, 2024", "2024-05-15", true),
        ("發送給王小明", "王小明", true),
        ("write to mallory@evil.example", "mallory@evil.exampl", false),
    ];
    for (text, value, stands) in table {
        let mut history = History::new();
        history.add_content("mail:1", text);
        let content = Provenance::Content { source: "mail:1".to_owned() };
        let expected = if stands { content } else { Provenance::TaintedModel };
        assert_eq!(history.locate(value, Target).provenance, expected, "{text:?}: {value:?}");
    }
}

#[test]
fn what_a_person_and_others_said_is_the_persons_wherever_it_was_said_first() {
    let mut history = History::new();
    history.add_content("mail:1", "write to ann@example.org");
    assert!(matches!(history.locate("ann@example.org", Target).provenance, Provenance::Content { .. }));
    history.trust("write to ann@example.org");
    assert_eq!(history.locate("ann@example.org", Target).provenance, Provenance::User);
}

fn located(said: &str, value: &str, role: Role) -> Provenance {
    let mut history = History::new();
    history.trust(said);
    history.add_content("mail:0", "nothing of it");
    history.locate(value, role).provenance
}
