"""An inbox and a gate in memory: plain implementations of the carrier side's ports."""

from collections.abc import Sequence

import trio

from smsc.config import Account
from smsc.inbox import BindRequest, BindVerdict, LinkLoss, LiveLink, Refused
from smsc.message import Arrival, Verdict, VerdictKind
from smsc.status import LinkStatus


class MemoryInbox:
    """Keeps what it takes. With :attr:`hold` set, verdicts wait until it is released."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.batches: list[int] = []
        self.losses: list[LinkLoss] = []
        self.kind = VerdictKind.STORED
        self.hold: trio.Event | None = None
        self.took = trio.Event()

    async def take(self, arrivals: Sequence[Arrival]) -> Sequence[Verdict]:
        self.arrivals.extend(arrivals)
        self.batches.append(len(arrivals))
        self.took.set()
        if self.hold is not None:
            await self.hold.wait()
        return [
            Verdict(self.kind, f"msg_{arrival.origin.place}")
            if self.kind is VerdictKind.STORED
            else Verdict(self.kind)
            for arrival in arrivals
        ]

    def lost(self, loss: LinkLoss) -> None:
        self.losses.append(loss)


class MemoryGate:
    """Knows accounts and their passwords by system_id."""

    def __init__(self, *accounts: Account, password: str = "secret") -> None:
        self.accounts = {account.name: account for account in accounts}
        self.password = password
        self.asked: list[BindRequest] = []
        self.opens: list[LinkStatus] = []
        self.closes: list[LinkStatus] = []
        self.refusals: list[Refused] = []
        self.more_refused = 0
        self.hold: trio.Event | None = None

    async def ask(self, request: BindRequest) -> BindVerdict:
        self.asked.append(request)
        if self.hold is not None:
            await self.hold.wait()
        for account in self.accounts.values():
            if account.system_id == request.system_id:
                if request.password != self.password:
                    return BindVerdict(refusal="wrong-password", detail="does not match")
                if request.kind not in account.binds:
                    return BindVerdict(refusal="kind-not-allowed")
                if account.max_links and self.links >= account.max_links:
                    return BindVerdict(refusal="too-many-links")
                return BindVerdict(account=account)
        return BindVerdict(refusal="unknown-system-id")

    @property
    def links(self) -> int:
        return len(self.opens) - len(self.closes)

    def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    def opened(self, link: LiveLink) -> None:
        self.opens.append(link.status())

    def closed(self, status: LinkStatus) -> None:
        self.closes.append(status)

    def refused(self, refused: Sequence[Refused], more: int = 0) -> None:
        self.refusals += refused
        self.more_refused += more
