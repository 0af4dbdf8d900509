//! The properties of characters that this crate asks for, as far as it asks.
//!
//! The standard library knows letters and digits; what is missing stands here as ranges, from the Unicode Character
//! Database 17.0 (`emoji-data.txt`, `IndicSyllabicCategory.txt`, `StandardizedVariants.txt`, `PropList.txt`). Where a
//! range is wider than the property, it says so.

/// Bidi embeddings, overrides, isolates and their ends (UAX #9, table 4): what changes the order of a whole run.
pub(crate) const fn is_bidi_run(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Bidi marks: LRM, RLM, ALM. They order their neighbours only.
pub(crate) const fn is_bidi_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}')
}

/// Tag characters, with which ASCII can be written invisibly.
pub(crate) const fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0000}'..='\u{E007F}')
}

/// Variation selectors, Mongolian ones included.
pub(crate) const fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180D}' | '\u{180F}')
}

/// Other characters without ink: default-ignorable ones (`DerivedCoreProperties.txt`), fillers, and the format
/// characters of single notations.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
            | '\u{200B}'..='\u{200D}'
            | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0080}'..='\u{E00FF}' | '\u{E01F0}'..='\u{E0FFF}'
    )
}

/// `Extended_Pictographic` and the regional indicators, in whole blocks of symbols.
pub(crate) const fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '\u{A9}' | '\u{AE}' | '\u{203C}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21FF}'
            | '\u{2300}'..='\u{23FF}' | '\u{24C2}' | '\u{25A0}'..='\u{27BF}' | '\u{2900}'..='\u{297F}'
            | '\u{2B00}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}'
            | '\u{1F000}'..='\u{1FAFF}'
    )
}

/// What may stand directly before the ZWJ of an emoji sequence: a pictograph or what modifies it.
pub(crate) const fn ends_pictograph(c: char) -> bool {
    is_pictograph(c) || c == '\u{FE0F}'
}

/// Viramas and other signs that join consonants (`Indic_Syllabic_Category` Virama and Invisible_Stacker).
pub(crate) const fn is_virama(c: char) -> bool {
    matches!(
        c,
        '\u{94D}'
            | '\u{9CD}'
            | '\u{A4D}'
            | '\u{ACD}'
            | '\u{B4D}'
            | '\u{BCD}'
            | '\u{C4D}'
            | '\u{CCD}'
            | '\u{D3B}'
            | '\u{D3C}'
            | '\u{D4D}'
            | '\u{DCA}'
            | '\u{E3A}'
            | '\u{EBA}'
            | '\u{F84}'
            | '\u{1039}'
            | '\u{103A}'
            | '\u{1714}'
            | '\u{1715}'
            | '\u{1734}'
            | '\u{17D2}'
            | '\u{1A60}'
            | '\u{1B44}'
            | '\u{1BAA}'
            | '\u{1BAB}'
            | '\u{1BF2}'
            | '\u{1BF3}'
            | '\u{2D7F}'
            | '\u{A806}'
            | '\u{A82C}'
            | '\u{A8C4}'
            | '\u{A953}'
            | '\u{A9C0}'
            | '\u{AAF6}'
            | '\u{ABED}'
            | '\u{10A3F}'
            | '\u{11046}'
            | '\u{11070}'
            | '\u{1107F}'
            | '\u{110B9}'
            | '\u{11133}'
            | '\u{11134}'
            | '\u{111C0}'
            | '\u{11235}'
            | '\u{112EA}'
            | '\u{1134D}'
            | '\u{11442}'
            | '\u{114C2}'
            | '\u{115BF}'
            | '\u{1163F}'
            | '\u{116B6}'
            | '\u{1172B}'
            | '\u{11839}'
            | '\u{1193E}'
    )
}

/// Characters of the scripts in which ZWJ and ZWNJ change what a reader sees (UAX #31, section 2.3): cursive ones and
/// those with conjuncts. Whole blocks; joiners, controls and punctuation outside them are not among these.
pub(crate) fn is_joining_script(c: char) -> bool {
    matches!(
        c,
        '\u{600}'..='\u{605}' | '\u{610}'..='\u{61B}' | '\u{61D}'..='\u{8FF}'
            | '\u{900}'..='\u{DFF}' | '\u{F00}'..='\u{109F}' | '\u{1700}'..='\u{17B3}' | '\u{17B6}'..='\u{180A}'
            | '\u{1810}'..='\u{18AF}' | '\u{1A00}'..='\u{1BFF}' | '\u{A800}'..='\u{A82F}' | '\u{A840}'..='\u{A8FF}'
            | '\u{A930}'..='\u{A9DF}' | '\u{AA60}'..='\u{AADF}' | '\u{ABC0}'..='\u{ABFF}'
            | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{10A5F}'
            | '\u{10AC0}'..='\u{10AFF}' | '\u{10D00}'..='\u{10D3F}' | '\u{10F30}'..='\u{10FDF}'
            | '\u{11000}'..='\u{1197F}' | '\u{1E900}'..='\u{1E95F}'
    )
}

/// Scripts that are written without spaces, where a zero-width space marks a place to break the line.
pub(crate) const fn is_spaceless_script(c: char) -> bool {
    matches!(
        c,
        '\u{E00}'..='\u{EFF}' | '\u{F00}'..='\u{FFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17B3}'
            | '\u{17B6}'..='\u{17FF}' | '\u{1950}'..='\u{19DF}' | '\u{1A20}'..='\u{1AAF}' | '\u{1B00}'..='\u{1B7F}'
            | '\u{A980}'..='\u{A9DF}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AADF}'
    )
}

/// Han ideographs, for the ideographic variation sequences.
pub(crate) const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}')
}

/// Conjoining jamo with ink, next to which the two jamo fillers stand.
pub(crate) const fn is_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115E}' | '\u{1161}'..='\u{11FF}' | '\u{A960}'..='\u{A97F}' | '\u{D7B0}'..='\u{D7FF}')
}

/// Whether variation selector `selector` may follow `base`: the blocks of `StandardizedVariants.txt`,
/// `emoji-variation-sequences.txt` (digits are up to the caller) and the ideographic sequences of UTS #37.
pub(crate) const fn takes_variation(base: char, selector: char) -> bool {
    match selector {
        '\u{FE0E}' | '\u{FE0F}' => is_pictograph(base),
        '\u{FE00}'..='\u{FE0D}' => {
            // A slashed zero, and script capitals of mathematics in two hands.
            is_ideograph(base)
                || matches!((base, selector), ('0', '\u{FE00}'))
                || matches!(
                    base,
                    '\u{210B}'..='\u{2133}' | '\u{1D49C}'..='\u{1D4B5}' |
                    '\u{1000}'..='\u{109F}' | '\u{2200}'..='\u{22FF}' | '\u{2A00}'..='\u{2AFF}'
                        | '\u{3000}'..='\u{303F}' | '\u{A840}'..='\u{A87F}' | '\u{AA60}'..='\u{AA7F}'
                        | '\u{FF00}'..='\u{FF60}' | '\u{10AC0}'..='\u{10AFF}' | '\u{13000}'..='\u{1345F}'
                )
        }
        '\u{E0100}'..='\u{E01EF}' => is_ideograph(base),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => matches!(base, '\u{1800}'..='\u{180A}' | '\u{1810}'..='\u{18AF}'),
        _ => false,
    }
}
