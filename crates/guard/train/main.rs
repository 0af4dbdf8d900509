//! Trains and measures the detector of `src/verify`.
//!
//! ```text
//! cargo run --release -p autoshare-guard --example detector -- train --data DIR --documents DIR [--out FILE]
//! cargo run --release -p autoshare-guard --example detector -- measure --data DIR --documents DIR [--model FILE]
//! ```
//!
//! `--data` holds `train.jsonl` and the `dev_*.jsonl` sets; `--documents` a folder of other projects, each a folder with a
//! README, such as `cargo vendor` makes. `--hold a,b` leaves sources out of training and measures on them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for whoever trains the detector; never shipped"
)]

mod data;
mod documents;
mod encode;
mod floor;
mod grammar;
mod kinds;
mod learn;
mod measure;
mod pretrain;
mod random;
mod speed;
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the trainer reads text by the very code of the program, and measures it"
)]
#[path = "../src/verify/mod.rs"]
mod verify;

use std::path::PathBuf;

use data::{Example, Material, Record, read, read_documents};
use floor::Floor;
use learn::{Learner, Recipe};
use measure::{HEAD, Set, line, pieces};
use verify::net::Net;
use verify::{Channel, Form, Judge, Profile};

struct Options {
    command: String,
    data: PathBuf,
    documents: PathBuf,
    model: PathBuf,
    hold: Vec<String>,
    epochs: Option<usize>,
    seed: Option<u64>,
}

fn options() -> Options {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options {
        command: arguments.next().expect("train or measure"),
        data: "data".into(),
        documents: "vendor".into(),
        model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/verify.bin").into(),
        hold: Vec::new(),
        epochs: None,
        seed: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--data" => options.data = value.into(),
            "--documents" => options.documents = value.into(),
            "--out" | "--model" => options.model = value.into(),
            "--hold" => options.hold = value.split(',').map(str::to_owned).collect(),
            "--epochs" => options.epochs = Some(value.parse().expect("a number of epochs")),
            "--seed" => options.seed = Some(value.parse().expect("a number")),
            _ => panic!("there is no option {name}"),
        }
    }
    options
}

fn main() {
    let options = options();
    let records = read(&options.data.join("train.jsonl"));
    let (mut train, dev) = read_documents(&options.documents);
    train.extend(own_documents());
    let hold: Vec<&str> = options.hold.iter().map(String::as_str).collect();
    let material = Material::new(&records, train, &hold);
    match options.command.as_str() {
        "sample" => sample(&material),
        "train" => {
            train_model(&options, &material, &records, &dev);
            measure_model(&options, &material, &records, &dev);
        }
        "speed" => {
            speed::measure(&Net::new(std::fs::read(&options.model).expect("weights").leak()).expect("weights"), &dev)
        }
        "judge" => judge(&options),
        "alarms" => alarms(&options, &material, &dev),
        "measure" => measure_model(&options, &material, &records, &dev),
        other => panic!("there is no command {other}"),
    }
}

/// This project's own pages: full of agents and what may go wrong with them, and none an attack.
fn own_documents() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let pages = [
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/ARCHITECTURE.md",
        "docs/gateway.md",
        "docs/mcp.md",
        "docs/policy.md",
        "docs/providers.md",
    ];
    let read = |page: &&str| {
        std::fs::read_to_string(format!("{root}/{page}")).unwrap_or_else(|error| panic!("{page}: {error}"))
    };
    let chunks = pages.iter().map(read).flat_map(|page| data::chunks(&page, 1500));
    // Few pages of a rare kind: three times in an epoch.
    let chunks: Vec<String> = chunks.collect();
    [chunks.clone(), chunks.clone(), chunks].concat()
}

/// Shows what is learnt from.
fn sample(material: &Material) {
    for example in material
        .epoch(7)
        .iter()
        .filter(|example| example.source.starts_with("made") || example.source == "placed")
        .take(60)
    {
        let attack = example.place.clone().map(|place| &example.text[place]);
        println!("=== {:?} {} attack: {attack:?}\n{}", example.channel, example.source, example.text);
    }
}

fn train_model(options: &Options, material: &Material, records: &[Record], dev: &[(String, String)]) {
    let mut recipe = Recipe::new();
    recipe.epochs = options.epochs.unwrap_or(recipe.epochs);
    recipe.seed = options.seed.unwrap_or(recipe.seed);
    let mut learner = Learner::new(recipe.seed);
    let begin = std::time::Instant::now();
    learner.pretrain(material, &recipe);
    eprintln!("pretrained in {:.0} s", begin.elapsed().as_secs_f32());
    learner.train(material, &recipe);
    let mut file = learner.file();
    let net = Net::new(file.clone().leak()).expect("the weights just made");
    for channel in [Channel::User, Channel::Content] {
        let sets = sets(options, material, records, dev);
        let mut logits = Vec::new();
        for set in sets.iter().filter(|set| set.channel == channel) {
            for (text, attack) in &set.texts {
                let chance = Judge::new(&net, channel).text(text).score.clamp(1e-6, 1.0 - 1e-6);
                logits.push(((chance / (1.0 - chance)).ln(), *attack));
            }
        }
        let calibration = measure::calibration(&logits);
        eprintln!("{channel:?}: calibration {calibration:?}");
        Learner::calibrate(&mut file, channel as usize, calibration);
    }
    std::fs::write(&options.model, file).expect("the weights file can be written");
}

/// The sets that figures are of. None of their texts is learnt from.
fn sets(options: &Options, material: &Material, records: &[Record], dev: &[(String, String)]) -> Vec<Set> {
    let of = |name: &str| read(&options.data.join(format!("dev_{name}.jsonl")));
    let bipia = of("bipia_train_split");
    let attacks: Vec<&str> = bipia.iter().map(|record| record.text.as_str()).collect();
    let documents = pieces(dev);
    let fresh = material.epoch(999_983);
    let made: Vec<_> = fresh.iter().filter(|example| example.source.starts_with("made")).step_by(8).cloned().collect();
    let mut sets = vec![
        Set::new("deepset", Channel::User, &of("deepset")),
        Set::new("xstest", Channel::User, &of("xstest")),
        Set::new("cyber questions", Channel::User, &of("cyber_questions")),
        Set::of("made, to an assistant", Channel::User, &made),
        Set::of("made, content", Channel::Content, &made),
        Set::new("bipia, bare", Channel::Content, &bipia),
        Set::placed("bipia in READMEs", &documents, &attacks, 1),
    ];
    for (name, examples) in material.unseen(999_961) {
        sets.push(Set::of(name, examples[0].channel, &examples));
    }
    let held = |sources: &[&str]| -> Vec<Record> {
        let is_held = |source: &str| sources.contains(&source) && options.hold.iter().any(|held| held == source);
        records.iter().filter(|record| is_held(&record.source)).cloned().collect()
    };
    for (name, channel, sources) in [
        ("asb in tau-bench", Channel::Content, &["asb-in-json", "tau-bench"][..]),
        ("piarena", Channel::Content, &["piarena-inj", "piarena-doc"]),
        ("in the wild", Channel::User, &["inthewild", "oasst", "t0", "selfinstruct-user"]),
    ] {
        let held = held(sources);
        if !held.is_empty() {
            sets.push(Set::new(&format!("held: {name}"), channel, &held));
        }
    }
    let tasks = held(&["tasktracker"]);
    if !tasks.is_empty() {
        let attacks: Vec<&str> = tasks.iter().map(|record| record.text.as_str()).collect();
        sets.push(Set::placed("held: tasktracker in READMEs", &documents, &attacks, 2));
    }
    sets
}

fn measure_model(options: &Options, material: &Material, records: &[Record], dev: &[(String, String)]) {
    let file = std::fs::read(&options.model).expect("the weights file");
    let net = Net::new(file.leak()).expect("a weights file of this shape");
    let floor = Floor::train(&material.epoch(1));
    println!("{HEAD}");
    for set in sets(options, material, records, dev) {
        let threshold = Profile::Default.threshold(set.channel);
        let ours = set.figures(threshold, &mut |text| Judge::new(&net, set.channel).text(text).score);
        let beside = set.figures(0.5, &mut |text| floor.score(text, set.channel));
        println!("{}", line(&set, &ours, &beside));
    }
    over_defence(&net, &sets(options, material, records, dev));
    thresholds(&net, &material.epoch(999_979), dev);
    forms(&net, &material.epoch(999_961), dev);
    speed::measure(&net, dev);
}

/// Scores each line of the standard input, in both channels.
fn judge(options: &Options) {
    let net = Net::new(std::fs::read(&options.model).expect("the weights file").leak()).expect("weights of this shape");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let [user, content] =
            [Channel::User, Channel::Content].map(|channel| Judge::new(&net, channel).text(&line).score);
        println!("user {user:.3} content {content:.3} {line}");
    }
}

/// Shows the worst false alarms in READMEs, and of the unseen texts the worst false alarms and misses.
fn alarms(options: &Options, material: &Material, dev: &[(String, String)]) {
    let net = Net::new(std::fs::read(&options.model).expect("the weights file").leak()).expect("weights of this shape");
    let mut list = Vec::new();
    for (name, text) in dev {
        let found = Judge::new(&net, Channel::Content).text(text);
        list.extend(found.spans.into_iter().map(|one| (one.score, one.form, name, text[one.span].to_owned())));
    }
    list.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (score, form, name, text) in list.iter().take(60) {
        println!("{score:.3} {form:?} {name}: {text:?}");
    }
    for (name, examples) in material.unseen(999_961) {
        let of = |example: &Example| (Judge::new(&net, example.channel).text(&example.text), example.attack);
        let mut list: Vec<_> = examples.iter().map(|example| (of(example), example)).collect();
        let wrong =
            |(found, attack): &(verify::Verification, bool)| if *attack { 1.0 - found.score } else { found.score };
        list.sort_by(|a, b| wrong(&b.0).total_cmp(&wrong(&a.0)));
        for ((found, attack), example) in list.iter().step_by(4).take(60) {
            let spans: Vec<_> = found.spans.iter().map(|one| &example.text[one.span.clone()]).collect();
            let place = example.place.clone().map(|place| &example.text[place]);
            println!("{name}: {:.3} attack: {attack} {place:?} {spans:?}", found.score);
        }
    }
}

/// How many harmless prompts pass at the threshold that catches 95 % of a set's overrides.
fn over_defence(net: &Net, sets: &[Set]) {
    let score = |text: &str| Judge::new(net, Channel::User).text(text).score;
    let scores = |set: &Set, attack: bool| -> Vec<f32> {
        set.texts.iter().filter(|(_, is_attack)| *is_attack == attack).map(|(text, _)| score(text)).collect()
    };
    let sets: Vec<_> = sets.iter().filter(|set| set.channel == Channel::User).collect();
    println!("\n| overrides, 95 % of which are caught | threshold | harmless prompts that pass |");
    println!("|---|---|---|");
    for set in &sets {
        let mut attacks = scores(set, true);
        attacks.sort_by(f32::total_cmp);
        let Some(threshold) = attacks.get(attacks.len() / 20).copied() else { continue };
        let passed = sets.iter().map(|set| (set, scores(set, false))).filter(|(_, harmless)| !harmless.is_empty());
        let passed: Vec<_> = passed
            .map(|(set, harmless)| {
                let below = harmless.iter().filter(|score| **score < threshold).count();
                format!("{} {:.1}", set.name, 100.0 * below as f64 / harmless.len() as f64)
            })
            .collect();
        println!("| {} | {threshold:.3} | {} |", set.name, passed.join(", "));
    }
}

/// What each threshold costs and catches. Profiles are chosen from this.
fn thresholds(net: &Net, examples: &[Example], dev: &[(String, String)]) {
    let bytes: usize = dev.iter().map(|(_, text)| text.len()).sum();
    let spans: Vec<f32> = dev
        .iter()
        .flat_map(|(_, text)| Judge::new(net, Channel::Content).text(text).spans)
        .map(|suspicion| suspicion.score)
        .collect();
    let of = |source: &str, attack: bool| -> Vec<f32> {
        let fits = examples.iter().filter(|example| example.source == source && example.attack == attack).step_by(4);
        fits.map(|example| Judge::new(net, example.channel).text(&example.text).score).collect()
    };
    let sets = [of("placed", true), of("made-document", false), of("made-jailbreak", true), of("made-ask", false)];
    println!(
        "\n| threshold | false alarms in a MB of READMEs | attacks placed in documents | harmless documents | overrides by a user | harmless requests |"
    );
    println!("|---|---|---|---|---|---|");
    for threshold in [0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99] {
        let alarms = spans.iter().filter(|score| **score >= threshold).count() as f64 / (bytes as f64 / 1e6);
        let part = |scores: &[f32]| {
            100.0 * scores.iter().filter(|score| **score >= threshold).count() as f64 / scores.len() as f64
        };
        let [placed, harmless, overrides, asked] = sets.each_ref().map(|scores| part(scores));
        println!("| {threshold} | {alarms:.1} | {placed:.1} | {harmless:.1} | {overrides:.1} | {asked:.1} |");
    }
}

/// How many attacks are caught in each form, with the decoder of that form and without any.
fn forms(net: &Net, examples: &[Example], dev: &[(String, String)]) {
    let hosts = pieces(dev);
    let attacks: Vec<&str> = examples
        .iter()
        .filter(|example| example.source == "placed")
        .filter_map(|example| example.text.get(example.place.clone()?))
        .filter(|attack| attack.is_ascii() && attack.len() > 40 && !attack.contains('\n'))
        .take(400)
        .collect();
    println!("\n| form | caught, of {} attacks | without decoding |", attacks.len());
    println!("|---|---|---|");
    for (form, encode) in encode::FORMS {
        let (mut with, mut without) = (0, 0);
        for (attack, host) in attacks.iter().zip(hosts.iter().cycle()) {
            let before = host.find('\n').map_or(host.len(), |at| at + 1);
            let hidden = encode(attack);
            let text = format!("{}{hidden}\n{}", &host[..before], &host[before..]);
            let found = Judge::new(net, Channel::Content).text(&text);
            let hit = |plain: bool| {
                found.flagged(Profile::Default).iter().any(|one| {
                    one.span.start < before + hidden.len()
                        && before < one.span.end
                        && (one.form == Form::Plain || !plain)
                })
            };
            with += usize::from(hit(false));
            without += usize::from(hit(true));
        }
        let percent = |count: usize| 100.0 * count as f64 / attacks.len() as f64;
        println!("| {} | {:.1} | {:.1} |", form.words(), percent(with), percent(without));
    }
}
