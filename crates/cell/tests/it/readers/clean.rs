//! Text of which nothing is taken out is the same, byte for byte; and what a document is, is told by its content.

use autoshare_cell::reader::read;
use autoshare_core::document::{Document, Format, Hint, ReadRefusal};

use super::{hint, html, markdown};

#[test]
fn clean_markdown_is_untouched() {
    let paper = include_str!("../../../../../docs/ARCHITECTURE.md");
    let rows = [
        paper,
        "# T\r\n\r\n* a\r\n* b\r\n",
        "no line feed",
        "`<!-- code -->`\n\n    <script>indented</script>\n\n```html\n<div hidden>x</div>\n```\n",
        "a <br> b <b>c</b>\n\n<div align=\"center\">\n\n![logo](logo.png)\n\n</div>\n",
        "[a][x] and [b](c.md)\n\n[x]: https://a.example\n",
        "<https://a.example> https://b.example a@b.example\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n- [x] done\n\n1 < 2 && 3 > 2 &amp; x\n",
        "日本語 **太字** हिन्दी العربية\n",
    ];
    for source in rows {
        let document = markdown(source);
        assert_eq!(document.text, source);
        assert!(document.removed.is_empty() && document.asides.is_empty(), "{document:?}");
    }
}

#[test]
fn a_document_is_what_its_content_is() {
    type Row<'a> = (&'a [u8], Option<&'a str>, Option<&'a str>, Format, Option<&'a str>);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (b"<!DOCTYPE html><p>x",              None,                            None,           Format::Html,     None),
        (b"\n<!-- c --><html>",               Some("text/html"),               None,           Format::Html,     None),
        (b"<p>x</p>",                         Some("text/plain"),              None,           Format::Html,     Some("text/plain")),
        (b"<p>x</p>",                         None,                            Some("a.docx"), Format::Html,     Some(".docx")),
        (b"just words",                       Some("text/html"),               None,           Format::Html,     None),
        (b"just words",                       Some("application/pdf"),         None,           Format::Text,     Some("application/pdf")),
        (b"# words",                          None,                            Some("a.md"),   Format::Markdown, None),
        (b"# words",                          Some("text/markdown"),           None,           Format::Markdown, None),
        (b"{\"a\": 1}",                       Some("application/json"),        Some("a.json"), Format::Text,     None),
        (b"name: x\nfrom: y\n",               None,                            Some("a.yaml"), Format::Text,     None),
    ];
    for (bytes, mime, name, format, mismatch) in rows {
        let hint = Hint { mime: mime.map(str::to_owned), name: name.map(str::to_owned) };
        let document = read(bytes, &hint).unwrap();
        assert_eq!((document.format, document.mismatch.as_deref()), (*format, *mismatch), "{hint:?}");
    }
}

#[test]
fn what_is_no_document_is_refused_by_its_kind() {
    for (bytes, kind) in [
        (b"\x89PNG\r\n\x1a\n....".as_slice(), "image/png"),
        (b"\x7fELF\x02", "application/x-executable"),
        (b"PK\x03\x04\0\0x.txt", "application/zip"),
        (b"ab\0c", "application/octet-stream"),
    ] {
        let refusal = read(bytes, &hint("a.html")).unwrap_err();
        assert_eq!(refusal, ReadRefusal::Unknown { what: kind.to_owned() });
        assert!(refusal.to_string().contains("Convert it"));
    }
}

#[test]
fn charsets_are_converted_and_said() {
    #[rustfmt::skip]
    let rows: &[(&[u8], &str, &str, Option<&str>)] = &[
        ("é".as_bytes(),                                       "text/plain",                      "é",   None),
        (b"\xef\xbb\xbf\xc3\xa9",                              "text/plain",                      "é",   None),
        (b"\xff\xfea\0\xe9\0",                                 "text/plain",                      "aé",  Some("UTF-16LE")),
        (b"\xe9t\xe9",                                         "text/plain",                      "été", Some("windows-1252")),
        (b"\xe9",                                              "text/plain; charset=iso-8859-2",  "é",   Some("ISO-8859-2")),
        (b"\x93\xfa",                                          "text/plain; charset=\"Shift_JIS\"", "日", Some("Shift_JIS")),
        (b"<meta charset=koi8-r><p>\xc1",                      "text/html",                       "а\n", Some("KOI8-R")),
    ];
    for (bytes, mime, text, charset) in rows {
        let hint = Hint { mime: Some((*mime).to_owned()), name: None };
        let document = read(bytes, &hint).unwrap();
        assert_eq!((document.text.as_str(), document.charset.as_deref()), (*text, *charset), "{mime}");
    }
}

#[test]
fn what_is_more_than_is_looked_at_is_said() {
    let said = |document: &Document| document.asides.iter().filter(|aside| aside.text.starts_with("unread")).count();
    let rules = |count: usize| html(&format!("<!doctype html><style>{}</style><p>x", ".a{display:none}".repeat(count)));
    assert_eq!((said(&rules(4096)), said(&rules(5000))), (0, 1));
    let head = "From: a@b.example\r\nTo: c@d.example\r\nSubject: s\r\n";
    let people = format!("From: a@b.example\r\nSubject: s\r\nTo: {}c@d.example\r\n\r\nx", "c@d.example, ".repeat(99));
    let people = read(people.as_bytes(), &hint("a.eml")).unwrap();
    assert!(people.asides.iter().any(|aside| aside.text.ends_with("and 36 more")), "{people:?}");
    let parts = |part: &str| {
        let parts = part.repeat(300);
        let mail = format!("{head}Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}--x--\r\n");
        read(mail.as_bytes(), &hint("a.eml")).unwrap()
    };
    let texts = parts("--x\r\n\r\nword\r\n");
    assert_eq!((texts.text.matches("word").count(), texts.cut), (256, 44 * 4));
    let files = parts("--x\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n\r\nx\r\n");
    let named = files.asides.iter().filter(|aside| aside.text.starts_with("a.png")).count();
    assert_eq!((named, files.more_asides), (256, 44));
}
