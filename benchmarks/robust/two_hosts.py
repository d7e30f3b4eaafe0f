"""Does a run on two hosts end, and end exactly so when a process is killed on the way, on one host or on the other?

    python -m benchmarks.robust.two_hosts [--keep FOLDER]          (as root, on Linux)

The hosts are two network namespaces joined by a cable (a veth pair): each has its own addresses, its own copy of the data,
its own folder, and its own torchrun; nothing of the other's but the network. Three runs: one is left alone; in one a process of
the second host is killed by SIGKILL in mid-run; in one that of the first. torchrun then starts all anew, on both hosts. All
must end with status 0, with the same weights and history, and nothing may have been written on the second host.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.measure import emit
from benchmarks.support.torchrun import SMALL, children, kill, remains, start, toy_pairs, wait

HOSTS = ("jumok-a", "jumok-b")
ADDRESSES = ("10.77.13.1", "10.77.13.2")
CABLES = ("jumok-va", "jumok-vb")
LONGEST = 180.0  # seconds of one run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", default="", help="folder for the runs; default: one that is deleted")
    o = parser.parse_args()
    try:
        join()
    except (OSError, subprocess.CalledProcessError) as e:
        print(
            f"skipped: no network namespaces here ({getattr(e, 'stderr', b'') or e}); run it as root, on Linux", file=sys.stderr
        )
        part()
        return 0
    try:
        with tempfile.TemporaryDirectory() as made:
            return robust_two_hosts(Path(o.keep or made))
    finally:
        part()


def join() -> None:
    """Two hosts and a cable."""
    part()
    for host in HOSTS:
        ip("netns", "add", host)
    ip("link", "add", CABLES[0], "type", "veth", "peer", "name", CABLES[1])
    for host, cable, address in zip(HOSTS, CABLES, ADDRESSES, strict=True):
        ip("link", "set", cable, "netns", host)
        ip("-n", host, "addr", "add", f"{address}/24", "dev", cable)
        ip("-n", host, "link", "set", cable, "up")
        ip("-n", host, "link", "set", "lo", "up")


def part() -> None:
    for host in HOSTS:  # and the cable with them
        subprocess.run(["ip", "netns", "delete", host], capture_output=True, check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True)


def robust_two_hosts(folder: Path) -> int:
    begin, seconds, restarts, wrong = time.perf_counter(), {}, {}, []
    expected = None
    for name, victim in (("left alone", None), ("one of the second host killed", 1), ("one of the first host killed", 0)):
        tick = time.perf_counter()
        here = folder / name
        try:
            restarts[name] = run(here, victim)
            left = remains(here / HOSTS[0] / "model")
            expected = expected or left
            if left != expected:
                raise AssertionError(f"not equal: {[k for k in left.keys() | expected if left.get(k) != expected.get(k)]}")
            if (here / HOSTS[1] / "model").exists():
                raise AssertionError("the second host has written, too")
        except (AssertionError, OSError) as e:
            logs = "\n".join(log.read_text() for log in sorted(here.rglob("log")))
            wrong.append(f"{name}: {e}")
            print(wrong[-1], logs, sep="\n", file=sys.stderr)
        seconds[name] = round(time.perf_counter() - tick, 1)
    emit(
        "robust_two_hosts",
        runs=len(seconds),
        equal=len(seconds) - len(wrong),
        wrong=wrong,
        times_resumed=restarts,
        seconds_of_runs=seconds,
        seconds=round(time.perf_counter() - begin, 1),
    )
    return 1 if wrong else 0


def run(folder: Path, victim: int | None) -> int:
    """One run on both hosts, with one process a host; returns how often it was resumed."""
    agents = []
    for number, (host, cable, address) in enumerate(zip(HOSTS, CABLES, ADDRESSES, strict=True)):
        disk = folder / host
        disk.mkdir(parents=True)
        torchrun = (
            *("--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3", "--local-addr", address),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:29400", "--rdzv-id", "jumok"),
            # by itself torchrun compares the endpoint with this host's name, which both hosts share here
            *("--rdzv-conf", f"is_host={number == 0},join_timeout=60"),
        )
        train = (str(toy_pairs(disk)), "--out", str(disk / "model"), *SMALL)
        before = ("ip", "netns", "exec", host)
        agents.append(start(torchrun, train, disk / "log", before, GLOO_SOCKET_IFNAME=cable))
    if victim is not None:
        checkpoint, end = folder / HOSTS[0] / "model" / "checkpoint.safetensors", time.monotonic() + LONGEST
        while not checkpoint.exists() and time.monotonic() < end and all(agent.poll() is None for agent in agents):
            time.sleep(0.01)
        time.sleep(random.Random(victim).uniform(0, 0.5))
        workers = children(agents[victim].pid)
        if not checkpoint.exists() or not workers or not kill(workers[0]):
            raise AssertionError("it was over before something could be killed")
    statuses = [wait(agent, LONGEST) for agent in agents]
    if any(statuses):
        raise AssertionError(f"torchrun ended with {statuses}")
    return (folder / HOSTS[0] / "log").read_text().count("resumed at step")


if __name__ == "__main__":
    if sys.platform != "linux" or os.geteuid() != 0:
        sys.exit("skipped: network namespaces need Linux and root")
    sys.exit(main())
