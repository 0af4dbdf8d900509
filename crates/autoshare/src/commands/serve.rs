//! `serve`: what others reach over HTTP.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use autoshare_broker::gateway::Gateway;
use autoshare_guard::encode;
use autoshare_host::calls::Calls;
use autoshare_server::http::{Certificate, Faces, Http, TlsPair};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Serve;
use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, err, out};
use crate::settings::{Settings, parse_address, read_text};

/// How often the files of the certificate are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(60);

/// The files of a certificate and its key, as they were read last.
struct TlsFiles {
    names: (PathBuf, PathBuf),
    shown: (String, String),
    texts: (String, String),
}

impl TlsFiles {
    fn read(names: (PathBuf, PathBuf)) -> Result<Self, Failure> {
        let shown = (names.0.display().to_string(), names.1.display().to_string());
        let texts = (read_text(&names.0)?, read_text(&names.1)?);
        Ok(Self { names, shown, texts })
    }

    fn pair(&self) -> TlsPair<'_> {
        TlsPair { cert: (&self.shown.0, self.texts.0.as_bytes()), key: (&self.shown.1, self.texts.1.as_bytes()) }
    }
}

/// Takes a certificate into use whose files have changed: within a minute, or at once on SIGHUP. One that cannot be used
/// changes nothing; half of a pair is one, until the other half is there.
async fn renew(certificate: Certificate, mut files: TlsFiles) {
    let Ok(mut asked) = signal(SignalKind::hangup()) else { return };
    let mut refused = String::new();
    loop {
        tokio::select! {
            _ = asked.recv() => {}
            () = tokio::time::sleep(LOOK_AT_FILES) => {}
        }
        let renewed = match TlsFiles::read(files.names.clone()) {
            Ok(read) if read.texts == files.texts => continue,
            Ok(read) => certificate.renew(&read.pair()).map(|()| read).map_err(|error| error.to_string()),
            Err(error) => Err(error.into_words()),
        };
        match renewed {
            Ok(read) => {
                err(&format!("the certificate in {} is used from now on", encode::terminal_line(&read.shown.0, 200)));
                (files, refused) = (read, String::new());
            }
            // Once, and not every minute.
            Err(why) if why == refused => {}
            Err(why) => {
                err(&format!("the certificate stays as it was: {}", encode::terminal(&why)));
                refused = why;
            }
        }
    }
}

/// `autoshare serve`.
pub(crate) fn serve(mut settings: Settings, flags: &Serve, look: Look) -> Result<ExitCode, Failure> {
    if let Some(listen) = &flags.listen {
        settings.serve.http.listen = parse_address(listen)?;
    }
    let data = assemble::data(&settings)?;
    let ledger = assemble::ledger(&settings, &data.access)?;
    let (access, tokens) = assemble::tokens(&settings)?;
    let none = tokens.list(&access)?.is_empty();
    let broker = assemble::broker(&mut settings)?;
    let calls = Calls::new(data.access.clone(), Arc::clone(&data.store));
    let gateway = Gateway::new(broker, Arc::clone(&ledger), settings.gateway.clone());
    let tls = settings.serve.tls.clone().map(TlsFiles::read).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let http = Http::bind(settings.serve.http.clone(), tls.as_ref().map(TlsFiles::pair)).await?;
        let at = http.at()?;
        let base = format!("{scheme}://{at}");
        if look == Look::Json {
            out(&serde_json::json!({"listening": base}).to_string());
        } else {
            err(&format!("listening on {base}"));
            err(&format!("  OPENAI_BASE_URL={base}/gateway/openai/v1"));
            err(&format!("  ANTHROPIC_BASE_URL={base}/gateway/anthropic"));
            if none {
                err("nobody has a token yet: autoshare token new NAME");
            }
        }
        let faces = Arc::new(Faces { tokens, gateway, calls });
        let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! {
                _ = end.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let renewing = http.certificate().zip(tls).map(|(certificate, files)| tokio::spawn(renew(certificate, files)));
        http.serve(Arc::clone(&faces), stop).await;
        renewing.iter().for_each(tokio::task::JoinHandle::abort);
        if let Some(faces) = Arc::into_inner(faces) {
            faces.calls.finish().await;
        }
        Ok::<(), Failure>(())
    })?;
    ledger.flush()?;
    Ok(ExitCode::SUCCESS)
}
