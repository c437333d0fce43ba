"""Cycles: docs/timing.md, rule by rule, one cycle after another. Knows nothing of values. Names follow the page."""

import collections
from types import SimpleNamespace

from footprint import footprints
from isa import ENGINES, REGISTER_WORDS, WORD_BYTES

FULL = 255
NEVER = float("inf")
TRAFFIC = ("weights", "inputs", "outputs", "spills", "params", "instructions", "other")


class Deadlock(Exception):
    """Nothing can ever happen again."""


class Word:
    """A word of an engine with what it needs and, once known, when it issues, ends by itself, and completes."""

    def __init__(self, inst, note, need):
        self.inst, self.note, self.need = inst, note, need
        self.ports, self.page = need.ports(), inst.fields.get("page")
        self.is_register, self.is_halt = inst.name in REGISTER_WORDS, inst.name == "halt"
        self.is_tile = not self.is_register and inst.name not in ("halt", "sync")
        self.issue, self.end, self.complete = None, NEVER, None
        self.ungranted = len(need.bursts)
        self.first, self.s_last, self.stream_end = None, None, None  # of an `mxu.conv`, T12 and T13


class Engine:
    """One engine: its words, those under way, its prefetch buffer and its DRAM bursts."""

    def __init__(self, name, words, base):
        self.name, self.words, self.base = name, words, base
        self.next, self.running, self.halted = 0, [], None
        self.buffer, self.requested, self.arrivals = 0, 0, collections.deque()
        self.bursts = collections.deque()  # issued and not granted: (word, burst)
        self.granted_at, self.last_grant = [], None
        self.outstanding = collections.deque()  # retirements or acknowledgements of granted bursts, in order
        self.retire, self.ready, self.queued = 0, 0, 0
        self.blocked = None
        self.last_conv = None

    def upcoming(self):
        return self.words[self.next]

    def convs(self):
        return [w for w in self.running if w.need.conv]


class Timing:
    """Runs a program's clock; afterwards `total`, `buckets`, `layer_buckets`, `layers`, `spans` and `traffic` tell."""

    def __init__(self, program):
        self.hw, self.program, self.now = program.hw, program, 0
        self.engines = {}
        for name in ENGINES:
            needs = footprints(program.hw, program.code[name])
            words = [Word(*each) for each in zip(program.code[name], program.notes[name], needs, strict=True)]
            self.engines[name] = Engine(name, words, program.base[name])
        self.semaphores = collections.Counter()
        self.ports = {}  # (kind, bank) -> engine -> holders
        self.producers = {
            (p, c): [w for w in self.engines[p].words if c in w.inst.signal] for p in ENGINES for c in ENGINES if p != c
        }
        self.waits = collections.Counter()  # waits served, by (producer, consumer)
        self.credit, self.last_requester, self.last_grant, self.last_direction = 0, -1, None, None
        self.buckets = {name: collections.Counter() for name in ENGINES}
        self.layer_buckets = collections.defaultdict(collections.Counter)
        self.traffic = {c: SimpleNamespace(read_bytes=0, write_bytes=0, useful_bytes=0) for c in TRAFFIC}
        self.last_event = 0
        # Round-robin order of T21.
        self.requesters = [("load", False), ("store", False)] + [(name, True) for name in ENGINES]

    def run(self):
        while any(e.halted is None for e in self.engines.values()):
            for engine in self.engines.values():
                self.complete(engine)
            for engine in self.engines.values():
                self.issue(engine)
            self.grant()
            for engine in self.engines.values():
                self.account(engine)
            self.watch()
            self.now += 1
        self.total = self.now
        self.attribute()
        return self

    def watch(self):
        """Ends a run in which nothing is under way and nothing has happened for longer than anything takes."""
        pending = [w.end for e in self.engines.values() for w in e.running if w.end < NEVER]
        pending += [e.ready for e in self.engines.values()] + [self.last_event]
        longest = self.hw.dram_latency_cycles + self.hw.dram_turnaround_cycles + self.hw.dram_burst_bytes + 2
        if self.now > max(pending) + longest:
            raise Deadlock

    # Phase 1.

    def complete(self, e):
        t = self.now
        while e.arrivals and e.arrivals[0][0] <= t:
            e.buffer += e.arrivals.popleft()[1]
        while e.running:
            word = e.running[0]
            if not (t >= word.end and t > word.issue and self.can_signal(e, word)):
                break
            self.signal(e, word)
            for port in word.ports:
                self.ports[port][e.name] -= 1
            e.running.pop(0)

    def can_signal(self, e, word):
        return all(self.semaphores[e.name, consumer] < FULL for consumer in word.inst.signal)

    def signal(self, e, word):
        word.complete = self.last_event = self.now
        for consumer in word.inst.signal:
            self.semaphores[e.name, consumer] += 1

    # Phase 2.

    def issue(self, e):
        if e.halted is not None:
            return
        word, t = e.upcoming(), self.now
        e.blocked = self.obstacle(e, word)
        if e.blocked:
            return
        for producer in word.inst.wait:
            self.semaphores[producer, e.name] -= 1
            self.waits[producer, e.name] += 1
        for port in word.ports:
            self.ports.setdefault(port, collections.Counter())[e.name] += 1
        e.buffer -= 1
        e.next += 1
        word.issue = self.last_event = t
        if word.is_halt:
            e.halted = t
            self.signal(e, word)
            return
        e.running.append(word)
        if word.need.conv:
            self.start_conv(e, word)
        elif word.need.work is not None:
            word.end = t + word.need.work + self.hw.vpu_pipeline_cycles
        elif word.need.bursts:
            e.bursts.extend((word, burst) for burst in word.need.bursts)
            if e.name == "store":
                self.schedule_store(e)
        else:
            word.end = t + 1

    def obstacle(self, e, word):
        """The first condition of T4 that does not hold, as the bucket it names."""
        if e.buffer == 0:
            return "wait.queue"
        if not self.can_take(e, word):
            return "wait.config"
        if word.is_register and any(w.page == word.page for w in e.running):
            return "wait.config"
        for producer in ENGINES:
            if producer in word.inst.wait and self.semaphores[producer, e.name] == 0:
                return "idle" if not (word.is_tile or word.is_register) else "wait." + self.wait_class(producer, e.name)
        for port in word.ports:
            if any(count and name != e.name for name, count in self.ports.get(port, {}).items()):
                return "wait.bank"
        return None

    def can_take(self, e, word):
        """T5"""
        if word.is_halt and (e.running or not self.can_signal(e, word)):
            return False
        if e.name in ("load", "store"):
            return not e.bursts
        if e.name == "mxu":
            return e.last_conv is None or self.now >= e.last_conv.s_last
        return not e.running

    def wait_class(self, producer, consumer):
        """T46"""
        signals, served = self.producers[producer, consumer], self.waits[producer, consumer]
        if served >= len(signals):
            return "token"
        name, traffic, is_tile = signals[served].inst.name, signals[served].note.traffic, signals[served].is_tile
        if consumer in ("mxu", "vpu") and producer == "load":
            if name in ("load.params", "load.table") or (name == "load" and traffic == "params"):
                return "params"
            if name == "load" and traffic == "weights":
                return "weights"
            if name == "load" and traffic in ("inputs", "spills"):
                return "activations"
        if consumer == "mxu" and producer == "vpu" and is_tile:
            return "accumulator" if name == "vpu.drain" else "activations"
        if consumer == "vpu" and name == "mxu.conv":
            return "accumulator"
        if consumer == "store" and producer == "vpu" and is_tile:
            return "activations"
        return "token"

    def start_conv(self, e, word):
        """T11 to T14"""
        conv, previous = word.need.conv, e.last_conv
        weights_from = max(word.issue, previous.s_last) if previous else word.issue
        word.first = max(weights_from + conv.weights, previous.stream_end if previous else 0)
        word.s_last = word.first + (conv.folds - 1) * conv.period
        word.stream_end = word.s_last + conv.stream
        word.end = word.stream_end + self.hw.array_rows + self.hw.array_cols - 1
        e.last_conv = word

    # Phase 3.

    def grant(self):
        burst_bytes = self.hw.dram_burst_bytes
        self.credit = min(self.credit + self.hw.dram_bytes_per_cycle, burst_bytes + self.hw.dram_bytes_per_cycle - 1)
        while self.credit >= burst_bytes:
            for step in range(1, len(self.requesters) + 1):
                number = (self.last_requester + step) % len(self.requesters)
                name, fetch = self.requesters[number]
                direction = "write" if name == "store" and not fetch else "read"
                if self.turned(direction) and self.eligible(self.engines[name], fetch):
                    break
            else:
                return
            self.credit -= burst_bytes
            self.last_requester, self.last_direction = number, direction
            self.last_grant = self.last_event = self.now
            self.serve(self.engines[name], fetch)

    def turned(self, direction):
        return self.last_direction in (None, direction) or self.now >= self.last_grant + self.hw.dram_turnaround_cycles

    def eligible(self, e, fetch):
        if fetch:
            words = self.next_fetch(e)
            coming = sum(count for _, count in e.arrivals)
            return words > 0 and e.buffer + coming + words <= self.hw.fetch_words
        if not e.bursts or self.in_flight(e) >= self.hw.dram_outstanding:
            return False
        return e.name == "load" or e.ready <= self.now

    def in_flight(self, e):
        while e.outstanding and e.outstanding[0] <= self.now:
            e.outstanding.popleft()
        return len(e.outstanding)

    def next_fetch(self, e):
        """Words of an engine's next code burst (T32)."""
        at = e.base + e.requested * WORD_BYTES
        to_boundary = (self.hw.dram_burst_bytes - at % self.hw.dram_burst_bytes) // WORD_BYTES
        return min(to_boundary, len(e.words) - e.requested)

    def serve(self, e, fetch):
        t, arrive = self.now, self.now + self.hw.dram_latency_cycles + 1
        if fetch:
            words = self.next_fetch(e)
            e.requested += words
            e.arrivals.append((arrive, words))
            self.count("instructions", "read", words * WORD_BYTES)
            return
        word, burst = e.bursts.popleft()
        e.last_grant = t
        if e.name == "load":
            e.retire = max(arrive, e.retire) + burst.n
            done = e.retire
        else:
            e.granted_at.append(t)
            done = arrive
        e.outstanding.append(done)
        word.ungranted -= 1
        if word.ungranted == 0:
            word.end = done
        if e.name == "store":
            self.schedule_store(e)
        traffic = word.note.traffic if word.note.traffic != "none" else "other"
        self.count(traffic, "read" if e.name == "load" else "write", burst.useful)

    def schedule_store(self, e):
        """When the next burst is ready (T28); burst k = bursts granted so far."""
        if e.bursts and e.queued == len(e.granted_at):
            word, burst = e.bursts[0]
            behind = e.queued - self.hw.dram_outstanding
            e.ready = max(word.issue, e.ready, e.granted_at[behind] + 1 if behind >= 0 else 0) + burst.n
            e.queued += 1

    def count(self, traffic, direction, useful):
        of = self.traffic[traffic]
        setattr(of, direction + "_bytes", getattr(of, direction + "_bytes") + self.hw.dram_burst_bytes)
        of.useful_bytes += useful

    # Phase 4.

    def account(self, e):
        word = None
        if e.halted is not None:
            bucket = "done"
        elif e.running:
            bucket, word = getattr(self, "running_" + e.name)(e), e.running[0]
        else:
            bucket, word = e.blocked, e.upcoming()
        self.buckets[e.name][bucket] += 1
        if word is not None and word.note.node is not None:
            self.layer_buckets[word.note.node, e.name][bucket] += 1

    def running_mxu(self, e):
        t, convs = self.now, e.convs()
        for w in convs:
            if w.first <= t < w.stream_end and (t - w.first) % w.need.conv.period < w.need.conv.stream:
                return "busy"
        for at, w in enumerate(convs):
            if t < w.first:
                return "wait.weights" if at > 0 else "wait.fill"
        if any(t < w.s_last for w in convs):
            return "wait.weights"
        return "wait.drain" if convs else "busy"

    def running_vpu(self, _):
        return "busy"

    def running_load(self, e):
        if e.last_grant == self.now or not any(w.is_tile for w in e.running):
            return "busy"
        return "wait.dram_bandwidth" if e.bursts and self.in_flight(e) < self.hw.dram_outstanding else "wait.dram_latency"

    def running_store(self, e):
        if e.last_grant == self.now or not any(w.is_tile for w in e.running):
            return "busy"
        if e.bursts and e.ready > self.now:
            return "wait.fill"
        return self.running_load(e)

    def attribute(self):
        """T47"""
        last, first = {}, {}
        for engine in self.engines.values():
            for word in engine.words:
                node = word.note.node
                if node is not None:
                    last[node] = max(last.get(node, 0), word.complete or 0)
                    first[node] = min(first.get(node, NEVER), word.issue)
        self.layers, self.spans, latest = [], [], 0
        for node in range(len(self.program.nodes)):
            self.layers.append(max(0, last.get(node, 0) - latest))
            self.spans.append((first[node], last[node]) if node in first else None)
            latest = max(latest, last.get(node, 0))
        if self.layers:
            self.layers[-1] += self.total - latest


def run(program):
    return Timing(program).run()
