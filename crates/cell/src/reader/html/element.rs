//! The elements of HTML, as far as reading tells them apart, and the attributes that it asks for.

use super::token::{Raw, Tag};

/// What an element is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Html,
    Head,
    Body,
    Paragraph,
    /// `li`.
    Item,
    /// `dt`, `dd`.
    Term,
    List,
    Heading,
    /// `div`, `address`.
    Division,
    /// What else stands on lines of its own and has no other rule.
    Block,
    /// `blockquote`.
    Quote,
    Preformatted,
    Table,
    /// `tbody`, `thead`, `tfoot`.
    Section,
    Row,
    Cell,
    Caption,
    Anchor,
    /// `b`, `font` and the others that go on when what they stand in is closed.
    Format,
    Mark,
    Break,
    Rule,
    Image,
    Input,
    Button,
    Select,
    /// `option`, `optgroup`.
    Choice,
    Details,
    Summary,
    Dialog,
    Script,
    Style,
    Title,
    Textarea,
    /// `xmp`, `plaintext`: its source is its text.
    Verbatim,
    /// `noscript`, `noembed`, `noframes`: its source is not shown.
    Fallback,
    Frame,
    Template,
    /// `datalist`, `rp`.
    Undisplayed,
    Vector,
    Formula,
    /// Where HTML begins again within `svg` or `math`.
    Integration,
    Object,
    Media,
    Meta,
    Link,
    /// Has neither content nor effect.
    Void,
    /// `applet`, `marquee`: a scope of its own.
    Scope,
    /// Within a line, unknown ones included.
    Other,
}

impl Kind {
    /// Whether it is special in the words of the standard: the end tag of what is not does not reach past it.
    pub(crate) const fn is_special(self) -> bool {
        !matches!(
            self,
            Self::Anchor
                | Self::Format
                | Self::Mark
                | Self::Other
                | Self::Vector
                | Self::Formula
                | Self::Media
                | Self::Choice
                | Self::Undisplayed
                | Self::Dialog
        )
    }

    /// Whether an end tag from within does not reach past it.
    pub(crate) const fn is_scope(self) -> bool {
        matches!(
            self,
            Self::Html
                | Self::Table
                | Self::Cell
                | Self::Caption
                | Self::Object
                | Self::Scope
                | Self::Template
                | Self::Integration
        )
    }

    /// Whether it may stand only within a table.
    pub(crate) const fn is_of_table(self) -> bool {
        matches!(self, Self::Section | Self::Row | Self::Cell | Self::Caption)
    }

    /// Whether text directly in it is put before the table.
    pub(crate) const fn is_structure(self) -> bool {
        matches!(self, Self::Table | Self::Section | Self::Row)
    }

    /// Whether it begins a paragraph's end.
    pub(crate) const fn ends_paragraph(self) -> bool {
        matches!(
            self,
            Self::Paragraph
                | Self::Item
                | Self::Term
                | Self::List
                | Self::Heading
                | Self::Division
                | Self::Block
                | Self::Quote
                | Self::Preformatted
                | Self::Rule
                | Self::Details
                | Self::Summary
                | Self::Dialog
                | Self::Verbatim
        )
    }

    /// Whether it has no end tag.
    pub(crate) const fn is_void(self) -> bool {
        matches!(self, Self::Break | Self::Rule | Self::Image | Self::Input | Self::Meta | Self::Link | Self::Void)
    }

    /// How what it holds is read.
    pub(crate) const fn raw(self) -> Option<Raw> {
        match self {
            Self::Script => Some(Raw::Script),
            Self::Title | Self::Textarea => Some(Raw::References),
            Self::Style | Self::Fallback | Self::Frame | Self::Verbatim => Some(Raw::Nothing),
            _ => None,
        }
    }
}

/// Letters of a name that is known, at most.
const MAX_NAME: usize = 16;

/// The name in small letters, if it is short enough to be known.
fn lower<'b>(name: &str, buffer: &'b mut [u8; MAX_NAME]) -> &'b [u8] {
    match buffer.get_mut(..name.len()) {
        Some(room) => {
            room.copy_from_slice(name.as_bytes());
            room.make_ascii_lowercase();
            room
        }
        None => b"",
    }
}

/// What an element of this name is outside of `svg` and `math`.
pub(crate) fn kind(name: &str) -> Kind {
    match lower(name, &mut [0; MAX_NAME]) {
        b"html" => Kind::Html,
        b"head" => Kind::Head,
        b"body" => Kind::Body,
        b"p" => Kind::Paragraph,
        b"li" => Kind::Item,
        b"dt" | b"dd" => Kind::Term,
        b"ul" | b"ol" | b"menu" | b"dir" | b"dl" => Kind::List,
        b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => Kind::Heading,
        b"div" | b"address" => Kind::Division,
        b"section" | b"article" | b"aside" | b"main" | b"nav" | b"header" | b"footer" | b"center" | b"figure"
        | b"figcaption" | b"fieldset" | b"form" | b"hgroup" | b"search" => Kind::Block,
        b"blockquote" => Kind::Quote,
        b"pre" | b"listing" => Kind::Preformatted,
        b"table" => Kind::Table,
        b"tbody" | b"thead" | b"tfoot" => Kind::Section,
        b"tr" => Kind::Row,
        b"td" | b"th" => Kind::Cell,
        b"caption" => Kind::Caption,
        b"a" => Kind::Anchor,
        b"b" | b"big" | b"code" | b"em" | b"font" | b"i" | b"nobr" | b"s" | b"small" | b"strike" | b"strong"
        | b"tt" | b"u" => Kind::Format,
        b"mark" => Kind::Mark,
        b"br" => Kind::Break,
        b"hr" => Kind::Rule,
        b"img" | b"image" => Kind::Image,
        b"input" => Kind::Input,
        b"button" => Kind::Button,
        b"select" => Kind::Select,
        b"option" | b"optgroup" => Kind::Choice,
        b"details" => Kind::Details,
        b"summary" => Kind::Summary,
        b"dialog" => Kind::Dialog,
        b"script" => Kind::Script,
        b"style" => Kind::Style,
        b"title" => Kind::Title,
        b"textarea" => Kind::Textarea,
        b"xmp" | b"plaintext" => Kind::Verbatim,
        b"noscript" | b"noembed" | b"noframes" => Kind::Fallback,
        b"iframe" => Kind::Frame,
        b"template" => Kind::Template,
        b"datalist" | b"rp" => Kind::Undisplayed,
        b"svg" => Kind::Vector,
        b"math" => Kind::Formula,
        b"object" => Kind::Object,
        b"audio" | b"video" | b"canvas" => Kind::Media,
        b"meta" => Kind::Meta,
        b"link" => Kind::Link,
        b"area" | b"base" | b"basefont" | b"bgsound" | b"col" | b"colgroup" | b"embed" | b"frame" | b"keygen"
        | b"param" | b"source" | b"track" | b"wbr" => Kind::Void,
        b"applet" | b"marquee" => Kind::Scope,
        _ => Kind::Other,
    }
}

/// What it is within `svg` or `math`, where most names mean nothing to a reader.
pub(crate) fn kind_in_foreign(name: &str) -> Kind {
    match lower(name, &mut [0; MAX_NAME]) {
        b"svg" => Kind::Vector,
        b"math" => Kind::Formula,
        b"script" => Kind::Script,
        b"style" => Kind::Style,
        b"foreignobject" | b"desc" | b"title" | b"mi" | b"mo" | b"mn" | b"ms" | b"mtext" => Kind::Integration,
        b"annotation" | b"annotation-xml" => Kind::Undisplayed,
        _ => Kind::Other,
    }
}

/// Whether an element of HTML of this name ends `svg` and `math`.
pub(crate) fn breaks_out(name: &str) -> bool {
    matches!(
        lower(name, &mut [0; MAX_NAME]),
        b"b" | b"big"
            | b"blockquote"
            | b"body"
            | b"br"
            | b"center"
            | b"code"
            | b"dd"
            | b"div"
            | b"dl"
            | b"dt"
            | b"em"
            | b"embed"
            | b"h1"
            | b"h2"
            | b"h3"
            | b"h4"
            | b"h5"
            | b"h6"
            | b"head"
            | b"hr"
            | b"i"
            | b"img"
            | b"li"
            | b"listing"
            | b"menu"
            | b"meta"
            | b"nobr"
            | b"ol"
            | b"p"
            | b"pre"
            | b"ruby"
            | b"s"
            | b"small"
            | b"span"
            | b"strong"
            | b"strike"
            | b"sub"
            | b"sup"
            | b"table"
            | b"tt"
            | b"u"
            | b"ul"
            | b"var"
            | b"font"
    )
}

macro_rules! attributes {
    ($($field:ident $name:literal),* $(,)?) => {
        /// The attributes that reading asks for, as they are written.
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct Found<'a> {
            $(pub(crate) $field: Option<&'a str>,)*
        }

        impl<'a> Found<'a> {
            /// Those of a tag.
            pub(crate) fn of(tag: &Tag<'a>) -> Self {
                let mut found = Self::default();
                for (name, value) in tag.attributes() {
                    match lower(name, &mut [0; MAX_NAME]) {
                        $($name => found.$field = found.$field.or(Some(value)),)*
                        _ => {}
                    }
                }
                found
            }
        }
    };
}

attributes! {
    style b"style", class b"class", id b"id", hidden b"hidden", aria_hidden b"aria-hidden", title b"title", alt b"alt",
    href b"href", src b"src", open b"open", kind b"type", value b"value", name b"name", property b"property",
    content b"content", http_equiv b"http-equiv", rel b"rel", colour b"color", text b"text", bgcolor b"bgcolor",
    background b"background", data b"data", placeholder b"placeholder", start b"start", media b"media",
    srcdoc b"srcdoc", label b"aria-label", popover b"popover", code b"code", srcset b"srcset",
}
