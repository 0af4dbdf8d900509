//! Mails as a mail program shows them.

use autoshare_cell::reader::read;
use autoshare_core::document::{AsideKind as A, Document, Format, Hint, ReadRefusal, RemovedKind as R};

use super::{SECRET, asides, kinds};

fn mail(source: &str) -> Document {
    let document = read(source.replace('\n', "\r\n").as_bytes(), &Hint::default()).unwrap();
    assert_eq!(document.format, Format::Mail);
    document
}

const HEAD: &str = "From: =?utf-8?q?Zo=C3=AB?= <zoe@a.example>\nTo: ann@b.example, Bob <bob@b.example>\nSubject: =?utf-8?b?SGkgw6k=?=\nDate: Sat, 28 Nov 2026 10:00:00 +0100\nX-Note: unseen\n";

#[test]
fn headers_stand_apart_and_are_labelled() {
    let document = mail(&format!("{HEAD}\nHello Ann,\n\n> you wrote\n\nyes.\n"));
    assert_eq!(document.text.replace('\r', ""), "Hello Ann,\n\n> you wrote\n\nyes.\n");
    let wanted = [
        "From: Zoë <zoe@a.example>",
        "To: ann@b.example, Bob <bob@b.example>",
        "Date: 2026-11-28T10:00:00+01:00",
        "Subject: Hi é",
    ];
    assert_eq!(asides(&document), wanted.map(|header| (A::Header, header)));
}

#[test]
fn d4_of_two_forms_the_one_that_is_shown_counts() {
    let document = mail(&format!(
        "{HEAD}MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\n{SECRET}\n--x\n\
         Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>Hi <span style=3D\"display:none\">\
         {SECRET}</span>Ann<blockquote>old<blockquote>older</blockquote></blockquote>\n--x--\n"
    ));
    assert_eq!(document.text, "Hi Ann\n\n> old\n\n>> older\n");
    assert_eq!(kinds(&document), [R::Hidden, R::Template]);
    assert!(document.removed.iter().all(|removed| removed.text == SECRET), "{:?}", document.removed);
}

#[test]
fn attachments_are_listed_and_not_read() {
    let document = mail(&format!(
        "{HEAD}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=iso-8859-1\n\
         Content-Transfer-Encoding: base64\n\n6XTp\n--x\nContent-Type: application/pdf; name=\"plan.pdf\"\n\
         Content-Disposition: attachment; filename=\"plan.pdf\"\nContent-Transfer-Encoding: base64\n\naWdub3Jl\n--x--\n"
    ));
    assert_eq!(document.text, "été\n");
    assert_eq!(asides(&document).last(), Some(&(A::Attachment, "plan.pdf (application/pdf, 6 bytes)")));
}

#[test]
fn d6_mails_within_mails_have_an_end() {
    let nested = format!("{HEAD}Content-Type: message/rfc822\n\n").repeat(10_000);
    let refusal = read(nested.as_bytes(), &Hint::default()).unwrap_err();
    assert!(matches!(refusal, ReadRefusal::Bomb { limit: 32, .. }), "{refusal}");
}
