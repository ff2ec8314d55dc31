//! Which VIP is meant.

use anyhow::bail;
use muster_dataplane::VipReport;

/// The VIPs that `wanted` may mean: several if it leaves open the port or the protocol.
pub(super) fn found(vips: Vec<VipReport>, wanted: &str) -> anyhow::Result<Vec<VipReport>> {
    let exact: Vec<_> = vips.iter().filter(|vip| is(vip, wanted, false)).cloned().collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let begun: Vec<_> = vips.into_iter().filter(|vip| is(vip, wanted, true)).collect();
    let names: std::collections::BTreeSet<_> = begun.iter().map(|vip| &vip.name).collect();
    match names.len() {
        0 => bail!("there is no VIP {wanted}: see `muster vip list`"),
        1 => Ok(begun),
        _ => {
            let names: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
            bail!("{wanted} could be any of {}", names.join(", "))
        }
    }
}

/// Whether a VIP is called so; with `begins`, also by the first labels of its name.
fn is(vip: &VipReport, wanted: &str, begins: bool) -> bool {
    let (host, protocol) = match wanted.rsplit_once('/') {
        Some((host, protocol)) => (host, Some(protocol)),
        None => (wanted, None),
    };
    if protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case(&vip.protocol)) {
        return false;
    }
    let Some((address, port)) = vip.vip.rsplit_once(':') else { return false };
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if [vip.vip.as_str(), address, bare].contains(&host) {
        return true;
    }
    let host = match host.rsplit_once(':') {
        Some((host, given)) if given == port => host,
        Some(_) => return false,
        None => host,
    };
    vip.name.as_ref().is_some_and(|name| {
        let rest = name.strip_prefix(host);
        rest.is_some_and(|rest| {
            rest.is_empty() || begins && !host.is_empty() && rest.starts_with('.')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(vip: &str, protocol: &str, name: Option<&str>) -> VipReport {
        VipReport {
            vip: vip.into(),
            protocol: protocol.into(),
            name: name.map(str::to_owned),
            policy: None,
            backends: vec![],
        }
    }

    fn search(wanted: &str) -> Result<Vec<String>, String> {
        let zone = "l4lb.thisdcos.directory";
        let web = format!("web.marathon.{zone}");
        let web_of_other = format!("web.other.{zone}");
        let dns = format!("dns.marathon.{zone}");
        let vips = vec![
            vip("11.0.0.1:80", "tcp", Some(&web)),
            vip("11.0.0.1:443", "tcp", Some(&web)),
            vip("11.0.0.2:53", "tcp", Some(&dns)),
            vip("11.0.0.2:53", "udp", Some(&dns)),
            vip("11.0.0.3:80", "tcp", Some(&web_of_other)),
            vip("[fd01:c::1]:80", "tcp", None),
        ];
        let shown = |vip: VipReport| format!("{}/{}", vip.vip, vip.protocol);
        let found = found(vips, wanted).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(shown).collect())
    }

    #[test]
    fn address_port_and_protocol_are_as_exact_as_they_are_given() {
        for (wanted, expected) in [
            ("11.0.0.1:80", &["11.0.0.1:80/tcp"][..]),
            ("11.0.0.1", &["11.0.0.1:80/tcp", "11.0.0.1:443/tcp"]),
            ("11.0.0.2:53", &["11.0.0.2:53/tcp", "11.0.0.2:53/udp"]),
            ("11.0.0.2:53/UDP", &["11.0.0.2:53/udp"]),
            ("[fd01:c::1]:80", &["[fd01:c::1]:80/tcp"]),
            ("fd01:c::1", &["[fd01:c::1]:80/tcp"]),
            ("web.marathon.l4lb.thisdcos.directory:443", &["11.0.0.1:443/tcp"]),
            ("web.marathon", &["11.0.0.1:80/tcp", "11.0.0.1:443/tcp"]),
            ("dns:53/tcp", &["11.0.0.2:53/tcp"]),
        ] {
            assert_eq!(search(wanted).unwrap(), expected, "{wanted}");
        }
    }

    #[test]
    fn what_is_not_there_or_could_be_several_is_an_error() {
        for wanted in
            ["11.0.0.9", "11.0.0.1:81", "web.marathon:81", "we", "", "11.0.0.1:80/udp", "dns/sctp"]
        {
            let error = search(wanted).unwrap_err();
            assert!(error.contains("there is no VIP"), "{wanted}: {error}");
        }
        let error = search("web").unwrap_err();
        assert!(error.contains("web.marathon.l4lb") && error.contains("web.other.l4lb"), "{error}");
    }
}
