//! The gateway to models, at the proxy's own address.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::head::Body;
use crate::gateway::{Caller, Gateway, ROOT};

/// The gateway, and the cell as its caller: whoever connects is the cell, whatever it shows.
pub(super) struct Door {
    pub(super) gateway: Gateway,
    pub(super) caller: Caller,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("brain", &self.caller.brain).finish_non_exhaustive()
    }
}

impl Door {
    /// Whether a request is for the gateway: to the proxy itself, as to any server, or through it to its own address.
    pub(super) fn leads(request: &Request<Incoming>) -> bool {
        let here = request.uri().authority().is_none_or(|at| matches!(at.host(), "127.0.0.1" | "localhost"));
        request.method() != Method::CONNECT && here && request.uri().path().starts_with(ROOT)
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.gateway.answer(&self.caller, request).await.map(|body| body.map_err(Into::into).boxed())
    }
}
