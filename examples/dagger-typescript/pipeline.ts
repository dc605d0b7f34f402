// A pipeline with the Dagger SDK: two steps, the second on what the first one wrote.
import { connection, dag } from "@dagger.io/dagger"

const image = process.env.IMAGE ?? "debian:13-slim"

await connection(async () => {
  const start = dag.container().from(image).withWorkdir("/work")
  const written = start.withExec(["sh", "-c", "seq 1 10 > numbers"]).file("numbers")
  const added = start.withFile("in", written).withExec(["awk", "{ sum += $1 } END { print sum }", "in"])
  console.log("The sum is", (await added.stdout()).trim())
})
