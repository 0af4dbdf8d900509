//! The contracts of the built-in tools: names, words for the model, roles, effects.
//!
//! The tools themselves live in `autoshare-cell`; a tool that is not here is offered to no model.

use autoshare_core::place::MAX_PATH;
use autoshare_core::tool::{Effect, Kind, Param, Redo, Role, ToolSpec};
use autoshare_core::wire::MAX_FILE;

/// The tool whose file is taken apart in a cell of its own.
pub const READ_DOCUMENT: &str = "read_document";

/// Bytes of a pattern at most.
const MAX_PATTERN: u64 = 1000;
/// Bytes of a command line at most; it travels in one message with what else a program needs.
const MAX_COMMAND: u64 = 32 * 1024;
/// Bytes of a program's text at most.
const MAX_CODE: u64 = 512 * 1024;
/// Seconds that one program may be given at most.
const MAX_SECONDS: i64 = 24 * 3600;
/// A line's number, or a number of lines, at most.
const MAX_LINES: i64 = 1_000_000_000;

/// The tools that AutoSHARE brings, in the order in which a model sees them.
#[must_use]
pub fn builtin_tools() -> Vec<ToolSpec> {
    vec![
        reads(
            "read_file",
            "Read a text file. Long files come in parts: the last line says how to go on.",
            vec![
                required(path("The file.")),
                option("offset", "The first line to show, counted from 1.", lines()),
                option("limit", "How many lines to show at most; 2000 if it is left out.", lines()),
                option(
                    "encoding",
                    "How the bytes are read; found out by itself if it is left out.",
                    words(&["auto", "utf-8", "latin-1", "utf-16"]),
                ),
            ],
        ),
        reads(
            READ_DOCUMENT,
            "Read a web page, mail, PDF, Word, Excel, PowerPoint or OpenDocument file as a person would see it, without \
             markup and hidden text. Use read_file for the source of a text file.",
            vec![required(path("The file."))],
        ),
        writes(
            "write_file",
            "Write a whole text file, and the folders it lies in. To change part of a file, use edit_file.",
            vec![
                required(path("The file.")),
                required(text("content", "The text.", Role::Content, MAX_FILE)),
                option(
                    "mode",
                    "create: fail if the file exists. replace: put the text in place of what is there (if it is left \
                     out). append: add the text at the end.",
                    words(&["create", "replace", "append"]),
                ),
            ],
        ),
        writes(
            "edit_file",
            "Replace a piece of a text file. The old text must stand in the file exactly once, to the letter, blanks \
             and line ends included.",
            vec![
                required(path("The file.")),
                required(text("old", "The text to replace.", Role::Query, MAX_FILE)),
                required(text("new", "The text to put there.", Role::Content, MAX_FILE)),
                option("all", "Replace it everywhere it stands.", Kind::Boolean),
            ],
        ),
        reads(
            "list_folder",
            "List a folder: names, sizes, and which are folders.",
            vec![
                path("The folder; the workspace if it is left out."),
                option("hidden", "Also show names that begin with a dot.", Kind::Boolean),
            ],
        ),
        reads(
            "find",
            "Find files by name.",
            vec![
                required(text(
                    "pattern",
                    "A glob over paths: * within a name, ** across folders, ? one character; such as **/*.md.",
                    Role::Query,
                    MAX_PATTERN,
                )),
                path("The folder to look in; the workspace if it is left out."),
            ],
        ),
        reads(
            "search",
            "Search the lines of text files; shows path, line number and line.",
            vec![
                required(text("pattern", "A regular expression, without look-around.", Role::Query, MAX_PATTERN)),
                path("The file or folder to search; the workspace if it is left out."),
                text("glob", "Only files whose path matches this glob, such as *.rs.", Role::Query, MAX_PATTERN),
            ],
        ),
        runs(
            "execute_shell",
            "Run a command line with bash in the workspace; shows what it prints and its exit status. It has no \
             network, reads no input, and writes in the workspace and /tmp alone. What it leaves running ends with it.",
            Redo::Write,
            vec![
                required(text("command", "The command line.", Role::Target, MAX_COMMAND)),
                timeout(),
                option("background", "Do not wait for its end; look at it with background_job.", Kind::Boolean),
                option("terminal", "Give it a terminal of 80 columns, for what prints only to one.", Kind::Boolean),
            ],
        ),
        runs(
            "execute_python_code",
            "Run Python code with the system's python3 in the workspace; shows what it prints.",
            Redo::Write,
            vec![required(text("code", "The code.", Role::Target, MAX_CODE)), timeout(), venv()],
        ),
        runs(
            "execute_python_file",
            "Run a Python file of the workspace with the system's python3; shows what it prints.",
            Redo::Write,
            vec![
                required(text("file", "The file.", Role::Target, MAX_PATH as u64)),
                text("args", "Its arguments, as on a command line.", Role::Query, MAX_COMMAND),
                timeout(),
                option("background", "Do not wait for its end; look at it with background_job.", Kind::Boolean),
                venv(),
            ],
        ),
        runs(
            "background_job",
            "Look at a program that runs in the background, or stop it; shows what it printed since the last look.",
            Redo::Idempotent,
            vec![
                required(param("job", "Its number.", Role::Target, Kind::Integer { min: 1, max: MAX_LINES })),
                option("action", "look, if it is left out, or stop.", words(&["look", "stop"])),
            ],
        ),
    ]
}

/// Programs run in a cell: whether one that was interrupted happened, nobody can tell.
fn runs(name: &str, description: &str, redo: Redo, params: Vec<Param>) -> ToolSpec {
    tool(name, description, Effect::RunInside, redo, params)
}

fn timeout() -> Param {
    option("timeout", "Seconds it may take.", Kind::Integer { min: 1, max: MAX_SECONDS })
}

fn venv() -> Param {
    option("venv", "Use the virtual environment .venv of the workspace, and make it if there is none.", Kind::Boolean)
}

fn reads(name: &str, description: &str, params: Vec<Param>) -> ToolSpec {
    tool(name, description, Effect::Read, Redo::Read, params)
}

/// A file tool that writes records digests before and after, so that a restart can tell whether it happened.
fn writes(name: &str, description: &str, params: Vec<Param>) -> ToolSpec {
    tool(name, description, Effect::WriteInside, Redo::Queryable, params)
}

fn tool(name: &str, description: &str, effect: Effect, redo: Redo, params: Vec<Param>) -> ToolSpec {
    ToolSpec::new(name, description, effect, redo, params)
}

fn path(description: &str) -> Param {
    text("path", description, Role::Target, MAX_PATH as u64)
}

fn text(name: &str, description: &str, role: Role, max: u64) -> Param {
    param(name, description, role, Kind::Text { max })
}

fn option(name: &str, description: &str, kind: Kind) -> Param {
    param(name, description, Role::Option, kind)
}

fn param(name: &str, description: &str, role: Role, kind: Kind) -> Param {
    Param { name: name.to_owned(), description: description.to_owned(), role, kind, required: false }
}

fn required(param: Param) -> Param {
    Param { required: true, ..param }
}

fn lines() -> Kind {
    Kind::Integer { min: 1, max: MAX_LINES }
}

fn words(words: &[&str]) -> Kind {
    Kind::OneOf { words: words.iter().map(|word| (*word).to_owned()).collect() }
}
