// SPDX-License-Identifier: MIT OR Apache-2.0
//! SOAP, WS-Trust, web tickets, certificate provisioning, autodiscover.
