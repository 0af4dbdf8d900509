//! `serve`: what others reach over HTTP.

use std::process::ExitCode;
use std::sync::Arc;

use autoshare_access::Tokens;
use autoshare_broker::gateway::Gateway;
use autoshare_host::calls::Calls;
use autoshare_server::http::{Faces, Http, TlsPair};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Serve;
use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, err, out};
use crate::settings::{Settings, parse_address, read_text};

/// `autoshare serve`.
pub(crate) fn serve(mut settings: Settings, flags: &Serve, look: Look) -> Result<ExitCode, Failure> {
    if let Some(listen) = &flags.listen {
        settings.serve.http.listen = parse_address(listen)?;
    }
    let data = assemble::data(&settings)?;
    let vault = autoshare_vault::Vault::open(&settings.data_dir)?;
    let ledger = assemble::ledger(&settings, &data.access)?;
    let tokens = Tokens::open(&settings.data_dir, &vault)?;
    let none = tokens.list(&data.access)?.is_empty();
    let broker = assemble::broker(&mut settings)?;
    let calls = Calls::new(data.access.clone(), Arc::clone(&data.store));
    let gateway = Gateway::new(broker, Arc::clone(&ledger), settings.gateway.clone());
    let tls = match &settings.serve.tls {
        Some((cert, key)) => Some((cert, read_text(cert)?, key, read_text(key)?)),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let names = tls.as_ref().map(|(cert, _, key, _)| (cert.display().to_string(), key.display().to_string()));
        let pair = tls.as_ref().zip(names.as_ref()).map(|((_, cert, _, key), (cert_name, key_name))| TlsPair {
            cert: (cert_name, cert.as_bytes()),
            key: (key_name, key.as_bytes()),
        });
        let scheme = if pair.is_some() { "https" } else { "http" };
        let http = Http::bind(settings.serve.http.clone(), pair).await?;
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
        http.serve(Arc::clone(&faces), stop).await;
        if let Some(faces) = Arc::into_inner(faces) {
            faces.calls.finish().await;
        }
        Ok::<(), Failure>(())
    })?;
    ledger.flush()?;
    Ok(ExitCode::SUCCESS)
}
