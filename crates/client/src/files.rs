// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the client keeps on disk for one address, and how all of it is removed again.
//!
//! No PIN, password, ticket or key is ever written here.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lanyard_fault::Fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::address::SignInAddress;
use crate::people::{PHOTO_BYTES_MAX, is_hash};
use crate::places::{Places, Profile, file_problem, private_dir};
use crate::problem::Problem;
use crate::view::{ContactView, MessageView};

/// Messages of one conversation that are read back from disk.
pub const HISTORY_SHOWN_MAX: usize = 200;
/// Largest file that is read back, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Characters of a conversation's id that its file is named by.
const CONVERSATION_NAME_CHARS_MAX: usize = 100;
/// Mode of every file.
const FILE_MODE: u32 = 0o600;

/// What is remembered of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The card that was used last, by its GUID: preferred when several fit.
    #[serde(default)]
    pub last_card: Option<String>,
    /// Serial numbers of card certificates that the server refused: other cards are preferred.
    #[serde(default)]
    pub refused: Vec<String>,
}

/// The files of one address in one profile.
#[derive(Debug, Clone)]
pub struct AccountFiles {
    dir: PathBuf,
    pointer: PathBuf,
    address: SignInAddress,
}

impl AccountFiles {
    /// Names the files; makes nothing yet.
    #[must_use]
    pub fn new(places: &Places, profile: &Profile, address: &SignInAddress) -> Self {
        let profile = places.profile_state(profile);
        Self {
            dir: profile.join("accounts").join(address.file_name()),
            pointer: profile.join("last-account"),
            address: address.clone(),
        }
    }

    /// The address whose sign-in is pre-filled, if one is remembered.
    #[must_use]
    pub fn last_account(places: &Places, profile: &Profile) -> Option<SignInAddress> {
        let path = places.profile_state(profile).join("last-account");
        read_limited(&path).ok()??.trim().parse().ok()
    }

    /// Remembers this address for the next start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self) -> Result<(), Problem> {
        write_atomic(&self.pointer, self.address.as_str().as_bytes())
    }

    /// Reads the settings; damaged or missing ones count as none.
    #[must_use]
    pub fn settings(&self) -> Settings {
        read_json(&self.dir.join("settings.json")).unwrap_or_default()
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_settings(&self, settings: &Settings) -> Result<(), Problem> {
        write_json(&self.dir.join("settings.json"), settings)
    }

    /// The contacts as they were last, without presence.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactView> {
        read_json(&self.dir.join("contacts.json")).unwrap_or_default()
    }

    /// Keeps the contacts for the time before the server answers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_contacts(&self, contacts: &[ContactView]) -> Result<(), Problem> {
        write_json(&self.dir.join("contacts.json"), &contacts)
    }

    /// A photograph that was fetched before.
    #[must_use]
    pub fn photo(&self, hash: &str) -> Option<Vec<u8>> {
        let file = File::open(self.photo_file(hash)?).ok()?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(PHOTO_BYTES_MAX).ok()?;
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps a photograph.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_photo(&self, hash: &str, bytes: &[u8]) -> Result<(), Problem> {
        match self.photo_file(hash) {
            Some(path) => write_atomic(&path, bytes),
            None => Ok(()),
        }
    }

    fn photo_file(&self, hash: &str) -> Option<PathBuf> {
        let named = is_hash(hash).then(|| hash.to_ascii_lowercase())?;
        Some(self.dir.join("photos").join(named))
    }

    /// Adds a message to the history. A later line with the same id replaces an earlier one when it is read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append_message(&self, message: &MessageView) -> Result<(), Problem> {
        let dir = self.dir.join("history");
        private_dir(&dir)?;
        let name = match &message.conversation {
            Some(conversation) => conversation_file(conversation),
            None => format!("{}.jsonl", message.with.file_name()),
        };
        append_line(&dir.join(name), message)
    }

    /// The last messages of a conversation of several people, oldest first.
    #[must_use]
    pub fn conversation_history(&self, conversation: &str) -> Vec<MessageView> {
        let name = conversation_file(conversation);
        let mut messages = last_messages(&self.dir.join("history").join(name));
        messages.retain(|message| message.conversation.as_deref() == Some(conversation));
        messages
    }

    /// The last messages with somebody, oldest first.
    #[must_use]
    pub fn history(&self, with: &SignInAddress) -> Vec<MessageView> {
        let name = format!("{}.jsonl", with.file_name());
        last_messages(&self.dir.join("history").join(name))
    }

    /// Notes that something was notified while no face was attached.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append_notification(&self, record: &impl Serialize) -> Result<(), Problem> {
        private_dir(&self.dir)?;
        append_line(&self.dir.join("notifications.jsonl"), record)
    }

    /// Takes the recorded notifications; they count as shown.
    #[must_use]
    pub fn take_notifications(&self) -> Vec<MessageView> {
        let path = self.dir.join("notifications.jsonl");
        let records = read_lines(&path).collect();
        let _ = fs::remove_file(&path);
        records
    }
}

/// What *Delete my sign-in info* removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Whose.
    pub address: Option<SignInAddress>,
    /// Each thing that was removed, in words with its path.
    pub removed: Vec<String>,
    /// What could not be removed, with the reason.
    #[serde(default)]
    pub kept: Vec<String>,
}

/// Removes everything of an address from the directories of this person, in every profile that no other agent
/// uses. The caller has ended the session and dropped what it held in memory.
#[must_use]
pub fn forget(places: &Places, own: &Profile, address: &SignInAddress) -> Forgotten {
    let mut done = Forgotten {
        address: Some(address.clone()),
        ..Forgotten::default()
    };
    for (profile, dir) in profiles(places) {
        if profile != *own && crate::agent::lock::is_held(places, &profile) {
            let account = dir.join("accounts").join(address.file_name());
            if account.exists() {
                done.kept.push(format!(
                    "profile '{profile}' is in use: run it there as well"
                ));
            }
            continue;
        }
        forget_in(&dir, address, &mut done);
    }
    for dir in [places.cache.clone(), std::env::temp_dir().join("lanyard")] {
        remove(&dir.join(address.file_name()), "cache", &mut done);
    }
    done
}

fn forget_in(dir: &Path, address: &SignInAddress, done: &mut Forgotten) {
    let account = dir.join("accounts").join(address.file_name());
    for (name, words) in [
        ("settings.json", "settings"),
        ("contacts.json", "contact cache"),
        ("notifications.jsonl", "notification records"),
        ("history", "message history"),
        ("photos", "photos of people"),
    ] {
        remove(&account.join(name), words, done);
    }
    remove(&account, "account folder", done);
    // An empty folder of accounts says nothing about anybody, but it would be left over.
    let _ = fs::remove_dir(dir.join("accounts"));
    let pointer = dir.join("last-account");
    if let Ok(Some(text)) = read_limited(&pointer)
        && text.trim() == address.as_str()
    {
        remove(&pointer, "last-account pointer", done);
    }
    // The agent may hold its log open: it is emptied in place as well as removed.
    let log = dir.join("agent.log");
    if log.exists() {
        if let Ok(file) = OpenOptions::new().write(true).open(&log) {
            let _ = file.set_len(0);
        }
        done.removed.push(format!("log ({})", log.display()));
    }
}

fn remove(path: &Path, words: &str, done: &mut Forgotten) {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let result = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match result {
        Ok(()) => done.removed.push(format!("{words} ({})", path.display())),
        Err(error) => done
            .kept
            .push(format!("{words} ({}): {error}", path.display())),
    }
}

fn profiles(places: &Places) -> Vec<(Profile, PathBuf)> {
    let Ok(entries) = fs::read_dir(&places.state) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let profile: Profile = entry.file_name().to_str()?.parse().ok()?;
            entry
                .file_type()
                .ok()?
                .is_dir()
                .then(|| (profile, entry.path()))
        })
        .collect()
}

/// Writes a file so that a reader sees the old or the new text, never half of it.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Problem::new(Fault::DiskFull),
        _ => file_problem(path, &source),
    };
    let dir = path.parent().unwrap_or(Path::new("/"));
    private_dir(dir)?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file");
    let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        let mut file = private_file(&temporary, OpenOptions::new().write(true).truncate(true))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

fn private_file(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    options.create(true).mode(FILE_MODE).open(path)
}

fn append_line(path: &Path, record: &impl Serialize) -> Result<(), Problem> {
    let mut line = serde_json::to_vec(record)
        .map_err(|error| file_problem(path, &std::io::Error::other(error)))?;
    line.push(b'\n');
    private_file(path, OpenOptions::new().append(true))
        .and_then(|mut file| file.write_all(&line))
        .map_err(|error| file_problem(path, &error))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Problem> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|error| file_problem(path, &std::io::Error::other(error)))?;
    write_atomic(path, &text)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&read_limited(path).ok()??).ok()
}

fn read_limited(path: &Path) -> std::io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// The file of a conversation. Its id is a peer's choice: nothing of it leads elsewhere, and no address has this name.
fn conversation_file(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = id
        .chars()
        .take(CONVERSATION_NAME_CHARS_MAX)
        .map(plain)
        .collect();
    format!("conversation-{name}.jsonl")
}

/// The last messages of a file, oldest first, each as it was at last.
fn last_messages(path: &Path) -> Vec<MessageView> {
    let mut messages: Vec<MessageView> = Vec::new();
    for message in read_lines::<MessageView>(path) {
        match messages
            .iter_mut()
            .rev()
            .find(|known| known.id == message.id)
        {
            Some(known) => *known = message,
            None => messages.push(message),
        }
    }
    let surplus = messages.len().saturating_sub(HISTORY_SHOWN_MAX);
    messages.split_off(surplus)
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> impl Iterator<Item = T> + use<T> {
    let file = File::open(path).ok();
    let lines = file
        .into_iter()
        .flat_map(|file| BufReader::new(file.take(FILE_BYTES_MAX)).lines());
    // A line that was cut by a crash is skipped; those before and behind it are kept.
    lines
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use time::macros::datetime;

    use super::*;
    use crate::view::Delivery;

    fn places(dir: &Path) -> Places {
        Places {
            config: dir.join("config"),
            state: dir.join("state"),
            data: dir.join("data"),
            cache: dir.join("cache"),
            runtime: dir.join("run"),
        }
    }

    fn message(id: &str, text: &str, delivery: Delivery) -> MessageView {
        MessageView {
            id: id.to_owned(),
            with: "bob@contoso.test".parse().unwrap(),
            conversation: None,
            name: "Bob".to_owned(),
            mine: true,
            text: text.to_owned(),
            at: datetime!(2026-11-22 15:00 UTC),
            delivery,
        }
    }

    #[test]
    fn a_later_line_replaces_the_message_with_the_same_id() {
        let dir = tempfile::tempdir().unwrap();
        let address = "alice@contoso.test".parse().unwrap();
        let files = AccountFiles::new(&places(dir.path()), &Profile::default(), &address);
        files
            .append_message(&message("1", "Grüße 🌴", Delivery::Sending))
            .unwrap();
        files
            .append_message(&message("2", "second", Delivery::Sending))
            .unwrap();
        files
            .append_message(&message("1", "Grüße 🌴", Delivery::Delivered))
            .unwrap();
        let history = files.history(&"bob@contoso.test".parse().unwrap());
        assert_eq!(history.len(), 2);
        assert_eq!(history[0].delivery, Delivery::Delivered);
        assert_eq!(history[0].text, "Grüße 🌴");
    }

    #[test]
    fn forgetting_leaves_no_trace_of_the_address_and_keeps_others() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let profile = Profile::default();
        let alice: SignInAddress = "alice@contoso.test".parse().unwrap();
        let carol: SignInAddress = "carol@contoso.test".parse().unwrap();
        for address in [&carol, &alice] {
            let files = AccountFiles::new(&places, &profile, address);
            files.remember().unwrap();
            files.write_settings(&Settings::default()).unwrap();
            files
                .append_message(&message("1", "hi", Delivery::Received))
                .unwrap();
        }
        assert_eq!(
            AccountFiles::last_account(&places, &profile),
            Some(alice.clone())
        );
        let done = forget(&places, &profile, &alice);
        assert!(
            done.removed
                .iter()
                .any(|line| line.starts_with("message history"))
        );
        assert!(done.kept.is_empty());
        assert_eq!(AccountFiles::last_account(&places, &profile), None);
        let account = places.profile_state(&profile).join("accounts");
        assert!(!account.join(alice.as_str()).exists());
        assert!(account.join(carol.as_str()).exists());
    }

    #[test]
    fn files_and_directories_are_for_the_person_alone() {
        let dir = tempfile::tempdir().unwrap();
        let address = "alice@contoso.test".parse().unwrap();
        let files = AccountFiles::new(&places(dir.path()), &Profile::default(), &address);
        files.write_settings(&Settings::default()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.dir), 0o700);
        assert_eq!(mode(&files.dir.join("settings.json")), 0o600);
    }
}
