//! `autoshare verify`: every attack in fresh cells of this machine, each with its control.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::desk::{Desk, tree};

#[test]
fn nothing_gets_through_and_nothing_counts_without_its_control() {
    let desk = Desk::new();
    let began = Instant::now();
    let ran = desk.autoshare(["verify", "--json", "--stress"]);
    let took = began.elapsed();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let lines = report["lines"].as_array().unwrap();
    let rows: BTreeSet<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    let wanted = ["A1", "A2", "A3", "A9", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"];
    assert_eq!(rows, wanted.into());
    let mut stopped = 0;
    for line in lines {
        let tried = line["tried"].as_str().unwrap();
        let control = line["control"]["came"] == "through";
        match line["verdict"].as_str().unwrap() {
            "stopped" => {
                assert!(control, "{tried}: without its control it proves nothing");
                stopped += 1;
            }
            "not_applicable" => {
                println!("not applicable: {tried}: {}", line["control"]);
                assert!(!control, "{tried}");
            }
            other => panic!("{tried}: {other}"),
        }
        let cells = line["in_cells"].as_array().unwrap();
        assert!(!cells.is_empty() && cells.iter().all(|cell| cell[1]["came"] != "through"), "{tried}: {cells:?}");
    }
    assert!(stopped >= 40, "{stopped} of {}", lines.len());
    assert!(took.as_secs() < 30, "{took:?} with an unoptimised build");
    assert!(tree(&desk.home).is_empty(), "it leaves nothing behind: {:?}", tree(&desk.home));
}

#[test]
fn its_lines_fit_a_terminal() {
    let desk = Desk::new();
    let ran = desk.autoshare(["verify"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains(" 0 got through"), "{}", ran.out);
    assert!(!ran.out.contains("2,000 files"), "what takes much is not tried unasked");
    for line in ran.out.lines().filter(|line| !line.contains("attacks in")) {
        assert!(line.len() <= 100 && line.chars().all(|c| (' '..='~').contains(&c)), "{line:?}");
    }
}
