"""Places for the nodes of a directed graph in ranks, and ways for its edges (the layered method of Sugiyama et al.)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]  # (along the ranks, across them)
Edge = tuple[int, int]

SWEEPS = 12
SEPARATION = 16.0  # between neighbours in a rank
BEND_WEIGHT = 8.0  # how much straighter a long edge is kept than a node is centred


@dataclass
class Layout:
    """centres : of the nodes;  ways : per edge the points from the end of one node to the beginning of the other;
    along, across : size of the whole, in the unit of the sizes given."""

    centres: list[Point]
    ways: list[list[Point]]
    along: float
    across: float


def layout(sizes: list[Point], edges: list[Edge], gap: float) -> Layout:
    """Place nodes of the given sizes (along, across); ranks are `gap` apart."""
    graph = _Ranked(sizes, edges)
    graph.sort()
    across = graph.align()
    starts, total = graph.rank_starts(gap)
    low = min((x - size / 2 for x, size in zip(across, graph.widths, strict=True)), default=0.0)
    across = [x - low for x in across]
    high = max((x + size / 2 for x, size in zip(across, graph.widths, strict=True)), default=0.0)
    centres = [(starts[graph.rank[i]] + graph.depth[graph.rank[i]] / 2, across[i]) for i in range(len(sizes))]
    ways = [_way(graph, chain, centres, starts, across, sizes) for chain in graph.chains]
    return Layout(centres, ways, total, high)


def _way(
    graph: _Ranked, chain: list[int], centres: list[Point], starts: list[float], across: list[float], sizes: list[Point]
) -> list[Point]:
    first, last = chain[0], chain[-1]
    points = [(centres[first][0] + sizes[first][0] / 2, across[first])]
    for bend in chain[1:-1]:
        start = starts[graph.rank[bend]]
        points += [(start, across[bend]), (start + graph.depth[graph.rank[bend]], across[bend])]
    return [*points, (centres[last][0] - sizes[last][0] / 2, across[last])]


class _Ranked:
    """The graph with a bend in each rank that an edge passes; nodes first, then bends."""

    def __init__(self, sizes: list[Point], edges: list[Edge]) -> None:
        self.rank = _ranks(len(sizes), edges)
        self.widths = [across for _, across in sizes]
        self.bends_from = len(sizes)
        self.chains = [self._chain(*edge) for edge in edges]
        count = len(self.rank)
        self.before: list[list[int]] = [[] for _ in range(count)]
        self.after: list[list[int]] = [[] for _ in range(count)]
        for chain in self.chains:
            for u, v in pairwise(chain):
                self.after[u].append(v)
                self.before[v].append(u)
        self.ranks: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for node in range(count):
            self.ranks[self.rank[node]].append(node)
        self.depth = [max((sizes[i][0] for i in rank if i < len(sizes)), default=0.0) for rank in self.ranks]

    def _chain(self, u: int, v: int) -> list[int]:
        between = range(self.rank[u] + 1, self.rank[v])
        bends = list(range(len(self.rank), len(self.rank) + len(between)))
        self.rank += between
        self.widths += [0.0] * len(bends)
        return [u, *bends, v]

    def sort(self) -> None:
        """Order each rank by its neighbours' mean place, back and forth; the order that crosses least stays."""
        best, least = [list(rank) for rank in self.ranks], self._crossings()
        place = self._places()
        for sweep in range(SWEEPS):
            forth = sweep % 2 == 0
            for rank in self.ranks if forth else reversed(self.ranks):
                neighbours = self.before if forth else self.after
                means = {node: _mean([place[i] for i in neighbours[node]], place[node]) for node in rank}
                rank.sort(key=means.__getitem__)
                place.update({node: i / len(rank) for i, node in enumerate(rank)})
            crossings = self._crossings()
            if crossings < least:
                best, least = [list(rank) for rank in self.ranks], crossings
        self.ranks = best

    def _places(self) -> dict[int, float]:
        return {node: i / len(rank) for rank in self.ranks for i, node in enumerate(rank)}

    def _crossings(self) -> int:
        place = {node: i for rank in self.ranks for i, node in enumerate(rank)}
        total = 0
        for rank in self.ranks:
            ends = [place[v] for u in rank for v in sorted(self.after[u], key=place.__getitem__)]
            total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
        return total

    def align(self) -> list[float]:
        """Places across the ranks: near the neighbours' mean, in order, without overlap."""
        across = [0.0] * len(self.rank)
        for rank in self.ranks:
            _spread(rank, [0.0] * len(rank), self.widths, across)
        for sweep in range(2 * SWEEPS):
            forth = sweep % 2 == 0
            for rank in self.ranks if forth else reversed(self.ranks):
                wanted = [self._wanted(node, forth, across) for node in rank]
                _spread(rank, wanted, self.widths, across, self._weights(rank))
        return across

    def _wanted(self, node: int, forth: bool, across: list[float]) -> float:
        """The mean of the neighbours on one side, of those on the other where there are none."""
        first, second = (self.before, self.after) if forth else (self.after, self.before)
        near = first[node] or second[node]
        return _mean([across[i] for i in near], across[node])

    def _weights(self, rank: list[int]) -> list[float]:
        return [BEND_WEIGHT if node >= self.bends_from else 1.0 for node in rank]

    def rank_starts(self, gap: float) -> tuple[list[float], float]:
        starts, at = [], 0.0
        for depth in self.depth:
            starts.append(at)
            at += depth + gap
        return starts, max(at - gap, 0.0)


def _ranks(count: int, edges: list[Edge]) -> list[int]:
    """Longest way from a source; a source stands just before what it feeds.  A cycle is cut where it is met."""
    before: list[set[int]] = [set() for _ in range(count)]
    after: list[set[int]] = [set() for _ in range(count)]
    for u, v in edges:
        before[v].add(u)
        after[u].add(v)
    rank, waiting, left = [0] * count, [len(nodes) for nodes in before], dict.fromkeys(range(count))
    ready = [node for node in left if not waiting[node]]
    while left:
        node = ready.pop() if ready else next(iter(left))
        if node not in left:
            continue
        del left[node]
        for v in after[node] & left.keys():
            rank[v] = max(rank[v], rank[node] + 1)
            waiting[v] -= 1
            if not waiting[v]:
                ready.append(v)
    for node in range(count):
        if after[node] and not before[node]:
            rank[node] = max(0, min(rank[v] for v in after[node]) - 1)
    return rank


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _spread(
    rank: list[int], wanted: list[float], widths: list[float], across: list[float], weights: list[float] | None = None
) -> None:
    """Write to `across` the places nearest to `wanted` (least squares) that keep order and separation."""
    offsets, at = [], 0.0
    for i, node in enumerate(rank):
        at += (widths[rank[i - 1]] + widths[node]) / 2 + SEPARATION if i else 0.0
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of nodes: pooled where they would overlap
    for i, place in enumerate(wanted):
        mean, weight, size = place - offsets[i], weights[i] if weights else 1.0, 1
        while blocks and blocks[-1][0] > mean:
            other, its, number = blocks.pop()
            mean, weight, size = (mean * weight + other * its) / (weight + its), weight + its, size + number
        blocks.append((mean, weight, size))
    means = [mean for mean, _, size in blocks for _ in range(size)]
    for node, mean, offset in zip(rank, means, offsets, strict=True):
        across[node] = mean + offset
