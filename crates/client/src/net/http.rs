// SPDX-License-Identifier: MIT OR Apache-2.0
//! One HTTP exchange: request out, bounded answer in. Tickets and cookies pass through here and are never logged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use zeroize::Zeroize;

use super::{Net, NetFault};

/// Largest body of an answer, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most header lines of an answer.
const HEADER_LINES_MAX: usize = 100;
/// Time for a whole exchange, in milliseconds.
const EXCHANGE_MS_MAX: u64 = 20_000;

/// The methods that the client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Header lines besides Host and Content-Length.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
}

impl HttpRequest {
    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A POST.
    #[must_use]
    pub fn post(url: impl Into<String>, content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self {
            method: Method::Post,
            url: url.into(),
            headers,
            body,
        }
    }

    /// The same with one more header line.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        // Tickets, cookies, sometimes a password.
        for (_, value) in &mut self.headers {
            value.zeroize();
        }
        self.body.zeroize();
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Query, headers and body may hold tickets.
        let url = self.url.split('?').next().unwrap_or_default();
        write!(f, "HttpRequest({:?} {url})", self.method)
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, when it is a text.
    pub body: String,
    /// Body, when it is a picture.
    pub raw: Bytes,
}

impl HttpAnswer {
    /// The first header line of this name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The content type, empty if there is none.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    /// Header lines as pairs of texts.
    pub fn header_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Host and port of an `https` (or `http`) URL.
#[must_use]
pub fn authority(url: &str) -> Option<(bool, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    // Userinfo in a URL is only good for misleading.
    if uri.authority()?.as_str().contains('@') {
        return None;
    }
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Some((secure, uri.host()?.to_ascii_lowercase(), port))
}

/// Sends a request and reads its answer. `tls` is the configuration for `https`.
///
/// # Errors
/// When no whole answer comes within the limits.
pub async fn exchange(
    net: &Net,
    request: HttpRequest,
    tls: Arc<rustls::ClientConfig>,
) -> Result<HttpAnswer, NetFault> {
    let limit = Duration::from_millis(EXCHANGE_MS_MAX);
    timeout(limit, exchange_unlimited(net, request, tls))
        .await
        .unwrap_or(Err(NetFault::TimedOut))
}

async fn exchange_unlimited(
    net: &Net,
    request: HttpRequest,
    tls: Arc<rustls::ClientConfig>,
) -> Result<HttpAnswer, NetFault> {
    let (secure, host, port) = authority(&request.url).ok_or(NetFault::Url)?;
    let message = message(request)?;
    if secure {
        let stream = net.connect_tls(&host, port, tls).await?;
        send(stream, message).await
    } else {
        let stream = net.connect(&host, port).await?;
        send(stream, message).await
    }
}

fn message(mut request: HttpRequest) -> Result<Request<Full<Bytes>>, NetFault> {
    let uri: Uri = request.url.parse().map_err(|_| NetFault::Url)?;
    let host = uri.authority().ok_or(NetFault::Url)?.as_str().to_owned();
    let path = uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let length = request.body.len();
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
    };
    let mut message = Request::builder()
        .method(&method)
        .uri(path)
        .body(Full::new(Bytes::from(std::mem::take(&mut request.body))))
        .map_err(|_| NetFault::Url)?;
    let headers = message.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| NetFault::Url);
    headers.insert(HOST, value(&host)?);
    headers.insert(
        USER_AGENT,
        value(concat!("Lanyard/", env!("CARGO_PKG_VERSION")))?,
    );
    if method == hyper::Method::POST {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    for (name, text) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NetFault::Url)?;
        let mut value = value(text)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(message)
}

async fn send<S>(stream: S, message: Request<Full<Bytes>>) -> Result<HttpAnswer, NetFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(HEADER_LINES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| NetFault::Broken)?;
    // The connection ends with this exchange; the handle stops it when the answer is in.
    let connection = tokio::spawn(connection);
    let result = read_answer(&mut sender, message).await;
    connection.abort();
    result
}

async fn read_answer(
    sender: &mut hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    message: Request<Full<Bytes>>,
) -> Result<HttpAnswer, NetFault> {
    let answer = sender
        .send_request(message)
        .await
        .map_err(|error| broken(&error))?;
    let status = answer.status().as_u16();
    let mut headers = Vec::new();
    for (name, value) in answer.headers() {
        let text = value.to_str().map_err(|_| NetFault::Malformed)?;
        headers.push((name.as_str().to_owned(), text.to_owned()));
    }
    let body = Limited::new(answer.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| NetFault::Malformed)?
        .to_bytes();
    let kind = headers.iter().find(|(name, _)| name == "content-type");
    let is_picture = kind.is_some_and(|(_, kind)| kind.starts_with("image/"));
    let (text, raw) = if is_picture {
        (Vec::new(), body)
    } else {
        (body.to_vec(), Bytes::new())
    };
    Ok(HttpAnswer {
        status,
        headers,
        body: String::from_utf8(text).map_err(|_| NetFault::Malformed)?,
        raw,
    })
}

fn broken(error: &hyper::Error) -> NetFault {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return NetFault::from_io(io);
        }
        source = cause.source();
    }
    if error.is_parse() {
        NetFault::Malformed
    } else {
        NetFault::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_and_port() {
        assert_eq!(
            authority("https://Lync.contoso.test/x"),
            Some((true, "lync.contoso.test".into(), 443))
        );
        assert_eq!(authority("http://h:8080/"), Some((false, "h".into(), 8080)));
        assert_eq!(authority("https://contoso.test@evil.test/"), None);
        assert_eq!(authority("file:///etc/passwd"), None);
        assert_eq!(authority("/relative"), None);
    }

    #[test]
    fn requests_and_answers_do_not_print_their_secrets() {
        let request =
            HttpRequest::get("https://h/p?ticket=abc").header("cookie", "RPSAuth=secretive");
        let text = format!("{request:?}");
        assert!(!text.contains("abc") && !text.contains("secretive"));
    }
}
