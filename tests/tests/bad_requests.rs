// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stranger can do to the server with nothing but a network: each is refused in words,
//! nothing is issued, nothing is lost, and everybody else is served.

use anyhow::{Context, Result, bail};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::process::run_limited;
use lanyard_tests::server::{DOMAIN, HOST, Ports, Server};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const LIMIT: Duration = Duration::from_secs(60);

fn with_server(name: &str, body: impl FnOnce(&Path, &mut Server) -> Result<()>) {
    in_own_namespace(name, || {
        let dir = tempfile::tempdir()?;
        let mut server = Server::init(dir.path(), Ports::WELL_KNOWN)?;
        server.start()?;
        body(dir.path(), &mut server)
            .with_context(|| std::fs::read_to_string(server.log_file()).unwrap_or_default())
    });
}

/// curl, told where the server is and whom to trust. Gives status and body.
fn curl(server: &Server, url: &str, more: &[&str]) -> Result<(u16, String)> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "40"]);
    command.arg("--cacert").arg(server.root_certificate());
    for host in [
        HOST,
        "lyncdiscover.contoso.test",
        "lyncdiscoverinternal.contoso.test",
    ] {
        for port in [server.ports.https, server.ports.card, server.ports.http] {
            command.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
        }
    }
    command
        .args(["--write-out", "\n%{http_code}"])
        .args(more)
        .arg(url);
    let output = run_limited(&mut command, "", LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl printed nothing")?;
    Ok((status.trim().parse()?, body.to_owned()))
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    let output = run_limited(command.current_dir(folder).args(arguments), "", LIMIT)?;
    if !output.status.success() {
        bail!(
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

fn base64(bytes: &[u8]) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), bytes)?;
    let mut command = Command::new("base64");
    let output = run_limited(command.arg("-w0").arg(file.path()), "", LIMIT)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn enrolment(code: &str, csr: &[u8]) -> Result<Value> {
    Ok(json!({
        "code": code,
        "address": ALICE,
        "template": "SmartcardUser",
        "csr": base64(csr)?,
        "card": { "kind": "physical", "guid": "00112233445566778899aabbccddeeff", "label": "test" },
        "pin_changed": true,
    }))
}

fn enrol(server: &Server, folder: &Path, request: &Value) -> Result<(u16, Value)> {
    let file = folder.join("enrolment.json");
    std::fs::write(&file, request.to_string())?;
    let data = format!("@{}", file.display());
    let more = [
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        &data,
    ];
    let (status, body) = curl(server, &format!("https://{HOST}/api/v1/enrolments"), &more)?;
    Ok((
        status,
        serde_json::from_str(&body).with_context(|| format!("{status}: {body}"))?,
    ))
}

fn p256_request(folder: &Path, more: &[&str]) -> Result<Vec<u8>> {
    openssl(
        folder,
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            "key.pem",
        ],
    )?;
    let mut arguments = vec!["req", "-new", "-key", "key.pem", "-outform", "DER"];
    arguments.extend(more);
    openssl(folder, &arguments)
}

#[test]
fn requests_with_a_fault_are_refused_by_its_name_and_the_code_stays_good() {
    let name = "requests_with_a_fault_are_refused_by_its_name_and_the_code_stays_good";
    with_server(name, |folder, server| {
        server.must(&["user", "add", ALICE])?;
        let code = server.enrol_code(ALICE)?;
        let good = p256_request(folder, &["-subj", "/CN=alice"])?;
        let mut bent = good.clone();
        let last = bent.len() - 1;
        bent[last] ^= 1;
        openssl(folder, &["genrsa", "-out", "weak.pem", "1024"])?;
        let weak = openssl(
            folder,
            &[
                "req",
                "-new",
                "-key",
                "weak.pem",
                "-subj",
                "/CN=alice",
                "-outform",
                "DER",
            ],
        )?;
        let sha1 = openssl(
            folder,
            &[
                "req", "-new", "-sha1", "-key", "key.pem", "-subj", "/CN=a", "-outform", "DER",
            ],
        )?;
        let cases = [
            ("a bent signature", bent, &["LY-1403", "LY-1402"][..]),
            ("a weak key", weak, &["LY-1404"]),
            ("an obsolete hash", sha1, &["LY-14"]),
            ("no request at all", b"hello".to_vec(), &["LY-1402"]),
            (
                "a cut request",
                good[..good.len() / 2].to_vec(),
                &["LY-1402"],
            ),
        ];
        for (what, csr, codes) in cases {
            let (status, body) = enrol(server, folder, &enrolment(&code, &csr)?)?;
            let got = body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if status != 400 || !codes.iter().any(|code| got.starts_with(code)) {
                bail!("{what}: {status} {body}");
            }
            if body["error"]["message"].as_str().is_none_or(str::is_empty)
                || body["error"]["next"].as_str().is_none_or(str::is_empty)
            {
                bail!("{what}: no sentence or no next step: {body}");
            }
        }
        let (status, body) = enrol(server, folder, &enrolment(&code, &good)?)?;
        if status != 201 {
            bail!("the code was used up by a request that was refused: {status} {body}");
        }
        let (status, body) = enrol(server, folder, &enrolment(&code, &good)?)?;
        if status != 403 || body["error"]["code"] != "LY-1401" {
            bail!("a used code was taken again: {status} {body}");
        }
        server.must(&["audit", "verify"])?;
        Ok(())
    });
}

#[test]
fn a_request_for_powers_and_other_peoples_names_gets_its_key_certified_and_nothing_else() {
    let name =
        "a_request_for_powers_and_other_peoples_names_gets_its_key_certified_and_nothing_else";
    with_server(name, |folder, server| {
        server.must(&["user", "add", ALICE, "--name", "Alice Almeida"])?;
        server.must(&["user", "add", "bob@contoso.test", "--name", "Bob Bauer"])?;
        let config = "[req]\ndistinguished_name=dn\nreq_extensions=ext\nprompt=no\n[dn]\nCN=Bob Bauer\n\
             [ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n\
             extendedKeyUsage=1.3.6.1.4.1.311.20.2.1,serverAuth\n\
             subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:bob@contoso.test,email:bob@contoso.test\n";
        std::fs::write(folder.join("greedy.cnf"), config)?;
        let greedy = p256_request(folder, &["-config", "greedy.cnf"])?;
        let code = server.enrol_code(ALICE)?;
        let (status, body) = enrol(server, folder, &enrolment(&code, &greedy)?)?;
        if status != 201 {
            bail!("{status} {body}");
        }
        let der = body["certificate"].as_str().context("no certificate")?;
        std::fs::write(folder.join("cert.b64"), der)?;
        openssl(
            folder,
            &["base64", "-d", "-A", "-in", "cert.b64", "-out", "cert.der"],
        )?;
        let text = openssl(
            folder,
            &[
                "x509", "-inform", "DER", "-in", "cert.der", "-noout", "-text",
            ],
        )?;
        let text = String::from_utf8_lossy(&text).into_owned();
        for must in ["Alice Almeida", "CA:FALSE", "alice@contoso.test"] {
            if !text.contains(must) {
                bail!("no {must} in:\n{text}");
            }
        }
        for mustnt in [
            "Bob",
            "bob@",
            "CA:TRUE",
            "Certificate Sign",
            "311.20.2.1,",
            "Web Server",
        ] {
            if text.contains(mustnt) {
                bail!("{mustnt} in:\n{text}");
            }
        }
        // Its key is the one of the request.
        let key = openssl(
            folder,
            &[
                "x509", "-inform", "DER", "-in", "cert.der", "-noout", "-pubkey",
            ],
        )?;
        let asked = openssl(folder, &["pkey", "-in", "key.pem", "-pubout"])?;
        if key != asked {
            bail!("another key was certified");
        }
        Ok(())
    });
}

#[test]
fn an_unknown_person_and_a_wrong_code_look_the_same() {
    with_server(
        "an_unknown_person_and_a_wrong_code_look_the_same",
        |folder, server| {
            server.must(&["user", "add", ALICE])?;
            server.enrol_code(ALICE)?;
            let csr = p256_request(folder, &["-subj", "/CN=x"])?;
            let wrong = enrolment("AAAA-BBBB-CCCC", &csr)?;
            let mut nobody = wrong.clone();
            nobody["address"] = json!(format!("nobody@{DOMAIN}"));
            let one = enrol(server, folder, &wrong)?;
            let other = enrol(server, folder, &nobody)?;
            if one != other || one.0 != 403 {
                bail!("{one:?} {other:?}");
            }
            Ok(())
        },
    );
}

#[test]
fn oversized_and_endless_requests_end_and_others_are_served() {
    with_server(
        "oversized_and_endless_requests_end_and_others_are_served",
        |folder, server| {
            let big = folder.join("big");
            std::fs::write(&big, vec![b'x'; 2 * 1024 * 1024])?;
            let data = format!("@{}", big.display());
            for path in [
                "api/v1/enrolments",
                "WebTicket/oauthtoken",
                "PassiveAuth/PassiveAuth.aspx",
            ] {
                let more = [
                    "-H",
                    "Content-Type: application/json",
                    "--data-binary",
                    &data,
                ];
                let (status, _) = curl(server, &format!("https://{HOST}/{path}"), &more)?;
                if status != 413 {
                    bail!("{path} took two megabytes: {status}");
                }
            }
            let header = format!("X-Long: {}", "y".repeat(100_000));
            let (status, _) = curl(server, &format!("https://{HOST}/"), &["-H", &header])
                .unwrap_or((431, String::new()));
            if status == 200 {
                bail!("a header of 100,000 bytes was taken");
            }
            // SIP in the clear is not spoken at all, and an endless head is cut.
            let mut plain = TcpStream::connect(("127.0.0.1", server.ports.sip))?;
            plain.set_read_timeout(Some(Duration::from_secs(15)))?;
            let _ = plain.write_all(b"REGISTER sip:contoso.test SIP/2.0\r\n");
            let mut rest = Vec::new();
            let _ = plain.read_to_end(&mut rest);
            if String::from_utf8_lossy(&rest).contains("SIP/2.0") {
                bail!("SIP was spoken without TLS");
            }
            must_serve(server)
        },
    );
}

#[test]
fn half_open_handshakes_and_one_byte_a_second_hold_nobody_up() {
    with_server(
        "half_open_handshakes_and_one_byte_a_second_hold_nobody_up",
        |_, server| {
            let mut idle = Vec::new();
            for port in [
                server.ports.sip,
                server.ports.https,
                server.ports.card,
                server.ports.http,
            ] {
                for _ in 0..100 {
                    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
                    // The beginning of a ClientHello, and of an HTTP request.
                    stream.write_all(if port == server.ports.http {
                        b"GET / HT"
                    } else {
                        b"\x16\x03\x01"
                    })?;
                    idle.push(stream);
                }
            }
            let start = Instant::now();
            must_serve(server)?;
            if start.elapsed() > Duration::from_secs(20) {
                bail!("others waited {:?}", start.elapsed());
            }
            // A drip of one byte a second does not keep a connection alive for ever.
            let mut drip = idle.pop().context("none")?;
            drip.set_read_timeout(Some(Duration::from_millis(900)))?;
            let mut ended = false;
            while start.elapsed() < Duration::from_secs(60) {
                let mut byte = [0];
                let written = drip.write_all(b"x");
                let read = drip.read(&mut byte);
                if written.is_err() || matches!(read, Ok(0)) {
                    ended = true;
                    break;
                }
            }
            if !ended {
                bail!(
                    "a request of one byte a second was still open after {:?}",
                    start.elapsed()
                );
            }
            must_serve(server)
        },
    );
}

fn must_serve(server: &Server) -> Result<()> {
    let url = format!("https://lyncdiscover.{DOMAIN}/?sipuri={ALICE}");
    let (status, body) = curl(server, &url, &[])?;
    if status != 200 || !body.contains("Enrolment") {
        bail!("others are not served: {status} {body}");
    }
    Ok(())
}

#[test]
fn a_domain_that_does_not_live_here_is_unknown() {
    with_server(
        "a_domain_that_does_not_live_here_is_unknown",
        |_, server| {
            let url = format!("https://lyncdiscover.{DOMAIN}/?sipuri=eve@elsewhere.test");
            let (status, body) = curl(server, &url, &[])?;
            if status != 404 || !body.contains("LY-1002") {
                bail!("{status} {body}");
            }
            Ok(())
        },
    );
}

#[test]
fn the_documented_error_ids_come_with_a_ticket_that_is_missing_or_of_a_wrong_kind() {
    let name = "the_documented_error_ids_come_with_a_ticket_that_is_missing_or_of_a_wrong_kind";
    with_server(name, |_, server| {
        let url = format!("https://{HOST}/WebTicket/oauthtoken");
        let passive = ["-i", "--data", "grant_type=urn:microsoft.rtc:passive"];
        let (status, text) = curl(server, &url, &passive)?;
        if status != 400 || !text.contains("28020;") || !text.contains("ms_rtc_passiveauthuri") {
            bail!("{status} {text}");
        }
        let password = [
            "-i",
            "--data",
            "grant_type=password&username=alice&password=x",
        ];
        let (status, text) = curl(server, &url, &password)?;
        if status != 400 || !text.contains("28029;") || !text.contains("unsupported_grant_type") {
            bail!("{status} {text}");
        }
        Ok(())
    });
}
