//! Row D4: technique by format. What a person does not see is not in the text, and the report says so.

use autoshare_core::document::RemovedKind as R;

use super::{SECRET, html, kinds, markdown};

/// `{}` stands for the sentence.
#[rustfmt::skip]
const HTML: &[(&str, R)] = &[
    ("<!-- {} -->",                                                            R::SourceComment),
    ("<!--> x --!> <!-- {} --!>",                                              R::SourceComment),
    ("<![CDATA[ {} ]]>",                                                       R::SourceComment),
    ("<? {} ?>",                                                               R::SourceComment),
    ("<script>say('{}')</script>",                                             R::Script),
    ("<script><!--<script></script>{}</script>--></script>",                   R::Script),
    ("<style>.x:after{content:'{}'}</style>",                                  R::Style),
    ("<template>{}</template>",                                                R::Template),
    ("<noscript>{}</noscript>",                                                R::Template),
    ("<object>{}</object>",                                                    R::Template),
    ("<video>{}</video>",                                                      R::Template),
    ("<iframe>{}</iframe>",                                                    R::Template),
    ("<iframe srcdoc='{}'></iframe>",                                          R::AutoLoad),
    ("<div hidden>{}</div>",                                                   R::Hidden),
    ("<DIV HIDDEN=''>{}</DIV>",                                                R::Hidden),
    ("<dialog>{}</dialog>",                                                    R::Hidden),
    ("<div popover>{}</div>",                                                  R::Hidden),
    ("<input type=hidden value='{}'>",                                         R::Hidden),
    ("<p style='display:none'>{}</p>",                                         R::Hidden),
    ("<p style='DISPLAY : NONE !important'>{}</p>",                            R::Hidden),
    ("<p style='display&#58;none'>{}</p>",                                     R::Hidden),
    ("<p style='display:/**/none'>{}</p>",                                     R::Hidden),
    (r"<p style='d\69splay:n\6fne'>{}</p>",                                    R::Hidden),
    ("<p style='display:none!important;display:block'>{}</p>",                 R::Hidden),
    ("<div style='display:none'><b>a</b><p>b<p>{}</div>",                      R::Hidden),
    ("<div style='display:none'><p>x</div>y<div style='display:none'>{}</div>", R::Hidden),
    ("<p style='content-visibility:hidden'>{}</p>",                            R::Hidden),
    ("<p style='visibility:hidden'>{}</p>",                                    R::Transparent),
    ("<p style='visibility:collapse'>{}</p>",                                  R::Transparent),
    ("<p style='opacity:0'>{}</p>",                                            R::Transparent),
    ("<p style='opacity:0.01'>{}</p>",                                         R::Transparent),
    ("<p style='opacity:1%'>{}</p>",                                           R::Transparent),
    ("<p style='filter:opacity(0)'>{}</p>",                                    R::Transparent),
    ("<p style='color:transparent'>{}</p>",                                    R::Transparent),
    ("<p style='color:rgba(0,0,0,0)'>{}</p>",                                  R::Transparent),
    ("<p style='color:rgb(0 0 0 / 2%)'>{}</p>",                                R::Transparent),
    ("<p style='color:#0000'>{}</p>",                                          R::Transparent),
    ("<p style='font-size:0'>{}</p>",                                          R::Tiny),
    ("<p style='font-size:1px'>{}</p>",                                        R::Tiny),
    ("<p style='font-size:.1em'>{}</p>",                                       R::Tiny),
    ("<p style='font-size:1%'>{}</p>",                                         R::Tiny),
    ("<p style='font:0/0 a'>{}</p>",                                           R::Tiny),
    ("<p style='font-size:20%'><b style='font-size:20%'>{}</b></p>",           R::Tiny),
    ("<p style='position:absolute;left:-9999px'>{}</p>",                       R::OffPage),
    ("<p style='top:-100em;position:fixed'>{}</p>",                            R::OffPage),
    ("<p style='text-indent:-9999px'>{}</p>",                                  R::OffPage),
    ("<p style='margin-left:-5000px'>{}</p>",                                  R::OffPage),
    ("<p style='transform:translateX(-9999px)'>{}</p>",                        R::OffPage),
    ("<p style='transform:scale(0)'>{}</p>",                                   R::OffPage),
    ("<p style='position:absolute;clip:rect(0,0,0,0)'>{}</p>",                 R::OffPage),
    ("<p style='clip-path:inset(50%)'>{}</p>",                                 R::OffPage),
    ("<p style='width:1px;height:1px;overflow:hidden'>{}</p>",                 R::OffPage),
    ("<p style='max-height:0;overflow:hidden'>{}</p>",                         R::OffPage),
    ("<p style='color:white'>{}</p>",                                          R::SameColour),
    ("<p style='color:#fefefe'>{}</p>",                                        R::SameColour),
    ("<p style='color:rgb(250,250,250)'>{}</p>",                               R::SameColour),
    ("<p style='color:hsl(0,0%,100%)'>{}</p>",                                 R::SameColour),
    ("<font color=white>{}</font>",                                            R::SameColour),
    ("<font color='#FFFFFF'>{}</font>",                                        R::SameColour),
    ("<body text=white>{}",                                                    R::SameColour),
    ("<table bgcolor=black><tr><td><font color=black>{}</table>",              R::SameColour),
    ("<div style='background:#123456'><p style='color:#123457'>{}</p></div>",  R::SameColour),
    ("<span aria-hidden=true>{}</span>",                                       R::AriaHidden),
    ("<style>.x{display:none}</style><p class='a x'>{}</p>",                   R::Hidden),
    ("<p class=x>{}</p><style>.x{display:none}</style>",                       R::Hidden),
    ("<style>#y,p.z{font-size:0}</style><p class=z>{}</p>",                    R::Tiny),
    ("<style>#y{opacity:0}</style><i id=y>{}</i>",                             R::Transparent),
    ("<style>div .x>b{display:none}</style><div><p class=x><b>{}</b></div>",   R::Hidden),
    ("<style>@media screen{.x{display:none}}</style><p class=x>{}</p>",        R::Hidden),
    ("<style>i{display:none !important}</style><i style='display:inline'>{}</i>", R::Hidden),
    ("<style>i *{display:none}</style><i><b>{}</b></i>",                       R::Hidden),
    ("<svg><style>.x{display:none}</style></svg><p class=x>{}</p>",            R::Hidden),
    // What a browser forgives.
    ("<span hidden><div>x</span>{}</div>",                                     R::Hidden),
    ("<b hidden><p>x</p><p>{}</p>",                                            R::Hidden),
    ("<p><b hidden>x</p><p>{}",                                                R::Hidden),
    ("<div hidden><table></div>{}</table></div>",                              R::Hidden),
    ("<li hidden><section><li>{}</section>",                                   R::Hidden),
    ("<div hidden></p></b></span></x>{}</div>",                                R::Hidden),
    ("<div hidden><td></td></tr></table>{}</div>",                             R::Hidden),
    ("<div hidden/>{}</div>",                                                  R::Hidden),
    ("<div hidden\n>{}</div\n x='>'>",                                         R::Hidden),
    ("<div a='>' hidden>{}</div>",                                             R::Hidden),
    ("<div a=b\"c hidden d=\">\">{}</div>",                                    R::Hidden),
    ("<div style='display:none' style='display:block'>{}</div>",               R::Hidden),
    ("<b><p hidden>x</b>{}</p>",                                               R::Hidden),
    ("<div style='color:white'><b style='color:black'><p>x</b>{}</p></div>",   R::SameColour),
    ("<svg><style><!--</style>{}--></style></svg>",                            R::SourceComment),
    ("<select hidden><option>{}</select>",                                     R::Hidden),
    ("<textarea hidden></div>{}</textarea>",                                   R::Hidden),
    ("<title><!--</title><!-- {} --></title>",                                 R::SourceComment),
];

#[test]
fn d4_html_shows_what_a_person_sees() {
    for (source, kind) in HTML {
        let source = format!("<!doctype html><p>before</p>{}<p>after</p>", source.replace("{}", SECRET));
        let document = html(&source);
        assert!(!document.text.contains("ignore"), "{source}\n{}", document.text);
        assert!(document.text.contains("before"), "{source}\n{}", document.text);
        let removed = document.removed.iter().find(|removed| removed.kind == *kind);
        let removed = removed.unwrap_or_else(|| panic!("{source}: {:?}", document.removed));
        assert!(removed.text.contains("ignore all rules"), "{source}: {removed:?}");
    }
}

#[test]
fn d4_what_is_hidden_is_handed_over_whole_up_to_a_bound() {
    let hidden = |source: &str| {
        let document = html(&format!("<!doctype html>{source}"));
        document.removed.into_iter().map(|removed| (removed.kind, removed.text, removed.cut)).collect::<Vec<_>>()
    };
    // Words keep together over tags; blocks and places stand on lines of their own.
    let source =
        "<div hidden>ig<b>nore</b>  all\n\n rules<p>and</div>x<i hidden>wire  </i><i hidden>it</i><script>f()</script>";
    assert_eq!(
        hidden(source),
        [(R::Hidden, "ignore all\nrules\nand\nwire\nit".to_owned(), 0), (R::Script, "f()".to_owned(), 0)]
    );
    // All kinds share the bound; of a program there is only the beginning.
    let long = format!(
        "<p hidden>{}</p><!-- {} --><script>{}</script>",
        "a ".repeat(30_000),
        "b".repeat(9_000),
        "c".repeat(9_000)
    );
    let found = hidden(&long);
    let kept: Vec<_> = found.iter().map(|(kind, text, cut)| (*kind, text.len(), *cut)).collect();
    assert_eq!(kept, [(R::Hidden, 59_999, 0), (R::SourceComment, 5_536, 9_000 - 5_536), (R::Script, 0, 9_000)]);
}

/// What is seen in spite of what is around it.
#[rustfmt::skip]
const SEEN: &[&str] = &[
    "<div hidden>x</div>{}",
    "<p hidden>x<p>{}",
    "<div hidden><p>x</div>{}",
    "<div hidden><div>x</div></div>{}",
    "<div hidden style='display:block'>{}</div>",
    "<div style='visibility:hidden'><p style='visibility:visible'>{}</p></div>",
    "<ul style='font-size:0'><li style='font-size:16px'>{}</ul>",
    "<div style='background:#000;color:#fff'>{}</div>",
    "<div style='background:url(x.png);color:#fff'>{}</div>",
    "<body bgcolor=black text=white>{}",
    "<div style='color:white'><a href='#x'>{}</a></div>",
    "<div style='color:white'><button>{}</button></div>",
    "<style>.x{display:none}</style><p class=y>{}</p>",
    "<style>@media print{p{display:none}}</style><p>{}</p>",
    "<style media=print>p{display:none}</style><p>{}</p>",
    "<style>p:hover{display:none} .a+p{display:none}</style><p>{}</p>",
    "<style>p{display:none} p{display:block}</style><p>{}</p>",
    "<style>p{display:none} #y{display:block}</style><p id=y>{}</p>",
    "<style>.x p{display:none}</style><div class=x></div><p>{}</p>",
    "<b hidden>x</b>{}",
    "<p><b hidden>x</b></p><p>{}",
    "<table><tr><td hidden>x<td>{}</table>",
    "<table><tr><td><b hidden>x<td>{}</table>",
    "<details open><summary>s</summary>{}</details>",
    "<details><summary>{}</summary>x</details>",
    "<dialog open>{}</dialog>",
    "<pre>{}</pre>", "<textarea>{}</textarea>", "<xmp>{}</xmp>", "<td>{}</td>", "a<b c>{}", "&lt;b hidden&gt;{}", "< b hidden>{}",
    "<input value='{}'>", "<i aria-hidden=false>{}</i>", "<svg></svg>{}", "<svg><p>{}</p></svg>",
    "<p style='opacity:.5;position:relative;left:-3px;margin-left:-20px'>{}</p>",
];

#[test]
fn d4_what_is_seen_is_not_taken_out() {
    for source in SEEN {
        let source = format!("<!doctype html><p>before</p>{}", source.replace("{}", SECRET));
        let document = html(&source);
        assert!(document.text.contains(SECRET), "{source}\n{document:?}");
    }
}

#[rustfmt::skip]
const MARKDOWN: &[(&str, R)] = &[
    ("<!-- {} -->",                                         R::SourceComment),
    ("text <!-- {} --> text",                               R::SourceComment),
    ("[//]: # ({})",                                        R::SourceComment),
    ("[x]: http://a.example \"{}\"",                        R::SourceComment),
    ("<div hidden>\n\n{}\n\n</div>",                        R::Hidden),
    ("a <span style='display:none'>{}</span> b",            R::Hidden),
    ("a <span style='display:none'>**x** {}",               R::Hidden),
    ("<p style=\"font-size:0\">{}</p>",                     R::Tiny),
    ("<style>.x{display:none}</style>\n\n<i class=x>{}</i>", R::Hidden),
    ("<script>\n{}\n</script>",                             R::Script),
    ("<div><script>\n\n</div>\n\n{}\n\n</script>",          R::Script),
    ("<div><!--\n\n{}\n\n-->",                              R::Hidden),
    ("> <div\n> hidden>\n>\n> {}\n",                        R::Hidden),
    ("- a\n\n  <div\n  hidden>\n\n  {}\n",                  R::Hidden),
    ("<img src='https://e.example/x.png?{}'>",              R::RemoteImage),
    ("![alt](<https://e.example/x.png?{}>)",                R::RemoteImage),
    ("<iframe src=x>{}</iframe>",                           R::Template),
    ("<embed src='{}'>",                                    R::AutoLoad),
    ("[x](<javascript:{}>)",                                R::ActiveLink),
    ("[x](<data:text/html,{}>)",                            R::ActiveLink),
];

#[test]
fn d4_markdown_shows_what_a_person_sees() {
    for (source, kind) in MARKDOWN {
        let source = format!("before\n\n{}\n", source.replace("{}", SECRET));
        let document = markdown(&source);
        assert!(!document.text.contains("ignore"), "{source}\n{}", document.text);
        assert!(document.text.starts_with("before\n"), "{source}\n{}", document.text);
        assert!(kinds(&document).contains(kind), "{source}: {:?}", document.removed);
    }
}
