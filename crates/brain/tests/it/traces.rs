//! What the loop guard finds, and what it leaves: traces of brains that go round, and of brains that honestly do the same again
//! and again.
//!
//! A trace is written in steps, divided by `;`. `read a > text` is an action and its result, `read a ! text` one that failed,
//! `read a x why` one that was refused. `5*[...]` is gone through five times, with `#` in place of the number of the round.

use autoshare_brain::loopguard::LoopGuard;
use autoshare_core::outcome::Ending;
use autoshare_core::tool::Action;

use crate::world::outcome;

/// Brains that go round. The guard is to end them.
const LOOPING: &[(&str, &str)] = &[
    ("the same file read again", "9*[read notes.md > milk, eggs]"),
    ("the same listing, between others before", "list src > a.rs b.rs; read a.rs > fn a; 9*[list src > a.rs b.rs]"),
    ("the same search without a hit", "9*[search TODO > no match]"),
    ("an empty result", "9*[run true > ]"),
    ("the same file written with the same text", "9*[write out.md done > wrote 4 bytes]"),
    ("waiting for what nobody begins", "9*[run sleep 5 && cat status > idle]"),
    ("a message that is sent again", "9*[say Are you there? > sent]"),
    ("a file that is not there", "9*[read config.yaml ! not found]"),
    ("a command that is not there", "9*[run foo ! command not found]"),
    ("a wrong argument", "9*[run ls --bad ! unrecognized option]"),
    ("no permission", "9*[write /etc/x y ! permission denied]"),
    ("a host that is not reached", "9*[fetch https://a.example/ ! connection refused]"),
    ("a timeout", "9*[run make ! timed out]"),
    ("what the gate refuses", "9*[read /etc/shadow x outside of the workspace]"),
    ("what a person refuses", "9*[delete data x no, said ann]"),
    ("a failing test, run without a change", "9*[run pytest ! 3 failed]"),
    ("the same, with its time", "9*[run pytest ! 3 failed in 0.4# s]"),
    ("a compiler's error, with the time", "9*[run cargo build ! error[E0382] at 12:0#:07]"),
    ("a request that is refused with an id", "9*[fetch https://a.example/ ! 500, request #81]"),
    ("a lock that is held by a process", "9*[run git commit ! index.lock is held by process 40#]"),
    ("two files read in turn", "9*[read a.md > see b.md; read b.md > see a.md]"),
    ("a change that is taken back", "9*[edit a.rs x to y > changed; edit a.rs y to x > changed]"),
    ("a server started and stopped", "9*[run start > started; run stop > stopped]"),
    ("build and test without a change", "9*[run build > ok; run test ! 1 failed]"),
    ("a folder made and removed", "9*[run mkdir a > ; run rmdir a > ]"),
    ("three files in turn", "9*[read a > 1; read b > 2; read c > 3]"),
    (
        "a plan, a try, an error",
        "9*[read plan.md > step 1; edit a.rs p to q > changed; run test ! red; edit a.rs q to p > changed]",
    ),
    ("five pages, from the first again", "9*[read p1 > a; read p2 > b; read p3 > c; read p4 > d; read p5 > e]"),
    ("six checks in turn", "9*[run a > ok; run b > ok; run c > ok; run d > ok; run e > ok; run f > ok]"),
    ("help is asked for and not taken", "9*[run tool --help > usage; run tool ! missing argument]"),
    ("refused in two ways in turn", "9*[read /etc/shadow x outside; run cat /etc/shadow x outside]"),
    ("install, and it is missing still", "9*[run pip install x > already satisfied; run python app.py ! no module x]"),
    // What the guard leaves, each for its reason: what is the same cannot be told from what goes on.
    ("missed: the clock is read", "20*[run date > 12:00:0#]"),
    ("missed: a name is guessed again and again", "20*[read notes#.md ! not found]"),
    ("missed: a test that passes, with its time", "20*[run pytest > 12 passed in 0.4# s]"),
    (
        "missed: seven files in turn",
        "9*[read a > 1; read b > 2; read c > 3; read d > 4; read e > 5; read f > 6; read g > 7]",
    ),
    (
        "missed: a file that grows by a line of nothing",
        "20*[append log.md x > wrote, now # lines; read log.md > x, # times]",
    ),
    ("missed: the same question in other words", "20*[search todo list, take # > no match]"),
];

/// Brains that do the same again and again, and get on. The guard is to leave them.
const HONEST: &[(&str, &str)] = &[
    ("polling a job that changes", "20*[run status > # of 20]"),
    ("polling a job that rests now and then", "9*[run status > building; run status > building; run status > step #]"),
    (
        "polling that fails until it is up",
        "2*[fetch localhost ! refused]; fetch localhost > ok; 3*[fetch localhost/# > ok]",
    ),
    ("a status that flips while it is watched", "9*[run status > green; run status > red]"),
    ("three states of a light, watched", "9*[run light > red; run light > amber; run light > green]"),
    ("waiting, with a look at the log between", "9*[run sleep 5 > ; run tail log > line #]"),
    ("paging through a long file", "30*[read big.txt from line #00 > text of page #]"),
    ("pages that are alike", "30*[read zeros.bin at # > 0000]"),
    ("paging by one command that remembers", "30*[run next > record #]"),
    ("the same edit to many files", "30*[edit f#.rs old to new > changed]"),
    ("read and edit many files", "15*[read f#.rs > old; edit f#.rs old to new > changed]"),
    ("the same edit, tested each time", "9*[edit f#.rs old to new > changed; run test > ok, after #]"),
    ("a retry that succeeds", "2*[fetch a ! 503]; fetch a > ok; read a > text"),
    ("retries with times that succeed", "5*[run deploy ! busy, retry in # s]; run deploy > done"),
    ("retries with another argument each", "9*[run connect --port 800# ! refused]; run connect > ok"),
    ("many files that are not there", "20*[read part# ! not found]"),
    ("many refusals of many things", "20*[read /etc/#.conf x outside of the workspace]"),
    ("a test made green, one failure a time", "9*[edit a.rs fix # > changed; run test ! # of 9 fixed]"),
    (
        "errors that differ in words",
        "run make ! no rule; run make ! no header a.h; run make ! no header b.h; run make ! undefined main; run make > ok",
    ),
    (
        "red, green, refactor",
        "9*[edit test.rs case # > changed; run test ! case # fails; edit a.rs for # > changed; run test > ok, # cases]",
    ),
    ("a listing after each of many files", "15*[write out/# x > wrote; list out > # files]"),
    ("a listing that is the same after each", "15*[write out/# x > wrote; run git status > dirty]"),
    ("appending lines", "20*[append log.md line # > wrote]"),
    ("the header, before each page", "15*[read big.csv line 1 > a,b,c; read big.csv line # > row #]"),
    ("a note looked up before each step", "15*[read plan.md > the plan; run step # > done]"),
    ("two files compared page by page", "15*[read a.txt at # > text #; read b.txt at # > text #]"),
    ("commit after commit", "9*[edit f#.rs a to b > changed; run git commit -m # > committed; run git push > pushed]"),
    ("mails sent one by one", "20*[send mail # > sent]"),
    ("bisecting", "9*[run git bisect good > # revisions left; run test > ok]"),
    ("measuring", "20*[run bench > # ms]"),
    ("a dice thrown", "5*[run roll > 3; run roll > 5; run roll > 3; run roll > 1]"),
    (
        "checked twice, for good measure",
        "run test > ok; run test > ok; run lint > clean; run test > ok; run lint > clean",
    ),
    ("read again after each change", "9*[read a.rs > version #; edit a.rs # > changed]"),
    ("the same three checks on each module", "9*[run fmt m# > ok; run lint m# > ok; run test m# > ok]"),
    (
        "downloads one by one, one fails twice",
        "5*[fetch f# > ok]; 2*[fetch f6 ! 503]; fetch f6 > ok; 5*[fetch g# > ok]",
    ),
    ("a queue worked off", "20*[run pop > job #; run work > done #]"),
    ("a queue with idle times", "6*[run pop > empty; run pop > empty; run pop > job #]"),
    ("a game in turns", "12*[run move # > their move #; run board > board #]"),
];

/// The steps of a trace: action, mark, result.
fn steps(trace: &str) -> Vec<(String, char, String)> {
    let mut steps = Vec::new();
    let mut rest = trace;
    while !rest.is_empty() {
        let group = rest.split_once("*[").and_then(|(times, from)| Some((times.trim().parse::<usize>().ok()?, from)));
        let (times, inner) = match group {
            Some((times, from)) => {
                let (inner, after) =
                    from.split_once(']').filter(|(inner, _)| !inner.contains('[')).unwrap_or_else(|| {
                        // One pair of brackets may stand within: `error[E0382]`.
                        let close = from.match_indices(']').nth(1).unwrap().0;
                        (&from[..close], &from[close + 1..])
                    });
                rest = after.trim_start_matches([';', ' ']);
                (times, inner)
            }
            None => {
                let (one, after) = rest.split_once("; ").unwrap_or((rest, ""));
                rest = after;
                (1, one)
            }
        };
        for round in 1..=times {
            for step in inner.split("; ") {
                let step = step.replace('#', &round.to_string());
                let (at, mark) = [" > ", " ! ", " x "]
                    .into_iter()
                    .filter_map(|mark| Some((step.find(mark)?, mark)))
                    .min()
                    .unwrap_or_else(|| panic!("{step:?} in {trace:?} has no result"));
                let mark = mark.trim().chars().next().unwrap();
                steps.push((step[..at].to_owned(), mark, step[at + 3..].to_owned()));
            }
        }
    }
    steps
}

/// The step at which the guard ends a brain, if it does, and of how many.
fn ended(trace: &str) -> (Option<usize>, usize) {
    let mut guard = LoopGuard::new();
    let steps = steps(trace);
    let end = steps.iter().position(|(action, mark, result)| {
        let (tool, argument) = action.split_once(' ').unwrap();
        let action = Action { tool: tool.to_owned(), args: [("argument".to_owned(), argument.into())].into() };
        let found = match mark {
            'x' => guard.refused(&action, result),
            '!' => guard.observed(&action, &outcome(Ending::Failed, result)),
            _ => guard.observed(&action, &outcome(Ending::Done, result)),
        };
        found.is_some()
    });
    (end.map(|at| at + 1), steps.len())
}

#[test]
fn traces_are_read_as_they_are_written() {
    let read = steps("read a > x; 2*[run t# ! error[E1]; list . > ]; say no x why");
    let written = read.iter().map(|(action, mark, result)| format!("{action}|{mark}|{result}")).collect::<Vec<_>>();
    assert_eq!(
        written,
        ["read a|>|x", "run t1|!|error[E1]", "list .|>|", "run t2|!|error[E1]", "list .|>|", "say no|x|why"]
    );
}

/// The figures stand in docs/health.md.
#[test]
fn g4_no_honest_trace_is_ended_and_looping_ones_are_but_for_six() {
    assert!(LOOPING.len() >= 30 && HONEST.len() >= 30);
    let wrong: Vec<_> = HONEST
        .iter()
        .filter_map(|(what, trace)| ended(trace).0.map(|step| format!("{what}, at step {step}")))
        .collect();
    assert!(wrong.is_empty(), "ended although they get on: {wrong:#?}");

    let mut longest = 0;
    for (what, trace) in LOOPING {
        let (end, steps) = ended(trace);
        assert_eq!(end.is_none(), what.starts_with("missed: "), "{what}: ended at {end:?} of {steps}");
        longest = longest.max(end.unwrap_or(0));
    }
    let missed = LOOPING.iter().filter(|(what, _)| what.starts_with("missed: ")).count();
    assert_eq!((LOOPING.len(), missed, HONEST.len(), longest), (38, 6, 38, 18));
}
