// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two cards side by side: ours, and the independent one of another maker. Both are prepared the
//! same way, and each scene begins with a fresh copy of the prepared card.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lanyard_piv::{Guid, ManagementAlgorithm, ManagementKey, Pin, Puk};
use lanyard_tests::standin::StandIn;
use lanyard_tests::swtpm::Swtpm;
use lanyard_virtual_card::{
    Application, CardName, KdfCost, Keeper, MemoryStorage, NewCard, PinDigits, SealedCard, TpmCard,
    TpmDevice, first_objects,
};

use crate::wire::{self, bytes, element};

/// The PIN of both cards, as it travels.
pub const PIN: &str = "31 32 33 34 35 36 FF FF";
/// The PUK of both cards.
pub const PUK: &str = "31 32 33 34 35 36 37 38";
/// The 3DES management key of both cards.
const MANAGEMENT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// A card that answers nothing for so long has hung.
pub const HUNG: Duration = Duration::from_secs(30);

const RESET: &[u8] = &[0x02];
const PRESENT: &[u8] = &[0x04];

/// A card in a reader.
pub trait Card {
    /// Sends one command and gives the answer with its status word.
    ///
    /// # Errors
    /// The card is gone or has hung.
    fn apdu(&mut self, command: &[u8]) -> Result<Vec<u8>>;

    /// Pulls the reset line.
    ///
    /// # Errors
    /// The card is gone.
    fn reset(&mut self) -> Result<()>;

    /// Sends a command and collects the whole answer.
    ///
    /// # Errors
    /// The card is gone or has hung.
    fn whole(&mut self, command: &[u8]) -> Result<(Vec<u8>, u16)> {
        let (mut data, mut status) = wire::split(&self.apdu(command)?)?;
        while status >> 8 == 0x61 {
            let (more, next) = wire::split(&self.apdu(&bytes("00 C0 00 00 00"))?)?;
            ensure!(!more.is_empty(), "61xx and no bytes behind it");
            data.extend(more);
            status = next;
        }
        Ok((data, status))
    }

    /// Sends data in pieces joined by the chaining bit; gives the answer to the last one.
    ///
    /// # Errors
    /// The card is gone, or refuses a piece that is not the last.
    fn chained(&mut self, header: [u8; 4], data: &[u8]) -> Result<(Vec<u8>, u16)> {
        let [class, instruction, p1, p2] = header;
        let pieces: Vec<&[u8]> = data.chunks(255).collect();
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            let length = u8::try_from(piece.len())?;
            if index == last {
                let head = [class, instruction, p1, p2, length];
                return self.whole(&[&head[..], piece, &[0]].concat());
            }
            let head = [class | 0x10, instruction, p1, p2, length];
            let answer = self.apdu(&[&head[..], piece].concat())?;
            ensure!(answer == [0x90, 0], "a piece of a chain: {answer:02X?}");
        }
        bail!("nothing to send")
    }

    /// Proves a 3DES management key of three times these eight bytes, both ways; gives the last
    /// status word.
    ///
    /// # Errors
    /// The card is gone or answers nonsense.
    fn prove_management(&mut self, key: [u8; 8]) -> Result<u16> {
        let key = ManagementKey::new(&key.repeat(3))?;
        self.prove_both_ways(ManagementAlgorithm::TripleDes, &key)
    }

    /// Mutual authentication with a management key (SP 800-73-4 part 2, appendix A.1).
    ///
    /// # Errors
    /// The card is gone or answers nonsense.
    fn prove_both_ways(
        &mut self,
        algorithm: ManagementAlgorithm,
        key: &ManagementKey,
    ) -> Result<u16> {
        let head = [0x00, 0x87, algorithm.id(), 0x9B];
        let (answer, status) = self.chained(head, &bytes("7C 02 80 00"))?;
        if status != 0x9000 {
            return Ok(status);
        }
        let block = algorithm.block_bytes() as u8;
        let witness = answer.strip_prefix(&[0x7C, block + 2, 0x80, block]);
        let witness = key.decrypt(algorithm, witness.context("a witness")?)?;
        let challenge = vec![0x5A; block.into()];
        let fields = [element("80", &witness), element("81", &challenge)];
        let (answer, status) = self.chained(head, &element("7C", &fields.concat()))?;
        if status == 0x9000 {
            let proof = key.encrypt(algorithm, &challenge)?;
            ensure!(
                answer == element("7C", &element("82", &proof)),
                "the card does not know its key"
            );
        }
        Ok(status)
    }

    /// Proves the right management key.
    ///
    /// # Errors
    /// The card does not accept it.
    fn as_manager(&mut self) -> Result<()> {
        let status = self.prove_management(MANAGEMENT)?;
        ensure!(status == 0x9000, "management key: {status:04X}");
        Ok(())
    }

    /// The keys that scenes find: 9A RSA-2048, 9C P-384, 9D and 9E P-256. All other slots are empty.
    ///
    /// # Errors
    /// The card does not make them.
    fn make_keys(&mut self) -> Result<()> {
        self.as_manager()?;
        for (slot, algorithm) in [(0x9A, 0x07), (0x9C, 0x14), (0x9D, 0x11), (0x9E, 0x11)] {
            let command = [0x00, 0x47, 0x00, slot, 5, 0xAC, 3, 0x80, 1, algorithm, 0];
            let (_, status) = self.whole(&command)?;
            ensure!(status == 0x9000, "key in {slot:02X}: {status:04X}");
        }
        self.reset()
    }
}

/// Our card, with one of its keepers.
pub struct Ours {
    keeper: Box<dyn Keeper>,
    storage: MemoryStorage,
    session: Application,
    /// Its clock stands still: how soon a verified PIN is forgotten is not compared here.
    now: Instant,
    /// The chip of a card that lies in one; it ends with the card.
    _chip: Option<Swtpm>,
}

impl Ours {
    fn with(keeper: Box<dyn Keeper>, storage: MemoryStorage, chip: Option<Swtpm>) -> Self {
        Self {
            keeper,
            storage,
            session: Application::new(),
            now: Instant::now(),
            _chip: chip,
        }
    }

    fn blank_in_file() -> Result<Self> {
        let storage = MemoryStorage::default();
        let card = SealedCard::create(blank()?, storage.clone())?;
        Ok(Self::with(Box::new(card), storage, None))
    }

    fn copy_of_file(bytes: &[u8]) -> Result<Self> {
        let storage = MemoryStorage::default();
        let card = SealedCard::open(bytes, storage.clone())?;
        Ok(Self::with(Box::new(card), storage, None))
    }

    fn blank_in_tpm(folder: &Path) -> Result<Self> {
        let chip = Swtpm::start(folder);
        let storage = MemoryStorage::default();
        let device: TpmDevice = chip.device().parse()?;
        let card = TpmCard::create(blank()?, None, storage.clone(), device)?;
        Ok(Self::with(Box::new(card), storage, Some(chip)))
    }

    /// The folder holds a copy of the chip's memory.
    fn copy_in_tpm(folder: &Path, bytes: &[u8]) -> Result<Self> {
        let chip = Swtpm::start(folder);
        let storage = MemoryStorage::default();
        let device: TpmDevice = chip.device().parse()?;
        let card = TpmCard::open(bytes, storage.clone(), Arc::new(device))?;
        Ok(Self::with(Box::new(card), storage, Some(chip)))
    }
}

/// What a card of ours starts with here: the values of a blank independent one.
fn blank() -> Result<NewCard> {
    let guid = Guid::new([0x11; 16]);
    Ok(NewCard {
        name: CardName::parse("judged")?,
        guid,
        pin: Pin::parse("123456")?,
        pin_is_transport: false,
        puk: Puk::parse("12345678")?,
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [0x11; 14]),
    })
}

impl Card for Ours {
    fn apdu(&mut self, command: &[u8]) -> Result<Vec<u8>> {
        let start = Instant::now();
        let answer = self.session.apdu(&mut *self.keeper, self.now, command);
        ensure!(
            start.elapsed() < HUNG,
            "our card took {:?}",
            start.elapsed()
        );
        Ok(answer.to_vec())
    }

    fn reset(&mut self) -> Result<()> {
        self.session.reset();
        Ok(())
    }
}

/// The independent card, and the reader end of its line.
pub struct Theirs {
    line: TcpStream,
    _card: StandIn,
}

impl Theirs {
    fn insert(state: &Path) -> Result<Self> {
        let reader = TcpListener::bind("127.0.0.1:0")?;
        let card = StandIn::insert(state, &reader.local_addr()?.to_string())?;
        let (line, _) = reader.accept()?;
        line.set_nodelay(true)?;
        line.set_read_timeout(Some(HUNG))?;
        let mut theirs = Self { line, _card: card };
        theirs.exchange(PRESENT)?;
        Ok(theirs)
    }

    fn send(&mut self, body: &[u8]) -> Result<()> {
        let length = u16::try_from(body.len())?.to_be_bytes();
        self.line.write_all(&[&length[..], body].concat())?;
        Ok(())
    }

    fn exchange(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        self.send(body)?;
        let mut length = [0; 2];
        self.line.read_exact(&mut length).context("no answer")?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.line
            .read_exact(&mut answer)
            .context("half an answer")?;
        Ok(answer)
    }
}

impl Card for Theirs {
    fn apdu(&mut self, command: &[u8]) -> Result<Vec<u8>> {
        // One byte alone would be a word to the reader's driver.
        ensure!(command.len() > 1, "no command");
        self.exchange(command)
            .with_context(|| format!("the independent card at {command:02X?}"))
    }

    fn reset(&mut self) -> Result<()> {
        self.send(RESET)?;
        self.exchange(PRESENT).map(drop)
    }
}

/// Cards as prepared, with keys; scenes take copies.
pub struct Prepared {
    folder: tempfile::TempDir,
    ours: Vec<u8>,
    ours_in_tpm: Vec<u8>,
    copies: u32,
}

impl Prepared {
    /// Makes the independent card and ours in a file.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn both() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut ours = Ours::blank_in_file()?;
        ours.make_keys()?;
        let mut theirs = Theirs::insert(&folder.path().join(THEIRS))?;
        theirs.make_keys()?;
        drop(theirs);
        Ok(Self {
            folder,
            ours: ours.storage.bytes(),
            ours_in_tpm: Vec::new(),
            copies: 0,
        })
    }

    /// Makes ours in a TPM alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn in_tpm() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut card = Ours::blank_in_tpm(&folder.path().join(CHIP))?;
        card.make_keys()?;
        let bytes = card.storage.bytes();
        drop(card);
        Ok(Self {
            folder,
            ours: Vec::new(),
            ours_in_tpm: bytes,
            copies: 0,
        })
    }

    /// A fresh copy of our card in a file.
    ///
    /// # Errors
    /// What was stored cannot be read.
    pub fn ours(&self) -> Result<Ours> {
        Ours::copy_of_file(&self.ours)
    }

    /// A fresh copy of our card in a TPM, with a fresh copy of the TPM.
    ///
    /// # Errors
    /// It cannot be copied or started.
    pub fn ours_in_tpm(&mut self) -> Result<Ours> {
        let folder = self.next_copy();
        copy(
            &self.folder.path().join(CHIP).join("tpm"),
            &folder.join("tpm"),
        )?;
        Ours::copy_in_tpm(&folder, &self.ours_in_tpm)
    }

    /// A fresh copy of the independent card.
    ///
    /// # Errors
    /// It cannot be copied or started.
    pub fn theirs(&mut self) -> Result<Theirs> {
        let state = self.next_copy();
        copy(&self.folder.path().join(THEIRS), &state)?;
        Theirs::insert(&state)
    }

    fn next_copy(&mut self) -> PathBuf {
        self.copies = self.copies.saturating_add(1);
        self.folder.path().join(format!("copy-{}", self.copies))
    }
}

const THEIRS: &str = "theirs";
const CHIP: &str = "chip";

fn copy(from: &Path, to: &PathBuf) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
