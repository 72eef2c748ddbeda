"""Who may speak to whom: everything is shut, then each way that is needed is opened by name. Pure."""

from __future__ import annotations

from seekserve.render.objects import API_PORT, OPS_PORT, Object, labels, metadata
from seekserve.render.order import Order

CLIENTS = {"seekserve-clients": "true"}
WATCHERS = {"kubernetes.io/metadata.name": "monitoring"}
NAMES = {"kubernetes.io/metadata.name": "kube-system"}
# Where nothing public is: what fetches models has no business there.
PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
PRIVATE_6 = ["fc00::/7", "fe80::/10"]


def fences(ordered: Order) -> list[Object]:
    apart, several = bool(ordered.tier.ladder), ordered.asked.nodes > 1
    made = [_shut(), _names(), _gateway(apart)]
    if not apart:
        return [*made, _fetching("gateway")]
    made += [_engine(), _fetching("engine")]
    return [*made, _nodes()] if several else made


def _policy(name: str, part: str, *, ingress: object = None, egress: object = None) -> Object:
    ways = {"Ingress": ingress, "Egress": egress}
    spec: Object = {
        "podSelector": {"matchLabels": labels(part)} if part else {},
        "policyTypes": [way for way, rules in ways.items() if rules is not None],
    }
    spec |= {way.lower(): rules for way, rules in ways.items() if rules}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, part or "all"),
        "spec": spec,
    }


def _shut() -> Object:
    return _policy("nothing", "", ingress=[], egress=[])


def _names() -> Object:
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return _policy("names", "", egress=[{"to": [_space(NAMES)], "ports": ports}])


def _gateway(apart: bool) -> Object:
    ingress = [
        {"from": [_space(CLIENTS)], "ports": [_port(API_PORT)]},
        {"from": [_space(WATCHERS)], "ports": [_port(OPS_PORT)]},
    ]
    egress = [{"to": [_pods("engine")], "ports": [_port(API_PORT)]}] if apart else None
    return _policy("gateway", "gateway", ingress=ingress, egress=egress)


def _engine() -> Object:
    return _policy(
        "engine", "engine", ingress=[{"from": [_pods("gateway")], "ports": [_port(API_PORT)]}]
    )


def _fetching(part: str) -> Object:
    """Models come over HTTPS from the public network, and from nowhere nearer."""
    nets = [("0.0.0.0/0", PRIVATE), ("::/0", PRIVATE_6)]
    to = [{"ipBlock": {"cidr": cidr, "except": left_out}} for cidr, left_out in nets]
    return _policy(f"{part}-fetching", part, egress=[{"to": to, "ports": [_port(443)]}])


def _nodes() -> Object:
    """Nodes of an engine meet on ports that torch and its transports choose."""
    peers = [_pods("engine")]
    return _policy("engine-nodes", "engine", ingress=[{"from": peers}], egress=[{"to": peers}])


def _space(named: dict[str, str]) -> Object:
    return {"namespaceSelector": {"matchLabels": named}}


def _pods(part: str) -> Object:
    return {"podSelector": {"matchLabels": labels(part)}}


def _port(number: int) -> Object:
    return {"protocol": "TCP", "port": number}
