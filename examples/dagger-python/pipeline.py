"""A pipeline with the Dagger SDK: two steps, the second on what the first one wrote."""

import asyncio
import os

import dagger
from dagger import dag

IMAGE = os.environ.get("IMAGE", "debian:13-slim")


async def main() -> None:
    async with dagger.connection():
        start = dag.container().from_(IMAGE).with_workdir("/work")
        written = start.with_exec(["sh", "-c", "seq 1 10 > numbers"]).file("numbers")
        added = start.with_file("in", written).with_exec(["awk", "{ sum += $1 } END { print sum }", "in"])
        print("The sum is", (await added.stdout()).strip())


asyncio.run(main())
