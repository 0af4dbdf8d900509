//! `serve`: what others reach over HTTP.
//!
//! The order matters: the launcher was forked before; then the data directory is taken, the address, and what systemd
//! hands over; then this process confines itself, before it has threads and before a stranger's byte is read.

mod alone;
mod descriptors;
mod log;
mod systemd;
mod tls;
mod walls;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use autoshare_guard::encode;
use autoshare_host::resident::ResidentError;
use autoshare_sandbox::Launcher;
use autoshare_server::http::{self, Http};
use autoshare_vault::Vault;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::alone::Alone;
use self::systemd::Supervisor;
use self::tls::TlsFiles;
use crate::args::Serve;
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::screen::{Look, err, out};
use crate::settings::{Activation, Settings, parse_address};

/// How long traces and alerts that wait may take to be sent at the end.
const LAST: Duration = Duration::from_secs(5);

/// `autoshare serve`.
pub(crate) fn serve(
    mut settings: Settings,
    launcher: Launcher,
    flags: &Serve,
    look: Look,
) -> Result<ExitCode, Failure> {
    if let Some(listen) = &flags.listen {
        settings.serve.http.listen = parse_address(listen)?;
    }
    // Makes the data directory, at first use.
    drop(Vault::open(&settings.data_dir)?);
    let descriptors = descriptors::raise();
    let _alone = Alone::with(&settings.data_dir)?;
    let activation = Activation::read()?;
    let supervisor = Supervisor::reach(&activation)?;
    let listener = match systemd::socket(&activation)? {
        Some(given) => given,
        None => http::listen(settings.serve.http.listen, settings.serve.tls.is_some())?,
    };
    if !settings.restrict {
        let words = "serve keeps every tenant to its workspaces: RESTRICT_TO_WORKSPACE cannot be off here";
        return Err(Failure::new(SETTINGS, words));
    }
    assemble::serve::make_workspaces(&settings)?;
    let confined = walls::confine(&settings)?;
    walls::try_cell(&launcher)?;
    let nobody = assemble::tokens(&settings)?;
    let none = nobody.1.list(&nobody.0)?.is_empty();
    let launcher = Arc::new(launcher);
    let tls = settings.serve.tls.clone().map(TlsFiles::read).transpose()?;
    let (http_settings, drain) = (settings.serve.http.clone(), settings.serve.http.drain);
    let tenants = settings.serve.residents.most;
    let too_few = descriptors.and_then(|most| descriptors::too_few(most, http_settings.connections, tenants));
    let least = settings.serve.log;
    let driving = drivers()?;
    let faces = assemble::serve::faces(settings, Arc::clone(&launcher), driving.handle().clone())?;
    let faces = Arc::new(faces);
    let form = if look == Look::Json { log::Form::Json } else { log::Form::Plain };
    let log = log::begin(form, least)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody is told that it listens: whoever is told may send one.
        let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asked = signal(SignalKind::hangup())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let http = Http::over(listener, http_settings, tls.as_ref().map(TlsFiles::pair))?;
        let at = http.at()?;
        let base = format!("{scheme}://{at}");
        if look == Look::Json {
            out(&serde_json::json!({"listening": base}).to_string());
        } else {
            err(&format!("listening on {base}"));
            if confined.is_none() {
                err("warning: this process is not confined ([serve] confine)");
            }
            if let Some(words) = &too_few {
                err(&format!("warning: {words}"));
            }
            err(&format!("  OPENAI_BASE_URL={base}/gateway/openai/v1"));
            err(&format!("  ANTHROPIC_BASE_URL={base}/gateway/anthropic"));
            if none {
                err("nobody has a token yet: autoshare token new NAME");
            }
        }
        let mending = Arc::clone(&faces.sharing);
        let mended = tokio::task::spawn_blocking(move || mending.mend()).await;
        if let Err(error) = mended.map_err(|error| failed(ResidentError::Wrong(error.to_string())))? {
            err(&format!("a share is not mended: {}", encode::terminal_line(&error.to_string(), 300)));
        }
        for (tenant, brain, why) in faces.residents.wake_all(&faces.operator).await.map_err(failed)? {
            err(&format!("{tenant}/{brain} was awake and is not woken: {}", encode::terminal_line(&why, 300)));
        }
        let stop = async move {
            tokio::select! {
                _ = end.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let renewing = tokio::spawn(tls::renew(http.certificate().zip(tls), asked));
        supervisor.tell("READY=1");
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = supervisor.live(driving.handle()) => {}
            }
            supervisor.tell("STOPPING=1");
        };
        http.serve(Arc::clone(&faces), stop).await;
        renewing.abort();
        faces.residents.close(drain).await;
        faces.telemetry.end(LAST).await;
        Ok::<(), Failure>(())
    })?;
    drop((faces, runtime, driving));
    log.into_iter().for_each(log::End::wait);
    if let Some(launcher) = Arc::into_inner(launcher) {
        launcher.leave();
    }
    Ok(ExitCode::SUCCESS)
}

/// By how much the threads that drive brains give way to those that answer (setpriority(2)): of two that want a processor, a
/// quarter of the time is theirs.
const GIVE_WAY: i32 = 5;

/// Threads that begin and drive brains, beside those that answer, so that whoever asks need not wait for them. A connection to
/// a provider is at home where it was opened, whoever calls over it later.
fn drivers() -> std::io::Result<Runtime> {
    let give_way = || {
        // Where it may not, they are as the others.
        let _ = rustix::process::setpriority_process(None, GIVE_WAY);
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("brains").on_thread_start(give_way).build()
}

fn failed(error: ResidentError) -> Failure {
    Failure::new(FAILED, error.to_string())
}
