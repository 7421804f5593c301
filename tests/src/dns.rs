// SPDX-License-Identifier: MIT OR Apache-2.0
//! A name server for a namespace: it knows the names that a test gives it and no others.

use anyhow::{Context, Result};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{Ipv4Addr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// What the name server knows.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// Host names and their address.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// Service names, port, and target host.
    pub services: Vec<(String, u16, String)>,
}

/// A running name server; it ends with the process.
#[derive(Debug, Clone)]
pub struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Listens on port 53 of the namespace's loopback address.
    ///
    /// # Errors
    /// The port cannot be bound (not in a namespace of its own?).
    pub fn start(zone: Zone) -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 53)).context("port 53 of the namespace")?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let Ok(query) = Message::from_vec(&buffer[..length]) else {
                    continue;
                };
                let Some(answer) = answer(&zone, &query, &log) else {
                    continue;
                };
                let _ = socket.send_to(&answer, peer);
            }
        });
        Ok(Self { asked })
    }

    /// The names that were asked for, in order, with their record type.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().map(|a| a.clone()).unwrap_or_default()
    }
}

fn answer(zone: &Zone, query: &Message, log: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let question = query.queries.first()?.clone();
    let name = question
        .name()
        .to_ascii()
        .trim_end_matches('.')
        .to_lowercase();
    if let Ok(mut log) = log.lock() {
        log.push(format!("{} {name}", question.query_type()));
    }
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    let mut known = false;
    for (host, address) in &zone.hosts {
        if *host == name {
            known = true;
            if question.query_type() == RecordType::A {
                let data = RData::A(A(*address));
                reply.add_answer(Record::from_rdata(question.name().clone(), 5, data));
            }
        }
    }
    for (service, port, target) in &zone.services {
        if *service == name {
            known = true;
            if question.query_type() == RecordType::SRV {
                let target = Name::from_str(&format!("{target}.")).ok()?;
                let data = RData::SRV(SRV::new(0, 0, *port, target));
                reply.add_answer(Record::from_rdata(question.name().clone(), 5, data));
            }
        }
    }
    if !known {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    reply.to_vec().ok()
}
