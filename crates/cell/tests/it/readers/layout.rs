//! How a document looks as text, and what stands beside it.

use autoshare_core::document::{AsideKind as A, RemovedKind as R};

use super::{SECRET, asides, html, kinds, markdown};

#[test]
fn a_page_is_laid_out_on_lines() {
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        ("<h1>Title</h1><p>One\n two.<p>Three",                     "Title\n\nOne two.\n\nThree\n"),
        ("<div>a</div><div>b</div>c",                               "a\nb\nc\n"),
        ("a<br>b<br><br>c",                                         "a\nb\n\nc\n"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>d",                      "- a\n- b\n- c\n\nd\n"),
        ("<ol start=3><li>a<li hidden>x<li>b</ol>",                 "3. a\n5. b\n"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>",             "a | b\n1 | 2\n"),
        ("<pre>  a\n    b</pre>",                                   "  a\n    b\n"),
        ("<p>a <b>b</b> c<i>d</i></p>",                             "a b cd\n"),
        ("x &amp; y &lt;z&gt; &eacute; &#x41;&nbsp;b",              "x & y <z> é A\u{a0}b\n"),
        ("<a href='https://a.example/x'>here</a>, ok",              "here (https://a.example/x), ok\n"),
        ("<a href='https://a.example/'>a.example</a>",              "a.example\n"),
        ("<a href='mailto:a@b.example'>a@b.example</a>",            "a@b.example\n"),
        ("<a href='#top'>up</a>",                                   "up\n"),
        ("<p><a href='x.html'>a<p>b</a>c",                          "a (x.html)\n\nb (x.html)c\n"),
        ("",                                                        ""),
    ];
    for (source, wanted) in rows {
        let source = format!("<!doctype html>{source}");
        assert_eq!(html(&source).text, *wanted, "{source}");
    }
}

#[test]
fn d4_what_is_beside_a_page_is_kept_apart_and_labelled() {
    #[rustfmt::skip]
    let rows: &[(&str, A)] = &[
        ("<img src=x.png alt='{}'>",                                          A::Alt),
        ("<i title='{}'>x</i>",                                               A::Tooltip),
        ("<meta name=description content='{}'>",                              A::Metadata),
        ("<title>{}</title>",                                                 A::Metadata),
        ("<script type='application/ld+json'>{\"a\":\"{}\"}</script>",        A::Metadata),
        ("<details><summary>s</summary>{}</details>",                         A::Folded),
        ("<select><option>{}</select>",                                       A::Folded),
        ("<input placeholder='{}'>",                                          A::Annotation),
        ("<i aria-label='{}'>x</i>",                                          A::Annotation),
        ("<svg><text>{}</text></svg>",                                        A::Alt),
    ];
    for (source, kind) in rows {
        let source = format!("<!doctype html>{}", source.replace("{}", SECRET));
        let document = html(&source);
        assert!(!document.text.contains("ignore"), "{source}: {}", document.text);
        let found = asides(&document);
        assert!(found.iter().any(|(has, text)| has == kind && text.contains(SECRET)), "{source}: {found:?}");
    }
}

#[test]
fn d4_a_link_that_names_another_host_is_shown_as_what_it_is() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, bool)] = &[
        ("https://bank.com",         "https://evil.example/",             true),
        ("bank.com/login",           "https://evil.example/",             true),
        ("www.bank.de",              "https://www.bank.de.evil.example/", true),
        ("https://bank.com",         "https://bank.com@evil.example",     true),
        ("https://bank.com",         "//evil.example",                    true),
        ("https://bank.com",         "https:\\\\evil.example",            true),
        ("see https://bank.com now", "https://evil.example/",             true),
        ("https://bank.com",         "https://www.bank.com/a",            false),
        ("bank.com",                 "https://login.bank.com/",           false),
        ("README.md",                "https://a.example/README.md",       false),
        ("Node.js",                  "https://a.example",                 false),
        ("ann@bank.com",             "https://a.example",                 false),
    ];
    for (text, target, misleading) in rows {
        let page = html(&format!("<!doctype html><p>x <a href='{target}'>{text}</a> y"));
        assert_eq!(kinds(&page) == [R::MisleadingLink], *misleading, "{page:?}");
        assert_eq!(page.text.replace(&format!("({target})"), "").contains(text), !misleading, "{page:?}");
        assert!(page.text.contains(target), "{page:?}");
        let page = markdown(&format!("x [{text}](<{target}>) y\n"));
        assert_eq!(kinds(&page) == [R::MisleadingLink], *misleading, "{page:?}");
        let page = markdown(&format!("x <a href=\"{target}\">{text}</a> y\n"));
        assert_eq!(kinds(&page) == [R::MisleadingLink], *misleading, "{page:?}");
    }
}

#[test]
fn links_that_run_a_program_lose_their_target() {
    for target in [
        "javascript:x()",
        " JaVaScRiPt:x()",
        "java\nscript:x()",
        "\u{1}javascript:x()",
        "data:text/html,x",
        "vbscript:x",
    ] {
        let page = html(&format!("<!doctype html><a href='{target}'>go</a>"));
        assert_eq!((page.text.as_str(), kinds(&page)), ("go\n", vec![R::ActiveLink]), "{target:?}");
    }
}

#[test]
fn markdown_stays_markdown() {
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        ("a <!-- x --> b\n",                                 "a  b\n"),
        ("![x](https://a.example/i.png) b\n",                "[image] b\n"),
        ("[a](https://a.example \"title\") b\n",             "[a](https://a.example) b\n"),
        ("[a][1] b\n\n[1]: https://a.example 'title'\n",     "[a][1] b\n\n[1]: https://a.example\n"),
        ("<b onclick=\"x\" class=\"y\">a</b>\n",             "<b class=\"y\">a</b>\n"),
        ("[go](javascript:x)\n",                             "go\n"),
        ("<div hidden>\n\n# x\n\n</div>\n\nb\n",             "\n\nb\n"),
    ];
    for (source, wanted) in rows {
        assert_eq!(markdown(source).text, *wanted, "{source}");
    }
    assert_eq!(
        asides(&markdown("![the plan](https://a.example/i.png \"hover\")")),
        [(A::Alt, "the plan"), (A::Tooltip, "hover")]
    );
}
