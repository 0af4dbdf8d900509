//! The files that TLS is spoken with, read again when they change.

use std::time::Duration;

use autoshare_guard::encode;
use autoshare_server::http::{Certificate, ClientCa, TlsPair};
use tokio::signal::unix::Signal;

use crate::exit::Failure;
use crate::screen::err;
use crate::settings::{TlsSettings, read_text};

/// How often the files of the certificate are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(60);

/// Certificate, key and authorities of callers, as they were read last.
pub(crate) struct TlsFiles {
    settings: TlsSettings,
    shown: [String; 3],
    texts: [String; 3],
}

impl TlsFiles {
    pub(crate) fn read(settings: TlsSettings) -> Result<Self, Failure> {
        let clients = settings.clients.as_ref().map(|(path, _)| path);
        let files = [Some(&settings.cert), Some(&settings.key), clients];
        let shown = files.map(|file| file.map(|path| path.display().to_string()).unwrap_or_default());
        let [cert, key, clients] = files.map(|file| file.map_or_else(|| Ok(String::new()), |path| read_text(path)));
        let texts = [cert?, key?, clients?];
        Ok(Self { settings, shown, texts })
    }

    pub(crate) fn pair(&self) -> TlsPair<'_> {
        let [cert, key, clients] = &self.shown;
        let [cert_text, key_text, clients_text] = &self.texts;
        TlsPair {
            cert: (cert, cert_text.as_bytes()),
            key: (key, key_text.as_bytes()),
            clients: self
                .settings
                .clients
                .as_ref()
                .map(|(_, demand)| ClientCa { roots: (clients, clients_text.as_bytes()), demand: *demand }),
        }
    }
}

/// Takes a certificate into use whose files have changed: within a minute, or at once on SIGHUP. One that cannot be used
/// changes nothing; half of a pair is one, until the other half is there. Without TLS there is nothing to be done, and
/// SIGHUP ends nothing.
pub(crate) async fn renew(served: Option<(Certificate, TlsFiles)>, mut asked: Signal) {
    let Some((certificate, mut files)) = served else {
        while asked.recv().await.is_some() {}
        return;
    };
    let mut refused = String::new();
    loop {
        tokio::select! {
            _ = asked.recv() => {}
            () = tokio::time::sleep(LOOK_AT_FILES) => {}
        }
        let renewed = match TlsFiles::read(files.settings.clone()) {
            Ok(read) if read.texts == files.texts => continue,
            Ok(read) => certificate.renew(&read.pair()).map(|()| read).map_err(|error| error.to_string()),
            Err(error) => Err(error.into_words()),
        };
        match renewed {
            Ok(read) => {
                let [cert, ..] = &read.shown;
                err(&format!("the certificate in {} is used from now on", encode::terminal_line(cert, 200)));
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
