//! Which hosts are dialled directly although there is a proxy: the customary list of `NO_PROXY`.
//!
//! As `golang.org/x/net/http/httpproxy` reads it, which is what most programs of a cluster do: a name stands for itself
//! and what is below it, with a leading dot (or `*.`) only for what is below; addresses and networks stand for hosts
//! that are written as addresses, never for names that lead there; a port narrows any of them but a network. This
//! machine itself is never asked of a proxy.

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

/// Hosts that are dialled directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass(Vec<Rule>);

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Name { name: String, below: Below, port: Option<u16> },
    Address { address: IpAddr, port: Option<u16> },
    Network { address: IpAddr, bits: u8 },
}

/// Whether a name stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    AndItself,
    Only,
}

/// Why an entry means no host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BypassError {
    /// It is none of the forms.
    #[error(
        "{0:?} is no host; expected one like registry.internal, .svc.cluster.local, 10.0.0.0/8 or host:5000"
    )]
    Entry(String),
    /// Everything would be dialled directly.
    #[error("\"*\" means every host; leave egress.proxy out instead")]
    Everything,
}

impl Bypass {
    /// Reads the entries; each may be several with commas between them, as in `NO_PROXY`.
    pub fn parse(entries: &[String]) -> Result<Self, BypassError> {
        let entries = entries.iter().flat_map(|entry| entry.split(','));
        let entries = entries.map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the host of this URL is dialled directly. A URL without host is: it leads nowhere.
    pub fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return true };
        let port = url.port_or_known_default();
        match host {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                is_at_or_below(&name, "localhost") || self.0.iter().any(|rule| rule.covers_name(&name, port))
            }
            Host::Ipv4(address) => self.covers_address(address.into(), port),
            Host::Ipv6(address) => self.covers_address(address.into(), port),
        }
    }

    fn covers_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.0.iter().any(|rule| rule.covers_address(address, port))
    }
}

impl Rule {
    fn covers_name(&self, found: &str, at: Option<u16>) -> bool {
        match self {
            Self::Name { name, below, port } => {
                let fits = match below {
                    Below::AndItself => is_at_or_below(found, name),
                    Below::Only => found != name && is_at_or_below(found, name),
                };
                fits && port.is_none_or(|port| at == Some(port))
            }
            Self::Address { .. } | Self::Network { .. } => false,
        }
    }

    fn covers_address(&self, found: IpAddr, at: Option<u16>) -> bool {
        match self {
            Self::Name { .. } => false,
            Self::Address { address, port } => *address == found && port.is_none_or(|port| at == Some(port)),
            Self::Network { address, bits } => is_within(found, *address, *bits),
        }
    }
}

fn is_at_or_below(found: &str, name: &str) -> bool {
    found.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_within(found: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (found, network) {
        (IpAddr::V4(found), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            found.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(found), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            found.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn rule(entry: &str) -> Result<Rule, BypassError> {
    let refused = || BypassError::Entry(entry.to_owned());
    if entry == "*" {
        return Err(BypassError::Everything);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        return network(address, bits).ok_or_else(refused);
    }
    if let Ok(address) = entry.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(Rule::Address { address: address.to_canonical(), port: None });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| refused())?)),
        None => (entry, None),
    };
    let (host, below) = match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
        Some(name) => (name, Below::Only),
        None => (host, Below::AndItself),
    };
    // As in URLs: lower case, international names in their ASCII form.
    match Host::parse(host.trim_end_matches('.')).map_err(|_| refused())? {
        Host::Domain(name) if !name.contains('*') => Ok(Rule::Name { name, below, port }),
        Host::Ipv4(address) if below == Below::AndItself => {
            Ok(Rule::Address { address: address.into(), port })
        }
        Host::Ipv6(address) if below == Below::AndItself => {
            Ok(Rule::Address { address: IpAddr::from(address).to_canonical(), port })
        }
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => Err(refused()),
    }
}

fn network(address: &str, bits: &str) -> Option<Rule> {
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
    Some(Rule::Network { address, bits })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(entries: &str, url: &str) -> bool {
        Bypass::parse(&[entries.to_owned()]).unwrap().covers(&Url::parse(url).unwrap())
    }

    #[test]
    fn hosts_names_networks_and_ports_are_told_apart() {
        for (entries, url, expected) in [
            ("registry.internal", "https://registry.internal/", true),
            ("registry.internal", "https://REGISTRY.internal./", true),
            ("registry.internal", "https://eu.registry.internal/", true),
            ("registry.internal", "https://otherregistry.internal/", false),
            (".internal", "https://registry.internal/", true),
            (".internal", "https://internal/", false),
            ("*.internal", "https://a.b.internal/", true),
            ("a.io, b.io,", "https://b.io/", true),
            ("", "https://b.io/", false),
            ("r.io:5000", "https://r.io:5000/", true),
            ("r.io:443", "https://r.io/", true),
            ("r.io:5000", "https://r.io/", false),
            ("10.0.0.0/8", "http://10.200.3.4:5000/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("0.0.0.0/0", "http://11.0.0.1/", true),
            ("10.0.0.1/32", "http://10.0.0.2/", false),
            ("10.0.0.0/8", "http://[::ffff:10.1.1.1]/", true),
            ("10.0.0.0/8", "http://ten.example/", false),
            ("10.0.0.7", "http://10.0.0.7:5000/", true),
            ("10.0.0.7:80", "http://10.0.0.7:5000/", false),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("::/0", "http://[fd12::1]/", true),
            ("fd00::/8", "http://10.0.0.1/", false),
            ("fd12::1", "http://[fd12::1]:5000/", true),
            ("[fd12::1]:5000", "http://[fd12::1]:5000/", true),
            ("[fd12::1]:5000", "http://[fd12::1]/", false),
            ("bücher.example", "https://xn--bcher-kva.example/", true),
            ("", "http://localhost:5000/", true),
            ("", "http://registry.localhost/", true),
            ("", "http://127.9.9.9/", true),
            ("", "http://[::1]/", true),
            ("", "http://notlocalhost/", false),
        ] {
            assert_eq!(covers(entries, url), expected, "{entries:?} {url}");
        }
    }

    #[test]
    fn what_means_no_host_is_refused() {
        for entry in [
            "10.0.0.0/33",
            "fd00::/129",
            "a b",
            "r.io:port",
            "r.*.io",
            "https://r.io",
            "10.0.0.0/x",
            ".10.0.0.1",
        ] {
            let refused = Bypass::parse(&[entry.to_owned()]);
            assert_eq!(refused, Err(BypassError::Entry(entry.to_owned())), "{entry}");
        }
        assert_eq!(Bypass::parse(&["a.io,*".to_owned()]), Err(BypassError::Everything));
    }

    proptest! {
        #[test]
        fn no_list_panics(entries in ".{0,60}", host in "[a-z0-9.\\-]{1,20}") {
            let Ok(url) = Url::parse(&format!("https://{host}/")) else { return Ok(()) };
            if let Ok(bypass) = Bypass::parse(&[entries]) {
                let _ = bypass.covers(&url);
            }
        }
    }
}
