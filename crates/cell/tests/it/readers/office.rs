//! Documents of office programs, made here part by part.

use std::io::{Cursor, Write as _};

use autoshare_cell::reader::read;
use autoshare_core::document::{AsideKind as A, Document, Format, Hint, ReadRefusal, RemovedKind as R};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::{SECRET, asides, kinds};

pub(super) fn pack(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        let stored = *name == "mimetype";
        let method = if stored { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn document(format: Format, parts: &[(&str, &str)]) -> Document {
    let document = read(&pack(parts), &Hint::default()).unwrap();
    assert_eq!(document.format, format);
    document
}

const TYPES: (&str, &str) = ("[Content_Types].xml", "<Types/>");

fn word(body: &str) -> Document {
    let styles = "<w:styles xmlns:w='w'><w:style w:styleId='Ghost'><w:basedOn w:val='Base'/></w:style><w:style w:styleId='Base'>\
                  <w:rPr><w:vanish/></w:rPr></w:style></w:styles>";
    let rels =
        "<Relationships><Relationship Id='r1' Target='https://evil.example/' TargetMode='External'/></Relationships>";
    let body = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
    let comments = format!("<w:comments><w:comment><w:p><w:r><w:t>{SECRET}</w:t></w:r></w:p></w:comment></w:comments>");
    document(
        Format::Docx,
        &[
            TYPES,
            ("word/document.xml", &body),
            ("word/styles.xml", styles),
            ("word/_rels/document.xml.rels", rels),
            ("word/comments.xml", &comments),
            ("docProps/core.xml", "<cp><dc:title>Plan</dc:title></cp>"),
        ],
    )
}

#[test]
fn d4_word_shows_what_is_on_the_page() {
    #[rustfmt::skip]
    let rows: &[(&str, R)] = &[
        ("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>{}</w:t></w:r></w:p>",                                          R::Hidden),
        ("<w:p><w:r><w:rPr><w:rStyle w:val='Ghost'/></w:rPr><w:t>{}</w:t></w:r></w:p>",                            R::Hidden),
        ("<w:p><w:pPr><w:pStyle w:val='Ghost'/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>",                            R::Hidden),
        ("<w:p><w:r><w:rPr><w:color w:val='FFFFFF'/></w:rPr><w:t>{}</w:t></w:r></w:p>",                            R::SameColour),
        ("<w:p><w:r><w:rPr><w:color w:val='x' w:themeColor='background1'/></w:rPr><w:t>{}</w:t></w:r></w:p>",      R::SameColour),
        ("<w:p><w:r><w:rPr><w:color w:val='112233'/><w:shd w:fill='112233'/></w:rPr><w:t>{}</w:t></w:r></w:p>",    R::SameColour),
        ("<w:p><w:r><w:rPr><w:sz w:val='2'/></w:rPr><w:t>{}</w:t></w:r></w:p>",                                    R::Tiny),
    ];
    for (body, kind) in rows {
        let document = word(&format!("<w:p><w:r><w:t>before</w:t></w:r></w:p>{}", body.replace("{}", SECRET)));
        assert_eq!(document.text, "before\n", "{body}");
        assert_eq!((kinds(&document), document.removed[0].text.as_str()), (vec![*kind], SECRET), "{body}");
    }
}

#[test]
fn word_is_laid_out_and_what_is_beside_it_is_labelled() {
    let document = word(
        "<w:p><w:r><w:t>a </w:t></w:r><w:r><w:rPr><w:b/><w:vanish w:val='0'/></w:rPr><w:t>b &amp; c</w:t></w:r></w:p>\
         <w:tbl><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
         <w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>\
         <w:p><w:r><w:drawing><wp:docPr descr='a chart'/></w:drawing></w:r></w:p>\
         <w:p><w:hyperlink r:id='r1'><w:r><w:t>bank.com</w:t></w:r></w:hyperlink></w:p>",
    );
    assert_eq!(document.text, "a b & c\n\n1 | 2\nnew\n(https://evil.example/)\n");
    assert_eq!(kinds(&document), [R::MisleadingLink]);
    let wanted = [(A::Deleted, "gone"), (A::Alt, "a chart"), (A::Comment, SECRET), (A::Metadata, "title: Plan")];
    assert_eq!(asides(&document), wanted);
}

#[test]
fn d4_sheets_show_what_is_not_hidden() {
    let workbook = "<workbook><sheets><sheet name='Seen' r:id='a'/><sheet name='Not' state='veryHidden' r:id='b'/></sheets></workbook>";
    let rels = "<R><R Id='a' Target='worksheets/sheet1.xml'/><R Id='b' Target='/xl/worksheets/sheet2.xml'/></R>";
    let strings = format!("<sst><si><t>one</t></si><si><r><t>{SECRET}</t></r></si></sst>");
    let styles = "<s><numFmts><numFmt numFmtId='9' formatCode=';;;'/></numFmts><fonts><font/><font><color rgb='FFFFFFFF'/></font></fonts>\
                  <fills><fill/></fills><cellXfs><xf fontId='0'/><xf fontId='1'/><xf fontId='0' numFmtId='9'/></cellXfs></s>";
    let sheet = "<ws><cols><col min='3' max='3' hidden='1'/></cols><sheetData>\
                 <row><c r='A1' t='s'><v>0</v></c><c r='B1'><v>2.5</v></c><c r='C1' t='s'><v>1</v></c></row>\
                 <row hidden='1'><c r='A2' t='s'><v>1</v></c></row>\
                 <row><c r='A3' s='1' t='s'><v>1</v></c><c r='B3' s='2' t='s'><v>1</v></c><c r='D3' t='inlineStr'><is><t>in</t></is></c></row>\
                 </sheetData></ws>";
    let other = "<ws><sheetData><row><c r='A1' t='s'><v>1</v></c></row></sheetData></ws>";
    let document = document(
        Format::Xlsx,
        &[
            TYPES,
            ("xl/workbook.xml", workbook),
            ("xl/_rels/workbook.xml.rels", rels),
            ("xl/sharedStrings.xml", &strings),
            ("xl/styles.xml", styles),
            ("xl/worksheets/sheet1.xml", sheet),
            ("xl/worksheets/sheet2.xml", other),
            ("xl/comments1.xml", "<comments><comment><text><t>note</t></text></comment></comments>"),
        ],
    );
    assert_eq!(document.text, "Seen\none | 2.5\nin\n");
    assert_eq!(kinds(&document), [R::Hidden, R::SameColour, R::Transparent]);
    assert_eq!(asides(&document), [(A::Comment, "note")]);
}

#[test]
fn d4_slides_show_what_is_on_them() {
    let shape = |properties: &str, run: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:cNvPr {properties}/></p:nvSpPr><p:txBody><a:p><a:r>{run}</a:r></a:p></p:txBody></p:sp>"
        )
    };
    let off = format!(
        "<p:sp><p:spPr><a:xfrm><a:off x='-900' y='0'/><a:ext cx='800' cy='9'/></a:xfrm></p:spPr><a:p><a:r><a:t>{SECRET}</a:t></a:r></a:p></p:sp>"
    );
    let secret = format!("<a:t>{SECRET}</a:t>");
    let first = format!(
        "<p:sld>{}{}{}{}{off}</p:sld>",
        shape("descr='logo'", "<a:t>Title</a:t>"),
        shape("hidden='1'", &secret),
        shape("", &format!("<a:rPr sz='100'/>{secret}")),
        shape("", &format!("<a:rPr><a:solidFill><a:srgbClr val='FFFFFF'/></a:solidFill></a:rPr>{secret}")),
    );
    let second = format!("<p:sld show='0'>{}</p:sld>", shape("", &secret));
    let document = document(
        Format::Pptx,
        &[
            TYPES,
            ("ppt/presentation.xml", "<p:presentation><p:sldSz cx='9000' cy='6000'/></p:presentation>"),
            ("ppt/slides/slide1.xml", &first),
            ("ppt/slides/slide2.xml", &second),
            (
                "ppt/notesSlides/notesSlide1.xml",
                "<p:notes><p:sp><a:p><a:r><a:t>say hello</a:t></a:r></a:p></p:sp></p:notes>",
            ),
        ],
    );
    assert_eq!(document.text, "Title\n");
    assert_eq!(kinds(&document), [R::Hidden, R::Tiny, R::SameColour, R::OffPage]);
    assert_eq!(asides(&document), [(A::Alt, "logo"), (A::Note, "say hello")]);
}

#[test]
fn d4_open_document_shows_what_is_on_the_page() {
    let content = format!(
        "<office:document-content><office:automatic-styles><style:style style:name='H'><style:text-properties text:display='none'/>\
         </style:style><style:style style:name='W'><style:text-properties fo:color='#ffffff'/></style:style><style:style style:name='T'>\
         <style:text-properties fo:font-size='1pt'/></style:style></office:automatic-styles><office:body><office:text>\
         <text:tracked-changes><text:changed-region><text:p>gone</text:p></text:changed-region></text:tracked-changes>\
         <text:p>seen <text:span text:style-name='H'>{SECRET}</text:span><text:span text:style-name='W'>{SECRET}</text:span>\
         <text:span text:style-name='T'>{SECRET}</text:span>words<office:annotation><text:p>note</text:p></office:annotation></text:p>\
         <table:table><table:table-row><table:table-cell><text:p>1</text:p></table:table-cell><table:table-cell><text:p>2</text:p>\
         </table:table-cell></table:table-row><table:table-row table:visibility='collapse'><table:table-cell><text:p>{SECRET}</text:p>\
         </table:table-cell></table:table-row></table:table></office:text></office:body></office:document-content>"
    );
    let document = document(
        Format::OpenDocument,
        &[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", &content)],
    );
    assert_eq!(document.text, "seen words\n\n1 | 2\n");
    assert_eq!(kinds(&document), [R::Hidden, R::SameColour, R::Tiny]);
    assert_eq!(asides(&document), [(A::Deleted, "gone"), (A::Comment, "note")]);
}

#[test]
fn d6_bombs_are_refused_before_they_go_off() {
    let refusal = |parts: &[(&str, &str)]| read(&pack(parts), &Hint::default()).unwrap_err();
    let zeros = " ".repeat(80 << 20);
    let unpacked = refusal(&[TYPES, ("word/document.xml", &zeros)]);
    assert!(matches!(&unpacked, ReadRefusal::Bomb { what, .. } if what == "bytes"), "{unpacked}");
    let deep = "<a>".repeat(100_000);
    let deep = refusal(&[TYPES, ("word/document.xml", &deep)]);
    assert!(matches!(&deep, ReadRefusal::Bomb { limit: 512, .. }), "{deep}");
    let entities = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>";
    let entities = refusal(&[TYPES, ("word/document.xml", entities)]);
    assert!(matches!(&entities, ReadRefusal::Malformed { .. }), "{entities}");
    let names: Vec<String> = (0..20_000).map(|at| format!("word/{at}")).collect();
    let many: Vec<(&str, &str)> = [TYPES].into_iter().chain(names.iter().map(|name| (name.as_str(), ""))).collect();
    let many = refusal(&many);
    assert!(matches!(&many, ReadRefusal::Bomb { what, .. } if what == "entries"), "{many}");
    let cut = pack(&[TYPES, ("word/document.xml", "<a/>")]);
    let cut = read(&cut[..cut.len() / 2], &Hint::default()).unwrap_err();
    assert!(matches!(&cut, ReadRefusal::Malformed { .. }), "{cut}");
}
