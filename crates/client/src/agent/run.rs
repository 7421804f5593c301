// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting and ending the agent's process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use lanyard_fault::Fault;
use tokio::net::UnixListener;
use tracing_subscriber::EnvFilter;

use super::core::Core;
use super::driver::Driver;
use super::lock::AgentLock;
use crate::config::ClientConfig;
use crate::net::Net;
use crate::places::{Places, Profile, file_problem, private_dir};
use crate::problem::Problem;

/// Which of our own messages are logged; never those of libraries, which may hold what passes through.
const LOG_VARIABLE: &str = "LANYARD_LOG";
/// What is logged when nothing is said.
const LOG_DEFAULT: &str = "info";

/// Runs the agent until it is told to exit. `ready` is called once faces can attach, also when another agent of
/// this profile is there already.
///
/// # Errors
/// When the agent cannot start.
pub fn run(places: &Places, profile: &Profile, ready: impl FnOnce()) -> Result<(), Problem> {
    private_dir(&places.runtime)?;
    private_dir(&places.profile_state(profile))?;
    let Some(_lock) = AgentLock::take(places, profile)? else {
        ready();
        return Ok(());
    };
    let config = Arc::new(ClientConfig::load(places)?);
    start_log(places, profile);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Problem::new(Fault::AgentUnreachable))?;
    runtime.block_on(async {
        let net = Net::new(Arc::clone(&config)).map_err(|error| {
            Problem::new(Fault::ConfigClientInvalid).with_detail(format!("{error}."))
        })?;
        let socket = places.agent_socket(profile);
        // We hold the lock: a socket that is there is left over.
        let _ = fs::remove_file(&socket);
        let failed = |error: std::io::Error| file_problem(&socket, &error);
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let roots = net.trust().roots();
        let cards = crate::cards::open(&config, places);
        let core = Core::new(places.clone(), profile.clone(), Arc::clone(&config), roots);
        ready();
        tracing::info!("the agent is ready");
        Driver::new(core, net, cards, places.clone(), profile.clone())
            .run(listener)
            .await;
        let _ = fs::remove_file(&socket);
        Ok(())
    })
}

fn start_log(places: &Places, profile: &Profile) {
    let path = places.profile_state(profile).join("agent.log");
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.create(true).append(true), 0o600);
    let Ok(file) = options.open(&path) else {
        return;
    };
    let level = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| LOG_DEFAULT.to_owned());
    let level = match level.trim() {
        known @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => known,
        _ => LOG_DEFAULT,
    };
    let rooms = ["lanyard_client", "lanyard_sip_auth", "lanyard_card"];
    let filter = rooms.map(|room| format!("{room}={level}")).join(",");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("off,{filter}")))
        .with_ansi(false)
        .with_writer(Arc::new(file));
    // A second subscriber in one process happens only in tests.
    let _ = subscriber.try_init();
}
