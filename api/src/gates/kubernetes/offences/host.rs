//! What a pod takes from its node: namespaces, paths, the socket of the container runtime.

use shared::policy::PodRule;

use super::{Offence, Weight, cut, is_true, volume_called};
use crate::gates::kubernetes::json::Json;
use crate::gates::kubernetes::pod::PodView;

pub(super) fn of_pod(pod: &PodView<'_>) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut add = |rule, message: String| {
        offences.push(Offence { rule, weight: Weight::Full, image: None, message });
    };
    for (key, what) in [
        ("hostNetwork", "the pod uses its node's network (hostNetwork)"),
        ("hostPID", "the pod sees all processes of its node (hostPID)"),
        ("hostIPC", "the pod shares memory with all of its node (hostIPC)"),
    ] {
        if is_true(pod.spec.get(key)) {
            add(PodRule::HostNamespaces, what.to_owned());
        }
    }
    if is_true(pod.spec.at(&["securityContext", "windowsOptions", "hostProcess"])) {
        add(PodRule::Privileged, "the pod is a host process of its Windows node".to_owned());
    }
    for (at, volume) in pod.volumes.iter().enumerate() {
        let Some(source) = volume.get("hostPath").and_then(Json::said) else { continue };
        let path = source.get("path").and_then(Json::as_str).unwrap_or_default();
        let called = volume_called(*volume, at);
        add(PodRule::HostPaths, format!("{called} is the node's path {:?}", cut(path)));
        if let Some(socket) = runtime_socket(path) {
            add(
                PodRule::RuntimeSockets,
                format!("{called} gives access to the container runtime ({socket} at {:?})", cut(path)),
            );
        }
    }
    offences
}

/// The sockets through which one commands a node's container runtime. `/var/run` is `/run`.
const SOCKETS: &[&str] = &[
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/cri-dockerd.sock",
    "/run/dockershim.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/frakti.sock",
];

/// The runtime's socket that a host path is or contains. A socket of that name anywhere counts: installations
/// move them.
fn runtime_socket(path: &str) -> Option<&'static str> {
    let path = normalised(path);
    let name = path.rsplit('/').next().unwrap_or_default();
    SOCKETS.iter().copied().find(|socket| {
        let inside = path == "/"
            || socket.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        inside || socket.rsplit('/').next() == Some(name)
    })
}

/// Without doubled and trailing slashes, `.` and `..`; `/var/run` is a link to `/run` on every distribution.
fn normalised(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.starts_with(&["var", "run"]) {
        parts.remove(0);
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_socket_is_found_under_every_name_and_in_every_folder_that_holds_it() {
        for (path, expected) in [
            ("/var/run/docker.sock", true),
            ("/run/docker.sock", true),
            ("//var//run/./docker.sock/", true),
            ("/var/run/../run/docker.sock", true),
            ("/var/run", true),
            ("/run/containerd", true),
            ("/", true),
            ("/custom/containerd.sock", true),
            ("/run/user", false),
            ("/run/containerd-other", false),
            ("/var/log", false),
            ("/var", false),
            ("/etc", false),
            ("", true),
        ] {
            assert_eq!(runtime_socket(path).is_some(), expected, "{path:?}");
        }
    }
}
