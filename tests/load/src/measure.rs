// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPU time and memory of the server, as the kernel counts them.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// The process under load.
#[derive(Debug, Clone, Copy)]
pub struct Subject(pub u32);

impl Subject {
    /// CPU time of all its threads so far.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu(self) -> Result<Duration> {
        let mut nanos = 0_u64;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += text
                .split_whitespace()
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory that is its own (proportional set size), in KiB.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn memory_kib(self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .context("Pss")?;
        Ok(line.split_whitespace().next().context("Pss")?.parse()?)
    }
}

/// A stretch of load that is being measured.
#[derive(Debug)]
pub struct Stretch {
    subject: Subject,
    cpu: Duration,
    begun: Instant,
}

impl Stretch {
    /// Begins.
    ///
    /// # Errors
    /// The process is gone.
    pub fn begin(subject: Subject) -> Result<Self> {
        Ok(Self {
            subject,
            cpu: subject.cpu()?,
            begun: Instant::now(),
        })
    }

    /// Ends, and tells what one of `count` operations cost the server.
    ///
    /// # Errors
    /// The process is gone.
    pub fn end(self, name: &str, count: usize, floor: &str) -> Result<Value> {
        let wall = self.begun.elapsed();
        let cpu = self.subject.cpu()?.saturating_sub(self.cpu);
        let each = cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
        println!(
            "{name:<48} {each:>9.1} us server CPU   {count:>6} in {:>6.2} s   {floor}",
            wall.as_secs_f64()
        );
        Ok(json!({
            "name": name,
            "server_cpu_us": (each * 10.0).round() / 10.0,
            "count": count,
            "per_second": (count as f64 / wall.as_secs_f64().max(1e-9)).round(),
            "wall_s": wall.as_secs_f64(),
            "compare": floor,
        }))
    }
}
