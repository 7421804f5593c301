// SPDX-License-Identifier: MIT OR Apache-2.0
//! The modules that are registered with p11-kit on this computer.

use std::fs;
use std::path::{Path, PathBuf};

/// Where registrations are (p11-kit's `pkcs11.conf(5)`): the packages', the administrator's. Of two
/// files of one name the later place wins.
const REGISTRIES: [&str; 2] = ["/usr/share/p11-kit/modules", "/etc/pkcs11/modules"];
/// Where modules are that are named without a folder.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/local/lib/pkcs11",
];
/// Largest registration that is read, in bytes.
const REGISTRATION_BYTES_MAX: u64 = 64 * 1024;

/// The modules that are registered with p11-kit, those with tokens of people: not its own list of
/// trusted certificates, and nothing on another computer.
#[must_use]
pub fn registered_modules() -> Vec<PathBuf> {
    let registries: Vec<PathBuf> = REGISTRIES.iter().map(PathBuf::from).collect();
    let folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    modules_of(&registries, &folders)
}

fn modules_of(registries: &[PathBuf], folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for registry in registries {
        let Ok(entries) = fs::read_dir(registry) else {
            continue;
        };
        for file in entries.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|kind| kind == "module") {
                files.retain(|other| other.file_name() != file.file_name());
                files.push(file);
            }
        }
    }
    files.sort();
    let mut modules = Vec::new();
    for file in files {
        let small = fs::metadata(&file).is_ok_and(|data| data.len() <= REGISTRATION_BYTES_MAX);
        let text = small.then(|| fs::read_to_string(&file).ok()).flatten();
        let module = text.and_then(|text| module_of(&text, folders));
        modules.extend(module.filter(|module| !modules.contains(module)));
    }
    modules
}

fn module_of(text: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == wanted).then(|| value.trim())
        })
    };
    let is_trust = value("trust-policy") == Some("yes");
    let is_elsewhere = value("remote").is_some();
    let for_others = value("enable-in").is_some();
    let module = value("module").filter(|module| !module.is_empty())?;
    if is_trust || is_elsewhere || for_others {
        return None;
    }
    let module = Path::new(module);
    if module.is_absolute() {
        return module.is_file().then(|| module.to_owned());
    }
    let candidates = folders.iter().map(|folder| folder.join(module));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_modules_are_found_and_lists_of_trust_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (packages, own, lib) = ("packages", "own", "lib");
        for name in [packages, own, lib] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let put = |folder: &str, name: &str, text: &str| {
            fs::write(dir.path().join(folder).join(name), text).unwrap();
        };
        put(lib, "one.so", "");
        put(lib, "two.so", "");
        put(packages, "one.module", "# a comment\nmodule: one.so\n");
        put(
            packages,
            "trust.module",
            "module: one.so\ntrust-policy: yes\n",
        );
        put(packages, "two.module", "module: one.so\n");
        put(own, "two.module", "module: two.so\npriority: 1\n");
        put(own, "gone.module", "module: gone.so\n");
        put(own, "readme.txt", "module: one.so\n");
        let registries = [dir.path().join(packages), dir.path().join(own)];
        let found = modules_of(&registries, &[dir.path().join(lib)]);
        let lib = dir.path().join(lib);
        assert_eq!(found, [lib.join("two.so"), lib.join("one.so")]);
    }
}
