//! A server that does nothing but refuse: what HTTP alone costs.

use std::convert::Infallible;
use std::process::{Child, Command};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// What AutoSHARE says to whoever asks too often.
const WORDS: &str = r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"the tenant has made all the requests that it may make for now","code":"rate"}"#;

/// The process of one.
pub(crate) struct Bare(Child);

impl Bare {
    /// Begins one that listens at a port of this machine's own.
    pub(crate) fn begin(port: u16) -> Self {
        let child = Command::new(std::env::current_exe().unwrap()).args(["--bare", &port.to_string()]).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves until it is killed.
pub(crate) fn serve(port: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = stream.set_nodelay(true);
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(refuse)));
        }
    });
}

async fn refuse(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let response = Response::builder().status(429).header("retry-after", "1");
    let response = response.header("content-type", "application/problem+json").header("cache-control", "no-store");
    Ok(response.body(Full::from(WORDS)).unwrap())
}
