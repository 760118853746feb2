"""What several processes, and those that are killed, do to the answers."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fewlabel.data import image_set_from_array, read_labels
from fewlabel.labelling.store import Answer, open_store
from tests.labelling.conftest import noise

KILLED = """
import os, random, signal, sys, time
from fewlabel.data import image_set_from_array, read_labels
from fewlabel.labelling.store import Answer, open_store
from tests.labelling.conftest import noise

images, table = image_set_from_array(noise(40)), sys.argv[1]

def answer_until_killed(pipe):
    with open_store(images, table) as store:
        while True:
            number = random.randrange(40)
            answers = [Answer((number + i) % 40, (str(number),)) for i in range(1 + number % 3)]
            for kept in store.add(answers):
                os.write(pipe, f"{kept.id} {kept.image} {kept.labels[0]}\\n".encode())

random.seed(0)
acknowledged = 0
for round in range(100):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        random.seed(round)
        answer_until_killed(writing)
    os.close(writing)
    # The first answer says that the store is open; the kill then hits any moment of the others.
    said = os.read(reading, 1 << 16)
    time.sleep(random.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(reading, 1 << 16):
        said += part
    os.close(reading)
    lines = said.decode().splitlines()
    acknowledged += len(lines)
    read_labels(table, images, min_classes=0)
    with open_store(images, table) as store:
        kept = {a.id: a for i in range(40) for a in store.history(i)}
        for line in lines:
            number, image, label = line.split()
            answer = kept[int(number)]
            assert (answer.image, answer.labels) == (int(image), (label,)), (round, line)
        assert [a.origin for a in kept.values() if a.origin != "typed"] == []
        assert read_labels(table, images).names() == store.labels().names()
print(acknowledged)
"""

ANNOTATOR = """
import json, random, sys, time
from fewlabel.data import image_set_from_array
from fewlabel.labelling.store import Answer, open_store
from tests.labelling.conftest import noise

images = image_set_from_array(noise(60))
name, table, url = sys.argv[1:]
answered = []
with open_store(images, table, url) as store:
    # Both begin at once.
    print("ready", flush=True)
    sys.stdin.readline()
    while leased := store.lease(name, range(len(images)), 2):
        assert not {*leased} & {*store.current()}
        store.add([Answer(image, (name,), name) for image in leased])
        answered += leased
        # SQLite lets those wait longest who have waited long: without a look at the next image,
        # the first to come may answer them all.
        time.sleep(random.uniform(0, 0.05))
print(json.dumps(answered))
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_every_answer_that_was_acknowledged_survives_a_kill(table: Path):
    process = _start(KILLED, table)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    # It was killed amid a stream of answers, not before it.
    assert int(said) > 300


def test_two_annotators_never_get_the_same_image_and_lose_no_answer(database_url, table):
    started = [_start(ANNOTATOR, name, table, database_url) for name in ("Ann", "Bob")]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    answered = {
        image: (name,)
        for name, said in zip(("Ann", "Bob"), ended, strict=True)
        for image in json.loads(said)
    }
    assert sum(len(json.loads(said)) for said in ended) == len(answered) == 60
    assert {*answered.values()} == {("Ann",), ("Bob",)}
    images = image_set_from_array(noise(60))
    with open_store(images, table, database_url) as store:
        assert store.current() == answered
        assert all(len(store.history(image)) == 1 for image in answered)
        store.take_table()
        assert read_labels(table, images).names() == store.labels().names()


def test_threads_of_one_process_lose_no_answer(database_url, table):
    images = image_set_from_array(noise(60))
    with open_store(images, table, database_url) as store, ThreadPoolExecutor(4) as pool:

        def answer(first: int) -> None:
            for image in range(first, 60, 4):
                assert store.lease(str(first), [image], 1) == [image]
                store.add([Answer(image, (str(image),), str(first))])
                assert store.current()[image] == (str(image),)
                assert store.classes()

        list(pool.map(answer, range(4)))
        assert store.current() == {i: (str(i),) for i in range(60)}
        assert read_labels(table, images).names() == store.labels().names()
