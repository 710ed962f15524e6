"""Labs on a cluster of two real workers, each with its own folder, cache and live labs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from system.cache_copies import DOWNLOADS, STORE, TEMPLATES, copy_finished, link
from system.test_bisection import git, planted
from system.world import LONGEST, Running, World, processes, until


@dataclass
class Worker:
    """A worker, and the world in which it runs labs."""

    name: str
    world: World
    process: Running


@dataclass
class Pool:
    """A cluster without workers of its own, and those that joined it."""

    world: World
    up: Running
    address: str
    key: str
    workers: dict[str, Worker] = field(default_factory=dict)

    def join(self, name: str, folder: Path) -> None:
        """Start a worker, and wait until it is there."""
        runtime = Path(tempfile.mkdtemp(prefix="xl-"))
        cache = folder / "cache"
        if not cache.exists():
            copy_cache(self.world.cache, cache)
        world = World(folder, runtime, cache)
        env = {"XDG_RUNTIME_DIR": str(runtime), "LAB_CACHE": str(cache)}
        words = ("--key", self.key, "--name", name, "--jobs", "1", "--folder", str(folder / "here"))
        process = self.world.start("cluster.worker", self.address, *words, env=env)
        self.workers[name] = Worker(name, world, process.when("worker"))

    def env(self) -> dict[str, str]:
        return {"LAB_CLUSTER": self.address, "LAB_CLUSTER_KEY": self.key}

    def machines(self) -> int:
        """How many labs run on the workers."""
        return sum(len(one.world.machines()) for one in self.workers.values())


@pytest.fixture(scope="module")
def pool(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    key = str(tmp_path_factory.mktemp("key") / "key.pem")
    up = world.start("cluster.up", "--workers", "0", "--json", "--key", key).when("the cluster")
    assert up.process.stdout
    text = ""
    while not text.endswith("}\n"):
        text += up.process.stdout.readline()
    found = Pool(world, up, json.loads(text)["address"], key)
    try:
        for name in ("one", "two"):
            found.join(name, tmp_path_factory.mktemp(name))
        yield found
    finally:
        for one in found.workers.values():
            one.process.signal(signal.SIGTERM).end()
            shutil.rmtree(one.world.runtime)
        assert up.signal(signal.SIGINT).end().status == 130
        assert found.machines() == 0


def copy_cache(cache: Path, into: Path) -> None:
    """A cache with what is in another one, as links."""
    copy_finished(cache, into, *DOWNLOADS, STORE, TEMPLATES, copy=link)
    (into / "toolchain").symlink_to(cache / "toolchain")


def digests(explored: str) -> list[str]:
    """The digests of an exploration's seeds."""
    found = json.loads(Path(json.loads(explored)["folder"], "outcome.json").read_text())
    return [one["digest"] for one in found["results"]]


def repeat(pool: Pool, times: int) -> Running:
    return pool.world.start("lab.run", "hello", "--repeat", str(times), "--json", env=pool.env())


def test_runs_come_back_as_if_they_ran_here(pool: Pool, world: World) -> None:
    """Both workers ran some. All have one digest, that of a run here."""
    done = json.loads(repeat(pool, 4).end().expect(0).out)
    here = json.loads(world.run("lab.run", "hello", "--json").out)
    assert set(done["digests"]) == {here["digest"]}
    manifests = [json.loads(Path(one["run"], "manifest.json").read_text()) for one in done["runs"]]
    assert {one["worker"] for one in manifests} == {"one", "two"}
    assert "hello from FreeRTOS" in world.run("lab.logs", "hello", "--on", "hello").out
    world.run("lab.run", "hello", "--verify", Path(done["runs"][0]["run"]).name)


def test_several_labs_and_an_exploration(pool: Pool, world: World) -> None:
    """All commands that run many labs take a cluster."""
    several = world.run("lab.run", "hello", "hello-2", "--json", env=pool.env())
    assert [one["lab"] for one in json.loads(several.out)["runs"]] == ["hello", "hello-2"]
    there = world.run("lab.explore", "hello", "--seeds", "7-7", "--json", env=pool.env())
    here = world.run("lab.run", "hello", "--seed", "7", "--json")
    assert digests(there.out) == [json.loads(here.out)["digest"]]


def test_commits_are_tried_on_the_workers(pool: Pool, world: World, tmp_path: Path) -> None:
    """As many at a time as there are workers. Their files travel; what does not compile is skipped,
    as here."""
    app = planted(tmp_path)
    words = ["lab.bisect", "mine", "--source", "app", "--good", "HEAD~6", "--json"]
    found = json.loads(world.run(*words, cwd=tmp_path, env=pool.env()).out)
    assert [one["subject"] for one in found["remaining"]] == ["Change 5"]
    runs = [Path(one["run"]) for one in found["tried"]]
    manifests = [json.loads((tmp_path / run / "manifest.json").read_text()) for run in runs]
    assert all(one["worker"] in ("one", "two") for one in manifests)
    assert git(app, "status", "--porcelain") == ""


def test_ctrl_c_ends_the_labs_on_the_workers(pool: Pool) -> None:
    running = repeat(pool, 50)
    until("a lab runs on a worker", lambda: pool.machines() > 0, LONGEST)
    assert running.signal(signal.SIGINT).end().status == 130
    assert pool.machines() == 0


def test_a_worker_is_killed_and_another_joins(pool: Pool) -> None:
    """All runs come back, with one digest, and no machine is left."""
    running = repeat(pool, 12)
    victim = pool.workers["one"]
    until("it runs a lab", lambda: bool(victim.world.machines()), LONGEST)
    victim.process.signal(signal.SIGKILL).end()
    until("its lab has ended", lambda: not victim.world.machines(), LONGEST)
    pool.join("one", victim.world.folder)
    done = json.loads(running.end().expect(0).out)
    assert len(done["runs"]) == 12
    assert len(set(done["digests"])) == 1
    assert pool.machines() == 0


def test_a_stranger_is_not_let_in(pool: Pool, tmp_path: Path) -> None:
    """Another key opens nothing. A cluster says which worker was killed, and leaves none."""
    other = str(tmp_path / "other.pem")
    up = pool.world.start("cluster.up", "--workers", "2", "--key", other).when("the cluster")
    (first,) = (pid for pid, words in processes() if other in words and "worker-1" in str(words))
    os.kill(first, signal.SIGKILL)
    up.when("worker 1 was killed by signal 9; 1 of 2 still run")
    assert up.signal(signal.SIGINT).end().status == 130
    assert not [words for _, words in processes() if other in words]
    env = {"LAB_CLUSTER": pool.address, "LAB_CLUSTER_KEY": other}
    said = pool.world.run("lab.run", "hello", env=env, status=3)
    assert "there is no cluster at" in said.err
