//! Which addresses a registry may send us to (I8).
//!
//! Names are resolved here and nowhere else for foreign hosts, and the connection uses the addresses that
//! were judged: a name that answers differently the second time gains nothing.
//! Ranges: the IANA special-purpose address registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::config::RedirectTargets;
use super::error::Refusal;

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Public,
    /// Loopback, and the private ranges of sites and providers.
    Private,
    /// Link-local, multicast, unspecified, reserved: nothing that serves files is there.
    Never,
}

/// How long is waited for what a name means that the proxy will look up again.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Judges the addresses of foreign hosts on behalf of one registry.
#[derive(Debug)]
pub(super) struct AddressGuard {
    /// Host of the registry, without port and brackets: its own addresses are as good as configured.
    own: String,
    targets: RedirectTargets,
}

impl AddressGuard {
    pub(super) fn new(own: &str, targets: RedirectTargets) -> Arc<Self> {
        let own = own.trim_start_matches('[').trim_end_matches(']').to_owned();
        Arc::new(Self { own, targets })
    }

    /// Judges a host that is an address already; names are judged when they are resolved.
    pub(super) async fn check_literal(&self, host: url::Host<&str>) -> Result<(), Refusal> {
        let (address, host) = match host {
            url::Host::Domain(_) => return Ok(()),
            url::Host::Ipv4(address) => (IpAddr::V4(address), address.to_string()),
            url::Host::Ipv6(address) => (IpAddr::V6(address), address.to_string()),
        };
        self.judge(&host, &[SocketAddr::new(address, 0)]).await.map(drop)
    }

    /// Judges a host that the proxy dials, as well as that can be done from here: an address as ever, a name by what it
    /// means here. Where it means nothing, as in networks that look up no outer names, the proxy's own rules decide.
    pub(super) async fn check_proxied(&self, host: url::Host<&str>) -> Result<(), Refusal> {
        let url::Host::Domain(name) = host else { return self.check_literal(host).await };
        let looked_up = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((name, 0))).await;
        let Ok(Ok(found)) = looked_up else { return Ok(()) };
        self.judge(name, &found.collect::<Vec<_>>()).await.map(drop)
    }

    /// The addresses that may be dialled; an error if there is none but some were forbidden.
    async fn judge(&self, host: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, Refusal> {
        let (mut allowed, doubtful): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.iter().partition(|address| self.allows(address.ip()));
        if allowed.is_empty() && !doubtful.is_empty() {
            let own = self.own_addresses().await;
            allowed.extend(doubtful.iter().filter(|address| own.contains(&address.ip())));
        }
        match doubtful.first() {
            Some(address) if allowed.is_empty() => {
                Err(Refusal::Address { host: host.to_owned(), address: address.ip() })
            }
            Some(_) | None => Ok(allowed),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        match (network(address), self.targets) {
            (Network::Public, RedirectTargets::Public | RedirectTargets::PublicAndPrivate)
            | (Network::Private, RedirectTargets::PublicAndPrivate) => true,
            (Network::Private, RedirectTargets::Public)
            | (Network::Never, RedirectTargets::Public | RedirectTargets::PublicAndPrivate) => false,
        }
    }

    async fn own_addresses(&self) -> Vec<IpAddr> {
        match tokio::net::lookup_host((self.own.as_str(), 0)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => Vec::new(),
        }
    }
}

/// The resolver of the client for foreign hosts.
pub(super) struct GuardedResolver(pub(super) Arc<AddressGuard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let allowed = guard.judge(host, &found).await?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn network(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(address) => network_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => network_v4(embedded),
            None => network_v6(address),
        },
    }
}

fn network_v4(address: Ipv4Addr) -> Network {
    match address.octets() {
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] => Network::Private,
        // Shared address space of providers (and of some clouds' internal services).
        [100, 64..=127, ..] => Network::Private,
        [0 | 224..=255, ..] | [169, 254, ..] => Network::Never,
        // Protocol assignments, documentation, benchmarks.
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Network::Never,
        _ => Network::Public,
    }
}

fn network_v6(address: Ipv6Addr) -> Network {
    if address.is_loopback() {
        return Network::Private;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Network::Private,
        [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => Network::Never,
        // Everything that is globally routed today is in 2000::/3.
        [0x2000..=0x3fff, ..] => Network::Public,
        _ => Network::Never,
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, 6to4 or NAT64. A gateway would dial it.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(joined(high, low))
        }
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Network) {
        assert_eq!(network(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn i8_addresses_that_serve_no_strangers_are_known() {
        for address in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            check(address, Network::Public);
        }
        for address in [
            "10.0.0.1",
            "127.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.100.100.200",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "::127.0.0.1",
        ] {
            check(address, Network::Private);
        }
        for address in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2001:db8::1",
            "192.0.0.192",
        ] {
            check(address, Network::Never);
        }
    }

    #[tokio::test]
    async fn i8_only_the_registrys_own_private_address_is_allowed() {
        let judged = async |own: &str, targets, target: &str| {
            let url = url::Url::parse(&format!("http://{target}/")).unwrap();
            let guard = AddressGuard::new(own, targets);
            guard.check_literal(url.host().unwrap()).await.is_ok()
        };
        let (public, private) = (RedirectTargets::Public, RedirectTargets::PublicAndPrivate);
        assert!(judged("registry.invalid", public, "1.1.1.1").await);
        assert!(!judged("127.0.0.1", public, "127.0.0.2").await);
        assert!(judged("127.0.0.1", public, "127.0.0.1").await);
        assert!(judged("[::1]", public, "[::1]").await);
        assert!(judged("registry.invalid", private, "10.0.0.1").await);
        assert!(!judged("registry.invalid", private, "169.254.169.254").await);
    }

    #[tokio::test]
    async fn i8_what_the_proxy_is_to_dial_is_judged_by_address_and_by_what_its_name_means_here() {
        let judged = async |targets, target: &str| {
            let url = url::Url::parse(&format!("https://{target}/")).unwrap();
            AddressGuard::new("192.0.2.1", targets).check_proxied(url.host().unwrap()).await.is_ok()
        };
        let (public, private) = (RedirectTargets::Public, RedirectTargets::PublicAndPrivate);
        for refused in ["10.0.0.1", "169.254.169.254", "[fe80::1]", "localhost"] {
            assert!(!judged(public, refused).await, "{refused}");
        }
        assert!(!judged(private, "169.254.169.254").await);
        assert!(judged(private, "10.0.0.1").await);
        assert!(judged(public, "1.1.1.1").await);
        assert!(judged(public, "storage.invalid").await, "nobody here knows it, the proxy may");
    }

    #[tokio::test]
    async fn i8_a_name_that_leads_to_loopback_is_refused_when_it_is_resolved() {
        let resolver = GuardedResolver(AddressGuard::new("192.0.2.1", RedirectTargets::Public));
        let Err(error) = resolver.resolve("localhost".parse().unwrap()).await else {
            panic!("localhost was resolved");
        };
        assert!(error.downcast_ref::<Refusal>().is_some(), "{error}");
    }
}
