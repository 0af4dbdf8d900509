//! The command line's grammar.

use std::path::PathBuf;

use autoshare_access::Scope;
use autoshare_core::day::Day;
use autoshare_core::{ShareId, TenantName, TokenId};
use clap::{Parser, Subcommand};

use crate::people::{Login, PersonCommand};
use crate::settings::GlobalFlags;
use crate::sharing::Share;
use crate::upkeep::{Audit, Key};

/// Let autonomous agents work unattended, with nothing to fear.
#[derive(Debug, Parser)]
#[command(name = "autoshare", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    /// Print JSON lines for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line or settings, 3 ended without reaching the \
goal, 4 stopped or faulted (autoshare resume goes on), 5 driven by another process, 6 no such brain, token, \
tenant, person or share.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let an agent work towards a goal in a folder
    Run(Run),
    /// Run any program in a cell: an agent of somebody else's, a script, a build
    Exec(Exec),
    /// Go on with a brain that was stopped, interrupted or faulted
    Resume(Resume),
    /// List brains
    Ps,
    /// Show what a brain did
    Show(Show),
    /// Explain a verdict: the rules, each value and where it stands in the journal, the warrant, who answered
    Explain(Explain),
    /// Print a brain's journal
    Logs(Logs),
    /// Show what a brain's programs reached over the network
    Net(Brain),
    /// Show what a run, or one step of it, changed in files
    Diff(Diff),
    /// Take back what a run, or one step of it, changed in files
    Undo(Undo),
    /// Ask a running brain to stop
    Stop(Stop),
    /// Answer a question of a running brain
    Approve(Approve),
    /// Watch a hijacked agent get nowhere: no key, no network, no server needed
    Demo(Demo),
    /// Let other programs reach models through this one, with keys, budgets and records
    Serve(Serve),
    /// Models
    Model {
        #[command(subcommand)]
        command: Model,
    },
    /// What brains may do without a question, with one, and not at all
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
    /// Credentials: kept sealed, for named hosts alone
    Secret {
        #[command(subcommand)]
        command: Secret,
    },
    /// Servers of tools (Model Context Protocol): what brains may call beside what is built in
    Mcp {
        #[command(subcommand)]
        command: Mcp,
    },
    /// Tools: what each does, the role of its parameters, and why
    Tool {
        #[command(subcommand)]
        command: Tool,
    },
    /// Make, change and list tenants, who are served side by side
    Tenant {
        #[command(subcommand)]
        command: Tenant,
    },
    /// Tokens for other programs: what they show to use models through `autoshare serve`
    Token {
        #[command(subcommand)]
        command: Token,
    },
    /// People: who may sign in, and as what
    Person {
        #[command(subcommand)]
        command: PersonCommand,
    },
    /// Sign in to a tenant of a server elsewhere (--tenant), and get a token that ends
    Login(Login),
    /// Share copies of files between tenants: offered by one, accepted by the other, ended by either
    Share {
        #[command(subcommand)]
        command: Share,
    },
    /// What was used: requests, tokens, money
    Usage(Usage),
    /// Who did what: a trail that shows any edit
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Keys: new ones, and backups of them apart from the data
    Key {
        #[command(subcommand)]
        command: Key,
    },
    /// Copy all data into a directory, while others use it; no key is in it
    Backup {
        /// The directory, which is made
        dir: PathBuf,
    },
    /// Put a backup of all data into an empty data directory
    Restore {
        /// What `autoshare backup` made
        dir: PathBuf,
    },
    /// Say what this machine can confine, and how to get the rest
    Doctor,
    /// Look through files for what would deceive whoever reads them: hidden text, orders to a model
    Scan(Scan),
    /// Attack cells on this machine, and say what stopped each attack
    Verify(Verify),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether the launcher has to be started before anything else.
    pub(crate) const fn needs_cells(&self) -> bool {
        match self {
            Self::Verify(_) | Self::Run(_) | Self::Exec(_) | Self::Resume(_) | Self::Demo(_) | Self::Scan(_) => true,
            Self::Serve(_) => true,
            Self::Mcp { command } => {
                matches!(command, Mcp::Add(_) | Mcp::Test { .. } | Mcp::Approve(_) | Mcp::Prompt(_))
            }
            _ => false,
        }
    }
}

/// How a brain is watched and questions are answered.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Watching {
    /// Let questions wait for `autoshare approve` when there is no terminal to ask at
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Run {
    /// What is to be reached, in your words
    pub(crate) goal: String,
    /// The folder to work in
    #[arg(long, short, default_value = ".", value_name = "DIR")]
    pub(crate) workspace: PathBuf,
    /// The model: NAME, PROVIDER/NAME (`autoshare model list`), `gullible`, or `replay:FILE`
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// Answer questions with yes, unless a value in them may come from somebody else
    #[arg(long, conflicts_with = "ask")]
    pub(crate) yes: bool,
    /// Ask before every action that changes something
    #[arg(long)]
    pub(crate) ask: bool,
    /// Actions at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) max_steps: Option<u64>,
    /// Tokens at most, sent and received
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_tokens: Option<u64>,
    /// Money at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<String>,
    /// A folder that may be read too
    #[arg(long, value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// A folder that may be read and written too
    #[arg(long, value_name = "PATH")]
    pub(crate) write: Vec<PathBuf>,
    /// What another tenant shares and you accepted (autoshare share), which may be read
    #[arg(long, value_name = "ID")]
    pub(crate) share: Vec<ShareId>,
    /// A server of tools (autoshare mcp add) that may be called; without one, all that were added
    #[arg(long, value_name = "NAME", conflicts_with = "no_mcp")]
    pub(crate) mcp: Vec<String>,
    /// No server of tools
    #[arg(long)]
    pub(crate) no_mcp: bool,
    #[command(flatten)]
    pub(crate) judging: Judging,
    #[command(flatten)]
    pub(crate) watching: Watching,
}

/// By which rules actions are judged.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PolicyFlags {
    /// How much is asked: cautious, default or trusting; none leaves all to --policy
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Rules of your own, in Cedar, that are added to the profile (`autoshare policy check FILE`)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// How a run's actions are judged.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Judging {
    #[command(flatten)]
    pub(crate) rules: PolicyFlags,
    /// What the goal needs: auto (the model draws it up), draft (fixed rules do), ask (you are shown it first), or a FILE
    #[arg(long, value_name = "HOW")]
    pub(crate) warrant: Option<String>,
    /// A text file whose words count as yours, as they are now
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Vec<PathBuf>,
    /// A text file that comes with the goal and is somebody else's words
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Exec {
    /// The folder to work in
    #[arg(long, short, default_value = ".", value_name = "DIR")]
    pub(crate) workspace: PathBuf,
    /// A folder that may be read too
    #[arg(long, value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// A folder that may be read and written too
    #[arg(long, value_name = "PATH")]
    pub(crate) write: Vec<PathBuf>,
    /// A variable that the program finds: its value here, or NAME=VALUE; what looks like a credential becomes a placeholder
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Hand over a credential as it is: the program can read it, keep it and show it
    #[arg(long, value_name = "NAME")]
    pub(crate) expose_credential: Vec<String>,
    /// A host that the program may reach, through a proxy that it finds in its environment: NAME, NAME:PORT, .SUFFIX, or an
    /// address; ports 80 and 443 unless one is named; or with what may be asked for: "GET https://NAME/PATH/*"
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// A secret (autoshare secret set) that is put into the program's requests to its hosts, or to one of them; the program
    /// finds a placeholder
    #[arg(long, value_name = "NAME[=HOST]")]
    pub(crate) credential: Vec<String>,
    /// Models that the program may use, such as "gpt-5*": it finds a gateway in its environment that has the keys, counts
    /// and records
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// Ask at the terminal about hosts that are not named; the next key is the answer
    #[arg(long)]
    pub(crate) ask_hosts: bool,
    /// A limit: memory, processes, cpu (hundredths of a processor), cpu-seconds, open-files, file-size, tmp, tmp-files,
    /// time (seconds); sizes take k, m, g
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) limit: Vec<String>,
    /// What a known agent needs: claude, codex, aider, goose; gives it a home directory of its own that is kept
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Show afterwards what the program changed
    #[arg(long)]
    pub(crate) diff: bool,
    /// Say afterwards which system calls the cell's filter refused, and to which program; each then takes some time more
    #[arg(long)]
    pub(crate) explain: bool,
    /// Do not keep what the program changes; it cannot be taken back then
    #[arg(long, conflicts_with = "diff")]
    pub(crate) no_undo: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Resume {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// Words of yours to it before it goes on: what they ask for, its warrant holds from then on
    #[arg(long, value_name = "WORDS")]
    pub(crate) say: Option<String>,
    #[command(flatten)]
    pub(crate) rules: PolicyFlags,
    #[command(flatten)]
    pub(crate) watching: Watching,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Brain {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Show {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// Show what the guard held back of what it read, and nothing else
    #[arg(long)]
    pub(crate) quarantine: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Scan {
    /// Files; `-`, or none, is standard input
    pub(crate) files: Vec<std::path::PathBuf>,
    /// Whose words they are: `content`, text from elsewhere, or `user`, what somebody says to a model
    #[arg(long, value_name = "WHOSE", default_value = "content")]
    pub(crate) channel: Whose,
    /// How readily a passage counts as an order: cautious, default, trusting, or off; otherwise as the settings say
    #[arg(long, value_name = "NAME")]
    pub(crate) detector: Option<String>,
    /// Print a SARIF 2.1.0 log, for code scanning
    #[arg(long, conflicts_with = "json")]
    pub(crate) sarif: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Whose {
    /// Text from elsewhere
    Content,
    /// What somebody says to a model
    User,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Explain {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// The step; without one, the last that was not simply allowed, or else the last
    pub(crate) step: Option<u64>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Logs {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// Go on printing while it works
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Diff {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// The step; without one, what the whole run comes to
    pub(crate) step: Option<u64>,
    /// Count lines instead of showing them
    #[arg(long)]
    pub(crate) stat: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Undo {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// The step; without one, the whole run
    pub(crate) step: Option<u64>,
    /// Also what was changed since, or can only be put back in part
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Stop {
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// At once, not after the step that is under way
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Approve {
    /// The brain, or the beginning of its id; without one, the questions that wait are listed
    pub(crate) brain: Option<String>,
    /// The digest of the action, as the list shows it (its first digits suffice)
    #[arg(requires = "brain")]
    pub(crate) digest: Option<String>,
    /// Always for this tool and target, in this brain
    #[arg(long, conflicts_with_all = ["run", "deny", "feedback"])]
    pub(crate) always: bool,
    /// For the rest of this run, wherever what this tool is aimed at stands in the same sources
    #[arg(long, conflicts_with_all = ["deny", "feedback"])]
    pub(crate) run: bool,
    /// Answer with no
    #[arg(long)]
    pub(crate) deny: bool,
    /// Answer with no, and tell the brain this
    #[arg(long, value_name = "TEXT")]
    pub(crate) feedback: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Serve {
    /// The address and port to listen on [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Demo {
    /// Documents of your own; they are copied, never changed
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Keep the folder that was worked in
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Verify {
    /// Also try to take too much memory, processes, files and disk (bounded)
    #[arg(long)]
    pub(crate) stress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check a file of rules: its grammar, its words, its examples
    Check {
        /// The file
        file: PathBuf,
        /// The profile that it is added to: cautious, default, trusting, or none
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
    /// Print the rules that hold, in words
    Explain {
        #[command(flatten)]
        rules: PolicyFlags,
    },
    /// Judge what a brain did, or an action that you describe, by a file of rules and by those that held
    Test(PolicyTest),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PolicyTest {
    /// The file
    pub(crate) file: PathBuf,
    /// The brain whose actions are judged again, as its journal has them, or the beginning of its id
    #[arg(required_unless_present = "facts")]
    pub(crate) brain: Option<String>,
    /// Show every step, not only those that would be judged otherwise
    #[arg(long, requires = "brain")]
    pub(crate) all: bool,
    /// The profile that the file is added to: cautious, default, trusting, or none; otherwise it is the brain's, or that of
    /// the settings
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// What there is to know of the action, such as effect=external warrant=inside tainted targets=content
    #[arg(long, value_name = "FACT", num_args = 1.., conflicts_with = "brain")]
    pub(crate) facts: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Keep a credential: its value is asked for, or read from standard input
    Set(SetSecret),
    /// List names, hosts and forms; never values
    List,
    /// Forget a credential
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SetSecret {
    /// Its name, such as OPENAI_API_KEY; of well-known names, host and form are known
    pub(crate) name: String,
    /// A host that it is for, and for no other: NAME, NAME:PORT, or http://127.0.0.1:PORT for a server of this machine
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
    /// How it is shown there: bearer, header:NAME, query:NAME or basic:USER [default: bearer]
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// List the models that can be named, and the servers found on this machine
    List,
    /// Call a model with a few words, and say what came: whether key, address and name are right
    Test {
        /// The model, as after `run --model`
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mcp {
    /// Add a server: connect to it, show its tools, and approve them as they are now
    Add(Box<AddMcp>),
    /// List servers and what is approved of them
    List,
    /// Connect to a server, and say how what it offers compares with what was approved
    Test {
        /// Its name
        name: String,
    },
    /// Approve what a server offers as it is now
    Approve(ApproveMcp),
    /// Print a prompt of a server, filled in: its words are the server's, for `autoshare run --attach`
    Prompt(McpPrompt),
    /// Forget a server
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// List the tools: those that are built in, and those of servers
    List,
    /// Show a tool: its effect, the roles of its parameters, what its results are, and which rules say so
    Show(ShowTool),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ShowTool {
    /// Its name, as `autoshare tool list` shows it
    #[arg(required_unless_present = "contracts")]
    pub(crate) name: Option<String>,
    /// Print the contracts of all tools of a server, as a file for `autoshare mcp add --contracts` to begin with
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["name", "json"])]
    pub(crate) contracts: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AddMcp {
    /// By which you and the model know it: 1 to 24 lower-case letters, digits and hyphens
    pub(crate) name: String,
    /// Its address, where it is reached over HTTP
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "read", "write", "allow_host", "env", "secret"])]
    pub(crate) url: Option<String>,
    /// A secret (autoshare secret set) for its host, that its requests bear
    #[arg(long, value_name = "NAME", requires = "url")]
    pub(crate) credential: Option<String>,
    /// A folder that its program may read: its own packages, such as a venv or node_modules, and what it is to work on
    #[arg(long, value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// A folder that its program may read and write
    #[arg(long, value_name = "PATH")]
    pub(crate) write: Vec<PathBuf>,
    /// A host that its program may reach, through a proxy that it finds in its environment: NAME, NAME:PORT, .SUFFIX
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// A variable that its program finds
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// A secret (autoshare secret set) that is put into its program's requests to its hosts, or to one of them; the program
    /// finds a placeholder in the variable ENV
    #[arg(long, value_name = "ENV=NAME[@HOST]")]
    pub(crate) secret: Vec<String>,
    /// A file of contracts for its tools, which take the place of derived ones
    #[arg(long, value_name = "FILE")]
    pub(crate) contracts: Option<PathBuf>,
    /// Approve its tools without being asked
    #[arg(long)]
    pub(crate) yes: bool,
    /// With --yes: approve them even if their descriptions read like orders to whoever reads them
    #[arg(long, requires = "yes")]
    pub(crate) suspicious: bool,
    /// The program and its arguments, where it is one
    #[arg(
        required_unless_present = "url",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct McpPrompt {
    /// The server
    pub(crate) server: String,
    /// The prompt, as `autoshare mcp test` lists it
    pub(crate) prompt: String,
    /// What it is filled in with
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) with: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApproveMcp {
    /// Its name
    pub(crate) name: String,
    /// Approve without being asked
    #[arg(long)]
    pub(crate) yes: bool,
    /// With --yes: approve them even if their descriptions read like orders to whoever reads them
    #[arg(long, requires = "yes")]
    pub(crate) suspicious: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant
    New {
        /// Its name: 1 to 63 of a-z, 0-9 and '-', beginning with a letter
        name: TenantName,
        #[command(flatten)]
        terms: TenantTerms,
    },
    /// List the tenants
    List,
    /// Change what a tenant may have; what is not named stays
    Set {
        /// Its name
        name: TenantName,
        #[command(flatten)]
        terms: TenantTerms,
    },
    /// Refuse a tenant's tokens, and let its brains rest
    Suspend {
        /// Its name
        name: TenantName,
    },
    /// Serve a tenant again
    Resume {
        /// Its name
        name: TenantName,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TenantTerms {
    /// Its share where tenants wait for the same thing: 1 to 1000 [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) weight: Option<u32>,
    /// Brains that are awake at once at most [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) awake: Option<u32>,
    /// Brains in all at most [default: 100000]
    #[arg(long, value_name = "N")]
    pub(crate) brains: Option<u64>,
    /// Bytes of all its workspaces at most [default: 10 GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) disk: Option<u64>,
    /// The model of its brains for which none is named
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// A model that it may name, `*` for any text (repeatable); without one, all
    #[arg(long, value_name = "PATTERN")]
    pub(crate) allow_model: Vec<String>,
    /// Money of a day (UTC) at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) day_cost: Option<String>,
    /// Money of a month (UTC) at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) month_cost: Option<String>,
    /// Requests to the API a minute at most [default: [fair] requests_per_minute]
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; it is printed once, on stdout
    New(Box<NewToken>),
    /// List the tokens
    List,
    /// End a token, at once, and those it made
    Revoke {
        /// The token's id
        id: TokenId,
    },
    /// Give a token a new secret; its limits, and what was used of them, stay
    Rotate {
        /// The token's id
        id: TokenId,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NewToken {
    /// What it is for, in your words
    pub(crate) name: String,
    /// How long it lasts, such as 12h, 30d or 52w; without this, until it is revoked
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// A model that it may name, `*` for any text; without one, all
    #[arg(long, value_name = "PATTERN")]
    pub(crate) model: Vec<String>,
    /// Money of one call at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) call_cost: Option<String>,
    /// Money of a day (UTC) at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) day_cost: Option<String>,
    /// Money of a month (UTC) at most, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) month_cost: Option<String>,
    /// Tokens of one call at most, sent and received
    #[arg(long, value_name = "N")]
    pub(crate) call_tokens: Option<u64>,
    /// Tokens of a day at most
    #[arg(long, value_name = "N")]
    pub(crate) day_tokens: Option<u64>,
    /// Tokens of a month at most
    #[arg(long, value_name = "N")]
    pub(crate) month_tokens: Option<u64>,
    /// Requests of a day at most
    #[arg(long, value_name = "N")]
    pub(crate) day_requests: Option<u64>,
    /// Requests of a month at most
    #[arg(long, value_name = "N")]
    pub(crate) month_requests: Option<u64>,
    /// Requests a minute at most
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<u64>,
    /// Tokens a minute at most
    #[arg(long, value_name = "N")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Let it make tokens of its own, within its limits
    #[arg(long)]
    pub(crate) may_make_tokens: bool,
    /// What it may be used for (repeatable): gateway, tokens, read, brains, approve, empty_steps, shares, audit, people, operator
    /// [default: gateway]
    #[arg(long, value_name = "SCOPE", value_parser = Scope::parse)]
    pub(crate) scope: Vec<Scope>,
    /// Bind it to a client certificate (PEM): whoever shows that over TLS needs no token, and the token is nothing without it
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Usage {
    /// What a line stands for
    #[arg(long, value_enum, default_value_t = By::Day)]
    pub(crate) by: By,
    /// The first day, such as 2026-11-01 (UTC) [default: 30 days ago]
    #[arg(long, value_name = "DATE")]
    pub(crate) since: Option<Day>,
    /// Print comma-separated values
    #[arg(long, conflicts_with_all = ["json", "plot"])]
    pub(crate) csv: bool,
    /// Print bars
    #[arg(long, conflicts_with = "json")]
    pub(crate) plot: bool,
}

/// What usage is summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// The day (UTC)
    Day,
    /// The model
    Model,
    /// The brain
    Brain,
    /// The token
    Token,
}
