"""Reasons: what Google, or a machine that did not start, says becomes words with what to do about it. Pure.

Google says the same trouble once for each machine and each zone that it tried: that becomes one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkles.backends.gcp.wording import short
from sparkles.errors import BackendError
from sparkles.machine import Machine
from sparkles.quantities import counted

#: Google's page on which all quotas are seen and raised.
_QUOTAS = "https://console.cloud.google.com/iam-admin/quotas?project={project}"

#: Who makes the machines of a group: an account of Google's own in the project.
_AGENT = "$(gcloud projects describe {project} --format='value(projectNumber)')@cloudservices.gserviceaccount.com"

#: Spot nodes taken away one after the other, before that is worth a word.
_OFTEN = 3

#: How Google says that what it has just named is not there.
_ABSENT = r"(\. The referenced resource does not exist| was not found)"

_SMALLER = "use fewer nodes (--nodes) or a smaller machine type (-m)"

_SOLD_OUT = (
    "Google has no {machine} free in {place} now; it is tried again by itself. To have one sooner, name another "
    "machine type (-m), or another region or more zones in the configuration{or_standard}"
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One error, as Google reports it of a member of a group, of the group, or of an operation."""

    code: str
    message: str = ""
    #: The metadata of its `errorInfo`, if it has one.
    details: Mapping[str, str] = field(default_factory=dict)


class RefusedError(BackendError):
    """An operation that was begun has failed, by a `fault`."""

    def __init__(self, what: str, fault: Fault) -> None:
        self.what = what
        self.fault = fault
        super().__init__(f"{what}: {fault.message}")


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What faults with such a code, whose message is such, mean."""

    code: str = ""
    #: Is looked for in the message; what its groups find can be named in `words`.
    message: str = ""
    words: str


#: The first one that fits counts. `{at}` is where it happened, ` in us-central1-a` for example, or nothing.
_RULES = (
    _Rule(
        message=r"external IP with it|compute\.vmExternalIpAccess",
        words="the rules of your organisation allow no machine an external IP address: set resources.externalIp: "
        "false, and give the network a Cloud NAT so that nodes can fetch images",
    ),
    _Rule(
        message=r"Constraint (?:constraints/)?(?P<constraint>[\w./-]+)",
        words="the rules of your organisation forbid it ({constraint}): whoever administers them has to make an "
        "exception for project {project}",
    ),
    _Rule(
        code=r"RESOURCE_POOL_EXHAUSTED|insufficientCapacity|STOCKOUT",
        words=_SOLD_OUT,
    ),
    _Rule(
        message=r"does not have enough resources available|is currently unavailable in the",
        words=_SOLD_OUT,
    ),
    _Rule(
        code=r"(?i)quota.?exceeded",
        message=r"Quota '?(?P<quota>[\w-]+)'? exceeded\.\s+Limit: (?P<limit>[\d.]+?)(?:\.0)?(?P<where> [^.]*)?\.?$",
        words="project {project} may have no more of {quota}: its quota is {limit}{where}; " + _SMALLER + ", or ask "
        "for more at " + _QUOTAS,
    ),
    _Rule(
        code=r"(?i)quota.?exceeded",
        words="project {project} has used up a quota ({said}); " + _SMALLER + ", or ask for more at " + _QUOTAS,
    ),
    _Rule(
        message=r"API has not been used in project|it is disabled|SERVICE_DISABLED",
        words="Compute Engine is not turned on in project {project}: "
        "'gcloud services enable compute.googleapis.com --project={project}'; it takes some minutes",
    ),
    _Rule(
        message=r"(?i)does not have access to service account|iam\.serviceAccount(User|s\.actAs)",
        words="who makes the nodes may not give them the service account {account}: 'gcloud iam service-accounts "
        "add-iam-policy-binding {account} --project={project} --member=user:EMAIL "
        "--role=roles/iam.serviceAccountUser', with your own EMAIL",
    ),
    _Rule(
        message=r"(?i)service.?account.* (was not found|does not exist)",
        words="there is no service account {account}: 'sparkles setup' makes one, or name another as 'account' in the "
        "configuration",
    ),
    _Rule(
        message=r"Required '(?P<right>compute\.[\w.]+)' permission",
        words="Google's account that makes machines lacks the right {right}: 'gcloud projects add-iam-policy-binding "
        '{project} --member="serviceAccount:' + _AGENT + "\" --role=roles/compute.instanceAdmin.v1'",
    ),
    _Rule(
        code=r"(?i)^(permissions?_?(error|denied)|forbidden|403)$",
        words="a right is missing ({said}): 'sparkles validate' tries each, and says how to get it",
    ),
    _Rule(
        message=r"acceleratorTypes/(?P<gpu>[\w-]+)'" + _ABSENT,
        words="there is no GPU {gpu}{at}: 'gcloud compute accelerator-types list --filter=name={gpu}' shows the zones "
        "that have it; name them as 'zones', or their region, in the configuration",
    ),
    _Rule(
        message=r"\[(?P<features>[\w, -]*nvidia[\w, -]*)\] features are not compatible",
        words="machines of the type {type} cannot have the GPU {gpu}: GPUs such as nvidia-tesla-t4 need a type that "
        "begins with n1-, such as -m n1-standard-4; others belong to a type, such as a2-highgpu-1g or g2-standard-4",
    ),
    _Rule(
        message=r"\[(?P<features>[^\]]+)\] features are not compatible",
        words="these do not go together: {features}; name another machine type (-m) or another "
        "resources.bootDisk.type: newer types take only hyperdisk-balanced, older ones only pd-balanced and its like",
    ),
    _Rule(
        message=r"(?i)machine ?types?\b.*(does not exist|was not found)",
        words="there is no machine type {type}{at}: 'gcloud compute machine-types list --filter=name={type}' shows the "
        "zones that have it; name another type (-m), or other zones in the configuration",
    ),
    _Rule(
        message=r"(?i)diskTypes?\b.*(does not exist|not found|cannot be used)|[Ii]nvalid value.*diskType",
        words="there is no such type of disk for {type}{at} ({said}): 'gcloud compute disk-types list' shows them; "
        "change resources.bootDisk.type or resources.disks",
    ),
    _Rule(
        message=r"(?i)disk size.*(cannot be smaller|smaller than)|size.*(less|smaller) than the image",
        words="a disk is too small ({said}): raise resources.bootDisk.sizeGb, or sizeGb of resources.disks",
    ),
    _Rule(
        message=r"(?i)disk.*size|sizeGb",
        words="a disk cannot have that size ({said}): change resources.bootDisk.sizeGb, or sizeGb of resources.disks",
    ),
    _Rule(
        message=r"(?P<what>global/images/[^\s']+)'" + _ABSENT,
        words="what machines start from is not there: {what}; this version of sparkles may be too old",
    ),
    _Rule(
        message=r"networks/(?P<network>[\w-]+)'" + _ABSENT,
        words="there is no network {network} in project {project}{at}: 'gcloud compute networks create {network} "
        "--project={project} --subnet-mode=auto' makes it",
    ),
    _Rule(
        code=r"RATE_LIMIT|RATE_EXCEEDED|rateLimitExceeded",
        words="Google wants to be asked less often; nodes come more slowly, and nothing needs to be done",
    ),
)

#: What the first line of a boot log looks like, and what can be done about it.
_BOOTS = (
    (r"(?i)no space left|disk.* full", "raise resources.bootDisk.sizeGb: the image of the tasks has to fit on it"),
    (
        r"(?i)(image|pull).*(unauthorized|denied|forbidden|authentication|\b403\b)",
        (
            "nodes log in at Google's registries only, and need roles/artifactregistry.reader there: give it to "
            "{account}, or copy the image to Artifact Registry"
        ),
    ),
    (
        r"(?i)(image|pull).*(manifest unknown|not found|\b404\b)",
        "the image was removed from its registry: push it again",
    ),
    (r"(?i)exec format error|no matching manifest|\bplatform\b", "the image is for another processor than {type} has"),
    (
        r"(?i)checksum|does not have its (hash|sha256)",
        "a file of sparkles in the bucket is damaged: 'sparkles validate' checks them",
    ),
    (
        r"(?i)gpu driver|driver.*gpu|cos-extensions|nvidia driver",
        "the GPU's driver did not start: try another zone, or another GPU",
    ),
    (
        r"(?i)\b(403|401|forbidden|permission|denied)\b",
        "the account {account} lacks a right: 'sparkles validate' tries each, and says how to get it",
    ),
    (
        r"(?i)network|no such host|resolve|time(d )?out|unreachable|connection|connect to|no route",
        (
            "nodes reach nothing outside: without an external IP address the network needs a Cloud NAT and "
            "Private Google Access"
        ),
    ),
)


def meant(fault: Fault, *, machine: Machine, project: str) -> str:
    """Return what one fault means."""
    words, facts = _meaning(fault)
    return words.format(**{**_facts(machine, project), **facts, "at": _at([_zone(fault)])})


def troubles(faults: Iterable[Fault], *, machine: Machine, project: str) -> tuple[str, ...]:
    """Return what the faults mean, each meaning once, the one of most machines first.

    Counted are faults: whoever has several reports of one machine gives one of them.
    """
    zones: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for fault in faults:
        words, facts = _meaning(fault)
        zones.setdefault((words, tuple(facts.items())), []).append(_zone(fault))
    common = _facts(machine, project)
    told = [
        (len(seen), words.format(**{**common, **dict(facts), "at": _at(seen)}))
        for (words, facts), seen in zones.items()
    ]
    return tuple(_with_count(text, number) for number, text in sorted(told, key=lambda each: -each[0]))


def _meaning(fault: Fault) -> tuple[str, Mapping[str, str]]:
    """Return the words of the rule that fits, and what is to be filled in; Google's own if none does."""
    for rule in _RULES:
        found = re.search(rule.message, fault.message)
        if found and re.search(rule.code, fault.code):
            said = {"said": short(fault.message)} if "{said}" in rule.words else {}
            return rule.words, {**{name: text or "" for name, text in found.groupdict().items()}, **said}
    return "{said}", {"said": short(fault.message or fault.code)}


def _zone(fault: Fault) -> str:
    """Return the zone that a fault is about; empty if it does not say."""
    found = re.search(r"(?:zones/|in the |in zone ')(?P<zone>[a-z]+-[a-z]+\d+-[a-z])\b", fault.message)
    return fault.details.get("zone") or (found["zone"] if found else "")


def _at(zones: Sequence[str]) -> str:
    named = sorted({zone for zone in zones if zone})
    return f" in {' or '.join(named)}" if named else ""


def _facts(machine: Machine, project: str) -> dict[str, str]:
    kind = f"{machine.type} with {machine.gpus} {machine.gpu}" if machine.gpu else machine.type
    return {
        "project": project,
        "place": " or ".join(machine.zones) or machine.region,
        "type": machine.type,
        "gpu": machine.gpu or "",
        "account": machine.account or "PROJECT_NUMBER-compute@developer.gserviceaccount.com",
        "machine": f"spot {kind}" if machine.spot else kind,
        "or_standard": ", or leave out --spot" if machine.spot else "",
    }


def _with_count(text: str, number: int) -> str:
    return f"{text} (nodes: {number})"


def bad_boots(reasons: Iterable[str], *, machine: Machine, project: str) -> tuple[str, ...]:
    """Return what machines that died while they started say, with what to do; equal ones once.

    Each reason is the first line of a machine's boot log.
    """
    lines = [short(reason) for reason in reasons]
    told = {line: _boot(line, _facts(machine, project)) for line in sorted(set(lines), key=lines.count, reverse=True)}
    return tuple(_with_count(text, lines.count(line)) for line, text in told.items())


def _boot(line: str, facts: Mapping[str, str]) -> str:
    what = f"a node did not start: {line or 'it said nothing'}"
    cure = next((cure for sign, cure in _BOOTS if re.search(sign, line)), "")
    return f"{what}; {cure.format(**facts)}" if cure else what


def taken_away(*, preemptions: int, machine: Machine) -> str | None:
    """Return what to do if spot nodes are taken away all the time; None as long as that is as usual."""
    if not machine.spot or preemptions < _OFTEN or machine.on_demand_after is not None:
        return None
    return (
        f"Google took {counted(preemptions, 'spot node')} away before any of them began a task: leave out --spot, or "
        "set nodes.onDemandAfter so that ordinary machines help out"
    )
