// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card listener before cards that are good and cards that are not. The client is raw: it has
//! the keys, and shows whatever certificate it likes.

use anyhow::{Context, Result, bail};
use lanyard_load::card::{Applicant, Credential, Person};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::{Answer, exchange};
use lanyard_load::web::Web;
use lanyard_tests::namespace::must;
use lanyard_x509::SoftwareKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::path::Path;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const PIN_CHANGED: &str = "/api/v1/card/pin-changed";

/// Shows the card and asks for a token for this address.
async fn knock(d: &Deployment, person: &Person, address: &str) -> Result<Answer> {
    let path = Web::connect(&d.net).await?.federation_path(address).await?;
    person.show_card(&d.net, "GET", &path).await
}

pub async fn must_come_in(d: &Deployment, person: &Person) -> Result<()> {
    let answer = knock(d, person, person.address.as_str())
        .await?
        .expect(200)?;
    if !answer.body.contains("wresult") {
        bail!("no form: {}", answer.body);
    }
    Ok(())
}

pub async fn must_be_refused(d: &Deployment, person: &Person, code: &str) -> Result<()> {
    let answer = knock(d, person, person.address.as_str()).await?;
    says(&answer, 403, code)
}

/// Fails unless the answer has this status, this code, a sentence, a next step, and no token.
pub fn says(answer: &Answer, status: u16, code: &str) -> Result<()> {
    let error = serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["error"].take();
    let has = |key: &str| error[key].as_str().is_some_and(|text| !text.is_empty());
    let fits = answer.status == status && error["code"] == code && has("message") && has("next");
    if !fits || answer.body.contains("wresult") {
        bail!("not {status} {code}: {} {}", answer.status, answer.body);
    }
    Ok(())
}

#[test]
fn row_i_the_server_refuses_a_good_card_for_somebody_elses_address() {
    let name = "cards::row_i_the_server_refuses_a_good_card_for_somebody_elses_address";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        must_come_in(d, &alice).await?;
        must_come_in(d, &bob).await?;
        says(&knock(d, &bob, ALICE).await?, 403, "LY-1307")?;
        // A browser is told the same in a page.
        let path = Web::connect(&d.net).await?.federation_path(ALICE).await?;
        let mut stream = d
            .net
            .connect_with(d.net.ports.card, bob.credential())
            .await?;
        let page = exchange(&mut stream, "GET", &path, &[("Accept", "text/html")], "").await?;
        if page.status != 403 || !page.body.contains("LY-1307") || !page.body.contains("<h1>") {
            bail!("no page: {} {}", page.status, page.body);
        }
        // The refusal stands in the trail, with whose card it was.
        let trail = d.server.json(&["audit", "show"])?.to_string();
        if !trail.contains("LY-1307") {
            bail!("the refusal is not in the trail: {trail}");
        }
        d.server.must(&["audit", "verify"])?;
        Ok(())
    });
}

#[test]
fn a_card_that_was_withdrawn_or_whose_holder_was_shut_out_earns_nothing() {
    let name = "cards::a_card_that_was_withdrawn_or_whose_holder_was_shut_out_earns_nothing";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        d.server.must(&["user", "disable", ALICE])?;
        must_be_refused(d, &alice, "LY-1306").await?;
        d.server.must(&["user", "enable", ALICE])?;
        must_come_in(d, &alice).await?;
        d.server.must(&["card", "lost", ALICE])?;
        must_be_refused(d, &alice, "LY-1302").await?;
        says(
            &alice.show_card(&d.net, "POST", PIN_CHANGED).await?,
            403,
            "LY-1302",
        )?;
        // A second card of hers is not the first.
        let second = d.enrolled_as(Applicant::new(ALICE)?).await?;
        must_come_in(d, &second).await?;
        must_be_refused(d, &alice, "LY-1302").await?;
        let bob = d.enrolled(BOB).await?;
        d.server
            .must(&["card", "revoke", BOB, "--reason", "compromised"])?;
        must_be_refused(d, &bob, "LY-1302").await
    });
}

#[test]
fn a_card_is_in_force_only_after_its_holder_has_chosen_a_pin() {
    let name = "cards::a_card_is_in_force_only_after_its_holder_has_chosen_a_pin";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let issued = Applicant {
            pin_changed: false,
            ..Applicant::new(ALICE)?
        };
        let alice = d.enrolled_as(issued).await?;
        must_be_refused(d, &alice, "LY-1305").await?;
        // Somebody else's good card cannot report it.
        let bob = d.enrolled(BOB).await?;
        bob.show_card(&d.net, "POST", PIN_CHANGED)
            .await?
            .expect(200)?;
        must_be_refused(d, &alice, "LY-1305").await?;
        for _ in 0..2 {
            let answer = alice.show_card(&d.net, "POST", PIN_CHANGED).await?;
            if !answer.expect(200)?.body.contains("active") {
                bail!("the card is not active");
            }
        }
        must_come_in(d, &alice).await
    });
}

#[test]
fn a_kind_of_card_that_policy_does_not_accept_is_refused_as_long_as_it_says_so() {
    let name = "cards::a_kind_of_card_that_policy_does_not_accept_is_refused_as_long_as_it_says_so";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let file = Applicant {
            kind: "virtual-file",
            ..Applicant::new(ALICE)?
        };
        let alice = d.enrolled_as(file).await?;
        let bob = d.enrolled(BOB).await?;
        must_come_in(d, &alice).await?;
        let set = ["policy", "set", "--default", "--card-kinds"];
        d.server
            .must(&[&set[..], &["physical,virtual-tpm"]].concat())?;
        must_be_refused(d, &alice, "LY-1309").await?;
        must_come_in(d, &bob).await?;
        d.server.must(&[&set[..], &["unset"]].concat())?;
        must_come_in(d, &alice).await
    });
}

#[test]
fn certificates_that_are_no_cards_of_ours_are_refused_by_their_fault() {
    let name = "cards::certificates_that_are_no_cards_of_ours_are_refused_by_their_fault";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        // One of our own that is made for another purpose.
        let chat = Person::with(ALICE, alice.chat_certificate(&d.net).await?)?;
        must_be_refused(d, &chat, "LY-1304").await?;
        says(
            &chat.show_card(&d.net, "POST", PIN_CHANGED).await?,
            403,
            "LY-1304",
        )?;
        let ca = d.server.data.join("ca");
        let forger = Forger::new(&d.folder)?;
        // Another authority that calls itself as ours does.
        let other = forger.sign(None, "smartcardLogon,clientAuth")?;
        must_be_refused(d, &Person::with(ALICE, other)?, "LY-1303").await?;
        // Our own key signed it, but nobody entered it: the registry decides.
        let ours = (ca.join("issuing.pem"), ca.join("issuing.key"));
        let unknown = forger.sign(Some(&ours), "smartcardLogon,clientAuth")?;
        must_be_refused(d, &Person::with(ALICE, unknown)?, "LY-1303").await?;
        let no_card = forger.sign(Some(&ours), "clientAuth")?;
        must_be_refused(d, &Person::with(ALICE, no_card)?, "LY-1304").await?;
        // The listeners' own certificate is no card either.
        let server = Credential {
            chain: certificates(&d.server.data.join("tls/server.pem"))?,
            key: SoftwareKey::from_pkcs8_pem(&std::fs::read_to_string(
                d.server.data.join("tls/server.key"),
            )?)?,
        };
        must_be_refused(d, &Person::with(ALICE, server)?, "LY-1304").await?;
        // Somebody without the key does not even get to ask.
        let thief = Credential {
            chain: alice.credential().chain.clone(),
            key: SoftwareKey::generate()?,
        };
        if knock(d, &Person::with(ALICE, thief)?, ALICE).await.is_ok() {
            bail!("a certificate without its key was answered");
        }
        must_come_in(d, &alice).await
    });
}

#[test]
fn without_a_card_the_card_listener_says_nothing() {
    let name = "cards::without_a_card_the_card_listener_says_nothing";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let path = Web::connect(&d.net).await?.federation_path(ALICE).await?;
        let asked = async {
            let mut stream = d.net.connect(d.net.ports.card).await?;
            exchange(&mut stream, "GET", &path, &[], "").await
        };
        let Err(error) = asked.await else {
            bail!("the card listener answered without a card");
        };
        if !format!("{error:#}").contains("ertificate") {
            bail!("refused for another reason: {error:#}");
        }
        // On the other listener there is no federation endpoint, so nothing to ask without a card.
        let answer = Web::connect(&d.net).await?.get(&path).await?;
        if answer.status != 404 {
            bail!("{} {}", answer.status, answer.body);
        }
        must_come_in(d, &alice).await
    });
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?)
}

/// Somebody with openssl.
struct Forger<'a> {
    folder: &'a Path,
}

impl<'a> Forger<'a> {
    /// Makes a key, and an authority of its own with the names of a real one.
    fn new(folder: &'a Path) -> Result<Self> {
        let forger = Self { folder };
        for name in ["forger", "card"] {
            let key = forger.path(&format!("{name}.key"));
            let curve = "ec_paramgen_curve:P-256";
            must(
                "openssl",
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    curve,
                    "-out",
                    &key,
                ],
            )?;
        }
        let (key, out) = (forger.path("forger.key"), forger.path("forger.pem"));
        let name = "/O=Contoso/CN=Contoso Issuing CA";
        must(
            "openssl",
            &[
                "req", "-x509", "-new", "-key", &key, "-subj", name, "-days", "30", "-out", &out,
            ],
        )?;
        Ok(forger)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A certificate with Alice's name for these uses, by the forger's authority or another.
    fn sign(
        &self,
        authority: Option<&(std::path::PathBuf, std::path::PathBuf)>,
        uses: &str,
    ) -> Result<Credential> {
        let (certificate, key) = match authority {
            Some((certificate, key)) => {
                (certificate.display().to_string(), key.display().to_string())
            }
            None => (self.path("forger.pem"), self.path("forger.key")),
        };
        let uses = uses.replace("smartcardLogon", "1.3.6.1.4.1.311.20.2.2");
        let extensions = self.path("card.ext");
        let text = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage={uses}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
             subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:{ALICE}\n"
        );
        std::fs::write(&extensions, text)?;
        let (own_key, request, out) = (
            self.path("card.key"),
            self.path("card.csr"),
            self.path("card.pem"),
        );
        must(
            "openssl",
            &[
                "req",
                "-new",
                "-key",
                &own_key,
                "-subj",
                "/CN=alice",
                "-out",
                &request,
            ],
        )?;
        must(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &certificate,
                "-CAkey",
                &key,
                "-days",
                "9",
                "-extfile",
                &extensions,
                "-out",
                &out,
            ],
        )?;
        let mut chain = certificates(Path::new(&out))?;
        chain.extend(certificates(Path::new(&certificate))?);
        let key = std::fs::read_to_string(&own_key).context("key")?;
        Ok(Credential {
            chain,
            key: SoftwareKey::from_pkcs8_pem(&key)?,
        })
    }
}
