"""Expressions are parsed by many threads at once: each workflow task has one of its own."""

from concurrent.futures import ThreadPoolExecutor

from dsl.expressions import parse


def test_many_threads_parse_at_once() -> None:
    sources = [
        f"input.a{i} + len([x for x in range({i}) if x > {i} // 2]) * {i}" for i in range(400)
    ]

    def read(source: str) -> bool:
        return all(parse(source)[0] is not None for _ in range(5))

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(read, sources))
