//! PDF, written here object by object.

use std::io::Write as _;
use std::time::{Duration, Instant};

use autoshare_cell::reader::read;
use autoshare_core::document::{AsideKind as A, Document, Format, Hint, ReadRefusal, RemovedKind as R};
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::fuzz::is_bounded;
use super::{SECRET, asides, kinds};

/// A document: the catalogue is object 1, the pages are object 2, the one page is object 3 and its content object 4; fonts
/// are `F`, Helvetica, and what is in `fonts`.
#[derive(Default)]
pub(crate) struct Draft<'a> {
    pub(crate) content: &'a str,
    pub(crate) catalogue: &'a str,
    pub(crate) page: &'a str,
    pub(crate) fonts: &'a str,
    pub(crate) resources: &'a str,
    pub(crate) trailer: &'a str,
    /// From number 6 on: a dictionary's inside, and a stream where there is one.
    pub(crate) more: &'a [(&'a str, Option<&'a [u8]>)],
}

impl Draft<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let page = format!(
            "/Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F 5 0 R {} >> {} >> {}",
            self.fonts, self.resources, self.page
        );
        let catalogue = format!("/Type /Catalog /Pages 2 0 R {}", self.catalogue);
        let mut objects: Vec<(&str, Option<&[u8]>)> = vec![
            (&catalogue, None),
            ("/Type /Pages /Kids [3 0 R] /Count 1", None),
            (&page, None),
            ("", Some(self.content.as_bytes())),
            ("/Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding", None),
        ];
        objects.extend_from_slice(self.more);
        file(&objects, self.trailer)
    }

    fn read(&self) -> Document {
        let document = read(&self.bytes(), &Hint::default()).unwrap();
        assert_eq!(document.format, Format::Pdf);
        is_bounded(&document);
        document
    }
}

/// Objects, their table and a trailer.
fn file(objects: &[(&str, Option<&[u8]>)], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (at, (inside, stream)) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n\r\n", bytes.len()));
        match stream {
            Some(stream) => {
                write!(bytes, "{} 0 obj\n<< {inside} /Length {} >>\nstream\n", at + 1, stream.len()).unwrap();
                bytes.extend_from_slice(stream);
                bytes.extend_from_slice(b"\nendstream\nendobj\n");
            }
            None => write!(bytes, "{} 0 obj\n<< {inside} >>\nendobj\n", at + 1).unwrap(),
        }
    }
    let size = objects.len() + 1;
    let begin = bytes.len();
    write!(bytes, "xref\n0 {size}\n0000000000 65535 f\r\n{table}").unwrap();
    write!(bytes, "trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{begin}\n%%EOF\n").unwrap();
    bytes
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn content(content: &str) -> Document {
    Draft { content, ..Draft::default() }.read()
}

const SEEN: &str = "BT /F 12 Tf 50 700 Td (What is seen.) Tj ET ";

#[test]
fn words_and_lines_are_told_by_their_places() {
    let text = |source: &str| content(source).text;
    let table: &[(&str, &str)] = &[
        ("BT /F 12 Tf 50 700 Td (One) Tj 0 -14 Td (Two) Tj 0 -40 Td (Three) Tj ET", "One\nTwo\n\nThree\n"),
        ("BT /F 12 Tf 14 TL 50 700 Td (One) Tj (Two) ' 1 2 (Three) \" T* (Four) Tj ET", "OneTwo\nThree\nFour\n"),
        ("BT /F 12 Tf 14 TL 50 700 Td (One) Tj T* (Two) Tj ET", "One\nTwo\n"),
        ("BT /F 12 Tf 50 700 Td [(Ke) 30 (rn) -20 (ed) -300 (words)] TJ ET", "Kerned words\n"),
        ("BT /F 12 Tf 5 Tc 50 700 Td (Wide) Tj ET", "Wide\n"),
        ("BT /F 12 Tf 1 0 0 1 120 700 Tm (right) Tj 1 0 0 1 50 700 Tm (left) Tj ET", "left right\n"),
        ("BT /F 12 Tf 0 1 -1 0 300 100 Tm (turned ) Tj (round) Tj ET", "turned round\n"),
        ("q 2 0 0 2 0 0 cm BT /F 6 Tf 20 300 Td (large) Tj ET Q BT /F 12 Tf 20 580 Td (small) Tj ET", "large\nsmall\n"),
        ("BT /F 12 Tf 50 700 Td (Bold) Tj ET BT /F 12 Tf 50.3 700 Td (Bold) Tj ET", "Bold\n"),
        ("BT /F 12 Tf 50 700 Td (x) Tj 6 Ts (2) Tj ET", "x2\n"),
        ("BT /F 12 Tf 50 700 Td (caf\\351 \\200 \\(5\\)) Tj <20616263> Tj ET", "café € (5) abc\n"),
    ];
    for (source, wanted) in table {
        let wanted = wanted.replace("OneTwo", "One\nTwo");
        assert_eq!(text(source), wanted, "{source}");
    }
    let scattered: String = "What is seen"
        .char_indices()
        .map(|(at, c)| (at * 7 % 12, at, c))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .flat_map(|(_, at, c)| {
            let place = 50 + at * 10;
            [700, 650].map(|y| format!("BT /F 15 Tf 1 0 0 1 {place} {y} Tm ({c}) Tj ET "))
        })
        .collect();
    let scattered: String = content(&scattered).text.split_whitespace().collect();
    assert_eq!(scattered, "WhatisseenWhatisseen");
}

#[test]
fn letters_are_what_their_font_says() {
    let map = b"/CIDInit begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange 2 beginbfchar <0003> <0020> \
                <0010> <00660069> endbfchar 2 beginbfrange <0041> <005a> <0041> <0061> <0062> [<0061> <D83DDE00>] endbfrange";
    let packed = deflate(map);
    let mapped = "/Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 7 0 R /DescendantFonts [8 0 R]";
    let identity = "/Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [8 0 R]";
    let wide = "/Type /Font /Subtype /Type0 /Encoding /UniJIS-UTF16-H /DescendantFonts [8 0 R]";
    let kana = "/Type /Font /Subtype /Type0 /Encoding /90ms-RKSJ-H /DescendantFonts [8 0 R]";
    let named = "/Type /Font /Subtype /Type1 /BaseFont /ABC+X /FirstChar 1 /Widths [500 500 500 500 500 500] /Encoding \
                 << /Differences [1 /H /eacute /fi /uni2192 /u1F600 /alpha /g123] >>";
    let type_1 = "/Type /Font /Subtype /Type1 /BaseFont /CM /FontDescriptor << /Flags 4 /FontFile 14 0 R >>";
    let inside =
        b"/Encoding 256 array 0 1 255 {1 index exch /.notdef put} for dup 58/period put dup 59 /comma put readonly def";
    let length = format!("/Length1 {}", inside.len());
    let document = Draft {
        content: "BT /A 12 Tf 50 700 Td <004100100003006100620042> Tj 0 -14 Td /B 12 Tf <0001000200030004> Tj 0 -14 Td /C 12 Tf \
                  <65E5672C> Tj 0 -14 Td /D 12 Tf <93fa967b41> Tj 0 -14 Td /E 12 Tf <0102030405060704> Tj 0 -14 Td \
                  /G 12 Tf (:;!) Tj /None 12 Tf (no font) Tj ET",
        fonts: "/A 6 0 R /B 9 0 R /C 10 0 R /D 11 0 R /E 12 0 R /G 13 0 R",
        more: &[
            (mapped, None),
            ("/Filter /FlateDecode", Some(&packed)),
            ("/Type /Font /Subtype /CIDFontType2 /DW 500 /W [3 [250] 65 90 600]", None),
            (identity, None),
            (wide, None),
            (kana, None),
            (named, None),
            (type_1, None),
            (&length, Some(inside)),
        ],
        ..Draft::default()
    }
    .read();
    assert_eq!(
        document.text,
        "Afi a😀B\n\u{fffd}\u{fffd}\u{fffd}\u{fffd}\n日本\n日本A\nHéfi→😀α\u{fffd}→\n.,\u{fffd}\n"
    );
    let said = "unreadable: 13 letters, whose fonts do not say what they are";
    assert_eq!(asides(&document), [(A::Metadata, said)]);
}

#[test]
fn d4_what_nobody_sees_is_taken_out() {
    let secret = |before: &str| format!("q {before} BT /F 12 Tf 50 600 Td ({SECRET}) Tj ET Q");
    let page = "";
    let crop = "/CropBox [0 650 600 800]";
    let layer = "/OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >>";
    let base_off = "/OCProperties << /OCGs [6 0 R] /D << /BaseState /OFF /ON [] >> >>";
    let marked = format!("/OC /L BDC {} EMC", secret(""));
    let members = format!("/OC /M BDC {} EMC", secret(""));
    let tiny = format!("BT /F 1 Tf 50 600 Td ({SECRET}) Tj ET");
    let shrunk = format!("q .1 0 0 .1 0 0 cm BT /F 12 Tf 500 6000 Td ({SECRET}) Tj ET Q");
    let flat = format!("BT /F 12 Tf 1 0 0 .05 50 600 Tm ({SECRET}) Tj ET");
    let beside = format!("BT /F 12 Tf 900 600 Td ({SECRET}) Tj ET");
    let covered = format!("{} 1 1 1 rg 40 590 500 30 re f", secret(""));
    let under_image = format!("{} q 600 0 0 800 0 0 cm /I Do Q", secret("").replace("600 Td", "20 Td"));
    let under_image = under_image.replace("600 0 0 800", "600 0 0 100");
    let outlined = secret("1 Tr 1 1 1 RG");
    #[rustfmt::skip]
    let table: &[(&str, String, &str, &str, R)] = &[
        ("invisible mode",        secret("3 Tr"),                              page, "",       R::Transparent),
        ("for clipping only",     secret("7 Tr"),                              page, "",       R::Transparent),
        ("without opacity",       secret("/G gs"),                             page, "",       R::Transparent),
        ("white",                 secret("1 g"),                               page, "",       R::SameColour),
        ("nearly white",          secret(".97 .98 .99 rg"),                    page, "",       R::SameColour),
        ("without ink",           secret("0 0 0 0 k"),                         page, "",       R::SameColour),
        ("white of a profile",    secret("/P cs 1 1 1 sc"),                    page, "",       R::SameColour),
        ("none of a spot colour", secret("/S cs 0 scn"),                       page, "",       R::SameColour),
        ("black on black",        secret("0 0 600 650 re f"),                  page, "",       R::SameColour),
        ("white outlines",        outlined,                                    page, "",       R::SameColour),
        ("tiny",                  tiny,                                        page, "",       R::Tiny),
        ("shrunk",                shrunk,                                      page, "",       R::Tiny),
        ("flat",                  flat,                                        page, "",       R::Tiny),
        ("beside the page",       beside,                                      page, "",       R::OffPage),
        ("beside the crop",       secret(""),                                  crop, "",       R::OffPage),
        ("clipped away",          secret("0 0 0 0 re W n"),                    page, "",       R::OffPage),
        ("clipped elsewhere",     secret("0 700 600 20 re W n"),               page, "",       R::OffPage),
        ("on a layer",            marked.clone(),                              page, layer,    R::Hidden),
        ("on layers off at first", marked,                                     page, base_off, R::Hidden),
        ("on a set of layers",    members,                                     page, layer,    R::Hidden),
        ("in a form of a layer",  "/X Do".to_owned(),                          page, layer,    R::Hidden),
        ("covered",               covered,                                     page, "",       R::Hidden),
        ("under an image",        under_image,                                 page, "",       R::Hidden),
    ];
    let form = format!("BT /F 12 Tf 50 600 Td ({SECRET}) Tj ET");
    for (what, hidden, page, catalogue, kind) in table {
        let source = format!("{SEEN}{hidden} 0 g BT /F 12 Tf 50 680 Td (And this.) Tj ET");
        let document = Draft {
            content: &source,
            page,
            catalogue,
            resources: "/ExtGState << /G << /ca 0 >> >> /ColorSpace << /P [/ICCBased 7 0 R] /S [/Separation /Red /DeviceRGB 7 0 R] >> \
                        /Properties << /L 6 0 R /M << /Type /OCMD /OCGs [6 0 R] >> >> /XObject << /X 8 0 R /I 9 0 R >>",
            more: &[
                ("/Type /OCG /Name (Hidden)", None),
                ("/N 3", Some(b"")),
                ("/Type /XObject /Subtype /Form /BBox [0 0 600 800] /OC 6 0 R", Some(form.as_bytes())),
                ("/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8", Some(b"\xff")),
            ],
            ..Draft::default()
        }
        .read();
        assert!(!document.text.contains("ignore"), "{what}: {}", document.text);
        assert_eq!(document.text, "What is seen.\nAnd this.\n", "{what}");
        assert_eq!(kinds(&document), [*kind], "{what}");
        let removed = &document.removed[0];
        assert_eq!((removed.text.as_str(), removed.count), (SECRET, 1), "{what}");
    }
}

#[test]
fn what_is_seen_stays() {
    let table: &[(&str, &str)] = &[
        ("white on black", "0 0 600 800 re f 1 g BT /F 12 Tf 50 600 Td (Words.) Tj ET"),
        (
            "white on an image",
            "q 600 0 0 800 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q 1 g BT /F 12 Tf 50 600 Td (Words.) Tj ET",
        ),
        ("outlines of a white letter", "1 g 2 Tr BT /F 12 Tf 50 600 Td (Words.) Tj ET"),
        ("a marker's stroke", "BT /F 12 Tf 50 600 Td (Words.) Tj ET /G gs 1 1 0 rg 40 590 200 30 re f"),
        ("a frame", "BT /F 12 Tf 50 600 Td (Words.) Tj ET 40 590 200 30 re S"),
        ("within a clip", "q 0 500 600 200 re W n BT /F 12 Tf 50 600 Td (Words.) Tj ET Q"),
        ("a form", "q 1 0 0 1 0 100 cm /X Do Q"),
        ("layers that are on", "/OC /L BDC BT /F 12 Tf 50 600 Td (Words.) Tj ET EMC"),
    ];
    for (what, content) in table {
        let document = Draft {
            content,
            resources: "/ExtGState << /G << /BM /Multiply >> >> /XObject << /X 7 0 R >> /Properties << /L 6 0 R >>",
            catalogue: "/OCProperties << /OCGs [6 0 R] /D << /OFF [] >> >>",
            more: &[
                ("/Type /OCG /Name (Shown)", None),
                ("/Type /XObject /Subtype /Form /BBox [0 0 600 800]", Some(b"BT /F 12 Tf 50 500 Td (Words.) Tj ET")),
            ],
            ..Draft::default()
        }
        .read();
        assert_eq!((document.text.as_str(), document.removed.as_slice()), ("Words.\n", [].as_slice()), "{what}");
    }
}

#[test]
fn what_stands_beside_is_labelled_and_what_runs_is_taken_out() {
    let document = Draft {
        content: "BT /F 12 Tf 50 700 Td (Pay at bank.com now) Tj 0 -20 Td (here) Tj ET",
        catalogue: "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> /Names << /JavaScript << /Names [(a) << /S /JavaScript /JS \
                    (more) >>] >> /EmbeddedFiles << /Kids [<< /Names [(x) << /Type /Filespec /F (tool.exe) /Desc (a tool) >>] >>] >> >> \
                    /AcroForm << /Fields [10 0 R] >> /Metadata 11 0 R /AA << /WC << /S /Launch /F (cmd.exe) >> >>",
        page: "/Annots [6 0 R 7 0 R 8 0 R 9 0 R 10 0 R 13 0 R]",
        trailer: "/Info << /Title (Plan) /Author <FEFF00C4> >>",
        more: &[
            ("/Subtype /Link /Rect [80 690 150 715] /A << /S /URI /URI (https://evil.example/) >>", None),
            ("/Subtype /Link /Rect [40 670 150 692] /A << /S /URI /URI (https://good.example/) >>", None),
            ("/Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (javascript:run) >>", None),
            ("/Subtype /Text /Rect [0 0 9 9] /T (Ann) /Contents (a note)", None),
            ("/Subtype /Widget /Rect [50 600 250 620] /T (name) /V (Bob) /AP << /N 12 0 R >> /AA << /K << /S /JavaScript /JS (key) >> >>", None),
            ("/Type /Metadata", Some(b"<x:xmpmeta><dc:title><rdf:Alt><rdf:li>Plan B</rdf:li></rdf:Alt></dc:title></x:xmpmeta>")),
            ("/Subtype /Form /BBox [0 0 100 10]", Some(b"BT /F 6 Tf 2 2 Td (Bob) Tj ET")),
            ("/Subtype /FreeText /F 2 /Rect [50 500 250 520] /AP << /N 12 0 R >>", None),
        ],
        ..Draft::default()
    }
    .read();
    assert_eq!(document.text, "Pay at (https://evil.example/) now\nhere\n\nBob\n");
    let wanted = [
        (A::Annotation, "link: here: https://good.example/"),
        (A::Comment, "Ann: a note"),
        (A::Attachment, "tool.exe (a tool)"),
        (A::Annotation, "field name: Bob"),
        (A::Metadata, "title: Plan"),
        (A::Metadata, "author: Ä"),
        (A::Metadata, "title: Plan B"),
    ];
    assert_eq!(asides(&document), wanted);
    let removed: Vec<(R, u64)> = document.removed.iter().map(|removed| (removed.kind, removed.count)).collect();
    let wanted = [(R::ActiveLink, 1), (R::Script, 3), (R::MisleadingLink, 1), (R::Hidden, 1), (R::AutoLoad, 1)];
    assert_eq!(removed, wanted);
}

#[test]
fn streams_are_unpacked_as_they_were_packed() {
    let plain = SEEN.as_bytes();
    let hex: String = plain.iter().map(|b| format!("{b:02x}")).chain([">".to_owned()]).collect();
    let mut runs = vec![u8::try_from(plain.len() - 1).unwrap()];
    runs.extend_from_slice(plain);
    runs.push(128);
    let rows: Vec<u8> = plain.chunks(10).flat_map(|row| [&[0], row].concat()).collect();
    let up: Vec<u8> = plain
        .chunks(8)
        .scan([0u8; 8], |above, row| {
            let out: Vec<u8> =
                [2].into_iter().chain(row.iter().zip(*above).map(|(b, up)| b.wrapping_sub(up))).collect();
            above[..row.len()].copy_from_slice(row);
            Some(out)
        })
        .flatten()
        .collect();
    // LZW without a code of more than one byte: a clear every 200 codes keeps all of them 9 bits wide.
    let mut bits: Vec<bool> = Vec::new();
    let mut push = |code: u16| bits.extend((0..9).rev().map(|bit| code >> bit & 1 == 1));
    push(256);
    plain.iter().for_each(|b| push(u16::from(*b)));
    push(257);
    let lzw: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | u8::from(*bit) << (7 - at)))
        .collect();
    let ascii_85 = r##"6<#'\7PQ#?1*BP.+>khq2_Zp.<+I+"87cURD_*#TDfTZ).3MT)+@T6~>"##;
    let table: &[(&str, &[u8])] = &[
        ("/Filter /FlateDecode", &deflate(plain)),
        ("/Filter [/ASCIIHexDecode]", hex.as_bytes()),
        ("/Filter /RunLengthDecode", &runs),
        ("/Filter /LZWDecode", &lzw),
        ("/Filter [/FlateDecode /ASCIIHexDecode]", &deflate(hex.as_bytes())),
        ("/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 10 >>", &deflate(&rows)),
        ("/Filter [/FlateDecode] /DecodeParms [<< /Predictor 12 /Columns 8 >>]", &deflate(&up)),
    ];
    for (filters, packed) in table {
        let page = "/Contents [4 0 R 6 0 R]";
        let document = Draft { page, more: &[(filters, Some(packed))], ..Draft::default() }.read();
        assert_eq!(document.text, "What is seen.\n", "{filters}");
    }
    let more: &[(&str, Option<&[u8]>)] = &[("/Filter /ASCII85Decode", Some(ascii_85.as_bytes()))];
    let document =
        Draft { page: "/Contents 6 0 R /Resources << /Font << /F1 5 0 R >> >>", more, ..Draft::default() }.read();
    assert_eq!(document.text, "Hello, world\n");
}

#[test]
fn d6_bombs_are_refused_before_they_go_off() {
    let refusal = |bytes: &[u8]| read(bytes, &Hint::default()).unwrap_err();
    let zeros = deflate(&vec![b' '; 80 << 20]);
    let more: &[(&str, Option<&[u8]>)] = &[("/Filter /FlateDecode", Some(&zeros))];
    let unpacked = refusal(&Draft { page: "/Contents 6 0 R", more, ..Draft::default() }.bytes());
    assert!(matches!(&unpacked, ReadRefusal::Bomb { what, .. } if what == "bytes"), "{unpacked}");
    let twice = deflate(&zeros);
    let more: &[(&str, Option<&[u8]>)] = &[("/Filter [/FlateDecode /FlateDecode]", Some(&twice))];
    let twice = refusal(&Draft { page: "/Contents 6 0 R", more, ..Draft::default() }.bytes());
    assert!(matches!(&twice, ReadRefusal::Bomb { .. }), "{twice}");
    let more: &[(&str, Option<&[u8]>)] = &[("/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", Some(&zeros))];
    let objects = refusal(&Draft { more, ..Draft::default() }.bytes());
    assert!(matches!(&objects, ReadRefusal::Bomb { .. }), "{objects}");
    let pages = vec!["<< /Type /Page >>"; 20_001].join(" ");
    let pages = format!("/Type /Pages /Kids [{pages}]");
    let many = file(&[("/Type /Catalog /Pages 2 0 R", None), (&pages, None)], "");
    let many = refusal(&many);
    assert!(matches!(&many, ReadRefusal::Bomb { what, .. } if what == "pages"), "{many}");
    // Twenty forms, each of which draws the next one: ten times, or once.
    let inside: Vec<String> = (7..27)
        .map(|next| format!("/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >>"))
        .collect();
    let forms = |content: &str| {
        let more: Vec<(&str, Option<&[u8]>)> =
            inside.iter().map(|form| (form.as_str(), Some(content.as_bytes()))).collect();
        Draft { content: "/X Do", resources: "/XObject << /X 6 0 R >>", more: &more, ..Draft::default() }.bytes()
    };
    let wide = refusal(&forms(&"/X Do ".repeat(10)));
    assert!(matches!(&wide, ReadRefusal::Bomb { .. }), "{wide}");
    assert_eq!(kinds(&read(&forms("/X Do"), &Hint::default()).unwrap()), [R::TooDeep]);
    // Nested arrays and dictionaries, in the file and in a page.
    for nest in ["[", "<< /A ", "(", "<", "q ", "/OC /L BDC ", "BT ", "BI "] {
        let nested = nest.repeat(100_000);
        let document = Draft { content: &nested, ..Draft::default() }.read();
        assert_eq!(document.text, "");
        let catalogue = nest.repeat(5000);
        let _ = read(&Draft { catalogue: &catalogue, ..Draft::default() }.bytes(), &Hint::default());
    }
    let secret = "/Encrypt << /Filter /Standard /V 1 /R 2 /O (0123456789abcdef0123456789abcdef) /U \
                  (0123456789abcdef0123456789abcdef) /P -1 >> /ID [(a) (a)]";
    let locked = refusal(&Draft { content: SEEN, trailer: secret, ..Draft::default() }.bytes());
    assert!(locked.to_string().contains("encrypted"), "{locked}");
    let cut = Draft { content: SEEN, ..Draft::default() }.bytes();
    assert!(matches!(refusal(&cut[..cut.len() / 8]), ReadRefusal::Malformed { .. }));
    let unlisted = read(&cut[..cut.len() - 60], &Hint::default()).unwrap();
    assert_eq!(unlisted.text, "What is seen.\n");
}

#[test]
fn d6_time_is_linear_in_hostile_pages() {
    let pieces = [
        SEEN,
        "(a) Tj ",
        "0 0 1 1 re f ",
        "/X Do ",
        "q ",
        "1 0 0 1 0 0 cm ",
        "/OC /L BDC ",
        "[(a) 1 (b)] TJ ",
        "BI ID EI ",
        "BI /W 1 ID x EI Q ",
        "/F 12 Tf ",
        "[",
        "(",
        "<< ",
        "BT 1 0 0 1 5 5 Tm (a b) Tj ET 1 1 1 1 re f ",
    ];
    for piece in pieces {
        let time = |bytes: usize| {
            let source = Draft { content: &piece.repeat(bytes / piece.len()), ..Draft::default() }.bytes();
            let runs = (0..3).map(|_| {
                let start = Instant::now();
                let _ = std::hint::black_box(read(&source, &Hint::default()));
                start.elapsed()
            });
            runs.min().unwrap().max(Duration::from_micros(500))
        };
        let (small, large) = (time(1 << 13), time(1 << 17));
        // Sixteen times the text: quadratic time would be 256 times as long.
        assert!(large < small * 100, "{piece:?}: {small:?} for 8 KiB, {large:?} for 128 KiB");
    }
}

/// A document with something of everything.
fn rich() -> Vec<u8> {
    let map = deflate(b"1 beginbfrange <0001> <00ff> <0041> endbfrange");
    Draft {
        content: "BT /F 12 Tf 50 700 Td (Words) Tj /A 9 Tf [<00010002> -200 <0003>] TJ ET /X Do /OC /L BDC 0 0 9 9 re W n EMC",
        catalogue: "/OCProperties << /OCGs [9 0 R] /D << /OFF [9 0 R] >> >> /AcroForm << /Fields [10 0 R] >>",
        page: "/Annots [10 0 R]",
        fonts: "/A 6 0 R",
        resources: "/XObject << /X 8 0 R >> /Properties << /L 9 0 R >>",
        trailer: "/Info << /Title (x) >>",
        more: &[
            ("/Subtype /Type0 /Encoding /Identity-H /ToUnicode 7 0 R /DescendantFonts [<< /W [1 [500] 2 9 600] >>]", None),
            ("/Filter /FlateDecode", Some(&map)),
            ("/Subtype /Form /BBox [0 0 600 800] /Matrix [1 0 0 1 0 0]", Some(b"q 1 g BT /F 9 Tf (form) Tj ET Q")),
            ("/Type /OCG", None),
            ("/Subtype /Widget /Rect [1 2 3 4] /V (v) /AP << /N 8 0 R >>", None),
        ],
    }
    .bytes()
}

const PIECES: &[&str] = &[
    " 0 R",
    "[",
    "]",
    "<<",
    ">>",
    "(",
    ")",
    "/",
    "-1",
    "99999999999",
    "stream",
    "endobj",
    "obj",
    "3 0 R",
    "8 0 R",
    "\0",
    "\u{ff}",
    "/Kids",
    "/Contents",
    "/W [1 ",
    "Tj",
    " q ",
    " Do ",
    "1e9",
    "/ObjStm",
    "/Prev 9 ",
    "xref",
    "trailer",
    "/Length 9999",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn damaged_documents_are_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, prop::sample::select(PIECES)), 1..12)
    ) {
        let mut bytes = rich();
        for (at, gone, piece) in cuts {
            let at = at.index(bytes.len());
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes.splice(..0, b"%PDF-1.7\n".iter().copied());
        if let Ok(document) = read(&bytes, &Hint::default()) {
            is_bounded(&document);
        }
    }

    #[test]
    fn arbitrary_bytes_behind_a_header_are_read_or_refused(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [b"%PDF-1.7\n".as_slice(), &rest].concat();
        if let Ok(document) = read(&bytes, &Hint::default()) {
            is_bounded(&document);
        }
    }

    #[test]
    fn arbitrary_content_is_drawn(rest in "[ -~\\n]{0,200}") {
        Draft { content: &format!("BT /F 12 Tf 50 50 Td {rest}"), ..Draft::default() }.read();
    }
}
