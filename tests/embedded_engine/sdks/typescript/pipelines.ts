// The pipelines in TypeScript: node pipelines.ts IMAGE PROJECT EXPORTS prints what they gave as JSON.
import { connection, dag, type Container, ExecError, GraphQLRequestError, ReturnType } from "@dagger.io/dagger"

const [image, project, exports] = process.argv.slice(2)
const shell = (script: string): string[] => ["sh", "-c", script]
const container = (): Container => dag.container().from(image)

async function files(): Promise<object> {
  const source = dag
    .host()
    .directory(".", { exclude: ["build"] })
    .withNewFile("added/quoted \"ü\".txt", 'brackets {"key": 1}\nline\ttwo\\', { permissions: 0o640 })
    .withoutFile("notes.md")
  const built = container()
    .withWorkdir("/work")
    .withDirectory(".", source)
    .withMountedCache("/cache", dag.cacheVolume("pipelines"))
    .withExec(shell("cat src/main.txt added/* > joined; stat -c '%a %n' added/* > modes; ls /cache >> modes"))
  const joined = await built.file("joined").sync()
  return {
    entries: await source.entries(),
    glob: await source.glob("**/*.txt"),
    host_file: await dag.host().file("hello.txt").contents(),
    joined: await joined.contents(),
    size: await joined.size(),
    name: await joined.name(),
    modes: await built.file("modes").contents(),
    changed: await source.diff(built.directory(".")).entries(),
  }
}

async function environment(): Promise<object> {
  const configured = container()
    .withEnvVariable("GREETING", 'say "hi" to $NOBODY')
    .withEnvVariable("EXPANDED", "${PATH}:/more", { expand: true })
    .withEnvVariable("DROPPED", "1")
    .withoutEnvVariable("DROPPED")
    .withSecretVariable("PASSWORD", dag.setSecret("password", "open sesame"))
    .withLabel("kind", "test")
    .withExposedPort(8080, { description: "web" })
  const variables = await configured.envVariables()
  const labels = await configured.labels()
  const ports = await configured.exposedPorts()
  return {
    greeting: await configured.envVariable("GREETING"),
    unknown: await configured.envVariable("DROPPED"),
    variables: await Promise.all(variables.map(async (one) => [await one.name(), await one.value()])),
    labels: await Promise.all(labels.map(async (one) => [await one.name(), await one.value()])),
    ports: await Promise.all(
      ports.map(async (one) => [await one.port(), await one.protocol(), await one.description()]),
    ),
    seen: await configured.withExec(shell("echo $GREETING; echo $EXPANDED; echo $PASSWORD; echo ${#PASSWORD}")).stdout(),
  }
}

async function failure(): Promise<object> {
  const failing = shell("echo out; echo err >&2; exit 3")
  const expected = container().withExec(failing, { expect: ReturnType.Any })
  return {
    command: await error(container().withExec(failing).withExec(["true"]).stdout()),
    executable: await error(container().withExec(["no-such-command"]).sync()),
    file: await error(dag.directory().file("missing").contents()),
    unsupported: await error(dag.git("https://example.com/x.git").head().commit()),
    expected: [await expected.exitCode(), await expected.stdout(), await expected.stderr()],
  }
}

async function error(pending: Promise<unknown>): Promise<object> {
  try {
    await pending
  } catch (caught) {
    if (caught instanceof ExecError) {
      const { message, cmd, exitCode, stdout, stderr } = caught
      return { message, cmd, exit_code: exitCode, stdout, stderr }
    }
    if (caught instanceof GraphQLRequestError) {
      return { message: caught.message }
    }
    throw caught
  }
  throw new Error("an error was expected")
}

async function exported(): Promise<object> {
  const made = container().withExec(shell("mkdir -p /made/sub; echo one > /made/sub/one; cd /made; chmod 750 sub; ln -s sub/one link"))
  await made.directory("/made").export(`${exports}/directory`)
  await made.file("/made/sub/one").export(exports, { allowParentDirPath: true })
  await made.file("/made/sub/one").export("exported.txt")
  return { workdir: await dag.host().directory(".").glob("exported*") }
}

async function service(): Promise<object> {
  const server = container()
    .withNewFile("/www/index.html", "served")
    .withExposedPort(8080)
    .asService({ args: ["httpd", "-f", "-p", "8080", "-h", "/www"] })
  const client = container().withServiceBinding("web", server)
  return { page: await client.withExec(["wget", "-q", "-O", "-", "http://web:8080/"]).stdout() }
}

async function objects(): Promise<object> {
  const id = await container().withNewFile("/kept", "kept").id()
  const numbers = [1, 2, 3, 4, 5, 6, 7, 8]
  return {
    version: await dag.version(),
    platform: await dag.defaultPlatform(),
    loaded: await dag.loadContainerFromID(id).file("/kept").contents(),
    together: await Promise.all(
      numbers.map((number) => container().withExec(shell(`expr ${number} + ${number}`)).stdout()),
    ),
  }
}

await connection(
  async () => {
    const document = {
      files: await files(),
      environment: await environment(),
      failure: await failure(),
      exported: await exported(),
      service: await service(),
      objects: await objects(),
    }
    process.stdout.write(JSON.stringify(document))
  },
  { Workdir: project, LogOutput: process.stderr },
)
