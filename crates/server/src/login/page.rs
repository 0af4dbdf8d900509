//! What a browser is shown. Pages without a script, a style or a picture, which are kept nowhere and shown in no frame.

use autoshare_guard::encode::html;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
};
use hyper::{Response, StatusCode};

use crate::http::reply::Reply;

const HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    // The address of the page after a login has the provider's code in it.
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

fn with_headers(status: StatusCode, body: String) -> Response<Reply> {
    let mut response = Response::new(Reply::from(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page: its heading, and its paragraphs in HTML.
pub(super) fn page(status: StatusCode, heading: &str, paragraphs: &[String]) -> Response<Reply> {
    let paragraphs: String = paragraphs.iter().map(|text| format!("<p>{text}</p>\n")).collect();
    let heading = html(heading);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{heading} - AutoSHARE</title></head>\n\
         <body>\n<h1>{heading}</h1>\n{paragraphs}</body>\n</html>\n"
    );
    let mut response = with_headers(status, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Nobody is signed in: the same page whatever the reason.
pub(super) fn refused() -> Response<Reply> {
    let words = [
        "Nobody is signed in. Begin again, in this browser. If that does not help, ask whoever runs the tenant to add you, \
         and check its name; the log of this server's operator says more."
            .to_owned(),
    ];
    page(StatusCode::FORBIDDEN, "Not signed in", &words)
}

/// It cannot be done now.
pub(super) fn later(status: StatusCode, seconds: u64) -> Response<Reply> {
    let words =
        ["Nobody can be signed in now; the log of this server's operator says why. Try again later.".to_owned()];
    let mut response = page(status, "Not now", &words);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Elsewhere.
pub(super) fn see_other(url: &str) -> Option<Response<Reply>> {
    let mut response = with_headers(StatusCode::SEE_OTHER, String::new());
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(url).ok()?);
    Some(response)
}

/// The same answer, with a cookie.
pub(super) fn with_cookie(mut response: Response<Reply>, cookie: &str) -> Response<Reply> {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// A secret to be copied.
pub(super) fn copied(text: &str) -> String {
    format!("<code>{}</code>", html(text))
}
