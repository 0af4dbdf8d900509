use autoshare_proof::verify::{Layer, Line, Report, Verdict};
use autoshare_sandbox::probe::Answer;
use autoshare_sandbox::{Tier, Work};

fn line(verdict: Verdict, in_cell: Answer, control: Answer, stopped_by: &[Layer]) -> Line {
    Line {
        id: "B1".into(),
        tried: "reads a neighbour's file".into(),
        verdict,
        in_cells: vec![(Work::Tools, Answer::Refused("EPERM (1)".into())), (Work::Programs, in_cell)],
        control,
        stopped_by: stopped_by.to_vec(),
    }
}

#[test]
fn what_gets_through_is_never_called_stopped() {
    let refused = || Answer::Refused("EACCES (13)".into());
    #[rustfmt::skip]
    let rows = [
        (line(Verdict::Stopped, refused(), Answer::Through, &[Layer::Namespaces, Layer::Landlock]), "stopped  EACCES         namespaces Landlock"),
        (line(Verdict::Stopped, refused(), Answer::Through, &[]),                                   "stopped  EACCES         the walls together"),
        (line(Verdict::Through, Answer::Through, Answer::Through, &[]),                             "THROUGH  succeeded"),
        (line(Verdict::NotApplicable, refused(), refused(), &[]),                                   "n/a      EACCES         no wall, and still: EACCES"),
    ];
    for (line, text) in &rows {
        assert!(line.text().ends_with(text), "{}", line.text());
    }
    let [stopped, alone, through, absent] = rows.map(|(line, _)| line);
    let good = Report { tier: Tier::Full, lines: vec![stopped.clone(), alone, absent] };
    assert!(good.holds());
    assert!(good.summary().contains("2 stopped, 0 got through, 1 not applicable"), "{}", good.summary());
    let bad = Report { tier: Tier::Full, lines: vec![stopped, through] };
    assert!(!bad.holds());
    assert!(bad.summary().contains("1 got through") && bad.summary().contains("Run none here"), "{}", bad.summary());
}
