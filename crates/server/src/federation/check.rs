// SPDX-License-Identifier: MIT OR Apache-2.0
//! May the holder of this card come in? Everything that is asked, in one place.
//!
//! The handshake proved that the peer holds the certificate's key, nothing more. Here follow chain,
//! validity, purpose, the registry (ours, not revoked, active), the account, policy, and whether the
//! card belongs to the address that was typed.

use lanyard_attest::Level;
use lanyard_authority::{CardKind, CardState, CertificateRow, ProfileName, Status, TemplateArc};
use lanyard_directory::{Account, AccountId, SipAddress, Snapshot};
use lanyard_enrol::is_enough;
use lanyard_fault::Fault;
use lanyard_x509::{Certificate, ChainCheck, ChainError, Eku, Serial, verify_chain};
use std::sync::Arc;
use time::OffsetDateTime;

/// What a decision stands on.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The certificate whose key the peer proved.
    pub leaf: &'a Certificate,
    /// The certificates between it and the root.
    pub intermediates: &'a [Certificate],
    /// The roots of this organisation.
    pub anchors: &'a [Certificate],
    /// The registry's row of the leaf's serial number.
    pub row: Option<&'a CertificateRow>,
    /// Where the card stands in its life, as far as it is known.
    pub card: Option<CardState>,
    /// The people and policies of this moment.
    pub people: &'a Snapshot,
    /// The sign-in address that was typed, where the request names one.
    pub address: Option<&'a SipAddress>,
    /// The time.
    pub now: OffsetDateTime,
}

/// A card that was checked. There is no other way to make one than [`verify`].
#[derive(Debug, Clone)]
pub struct VerifiedCard {
    account: Arc<Account>,
    serial: Serial,
    kind: CardKind,
}

impl VerifiedCard {
    /// Whose card it is.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The serial number of its certificate.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// What kind of card it is.
    #[must_use]
    pub fn kind(&self) -> CardKind {
        self.kind
    }
}

/// A card that may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub fault: Fault,
    /// Whose card it is, as far as the certificate is ours.
    pub account: Option<AccountId>,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            account: None,
        }
    }
}

/// Decides.
///
/// # Errors
/// The first reason against it, in the order of the module's description.
pub fn verify(evidence: &Evidence<'_>) -> Result<VerifiedCard, Refused> {
    let (account, row) = holder(evidence)?;
    let refused = |fault| Refused {
        fault,
        account: Some(account.id.clone()),
    };
    // Lost is lost, whatever its certificates say.
    if evidence.card.is_some_and(CardState::is_out) {
        return Err(refused(Fault::CardCertificateRevoked));
    }
    match row.status {
        Status::Active => {}
        Status::Revoked => return Err(refused(Fault::CardCertificateRevoked)),
        // Settled: an issued card earns nothing until its holder has chosen a PIN.
        Status::Issued | Status::Prepared => return Err(refused(Fault::CardNotActive)),
    }
    if !account.enabled {
        return Err(refused(Fault::AccountDisabled));
    }
    let kind = row
        .card_kind
        .ok_or_else(|| refused(Fault::CardKindRefused))?;
    let policy = evidence.people.policy_of(&account);
    if !policy.card_kinds.contains(directory_kind(kind)) {
        return Err(refused(Fault::CardKindRefused));
    }
    if !is_enough(proved(evidence), policy.key_assurance) {
        return Err(refused(Fault::KeyAssuranceDemanded));
    }
    if evidence
        .address
        .is_some_and(|address| *address != account.sip_address)
    {
        return Err(refused(Fault::AddressNotOfCard));
    }
    Ok(VerifiedCard {
        serial: row.serial,
        kind,
        account,
    })
}

/// Whose card it is, whatever its state: chain, validity, purpose and registry have been checked.
///
/// # Errors
/// The first reason against it.
pub fn holder<'a>(evidence: &Evidence<'a>) -> Result<(Arc<Account>, &'a CertificateRow), Refused> {
    let check = ChainCheck {
        intermediates: evidence.intermediates,
        anchors: evidence.anchors,
        now: evidence.now,
        required_eku: Eku::SMARTCARD_LOGON,
        crls: &[],
    };
    let verified = verify_chain(evidence.leaf, &check).map_err(|error| chain_fault(&error))?;
    // A certificate that our key signed but that our registry does not know was not issued by us.
    let row = evidence.row.ok_or(Fault::CardCertificateForeign)?;
    if row.profile != ProfileName::SmartcardUser
        || row.serial != verified.serial()
        || row.der.as_deref().is_some_and(|der| der != verified.der())
    {
        return Err(Fault::CardCertificatePurpose.into());
    }
    // The immutable id decides; a name alone never does.
    let sid = verified.account().ok_or(Fault::CardCertificatePurpose)?;
    if row.account.as_ref() != Some(sid) {
        return Err(Fault::CardCertificateForeign.into());
    }
    let id: AccountId = sid.as_str().parse().map_err(|_| Fault::AccountUnknown)?;
    let account = evidence.people.by_id(&id).ok_or(Fault::AccountUnknown)?;
    Ok((Arc::clone(account), row))
}

/// What the certificate says that was proved about its key. Only after the chain has been checked.
fn proved(evidence: &Evidence<'_>) -> Level {
    let own = evidence
        .anchors
        .first()
        .and_then(|root| TemplateArc::of_root(root).card_attested());
    Level::of_policies(&evidence.leaf.extensions().policies, own.as_ref())
}

/// The directory's word for a kind of card.
#[must_use]
pub fn directory_kind(kind: CardKind) -> lanyard_directory::CardKind {
    match kind {
        CardKind::Physical => lanyard_directory::CardKind::Physical,
        CardKind::VirtualTpm => lanyard_directory::CardKind::VirtualTpm,
        CardKind::VirtualFile => lanyard_directory::CardKind::VirtualFile,
    }
}

fn chain_fault(error: &ChainError) -> Fault {
    match error {
        ChainError::Expired { .. } => Fault::CardCertificateExpired,
        ChainError::NotYetValid { .. } => Fault::CardCertificateNotYetValid,
        ChainError::WrongUsage { .. } => Fault::CardCertificatePurpose,
        _ => Fault::CardCertificateForeign,
    }
}
