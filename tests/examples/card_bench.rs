// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the way to a card costs: through pcscd with our own reader driver, and with vpcd.
//!
//! `card_bench FILE` stores its figures as JSON; `cargo xtask bench` runs it, in a namespace of its own.
//! The card's key lies in a file that costs next to nothing to open, so that the way is what is
//! measured and not the lock of the card.

#![allow(clippy::print_stdout)] // The figures are for a person as well.

use anyhow::{Context as _, Result, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use lanyard_card::{CardSigner, CardWay, Cards, LastTry};
use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, ManagementAlgorithm, ManagementKey, NewPin, Pin,
    PublicKey, Slot,
};
use lanyard_tests::namespace;
use lanyard_tests::pcsc::{Make, Pcscd};
use lanyard_tests::process::{Running, eventually, program};
use lanyard_virtual_card::{CardName, CardSpec, KdfCost, Places, create, list};
use pcsc::{Context, Protocols, ReaderState, Scope, ShareMode, State};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OPENSC: &str = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";
const PIN: &str = "35914782";
const PATIENCE: Duration = Duration::from_secs(30);
const ROUND_TRIPS: usize = 1000;
const INSERTIONS: u32 = 20;
const HANDSHAKES: u32 = 100;
const SIGNATURES: usize = 200;

fn main() -> Result<()> {
    let output = std::env::args().nth(1).context("usage: card_bench FILE")?;
    namespace::settle()?;
    let folder = tempfile::tempdir()?;
    let mut figures = json!({});
    for (name, make) in [("own driver", Make::Ours), ("vpcd", Make::Vpcd)] {
        let place = folder.path().join(name.replace(' ', "-"));
        std::fs::create_dir(&place)?;
        figures[name] = measure(make, &place).with_context(|| name.to_owned())?;
    }
    let text = serde_json::to_string_pretty(&figures)?;
    println!("{text}");
    std::fs::write(output, text + "\n")?;
    Ok(())
}

fn measure(make: Make, folder: &Path) -> Result<Value> {
    let pcscd = Pcscd::start_with(make, folder, 2)?;
    let (inserted, removed) = insertions(&pcscd)?;

    let places = Places::new(
        &folder.join("data/lanyard/cards"),
        &folder.join("run/lanyard"),
    );
    let mut spec = CardSpec::new(CardName::parse("bench")?);
    spec.kdf = KdfCost::LEAST;
    create(&places, spec)?;
    let cardd = start_cardd(folder, &places, &pcscd.slot(0), make)?;
    let context = Context::establish(Scope::User)?;
    let reader = CString::new(pcscd.reader_name(0))?;
    let card = eventually("the card", PATIENCE, || {
        context
            .connect(&reader, ShareMode::Shared, Protocols::ANY)
            .ok()
    })?;
    let mut transmit = |command: &[u8]| -> Result<Vec<u8>> {
        let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
        Ok(card.transmit(command, &mut buffer)?.to_vec())
    };
    let authority = Authority::new()?;
    personalise(&mut transmit, &places, &authority)?;

    let query = Command::verify_query().to_bytes()?;
    let round_trips = each(ROUND_TRIPS, || transmit(&query).map(|_| ()))?;
    transmit(&Command::verify(&Pin::parse(PIN)?).to_bytes()?)?;
    let sign = DynamicAuthentication::sign(vec![7; 32]);
    let sign = Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign).to_bytes()?;
    let signatures = each(SIGNATURES, || {
        let answer = transmit(&sign)?;
        ensure!(answer.ends_with(&[0x90, 0]), "{answer:02X?}");
        Ok(())
    })?;
    card.disconnect(pcsc::Disposition::ResetCard)
        .map_err(|(_, error)| error)?;
    drop(context);
    let through_opensc = opensc().context("OpenSC's PKCS #11")?;
    let pids = [pcscd.pid(), cardd.pid(), std::process::id()];
    let (wall, cpu) = handshakes(&authority, &pids)?;

    drop(cardd);
    pcscd.stop()?;
    Ok(json!({
        "command, round trip, us": spread(round_trips),
        "signature P-256 by the card's own command, us": spread(signatures),
        "signature P-256 by OpenSC's PKCS #11, us": spread(through_opensc),
        "insertion to notice, us": spread(inserted),
        "removal to notice, us": spread(removed),
        "TLS handshake with the card, us": spread(wall),
        "CPU of program, pcscd and card daemon for each, us": cpu,
    }))
}

/// Median and 95th percentile, in microseconds.
fn spread(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = times.len().saturating_sub(1) * percent / 100;
        times.get(place).map_or(0, Duration::as_micros) as u64
    };
    json!({ "p50": at(50), "p95": at(95) })
}

fn each(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        work()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn start_cardd(folder: &Path, places: &Places, slot: &str, make: Make) -> Result<Running> {
    let mut command = std::process::Command::new(program("lanyard-cardd"));
    command.arg("--foreground");
    match make {
        Make::Vpcd => command.args(["--reader", "none", "--vpcd", slot]),
        _ => command.args(["--reader", slot]),
    };
    command
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("LANYARD_LOG", "warn");
    let running = Running::start("lanyard-cardd", &mut command, &folder.join("cardd.log"))?;
    let socket = places.control();
    eventually("the daemon", PATIENCE, || {
        UnixStream::connect(&socket).ok().map(|_| ())
    })?;
    Ok(running)
}

/// A card that comes and goes, which says its ATR and nothing else.
enum Dummy {
    Ours(UnixStream),
    Vpcd(TcpStream),
}

impl Dummy {
    fn insert(address: &str) -> Result<Self> {
        let dummy = if address.contains('/') {
            let mut stream = UnixStream::connect(address)?;
            let mut greeting = [0; 7];
            stream.read_exact(&mut greeting)?;
            ensure!(greeting[5] == 0, "the reader is full");
            let ours = stream.try_clone()?;
            std::thread::spawn(move || talk(&mut stream, || Ok(())));
            Self::Ours(ours)
        } else {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let ours = stream.try_clone()?;
            let quick = stream.try_clone()?;
            std::thread::spawn(move || {
                talk(&mut stream, || {
                    Ok(rustix::net::sockopt::set_tcp_quickack(&quick, true)?)
                })
            });
            Self::Vpcd(ours)
        };
        Ok(dummy)
    }

    fn remove(&self) -> Result<()> {
        match self {
            Self::Ours(stream) => stream.shutdown(Shutdown::Both)?,
            Self::Vpcd(stream) => stream.shutdown(Shutdown::Both)?,
        }
        Ok(())
    }
}

fn talk<S: Read + Write>(stream: &mut S, before: impl Fn() -> Result<()>) -> Result<()> {
    loop {
        let mut length = [0; 2];
        before()?;
        stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        before()?;
        stream.read_exact(&mut body)?;
        match body.as_slice() {
            [4] => stream.write_all(&[0, 4, 0x3B, 0x80, 0x01, 0x81])?,
            [_] => {}
            _ => stream.write_all(&[0, 2, 0x6D, 0x00])?,
        }
    }
}

/// How long it takes until a program that waits hears of a card that comes, and of one that goes.
fn insertions(pcscd: &Pcscd) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let context = Context::establish(Scope::User)?;
    let name = CString::new(pcscd.reader_name(1))?;
    let mut looks = [ReaderState::new(name, State::UNAWARE)];
    let mut until = |wanted: State| -> Result<()> {
        loop {
            let [look] = &mut looks;
            if look.event_state().contains(wanted) {
                return Ok(());
            }
            look.sync_current_state();
            context.get_status_change(PATIENCE, &mut looks)?;
        }
    };
    until(State::EMPTY)?;
    let (mut coming, mut going) = (Vec::new(), Vec::new());
    for round in 0..INSERTIONS {
        // At another moment of the service's own round each time.
        std::thread::sleep(Duration::from_millis(150) + Duration::from_millis(37) * (round % 11));
        let began = Instant::now();
        let dummy = Dummy::insert(&pcscd.slot(1))?;
        until(State::PRESENT)?;
        coming.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(150) + Duration::from_millis(41) * (round % 10));
        let began = Instant::now();
        dummy.remove()?;
        until(State::EMPTY)?;
        going.push(began.elapsed());
    }
    Ok((coming, going))
}

/// Gives the card a key, a certificate and a PIN of its own.
fn personalise(
    transmit: &mut dyn FnMut(&[u8]) -> Result<Vec<u8>>,
    places: &Places,
    authority: &Authority,
) -> Result<()> {
    let mut must = |what: &str, command: &[u8]| -> Result<Vec<u8>> {
        let mut answer = transmit(command)?;
        ensure!(answer.ends_with(&[0x90, 0]), "{what}: {answer:02X?}");
        answer.truncate(answer.len() - 2);
        Ok(answer)
    };
    must("select", &Command::select().to_bytes()?)?;
    let (key, algorithm) = (ManagementKey::blank_card(), ManagementAlgorithm::Aes192);
    let ask = DynamicAuthentication::request_witness();
    let asked = Command::authenticate_management(algorithm, &ask).to_bytes()?;
    let asked = DynamicAuthentication::parse(&must("witness", &asked)?)?;
    let witness = key.decrypt(algorithm, asked.witness.as_deref().context("no witness")?)?;
    let prove = DynamicAuthentication::prove(witness, vec![1; 16]);
    let prove = Command::authenticate_management(algorithm, &prove).to_bytes()?;
    must("management key", &prove)?;
    let generate = Command::generate(Slot::Authentication, Algorithm::EccP256).to_bytes()?;
    must("key", &generate)?;
    let listed = list(places);
    let card = listed.first().and_then(|card| card.card.as_ref().ok());
    let slots = &card.context("no card")?.slots;
    let slot = slots.iter().find(|slot| slot.slot == Slot::Authentication);
    let key = slot.and_then(|slot| slot.key.as_ref()).context("no key")?;
    let certificate = authority.certify(key)?;
    let inner = [&tlv(0x70, &certificate)[..], &[0x71, 1, 0, 0xFE, 0]].concat();
    let data = [&[0x5C, 3, 0x5F, 0xC1, 0x05][..], &tlv(0x53, &inner)].concat();
    let length = u16::try_from(data.len())?.to_be_bytes();
    let put = [&[0, 0xDB, 0x3F, 0xFF, 0][..], &length, &data].concat();
    must("certificate", &put)?;
    let new = NewPin::check(Pin::parse(PIN)?, None)?;
    let change = Command::change_pin(&Pin::parse("12345678")?, &new).to_bytes()?;
    must("PIN", &change)?;
    Ok(())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap_or(0).to_be_bytes();
    [&[tag, 0x82, high, low][..], value].concat()
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new([])?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            issuer: rcgen::Issuer::new(params, key),
        })
    }

    fn certify(&self, key: &PublicKey) -> Result<Vec<u8>> {
        let mut params = rcgen::CertificateParams::new([])?;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let point = Point(key.point().context("a point")?.to_vec());
        Ok(params.signed_by(&point, &self.issuer)?.der().to_vec())
    }
}

/// A P-256 key as rcgen wants it.
struct Point(Vec<u8>);

impl rcgen::PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// The same signature by OpenSC: logged in once, one digest each.
fn opensc() -> Result<Vec<Duration>> {
    let module = Pkcs11::new(OPENSC)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = module.get_slots_with_token()?;
    let slot = *slot.first().context("OpenSC sees no card")?;
    let session = module.open_ro_session(slot)?;
    session.login(UserType::User, Some(&AuthPin::new(PIN.to_owned().into())))?;
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    let key = *keys.first().context("OpenSC sees no key")?;
    let times = each(SIGNATURES, || {
        session.sign(&Mechanism::Ecdsa, key, &[7; 32])?;
        Ok(())
    })?;
    session.logout()?;
    drop(session);
    module.finalize()?;
    Ok(times)
}

/// TLS 1.3 handshakes in which the client is known by the card: time of each, and CPU time in all.
fn handshakes(authority: &Authority, pids: &[u32]) -> Result<(Vec<Duration>, u64)> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone())?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key.into())?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = welcome(stream, Arc::clone(&config));
        }
    });
    let cards = Arc::new(Cards::new(CardWay::Pcsc, None));
    let card = eventually("the card in the list", PATIENCE, || {
        let listing = cards.list().ok()?;
        listing
            .cards()
            .find(|card| card.authentication_certificate.is_some())
            .cloned()
    })?;
    let before = cpu_time(pids)?;
    let mut times = Vec::new();
    for _ in 0..HANDSHAKES {
        let pin = Pin::parse(PIN)?;
        let signer = CardSigner::authentication(Arc::clone(&cards), &card, pin, LastTry::Refuse)?;
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone())?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_cert_resolver(signer.client_certificate(Vec::new()));
        config.resumption = rustls::client::Resumption::disabled();
        let began = Instant::now();
        let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
        let mut stream = TcpStream::connect(address)?;
        let mut said = String::new();
        rustls::Stream::new(&mut connection, &mut stream).read_to_string(&mut said)?;
        times.push(began.elapsed());
        ensure!(said == "welcome", "{said}");
    }
    let spent = cpu_time(pids)?.saturating_sub(before);
    Ok((times, spent / u64::from(HANDSHAKES)))
}

fn welcome(mut stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = ServerConnection::new(config)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.writer().write_all(b"welcome")?;
    connection.send_close_notify();
    connection.complete_io(&mut stream)?;
    Ok(())
}

/// CPU time of processes so far, in microseconds; the kernel counts in steps of 10 ms.
fn cpu_time(pids: &[u32]) -> Result<u64> {
    const TICK_MICROS: u64 = 10_000;
    let mut ticks = 0u64;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        for place in [11, 12] {
            let word = words.get(place).context("stat")?;
            ticks = ticks.saturating_add(word.parse()?);
        }
    }
    Ok(ticks.saturating_mul(TICK_MICROS))
}
