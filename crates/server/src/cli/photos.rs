// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs that bring photographs along: the people first, then a picture each.

use std::path::Path;

use lanyard_directory::{AccountChange, SipAddress, parse_import};
use lanyard_fault::Fault;

use super::args::{Command, UserCommand};
use super::{input, verbs};
use crate::admin::{PhotoWish, Request};
use crate::problem::Problem;

/// The request, and those that set photographs afterwards. Every picture has been read and checked.
pub(super) fn with_photos(command: Command) -> Result<(Request, Vec<Request>), Problem> {
    let mut photos = Vec::new();
    if let Command::User(UserCommand::Add {
        address,
        photo: Some(file),
        ..
    }) = &command
    {
        photos.push(wish(address.clone(), input::photo(file)?));
    }
    let folder = match &command {
        Command::User(UserCommand::Import { file, .. }) => file.parent().map(Path::to_owned),
        _ => None,
    };
    let request = verbs::request(command)?;
    if let Request::UserImport { csv, dry_run } = &request {
        // What is wrong with the lines themselves, the server says.
        for row in parse_import(csv.as_bytes()).unwrap_or_default() {
            let Some(file) = row.photo else { continue };
            let path = folder.as_deref().unwrap_or(Path::new("")).join(&file);
            let picture = input::photo(&path).map_err(|problem| {
                let what = format!("line {}: {}", row.line, problem.message());
                Problem::with(Fault::AdminInput, what)
            })?;
            if !dry_run {
                photos.push(wish(row.account.sip_address, picture));
            }
        }
    }
    Ok((request, photos))
}

fn wish(address: SipAddress, photo: PhotoWish) -> Request {
    Request::UserSet {
        address,
        change: AccountChange::default(),
        photo,
    }
}
